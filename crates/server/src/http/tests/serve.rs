use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;

#[tokio::test]
async fn a_request_under_way_ends_before_the_server_does_and_an_idle_connection_does_not_hold_it() {
    let cloud = Cloud::new().await;
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let site = crate::http::Site {
        router: cloud.router.clone(),
        tls: None,
        bounds: patient(),
        metrics: cloud.metrics.clone(),
        access_log: true,
        lanes: crate::http::Lanes::here(),
    };
    let serving = tokio::spawn(crate::http::serve(listener, site, async {
        let _ = stopped.await;
    }));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");

    let mut busy = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v2.0/networks HTTP/1.1\r\nhost: x\r\nx-auth-token: {}\r\ncontent-length: 15\r\nexpect: 100-continue\r\n\r\n",
        cloud.tokens["demo"]
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is under way.
    let mut answer = [0; 21];
    busy.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue");
    stop.send(()).unwrap();
    let mut tries = 0;
    while TcpStream::connect(address).await.is_ok() {
        tries += 1;
        assert!(tries < 100_000, "it still accepts");
        tokio::task::yield_now().await;
    }
    busy.write_all(b"{\"network\": {}}").await.unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 201 Created"), "{answer}");
    serving.await.unwrap();
    assert_eq!(cloud.get("demo", "networks").await.ids("networks").len(), 1);
}

#[tokio::test]
async fn connections_share_the_threads_that_there_are_and_stay_on_theirs() {
    async fn ask(stream: &mut TcpStream) -> String {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b".") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        let text = String::from_utf8(answer).unwrap();
        text.rsplit('\n').next().unwrap().to_owned()
    }
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = || async { format!("{}.", std::thread::current().name().unwrap_or_default()) };
    let router = Router::new().route("/", axum::routing::get(name));
    let site = crate::http::Site {
        router,
        tls: None,
        bounds: patient(),
        metrics: Metrics::default(),
        access_log: false,
        lanes: crate::http::Lanes::start().unwrap(),
    };
    tokio::spawn(crate::http::serve(listener, site, std::future::pending()));
    let mut first = TcpStream::connect(address).await.unwrap();
    let on_first = ask(&mut first).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    let on_second = ask(&mut second).await;
    assert_eq!(
        (on_first.as_str(), on_second.as_str()),
        ("api-0.", "api-1.")
    );
    assert_eq!(ask(&mut first).await, on_first);
    assert_eq!(ask(&mut second).await, on_second);
}
