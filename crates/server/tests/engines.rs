//! What holds under load on either engine, through the whole router: each address, MAC, segment and prefix is given once.
//! On SQLite there is one server, on PostgreSQL there are two on one database, and clients go to either.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::future::join_all;
use hextet_core::mac::BaseMac;
use hextet_core::provider::Underlay;
use hextet_core::settings::CloudSettings;
use hextet_server::app::reports::Reported;
use hextet_server::feed::Hosts;
use hextet_server::http::{ApiConfig, AppState, Bounds, ListTurns, Metrics, router};
use hextet_server::identity::{Bootstrap, Identity, IdentityConfig};
use hextet_store::{Store, StoreConfig};
use hextet_testdb::{Cluster, Disk};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// Clients at once.
const CLIENTS: usize = 8;

const ACCOUNTS: &str = r#"
projects = ["admin", "demo"]
user = [
    { name = "admin", password = "pw", project = "admin", role = "admin" },
    { name = "demo", password = "pw", project = "demo", role = "member" },
]
"#;

macro_rules! on_both_engines {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(super::Cloud::sqlite(&folder).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                let url = hextet_testdb::Cluster::shared().database();
                super::$name(super::Cloud::postgres(&url).await).await;
            })+
        }
    };
}

on_both_engines! {
    each_address_of_a_small_subnet_is_given_once_and_then_there_is_none,
    a_mac_is_given_to_one_port_of_a_network,
    networks_made_at_once_get_segments_of_their_own,
    a_number_and_a_physical_network_are_one_networks,
    of_two_overlapping_subnets_exactly_one_is_made,
    a_quota_holds_however_many_ask_at_once,
    a_network_a_subnet_and_a_port_cost_few_statements_and_few_round_trips,
    a_role_that_is_taken_away_is_missing_from_the_next_request_of_a_living_token,
}

async fn each_address_of_a_small_subnet_is_given_once_and_then_there_is_none(cloud: Cloud) {
    let network = cloud.network("demo").await;
    let subnet = json!({"subnet": {
        "network_id": network, "ip_version": 6, "cidr": "2001:db8::/120", "gateway_ip": "2001:db8::1",
        "allocation_pools": [{"start": "2001:db8::10", "end": "2001:db8::c7"}],
    }});
    cloud.made(0, "demo", "subnets", &subnet).await;
    let clients = (0..CLIENTS).map(|client| {
        let (cloud, network) = (cloud.clone(), network.clone());
        tokio::spawn(async move {
            let mut addresses = Vec::new();
            loop {
                let port = json!({"port": {"network_id": network}});
                let answer = cloud.insist(client, "demo", "ports", &port).await;
                if answer.status != StatusCode::CREATED {
                    return (addresses, answer);
                }
                let fixed = answer.body["port"]["fixed_ips"].as_array().unwrap().clone();
                assert_eq!(fixed.len(), 1);
                addresses.push(fixed[0]["ip_address"].as_str().unwrap().to_owned());
            }
        })
    });
    let mut all = Vec::new();
    for told in join_all(clients).await {
        let (addresses, last) = told.unwrap();
        all.extend(addresses);
        assert_eq!(last.status, StatusCode::CONFLICT, "{last:?}");
        assert_eq!(
            last.body["NeutronError"]["type"],
            "IpAddressGenerationFailure"
        );
    }
    let expected: BTreeSet<String> = (0x10..=0xc7)
        .map(|low| format!("2001:db8::{low:x}"))
        .collect();
    assert_eq!(all.len(), expected.len());
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
}

async fn a_mac_is_given_to_one_port_of_a_network(cloud: Cloud) {
    let network = cloud.network("demo").await;
    for round in 0..10 {
        let mac = format!("fa:16:3e:00:00:{round:02x}");
        let port = json!({"port": {"network_id": network, "mac_address": mac}});
        let (made, refused) = cloud.race("demo", "ports", |_| port.clone()).await;
        assert_eq!((made, refused.len()), (1, CLIENTS - 1));
        for answer in refused {
            assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
            assert_eq!(answer.body["NeutronError"]["type"], "MacAddressInUse");
        }
    }
}

