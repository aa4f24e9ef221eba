//! Hostile and clumsy clients, on real sockets.

use std::net::SocketAddr;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::http::Site;
use crate::http::bounds::{
    BODY_BYTES_MAX, HEAD_BUFFER_MAX, HEADER_BYTES_MAX, HEADERS_MAX, HEADERS_PARSED_MAX,
    IDENTITY_BODY_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX, OPEN_BODIES_EACH, URI_BYTES_MAX,
};
use crate::identity::Source;

/// Shorter than any client of these tests takes that is meant to be slow.
const SHORT: Duration = Duration::from_millis(50);

/// A client that writes octets.
struct Client {
    stream: TcpStream,
    /// What was read beyond the answers that were looked at.
    rest: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
struct Raw {
    status: u16,
    head: String,
    body: String,
}

impl Raw {
    fn kind(&self) -> String {
        let body: Json = serde_json::from_str(&self.body).unwrap_or_default();
        body["NeutronError"]["type"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Client {
    async fn new(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            rest: Vec::new(),
        }
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    /// The next answer; one to HEAD has no body, whatever its length says.
    async fn answer_to(&mut self, method: &str) -> Raw {
        let end = loop {
            let end = self.rest.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            assert!(self.more().await > 0, "closed: {:?}", self.rest);
        };
        let head: Vec<u8> = self.rest.drain(..end).collect();
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = match method {
            "HEAD" => 0,
            _ => length.map_or(0, |length| length.parse().unwrap()),
        };
        while self.rest.len() < length {
            assert!(self.more().await > 0, "closed within a body: {head}");
        }
        let body: Vec<u8> = self.rest.drain(..length).collect();
        Raw {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    async fn answer(&mut self) -> Raw {
        self.answer_to("GET").await
    }

    async fn more(&mut self) -> usize {
        let mut octets = [0; 4096];
        let read = self.stream.read(&mut octets).await.unwrap_or(0);
        self.rest.extend_from_slice(&octets[..read]);
        read
    }

    /// Returns when the server has closed the connection; nothing may come before.
    async fn closed(mut self) {
        assert_eq!(
            self.more().await,
            0,
            "{:?}",
            String::from_utf8_lossy(&self.rest)
        );
        assert!(
            self.rest.is_empty(),
            "{:?}",
            String::from_utf8_lossy(&self.rest)
        );
    }
}

impl Cloud {
    /// Listens within these bounds.
    async fn listen(bounds: Bounds) -> (Self, SocketAddr) {
        let cloud = Self::within(bounds).await;
        let address = cloud.serve(cloud.router.clone(), bounds).await;
        (cloud, address)
    }

    pub(super) async fn serve(&self, router: Router, bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site {
            router,
            tls: None,
            bounds,
            metrics: self.metrics.clone(),
            access_log: true,
            lanes: crate::http::Lanes::here(),
        };
        tokio::spawn(crate::http::serve(listener, site, std::future::pending()));
        address
    }

    /// A head with demo's token and what else is to be in it.
    fn head(&self, line: &str, more: &str) -> String {
        let token = &self.tokens["demo"];
        format!("{line} HTTP/1.1\r\nhost: x\r\nx-auth-token: {token}\r\n{more}\r\n")
    }

    /// A figure as the metrics tell it; 0 where they do not.
    pub(super) fn figure(&self, name: &str) -> u64 {
        let text = self.metrics.text().unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }
}

/// As long as the body is, and the body.
fn content(body: &str) -> String {
    format!("content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn what_is_too_large_is_told_apart() {
    let (cloud, address) = Cloud::listen(patient()).await;
    let long = format!("GET /v2.0/networks?name={}", "x".repeat(URI_BYTES_MAX));
    let many: String = (0..HEADERS_MAX).map(|n| format!("x-{n}: 1\r\n")).collect();
    let wide = format!("x-wide: {}\r\n", "x".repeat(HEADER_BYTES_MAX));
    let body = format!("content-length: {}\r\n", BODY_BYTES_MAX + 1);
    let logins = format!("content-length: {}\r\n", IDENTITY_BODY_BYTES_MAX + 1);
    for (line, more, status, kind) in [
        (long.as_str(), "", 414, "HTTPRequestURITooLong"),
        (
            "GET /v2.0/networks",
            many.as_str(),
            431,
            "HTTPRequestHeaderFieldsTooLarge",
        ),
        (
            "GET /v2.0/networks",
            wide.as_str(),
            431,
            "HTTPRequestHeaderFieldsTooLarge",
        ),
        (
            "POST /v2.0/networks",
            body.as_str(),
            413,
            "HTTPRequestEntityTooLarge",
        ),
        ("POST /identity/v3/auth/tokens", logins.as_str(), 413, ""),
        ("POST /v3/auth/tokens/", logins.as_str(), 413, ""),
    ] {
        let mut client = Client::new(address).await;
        client.send(cloud.head(line, more)).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (status, kind),
            "{answer:?}"
        );
        assert!(
            answer.head.contains("x-openstack-request-id: req-"),
            "{answer:?}"
        );
    }
    assert_eq!(
        cloud.figure("hextet_http_refused_total{reason=\"body_too_large\"}"),
        3
    );
}

#[tokio::test]
async fn what_the_parser_refuses_is_told_in_the_same_form() {
    let (cloud, address) = Cloud::listen(patient()).await;
    let endless = format!("x-endless: {}", "x".repeat(HEAD_BUFFER_MAX));
    let fields: String = (0..=HEADERS_PARSED_MAX)
        .map(|n| format!("x-{n}: 1\r\n"))
        .collect();
    let cases = [
        (
            cloud.head("GET /", &endless),
            431,
            "HTTPRequestHeaderFieldsTooLarge",
        ),
        (
            cloud.head("GET /", &fields),
            431,
            "HTTPRequestHeaderFieldsTooLarge",
        ),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400, "HTTPBadRequest"),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            400,
            "HTTPBadRequest",
        ),
        ("\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), 400, "HTTPBadRequest"),
        (
            "GET /\u{7f} HTTP/1.1\r\n\r\n".to_owned(),
            400,
            "HTTPBadRequest",
        ),
        (cloud.head("GET /", "a field: 1\r\n"), 400, "HTTPBadRequest"),
        (cloud.head("GET /", "no colon\r\n"), 400, "HTTPBadRequest"),
        (
            cloud.head("POST /v2.0/networks", "content-length: x\r\n"),
            400,
            "HTTPBadRequest",
        ),
    ];
    for before in [String::new(), cloud.head("GET /v2.0/networks", "")] {
        for (head, status, kind) in &cases {
            let mut client = Client::new(address).await;
            client.send(format!("{before}{head}")).await;
            if !before.is_empty() {
                assert_eq!(client.answer().await.status, 200);
            }
            let answer = client.answer().await;
            let told = (answer.status, answer.kind());
            assert_eq!(
                told,
                (*status, (*kind).to_owned()),
                "{head:.40}: {answer:?}"
            );
            for field in [
                "x-openstack-request-id: req-",
                "content-type: application/json\r\n",
            ] {
                assert!(answer.head.contains(field), "{answer:?}");
            }
            client.closed().await;
        }
    }
    let figure =
        |reason| cloud.figure(&format!("hextet_http_refused_total{{reason=\"{reason}\"}}"));
    assert_eq!(figure("headers_too_large"), 4);
    assert_eq!(figure("head_broken"), 14);
}

#[tokio::test]
async fn a_body_in_chunks_is_bounded_too() {
    let (cloud, address) = Cloud::listen(patient()).await;
    let head = cloud.head("POST /v2.0/networks", "transfer-encoding: chunked\r\n");
    let mut client = Client::new(address).await;
    client
        .send(format!(
            "{head}8\r\n{{\"networ\r\n7\r\nk\": {{}}}}\r\n0\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer().await.status, 201);
    client.send(&head).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..=BODY_BYTES_MAX / 0x10000 {
        client.send(&chunk).await;
    }
    assert_eq!(client.answer().await.kind(), "HTTPRequestEntityTooLarge");
    for broken in ["x\r\n", "5\r\nabcdefgh\r\n"] {
        let mut client = Client::new(address).await;
        client.send(format!("{head}{broken}")).await;
        assert_eq!(client.answer().await.status, 400, "{broken}");
    }
    // What says its length twice is read by its chunks, or not at all.
    let both = cloud.head(
        "POST /v2.0/networks",
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
    );
    let mut client = Client::new(address).await;
    client
        .send(format!("{both}f\r\n{{\"network\": {{}}}}\r\n0\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.status, 201);
    for length in ["-1", "x", "1, 2", "99999999999999999999999"] {
        let wrong = cloud.head(
            "POST /v2.0/networks",
            &format!("content-length: {length}\r\n"),
        );
        let mut client = Client::new(address).await;
        client.send(wrong).await;
        assert_eq!(client.answer().await.status, 400, "{length}");
    }
}

#[tokio::test]
async fn what_is_no_json_is_told_apart() {
    let (cloud, address) = Cloud::listen(patient()).await;
    let deep = "[".repeat(JSON_DEPTH_MAX + 1);
    let many = format!("[{}0]", "0,".repeat(JSON_VALUES_MAX));
    for (more, body, status, kind) in [
        (
            "content-type: text/xml\r\n",
            "{}",
            415,
            "HTTPUnsupportedMediaType",
        ),
        (
            "content-encoding: gzip\r\n",
            "{}",
            415,
            "HTTPUnsupportedMediaType",
        ),
        ("expect: a-miracle\r\n", "{}", 417, "HTTPExpectationFailed"),
        ("", deep.as_str(), 400, "HTTPBadRequest"),
        ("", many.as_str(), 400, "HTTPBadRequest"),
        ("", "{", 400, "HTTPBadRequest"),
    ] {
        let mut client = Client::new(address).await;
        let head = cloud.head("POST /v2.0/networks", more);
        client.send(format!("{}{}", head.trim_end(), "\r\n")).await;
        client.send(content(body)).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (status, kind),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_stranger_is_refused_before_his_body_is_read() {
    let (_cloud, address) = Cloud::listen(patient()).await;
    for line in [
        "POST /v2.0/networks",
        "POST /v2.0/networks.json",
        "POST /v3/users/",
        "PUT /v2.0/ports/x",
        "POST /identity/v3/users",
        "PATCH /identity/v3/projects/x",
        "PATCH /v3/projects/x",
    ] {
        for token in ["", "x-auth-token: nobody\r\n"] {
            let mut client = Client::new(address).await;
            let head = format!("{line} HTTP/1.1\r\nhost: x\r\n{token}content-length: 100\r\n\r\n");
            client.send(head).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 401, "{line}: {answer:?}");
            assert!(!answer.head.contains("100 continue"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_slow_body_holds_no_place_and_has_its_time() {
    let bounds = Bounds {
        requests: 1,
        ..patient()
    };
    let (cloud, address) = Cloud::listen(bounds).await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = Client::new(address).await;
        let more = "content-length: 15\r\nexpect: 100-continue\r\n";
        client.send(cloud.head("POST /v2.0/networks", more)).await;
        // The server asks for the body: the request is under way.
        assert_eq!(client.answer().await.status, 100);
        slow.push(client);
    }
    let mut quick = Client::new(address).await;
    quick.send(cloud.head("GET /v2.0/networks", "")).await;
    assert_eq!(quick.answer().await.status, 200);
    for client in &mut slow {
        client.send("{\"network\": {}}").await;
        assert_eq!(client.answer().await.status, 201);
    }

    let bounds = Bounds {
        body_time: SHORT,
        ..patient()
    };
    let (cloud, address) = Cloud::listen(bounds).await;
    let mut client = Client::new(address).await;
    let head = cloud.head("POST /v2.0/networks", "content-length: 15\r\n");
    client.send(format!("{head}{{\"net")).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.kind().as_str()),
        (408, "HTTPRequestTimeout")
    );
}

#[tokio::test]
async fn no_place_is_a_503_that_says_when_to_come_back() {
    let none = Bounds {
        requests: 0,
        ..patient()
    };
    // Logins take places too: the tokens are another cloud's.
    let router = router(Cloud::new().await.state(none));
    let request = Request::get("/v2.0/networks").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn the_bytes_of_all_bodies_are_bounded_and_strangers_take_none_of_ours() {
    let bounds = Bounds {
        body_bytes: 100,
        ..patient()
    };
    let (cloud, address) = Cloud::listen(bounds).await;
    let mut greedy = Client::new(address).await;
    let head = cloud.head("POST /v2.0/networks", "content-length: 100\r\n");
    greedy.send(format!("{head}{}", " ".repeat(90))).await;
    // Once those have arrived there is no room for another.
    let mut tries = 0;
    loop {
        let mut other = Client::new(address).await;
        let body = content("{\"network\": {}}");
        let head = cloud.head("POST /v2.0/networks", "");
        other.send(format!("{}\r\n{body}", head.trim_end())).await;
        let answer = other.answer().await;
        if answer.status == 503 {
            assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
            break;
        }
        assert_eq!(answer.status, 201);
        tries += 1;
        assert!(tries < 1000, "there is always room");
    }
    // A login has other room.
    cloud.log_in("demo").await;
    drop(greedy);
    let mut tries = 0;
    while cloud
        .post("demo", "networks", json!({"network": {}}))
        .await
        .status
        != 201
    {
        tries += 1;
        assert!(tries < 100_000, "the room does not come free");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_names_its_host_but_for_http_1_0() {
    let (cloud, address) = Cloud::listen(Bounds::default()).await;
    let token = &cloud.tokens["demo"];
    let mut client = Client::new(address).await;
    for (line, status) in [
        ("GET / HTTP/1.1\r\n", 400),
        ("GET http://[::1]/ HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: x\r\n", 200),
        ("GET / HTTP/1.1\r\nhost:\r\n", 200),
        ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n", 200),
    ] {
        client
            .send(format!("{line}x-auth-token: {token}\r\n\r\n"))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_and_two_hosts_are_refused_in_the_same_form() {
    let (cloud, address) = Cloud::listen(patient()).await;
    let mut client = Client::new(address).await;
    for (line, more) in [
        ("GET /v2.0/networks/%ff", ""),
        ("DELETE /v2.0/quotas/%ff", ""),
        ("GET /v2.0/networks", "host: y\r\n"),
    ] {
        client.send(cloud.head(line, more)).await;
        let answer = client.answer().await;
        let told = (answer.status, answer.kind());
        assert_eq!(told, (400, "HTTPBadRequest".to_owned()), "{answer:?}");
    }
    client.send(cloud.head("GET /v3/users/%ff", "")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 400);
    let body: Json = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["error"]["code"], 400);
}

#[tokio::test]
async fn one_source_that_logs_in_slowly_leaves_room_for_others() {
    let cloud = Cloud::new().await;
    let send = |source: &str, body: Body| {
        let request = Request::post("/identity/v3/auth/tokens")
            .extension(Source::of(source.parse().unwrap()))
            .body(body)
            .unwrap();
        tokio::spawn(cloud.router.clone().oneshot(request))
    };
    let status = async |source: &str| {
        let user = json!({"name": "demo", "password": "pw", "domain": {"id": "default"}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let login = json!({"auth": {"identity": identity}}).to_string();
        let answered = send(source, Body::from(login)).await;
        answered.unwrap().unwrap().status()
    };
    let slow: Vec<_> = (0..OPEN_BODIES_EACH)
        .map(|_| {
            let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
            send("2001:db8::1", Body::from_stream(never))
        })
        .collect();
    let mut tries = 0;
    while status("2001:db8::2").await != 503 {
        tries += 1;
        assert!(tries < 100, "there is always room");
    }
    assert_eq!(status("2001:db8:0:1::1").await, 201);
    for request in slow {
        request.abort();
        assert!(request.await.is_err());
    }
    assert_eq!(status("2001:db8::2").await, 201);
}

#[tokio::test]
async fn a_slow_head_and_a_long_rest_have_their_times() {
    let bounds = Bounds {
        head_time: SHORT,
        ..patient()
    };
    let (cloud, address) = Cloud::listen(bounds).await;
    let mut client = Client::new(address).await;
    client.send("GET /v2.0/networks HTTP/1.1\r\nx-slow").await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.kind().as_str()),
        (408, "HTTPRequestTimeout")
    );
    client.closed().await;
    assert_eq!(
        cloud.figure("hextet_http_refused_total{reason=\"head_too_slow\"}"),
        1
    );

    let bounds = Bounds {
        idle_time: SHORT,
        ..patient()
    };
    let (_cloud, address) = Cloud::listen(bounds).await;
    Client::new(address).await.closed().await;
    // On a machine that halts for so long, a client is late with its first word; the next one is tried.
    let mut client = loop {
        let mut client = Client::new(address).await;
        let asked = client
            .stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        if asked.await.is_ok() && client.more().await > 0 {
            break client;
        }
    };
    assert_eq!(client.answer().await.status, 200);
    client.closed().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    const BYTES: usize = 64 * 1024 * 1024;
    let bounds = Bounds {
        write_time: SHORT,
        ..patient()
    };
    let cloud = Cloud::new().await;
    let big = Router::new().route("/", get(|| async { vec![b'x'; BYTES] }));
    let address = cloud.serve(big, bounds).await;
    let socket = TcpSocket::new_v6().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    while cloud.figure("hextet_http_connections") > 0 {
        tokio::time::sleep(SHORT).await;
    }
    let mut rest = Vec::new();
    // The end may be a reset.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < BYTES, "all of it came");
}

#[tokio::test]
async fn one_connection_too_many_takes_the_place_of_the_one_that_rests_longest() {
    let bounds = Bounds {
        connections: 3,
        ..patient()
    };
    let (cloud, address) = Cloud::listen(bounds).await;
    // The first is busy: its body is awaited.
    let mut busy = Client::new(address).await;
    let more = "content-length: 15\r\nexpect: 100-continue\r\n";
    busy.send(cloud.head("POST /v2.0/networks", more)).await;
    assert_eq!(busy.answer().await.status, 100);
    let mut resting = Vec::new();
    for _ in 0..2 {
        let mut client = Client::new(address).await;
        client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
        resting.push(client);
    }
    let mut late = Client::new(address).await;
    late.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(late.answer().await.status, 200);
    resting.remove(0).closed().await;
    resting[0].send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(resting[0].answer().await.status, 200);
    busy.send("{\"network\": {}}").await;
    assert_eq!(busy.answer().await.status, 201);
    assert_eq!(cloud.figure("hextet_http_connections_evicted_total"), 1);
}

#[tokio::test]
async fn old_and_odd_requests_have_their_answers() {
    let (cloud, address) = Cloud::listen(patient()).await;
    // Pipelined ones are answered in their order.
    let mut client = Client::new(address).await;
    let three = ["/", "/v2.0/networks", "/nowhere"];
    let all: String = three
        .iter()
        .map(|path| cloud.head(&format!("GET {path}"), ""))
        .collect();
    client.send(all).await;
    for (path, status) in three.iter().zip([200, 200, 404]) {
        assert_eq!(client.answer().await.status, status, "{path}");
    }
    client.send(cloud.head("HEAD /v2.0/networks", "")).await;
    let answer = client.answer_to("HEAD").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-length: 15\r\n"), "{answer:?}");
    for method in ["OPTIONS", "PATCH", "TRACE", "BREW"] {
        client
            .send(cloud.head(&format!("{method} /v2.0/networks"), ""))
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (405, "HTTPMethodNotAllowed")
        );
        assert!(answer.head.contains("allow: get,head,post"), "{answer:?}");
    }
    // A body where none is looked for does no harm.
    let head = cloud.head("GET /v2.0/networks", "");
    client
        .send(format!("{}\r\n{}", head.trim_end(), content("{}")))
        .await;
    assert_eq!(client.answer().await.status, 200);

    let mut old = Client::new(address).await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = old.answer().await;
    assert_eq!((answer.status, &answer.head[..8]), (200, "http/1.0"));
    old.closed().await;
    let mut kept = Client::new(address).await;
    for _ in 0..2 {
        kept.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            .await;
        assert_eq!(kept.answer().await.status, 200);
    }
}
