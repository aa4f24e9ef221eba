use super::super::accounts::create_credential;
use super::super::records::Credential;
use super::*;

/// A credential of this user as `wanted`, which lacks nothing but its name.
async fn make(cloud: &Cloud, token: &str, user: &str, mut wanted: Json) -> Answer {
    if wanted.get("name").is_none() {
        wanted["name"] = json!("robot");
    }
    let path = format!("/users/{user}/application_credentials");
    let body = json!({"application_credential": wanted});
    cloud.call(Method::POST, &path, token, Some(body)).await
}

async fn log_in(cloud: &Cloud, proof: Json) -> Answer {
    let identity = json!({"methods": ["application_credential"], "application_credential": proof});
    cloud.authenticate(json!({"identity": identity})).await
}

/// A cloud, demo's token and id, and a credential of theirs.
async fn start(wanted: Json) -> (Cloud, String, String, Json) {
    let cloud = Cloud::new().await;
    let demo = cloud.token("demo").await;
    let user = cloud.caller(&demo).await.unwrap().user_id;
    let made = make(&cloud, &demo, &user, wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let credential = made.body["application_credential"].clone();
    (cloud, demo, user, credential)
}

fn by_id(credential: &Json) -> Json {
    json!({"id": credential["id"], "secret": credential["secret"]})
}

#[tokio::test]
async fn a_credential_logs_in_by_id_or_by_name_and_its_secret_is_shown_once() {
    let (cloud, demo, user, made) = start(json!({"description": "for CI"})).await;
    assert_eq!(made["unrestricted"], false);
    assert_eq!(made["expires_at"], Json::Null);
    assert_eq!(
        made["roles"].as_array().unwrap().len(),
        2,
        "member and reader"
    );
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.len() >= 32);
    let name = json!({"name": "robot", "user": {"name": "demo", "domain": {"id": "default"}}, "secret": secret});
    let own = json!({"name": "robot", "user": {"id": user}, "secret": secret});
    for proof in [by_id(&made), name, own] {
        let answer = log_in(&cloud, proof).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let token = &answer.body["token"];
        assert_eq!(token["methods"], json!(["application_credential"]));
        assert_eq!(token["project"]["name"], "demo");
        assert_eq!(token["application_credential"]["id"], made["id"]);
        assert_eq!(token["application_credential"]["restricted"], true);
        assert!(cloud.caller(&answer.token.unwrap()).await.is_ok());
    }
    let path = format!("/users/{user}/application_credentials");
    for path in [format!("{path}/{}", made["id"].as_str().unwrap()), path] {
        let shown = cloud.get(&path, &demo).await;
        assert_eq!(shown.status, StatusCode::OK);
        let text = shown.body.to_string();
        assert!(text.contains("robot") && !text.contains(&secret) && !text.contains("argon2"));
    }
    for wrong in [
        json!({"id": made["id"], "secret": "guess"}),
        json!({"id": "nobody", "secret": secret}),
        json!({"name": "other", "user": {"id": user}, "secret": secret}),
    ] {
        assert_eq!(log_in(&cloud, wrong).await.status, StatusCode::UNAUTHORIZED);
    }
    let given = json!({"name": "own", "secret": "given-secret", "roles": []});
    let given = make(&cloud, &demo, &user, given).await;
    assert_eq!(
        given.body["application_credential"]["secret"],
        "given-secret"
    );
    assert_eq!(given.body["application_credential"]["roles"], made["roles"]);
    let taken = make(&cloud, &demo, &user, json!({})).await;
    assert_eq!(taken.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_credential_has_no_role_that_its_maker_has_not() {
    let (cloud, demo, user, made) = start(json!({"roles": [{"name": "reader"}]})).await;
    let token = log_in(&cloud, by_id(&made)).await.token.unwrap();
    let caller = cloud.caller(&token).await.unwrap();
    assert_eq!(caller.roles, [Role::Reader].into());
    for (wanted, said) in [
        (json!({"roles": [{"name": "admin"}]}), "admin"),
        (json!({"roles": [{"name": "king"}]}), "service"),
        (json!({"project_id": "elsewhere"}), "project_id"),
        (json!({"expires_at": "2025-12-31T00:00:00Z"}), "future"),
        (json!({"expires_at": "soon"}), "UTC"),
        (json!({"expires_at": "2099-01-01T00:00:00+05:00"}), "UTC"),
        (
            json!({"expires_at": "2099-01-01T00:00:00[Asia/Tokyo]"}),
            "UTC",
        ),
        (json!({"access_rules": [{"path": "/"}]}), "access_rules"),
        (json!({"name": ""}), "name"),
        (json!({"secret": ""}), "password"),
        (json!({"system": "all"}), "system"),
    ] {
        let answer = make(&cloud, &demo, &user, wanted.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wanted}");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{wanted}: {message}");
    }
}

#[tokio::test]
async fn a_restricted_credential_makes_and_deletes_none_and_an_unrestricted_one_does() {
    let (cloud, demo, user, robot) = start(json!({})).await;
    let token = log_in(&cloud, by_id(&robot)).await.token.unwrap();
    let path = format!("/users/{user}/application_credentials");
    let own = format!("{path}/{}", robot["id"].as_str().unwrap());
    let again = cloud.again(&token).await.token.unwrap();
    for token in [&token, &again] {
        let second = make(&cloud, token, &user, json!({"name": "two"})).await;
        assert_eq!(second.status, StatusCode::FORBIDDEN);
        let gone = cloud.call(Method::DELETE, &own, token, None).await;
        assert_eq!(gone.status, StatusCode::FORBIDDEN);
        assert_eq!(cloud.get(&own, token).await.status, StatusCode::OK);
    }
    let free = json!({"name": "free", "unrestricted": true});
    let free = make(&cloud, &demo, &user, free).await;
    let token = log_in(&cloud, by_id(&free.body["application_credential"])).await;
    let token = token.token.unwrap();
    let second = make(&cloud, &token, &user, json!({"name": "two"})).await;
    assert_eq!(second.status, StatusCode::CREATED);
    let gone = cloud.call(Method::DELETE, &own, &token, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_credential_ends_at_its_time_and_so_do_its_tokens() {
    let (cloud, _, _, made) = start(json!({"expires_at": "2026-01-01T00:10:00.000000"})).await;
    assert_eq!(made["expires_at"], "2026-01-01T00:10:00.000000Z");
    let answer = log_in(&cloud, by_id(&made)).await;
    assert_eq!(answer.body["token"]["expires_at"], made["expires_at"]);
    let token = answer.token.unwrap();
    cloud.pass(Duration::from_secs(599));
    assert!(cloud.caller(&token).await.is_ok());
    cloud.pass(Duration::from_secs(1));
    assert_eq!(cloud.caller(&token).await, Err(Unauthorized));
    assert_eq!(
        log_in(&cloud, by_id(&made)).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_credentials_token_stays_in_its_project() {
    let (cloud, _, user, made) = start(json!({})).await;
    let admin = cloud.token("admin").await;
    let projects = cloud.get("/projects", &admin).await;
    let role = Role::Member.id();
    let other = id_of(&projects, "projects", "admin");
    let grant = format!("/projects/{other}/users/{user}/roles/{role}");
    assert!(
        cloud
            .call(Method::PUT, &grant, &admin, None)
            .await
            .status
            .is_success()
    );
    let proof =
        json!({"methods": ["application_credential"], "application_credential": by_id(&made)});
    let scope = json!({"project": {"id": other}});
    let scoped = json!({"identity": proof, "scope": scope});
    assert_eq!(
        cloud.authenticate(scoped).await.status,
        StatusCode::UNAUTHORIZED
    );
    let token = log_in(&cloud, by_id(&made)).await.token.unwrap();
    let by_token = json!({"methods": ["token"], "token": {"id": token}});
    for scope in [scope, json!("unscoped")] {
        let rescoped = json!({"identity": by_token, "scope": scope});
        assert_eq!(
            cloud.authenticate(rescoped).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let own = json!({"project": {"id": made["project_id"]}});
    let same = json!({"identity": by_token, "scope": own});
    let answer = cloud.authenticate(same).await;
    assert_eq!(
        answer.body["token"]["application_credential"]["id"],
        made["id"]
    );
}

#[tokio::test]
async fn a_credential_goes_with_what_it_stands_on() {
    for what in ["credential", "role", "user", "project", "disabled"] {
        let (cloud, _, user, made) = start(json!({})).await;
        let admin = cloud.token("admin").await;
        let token = log_in(&cloud, by_id(&made)).await.token.unwrap();
        let project = made["project_id"].as_str().unwrap();
        let id = made["id"].as_str().unwrap();
        let member = Role::Member.id();
        let path = match what {
            "credential" => format!("/users/{user}/application_credentials/{id}"),
            "role" => format!("/projects/{project}/users/{user}/roles/{member}"),
            "project" => format!("/projects/{project}"),
            _ => format!("/users/{user}"),
        };
        let (method, body) = match what {
            "disabled" => (Method::PATCH, Some(json!({"user": {"enabled": false}}))),
            _ => (Method::DELETE, None),
        };
        let gone = cloud.call(method, &path, &admin, body).await;
        assert!(gone.status.is_success(), "{what}: {}", gone.body);
        assert_eq!(cloud.caller(&token).await, Err(Unauthorized), "{what}");
        let again = log_in(&cloud, by_id(&made)).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "{what}");
        let left = cloud
            .store
            .read(|model| {
                let kinds = ["identity_credential", "identity_credential_name"];
                kinds.map(|kind| model.documents(kind).count())
            })
            .await
            .unwrap();
        let kept = usize::from(what == "disabled");
        assert_eq!(left, [kept, kept], "{what}");
    }
}

#[tokio::test]
async fn the_credentials_of_a_user_are_bounded() {
    let (cloud, demo, user, _) = start(json!({})).await;
    let first = cloud
        .identity
        .directory(|directory| directory.credentials_of(&user))
        .await
        .unwrap()
        .remove(0);
    for index in 1..100 {
        let more = Credential {
            id: index.to_string(),
            name: index.to_string(),
            ..first.clone()
        };
        create_credential(&cloud.store, more).await.unwrap();
    }
    let more = make(&cloud, &demo, &user, json!({"name": "more"})).await;
    assert_eq!(more.status, StatusCode::FORBIDDEN);
    let message = more.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("at most 100"), "{message}");
}
