use hextet_testdb::Disk;
use nix::sys::signal::Signal;

use super::*;

const WEEK: Duration = IdentityConfig::TOKEN_LIFETIME_MAX;

async fn rotate(cloud: &Cloud, token: &str, end_tokens: bool) -> Answer {
    let body = json!({"token_key": {"end_tokens": end_tokens}});
    cloud
        .call(Method::POST, "/hextet/token_keys", token, Some(body))
        .await
}

#[tokio::test]
async fn what_one_server_does_holds_on_the_other_at_once() {
    both_servers(Cloud::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_does_holds_on_the_other_at_once_on_postgresql() {
    both_servers(Cloud::postgres().await).await;
}

/// Tokens, revocations, accounts and keys of each of two servers, on the other.
async fn both_servers(cloud: Cloud) {
    let second = cloud.second().await;
    let (admin, token) = (cloud.token("admin").await, cloud.token("demo").await);
    let user = second.authenticate(&token).await.unwrap().user_id;
    let mut other = Cloud::new().await;
    other.identity = second.clone();
    other.router = router(second.clone());

    let theirs = other.again(&token).await.token.unwrap();
    assert!(
        cloud.caller(&theirs).await.is_ok(),
        "the second server's token"
    );
    other.about(Method::DELETE, &theirs, &theirs).await;
    assert_eq!(cloud.caller(&theirs).await, Err(Unauthorized));
    assert!(cloud.caller(&token).await.is_ok());

    let path = format!("/users/{user}");
    let body = json!({"user": {"password": "from-the-second"}});
    let changed = other.call(Method::PATCH, &path, &admin, Some(body)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(cloud.caller(&token).await, Err(Unauthorized));
    cloud.pass(Duration::from_millis(1));
    let answer = cloud.log_in("demo", "from-the-second", "demo").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let token = answer.token.unwrap();

    assert_eq!(
        rotate(&other, &admin, false).await.status,
        StatusCode::CREATED
    );
    let new = cloud.again(&token).await.token.unwrap();
    assert_ne!(header_of(&new)["kid"], header_of(&token)["kid"]);
    assert!(second.authenticate(&new).await.is_ok());
    assert_eq!(
        rotate(&cloud, &admin, true).await.status,
        StatusCode::CREATED
    );
    assert!(second.authenticate(&new).await.is_err());
}

#[tokio::test]
async fn a_key_that_was_replaced_verifies_its_tokens_to_their_end_on_every_server() {
    let cloud = Cloud::new().await;
    let second = cloud.second().await;
    let (admin, demo) = (cloud.token("admin").await, cloud.token("demo").await);
    let answer = rotate(&cloud, &admin, false).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.body["token_key"]["earlier_keys"], 1);
    let new = cloud.again(&demo).await.token.unwrap();
    assert_ne!(header_of(&new)["kid"], header_of(&demo)["kid"]);
    assert_eq!(header_of(&new)["kid"], answer.body["token_key"]["id"]);
    for token in [&demo, &new] {
        assert!(cloud.caller(token).await.is_ok());
        assert!(second.authenticate(token).await.is_ok());
    }
    cloud.pass(Duration::from_secs(3599));
    assert!(cloud.caller(&demo).await.is_ok());

    cloud.pass(WEEK);
    let admin = cloud.token("admin").await;
    let answer = rotate(&cloud, &admin, false).await;
    assert_eq!(
        answer.body["token_key"]["earlier_keys"], 1,
        "the first one is forgotten"
    );
    let restarted = cloud.restarted().await;
    assert!(restarted.caller(&admin).await.is_ok());
}

#[tokio::test]
async fn ending_the_keys_ends_every_token_everywhere() {
    let cloud = Cloud::new().await;
    let second = cloud.second().await;
    let (admin, demo) = (cloud.token("admin").await, cloud.token("demo").await);
    let answer = rotate(&cloud, &admin, true).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    for token in [&admin, &demo] {
        assert_eq!(cloud.caller(token).await, Err(Unauthorized));
        assert!(second.authenticate(token).await.is_err());
    }
    let admin = cloud.token("admin").await;
    assert!(second.authenticate(&admin).await.is_ok());
}

#[tokio::test]
async fn keys_that_still_verify_are_bounded() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    for _ in 0..8 {
        assert_eq!(
            rotate(&cloud, &admin, false).await.status,
            StatusCode::CREATED
        );
    }
    let full = rotate(&cloud, &admin, false).await;
    assert_eq!(full.status, StatusCode::CONFLICT);
    let message = full.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("8 earlier keys"), "{message}");
    assert_eq!(
        rotate(&cloud, &admin, true).await.status,
        StatusCode::CREATED
    );
    let admin = cloud.token("admin").await;
    assert_eq!(
        rotate(&cloud, &admin, false).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn what_an_earlier_program_stored_still_logs_in() {
    let cloud = Cloud::new().await;
    let demo = cloud.token("demo").await;
    cloud
        .store
        .write(|tx| {
            Box::pin(async move {
                for names in ["identity_user_name", "identity_project_name"] {
                    for document in tx.documents(names).await? {
                        tx.delete(names, &document.id).await?;
                        tx.claim(Pick::Named, (names, &document.id), "somebody")
                            .await?;
                    }
                }
                Ok::<_, hextet_store::EngineError>(())
            })
        })
        .await
        .unwrap();
    let password = cloud.password("demo");
    let lost = cloud.log_in("demo", &password, "demo").await;
    assert_eq!(lost.status, StatusCode::UNAUTHORIZED, "the names are gone");
    let cloud = cloud.restarted().await;
    let answer = cloud.log_in("demo", &password, "demo").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert!(cloud.caller(&demo).await.is_ok());
}

fn header_of(token: &str) -> Json {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let octets = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header);
    serde_json::from_slice(&octets.unwrap()).unwrap()
}

#[tokio::test]
async fn at_the_bound_of_revocations_a_logout_ends_all_tokens_of_its_user_and_no_others() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.token("admin").await, cloud.token("demo").await);
    let expires_at = START_MS / 1000 + 3600;
    cloud
        .store
        .write(move |tx| {
            Box::pin(async move {
                for index in 0..10_000 {
                    let audit_id = format!("r{index}");
                    let revocation = json!({"audit_id": audit_id, "expires_at": expires_at});
                    let layout = hextet_store::Layout::default();
                    tx.insert("identity_revocation", &audit_id, "", &revocation, layout)
                        .await?;
                }
                Ok::<_, hextet_store::EngineError>(())
            })
        })
        .await
        .unwrap();
    let other = cloud.again(&demo).await.token.unwrap();
    let answer = cloud.about(Method::DELETE, &demo, &demo).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.caller(&demo).await, Err(Unauthorized));
    assert_eq!(cloud.caller(&other).await, Err(Unauthorized));
    assert!(cloud.caller(&admin).await.is_ok());
    cloud.pass(Duration::from_millis(1));
    assert!(cloud.caller(&cloud.token("demo").await).await.is_ok());
}

