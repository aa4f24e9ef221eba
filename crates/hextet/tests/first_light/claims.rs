//! A plain KVM host: a tap that somebody makes under the name of a port that is bound to no host.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use hextet_core::ids::PortId;
use hextet_feed::CLAIMS_MAX;
use serde_json::json;

use crate::support::{Cloud, kill, until};

/// A port that is bound to no host, and the name of its tap.
fn port(cloud: &Cloud, network: &str, host: &str) -> (String, String) {
    let asked = json!({ "network_id": network, "binding:host_id": host });
    let made = cloud.create("port", asked);
    let id = made["id"].as_str().unwrap().to_owned();
    let tap = PortId(id.parse().unwrap()).tap_name();
    (id, tap)
}

fn tap(cloud: &Cloud, name: &str) {
    cloud.host.ip(&format!("tuntap add dev {name} mode tap"));
}

fn bound_to(cloud: &Cloud, port: &str) -> String {
    let port = cloud.api("GET", &format!("ports/{port}"), None);
    port["port"]["binding:host_id"].as_str().unwrap().to_owned()
}

fn active(cloud: &Cloud, port: &str) {
    until("its port is bound here and works", || {
        (cloud.status(port) == "ACTIVE").then_some(())
    });
    assert_eq!(bound_to(cloud, port), cloud.agent_config().host.0);
}

/// What `hextet port show` says of a link that carries no port.
fn refused(cloud: &Cloud, link: &str) -> String {
    let (code, _, error) = cloud.run(&["port", "show", link]);
    if code == 0 { String::new() } else { error }
}

#[test]
fn a_tap_with_the_name_of_an_unbound_port_binds_it_to_its_host() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (first, name) = port(&cloud, &network, "");
    tap(&cloud, &name);
    active(&cloud, &first);
    assert_eq!(cloud.host_end(&first), name);

    // Taken off by somebody while its tap stays, it is not taken again, until the tap is made anew.
    cloud.done(&["port", "detach", &first]);
    let (second, other) = port(&cloud, &network, "");
    tap(&cloud, &other);
    active(&cloud, &second);
    assert_eq!(bound_to(&cloud, &first), "");
    let said = refused(&cloud, &name);
    assert!(said.contains("was detached or unbound here"), "{said}");
    cloud.kill_agent();
    cloud.api(
        "PUT",
        &format!("ports/{second}"),
        Some(json!({ "port": { "binding:host_id": "" } })),
    );
    until("the host lets the second go", || {
        refused(&cloud, &other)
            .contains("was detached or unbound here")
            .then_some(())
    });
    cloud.host.ip(&format!("link del {name}"));
    until("the first tap is gone", || {
        refused(&cloud, &name)
            .contains("no port of this host has the link")
            .then_some(())
    });
    tap(&cloud, &name);
    active(&cloud, &first);
    assert_eq!(bound_to(&cloud, &second), "");

    // Made while neither server nor agent runs.
    let (third, name) = port(&cloud, &network, "");
    cloud.stop();
    tap(&cloud, &name);
    cloud.up();
    active(&cloud, &third);
}

#[test]
fn what_another_host_has_is_left_to_it_and_said() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (elsewhere, name) = port(&cloud, &network, "host-9");
    tap(&cloud, &name);
    until("it is said whose it is", || {
        refused(&cloud, &name)
            .contains("its port is bound to another host")
            .then_some(())
    });
    assert!(cloud.log_text().contains("tap claimed"));
    assert_eq!(bound_to(&cloud, &elsewhere), "host-9");
    // A server that went and came is asked again.
    let server = cloud.pid("server");
    kill(&server, "KILL");
    until("the server is started again", || {
        (cloud.pid("server") != server).then_some(())
    });
    until("the agent found it", || {
        let log = cloud.log_text();
        (log.matches("connected to the server").count() >= 2).then_some(())
    });
    cloud.api(
        "PUT",
        &format!("ports/{elsewhere}"),
        Some(json!({ "port": { "binding:host_id": "" } })),
    );
    active(&cloud, &elsewhere);
}

#[test]
fn a_port_of_a_kind_that_no_host_carries_is_attached_to_none() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (id, name) = port(&cloud, &network, "");
    let path = format!("ports/{id}");
    let set = |port| cloud.api("PUT", &path, Some(json!({ "port": port })))["port"].clone();
    set(json!({ "binding:vnic_type": "direct" }));
    tap(&cloud, &name);
    until("it is said why its tap carries nothing", || {
        refused(&cloud, &name)
            .contains("hosts carry 'normal' ones alone")
            .then_some(())
    });
    for command in [
        &["port", "attach", &id, "--tap", &name][..],
        &["port", "libvirt-xml", &id],
    ] {
        let (code, _, said) = cloud.run(command);
        assert!(
            code != 0 && said.contains("its binding:vnic_type is 'direct'"),
            "{said}"
        );
    }
    assert_eq!(bound_to(&cloud, &id), "");
    let host = cloud.agent_config().host.0;
    let bound = set(json!({ "binding:host_id": host }));
    assert_eq!(bound["binding:vif_type"], "binding_failed");
    assert!(refused(&cloud, &id).contains("its binding:vnic_type is 'direct'"));
    assert!(cloud.log_text().contains("binding failed"));
    set(json!({ "binding:vnic_type": "normal" }));
    active(&cloud, &id);
}

#[test]
fn a_host_with_more_such_taps_than_are_claimed_serves_those_that_are() {
    let cloud = Cloud::new();
    let network = cloud.network();
    // Behind every other name, so that the port's own is among those that are claimed.
    let not_last = || {
        let (id, name) = port(&cloud, &network, "");
        (!id.starts_with('f')).then_some((id, name))
    };
    let (first, name) = until("a port whose name is not the last", not_last);
    let many: String = (0..=CLAIMS_MAX)
        .map(|number| format!("tuntap add dev tapffff{number:04x}-ff mode tap\n"))
        .collect();
    let batch = cloud.path("taps");
    std::fs::write(&batch, many).unwrap();
    cloud.host.ip(&format!("-batch {}", batch.display()));
    until("it is said that there are too many", || {
        cloud
            .log_text()
            .contains("more taps are named as ports than are claimed at once")
            .then_some(())
    });
    tap(&cloud, &name);
    active(&cloud, &first);
    let said = refused(&cloud, "tapffff0000-ff");
    assert!(said.contains("carries no port"), "{said}");
}
