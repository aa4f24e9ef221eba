//! What is logged while people log in. A program of its own, because it listens to the whole process.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::body::Body;
use hextet_core::settings::CloudSettings;
use hextet_server::identity::{Bootstrap, Identity, IdentityConfig, router};
use hextet_store::{Store, StoreConfig};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;
use tracing_subscriber::filter::LevelFilter;

#[tokio::test]
async fn no_password_hash_key_or_token_is_logged_or_answered() {
    let kept = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(Arc::new(kept.reopen().unwrap()))
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let settings = CloudSettings::with_defaults(uuid::Uuid::from_u128(1));
    let store = Store::open(StoreConfig::new(folder.path().join("db"), settings))
        .await
        .unwrap();
    let bootstrap = Bootstrap::ensure(&folder.path().join("identity.toml")).unwrap();
    let config = IdentityConfig::new("http://[::1]:9696");
    let identity = Identity::open(store.clone(), config, Some(&bootstrap))
        .await
        .unwrap();
    let cloud = Cloud(router(identity.clone()));

    let password = |user: &str| bootstrap.user(user).unwrap().password.expose().to_owned();
    let (admin, admin_shown) = cloud.log_in("admin", &password("admin")).await;
    let (demo, demo_shown) = cloud.log_in("demo", &password("demo")).await;
    let (refused, wrong) = cloud.log_in("demo", "wrong-but-secret").await;
    assert_eq!(refused, None);
    let (admin, demo) = (admin.unwrap(), demo.unwrap());
    let body = json!({"user": {"name": "bob", "password": "pw-of-bob"}});
    let made = cloud.call(Method::POST, "/users", &admin, body).await;
    assert_eq!(made.0, StatusCode::CREATED);
    let users = cloud.call(Method::GET, "/users", &admin, Json::Null).await;
    let own = identity.authenticate(&demo).await.unwrap().user_id;
    let path = format!("/users/{own}/application_credentials");
    let body = json!({"application_credential": {"name": "ci", "secret": "hush-of-ci"}});
    let made = cloud.call(Method::POST, &path, &demo, body).await;
    assert_eq!(made.0, StatusCode::CREATED);
    let proof = json!({"id": made.1["application_credential"]["id"], "secret": "hush-of-ci"});
    let robot = cloud.log_in_by("application_credential", proof).await;
    let robot = (robot.0.unwrap(), robot.1);
    let proof = json!({"id": "x", "secret": {"hush-in-a-wrong-place": "hush-in-a-wrong-place"}});
    let misplaced = cloud.log_in_by("application_credential", proof).await.1;
    let body = json!({"token_key": {}});
    let rotated = cloud
        .call(Method::POST, "/hextet/token_keys", &admin, body)
        .await;
    assert_eq!(rotated.0, StatusCode::CREATED);
    let credentials = cloud.call(Method::GET, &path, &demo, Json::Null).await;
    assert!(identity.authenticate(&format!("{demo}x")).await.is_err());

    let kinds = ["identity_user", "identity_key", "identity_credential"];
    let stored: Vec<String> = store
        .read(|model| {
            let documents = kinds.iter().flat_map(|kind| model.documents(kind));
            documents
                .map(|document| document.text().to_owned())
                .collect()
        })
        .await
        .unwrap();
    let mut secrets = vec![
        password("admin"),
        password("demo"),
        "wrong-but-secret".to_owned(),
        "pw-of-bob".to_owned(),
        "hush-of-ci".to_owned(),
        "hush-in-a-wrong-place".to_owned(),
        robot.0,
        "$argon2".to_owned(),
        admin,
        demo,
    ];
    for document in &stored {
        let document: Json = serde_json::from_str(document).unwrap();
        let members = ["password_hash", "secret", "secret_hash"];
        let secret = members.iter().find_map(|name| document.get(*name));
        secrets.push(secret.unwrap().as_str().unwrap().to_owned());
    }
    assert_eq!(
        secrets.len(),
        10 + 6,
        "three users, two keys and a credential are stored"
    );

    let logged = std::fs::read_to_string(kept.path()).unwrap();
    for heard in ["login refused", "token refused"] {
        assert!(logged.contains(heard), "the log is not heard: {logged}");
    }
    // The answer to a credential's making alone has its secret.
    let answered = format!(
        "{admin_shown} {demo_shown} {wrong} {} {misplaced} {} {} {}",
        robot.1, rotated.1, users.1, credentials.1
    );
    let debugged = format!("{bootstrap:?}");
    for (place, text) in [("log", logged), ("answers", answered), ("debug", debugged)] {
        for secret in &secrets {
            assert!(
                !text.contains(secret.as_str()),
                "{place} shows {secret}: {text}"
            );
        }
    }
}

struct Cloud(axum::Router);

impl Cloud {
    /// The token, if there is one, and the body.
    async fn log_in(&self, user: &str, password: &str) -> (Option<String>, Json) {
        let domain = json!({"name": "Default"});
        let user = json!({"name": user, "domain": domain, "password": password});
        self.log_in_by("password", json!({ "user": user })).await
    }

    async fn log_in_by(&self, method: &str, proof: Json) -> (Option<String>, Json) {
        let body = json!({"auth": {"identity": {"methods": [method], method: proof}}});
        let request = Request::post("/identity/v3/auth/tokens").body(Body::from(body.to_string()));
        let response = self.0.clone().oneshot(request.unwrap()).await.unwrap();
        let token = response.headers().get("x-subject-token");
        let token = token.map(|value| value.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (token, serde_json::from_slice(&body).unwrap())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Json,
    ) -> (StatusCode, Json) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/identity/v3{path}"))
            .header("x-auth-token", token)
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.0.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}