/// Else a request's body would be left unread, and the request be judged without it once the accounts are back.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_called_void_while_the_accounts_are_away() {
    let cluster = Cluster::start(Disk::Unsynced);
    let cloud = Cloud::postgres_of(&cluster).await;
    let token = cloud.token("demo").await;
    assert!(cloud.identity.may_open(&token).await);
    assert!(!cloud.identity.may_open("a.b.c").await);
    cluster.kill(Signal::SIGKILL);
    assert!(cloud.identity.authenticate(&token).await.is_err());
    assert!(cloud.identity.may_open(&token).await);
    assert!(
        cloud.identity.may_open("a.b.c").await,
        "nobody can know now"
    );
}

/// The look-up of a token is spared while no account changes, and no longer.
#[tokio::test]
async fn what_a_token_opens_is_remembered_until_an_account_changes_or_its_time_is_over() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    let token = cloud.token("demo").await;
    let is_remembered = || {
        let sessions = &cloud.identity.inner.sessions;
        let now = cloud.now_ms.load(Ordering::SeqCst) / 1000;
        let known = cloud.store.glance(|model| sessions.get(model, &token, now));
        known.is_some()
    };
    assert!(!is_remembered(), "nobody has used it");
    assert!(cloud.caller(&token).await.is_ok());
    assert!(is_remembered());
    cloud
        .store
        .write(|tx| {
            Box::pin(async move {
                let value = json!({});
                tx.insert("thing", "1", "", &value, Default::default())
                    .await
            })
        })
        .await
        .unwrap();
    assert!(is_remembered(), "it is no account");
    rotate(&cloud, &admin, false).await;
    assert!(!is_remembered());
    assert!(cloud.caller(&token).await.is_ok());
    assert!(is_remembered());
    cloud.pass(IdentityConfig::TOKEN_LIFETIME);
    assert!(!is_remembered());
    assert_eq!(cloud.caller(&token).await, Err(Unauthorized));
}
