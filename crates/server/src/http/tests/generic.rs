use super::*;

#[tokio::test]
async fn versions_need_no_token_and_everything_else_does() {
    let cloud = Cloud::new().await;
    let headers = [("host", "cloud.example:9696")];
    let answer = cloud.send(Method::GET, "/", &headers, String::new()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": [
            {"href": "http://cloud.example:9696/v2.0/", "rel": "self"},
        ]}]})
    );
    for path in [
        "/v2.0/",
        "/v2.0/networks",
        "/v2.0/extensions",
        "/v2.0/ports/x",
        "/v2.0/subnets.json",
    ] {
        let answer = cloud.send(Method::GET, path, &headers, String::new()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            answer.body,
            json!({"error": {
                "code": 401,
                "title": "Unauthorized",
                "message": "The request you have made requires authentication.",
            }})
        );
        assert_eq!(
            answer.headers["www-authenticate"],
            "Keystone uri=\"http://cloud.example:9696/identity\""
        );
    }
    let headers = [("x-auth-token", "no such token")];
    let answer = cloud
        .send(Method::POST, "/v2.0/networks", &headers, String::new())
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_slash_at_the_end_and_json_mean_nothing() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    for path in [
        "networks",
        "networks/",
        "networks.json",
        "networks?fields=id",
        "networks.json?fields=id",
        "networks/?fields=id",
    ] {
        assert_eq!(
            cloud.get("demo", path).await.ids("networks"),
            [&id],
            "{path}"
        );
    }
    let shown = cloud.get("demo", &format!("networks/{id}.json")).await;
    assert_eq!(shown.status, StatusCode::OK);
    let root = cloud.get("demo", "").await;
    assert_eq!(root.body["resources"][0]["collection"], "networks");
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_say_so() {
    let cloud = Cloud::new().await;
    let none = uuid::Uuid::from_u128(9).to_string();
    cloud
        .get("demo", "routers")
        .await
        .check("collection", 404, "HTTPNotFound");
    cloud
        .get("demo", "extensions/router")
        .await
        .check("extension", 404, "HTTPNotFound");
    cloud
        .call("demo", Method::PATCH, "/v2.0/networks", &[], String::new())
        .await
        .check("PATCH", 405, "HTTPMethodNotAllowed");
    for (collection, kind) in [
        ("networks", "NetworkNotFound"),
        ("subnets", "SubnetNotFound"),
        ("ports", "PortNotFound"),
    ] {
        let noun = collection.trim_end_matches('s');
        for id in [none.as_str(), "no-uuid"] {
            let path = format!("{collection}/{id}");
            cloud.get("demo", &path).await.check(&path, 404, kind);
            cloud.delete("demo", &path).await.check(&path, 404, kind);
            let body = json!({noun: {"name": "x"}});
            cloud.put("demo", &path, body).await.check(&path, 404, kind);
        }
    }
}