async fn networks_made_at_once_get_segments_of_their_own(cloud: Cloud) {
    let network = json!({"network": {}});
    for _ in 0..8 {
        let (made, refused) = cloud.race("admin", "networks", |_| network.clone()).await;
        assert_eq!((made, refused.len()), (CLIENTS, 0), "{refused:?}");
    }
    for server in 0..cloud.routers.len() {
        let listed = cloud.get(server, "admin", "networks").await;
        let networks = listed.body["networks"].as_array().unwrap();
        assert_eq!(networks.len(), 8 * CLIENTS);
        let segments: BTreeSet<u64> = networks
            .iter()
            .map(|network| network["provider:segmentation_id"].as_u64().unwrap())
            .collect();
        assert_eq!(segments.len(), networks.len());
    }
}

async fn a_number_and_a_physical_network_are_one_networks(cloud: Cloud) {
    for (asked, kind) in [
        (
            json!({"provider:network_type": "vxlan", "provider:segmentation_id": 77}),
            "TunnelIdInUse",
        ),
        (
            json!({"provider:network_type": "flat", "provider:physical_network": "lab"}),
            "FlatNetworkInUse",
        ),
    ] {
        let network = json!({"network": asked});
        let (made, refused) = cloud.race("admin", "networks", |_| network.clone()).await;
        assert_eq!((made, refused.len()), (1, CLIENTS - 1));
        for answer in refused {
            assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
            assert_eq!(answer.body["NeutronError"]["type"], kind);
        }
    }
}

async fn of_two_overlapping_subnets_exactly_one_is_made(cloud: Cloud) {
    let network = cloud.network("demo").await;
    for round in 0..20 {
        let cidrs = [
            format!("2001:db8:{round:x}::/48"),
            format!("2001:db8:{round:x}:7::/64"),
        ];
        let subnet = |client: usize| json!({"subnet": {"network_id": network, "ip_version": 6, "cidr": cidrs[client % 2]}});
        let (made, refused) = cloud.race("demo", "subnets", subnet).await;
        assert_eq!(made, 1, "{refused:?}");
        for answer in refused {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            let told = answer.body["NeutronError"]["message"].as_str().unwrap();
            assert!(told.contains("overlap"), "{told}");
        }
    }
}

async fn a_quota_holds_however_many_ask_at_once(cloud: Cloud) {
    let project = cloud.project("demo").await;
    let quota = json!({"quota": {"network": 5}});
    let path = format!("quotas/{project}");
    let set = cloud
        .send(0, "admin", Method::PUT, &path, Some(&quota))
        .await;
    assert_eq!(set.status, StatusCode::OK, "{set:?}");
    let network = json!({"network": {}});
    let (made, refused) = cloud.race("demo", "networks", |_| network.clone()).await;
    assert_eq!((made, refused.len()), (5, CLIENTS - 5), "{refused:?}");
    for answer in refused {
        assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
        assert_eq!(answer.body["NeutronError"]["type"], "OverQuota");
    }
}

/// `docs/performance.md` says what they are. A transaction of PostgreSQL takes two round trips at least, one to begin and
/// one to end; a subnet changes its network's row, which is looked at before.
async fn a_network_a_subnet_and_a_port_cost_few_statements_and_few_round_trips(cloud: Cloud) {
    let postgres = cloud.routers.len() > 1;
    for round in 0..3 {
        let asked = cloud.stores[0].stats();
        let network = cloud.network("demo").await;
        let after_network = cloud.stores[0].stats();
        let subnet = json!({"subnet": {
            "network_id": network, "ip_version": 6, "cidr": "2001:db8::/64",
            "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac",
        }});
        cloud.made(0, "demo", "subnets", &subnet).await;
        let after_subnet = cloud.stores[0].stats();
        let port = json!({"port": {"network_id": network}});
        cloud.made(0, "demo", "ports", &port).await;
        let all = [asked, after_network, after_subnet, cloud.stores[0].stats()];
        for (step, (bound, waits)) in [(5, 2), (8, 3), (9, 2)].into_iter().enumerate() {
            let [statements, round_trips] = [
                all[step + 1].statements - all[step].statements,
                all[step + 1].round_trips - all[step].round_trips,
            ];
            // The first round prepares statements and does not know which counters are asked for.
            if round > 0 {
                assert!(statements > 0);
                assert!(statements <= bound, "step {step}: {statements} statements");
                assert_eq!(round_trips, if postgres { waits } else { 0 }, "step {step}");
            }
        }
    }
}

