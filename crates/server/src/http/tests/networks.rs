use super::*;

#[tokio::test]
async fn a_network_is_shown_with_its_defaults_and_to_administrators_with_its_segment() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    let shown = cloud.get("demo", &format!("networks/{id}")).await;
    let network = &shown.body["network"];
    for (name, expected) in [
        ("name", json!("n")),
        ("admin_state_up", json!(true)),
        ("status", json!("ACTIVE")),
        ("mtu", json!(1430)),
        ("subnets", json!([])),
        ("shared", json!(false)),
        ("router:external", json!(false)),
        ("port_security_enabled", json!(true)),
        ("description", json!("")),
        ("tags", json!([])),
        ("revision_number", json!(1)),
    ] {
        assert_eq!(network[name], expected, "{name}");
    }
    assert_eq!(network["tenant_id"], network["project_id"]);
    assert_eq!(network["created_at"], network["updated_at"]);
    let stamp = network["created_at"].as_str().unwrap();
    assert!(stamp.len() == 20 && stamp.ends_with('Z'), "{stamp}");
    let hidden = network.as_object().unwrap();
    assert!(!hidden.keys().any(|name| name.starts_with("provider:")));

    let shown = cloud.get("admin", &format!("networks/{id}")).await;
    let network = &shown.body["network"];
    assert_eq!(network["provider:network_type"], "vxlan");
    assert_eq!(network["provider:physical_network"], Json::Null);
    let vni = network["provider:segmentation_id"].as_u64().unwrap();
    assert!((1..1 << 24).contains(&vni));
}

#[tokio::test]
async fn the_mtu_is_checked_against_the_underlay_and_ipv6() {
    let cloud = Cloud::new().await;
    for (mtu, status, kind) in [
        (json!(0), 201, ""),
        (json!("1400"), 201, ""),
        (json!(1430), 201, ""),
        (json!(1431), 400, "InvalidInput"),
        (json!(-1), 400, "HTTPBadRequest"),
        (json!("x"), 400, "HTTPBadRequest"),
    ] {
        let answer = cloud
            .post("demo", "networks", json!({"network": {"mtu": mtu}}))
            .await;
        answer.check(&mtu.to_string(), status, kind);
    }
    let small = cloud
        .post("demo", "networks", json!({"network": {"mtu": 1200}}))
        .await
        .made("network");
    let subnet = json!({"subnet": {"network_id": small, "ip_version": 6, "cidr": "2001:db8::/64"}});
    cloud.post("demo", "subnets", subnet.clone()).await.check(
        "IPv6 subnet on MTU 1200",
        409,
        "NetworkMTUSubnetConflict",
    );
    let path = format!("networks/{small}");
    let answer = cloud
        .put("demo", &path, json!({"network": {"mtu": 1280}}))
        .await;
    assert_eq!(answer.body["network"]["mtu"], 1280);
    cloud.post("demo", "subnets", subnet).await.made("subnet");
    cloud
        .put("demo", &path, json!({"network": {"mtu": 1279}}))
        .await
        .check("below 1280 with IPv6", 409, "NetworkMTUSubnetConflict");
}

#[tokio::test]
async fn a_change_raises_the_revision_and_no_change_does_not() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    let path = format!("networks/{id}");
    let revision = async |body: Json| {
        let answer = cloud.put("demo", &path, json!({"network": body})).await;
        answer.body["network"]["revision_number"].as_u64().unwrap()
    };
    assert_eq!(revision(json!({"name": "n"})).await, 1);
    assert_eq!(revision(json!({"name": "m"})).await, 2);
    let subnet = cloud.subnet("demo", &id, "2001:db8::/64", None).await;
    assert_eq!(revision(json!({})).await, 3);
    let rename = json!({"subnet": {"name": "s"}});
    let answer = cloud
        .put("demo", &format!("subnets/{subnet}"), rename)
        .await;
    assert_eq!(answer.body["subnet"]["revision_number"], 1);
    assert_eq!(revision(json!({})).await, 4);
    cloud
        .delete("demo", &format!("subnets/{subnet}"))
        .await
        .check("", 204, "");
    assert_eq!(revision(json!({})).await, 5);
}

#[tokio::test]
async fn a_network_goes_with_its_subnets_but_not_with_its_ports() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    let subnet = cloud
        .subnet("demo", &id, "2001:db8::/64", Some("slaac"))
        .await;
    let port = cloud.port("demo", &id, json!({})).await.made("port");
    let path = format!("networks/{id}");
    cloud
        .delete("demo", &path)
        .await
        .check("a port is left", 409, "NetworkInUse");
    cloud
        .delete("demo", &format!("ports/{port}"))
        .await
        .check("port", 204, "");
    let owned = json!({"device_owner": "network:dhcp"});
    let service = cloud.port("demo", &id, owned).await.made("port");
    cloud.delete("demo", &path).await.check("network", 204, "");
    cloud
        .delete("demo", &path)
        .await
        .check("again", 404, "NetworkNotFound");
    cloud
        .get("demo", &format!("subnets/{subnet}"))
        .await
        .check("subnet", 404, "SubnetNotFound");
    cloud
        .get("demo", &format!("ports/{service}"))
        .await
        .check("port", 404, "PortNotFound");
}

#[tokio::test]
async fn a_networks_owner_says_whether_checks_for_duplicates_are_fast_and_hosts_hear_it() {
    let cloud = Cloud::new().await;
    let made = cloud
        .post("demo", "networks", json!({"network": {"name": "n"}}))
        .await;
    assert_eq!(made.body["network"]["hextet:fast_dad"], true);
    let id = made.made("network");
    let said = json!({"network": {"hextet:fast_dad": false}});
    let said = cloud.put("demo", &format!("networks/{id}"), said).await;
    assert_eq!(said.body["network"]["hextet:fast_dad"], false);
    let slow = cloud.get("demo", "networks?hextet:fast_dad=false").await;
    assert_eq!(slow.ids("networks"), [id.as_str()]);
    let wrong = json!({"network": {"hextet:fast_dad": "soon"}});
    let wrong = cloud.put("demo", &format!("networks/{id}"), wrong).await;
    wrong.check("no boolean", 400, "HTTPBadRequest");
    assert!(wrong.message().contains("hextet:fast_dad"));
    let planned = cloud
        .store
        .read(|model| {
            model
                .snapshot()
                .network(id.parse().unwrap())
                .unwrap()
                .fast_dad
        })
        .await;
    assert!(!planned.unwrap());
}
