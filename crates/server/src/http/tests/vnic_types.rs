//! `binding:vnic_type` of ports: Neutron's list is taken, and a binding that no host can carry fails as one can see.

use hextet_core::ids::{HostId, PortId};
use hextet_core::plan::compile::compile;
use hextet_core::port::VnicType;

use super::*;

async fn shown(cloud: &Cloud, port: &str) -> Json {
    let shown = cloud.get("admin", &format!("ports/{port}")).await;
    shown.body["port"].clone()
}

async fn said(cloud: &Cloud, port: &str, more: Json) -> Answer {
    let path = format!("ports/{port}");
    let answer = cloud.put("admin", &path, json!({"port": more})).await;
    answer.check("said", 200, "");
    answer
}

/// Whether a host is told of a port.
async fn planned(cloud: &Cloud, host: &str, port: &str) -> bool {
    let (host, port) = (HostId(host.to_owned()), PortId(port.parse().unwrap()));
    let compiled = cloud.store.read(move |model| {
        let plan = compile(model.snapshot(), &host, model.generation());
        (plan.port(port).is_some(), plan.networks().count())
    });
    let (port, networks) = compiled.await.unwrap();
    assert_eq!(
        networks,
        usize::from(port),
        "its network comes and goes with it"
    );
    port
}

#[test]
fn kinds_are_called_as_neutron_calls_them() {
    for name in VnicType::NAMES {
        let kind: VnicType = serde_json::from_value(json!(name)).unwrap();
        assert_eq!((kind.name(), kind.is_carried()), (name, name == "normal"));
    }
}

#[tokio::test]
async fn each_kind_is_kept_and_a_binding_that_no_host_carries_fails() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    for name in VnicType::NAMES {
        let asked =
            json!({"network_id": network, "binding:vnic_type": name, "binding:host_id": "h1"});
        let made = cloud.post("admin", "ports", json!({"port": asked})).await;
        let id = made.made("port");
        let carried = name == "normal";
        let (vif_type, vif_details) = match carried {
            true => ("tap", json!({"port_filter": true})),
            false => ("binding_failed", json!({})),
        };
        for port in [made.body["port"].clone(), shown(&cloud, &id).await] {
            assert_eq!(port["binding:vnic_type"], name);
            assert_eq!(port["binding:vif_type"], vif_type, "{name}");
            assert_eq!(port["binding:vif_details"], vif_details, "{name}");
            assert_eq!(port["binding:host_id"], "h1");
        }
        let demo = cloud.post(
            "demo",
            "ports",
            json!({"port": {"network_id": network, "binding:vnic_type": name}}),
        );
        let demo = demo.await;
        assert_eq!(demo.body["port"]["binding:vnic_type"], name);
        assert_eq!(
            shown(&cloud, &demo.made("port")).await["binding:vif_type"],
            "unbound"
        );
        cloud.report("h1", &[(&id, true)]).await;
        let status = if carried { "ACTIVE" } else { "DOWN" };
        assert_eq!(shown(&cloud, &id).await["status"], status, "{name}");
        assert_eq!(planned(&cloud, "h1", &id).await, carried, "{name}");
        let path = format!("ports/{id}");
        cloud.delete("admin", &path).await.check(name, 204, "");
    }
}

#[tokio::test]
async fn a_port_that_changes_its_kind_is_bound_anew() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let id = cloud.port("demo", &network, json!({})).await.made("port");
    said(&cloud, &id, json!({"binding:host_id": "h1"})).await;
    cloud.report("h1", &[(&id, true)]).await;
    assert_eq!(shown(&cloud, &id).await["status"], "ACTIVE");
    let early = cloud.store.read(Model::generation).await.unwrap();

    let kind = json!({"binding:vnic_type": "baremetal"});
    let changed = said(&cloud, &id, kind.clone()).await;
    let port = &changed.body["port"];
    assert_eq!(
        (&port["status"], &port["binding:vif_type"]),
        (&json!("DOWN"), &json!("binding_failed"))
    );
    assert!(!planned(&cloud, "h1", &id).await);
    cloud.report("h1", &[(&id, true)]).await;
    assert_eq!(
        shown(&cloud, &id).await["status"],
        "DOWN",
        "no host speaks for it"
    );
    let revision = port["revision_number"].clone();
    let again = said(&cloud, &id, kind).await;
    assert_eq!(
        again.body["port"]["revision_number"], revision,
        "nothing changed"
    );

    let normal = json!({"binding:vnic_type": "normal"});
    let changed = said(&cloud, &id, normal).await;
    assert_eq!(changed.body["port"]["binding:vif_type"], "tap");
    assert!(planned(&cloud, "h1", &id).await);
    cloud.report_at("h1", early, &[(&id, true)]).await;
    assert_eq!(
        shown(&cloud, &id).await["status"],
        "DOWN",
        "an earlier plan had it otherwise"
    );
    cloud.report("h1", &[(&id, true)]).await;
    assert_eq!(shown(&cloud, &id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn what_a_profile_holds_is_no_kind() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let profile = json!({"binding:vnic_type": "normal"});
    let asked = json!({
        "network_id": network, "binding:vnic_type": "direct", "binding:host_id": "h1", "binding:profile": profile,
    });
    let made = cloud.post("nova", "ports", json!({"port": asked})).await;
    let id = made.made("port");
    assert_eq!(
        shown(&cloud, &id).await["binding:vif_type"],
        "binding_failed"
    );
}
