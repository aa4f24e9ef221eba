//! Every call, and what it answers to nobody, to a member about itself, to a member about another, to an administrator.

use super::*;

/// Method, path, body; then the statuses for: no token, a stranger (member of another project), the member itself (its
/// project, its user), an administrator. `{p}` and `{u}` are the member's project and user, `{r}` is a role's id, `{c}` a
/// credential of the member. Rows run from top to bottom, for the columns from left to right.
const CALLS: &[(&str, &str, &str, [u16; 4])] = &[
    ("GET", "", "", [200, 200, 200, 200]),
    ("GET", "/auth/catalog", "", [401, 200, 200, 200]),
    ("GET", "/auth/projects", "", [401, 200, 200, 200]),
    ("GET", "/auth/domains", "", [401, 200, 200, 200]),
    ("GET", "/auth/tokens", "", [401, 400, 400, 400]),
    ("DELETE", "/auth/tokens", "", [401, 400, 400, 400]),
    ("GET", "/domains", "", [401, 403, 403, 200]),
    ("GET", "/domains?name=Default", "", [401, 403, 403, 200]),
    ("GET", "/domains/default", "", [401, 200, 200, 200]),
    ("GET", "/domains/other", "", [401, 404, 404, 404]),
    ("GET", "/regions", "", [401, 200, 200, 200]),
    ("GET", "/regions/RegionOne", "", [401, 200, 200, 200]),
    ("GET", "/regions/other", "", [401, 404, 404, 404]),
    ("GET", "/services", "", [401, 403, 403, 200]),
    (
        "GET",
        "/services/6865787465740000000000000000c002",
        "",
        [401, 403, 403, 200],
    ),
    ("GET", "/services/other", "", [401, 403, 403, 404]),
    ("GET", "/endpoints", "", [401, 403, 403, 200]),
    (
        "GET",
        "/endpoints/6865787465740000000000000000e022",
        "",
        [401, 403, 403, 200],
    ),
    ("GET", "/endpoints/other", "", [401, 403, 403, 404]),
    ("GET", "/roles", "", [401, 403, 403, 200]),
    ("GET", "/roles?name=manager", "", [401, 403, 403, 200]),
    ("GET", "/roles/{r}", "", [401, 403, 403, 200]),
    ("GET", "/roles/other", "", [401, 403, 403, 404]),
    ("GET", "/role_assignments", "", [401, 403, 403, 200]),
    (
        "GET",
        "/role_assignments?user.id={u}&include_names",
        "",
        [401, 403, 403, 200],
    ),
    ("GET", "/projects", "", [401, 200, 200, 200]),
    ("GET", "/projects/{p}", "", [401, 403, 200, 200]),
    ("GET", "/projects/other", "", [401, 403, 403, 404]),
    (
        "POST",
        "/projects",
        r#"{"project": {"name": "new"}}"#,
        [401, 403, 403, 201],
    ),
    (
        "PATCH",
        "/projects/{p}",
        r#"{"project": {"description": "d"}}"#,
        [401, 403, 403, 200],
    ),
    (
        "PATCH",
        "/projects/other",
        r#"{"project": {}}"#,
        [401, 403, 403, 404],
    ),
    ("GET", "/users", "", [401, 403, 403, 200]),
    ("GET", "/users/{u}", "", [401, 403, 200, 200]),
    ("GET", "/users/other", "", [401, 403, 403, 404]),
    ("GET", "/users/{u}/projects", "", [401, 403, 200, 200]),
    (
        "POST",
        "/users",
        r#"{"user": {"name": "new"}}"#,
        [401, 403, 403, 201],
    ),
    (
        "PATCH",
        "/users/{u}",
        r#"{"user": {"description": "d"}}"#,
        [401, 403, 403, 200],
    ),
    (
        "PATCH",
        "/users/other",
        r#"{"user": {}}"#,
        [401, 403, 403, 404],
    ),
    (
        "GET",
        "/projects/{p}/users/{u}/roles",
        "",
        [401, 403, 403, 200],
    ),
    (
        "PUT",
        "/projects/{p}/users/{u}/roles/{r}",
        "",
        [401, 403, 403, 204],
    ),
    (
        "PUT",
        "/projects/{p}/users/{u}/roles/other",
        "",
        [401, 403, 403, 404],
    ),
    (
        "PUT",
        "/projects/other/users/{u}/roles/{r}",
        "",
        [401, 403, 403, 404],
    ),
    (
        "PUT",
        "/projects/{p}/users/other/roles/{r}",
        "",
        [401, 403, 403, 404],
    ),
    (
        "HEAD",
        "/projects/{p}/users/{u}/roles/{r}",
        "",
        [401, 403, 403, 204],
    ),
    (
        "GET",
        "/projects/{p}/users/{u}/roles/{r}",
        "",
        [401, 403, 403, 204],
    ),
    (
        "DELETE",
        "/projects/{p}/users/{u}/roles/{r}",
        "",
        [401, 403, 403, 204],
    ),
    (
        "GET",
        "/users/{u}/application_credentials",
        "",
        [401, 403, 200, 200],
    ),
    (
        "GET",
        "/users/other/application_credentials",
        "",
        [401, 403, 403, 404],
    ),
    (
        "GET",
        "/users/{u}/application_credentials/{c}",
        "",
        [401, 403, 200, 200],
    ),
    (
        "GET",
        "/users/{u}/application_credentials/other",
        "",
        [401, 403, 404, 404],
    ),
    (
        "POST",
        "/users/{u}/application_credentials",
        r#"{"application_credential": {"name": "new"}}"#,
        [401, 403, 201, 403],
    ),
    (
        "DELETE",
        "/users/{u}/application_credentials/other",
        "",
        [401, 403, 404, 404],
    ),
    (
        "DELETE",
        "/users/{u}/application_credentials/{c}",
        "",
        [401, 403, 204, 404],
    ),
    (
        "POST",
        "/hextet/token_keys",
        r#"{"token_key": {}}"#,
        [401, 403, 403, 201],
    ),
    ("GET", "/groups", "", [404, 404, 404, 404]),
    ("PUT", "/users", "", [405, 405, 405, 405]),
    ("DELETE", "/users/other", "", [401, 403, 403, 404]),
    ("DELETE", "/projects/other", "", [401, 403, 403, 404]),
    ("DELETE", "/users/{u}", "", [401, 403, 403, 204]),
    ("DELETE", "/projects/{p}", "", [401, 403, 401, 204]),
];

