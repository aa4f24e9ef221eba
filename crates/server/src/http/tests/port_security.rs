use hextet_core::ids::HostId;
use hextet_core::plan::compile::compile;

use super::*;

const ATTRIBUTE: &str = "port_security_enabled";

/// What the network says, what the port says and whose it is, and what the port has.
const INHERITED: &[(Option<bool>, Option<bool>, &str, bool)] = &[
    (None, None, "", true),
    (None, Some(false), "", false),
    (Some(true), None, "compute:nova", true),
    (Some(true), Some(false), "compute:nova", false),
    (Some(false), None, "", false),
    (Some(false), Some(true), "", true),
    // The network's own devices forward what others sent.
    (None, None, "network:router_interface", false),
    (Some(true), Some(true), "network:dhcp", false),
];

fn said(name: &str, value: Option<bool>) -> Json {
    value.map_or(json!({}), |value| json!({name: value}))
}

#[tokio::test]
async fn a_port_is_guarded_as_it_says_or_else_as_its_network_does() {
    let cloud = Cloud::new().await;
    for (of_network, of_port, owner, expected) in INHERITED {
        let body = json!({"network": said(ATTRIBUTE, *of_network)});
        let made = cloud.post("demo", "networks", body).await;
        let shown = &made.body["network"][ATTRIBUTE];
        assert_eq!(*shown, json!(of_network.unwrap_or(true)));
        let network = made.made("network");
        let mut more = said(ATTRIBUTE, *of_port);
        more["device_owner"] = json!(owner);
        let port = cloud.port("demo", &network, more).await;
        let why = format!("{of_network:?} {of_port:?} {owner}");
        assert_eq!(port.body["port"][ATTRIBUTE], *expected, "{why}");
    }
}

#[tokio::test]
async fn a_network_that_changes_its_mind_changes_later_ports_alone() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let before = cloud.port("demo", &network, json!({})).await.made("port");
    let path = format!("networks/{network}");
    let off = json!({"network": {ATTRIBUTE: false}});
    let answer = cloud.put("demo", &path, off.clone()).await;
    assert_eq!(answer.body["network"][ATTRIBUTE], false);
    let shown = cloud.get("demo", &format!("ports/{before}")).await;
    assert_eq!(shown.body["port"][ATTRIBUTE], true);
    let later = cloud.port("demo", &network, json!({})).await;
    assert_eq!(later.body["port"][ATTRIBUTE], false);
    let denied = cloud.put("rita", &path, off.clone()).await;
    denied.check("a reader", 403, "PolicyNotAuthorized");
    let denied = cloud.put("other", &path, off).await;
    denied.check("a stranger", 404, "NetworkNotFound");
    for query in ["networks", "ports"] {
        let found = cloud
            .get("demo", &format!("{query}?{ATTRIBUTE}=true"))
            .await;
        found.check("no filter", 400, "HTTPBadRequest");
    }
}

#[tokio::test]
async fn a_ports_host_is_told_and_told_again() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let made = cloud.port("demo", &network, json!({})).await;
    let revision = made.body["port"]["revision_number"].clone();
    let port = made.made("port");
    let path = format!("ports/{port}");
    let bind = json!({"port": {"binding:host_id": "h1"}});
    cloud.put("nova", &path, bind).await.check("bind", 200, "");
    let planned = async || {
        let plan = cloud.store.read(|model| {
            let host = HostId("h1".to_owned());
            let plan = compile(model.snapshot(), &host, model.generation());
            plan.port(port.parse().unwrap())
                .unwrap()
                .port_security_enabled
        });
        plan.await.unwrap()
    };
    assert!(planned().await);
    for (said, status) in [(false, 200), (false, 200), (true, 200)] {
        let answer = cloud
            .put("demo", &path, json!({"port": {ATTRIBUTE: said}}))
            .await;
        answer.check("PUT", status, "");
        assert_eq!(answer.body["port"][ATTRIBUTE], said);
        assert_ne!(answer.body["port"]["revision_number"], revision);
        assert_eq!(planned().await, said);
    }
}
