use super::*;

/// A shared network of project demo with a subnet, and their ids.
async fn shared() -> (Cloud, String, String) {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let subnet = cloud
        .subnet("demo", &network, "2001:db8:1::/64", None)
        .await;
    share(&cloud, "admin", &network, true)
        .await
        .check("share", 200, "");
    (cloud, network, subnet)
}

async fn share(cloud: &Cloud, who: &str, network: &str, shared: bool) -> Answer {
    let body = json!({"network": {"shared": shared}});
    cloud.put(who, &format!("networks/{network}"), body).await
}

#[tokio::test]
async fn only_administrators_share() {
    let cloud = Cloud::new().await;
    for (who, shared, status, kind) in [
        ("demo", true, 403, "PolicyNotAuthorized"),
        ("max", true, 403, "PolicyNotAuthorized"),
        ("demo", false, 201, ""),
        ("admin", true, 201, ""),
    ] {
        let body = json!({"network": {"shared": shared}});
        let answer = cloud.post(who, "networks", body).await;
        answer.check(who, status, kind);
        if status == 201 {
            assert_eq!(answer.body["network"]["shared"], shared);
        }
    }
    let network = cloud.network("demo").await;
    for (who, shared, status, kind) in [
        ("demo", true, 403, "PolicyNotAuthorized"),
        ("demo", false, 403, "PolicyNotAuthorized"),
        ("other", true, 404, "NetworkNotFound"),
        ("admin", true, 200, ""),
    ] {
        share(&cloud, who, &network, shared)
            .await
            .check(who, status, kind);
    }
}

#[tokio::test]
async fn a_shared_network_and_its_subnets_are_seen_by_all_and_changed_by_their_owner() {
    let (cloud, network, subnet) = shared().await;
    let own = cloud.network("other").await;
    for (noun, id) in [("network", &network), ("subnet", &subnet)] {
        let path = format!("{noun}s/{id}");
        let collection = format!("{noun}s");
        for who in ["demo", "rita", "other", "admin", "nova"] {
            cloud.get(who, &path).await.check(who, 200, "");
            let all = cloud.get(who, &collection).await;
            assert!(all.ids(&collection).contains(&id.as_str()), "{who} {noun}");
        }
        let rename = json!({noun: {"name": "x"}});
        cloud
            .put("other", &path, rename.clone())
            .await
            .check("PUT", 403, "PolicyNotAuthorized");
        let tags = json!({"tags": ["x"]});
        cloud
            .put("other", &format!("{path}/tags"), tags)
            .await
            .check("tags", 403, "PolicyNotAuthorized");
        cloud
            .delete("other", &path)
            .await
            .check("DELETE", 403, "PolicyNotAuthorized");
        cloud.put("demo", &path, rename).await.check("own", 200, "");
    }
    for (query, expected) in [
        ("shared=True", vec![network.as_str()]),
        ("shared=false", vec![own.as_str()]),
    ] {
        let found = cloud.get("other", &format!("networks?{query}")).await;
        assert_eq!(found.ids("networks"), expected, "{query}");
    }
    let found = cloud.get("other", "subnets?shared=1").await;
    assert_eq!(found.ids("subnets"), [subnet.as_str()]);
    let found = cloud.get("other", "subnets?shared=False").await;
    assert!(found.ids("subnets").is_empty());
    let body =
        json!({"subnet": {"network_id": network, "ip_version": 6, "cidr": "2001:db8:2::/64"}});
    cloud
        .post("other", "subnets", body)
        .await
        .check("subnet", 403, "PolicyNotAuthorized");
}