/// A cloud with a stranger, and what the placeholders stand for.
async fn peopled(cloud: Cloud) -> (Cloud, [String; 4], Vec<(&'static str, String)>) {
    let (admin, demo) = (cloud.token("admin").await, cloud.token("demo").await);
    let body = json!({"project": {"name": "elsewhere"}});
    let made = cloud
        .call(Method::POST, "/projects", &admin, Some(body))
        .await;
    let project = made.body["project"]["id"].as_str().unwrap().to_owned();
    let body = json!({"user": {"name": "stranger", "password": "pw"}});
    let made = cloud.call(Method::POST, "/users", &admin, Some(body)).await;
    let user = made.body["user"]["id"].as_str().unwrap();
    let member = Role::Member.id();
    let grant = format!("/projects/{project}/users/{user}/roles/{member}");
    cloud.call(Method::PUT, &grant, &admin, None).await;
    let stranger = cloud
        .log_in("stranger", "pw", "elsewhere")
        .await
        .token
        .unwrap();

    let caller = cloud.caller(&demo).await.unwrap();
    let path = format!("/users/{}/application_credentials", caller.user_id);
    let body = json!({"application_credential": {"name": "robot"}});
    let made = cloud.call(Method::POST, &path, &demo, Some(body)).await;
    let credential = made.body["application_credential"]["id"].as_str().unwrap();
    let places = vec![
        ("{p}", caller.project_id.0.to_string()),
        ("{u}", caller.user_id.to_string()),
        ("{r}", Role::Manager.id().to_owned()),
        ("{c}", credential.to_owned()),
    ];
    (cloud, [String::new(), stranger, demo, admin], places)
}

fn filled(text: &str, places: &[(&'static str, String)]) -> String {
    let fill = |text: String, (name, value): &(&str, String)| text.replace(name, value);
    places.iter().fold(text.to_owned(), fill)
}

#[tokio::test]
async fn each_call_answers_each_kind_of_caller() {
    let (cloud, tokens, places) = peopled(Cloud::new().await).await;
    let mut wrong = Vec::new();
    for (method, path, body, statuses) in CALLS {
        for (token, status) in tokens.iter().zip(statuses) {
            let method: Method = method.parse().unwrap();
            let body = serde_json::from_str(body).ok();
            let answer = cloud
                .call(method.clone(), &filled(path, &places), token, body)
                .await;
            let column = tokens.iter().position(|other| other == token).unwrap();
            if answer.status != *status {
                wrong.push(format!(
                    "{method} {path} [{column}]: {} {}",
                    answer.status, answer.body
                ));
            }
            let refused = answer.status.is_client_error() && method != Method::HEAD;
            if refused && answer.body["error"]["code"] != answer.status.as_u16() {
                wrong.push(format!(
                    "{method} {path} [{column}]: not Keystone's form: {}",
                    answer.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn hostile_bodies_and_ids_are_the_callers_fault() {
    hostile(Cloud::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_and_ids_are_the_callers_fault_on_postgresql() {
    hostile(Cloud::postgres().await).await;
}

/// What is no request, for every call that takes a body and for every id.
async fn hostile(cloud: Cloud) {
    let (cloud, [.., admin], places) = peopled(cloud).await;
    let deep = "[".repeat(16_000);
    let deeper = r#"{"auth":"#.repeat(3_000);
    let bodies = [
        "",
        "null",
        "0",
        "\"x\"",
        "[]",
        "{}",
        "{",
        "\u{0}",
        &deep,
        &deeper,
        "{\"a\":1e999}",
        r#"{"auth": null}"#,
        r#"{"auth": {"identity": {"methods": "password"}}}"#,
        r#"{"auth": {"identity": {"methods": [7]}}}"#,
        r#"{"auth": {"identity": [], "scope": []}}"#,
        r#"{"auth": {"identity": {"methods": ["token"], "token": {"id": "\u0000"}}}}"#,
        r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "\u0000", "password": ""}}}}}"#,
        r#"{"project": []}"#,
        r#"{"project": {"name": 7}}"#,
        r#"{"project": {"name": "a\u0000b"}}"#,
        r#"{"project": {"name": "x", "name": "y"}}"#,
        r#"{"project": {"enabled": "yes"}}"#,
        r#"{"user": []}"#,
        r#"{"user": {"name": {}}}"#,
        r#"{"user": {"name": "a\nb"}}"#,
        r#"{"user": {"name": "x", "default_project_id": "\u0000"}}"#,
        r#"{"user": {"name": "x", "email": 7}}"#,
        r#"{"user": {"password": {"a": []}}}"#,
        r#"{"application_credential": {"name": "x", "roles": "member"}}"#,
        r#"{"application_credential": {"name": "x", "roles": [7]}}"#,
        r#"{"application_credential": {"name": "x", "expires_at": "-009999-01-01T00:00:00"}}"#,
        r#"{"token_key": {"end_tokens": 1}}"#,
        r#"{"token_key": 7}"#,
    ];
    let mut asked = 0;
    for (method, path, ..) in CALLS {
        let takes_body = matches!(*method, "POST" | "PATCH");
        for body in bodies.iter().filter(|_| takes_body) {
            let request = Request::builder()
                .method(*method)
                .uri(format!("/identity/v3{}", filled(path, &places)))
                .header("x-auth-token", &admin)
                .body(Body::from((*body).to_owned()));
            let answer = cloud.send(request.unwrap()).await;
            let shown = &body[..body.len().min(80)];
            assert!(
                answer.status.is_client_error(),
                "{path} {shown}: {}",
                answer.status
            );
            assert_eq!(
                answer.body["error"]["code"],
                answer.status.as_u16(),
                "{path} {shown}"
            );
            asked += 1;
        }
        for bad in ["%00", "%2F", "..", "%F0%9F%92%A9", &"x".repeat(5_000)] {
            let ids = places.iter().map(|(name, _)| (*name, bad.to_owned()));
            let path = filled(path, &ids.collect::<Vec<_>>());
            if path == filled(&path, &places) && !path.contains(bad) {
                continue;
            }
            let method: Method = method.parse().unwrap();
            let answer = cloud.call(method.clone(), &path, &admin, None).await;
            assert!(
                answer.status.as_u16() < 500,
                "{method} {path}: {}",
                answer.status
            );
        }
    }
    assert!(asked > 150, "{asked} requests with bodies");
}
