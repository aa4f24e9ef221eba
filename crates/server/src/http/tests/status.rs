use super::*;

async fn status(cloud: &Cloud, port: &str) -> (String, u64) {
    let shown = cloud.get("demo", &format!("ports/{port}")).await;
    let port = &shown.body["port"];
    let status = port["status"].as_str().unwrap().to_owned();
    (status, port["revision_number"].as_u64().unwrap())
}

async fn bind(cloud: &Cloud, port: &str, host: Json) {
    let body = json!({"port": {"binding:host_id": host}});
    let answer = cloud.put("admin", &format!("ports/{port}"), body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn a_port_is_active_once_its_host_has_reached_the_binding() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    let early = cloud.store.read(Model::generation).await.unwrap();
    bind(&cloud, &port, json!("h1")).await;
    assert_eq!(status(&cloud, &port).await, ("DOWN".to_owned(), 2));
    cloud.report_at("h1", early, &[(&port, true)]).await;
    assert_eq!(
        status(&cloud, &port).await.0,
        "DOWN",
        "an earlier plan did not have it"
    );
    cloud.report("h2", &[(&port, true)]).await;
    assert_eq!(status(&cloud, &port).await.0, "DOWN", "another host's port");
    let foreign = Generation {
        epoch: early.epoch ^ 1,
        revision: u64::MAX,
    };
    cloud.report_at("h1", foreign, &[(&port, true)]).await;
    assert_eq!(
        status(&cloud, &port).await.0,
        "DOWN",
        "another database's log"
    );
    // The state was told before and does not differ: reaching the generation is enough.
    cloud.report("h1", &[]).await;
    assert_eq!(status(&cloud, &port).await, ("ACTIVE".to_owned(), 2));
}

#[tokio::test]
async fn a_host_that_lost_the_link_and_a_new_binding_take_active_away() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    bind(&cloud, &port, json!("h1")).await;
    cloud.report("h1", &[(&port, true)]).await;
    assert_eq!(status(&cloud, &port).await.0, "ACTIVE");
    cloud.report("h1", &[(&port, false)]).await;
    assert_eq!(status(&cloud, &port).await.0, "DOWN");
    cloud.report("h1", &[(&port, true)]).await;
    bind(&cloud, &port, json!("h1")).await;
    assert_eq!(status(&cloud, &port).await.0, "ACTIVE", "bound where it is");
    bind(&cloud, &port, json!("h2")).await;
    assert_eq!(status(&cloud, &port).await.0, "DOWN", "moved");
    cloud.report("h1", &[(&port, true)]).await;
    assert_eq!(
        status(&cloud, &port).await.0,
        "DOWN",
        "the old host speaks no more"
    );
    cloud.report("h2", &[(&port, true)]).await;
    assert_eq!(status(&cloud, &port).await.0, "ACTIVE");
    for nowhere in [json!(""), json!(null)] {
        bind(&cloud, &port, json!("h2")).await;
        bind(&cloud, &port, nowhere).await;
        assert_eq!(status(&cloud, &port).await.0, "DOWN", "unbound");
    }
}

#[tokio::test]
async fn an_update_never_drops_active_but_switching_off_does_at_once() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let port = cloud.port("demo", &network, json!({})).await.made("port");
    bind(&cloud, &port, json!("h1")).await;
    cloud.report("h1", &[(&port, true)]).await;
    let path = format!("ports/{port}");
    cloud
        .put("demo", &path, json!({"port": {"name": "p"}}))
        .await
        .check("", 200, "");
    cloud
        .subnet("demo", &network, "2001:db8:1::/64", Some("slaac"))
        .await;
    assert_eq!(status(&cloud, &port).await.0, "ACTIVE");
    for (path, noun) in [(path, "port"), (format!("networks/{network}"), "network")] {
        let off = json!({noun: {"admin_state_up": false}});
        cloud.put("demo", &path, off).await.check(noun, 200, "");
        assert_eq!(status(&cloud, &port).await.0, "DOWN", "{noun} off");
        cloud.report("h1", &[(&port, true)]).await;
        assert_eq!(status(&cloud, &port).await.0, "DOWN", "{noun} off");
        let on = json!({noun: {"admin_state_up": true}});
        cloud.put("demo", &path, on).await.check(noun, 200, "");
        assert_eq!(status(&cloud, &port).await.0, "ACTIVE", "{noun} on");
    }
}