/// Why, the body of a POST, what the answer says.
#[rustfmt::skip]
const UNUSABLE: &[(&str, &str, &str)] = &[
    ("no JSON", "{", "not JSON"),
    ("no object", "[]", "JSON object"),
    ("no resource key", r#"{"net": {}}"#, "'network'"),
    ("unknown", r#"{"network": {"colour": 1, "taste": 2}}"#, "Unrecognized attribute(s) 'colour, taste'"),
    ("read-only", r#"{"network": {"status": "ACTIVE"}}"#, "Attribute 'status' not allowed in POST"),
    ("no text", r#"{"network": {"name": null}}"#, "Invalid input for name. Reason: 'null' is not a valid string"),
    ("no boolean", r#"{"network": {"admin_state_up": "x"}}"#, "Invalid input for admin_state_up. Reason: 'x' cannot be converted to boolean"),
    ("two projects", r#"{"network": {"project_id": "a", "tenant_id": "b"}}"#, "do not match"),
    ("external", r#"{"network": {"router:external": true}}"#, "Invalid input for router:external. Reason: 'true' is not supported; false is allowed"),
    ("segment", r#"{"network": {"provider:segmentation_id": "x"}}"#, "Invalid input for provider:segmentation_id. Reason: 'x' is not an integer"),
    ("segments", r#"{"network": {"segments": []}}"#, "leave it out"),
    ("empty bulk", r#"{"networks": []}"#, "1 to 1000"),
];

#[tokio::test]
async fn a_body_that_cannot_be_used_is_refused_by_name() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    let long = json!({"network": {"name": "x".repeat(256)}}).to_string();
    let deep = format!("{{\"network\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let made = [
        (
            "long name",
            long.as_str(),
            "Invalid input for name. Reason: a text of 256 characters exceeds maximum length of 255",
        ),
        ("too deep", deep.as_str(), "32 deep"),
    ];
    for (why, body, told) in UNUSABLE.iter().chain(&made) {
        let answer = cloud
            .call(
                "admin",
                Method::POST,
                "/v2.0/networks",
                &[],
                (*body).to_owned(),
            )
            .await;
        answer.check(why, 400, "HTTPBadRequest");
        assert!(answer.message().contains(told), "{why}: {answer:?}");
    }
    let path = format!("networks/{id}");
    for name in ["id", "tenant_id", "status"] {
        let answer = cloud
            .put("demo", &path, json!({"network": {name: id}}))
            .await;
        answer.check(name, 400, "HTTPBadRequest");
        assert_eq!(
            answer.message(),
            format!("Cannot update read-only attribute {name}")
        );
    }
}

#[tokio::test]
async fn bulk_is_all_or_nothing() {
    let cloud = Cloud::new().await;
    let made = cloud
        .post(
            "demo",
            "networks",
            json!({"networks": [{"name": "a"}, {"name": "b"}]}),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.body["networks"].as_array().unwrap().len(), 2);
    let answer = cloud
        .post(
            "demo",
            "networks",
            json!({"networks": [{"name": "c"}, {"mtu": 9000}]}),
        )
        .await;
    answer.check("one is wrong", 400, "InvalidInput");
    assert_eq!(cloud.get("demo", "networks").await.ids("networks").len(), 2);
}

#[tokio::test]
async fn objects_of_bulk_may_stand_below_their_noun() {
    let cloud = Cloud::new().await;
    let made = cloud
        .post(
            "demo",
            "networks",
            json!({"networks": [{"network": {"name": "a"}}, {"name": "b"}]}),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.body["networks"][0]["name"], "a");
    let answer = cloud
        .post(
            "demo",
            "networks",
            json!({"networks": [{"network": {}, "name": "c"}]}),
        )
        .await;
    answer.check("beside the noun", 400, "HTTPBadRequest");
}

#[tokio::test]
async fn filters_are_or_within_and_and_between_attributes() {
    let cloud = Cloud::new().await;
    for (name, up) in [("a", true), ("b", false), ("c", true), ("", true)] {
        let network = json!({"network": {"name": name, "admin_state_up": up}});
        cloud
            .post("demo", "networks", network)
            .await
            .made("network");
    }
    let names = async |query: &str| {
        let answer = cloud.get("demo", &format!("networks?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
        let networks = answer.body["networks"].as_array().unwrap().clone();
        let mut names: Vec<String> = networks
            .iter()
            .map(|network| network["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names("name=a&name=b").await, "a b");
    assert_eq!(names("name=a&name=b&admin_state_up=True").await, "a");
    assert_eq!(names("admin_state_up=0").await, "b");
    assert_eq!(names("name=").await, "");
    assert_eq!(names("name=&name=c").await, " c");
    assert_eq!(names("name=%61").await, "a");
    assert_eq!(names("router:external=True").await, "");
    assert_eq!(names("shared=False&mtu=1430&name=c").await, "c");
    assert_eq!(names("tenant_id=nobody").await, "");
    let own = cloud.project("demo").await;
    assert_eq!(names(&format!("project_id={own}&name=a")).await, "a");
    assert_eq!(names(&format!("tenant_id={own}&name=a")).await, "a");
    let both = format!("project_id={own}&tenant_id=nobody&name=a");
    assert_eq!(
        names(&both).await,
        "",
        "two names of one attribute are both wanted"
    );
    let either = format!("tenant_id={own}&tenant_id=nobody&name=a");
    assert_eq!(names(&either).await, "a");
    let id = cloud.get("demo", "networks?name=a").await.ids("networks")[0].to_owned();
    assert_eq!(names(&format!("id={id}&id=other")).await, "a");
    for query in ["colour=red", "subnets=x", "marker=&colour=x"] {
        let answer = cloud.get("demo", &format!("networks?{query}")).await;
        answer.check(query, 400, "HTTPBadRequest");
    }
}

#[tokio::test]
async fn fields_restrict_what_is_shown() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    let answer = cloud
        .get("demo", "networks?fields=id&fields=mtu&fields=no")
        .await;
    assert_eq!(answer.body, json!({"networks": [{"id": id, "mtu": 1430}]}));
    let answer = cloud
        .get("demo", &format!("networks/{id}?fields=name"))
        .await;
    assert_eq!(answer.body, json!({"network": {"name": "n"}}));
    let answer = cloud.get("demo", "networks?fields=no").await;
    assert_eq!(answer.body, json!({"networks": [{}]}));
}

#[tokio::test]
async fn if_match_makes_a_request_conditional() {
    let (cloud, nouns) = listing::one_of_each().await;
    // From the port to its network, as each must go before what it is on.
    for (noun, id) in nouns.iter().rev() {
        let path = format!("/v2.0/{noun}s/{id}");
        let shown = cloud.get("demo", &format!("{noun}s/{id}")).await;
        let now = shown.body[noun]["revision_number"].as_u64().unwrap();
        let (now, next) = (
            format!("revision_number={now}"),
            format!("revision_number={}", now + 1),
        );
        let rename = json!({*noun: {"name": "m"}}).to_string();
        for (method, header, status, kind) in [
            (
                Method::PUT,
                "revision_number=77",
                412,
                "RevisionNumberConstraintFailed",
            ),
            (Method::PUT, "7", 400, "BadRequest"),
            (Method::PUT, &now, 200, ""),
            (Method::PUT, &now, 412, "RevisionNumberConstraintFailed"),
            (Method::DELETE, &now, 412, "RevisionNumberConstraintFailed"),
            (Method::DELETE, &next, 204, ""),
        ] {
            let body = if method == Method::PUT {
                rename.clone()
            } else {
                String::new()
            };
            let answer = cloud
                .call("demo", method, &path, &[("if-match", header)], body)
                .await;
            answer.check(&format!("{noun} {header}"), status, kind);
        }
    }
}

#[tokio::test]
async fn every_extension_that_is_listed_can_be_shown() {
    let cloud = Cloud::new().await;
    let answer = cloud.get("rita", "extensions").await;
    let extensions = answer.body["extensions"].as_array().unwrap();
    assert!(!extensions.is_empty());
    for extension in extensions {
        let alias = extension["alias"].as_str().unwrap();
        let shown = cloud.get("rita", &format!("extensions/{alias}")).await;
        assert_eq!(shown.body["extension"], *extension);
    }
}

#[tokio::test]
async fn identity_answers_without_its_prefix_too_and_names_itself_with_it() {
    let cloud = Cloud::new().await;
    for path in ["/v3", "/v3/", "/v3/auth/projects?x=1", "/v3x"] {
        let request = Request::get(path)
            .header("host", "cloud.example")
            .header("x-auth-token", &cloud.tokens["demo"]);
        let request = request.body(Body::empty()).unwrap();
        let response = cloud.router.clone().oneshot(request).await.unwrap();
        let known = path != "/v3x";
        assert_eq!(response.status() == StatusCode::OK, known, "{path}");
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(octets.to_vec()).unwrap();
        let link = "http://cloud.example/identity/v3/";
        assert_eq!(text.contains(link), known, "{path}: {text}");
    }
}

#[tokio::test]
async fn what_needs_no_token_needs_none_without_the_prefix_either() {
    let cloud = Cloud::new().await;
    let user = json!({"name": "demo", "password": "pw", "domain": {"id": "default"}});
    let login =
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
    // The edge reads no stranger's body but these; it must know them by the paths that their handlers have.
    let mut id = String::new();
    for path in [
        "/identity/v3/auth/tokens",
        "/v3/auth/tokens",
        "/v3/auth/tokens/",
    ] {
        let answer = cloud.send(Method::POST, path, &[], login.to_string()).await;
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        assert!(answer.headers.contains_key("x-subject-token"), "{path}");
        id = answer.body["token"]["user"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    let change = json!({"user": {"original_password": "pw", "password": "new"}});
    let path = format!("/v3/users/{id}/password/");
    let answer = cloud
        .send(Method::POST, &path, &[], change.to_string())
        .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let refused = cloud
        .send(Method::POST, "/v3/users", &[], change.to_string())
        .await;
    assert_eq!(refused.status, 401, "{refused:?}");
}

#[tokio::test]
async fn a_query_that_nothing_reads_is_refused() {
    let cloud = Cloud::new().await;
    let id = cloud.network("demo").await;
    for (method, path, body) in [
        ("POST", "networks?colour=red", r#"{"network": {}}"#),
        ("PUT", "networks/ID?fields=id", r#"{"network": {}}"#),
        ("DELETE", "networks/ID?force=true", ""),
        ("GET", "networks/ID/tags?limit=1", ""),
        ("PUT", "networks/ID/tags/x?y", ""),
        ("GET", "quotas?project_id=x", ""),
        ("GET", "quotas/project?x=1", ""),
        ("GET", "extensions?alias=binding", ""),
        ("GET", "extensions/binding?fields=alias", ""),
    ] {
        let path = format!("/v2.0/{}", path.replace("ID", &id));
        let method = method.parse().unwrap();
        let answer = cloud
            .call("admin", method, &path, &[], body.to_owned())
            .await;
        answer.check(&path, 400, "HTTPBadRequest");
        let (_, query) = path.split_once('?').unwrap();
        let name = query.split('=').next().unwrap();
        assert!(
            answer.message().starts_with(&format!("'{name}'")),
            "{answer:?}"
        );
    }
    let shown = cloud.get("demo", &format!("networks/{id}?fields=id")).await;
    assert_eq!(shown.body, json!({"network": {"id": id}}));
}
