use super::*;

#[tokio::test]
async fn an_administrator_makes_a_project_with_a_user_who_works_there_and_nowhere_else() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    let (project, user) = make(&cloud, &admin, "blue", "bob").await;
    assert_eq!(
        cloud.log_in("bob", "pw-of-bob", "blue").await.status,
        StatusCode::UNAUTHORIZED,
        "no role yet"
    );
    set_role(&cloud, &admin, Method::PUT, (&project, &user), Role::Reader).await;
    let token = cloud
        .log_in("bob", "pw-of-bob", "blue")
        .await
        .token
        .unwrap();
    let caller = cloud.caller(&token).await.unwrap();
    let (own, other) = (ProjectId(project.clone()), ProjectId("other".to_owned()));
    assert_eq!(
        (&caller.project_id, &caller.roles),
        (&own, &[Role::Reader].into())
    );
    assert!(caller.can_read(&own) && !caller.can_read(&other));
    assert_eq!(
        cloud.log_in("bob", "pw-of-bob", "demo").await.status,
        StatusCode::UNAUTHORIZED
    );

    set_role(&cloud, &admin, Method::PUT, (&project, &user), Role::Member).await;
    let now = cloud.caller(&token).await.unwrap();
    assert!(now.roles.contains(&Role::Member), "at once");
    for role in [Role::Member, Role::Reader] {
        set_role(&cloud, &admin, Method::DELETE, (&project, &user), role).await;
    }
    assert_eq!(cloud.caller(&token).await, Err(Unauthorized), "at once");
}

