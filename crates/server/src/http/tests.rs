use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hextet_core::ids::HostId;
use hextet_core::mac::BaseMac;
use hextet_core::plan::Generation;
use hextet_core::provider::Underlay;
use hextet_core::report::{HostReport, PortReport, PortState};
use hextet_core::settings::CloudSettings;
use hextet_store::{Model, Store, StoreConfig};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::app::reports::{self, Reported};
use crate::feed::Hosts;
use crate::http::{ApiConfig, AppState, Bounds, ListTurns, Metrics, router};
use crate::identity::{Bootstrap, Identity, IdentityConfig};

mod attributes;
mod availability;
mod dhcp_options;
mod dual_stack;
mod edge;
mod filters;
mod generic;
mod isolation;
mod learned;
mod listing;
mod networks;
mod observed;
mod openapi;
mod parts;
mod port_security;
mod ports;
mod provider;
mod quotas;
mod roles;
mod serve;
mod shared;
mod status;
mod subnets;
mod tags;
mod vnic_types;
mod watch;

/// `admin` is an administrator; `demo` and `other` are members of the projects of their names, `rita` reads in project
/// demo, `max` manages it, `nova` is a service.
const ACCOUNTS: &str = r#"
projects = ["admin", "demo", "other", "service"]
user = [
    { name = "admin", password = "pw", project = "admin", role = "admin" },
    { name = "demo", password = "pw", project = "demo", role = "member" },
    { name = "other", password = "pw", project = "other", role = "member" },
    { name = "rita", password = "pw", project = "demo", role = "reader" },
    { name = "max", password = "pw", project = "demo", role = "manager" },
    { name = "nova", password = "pw", project = "service", role = "service" },
]
"#;

/// What a server has, but that none of its times ends within a test, however slow the machine is.
fn patient() -> Bounds {
    const LONG: Duration = Duration::from_secs(3600);
    Bounds {
        request_time: LONG,
        head_time: LONG,
        body_time: LONG,
        idle_time: LONG,
        write_time: LONG,
        linger_time: LONG,
        answer_time: LONG,
        ..Bounds::default()
    }
}

/// A server's whole router on a store of its own.
struct Cloud {
    _folder: TempDir,
    store: Store,
    reported: Reported,
    metrics: Metrics,
    router: Router,
    state: AppState,
    tokens: BTreeMap<String, String>,
}

/// An answer.
#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Json,
}

impl Cloud {
    async fn new() -> Self {
        Self::within(patient()).await
    }

    async fn within(bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = CloudSettings::with_defaults(uuid::Uuid::from_u128(1));
        let store = Store::open(StoreConfig::new(folder.path().join("hextet.db"), settings))
            .await
            .unwrap();
        let bootstrap: Bootstrap = toml::from_str(ACCOUNTS).unwrap();
        let config = IdentityConfig::new("http://[::1]:9696");
        let identity = Identity::open(store.clone(), config, Some(&bootstrap))
            .await
            .unwrap();
        let state = AppState {
            store: store.clone(),
            identity,
            reported: Reported::default(),
            api: Arc::new(ApiConfig {
                underlay: Arc::new(Underlay {
                    mtu: 1500,
                    physical_mtu: 9000,
                    physical_networks: ["lab", "office"].map(str::to_owned).into(),
                    vni_range: 1..=0xff_ffff,
                }),
                base_mac: BaseMac::NEUTRON,
                public_url: None,
                listen_url: "http://[::1]:9696".to_owned(),
                quotas: Arc::default(),
                bounds,
                access_log: true,
            }),
            hosts: Hosts::default(),
            metrics: Metrics::default(),
            lists: ListTurns::default(),
        };
        let mut cloud = Self {
            _folder: folder,
            store,
            reported: state.reported.clone(),
            metrics: state.metrics.clone(),
            router: router(state.clone()),
            state,
            tokens: BTreeMap::new(),
        };
        for user in &bootstrap.users {
            let token = cloud.log_in(&user.name).await;
            cloud.tokens.insert(user.name.clone(), token);
        }
        cloud
    }

    /// What a router on this cloud shares, within other bounds.
    fn state(&self, bounds: Bounds) -> AppState {
        let api = ApiConfig {
            bounds,
            ..self.state.api.as_ref().clone()
        };
        AppState {
            api: Arc::new(api),
            ..self.state.clone()
        }
    }

