use super::*;

#[tokio::test]
async fn a_login_answers_with_what_keystone_clients_read() {
    let cloud = Cloud::new().await;
    let answer = cloud
        .log_in("admin", &cloud.password("admin"), "admin")
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let token = &answer.body["token"];
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(
        token["user"]["domain"],
        json!({"id": "default", "name": "Default"})
    );
    assert_eq!(token["project"]["name"], "admin");
    assert_eq!(token["issued_at"], "2026-01-01T00:00:00.000000Z");
    assert_eq!(token["expires_at"], "2026-01-01T01:00:00.000000Z");
    let roles: Vec<&str> = token["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["name"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["admin", "manager", "member", "reader"]);
    for (kind, url) in [
        ("identity", "http://cloud.example:9696/identity"),
        ("network", "http://cloud.example:9696"),
    ] {
        let catalog = token["catalog"].as_array().unwrap();
        let service = catalog
            .iter()
            .find(|service| service["type"] == kind)
            .unwrap();
        for interface in ["public", "internal", "admin"] {
            let endpoints = service["endpoints"].as_array().unwrap();
            let endpoint = endpoints
                .iter()
                .find(|endpoint| endpoint["interface"] == interface);
            let endpoint = endpoint.unwrap();
            assert_eq!(endpoint["url"], url);
            assert_eq!(endpoint["region_id"], "RegionOne");
        }
    }
    let caller = cloud.caller(&answer.token.unwrap()).await.unwrap();
    assert!(caller.is_admin());
    assert_eq!(token["user"]["id"], caller.user_id);
    assert_eq!(token["project"]["id"], caller.project_id.0);
}

#[tokio::test]
async fn every_wrong_login_looks_the_same() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    let users = cloud.get("/users", &admin).await;
    let disabled = json!({"user": {"name": "gone", "password": "pw", "enabled": false}});
    let made = cloud
        .call(Method::POST, "/users", &admin, Some(disabled))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let silent = json!({"user": {"name": "silent"}});
    cloud
        .call(Method::POST, "/users", &admin, Some(silent))
        .await;

    let password = cloud.password("demo");
    let by_id = |domain: Json| {
        let id = id_of(&users, "users", "demo");
        json!({"identity": {"methods": ["password"], "password": {"user": {
            "id": id, "domain": domain, "password": password,
        }}}})
    };
    let answers = [
        cloud.log_in("demo", "wrong", "demo").await,
        cloud.log_in("nobody", "wrong", "demo").await,
        cloud.log_in("gone", "pw", "demo").await,
        cloud.log_in("silent", "", "demo").await,
        cloud.log_in("demo", &password, "admin").await,
        cloud.log_in("demo", &password, "no-such-project").await,
        cloud
            .authenticate(by_id(json!({"name": "Elsewhere"})))
            .await,
        cloud.get("/auth/projects", "no-token-of-ours").await,
    ];
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.body, answers[0].body);
        assert_eq!(answer.token, None);
    }
    for domain in [json!({"name": "Default"}), json!({"id": "default"})] {
        assert_eq!(
            cloud.authenticate(by_id(domain)).await.status,
            StatusCode::CREATED
        );
    }
}

#[tokio::test]
async fn a_token_opens_until_it_expires_and_one_made_from_it_no_longer() {
    let cloud = Cloud::new().await;
    let first = cloud.token("demo").await;
    cloud.pass(Duration::from_secs(1800));
    let exchange = json!({
        "identity": {"methods": ["token"], "token": {"id": first}},
        "scope": {"project": {"name": "demo", "domain": {"id": "default"}}},
    });
    let second = cloud.authenticate(exchange.clone()).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.body);
    assert_eq!(
        second.body["token"]["methods"],
        json!(["password", "token"])
    );
    assert_eq!(
        second.body["token"]["expires_at"],
        "2026-01-01T01:00:00.000000Z"
    );
    assert_eq!(
        second.body["token"]["audit_ids"].as_array().unwrap().len(),
        2
    );
    let second = second.token.unwrap();
    cloud.pass(Duration::from_secs(1799));
    assert!(cloud.caller(&first).await.is_ok());
    assert!(cloud.caller(&second).await.is_ok());
    cloud.pass(Duration::from_secs(1));
    assert_eq!(cloud.caller(&first).await, Err(Unauthorized));
    assert_eq!(cloud.caller(&second).await, Err(Unauthorized));
    assert_eq!(
        cloud.authenticate(exchange).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_token_given_back_opens_nothing_also_after_a_restart_and_others_do() {
    let cloud = Cloud::new().await;
    let (kept, given_back) = (cloud.token("demo").await, cloud.token("demo").await);
    let shown = cloud.about(Method::GET, &kept, &given_back).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert_eq!(shown.token.as_deref(), Some(given_back.as_str()));
    assert_eq!(
        cloud.about(Method::HEAD, &kept, &given_back).await.status,
        StatusCode::OK
    );
    let answer = cloud.about(Method::DELETE, &kept, &given_back).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.caller(&given_back).await, Err(Unauthorized));
    let cloud = cloud.restarted().await;
    assert_eq!(cloud.caller(&given_back).await, Err(Unauthorized));
    assert!(
        cloud.caller(&kept).await.is_ok(),
        "the key is in the database"
    );
    let admin = cloud.token("admin").await;
    let gone = cloud.about(Method::GET, &admin, &given_back).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn revocations_are_forgotten_when_their_tokens_have_expired() {
    let cloud = Cloud::new().await;
    let demo = cloud.token("demo").await;
    for _ in 0..64 {
        let token = cloud.again(&demo).await.token.unwrap();
        cloud.about(Method::DELETE, &token, &token).await;
    }
    let count = async || {
        let kind = "identity_revocation";
        cloud
            .store
            .read(|model| model.documents(kind).count())
            .await
            .unwrap()
    };
    assert_eq!(count().await, 64);
    cloud.pass(Duration::from_secs(3600));
    let token = cloud.token("demo").await;
    cloud.about(Method::DELETE, &token, &token).await;
    assert_eq!(count().await, 1);
}

#[tokio::test]
async fn another_users_token_is_neither_shown_nor_taken_back() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.token("admin").await, cloud.token("demo").await);
    for method in [Method::GET, Method::DELETE] {
        let answer = cloud.about(method, &demo, &admin).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.token, None);
    }
    assert!(cloud.caller(&admin).await.is_ok());
    let answer = cloud.about(Method::GET, &admin, &demo).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_without_a_scope_takes_the_default_project_and_unscoped_opens_identity_alone() {
    let cloud = Cloud::new().await;
    let identity = by_password("demo", &cloud.password("demo"));
    let scoped = cloud.authenticate(json!({"identity": identity})).await;
    assert_eq!(scoped.body["token"]["project"]["name"], "demo");

    let auth = json!({"identity": identity, "scope": "unscoped"});
    let unscoped = cloud.authenticate(auth).await;
    assert_eq!(unscoped.status, StatusCode::CREATED);
    for absent in ["project", "roles", "catalog"] {
        assert_eq!(unscoped.body["token"].get(absent), None);
    }
    let unscoped = unscoped.token.unwrap();
    assert_eq!(cloud.caller(&unscoped).await, Err(Unauthorized));
    let projects = cloud.get("/auth/projects", &unscoped).await;
    assert_eq!(projects.body["projects"].as_array().unwrap().len(), 1);
    assert_eq!(projects.body["projects"][0]["name"], "demo");
}