#[tokio::test]
async fn a_disabled_or_deleted_user_or_project_closes_its_tokens() {
    let changes = [
        (
            Method::PATCH,
            "users",
            "user",
            Some(json!({"enabled": false})),
        ),
        (
            Method::PATCH,
            "projects",
            "project",
            Some(json!({"enabled": false})),
        ),
        (Method::DELETE, "users", "user", None),
        (Method::DELETE, "projects", "project", None),
    ];
    for (method, collection, noun, fields) in changes {
        let cloud = Cloud::new().await;
        let (admin, demo) = (cloud.token("admin").await, cloud.token("demo").await);
        let list = cloud.get(&format!("/{collection}?name=demo"), &admin).await;
        let path = format!("/{collection}/{}", id_of(&list, collection, "demo"));
        let body = fields.map(|fields| json!({noun: fields}));
        let answer = cloud.call(method.clone(), &path, &admin, body).await;
        assert!(answer.status.is_success(), "{}", answer.body);
        assert_eq!(
            cloud.caller(&demo).await,
            Err(Unauthorized),
            "{method} {path}"
        );
        let again = cloud.log_in("demo", &cloud.password("demo"), "demo").await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_new_password_ends_older_logins_and_only_the_new_one_opens() {
    let cloud = Cloud::new().await;
    let (admin, demo) = (cloud.token("admin").await, cloud.token("demo").await);
    let id = cloud.caller(&demo).await.unwrap().user_id;
    let change =
        |old: &str, new: &str| json!({"user": {"original_password": old, "password": new}});
    let path = format!("/users/{id}/password");
    let wrong = cloud
        .call(Method::POST, &path, "", Some(change("guess", "new")))
        .await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(cloud.caller(&demo).await.is_ok());

    let old = cloud.password("demo");
    let right = cloud
        .call(Method::POST, &path, "", Some(change(&old, "new")))
        .await;
    assert_eq!(right.status, StatusCode::NO_CONTENT);
    assert_eq!(cloud.caller(&demo).await, Err(Unauthorized));
    assert_eq!(
        cloud.log_in("demo", &old, "demo").await.status,
        StatusCode::UNAUTHORIZED
    );
    cloud.pass(Duration::from_millis(1));
    let second = cloud.log_in("demo", "new", "demo").await.token.unwrap();
    assert!(cloud.caller(&second).await.is_ok());

    let body = json!({"user": {"password": "newer"}});
    let path = format!("/users/{id}");
    let answer = cloud.call(Method::PATCH, &path, &admin, Some(body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(cloud.caller(&second).await, Err(Unauthorized));
}

#[tokio::test]
async fn a_member_sees_itself_and_its_project_and_administrates_nothing() {
    let cloud = Cloud::new().await;
    let demo = cloud.token("demo").await;
    let caller = cloud.caller(&demo).await.unwrap();
    let admin = cloud.caller(&cloud.token("admin").await).await.unwrap();
    for path in [
        format!("/projects/{}", caller.project_id),
        format!("/users/{}", caller.user_id),
        format!("/users/{}/projects", caller.user_id),
        "/auth/projects".to_owned(),
        "/auth/catalog".to_owned(),
        "/domains/default".to_owned(),
    ] {
        assert_eq!(
            cloud.get(&path, &demo).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    let list = cloud.get("/projects", &demo).await;
    assert_eq!(list.body["projects"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["projects"][0]["name"], "demo");
    let role = Role::Admin.id();
    let own = format!(
        "/projects/{}/users/{}/roles/{role}",
        caller.project_id, caller.user_id
    );
    let forbidden = [
        (Method::GET, format!("/projects/{}", admin.project_id)),
        (Method::GET, format!("/users/{}", admin.user_id)),
        (Method::GET, format!("/users/{}/projects", admin.user_id)),
        (Method::GET, "/users".to_owned()),
        (Method::GET, "/roles".to_owned()),
        (Method::GET, "/domains".to_owned()),
        (Method::GET, "/services".to_owned()),
        (Method::GET, "/endpoints".to_owned()),
        (Method::GET, "/role_assignments".to_owned()),
        (Method::POST, "/projects".to_owned()),
        (Method::POST, "/users".to_owned()),
        (Method::PATCH, format!("/users/{}", caller.user_id)),
        (Method::DELETE, format!("/users/{}", admin.user_id)),
        (Method::DELETE, format!("/projects/{}", caller.project_id)),
        (Method::PUT, own.clone()),
        (Method::DELETE, own),
    ];
    for (method, path) in forbidden {
        let body = json!({"user": {"name": "x"}});
        let answer = cloud.call(method.clone(), &path, &demo, Some(body)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        let answer = cloud.call(method.clone(), &path, "", None).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    assert_eq!(
        cloud.caller(&demo).await.unwrap(),
        caller,
        "nothing changed"
    );
}

#[tokio::test]
async fn lists_are_filtered_and_an_unknown_filter_is_refused() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    let cases = [
        ("/projects", "projects", 3),
        ("/projects?name=demo", "projects", 1),
        ("/projects?name=nobody", "projects", 0),
        ("/projects?enabled=false", "projects", 0),
        ("/projects?domain_id=default&enabled=true", "projects", 3),
        ("/users", "users", 2),
        ("/users?name=demo&domain_id=default", "users", 1),
        ("/roles", "roles", 5),
        ("/roles?name=member", "roles", 1),
        ("/domains?name=Default", "domains", 1),
        ("/domains?name=Other", "domains", 0),
        ("/services?type=network", "services", 1),
        ("/endpoints", "endpoints", 6),
        ("/endpoints?interface=public", "endpoints", 2),
        ("/role_assignments", "role_assignments", 2),
        ("/role_assignments?effective", "role_assignments", 6),
    ];
    for (path, collection, count) in cases {
        let answer = cloud.get(path, &admin).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(
            answer.body[collection].as_array().unwrap().len(),
            count,
            "{path}"
        );
        assert_eq!(answer.body["links"]["next"], Json::Null);
    }
    let answer = cloud.get("/projects?shoe=1", &admin).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("shoe")
    );
}

#[tokio::test]
async fn a_refused_change_names_the_attribute_and_changes_nothing() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    let cases = [
        (
            "projects",
            json!({"project": {"name": "demo"}}),
            StatusCode::CONFLICT,
            "demo",
        ),
        (
            "projects",
            json!({"project": {}}),
            StatusCode::BAD_REQUEST,
            "name",
        ),
        (
            "projects",
            json!({"project": {"name": "x".repeat(65)}}),
            StatusCode::BAD_REQUEST,
            "1 to 64",
        ),
        (
            "projects",
            json!({"project": {"name": ""}}),
            StatusCode::BAD_REQUEST,
            "name",
        ),
        (
            "projects",
            json!({"project": {"name": "x", "shoe": 1}}),
            StatusCode::BAD_REQUEST,
            "shoe",
        ),
        (
            "projects",
            json!({"project": {"name": "x", "tags": ["a"]}}),
            StatusCode::BAD_REQUEST,
            "tags",
        ),
        (
            "projects",
            json!({"project": {"name": "x", "is_domain": true}}),
            StatusCode::BAD_REQUEST,
            "is_domain",
        ),
        (
            "projects",
            json!({"project": {"name": "x", "domain_id": "y"}}),
            StatusCode::BAD_REQUEST,
            "domain_id",
        ),
        (
            "projects",
            json!({"project": {"name": "x", "parent_id": "y"}}),
            StatusCode::BAD_REQUEST,
            "parent_id",
        ),
        (
            "projects",
            json!({"project": {"name": "x", "options": {"a": 1}}}),
            StatusCode::BAD_REQUEST,
            "options",
        ),
        (
            "users",
            json!({"user": {"name": "demo"}}),
            StatusCode::CONFLICT,
            "demo",
        ),
        (
            "users",
            json!({"user": {"name": "x".repeat(256)}}),
            StatusCode::BAD_REQUEST,
            "1 to 255",
        ),
        (
            "users",
            json!({"user": {"name": "x", "password": ""}}),
            StatusCode::BAD_REQUEST,
            "password",
        ),
        (
            "users",
            json!({"user": {"name": "x", "default_project_id": "y"}}),
            StatusCode::NOT_FOUND,
            "project",
        ),
        (
            "users",
            json!({"user": {"name": "x", "federated": []}}),
            StatusCode::BAD_REQUEST,
            "federated",
        ),
        (
            "users",
            json!({"user": {"name": "x", "password": ["hush-hush"]}}),
            StatusCode::BAD_REQUEST,
            "line 1",
        ),
    ];
    for (collection, body, status, named) in cases {
        let path = format!("/{collection}");
        let answer = cloud
            .call(Method::POST, &path, &admin, Some(body.clone()))
            .await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{body}: {message}");
        assert!(!message.contains("hush"), "{message}");
    }
    let projects = cloud.get("/projects", &admin).await;
    assert_eq!(projects.body["projects"].as_array().unwrap().len(), 3);
    let users = cloud.get("/users", &admin).await;
    assert_eq!(users.body["users"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn names_may_be_as_long_as_keystones() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    for (collection, noun, chars) in [("projects", "project", 64), ("users", "user", 255)] {
        let body = json!({noun: {"name": "ü".repeat(chars)}});
        let answer = cloud
            .call(Method::POST, &format!("/{collection}"), &admin, Some(body))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_name_is_free_again_after_renaming_and_deleting() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    let (project, user) = make(&cloud, &admin, "blue", "bob").await;
    for (path, noun, name) in [
        (format!("/projects/{project}"), "project", "green"),
        (format!("/users/{user}"), "user", "ben"),
    ] {
        let body = json!({noun: {"name": name, "description": "d"}});
        let answer = cloud.call(Method::PATCH, &path, &admin, Some(body)).await;
        assert_eq!(answer.body[noun]["name"], name);
        assert_eq!(answer.body[noun]["description"], "d");
    }
    let (project, user) = make(&cloud, &admin, "blue", "bob").await;
    set_role(&cloud, &admin, Method::PUT, (&project, &user), Role::Member).await;
    for path in [format!("/projects/{project}"), format!("/users/{user}")] {
        let answer = cloud.call(Method::DELETE, &path, &admin, None).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let answer = cloud.call(Method::DELETE, &path, &admin, None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    let left = cloud.get("/role_assignments", &admin).await;
    assert_eq!(left.body["role_assignments"].as_array().unwrap().len(), 2);
    make(&cloud, &admin, "blue", "bob").await;
}

#[tokio::test]
async fn a_restart_brings_no_deleted_account_back_unless_nobody_can_administrate() {
    let cloud = Cloud::new().await;
    let admin = cloud.token("admin").await;
    let demo = cloud
        .caller(&cloud.token("demo").await)
        .await
        .unwrap()
        .user_id;
    cloud
        .call(Method::DELETE, &format!("/users/{demo}"), &admin, None)
        .await;
    let cloud = cloud.restarted().await;
    let users = cloud.get("/users", &admin).await;
    assert_eq!(users.body["users"].as_array().unwrap().len(), 1);

    // No call does that: it is a damaged database, or one of an earlier program.
    let own = cloud.caller(&admin).await.unwrap().user_id;
    let gone = cloud.store.write(move |tx| {
        let own = own.clone();
        Box::pin(async move {
            tx.delete("identity_user_name", "admin").await?;
            tx.delete("identity_user", &own).await
        })
    });
    assert!(matches!(
        gone.await,
        Ok::<bool, WriteError<EngineError>>(true)
    ));
    let cloud = cloud.restarted().await;
    assert_eq!(cloud.caller(&admin).await, Err(Unauthorized));
    assert!(
        cloud
            .caller(&cloud.token("admin").await)
            .await
            .unwrap()
            .is_admin()
    );
}

#[tokio::test]
async fn the_last_administrator_stays_one_whichever_way_it_would_end() {
    for cloud in [Cloud::new().await, Cloud::postgres().await] {
        let admin = cloud.token("admin").await;
        let own = cloud.caller(&admin).await.unwrap();
        let (user, project) = (own.user_id, own.project_id.0);
        // Who could not log in as one counts for none.
        let (blue, bob) = make(&cloud, &admin, "blue", "bob").await;
        set_role(&cloud, &admin, Method::PUT, (&blue, &bob), Role::Admin).await;
        let off = Some(json!({"project": {"enabled": false}}));
        cloud
            .call(
                Method::PATCH,
                &format!("/projects/{blue}"),
                &admin,
                off.clone(),
            )
            .await;
        let ways = [
            (Method::DELETE, format!("/users/{user}"), None),
            (
                Method::PATCH,
                format!("/users/{user}"),
                Some(json!({"user": {"enabled": false}})),
            ),
            (
                Method::PATCH,
                format!("/users/{user}"),
                Some(json!({"user": {"password": null}})),
            ),
            (Method::DELETE, format!("/projects/{project}"), None),
            (Method::PATCH, format!("/projects/{project}"), off),
            (
                Method::DELETE,
                format!(
                    "/projects/{project}/users/{user}/roles/{}",
                    Role::Admin.id()
                ),
                None,
            ),
        ];
        for (method, path, body) in &ways {
            let answer = cloud.call(method.clone(), path, &admin, body.clone()).await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "{method} {path}");
            let message = answer.body["error"]["message"].as_str().unwrap();
            assert!(message.contains("administrator"), "{message}");
            assert!(cloud.caller(&admin).await.is_ok(), "{method} {path}");
        }
        // Others end as they like, and so does the first once there is a second.
        let (_, eve) = make(&cloud, &admin, "red", "eve").await;
        let path = format!("/users/{eve}");
        let gone = cloud.call(Method::DELETE, &path, &admin, None).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        let on = Some(json!({"project": {"enabled": true}}));
        cloud
            .call(Method::PATCH, &format!("/projects/{blue}"), &admin, on)
            .await;
        let (method, path, body) = ways.into_iter().next().unwrap();
        let answer = cloud.call(method, &path, &admin, body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        cloud.pass(Duration::from_secs(1));
        let left = cloud.log_in("bob", "pw-of-bob", "blue").await;
        assert_eq!(left.status, StatusCode::CREATED, "{}", left.body);
    }
}

#[tokio::test]
async fn of_administrators_that_all_end_at_once_one_is_left() {
    for cloud in [Cloud::new().await, Cloud::postgres().await] {
        let admin = cloud.token("admin").await;
        let own = cloud.caller(&admin).await.unwrap();
        let mut users = vec![own.user_id];
        for name in ["ann", "bob", "eve"] {
            let (project, user) = make(&cloud, &admin, name, name).await;
            set_role(&cloud, &admin, Method::PUT, (&project, &user), Role::Admin).await;
            users.push(user);
        }
        let servers = [cloud.identity.clone(), cloud.second().await];
        let ends = users
            .iter()
            .zip(servers.iter().cycle())
            .map(|(user, server)| changes::delete_user(server.store(), user.clone()));
        let ended = futures::future::join_all(ends).await;
        let refused = ended.iter().filter(|ended| ended.is_err());
        assert_eq!(refused.count(), 1, "{ended:?}");
        assert!(Identity::has_administrator(&cloud.store).await.unwrap());
    }
}

#[tokio::test]
async fn a_cloud_without_an_administrator_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = CloudSettings::with_defaults(uuid::Uuid::from_u128(1));
    let config = StoreConfig::new(folder.path().join("hextet.db"), settings);
    let store = Store::open(config).await.unwrap();
    let opened = Identity::open(store.clone(), IdentityConfig::new("http://[::1]:1"), None).await;
    assert!(matches!(
        opened,
        Err(super::super::OpenIdentityError::NoAdministrator)
    ));
    let config = IdentityConfig {
        token_lifetime: Duration::from_secs(59),
        ..IdentityConfig::new("http://[::1]:1")
    };
    let opened = Identity::open(store, config, Some(&Bootstrap::random())).await;
    assert!(matches!(
        opened,
        Err(super::super::OpenIdentityError::TokenLifetime)
    ));
}

async fn make(cloud: &Cloud, admin: &str, project: &str, user: &str) -> (String, String) {
    let body = json!({"project": {"name": project, "description": "", "domain_id": "default"}});
    let made = cloud
        .call(Method::POST, "/projects", admin, Some(body))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let project_id = made.body["project"]["id"].as_str().unwrap().to_owned();
    let password = format!("pw-of-{user}");
    let body = json!({"user": {"name": user, "password": password, "domain_id": "default"}});
    let made = cloud.call(Method::POST, "/users", admin, Some(body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    (
        project_id,
        made.body["user"]["id"].as_str().unwrap().to_owned(),
    )
}

async fn set_role(
    cloud: &Cloud,
    admin: &str,
    method: Method,
    (project, user): (&str, &str),
    role: Role,
) {
    let path = format!("/projects/{project}/users/{user}/roles/{}", role.id());
    let answer = cloud.call(method.clone(), &path, admin, None).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let answer = cloud.call(Method::HEAD, &path, admin, None).await;
    assert_eq!(
        answer.status == StatusCode::NO_CONTENT,
        method == Method::PUT
    );
}
