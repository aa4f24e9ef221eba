//! What those who watch the server see.

use std::io;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::http::metrics_router;

#[tokio::test]
async fn health_needs_no_token_and_says_what_is_wrong() {
    let cloud = Cloud::new().await;
    let answer = cloud
        .send(Method::GET, "/healthz", &[], String::new())
        .await;
    let parts = json!({"api": "ok", "store": "ok", "feed": "the feed is not served"});
    assert_eq!(
        (answer.status.as_u16(), &answer.body["parts"]),
        (503, &parts)
    );
    cloud.state.hosts.serve(true);
    let answer = cloud
        .send(Method::GET, "/healthz", &[], String::new())
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["status"]),
        (200, &json!("ok"))
    );
    cloud.store.close().await;
    let answer = cloud
        .send(Method::GET, "/healthz", &[], String::new())
        .await;
    let parts = json!({"api": "ok", "store": "the database cannot be used", "feed": "ok"});
    assert_eq!(
        (answer.status.as_u16(), &answer.body["parts"]),
        (503, &parts)
    );
}

#[tokio::test]
async fn metrics_are_not_at_the_public_address() {
    let cloud = Cloud::new().await;
    for token in [None, Some("admin")] {
        let headers: Vec<_> = token
            .map(|who| ("x-auth-token", cloud.tokens[who].as_str()))
            .into_iter()
            .collect();
        let answer = cloud
            .send(Method::GET, "/metrics", &headers, String::new())
            .await;
        answer.check("/metrics", 404, "HTTPNotFound");
    }
}

#[tokio::test]
async fn figures_follow_what_happens() {
    let cloud = Cloud::new().await;
    let network = cloud.network("demo").await;
    let path = format!("networks/{network}");
    for _ in 0..3 {
        cloud.get("demo", &path).await.check("", 200, "");
    }
    cloud
        .get("other", &path)
        .await
        .check("", 404, "NetworkNotFound");
    cloud
        .get("demo", "nowhere")
        .await
        .check("", 404, "HTTPNotFound");
    cloud.port("demo", &network, json!({})).await.made("port");
    let wrong = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "demo", "password": "x", "domain": {"id": "default"},
    }}}}});
    let login = cloud.send(
        Method::POST,
        "/identity/v3/auth/tokens",
        &[],
        wrong.to_string(),
    );
    assert_eq!(login.await.status, 401);

    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let router = metrics_router(cloud.state.clone());
    let response = router.oneshot(request).await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let shown = "hextet_http_request_duration_seconds_count{route=\"/v2.0/networks/{id}\",method=\"GET\",status=";
    let revision = cloud.store.read(Model::generation).await.unwrap().revision;
    for (figure, value) in [
        (format!("{shown}\"2xx\"}}"), 3),
        (format!("{shown}\"4xx\"}}"), 1),
        (
            "hextet_http_request_duration_seconds_count{route=\"none\",method=\"GET\",status=\"4xx\"}".to_owned(),
            1,
        ),
        ("hextet_ports{status=\"DOWN\"}".to_owned(), 1),
        ("hextet_ports{status=\"ACTIVE\"}".to_owned(), 0),
        ("hextet_logins_total{outcome=\"ok\"}".to_owned(), 6),
        ("hextet_logins_total{outcome=\"failed\"}".to_owned(), 1),
        ("hextet_logins_total{outcome=\"damped\"}".to_owned(), 0),
        ("hextet_logins_total{outcome=\"put_off\"}".to_owned(), 0),
        ("hextet_model_revision".to_owned(), revision),
        ("hextet_http_requests_under_way".to_owned(), 0),
    ] {
        assert_eq!(cloud.figure(&figure), value, "{figure}");
    }
    // Nobody wrote beside anybody: each write had a commit of its own.
    let commits = cloud.figure("hextet_store_commits_total");
    assert!(
        commits >= revision,
        "{commits} commits, revision {revision}"
    );
    assert_eq!(cloud.figure("hextet_store_writes_total"), commits);
    assert_eq!(cloud.figure("hextet_store_writes_waiting"), 0);
    let text = cloud.metrics.text().unwrap();
    let seconds = text
        .lines()
        .find_map(|line| line.strip_prefix("hextet_store_commit_seconds_total "));
    assert!(seconds.unwrap().parse::<f64>().unwrap() > 0.0);
    assert!(cloud.figure("process_resident_memory_bytes") > 1_000_000);
    assert!(cloud.figure("process_open_fds") > 2);
}

/// Where the log goes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_request_has_one_line_with_the_id_that_its_client_was_told() {
    let cloud = Cloud::new().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    // With one dispatcher alone, a place that logs is asked about on whichever thread comes there first, and another test's
    // thread answers that nobody listens, for all.
    let silent = tracing_subscriber::fmt().with_max_level(LevelFilter::OFF);
    let _second = tracing::Dispatch::new(silent.finish());
    // A line is written when its answer is on its way: those of before have their turn.
    tokio::task::yield_now().await;
    let guard = tracing::subscriber::set_default(subscriber);
    let global = "req-3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let token = cloud.tokens["demo"].clone();
    let mut ids = Vec::new();
    for client_id in [global, "req-nothing", "x; drop"] {
        let headers = [
            ("x-auth-token", token.as_str()),
            ("x-openstack-request-id", client_id),
        ];
        let answer = cloud
            .send(
                Method::GET,
                "/v2.0/networks?name=x",
                &headers,
                String::new(),
            )
            .await;
        ids.push(
            answer.headers["x-openstack-request-id"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    // And the last one of these.
    tokio::task::yield_now().await;
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let told: Vec<&str> = text.lines().collect();
    assert_eq!(told.len(), 3, "{text}");
    let project = cloud.project("demo").await;
    for (line, id) in told.iter().zip(&ids) {
        for part in [
            format!("id={id}").as_str(),
            "method=GET",
            "route=\"/v2.0/networks\"",
            "status=200",
            "duration_ms=",
            "user=",
            project.as_str(),
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!line.contains(&token), "{line}");
    }
    assert!(told[0].contains(global), "{text}");
    assert!(
        !told[1].contains("global_id") && !told[2].contains("global_id"),
        "{text}"
    );
}