    async fn log_in(&self, name: &str) -> String {
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
            "name": name, "password": "pw", "domain": {"id": "default"},
        }}}}});
        let answer = self
            .send(
                Method::POST,
                "/identity/v3/auth/tokens",
                &[],
                body.to_string(),
            )
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let token = answer.headers.get("x-subject-token").unwrap();
        token.to_str().unwrap().to_owned()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let id = parts.headers.get("x-openstack-request-id").unwrap();
        assert!(id.to_str().unwrap().starts_with("req-"));
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Json::Null),
        }
    }

    /// A request; one that is refused must leave the log where it was.
    async fn call(
        &self,
        who: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let before = self.store.read(Model::generation).await.unwrap();
        let token = self.tokens[who].clone();
        let mut headers = headers.to_vec();
        headers.push(("x-auth-token", &token));
        let answer = self.send(method, path, &headers, body).await;
        if answer.status.as_u16() >= 400 {
            let after = self.store.read(Model::generation).await.unwrap();
            assert_eq!(
                before, after,
                "a refused request changed something: {answer:?}"
            );
            assert_eq!(answer.body["NeutronError"]["detail"], "", "{answer:?}");
            assert_ne!(answer.message(), "", "{answer:?}");
        }
        answer
    }

    async fn get(&self, who: &str, path: &str) -> Answer {
        let path = format!("/v2.0/{path}");
        self.call(who, Method::GET, &path, &[], String::new()).await
    }

    async fn post(&self, who: &str, path: &str, body: Json) -> Answer {
        let path = format!("/v2.0/{path}");
        self.call(who, Method::POST, &path, &[], body.to_string())
            .await
    }

    async fn put(&self, who: &str, path: &str, body: Json) -> Answer {
        let path = format!("/v2.0/{path}");
        self.call(who, Method::PUT, &path, &[], body.to_string())
            .await
    }

    async fn delete(&self, who: &str, path: &str) -> Answer {
        let path = format!("/v2.0/{path}");
        self.call(who, Method::DELETE, &path, &[], String::new())
            .await
    }

    async fn network(&self, who: &str) -> String {
        let answer = self
            .post(who, "networks", json!({"network": {"name": "n"}}))
            .await;
        answer.made("network")
    }

    /// A subnet whose two modes are the given one.
    async fn subnet(&self, who: &str, network: &str, cidr: &str, mode: Option<&str>) -> String {
        let subnet = json!({"subnet": {
            "network_id": network, "ip_version": 6, "cidr": cidr,
            "ipv6_ra_mode": mode, "ipv6_address_mode": mode,
        }});
        self.post(who, "subnets", subnet).await.made("subnet")
    }

    async fn port(&self, who: &str, network: &str, more: Json) -> Answer {
        self.post(who, "ports", json!({"port": with(network, more)}))
            .await
    }

    /// A host says of ports whether they are up, at the newest generation.
    async fn report(&self, host: &str, ports: &[(&str, bool)]) {
        let generation = self.store.read(Model::generation).await.unwrap();
        self.report_at(host, generation, ports).await;
    }

    async fn report_at(&self, host: &str, generation: Generation, ports: &[(&str, bool)]) {
        let ports = ports.iter().map(|(port, up)| PortReport {
            port: port.parse().unwrap(),
            state: match up {
                true => PortState::Up,
                false => PortState::Down("no link".to_owned()),
            },
            carrier: *up,
            observed: Vec::new(),
            conflicts: Vec::new(),
        });
        let report = HostReport {
            generation,
            ports: ports.collect(),
        };
        reports::report(&self.store, &self.reported, HostId(host.to_owned()), report).await;
    }
}

impl Answer {
    /// `NeutronError.type`; empty where there is none.
    fn kind(&self) -> &str {
        self.body["NeutronError"]["type"]
            .as_str()
            .unwrap_or_default()
    }

    fn message(&self) -> &str {
        self.body["NeutronError"]["message"]
            .as_str()
            .unwrap_or_default()
    }

    /// The id of what was made.
    fn made(&self, noun: &str) -> String {
        assert_eq!(self.status, StatusCode::CREATED, "{self:?}");
        self.body[noun]["id"].as_str().unwrap().to_owned()
    }

    /// The ids of a list.
    fn ids(&self, collection: &str) -> Vec<&str> {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        let items = self.body[collection].as_array().unwrap();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap())
            .collect()
    }

    /// Status and type against what is expected.
    fn check(&self, why: &str, status: u16, kind: &str) {
        assert_eq!(
            (self.status.as_u16(), self.kind()),
            (status, kind),
            "{why}: {self:?}"
        );
    }
}

/// A port's members.
fn with(network: &str, more: Json) -> Json {
    let mut port = json!({"network_id": network});
    if let (Json::Object(port), Json::Object(more)) = (&mut port, more) {
        port.extend(more);
    }
    port
}

/// A port's addresses, in their order.
fn addresses(port: &Json) -> Vec<&str> {
    let fixed_ips = port["fixed_ips"].as_array().unwrap();
    fixed_ips
        .iter()
        .map(|fixed| fixed["ip_address"].as_str().unwrap())
        .collect()
}
