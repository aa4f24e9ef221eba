//! Long lists: made as their readers take them.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::HttpBody as _;
use axum::response::Response;
use futures::FutureExt as _;
use hextet_store::Document;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::*;
use crate::http::parts;
use crate::http::v2::NOUNS;
use crate::http::view::Many;

/// More than a few parts of text.
const DOCUMENTS: usize = 2000;
const LONG: Duration = Duration::from_secs(600);

struct List {
    answer: Response,
    /// How many documents were taken for it.
    taken: Arc<AtomicUsize>,
}

impl List {
    fn new(document: &Arc<Document>, count: usize, links: &[Json], time: Duration) -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let documents = vec![document.clone(); count].into_iter().inspect(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let many = Many::new(NOUNS[0], documents, Vec::new(), false, links);
        let answer = parts::answer(many, time);
        Self { answer, taken }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

async fn document() -> Arc<Document> {
    let cloud = Cloud::new().await;
    cloud.network("demo").await;
    let first = |model: &Model| model.documents(NOUNS[0].kind).next().unwrap().clone();
    cloud.store.read(first).await.unwrap()
}

#[tokio::test]
async fn a_long_list_is_made_as_it_is_taken_and_is_one_text() {
    let document = document().await;
    let links = [json!({"rel": "next"})];
    let mut list = List::new(&document, DOCUMENTS, &links, LONG);
    assert_eq!(list.answer.headers()["content-type"], "application/json");
    let at_first = list.taken();
    assert!(at_first < DOCUMENTS / 4, "{at_first}");
    let mut text = Vec::new();
    let mut before = at_first;
    while let Some(frame) = list.answer.body_mut().frame().await {
        text.extend_from_slice(&frame.unwrap().into_data().unwrap());
        assert!(list.taken() - before <= at_first, "more than a part");
        before = list.taken();
    }
    assert_eq!(before, DOCUMENTS);
    let body: Json = serde_json::from_slice(&text).unwrap();
    let networks = body["networks"].as_array().unwrap();
    assert_eq!(networks.len(), DOCUMENTS);
    assert!(networks.iter().all(|network| network["name"] == "n"));
    assert_eq!(body["networks_links"], json!(links));
}

#[tokio::test]
async fn a_short_list_says_its_length_and_any_number_is_a_list() {
    let document = document().await;
    for count in [0, 1, 2, 3, 50] {
        let list = List::new(&document, count, &[], LONG);
        let body = list.answer.into_body();
        let length = body.size_hint().exact().unwrap();
        let text = body.collect().await.unwrap().to_bytes();
        assert_eq!(text.len() as u64, length);
        let body: Json = serde_json::from_slice(&text).unwrap();
        assert_eq!(body["networks"].as_array().unwrap().len(), count);
        assert_eq!(body.as_object().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_taken_in_time_is_cut_off() {
    let document = document().await;
    let list = List::new(&document, DOCUMENTS, &[], Duration::ZERO);
    assert!(list.answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn many_who_have_begun_a_long_list_hold_up_nobody_and_hold_next_to_nothing() {
    let document = document().await;
    let lists: Vec<List> = (0..1000)
        .map(|_| List::new(&document, DOCUMENTS, &[], LONG))
        .collect();
    let taken: usize = lists.iter().map(List::taken).sum();
    assert!(taken < lists.len() * DOCUMENTS / 4, "{taken}");
}

#[tokio::test]
async fn for_a_reader_that_takes_nothing_little_is_made() {
    const MANY: usize = 100_000;
    let bounds = Bounds {
        write_time: Duration::from_millis(50),
        ..patient()
    };
    let document = document().await;
    let (cloud, taken) = (Cloud::new().await, Arc::new(AtomicUsize::new(0)));
    let counted = taken.clone();
    let list = move || {
        let (document, counted) = (document.clone(), counted.clone());
        async move {
            let documents = std::iter::repeat_n(document, MANY).inspect(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            });
            let many = Many::new(NOUNS[0], documents, Vec::new(), false, &[]);
            parts::answer(many, LONG)
        }
    };
    let router = Router::new().route("/", axum::routing::get(list));
    let address = cloud.serve(router, bounds).await;
    let socket = TcpSocket::new_v6().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.read_u8().await.unwrap();
    // Until it is cut off.
    while cloud.figure("hextet_http_connections") > 0 {
        tokio::task::yield_now().await;
    }
    // Some hundred bytes each: less than a megabyte of the fifty.
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < MANY / 50, "{taken}");
}

#[tokio::test]
async fn who_looks_through_many_documents_waits_for_a_turn_and_who_looks_through_few_does_not() {
    let turns = ListTurns::default();
    let mut held = Vec::new();
    while let Some(Some(turn)) = turns.take(1000).now_or_never() {
        held.push(turn);
    }
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(held.len(), (cores / 2).max(1));
    assert!(turns.take(999).now_or_never().is_some());
    held.pop();
    assert!(turns.take(1000).now_or_never().is_some());
}
