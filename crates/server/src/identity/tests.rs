use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{
    AuthenticateError, Bootstrap, Caller, Identity, IdentityConfig, Role, Unauthorized,
    accounts as changes, router,
};
use hextet_core::ids::ProjectId;
use hextet_core::settings::CloudSettings;
use hextet_store::{Database, EngineError, Pick, Store, StoreConfig, WriteError};
use hextet_testdb::Cluster;

mod accounts;
mod calls;
mod credentials;
mod guesses;
mod keys;
mod login;
mod seeds;

/// 2026-01-01T00:00Z, milliseconds.
const START_MS: u64 = 1_767_225_600_000;

/// A cloud of its own, on a database in a temporary folder, whose time stands still until it is moved.
struct Cloud {
    _folder: TempDir,
    database: Database,
    store: Store,
    identity: Identity,
    router: Router,
    bootstrap: Bootstrap,
    now_ms: Arc<AtomicU64>,
}

/// An answer.
struct Answer {
    status: StatusCode,
    token: Option<String>,
    body: Json,
}

impl Cloud {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::from(folder.path().join("hextet.db").as_path());
        Self::on(folder, database, Bootstrap::random(), START_MS).await
    }

    /// On a PostgreSQL.
    async fn postgres() -> Self {
        Self::postgres_of(Cluster::shared()).await
    }

    async fn postgres_of(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = cluster.database().parse().unwrap();
        Self::on(folder, database, Bootstrap::random(), START_MS).await
    }

    async fn on(folder: TempDir, database: Database, bootstrap: Bootstrap, start: u64) -> Self {
        let store = opened(&database).await;
        let now_ms = Arc::new(AtomicU64::new(start));
        let clock = {
            let now_ms = now_ms.clone();
            Box::new(move || now_ms.load(Ordering::SeqCst))
        };
        let config = IdentityConfig::new("http://[::1]:9696");
        let identity = Identity::open_at(store.clone(), config, Some(&bootstrap), clock)
            .await
            .unwrap();
        let router = router(identity.clone());
        Self {
            _folder: folder,
            database,
            store,
            identity,
            router,
            bootstrap,
            now_ms,
        }
    }

    /// The same database, opened again by a new server.
    async fn restarted(self) -> Self {
        self.store.close().await;
        let Self {
            _folder,
            database,
            bootstrap,
            now_ms,
            ..
        } = self;
        Self::on(_folder, database, bootstrap, now_ms.load(Ordering::SeqCst)).await
    }

    fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn password(&self, user: &str) -> String {
        self.bootstrap
            .user(user)
            .unwrap()
            .password
            .expose()
            .to_owned()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let token = response
            .headers()
            .get("x-subject-token")
            .map(|value| value.to_str().unwrap().to_owned());
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        let body = if octets.is_empty() {
            Json::Null
        } else {
            serde_json::from_slice(&octets).unwrap()
        };
        Answer {
            status,
            token,
            body,
        }
    }

    /// A call with a token, and a body if there is one.
    async fn call(&self, method: Method, path: &str, token: &str, body: Option<Json>) -> Answer {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(format!("/identity/v3{path}"))
            .header("host", "cloud.example:9696")
            .header("x-auth-token", token)
            .body(body)
            .unwrap();
        self.send(request).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, None).await
    }

    async fn authenticate(&self, auth: Json) -> Answer {
        let body = json!({"auth": auth});
        self.call(Method::POST, "/auth/tokens", "", Some(body))
            .await
    }

    async fn log_in(&self, user: &str, password: &str, project: &str) -> Answer {
        self.authenticate(json!({
            "identity": by_password(user, password),
            "scope": {"project": {"name": project, "domain": {"name": "Default"}}},
        }))
        .await
    }

    /// A token of one of the first users in its own project.
    async fn token(&self, user: &str) -> String {
        let answer = self.log_in(user, &self.password(user), user).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.token.unwrap()
    }

    /// A token for a token: no hash is computed.
    async fn again(&self, token: &str) -> Answer {
        self.authenticate(json!({"identity": {"methods": ["token"], "token": {"id": token}}}))
            .await
    }

    /// Another server on the same database: with a store of its own where the engine lets it.
    async fn second(&self) -> Identity {
        let store = match &self.database {
            Database::Sqlite(_) => self.store.clone(),
            shared => opened(shared).await,
        };
        let now_ms = self.now_ms.clone();
        let clock = Box::new(move || now_ms.load(Ordering::SeqCst));
        let config = IdentityConfig::new("http://[::2]:9696");
        Identity::open_at(store, config, None, clock).await.unwrap()
    }

    async fn caller(&self, token: &str) -> Result<Caller, Unauthorized> {
        let caller = self.identity.authenticate(token).await;
        caller.map_err(|error| match error {
            AuthenticateError::Unauthorized(unauthorized) => unauthorized,
            AuthenticateError::Accounts(error) => panic!("{error}"),
        })
    }

    /// A token about itself: `GET`, `HEAD` or `DELETE /v3/auth/tokens`.
    async fn about(&self, method: Method, token: &str, subject: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri("/identity/v3/auth/tokens")
            .header("x-auth-token", token)
            .header("x-subject-token", subject)
            .body(Body::empty())
            .unwrap();
        self.send(request).await
    }
}

async fn opened(database: &Database) -> Store {
    let settings = CloudSettings::with_defaults(uuid::Uuid::from_u128(1));
    let config = StoreConfig::of(database.clone(), settings);
    Store::open(config).await.unwrap()
}

fn by_password(user: &str, password: &str) -> Json {
    json!({"methods": ["password"], "password": {"user": {
        "name": user, "domain": {"name": "Default"}, "password": password,
    }}})
}

/// The id of the thing of this name in a list.
fn id_of(answer: &Answer, collection: &str, name: &str) -> String {
    let list = answer.body[collection].as_array().unwrap();
    let found = list.iter().find(|item| item["name"] == name).unwrap();
    found["id"].as_str().unwrap().to_owned()
}