/// Who, what of a port on the network `demo` shares, status of POST and of PUT. The address is free each time.
#[rustfmt::skip]
const SAID: &[(&str, &str, u16, u16)] = &[
    ("other", r#"{}"#, 201, 200),
    ("other", r#"{"name": "p"}"#, 201, 200),
    ("other", r#"{"fixed_ips": [{"ip_address": "A"}]}"#, 403, 403),
    ("other", r#"{"fixed_ips": [{"subnet_id": "S", "ip_address": "A"}]}"#, 403, 403),
    ("other", r#"{"fixed_ips": [{"subnet_id": "S"}]}"#, 201, 403),
    ("other", r#"{"fixed_ips": []}"#, 201, 403),
    ("other", r#"{"mac_address": "fa:16:3e:00:00:01"}"#, 403, 403),
    ("other", r#"{"device_owner": "network:dhcp"}"#, 403, 403),
    ("other", r#"{"device_owner": "compute:nova", "device_id": "vm"}"#, 201, 200),
    ("other", r#"{"port_security_enabled": false}"#, 403, 403),
    ("other", r#"{"port_security_enabled": true}"#, 403, 403),
    ("demo", r#"{"port_security_enabled": false}"#, 201, 200),
    ("other", r#"{"binding:host_id": "h"}"#, 403, 403),
    ("rita", r#"{}"#, 403, 403),
    ("demo", r#"{"fixed_ips": [{"ip_address": "A"}]}"#, 201, 200),
    ("demo", r#"{"device_owner": "network:x"}"#, 201, 200),
    ("demo", r#"{"mac_address": "fa:16:3e:00:00:02"}"#, 201, 403),
    ("max", r#"{"mac_address": "fa:16:3e:00:00:03"}"#, 201, 200),
    ("admin", r#"{"mac_address": "fa:16:3e:00:00:04", "fixed_ips": [{"ip_address": "A"}]}"#, 201, 200),
    ("nova", r#"{"binding:host_id": "h", "fixed_ips": [{"ip_address": "A"}]}"#, 201, 200),
];

#[tokio::test]
async fn what_others_may_say_of_their_ports_on_a_shared_network() {
    let (cloud, network, subnet) = shared().await;
    let mut free = 16;
    let mut filled = |text: &str| -> Json {
        free += 1;
        let text = text.replace("\"A\"", &format!("\"2001:db8:1::{free:x}\""));
        serde_json::from_str(&text.replace("\"S\"", &format!("\"{subnet}\""))).unwrap()
    };
    for (who, said, post, put) in SAID {
        let kind = |status: u16| match status {
            403 => "PolicyNotAuthorized",
            _ => "",
        };
        let answer = cloud.port(who, &network, filled(said)).await;
        answer.check(&format!("POST {who} {said}"), *post, kind(*post));
        if *post == 201 {
            // A MAC that the first port has is not free for the second.
            let path = format!("ports/{}", answer.made("port"));
            cloud.delete("admin", &path).await.check(said, 204, "");
        }
        let owner = if *who == "rita" { "demo" } else { *who };
        let port = cloud.port(owner, &network, json!({})).await.made("port");
        let path = format!("ports/{port}");
        let answer = cloud.put(who, &path, json!({"port": filled(said)})).await;
        answer.check(&format!("PUT {who} {said}"), *put, kind(*put));
        cloud.delete("admin", &path).await.check(said, 204, "");
    }
}

#[tokio::test]
async fn ports_on_a_shared_network_are_their_projects_and_the_owners() {
    let (cloud, network, _) = shared().await;
    let own = cloud.port("demo", &network, json!({})).await.made("port");
    let others = cloud.port("other", &network, json!({})).await.made("port");
    let device = json!({"device_owner": "compute:nova"});
    let device = cloud.port("other", &network, device).await.made("port");
    cloud
        .get("other", &format!("ports/{own}"))
        .await
        .check("the owner's", 404, "PortNotFound");
    for (who, path, status, kind) in [
        ("demo", &others, 403, "PolicyNotAuthorized"),
        ("other", &own, 404, "PortNotFound"),
        ("other", &others, 200, ""),
    ] {
        let body = json!({"port": {"name": "x"}});
        let answer = cloud.put(who, &format!("ports/{path}"), body).await;
        answer.check(who, status, kind);
    }
    assert_eq!(cloud.get("demo", "ports").await.ids("ports").len(), 3);
    assert_eq!(cloud.get("other", "ports").await.ids("ports").len(), 2);
    for (path, status, kind) in [
        (&others, 204, ""),
        (&device, 403, "PolicyNotAuthorized"),
        (&own, 204, ""),
    ] {
        let answer = cloud.delete("demo", &format!("ports/{path}")).await;
        answer.check("the network's owner deletes", status, kind);
    }
}

#[tokio::test]
async fn what_others_use_stays_shared() {
    let (cloud, network, _) = shared().await;
    cloud.port("demo", &network, json!({})).await.made("port");
    let dhcp = json!({"device_owner": "network:dhcp", "project_id": "service"});
    cloud.port("admin", &network, dhcp).await.made("port");
    let port = cloud.port("other", &network, json!({})).await.made("port");
    share(&cloud, "admin", &network, false)
        .await
        .check("in use", 409, "InvalidSharedSetting");
    share(&cloud, "admin", &network, true)
        .await
        .check("as it is", 200, "");
    cloud
        .delete("other", &format!("ports/{port}"))
        .await
        .check("port", 204, "");
    share(&cloud, "admin", &network, false)
        .await
        .check("its owner's alone", 200, "");
    cloud
        .get("other", &format!("networks/{network}"))
        .await
        .check("unseen", 404, "NetworkNotFound");
}
