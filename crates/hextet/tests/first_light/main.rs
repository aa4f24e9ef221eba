//! The whole system on this machine: `hextet up`, the API, `hextet port`, and guests that are the kernel's own SLAAC. Needs root;
//! everything happens in network namespaces of its own.

mod claims;
mod commands;
mod configured;
mod dhcp_options;
mod dhcpv6;
mod explain;
mod full_maps;
mod groups;
mod guests;
mod ipv4;
mod learned;
mod libvirt;
mod metrics;
mod segment;
mod support;
mod survival;
mod vhost_net;

use std::process::Stdio;

use hextet_agent::kernel::{Fastpath, FastpathConfig, Hook};
use serde_json::{Value, json};
use support::{Cloud, Flow, Namespace, Stream, device, kill, last_pass, mounts, reaches, until};

#[test]
fn a_guest_gets_what_the_api_promised_and_follows_its_changes() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, address) = cloud.guest(&network, "one");
    assert_eq!(cloud.status(&id), "ACTIVE");
    until("the promised address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    let (two, second_id, second) = cloud.guest(&network, "two");
    reaches(&one, second);

    cloud.subnet(&network, "2001:db8:2::/64");
    until("the second subnet's address in running guests", || {
        (one.addresses().len() == 2 && two.addresses().len() == 2).then_some(())
    });

    let path = format!("ports/{second_id}");
    cloud.api(
        "PUT",
        &path,
        Some(json!({ "port": { "admin_state_up": false } })),
    );
    assert_eq!(cloud.status(&second_id), "DOWN");
    cloud.api(
        "PUT",
        &path,
        Some(json!({ "port": { "admin_state_up": true } })),
    );
    until("ACTIVE again", || {
        (cloud.status(&second_id) == "ACTIVE").then_some(())
    });
    reaches(&one, second);

    cloud.api(
        "PUT",
        &format!("networks/{network}"),
        Some(json!({ "network": { "mtu": 1400 } })),
    );
    until("the new MTU on both ends", || {
        let ports: Value =
            serde_json::from_str(&cloud.done(&["port", "list", "-f", "json"])).unwrap();
        let all = ports.as_array().unwrap();
        all.iter()
            .all(|port| port["mtu_seen"] == 1400)
            .then_some(())
    });

    let mac = cloud.mac(&second_id);
    let host_end = cloud.host_end(&second_id);
    assert_eq!(two.links_seen()[0].mac.to_string(), mac);
    assert_eq!(two.links_seen()[0].mtu, 1400);
    two.ip("link set eth0 address 02:00:00:00:00:98");
    let change = format!("link set {host_end} address 02:00:00:00:00:99");
    cloud.host.ip(&change);
    until("the port's MAC on both ends again", || {
        let links = cloud.host.links_seen();
        let link = links.iter().find(|link| link.name == host_end).unwrap();
        let both = [link.mac, two.links_seen()[0].mac];
        both.iter()
            .all(|seen| seen.to_string() == mac)
            .then_some(())
    });
    reaches(&one, second);
    reaches(&one, two.links_seen()[0].mac.link_local());

    cloud.api("DELETE", &path, None);
    until("a deleted port's link is removed", || {
        two.links().is_empty().then_some(())
    });
    assert_eq!(cloud.host.links().len(), 1);
    cloud.done(&["port", "detach", "one"]);
    assert!(one.links().is_empty() && cloud.host.links().is_empty());
    assert_eq!(cloud.status(&id), "DOWN");
}

#[test]
fn a_tap_that_nobody_opened_is_active_and_survives_its_detaching() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let port = cloud.create("port", json!({ "network_id": network, "name": "vm" }));
    let id = port["id"].as_str().unwrap();
    cloud.host.ip("tuntap add dev vm7 mode tap");
    cloud.done(&["port", "attach", "vm", "--tap", "vm7"]);
    assert_eq!(cloud.status(id), "ACTIVE", "a carrier is not required");
    let ports: Value = serde_json::from_str(&cloud.done(&["port", "list", "-f", "json"])).unwrap();
    assert_eq!(ports[0]["link"], "vm7");
    assert_eq!(ports[0]["mtu_seen"], 1430);
    assert_eq!(ports[0]["carrier"], false);
    assert_eq!(cloud.host.links_seen()[0].mac.to_string(), cloud.mac(id));
    cloud.done(&["port", "detach", "vm"]);
    assert_eq!(cloud.status(id), "DOWN");
    let links = cloud.host.links_seen();
    assert_eq!(links.len(), 1, "a tap that was adopted stays");
    assert!(!links[0].admin_up, "and is set down");
}

#[test]
fn killed_processes_come_back_and_change_nothing() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, address) = cloud.guest(&network, "one");
    until("the address", || {
        one.addresses().contains(&(address, 64)).then_some(())
    });
    let links = cloud.host.links();

    cloud.kill_agent();

    let count = |log: &str| log.matches("connected to the server").count();
    until("the agent found the server", || {
        (count(&cloud.log_text()) >= 2).then_some(())
    });
    let server = cloud.pid("server");
    kill(&server, "KILL");
    until("the server is started again", || {
        (cloud.pid("server") != server).then_some(())
    });
    until("the agent found it", || {
        (count(&cloud.log_text()) >= 3).then_some(())
    });

    cloud.stop();
    assert_eq!(cloud.host.links(), links, "guests' links stay");
    cloud.up();
    let log = cloud.log_text();
    assert!(last_pass(&log).ends_with("ops=0"), "{log}");
    assert!(
        !log.contains("plan taken"),
        "nothing differs, so no plan is sent: {log}"
    );
    let (_two, _, second) = cloud.guest(&network, "two");
    reaches(&one, second);
}

