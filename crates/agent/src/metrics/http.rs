//! Where the figures are read: `GET /metrics`, by few at a time, each with little time. Whoever reads often gets the same
//! figures again for a second, so that the host's thread has its time for guests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing::{error, info, warn};

use super::Figures;
use super::process::{Process, started};
use super::text::{Own, text};
use crate::host::{Input, Local};

/// Most connections at once; one more takes the place of the oldest.
const CONNECTIONS_MAX: usize = 16;
/// How long a request may take to come.
const HEAD_TIME: Duration = Duration::from_secs(2);
/// How long a connection may last; each is for one request.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Longest head of a request, bytes, and what hyper holds of one at least.
const HEAD_BYTES_MAX: usize = 8192;
/// Most fields of a head.
const HEAD_FIELDS_MAX: usize = 64;
/// How long the host's thread may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// For how long figures are new enough to be given again.
const FRESH: Duration = Duration::from_secs(1);
/// How long to wait when the address cannot be had, or the system has no socket left.
const RETRY: Duration = Duration::from_secs(1);
/// What a reader is told that it gets.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Listens there, if anywhere, for as long as the agent runs. Guests do not depend on it: an address that cannot be had is logged once and
/// tried again.
pub(crate) async fn listen(address: Option<SocketAddr>, host: mpsc::Sender<Input>) {
    started();
    let Some(address) = address else {
        return;
    };
    let mut said = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if !said => {
                error!(%address, %error, "metrics cannot be shown there: tried again each second");
                said = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
    };
    if let Ok(address) = listener.local_addr() {
        info!(%address, "metrics listen");
    }
    serve(listener, host).await;
}

async fn serve(listener: TcpListener, host: mpsc::Sender<Input>) {
    let figures = Arc::new(Reader {
        host,
        evicted: AtomicU64::new(0),
        last: Mutex::new(None),
    });
    let mut open = Open(VecDeque::new());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if open.make_room() {
                    figures.evicted.fetch_add(1, Ordering::Relaxed);
                }
                let task = tokio::spawn(connection(stream, figures.clone()));
                open.0.push_back(task.abort_handle());
            }
            Err(error) => {
                warn!(%error, "a reader of metrics cannot be taken");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The connections that are open, oldest first. They end with it.
struct Open(VecDeque<AbortHandle>);

impl Open {
    /// Puts out the oldest where there is no place; true when that was needed.
    fn make_room(&mut self) -> bool {
        self.0.retain(|task| !task.is_finished());
        let full = self.0.len() >= CONNECTIONS_MAX;
        if full && let Some(oldest) = self.0.pop_front() {
            oldest.abort();
        }
        full
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn connection(stream: TcpStream, figures: Arc<Reader>) {
    let service = service_fn(move |request| {
        let figures = figures.clone();
        async move { Ok::<_, Infallible>(answer(&request, &figures).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What went wrong is the reader's affair.
    let _ = tokio::time::timeout(CONNECTION_TIME, served).await;
}

async fn answer(request: &Request<Incoming>, figures: &Reader) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the figures are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    match figures.text().await {
        Some(text) => {
            let mut response = Response::new(Full::new(text));
            let kind = header::HeaderValue::from_static(OPENMETRICS);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        None => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the agent has no figures now\n",
        ),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

/// Gets the figures from the host's thread.
struct Reader {
    host: mpsc::Sender<Input>,
    evicted: AtomicU64,
    /// As they were given last. Whoever comes meanwhile waits, and gets the same.
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Reader {
    async fn text(&self) -> Option<Bytes> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Some(text.clone());
        }
        let figures = self.figures().await?;
        let own = Own {
            process: Process::look(),
            evicted: self.evicted.load(Ordering::Relaxed),
        };
        let text = text(figures, own)
            .inspect_err(|error| error!(%error, "metrics cannot be written"))
            .ok()?;
        let text = Bytes::from(text);
        *last = Some((Instant::now(), text.clone()));
        Some(text)
    }

    /// `None` when the host's thread has none, or no time.
    async fn figures(&self) -> Option<Figures> {
        let asked = async {
            let (reply, answer) = oneshot::channel();
            let question = Input::Local(Local::Figures(reply));
            self.host.send(question).await.ok()?;
            answer.await.ok()?
        };
        let figures = tokio::time::timeout(ANSWER_TIME, asked).await.ok()??;
        Some(*figures)
    }
}

#[cfg(test)]
mod tests;
