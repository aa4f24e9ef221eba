use super::*;

#[tokio::test]
async fn projects_do_not_see_nor_touch_each_other() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let subnet = cloud
        .subnet("demo", &network, "2001:db8:1::/64", None)
        .await;
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    for (noun, id, kind) in [
        ("network", &network, "NetworkNotFound"),
        ("subnet", &subnet, "SubnetNotFound"),
        ("port", &port, "PortNotFound"),
    ] {
        let path = format!("{noun}s/{id}");
        cloud.get("other", &path).await.check(&path, 404, kind);
        cloud.delete("other", &path).await.check(&path, 404, kind);
        let rename = json!({noun: {"name": "x"}});
        cloud
            .put("other", &path, rename)
            .await
            .check(&path, 404, kind);
        let collection = format!("{noun}s");
        assert!(
            cloud
                .get("other", &collection)
                .await
                .ids(&collection)
                .is_empty()
        );
        let by_id = cloud.get("other", &format!("{collection}?id={id}")).await;
        assert!(by_id.ids(&collection).is_empty());
        for reader in ["demo", "rita", "admin", "nova"] {
            assert_eq!(
                cloud.get(reader, &collection).await.ids(&collection),
                [id],
                "{reader}"
            );
            cloud.get(reader, &path).await.check(reader, 200, "");
        }
    }
    let asked =
        json!({"subnet": {"network_id": network, "ip_version": 6, "cidr": "2001:db8:2::/64"}});
    cloud
        .post("other", "subnets", asked)
        .await
        .check("subnet", 404, "NetworkNotFound");
    cloud
        .port("other", &network, json!({}))
        .await
        .check("port", 404, "NetworkNotFound");
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let subnet = cloud
        .subnet("demo", &network, "2001:db8:1::/64", None)
        .await;
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    cloud
        .post("rita", "networks", json!({"network": {}}))
        .await
        .check("", 403, "PolicyNotAuthorized");
    let asked =
        json!({"subnet": {"network_id": network, "ip_version": 6, "cidr": "2001:db8:2::/64"}});
    cloud
        .post("rita", "subnets", asked)
        .await
        .check("", 403, "PolicyNotAuthorized");
    cloud
        .port("rita", &network, json!({}))
        .await
        .check("", 403, "PolicyNotAuthorized");
    for (noun, id) in [("port", port), ("subnet", subnet), ("network", network)] {
        let path = format!("{noun}s/{id}");
        let rename = json!({noun: {"name": "x"}});
        cloud
            .put("rita", &path, rename)
            .await
            .check(&path, 403, "PolicyNotAuthorized");
        cloud
            .delete("rita", &path)
            .await
            .check(&path, 403, "PolicyNotAuthorized");
    }
}

#[tokio::test]
async fn only_an_administrator_makes_things_for_another_project() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let shown = cloud.get("demo", &format!("networks/{network}")).await;
    let demo = shown.body["network"]["project_id"].clone();
    for key in ["project_id", "tenant_id"] {
        let asked = json!({"network": {key: demo}});
        cloud
            .post("other", "networks", asked.clone())
            .await
            .check(key, 400, "HTTPBadRequest");
        cloud
            .post("demo", "networks", asked.clone())
            .await
            .check(key, 201, "");
        let made = cloud.post("admin", "networks", asked).await;
        assert_eq!(made.body["network"]["tenant_id"], demo);
    }
    // A port for one project on another's network: both see it.
    let network = cloud.network("admin").await;
    let port = cloud
        .port("admin", &network, json!({"project_id": demo}))
        .await
        .made("port");
    cloud
        .get("demo", &format!("ports/{port}"))
        .await
        .check("its project", 200, "");
    cloud
        .get("demo", &format!("networks/{network}"))
        .await
        .check("network", 404, "NetworkNotFound");
    let own = json!({"port": {"name": "mine"}});
    cloud
        .put("demo", &format!("ports/{port}"), own)
        .await
        .check("its project", 200, "");
    let address = json!({"port": {"fixed_ips": []}});
    cloud
        .put("demo", &format!("ports/{port}"), address)
        .await
        .check("addresses", 403, "PolicyNotAuthorized");
}

#[tokio::test]
async fn what_only_administrators_see_only_they_say() {
    let cloud = Cloud::new().await;
    for (who, status, kind) in [("demo", 403, "PolicyNotAuthorized"), ("admin", 201, "")] {
        let body = json!({"network": {"provider:network_type": "vxlan"}});
        cloud
            .post(who, "networks", body)
            .await
            .check(who, status, kind);
    }
    let body = json!({"network": {}, "netwrok": {}});
    cloud
        .post("admin", "networks", body)
        .await
        .check("a second member", 400, "HTTPBadRequest");
}

#[tokio::test]
async fn binding_is_for_administrators_and_services() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let bound = json!({"binding:host_id": "h1"});
    for (who, status, kind) in [
        ("demo", 403, "PolicyNotAuthorized"),
        ("max", 403, "PolicyNotAuthorized"),
        ("admin", 201, ""),
        ("nova", 201, ""),
    ] {
        cloud
            .port(who, &network, bound.clone())
            .await
            .check(who, status, kind);
    }
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    let path = format!("ports/{port}");
    let bind = json!({"port": bound});
    cloud
        .put("demo", &path, bind.clone())
        .await
        .check("demo", 403, "PolicyNotAuthorized");
    let answer = cloud.put("nova", &path, bind).await;
    assert_eq!(answer.body["port"]["binding:host_id"], "h1");
    assert_eq!(answer.body["port"]["binding:vif_type"], "tap");
    let filtered = cloud.get("demo", "ports?binding:host_id=h1").await;
    assert!(
        filtered.ids("ports").is_empty(),
        "a filter tells no more than is shown"
    );
}
