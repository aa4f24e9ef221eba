use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn whoever_asks_for_the_figures_gets_them_and_nothing_else() {
    let door = Door::open(|_| Some(Figures::default())).await;
    let got = door.ask("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
    assert!(got.contains(&format!("content-type: {OPENMETRICS}\r\n")));
    assert!(got.ends_with("# EOF\n"), "{got}");
    let head = door.ask("HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"));
    for (asked, status) in [
        ("GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 404),
        ("GET /metrics/x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 404),
        (
            "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc".to_owned(),
            405,
        ),
        ("nonsense\r\n\r\n".to_owned(), 400),
    ] {
        let got = door.ask(&asked).await;
        assert!(
            got.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status}: {got}"
        );
    }
    for fields in [
        format!("x: {}\r\n", "x".repeat(2 * HEAD_BYTES_MAX)),
        "x: y\r\n".repeat(HEAD_FIELDS_MAX + 1),
    ] {
        let got = door
            .ask(&format!("GET /metrics HTTP/1.1\r\n{fields}\r\n"))
            .await;
        // Closed with unread bytes, a connection may lose the answer.
        assert!(got.is_empty() || got.starts_with("HTTP/1.1 431 "), "{got}");
    }
}

#[tokio::test]
async fn a_host_without_figures_says_so() {
    let door = Door::open(|_| None).await;
    let got = door.ask("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
}

#[tokio::test]
async fn many_who_say_nothing_keep_nobody_out() {
    let door = Door::open(|_| Some(Figures::default())).await;
    let mut silent = Vec::new();
    for _ in 0..10 * CONNECTIONS_MAX {
        silent.push(TcpStream::connect(door.address).await.unwrap());
    }
    let got = door.ask("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
    let evicted = got
        .lines()
        .find_map(|line| line.strip_prefix("hextet_agent_metrics_evicted_total "));
    let evicted: usize = evicted.unwrap().parse().unwrap();
    assert!(evicted > 0, "{evicted}");
    // Its turn came first.
    let read = silent[0].read(&mut [0]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "closed");
}

#[tokio::test]
async fn the_hosts_thread_is_asked_once_for_all_who_ask_at_a_time() {
    let door = Door::open(|asked| {
        Some(Figures {
            revision: asked,
            ..Figures::default()
        })
    })
    .await;
    let reader = Arc::new(Reader {
        host: door.host.clone(),
        evicted: AtomicU64::new(0),
        last: Mutex::new(None),
    });
    let first = reader.text().await.unwrap();
    let kept = reader.last.lock().await.clone();
    // As if it were asked within the second, however long this machine takes.
    *reader.last.lock().await = kept.map(|(_, text)| (Instant::now() + FRESH, text));
    assert_eq!(reader.text().await.unwrap(), first);
    *reader.last.lock().await = None;
    assert_ne!(reader.text().await.unwrap(), first);
}

struct Door {
    address: SocketAddr,
    host: mpsc::Sender<Input>,
    server: tokio::task::JoinHandle<()>,
}

impl Door {
    /// With a host's thread that answers the n-th question like this.
    async fn open(figures: impl Fn(u64) -> Option<Figures> + Send + 'static) -> Self {
        let (host, mut inputs) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut asked = 0;
            while let Some(input) = inputs.recv().await {
                let Input::Local(Local::Figures(reply)) = input else {
                    panic!("only figures are asked for");
                };
                asked += 1;
                let _ = reply.send(figures(asked).map(Box::new));
            }
        });
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            server: tokio::spawn(serve(listener, host.clone())),
            host,
        }
    }

    /// What is answered, whole.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // One that is refused early may be closed before all of it is written.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        String::from_utf8(got).unwrap()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}