#[test]
fn a_running_flow_loses_no_packet_while_agent_and_server_are_replaced() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, first) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    until("both addresses", || {
        let has = one.addresses().contains(&(first, 64));
        (has && two.addresses().contains(&(second, 64))).then_some(())
    });
    reaches(&one, second);
    let before = [device(&one), device(&two)];
    let stream = Stream::start(&one, &two, second);
    let flow = Flow::start(&one, &two, second);
    let passes = |log: &str| log.matches("reconcile ops=").count();
    for _ in 0..2 {
        let before = passes(&cloud.log_text());
        kill(&cloud.pid("agent"), "KILL");
        until("the agent is back", || {
            (passes(&cloud.log_text()) > before).then_some(())
        });
    }
    cloud.stop();
    cloud.up();
    until("a flow worth its name", || {
        (flow.sent() > 20_000).then_some(())
    });
    stream.end();
    let (sent, arrived) = flow.end(&two);
    assert_eq!(sent, arrived);
    // The devices at both ends count other frames too (RA, ND), and so cannot count fewer; they lost none.
    let after = [device(&one), device(&two)];
    assert!(
        after[0].sent - before[0].sent >= sent,
        "{before:?} {after:?}"
    );
    assert!(
        after[1].received - before[1].received >= sent,
        "{before:?} {after:?}"
    );
    assert_eq!(after.map(|end| end.lost), before.map(|end| end.lost));
}

#[test]
fn the_agent_alone_restores_service_from_its_ledger() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, address) = cloud.guest(&network, "one");
    let (two, _, second) = cloud.guest(&network, "two");
    cloud.stop();
    // Pins, links and server gone, as after a reboot.
    let names = [one.name.clone(), two.name.clone()];
    drop((one, two));
    until("the links are gone", || {
        cloud.host.links().is_empty().then_some(())
    });
    Fastpath::remove(&fastpath(&cloud)).unwrap();
    assert_eq!(mounts(cloud.dir.path()), Vec::<String>::new());

    let config = cloud.path("agent.toml");
    let mut alone = cloud.hextet(&["agent", "--config", config.to_str().unwrap()]);
    let mut alone = cloud
        .host
        .spawn(alone.stdout(Stdio::null()).stderr(Stdio::null()));
    until("the agent answers", || {
        (cloud.run(&["port", "list"]).0 == 0).then_some(())
    });
    let list = cloud.done(&["port", "list"]);
    assert!(
        list.contains(&format!("no network namespace named {}", names[0])),
        "{list}"
    );
    let [one, two] = names.map(|name| Namespace::named(&name));
    until("both have their addresses", || {
        let first = one.addresses().contains(&(address, 64));
        (first && two.addresses().contains(&(second, 64))).then_some(())
    });
    reaches(&one, second);
    kill(&alone.id().to_string(), "TERM");
    assert!(alone.wait().unwrap().success());
    cloud.up();
}

#[test]
fn an_unreadable_ledger_is_said_and_kept_and_touches_nothing() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (one, id, _) = cloud.guest(&network, "one");
    let (_two, _, second) = cloud.guest(&network, "two");
    let links = cloud.host.links();
    cloud.stop();
    std::fs::write(cloud.path("agent/ledger"), "nonsense").unwrap();
    cloud.up();
    assert!(cloud.log_text().contains("the ledger is unreadable"));
    assert_eq!(
        std::fs::read(cloud.path("agent/ledger.corrupt")).unwrap(),
        b"nonsense"
    );
    until("the plan came", || {
        cloud.log_text().contains("plan taken").then_some(())
    });
    assert_eq!(
        cloud.host.links(),
        links,
        "links that the plan wants are kept"
    );
    assert_eq!(cloud.status(&id), "ACTIVE");
    reaches(&one, second);
}

#[test]
fn a_change_of_hook_takes_over_without_touching_the_links() {
    let mut cloud = Cloud::new();
    let network = cloud.network();
    let (one, _, _) = cloud.guest(&network, "one");
    let (_two, _, second) = cloud.guest(&network, "two");
    cloud.stop();
    let config = cloud.path("agent.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("hook = \"clsact\"\n{text}")).unwrap();
    cloud.up();
    let log = cloud.log_text();
    assert!(last_pass(&log).ends_with("ops=0"), "{log}");
    reaches(&one, second);
    let (three, _, third) = cloud.guest(&network, "three");
    until("a new guest's address", || {
        three.addresses().contains(&(third, 64)).then_some(())
    });
}

fn fastpath(cloud: &Cloud) -> FastpathConfig {
    let config = cloud.agent_config();
    FastpathConfig {
        instance: config.instance,
        state_dir: config.state_dir,
        hook: Hook::Tcx,
        sizes: hextet_agent::kernel::fastpath::Sizes::default(),
        punt: hextet_agent::kernel::fastpath::PuntBudget::default(),
    }
}
