use super::*;

impl Cloud {
    async fn project(&self, who: &str) -> String {
        let answer = self.get(who, "quotas/project").await;
        let id = &answer.body["project"]["project_id"];
        assert_eq!(answer.body["project"]["tenant_id"], *id);
        id.as_str().unwrap().to_owned()
    }

    async fn limit(&self, project: &str, limits: Json) -> Answer {
        self.put(
            "admin",
            &format!("quotas/{project}"),
            json!({"quota": limits}),
        )
        .await
    }

    async fn used(&self, project: &str) -> [u64; 3] {
        let answer = self
            .get("demo", &format!("quotas/{project}/details.json"))
            .await;
        ["network", "subnet", "port"].map(|kind| {
            let detail = &answer.body["quota"][kind];
            assert_eq!(detail["reserved"], 0, "{answer:?}");
            detail["used"].as_u64().unwrap()
        })
    }
}

#[tokio::test]
async fn limits_are_defaults_until_they_are_set_and_again_when_deleted() {
    let cloud = Cloud::new().await;
    let demo = cloud.project("demo").await;
    let path = format!("quotas/{demo}");
    let defaults = json!({"quota": {"network": 100, "port": 500, "subnet": 100}});
    for who in ["demo", "rita", "admin"] {
        assert_eq!(cloud.get(who, &path).await.body, defaults, "{who}");
    }
    let answer = cloud
        .limit(&demo, json!({"network": "7", "port": -1}))
        .await;
    let set = json!({"quota": {"network": 7, "port": -1, "subnet": 100}});
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &set));
    assert_eq!(cloud.get("demo", &path).await.body, set);
    let default = cloud.get("demo", &format!("{path}/default")).await;
    assert_eq!(default.body, defaults);
    let listed = cloud.get("admin", "quotas").await;
    assert_eq!(
        listed.body,
        json!({"quotas": [{
            "network": 7, "port": -1, "subnet": 100, "project_id": demo, "tenant_id": demo,
        }]})
    );
    cloud.delete("admin", &path).await.check("", 204, "");
    assert_eq!(cloud.get("demo", &path).await.body, defaults);
    cloud
        .delete("admin", &path)
        .await
        .check("again", 404, "TenantQuotaNotFound");
}

#[tokio::test]
async fn limits_are_set_by_administrators_and_read_by_their_project() {
    let cloud = Cloud::new().await;
    let demo = cloud.project("demo").await;
    let path = format!("quotas/{demo}");
    for read in [
        path.clone(),
        format!("{path}/default"),
        format!("{path}/details"),
    ] {
        cloud
            .get("other", &read)
            .await
            .check(&read, 403, "PolicyNotAuthorized");
    }
    for who in ["demo", "max", "other", "nova"] {
        cloud
            .put(who, &path, json!({"quota": {"port": 5}}))
            .await
            .check(who, 403, "PolicyNotAuthorized");
        cloud
            .delete(who, &path)
            .await
            .check(who, 403, "PolicyNotAuthorized");
        cloud
            .get(who, "quotas")
            .await
            .check(who, 403, "PolicyNotAuthorized");
    }
    for wrong in [
        json!({"router": 1}),
        json!({"port": -2}),
        json!({"port": 2_147_483_648_u64}),
        json!({"port": null}),
        json!({"port": 1.5}),
        json!({"port": 1, "force": "x"}),
        json!([]),
    ] {
        let answer = cloud.limit(&demo, wrong.clone()).await;
        answer.check(&wrong.to_string(), 400, "HTTPBadRequest");
    }
}

#[tokio::test]
async fn what_is_used_is_counted_and_nothing_is_made_beyond_the_limit() {
    let cloud = Cloud::new().await;
    let demo = cloud.project("demo").await;
    cloud
        .limit(&demo, json!({"network": 2, "subnet": 1, "port": 2}))
        .await
        .check("limits", 200, "");
    let first = cloud.network("demo").await;
    let two = json!({"networks": [{}, {}]});
    cloud
        .post("demo", "networks", two)
        .await
        .check("one of two fits", 409, "OverQuota");
    assert_eq!(cloud.used(&demo).await, [1, 0, 0]);
    let second = cloud.network("demo").await;
    let one = json!({"network": {}});
    cloud
        .post("demo", "networks", one.clone())
        .await
        .check("network", 409, "OverQuota");
    cloud
        .post("other", "networks", one)
        .await
        .check("another project", 201, "");
    let subnet = cloud.subnet("demo", &first, "2001:db8::/64", None).await;
    let more = json!({"subnet": {"network_id": second, "ip_version": 6, "cidr": "2001:db8::/64"}});
    cloud
        .post("demo", "subnets", more)
        .await
        .check("subnet", 409, "OverQuota");
    let port = cloud.port("demo", &first, json!({})).await.made("port");
    let owned = json!({"device_owner": "network:dhcp"});
    cloud.port("demo", &first, owned).await.made("port");
    cloud
        .port("demo", &first, json!({}))
        .await
        .check("port", 409, "OverQuota");
    assert_eq!(cloud.used(&demo).await, [2, 1, 2]);

    let below = json!({"port": 1});
    cloud
        .limit(&demo, below)
        .await
        .check("below what is used", 400, "BadRequest");
    let forced = json!({"port": 1, "force": true});
    cloud.limit(&demo, forced).await.check("forced", 200, "");
    cloud
        .delete("demo", &format!("ports/{port}"))
        .await
        .check("", 204, "");
    cloud
        .port("demo", &first, json!({}))
        .await
        .check("full", 409, "OverQuota");
    // The network takes its subnet and the service's port along.
    cloud
        .delete("demo", &format!("networks/{first}"))
        .await
        .check("", 204, "");
    assert_eq!(cloud.used(&demo).await, [1, 0, 0], "{subnet} went too");
    cloud.port("demo", &second, json!({})).await.made("port");
}

#[tokio::test]
async fn many_at_once_make_what_the_limit_allows() {
    let cloud = Cloud::new().await;
    let demo = cloud.project("demo").await;
    let network = cloud.network("demo").await;
    cloud
        .limit(&demo, json!({"port": 5}))
        .await
        .check("limit", 200, "");
    let body = json!({"port": {"network_id": network}}).to_string();
    let headers = [("x-auth-token", cloud.tokens["demo"].as_str())];
    let asked = (0..16).map(|_| cloud.send(Method::POST, "/v2.0/ports", &headers, body.clone()));
    let answers = futures::future::join_all(asked).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.kind() == "OverQuota");
    assert_eq!((made, refused.count()), (5, 11));
}