async fn a_role_that_is_taken_away_is_missing_from_the_next_request_of_a_living_token(
    cloud: Cloud,
) {
    let found = |path: &'static str, list: &'static str| {
        let cloud = cloud.clone();
        async move {
            let answer = cloud.identity(0, Method::GET, path).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            answer.body[list][0]["id"].as_str().unwrap().to_owned()
        }
    };
    let user = found("users?name=demo", "users").await;
    let member = found("roles?name=member", "roles").await;
    let reader = found("roles?name=reader", "roles").await;
    let project = cloud.project("demo").await;
    let set = |server: usize, method: Method, role: &str| {
        let path = format!("projects/{project}/users/{user}/roles/{role}");
        let cloud = cloud.clone();
        async move {
            let answer = cloud.identity(server, method, &path).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        }
    };
    let network = json!({"network": {}});
    for here in 0..4 {
        let there = here + 1;
        let token = log_in(&cloud.routers[0], "demo").await.unwrap();
        let ask = |method: Method, body: Option<&Json>| {
            let (router, body) = (&cloud.routers[there % cloud.routers.len()], body.cloned());
            let token = token.clone();
            async move {
                let headers = [("x-auth-token", token.as_str())];
                call(router, method, "/v2.0/networks", &headers, body.as_ref())
                    .await
                    .status
            }
        };
        assert_eq!(ask(Method::POST, Some(&network)).await, StatusCode::CREATED);
        // A member's role becomes a reader's, and then nothing.
        set(here, Method::PUT, &reader).await;
        set(here, Method::DELETE, &member).await;
        assert_eq!(ask(Method::GET, None).await, StatusCode::OK);
        let refused = ask(Method::POST, Some(&network)).await;
        assert_eq!(refused, StatusCode::FORBIDDEN);
        set(here, Method::DELETE, &reader).await;
        assert_eq!(ask(Method::GET, None).await, StatusCode::UNAUTHORIZED);
        set(here, Method::PUT, &member).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_did_the_other_knows_at_once() {
    let cloud = Cloud::postgres(&Cluster::shared().database()).await;
    for round in 0..20 {
        let (here, there) = (round % 2, 1 - round % 2);
        let network = json!({"network": {"name": format!("n{round}")}});
        let made = cloud.made(here, "demo", "networks", &network).await;
        let path = format!("networks/{}", made["network"]["id"].as_str().unwrap());
        let shown = cloud.get(there, "demo", &path).await;
        assert_eq!(shown.body, made);
        let gone = cloud.send(there, "demo", Method::DELETE, &path, None).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        let shown = cloud.get(here, "demo", &path).await;
        assert_eq!(shown.status, StatusCode::NOT_FOUND);
        // A token of one server opens the other, until it is given back, anywhere.
        let token = log_in(&cloud.routers[here], "demo").await.unwrap();
        let headers = [
            ("x-auth-token", token.as_str()),
            ("x-subject-token", token.as_str()),
        ];
        let with = |server: usize, method: Method, path: &'static str| {
            call(&cloud.routers[server], method, path, &headers, None)
        };
        let listed = with(there, Method::GET, "/v2.0/networks").await;
        assert_eq!(listed.status, StatusCode::OK);
        let given_back = with(there, Method::DELETE, "/identity/v3/auth/tokens").await;
        assert_eq!(given_back.status, StatusCode::NO_CONTENT);
        let listed = with(here, Method::GET, "/v2.0/networks").await;
        assert_eq!(listed.status, StatusCode::UNAUTHORIZED);
    }
}

/// Nothing listens there: without the word to end it would wait for a minute, and then fail.
#[tokio::test]
async fn a_server_that_waits_for_its_database_ends_when_told() {
    let text = include_str!("../../../hextet.example.toml");
    let text = text.split("# ======== agent.toml ========").next().unwrap();
    let away = "database = \"postgresql://u:p@[::1]:1/x\"";
    let text = text.replace("database = \"sqlite:/var/lib/hextet/hextet.db\"", away);
    assert!(text.contains(away));
    let config = hextet_server::ServerConfig::parse(&text).unwrap();
    let told = tokio::time::sleep(Duration::from_millis(50));
    hextet_server::run(config, told).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_database_answers_503_and_comes_back_by_itself() {
    let cluster = Cluster::start(Disk::Unsynced);
    let cloud = Cloud::postgres(&cluster.database()).await;
    let network = json!({"network": {}});
    let made = cloud.made(0, "demo", "networks", &network).await;
    let path = format!("networks/{}", made["network"]["id"].as_str().unwrap());
    for signal in [
        nix::sys::signal::Signal::SIGKILL,
        nix::sys::signal::Signal::SIGINT,
    ] {
        cluster.kill(signal);
        for server in 0..2 {
            for (method, path, body) in [
                (Method::GET, "networks", None),
                (Method::GET, path.as_str(), None),
                (Method::POST, "networks", Some(&network)),
                (
                    Method::PUT,
                    path.as_str(),
                    Some(&json!({"network": {"name": "x"}})),
                ),
                (Method::DELETE, path.as_str(), None),
            ] {
                let answer = cloud.send(server, "demo", method, path, body).await;
                assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
                assert_eq!(answer.headers["retry-after"], "1");
                assert_eq!(
                    answer.body["NeutronError"]["type"],
                    "HTTPServiceUnavailable"
                );
            }
            let refused = log_in(&cloud.routers[server], "demo").await.unwrap_err();
            assert_eq!(
                refused.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{refused:?}"
            );
            assert_eq!(refused.headers["retry-after"], "1");
            assert_eq!(refused.body["error"]["code"], 503);
        }
        cluster.run();
        for server in 0..2 {
            for (method, body, wanted) in [
                (Method::GET, None, StatusCode::OK),
                (Method::POST, Some(&network), StatusCode::CREATED),
            ] {
                loop {
                    let answer = cloud
                        .send(server, "demo", method.clone(), "networks", body)
                        .await;
                    if answer.status == wanted {
                        break;
                    }
                    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

/// One server or two, and who is logged in.
#[derive(Clone)]
struct Cloud {
    routers: Vec<Router>,
    stores: Vec<Store>,
    admin: String,
    demo: String,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Json,
}

impl Cloud {
    async fn sqlite(folder: &TempDir) -> Self {
        let path = format!("sqlite:{}/hextet.db", folder.path().display());
        Self::of(&[&path]).await
    }

    async fn postgres(url: &str) -> Self {
        Self::of(&[url, url]).await
    }

    async fn of(databases: &[&str]) -> Self {
        let (mut routers, mut stores) = (Vec::new(), Vec::new());
        for database in databases {
            let (router, store) = server(database).await;
            routers.push(router);
            stores.push(store);
        }
        let admin = log_in(&routers[0], "admin").await.unwrap();
        let demo = log_in(&routers[0], "demo").await.unwrap();
        Self {
            routers,
            stores,
            admin,
            demo,
        }
    }

    async fn network(&self, who: &str) -> String {
        let made = self.made(0, who, "networks", &json!({"network": {}})).await;
        made["network"]["id"].as_str().unwrap().to_owned()
    }

    async fn project(&self, who: &str) -> String {
        let told = self.get(0, who, "quotas/project").await;
        told.body["project"]["project_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn made(&self, server: usize, who: &str, path: &str, body: &Json) -> Json {
        let answer = self.insist(server, who, path, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body
    }

    /// Every client at once; how many were let, and what the others heard.
    async fn race(
        &self,
        who: &'static str,
        path: &'static str,
        body: impl Fn(usize) -> Json,
    ) -> (usize, Vec<Answer>) {
        let clients = (0..CLIENTS).map(|client| {
            let (cloud, body) = (self.clone(), body(client));
            tokio::spawn(async move { cloud.insist(client, who, path, &body).await })
        });
        let answers: Vec<Answer> = join_all(clients)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let (made, refused): (Vec<_>, Vec<_>) = answers
            .into_iter()
            .partition(|answer| answer.status == StatusCode::CREATED);
        (made.len(), refused)
    }

    /// Posts, again while the database had no time for it: that is bounded, and other work may take all of a machine.
    async fn insist(&self, server: usize, who: &str, path: &str, body: &Json) -> Answer {
        loop {
            let answer = self.send(server, who, Method::POST, path, Some(body)).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            eprintln!("again: {answer:?}");
        }
    }

    async fn get(&self, server: usize, who: &str, path: &str) -> Answer {
        self.send(server, who, Method::GET, path, None).await
    }

    /// What the administrator asks of identity.
    async fn identity(&self, server: usize, method: Method, path: &str) -> Answer {
        let router = &self.routers[server % self.routers.len()];
        let path = format!("/identity/v3/{path}");
        let headers = [("x-auth-token", self.admin.as_str())];
        call(router, method, &path, &headers, None).await
    }

    async fn send(
        &self,
        server: usize,
        who: &str,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Answer {
        let token = match who {
            "admin" => &self.admin,
            _ => &self.demo,
        };
        let router = &self.routers[server % self.routers.len()];
        let path = format!("/v2.0/{path}");
        call(router, method, &path, &[("x-auth-token", token)], body).await
    }
}

async fn server(database: &str) -> (Router, Store) {
    let settings = CloudSettings::with_defaults(uuid::Uuid::from_u128(1));
    let config = StoreConfig::of(database.parse().unwrap(), settings);
    let store = Store::open(config).await.unwrap();
    let bootstrap: Bootstrap = toml::from_str(ACCOUNTS).unwrap();
    let listen_url = "http://[::1]:9696".to_owned();
    let config = IdentityConfig::new(&listen_url);
    let identity = Identity::open(store.clone(), config, Some(&bootstrap))
        .await
        .unwrap();
    let router = router(AppState {
        store: store.clone(),
        identity,
        reported: Reported::default(),
        api: Arc::new(ApiConfig {
            underlay: Arc::new(Underlay {
                mtu: 1500,
                physical_mtu: 1500,
                physical_networks: ["lab".to_owned()].into(),
                vni_range: 1..=0xff_ffff,
            }),
            base_mac: BaseMac::NEUTRON,
            public_url: None,
            listen_url,
            quotas: Arc::default(),
            bounds: Bounds::default(),
            access_log: true,
        }),
        hosts: Hosts::default(),
        metrics: Metrics::default(),
        lists: ListTurns::default(),
    });
    (router, store)
}

/// A token, or why not.
async fn log_in(router: &Router, name: &str) -> Result<String, Answer> {
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": name, "password": "pw", "domain": {"id": "default"},
        }}},
        "scope": {"project": {"name": name, "domain": {"id": "default"}}},
    }});
    let answer = call(
        router,
        Method::POST,
        "/identity/v3/auth/tokens",
        &[],
        Some(&body),
    )
    .await;
    match answer.status {
        StatusCode::CREATED => Ok(answer.headers["x-subject-token"]
            .to_str()
            .unwrap()
            .to_owned()),
        _ => Err(answer),
    }
}

async fn call(
    router: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Json>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map(ToString::to_string).unwrap_or_default();
    let response = router
        .clone()
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Json::Null),
    }
}
