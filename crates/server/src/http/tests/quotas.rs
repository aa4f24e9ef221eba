use super::*;

impl Cloud {
    pub(super) async fn project(&self, who: &str) -> String {
        let answer = self.get(who, "quotas/project").await;
        let id = &answer.body["project"]["project_id"];
        assert_eq!(answer.body["project"]["tenant_id"], *id);
        id.as_str().unwrap().to_owned()
    }

    pub(super) async fn limit(&self, project: &str, limits: Json) -> Answer {
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
async fn eight_clients_at_once_make_exactly_what_the_limit_allows() {
    const CLIENTS: usize = 8;
    const LIMIT: usize = 20;
    let cloud = Cloud::new().await;
    let demo = cloud.project("demo").await;
    let network = cloud.network("demo").await;
    cloud
        .limit(&demo, json!({"port": LIMIT, "network": LIMIT}))
        .await
        .check("limit", 200, "");
    let headers = [("x-auth-token", cloud.tokens["demo"].as_str())];
    // One network there is.
    for (noun, room) in [("port", LIMIT), ("network", LIMIT - 1)] {
        let body = match noun {
            "port" => json!({"port": {"network_id": network}}),
            noun => json!({noun: {}}),
        };
        let (path, body) = (format!("/v2.0/{noun}s"), body.to_string());
        let (path, body, headers, cloud) = (&path, &body, &headers, &cloud);
        let client = |_| async move {
            let mut answers = Vec::new();
            for _ in 0..5 {
                answers.push(cloud.send(Method::POST, path, headers, body.clone()).await);
            }
            answers
        };
        let answers = futures::future::join_all((0..CLIENTS).map(client))
            .await
            .concat();
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        let refused = answers
            .iter()
            .filter(|answer| answer.kind() == "OverQuota")
            .count();
        assert_eq!((made, refused), (room, CLIENTS * 5 - room), "{noun}");
    }
    assert_eq!(cloud.used(&demo).await, [20, 0, 20]);
}

#[tokio::test]
async fn the_configuration_says_what_a_project_without_limits_may_have() {
    let cloud = Cloud::new().await;
    let mut state = cloud.state.clone();
    let api = ApiConfig {
        quotas: Arc::new(crate::app::quotas::Defaults::new(1, -1, 0)),
        ..state.api.as_ref().clone()
    };
    state.api = Arc::new(api);
    let cloud = Cloud {
        router: router(state),
        ..cloud
    };
    let demo = cloud.project("demo").await;
    let limits = json!({"quota": {"network": 1, "port": -1, "subnet": 0}});
    for path in [format!("quotas/{demo}"), format!("quotas/{demo}/default")] {
        assert_eq!(cloud.get("demo", &path).await.body, limits, "{path}");
    }
    let network = cloud.network("demo").await;
    let subnet =
        json!({"subnet": {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}});
    for (path, body) in [("networks", json!({"network": {}})), ("subnets", subnet)] {
        let answer = cloud.post("demo", path, body).await;
        answer.check(path, 409, "OverQuota");
    }
    cloud.port("demo", &network, json!({})).await.made("port");
    // What a project has of its own goes before.
    cloud
        .limit(&demo, json!({"network": 2}))
        .await
        .check("limit", 200, "");
    cloud.network("demo").await;
}

#[tokio::test]
async fn quotas_are_not_created() {
    let cloud = Cloud::new().await;
    let answer = cloud.post("admin", "quotas", json!({"quota": {}})).await;
    answer.check("POST", 501, "HTTPNotImplemented");
    let nobody = cloud
        .send(Method::POST, "/v2.0/quotas", &[], String::new())
        .await;
    assert_eq!(nobody.status, 401);
}