#[tokio::test]
async fn what_a_login_cannot_mean_is_refused_by_name() {
    let cloud = Cloud::new().await;
    let password = cloud.password("demo");
    let identity = by_password("demo", &password);
    let by =
        |user: Json| json!({"identity": {"methods": ["password"], "password": {"user": user}}});
    let both = ["password", "token"];
    let cases = [
        (
            json!({"identity": identity, "scope": {"domain": {"id": "default"}}}),
            "domain",
        ),
        (
            json!({"identity": identity, "scope": {"system": {"all": true}}}),
            "system",
        ),
        (json!({"identity": identity, "scope": {}}), "project"),
        (
            json!({"identity": identity, "scope": "everywhere"}),
            "unscoped",
        ),
        (
            json!({"identity": identity, "scope": {"project": {"name": "demo"}}}),
            "domain",
        ),
        (by(json!({"name": "demo", "password": password})), "domain"),
        (by(json!({"password": password})), "id"),
        (
            by(json!({"id": "x", "password": password, "shoe": 1})),
            "shoe",
        ),
        (json!({"identity": {"methods": ["token"]}}), "token"),
        (
            json!({"identity": {"methods": ["totp"], "totp": {}}}),
            "totp",
        ),
        (
            json!({"identity": {"methods": both, "password": {"user": {"id": "x", "password": password}}}}),
            "unsupported method",
        ),
    ];
    for (auth, named) in cases {
        let answer = cloud.authenticate(auth.clone()).await;
        let error = &answer.body["error"];
        assert!(
            answer.status == StatusCode::BAD_REQUEST || answer.status == StatusCode::UNAUTHORIZED
        );
        assert_eq!(error["code"], answer.status.as_u16());
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(named), "{auth}: {message}");
        assert!(!message.contains(&password), "{message}");
    }
}

#[tokio::test]
async fn versions_are_told_to_anybody_and_unserved_paths_answer_in_keystones_form() {
    let cloud = Cloud::new().await;
    let send = async |method: Method, uri: &str| {
        let request = Request::builder().method(method).uri(uri);
        cloud.send(request.body(Body::empty()).unwrap()).await
    };
    for uri in ["/identity", "/identity/"] {
        let answer = send(Method::GET, uri).await;
        assert_eq!(answer.status, StatusCode::MULTIPLE_CHOICES);
        let version = &answer.body["versions"]["values"][0];
        assert_eq!(version["id"], "v3.14");
        let link = &version["links"][0]["href"];
        assert_eq!(link, "http://[::1]:9696/identity/v3/");
    }
    for uri in ["/identity/v3", "/identity/v3/"] {
        let answer = send(Method::GET, uri).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body["version"]["status"], "stable");
    }
    for uri in ["/identity/v3/groups", "/identity/v2.0", "/identity/v3/auth"] {
        let answer = send(Method::GET, uri).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{uri}");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(uri), "{message}");
    }
    let answer = send(Method::DELETE, "/identity/v3/roles").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.body["error"]["code"], 405);
}

#[tokio::test]
async fn a_host_header_that_is_no_address_is_not_repeated() {
    let cloud = Cloud::new().await;
    for host in ["user@evil.example", "a b", ""] {
        let request = Request::builder().uri("/identity/v3").header("host", host);
        let answer = cloud.send(request.body(Body::empty()).unwrap()).await;
        let link = &answer.body["version"]["links"][0]["href"];
        assert_eq!(link, "http://[::1]:9696/identity/v3/", "{host}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused_in_keystones_form() {
    let cloud = Cloud::new().await;
    let large = "x".repeat(33 * 1024);
    for (body, status) in [(large.as_str(), 413), ("{", 400), ("", 400), ("[]", 400)] {
        let request = Request::post("/identity/v3/auth/tokens");
        let answer = cloud
            .send(request.body(Body::from(body.to_owned())).unwrap())
            .await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body["error"]["code"], status);
    }
}
