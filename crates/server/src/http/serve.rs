//! The accept loop: bounded connections, bounded waits, an end that lets requests finish.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::Service as _;
use tracing::{debug, info, warn};

use super::bounds::{Bound, Bounds, HEAD_BUFFER_MAX, HEADERS_PARSED_MAX};
use super::frame;
use super::lanes::{Lanes, Seat};
use super::metrics::Metrics;
use super::pace::{Pace, Paced};
use super::tls::Tls;
use crate::identity::Source;

/// Pause after a failed accept, which most often means that descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Octets of an answer that the kernel takes beyond what it has sent.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Octets of an unread body that are looked at in one step, to be thrown away.
const LINGER_STEP: usize = 16 * 1024;

/// What is served at an address.
#[derive(Clone)]
pub struct Site {
    /// The paths.
    pub router: Router,
    /// With it, it is HTTPS alone.
    pub tls: Option<Tls>,
    /// What clients may cost.
    pub bounds: Bounds,
    /// Where connections are counted.
    pub metrics: Metrics,
    /// Whether a request has its line in the log.
    pub access_log: bool,
    /// Where connections run.
    pub lanes: Lanes,
}

/// The open connections.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    next: u64,
    open: HashMap<u64, Arc<Pace>>,
}

/// A connection's row, taken away with it.
struct Row {
    table: Table,
    number: u64,
    pace: Arc<Pace>,
}

impl Table {
    /// Notes a connection. Where there are too many the one that waits longest for its client has to go; where each is
    /// busy there is no place.
    fn enter(&self, site: &Site) -> Option<Row> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.open.len() >= site.bounds.connections && !rows.evict() {
            return None;
        }
        let pace = Pace::new();
        rows.next += 1;
        let number = rows.next;
        rows.open.insert(number, pace.clone());
        Some(Row {
            table: self.clone(),
            number,
            pace,
        })
    }
}

impl Rows {
    /// Ends the connection that waits longest for its client, if any waits.
    fn evict(&mut self) -> bool {
        let waiting = self.open.iter();
        let longest = waiting
            .filter_map(|(number, pace)| Some((pace.idle_since()?, *number)))
            .min();
        let Some(pace) = longest.and_then(|(_, number)| self.open.remove(&number)) else {
            return false;
        };
        pace.evict();
        true
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let mut rows = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.open.remove(&self.number);
    }
}

/// Serves until `shutdown`, and then until the requests under way have ended.
pub async fn serve(listener: TcpListener, site: Site, shutdown: impl Future<Output = ()>) {
    let table = Table::default();
    let (stop, stopped) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &table) => accepted,
            // What has ended is forgotten at once.
            Some(_) = open.join_next() => continue,
        };
        let Some((stream, source)) = accepted else {
            continue;
        };
        match table.enter(&site) {
            Some(row) => {
                let seat = site.lanes.seat();
                let runtime = seat.runtime().clone();
                let door = (site.clone(), source);
                open.spawn_on(keep(stream, door, (row, seat), stopped.clone()), &runtime);
            }
            None => site.metrics.count_refused("connections"),
        }
    }
    drop(listener);
    // Connections that are gone need not be told.
    let _ = stop.send(true);
    while open.join_next().await.is_some() {}
}

/// The next connection, which belongs to no runtime yet.
async fn accept(listener: &TcpListener, table: &Table) -> Option<(std::net::TcpStream, Source)> {
    let accepted = listener.accept().await;
    match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
        Ok((stream, peer)) => Some((stream, Source::of(peer.ip()))),
        Err(error) => {
            warn!(%error, "a connection could not be accepted");
            // Where descriptors are short one comes free.
            table
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .evict();
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// A connection until it ends or another needs its place.
async fn keep(
    stream: std::net::TcpStream,
    door: (Site, Source),
    (row, _seat): (Row, Seat),
    stopped: watch::Receiver<bool>,
) {
    let metrics = door.0.metrics.clone();
    let _open = metrics.open();
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return warn!(%error, "a connection could not be served"),
    };
    tokio::select! {
        () = connection(stream, door, row.pace.clone(), stopped) => {}
        () = row.pace.evicted() => metrics.count_evicted(),
    }
}

async fn connection(
    stream: TcpStream,
    door: (Site, Source),
    pace: Arc<Pace>,
    mut stopped: watch::Receiver<bool>,
) {
    // Answers are small; without it the second half of one waits for the first's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection cannot be hurried");
    }
    // The kernel would take megabytes of an answer for a client that does not read.
    if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
        debug!(%error, "a connection's buffer cannot be bounded");
    }
    let Some(tls) = &door.0.tls else {
        return converse(stream, door, pace, stopped).await;
    };
    let opened = tokio::select! {
        opened = tls.accept(stream) => opened,
        // A sender that is gone says the same.
        _ = stopped.wait_for(|stop| *stop) => return,
    };
    match opened {
        Ok(stream) => converse(stream, door, pace, stopped).await,
        Err(error) => debug!(%error, "a handshake failed"),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (site, source): (Site, Source),
    pace: Arc<Pace>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = Requests {
        router: site.router,
        pace: pace.clone(),
        source,
    };
    let stream = Paced::new(stream, pace.clone(), site.bounds);
    let mut serving = http1::Builder::new()
        // A connection's times are our own, since a rest and a head differ.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BUFFER_MAX)
        .max_headers(HEADERS_PARSED_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = std::future::poll_fn(|context| serving.poll_without_shutdown(context)) => break ended,
            // A sender that is gone says the same.
            _ = stopped.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                Pin::new(&mut serving).graceful_shutdown();
            }
        }
    };
    let refused = match &ended {
        Err(error) if is_timeout(error) && pace.is_in_head() => Some(Bound::HeadTooSlow),
        Err(error) if error.is_parse() => pace.refused().or(Some(Bound::HeadBroken)),
        _ => None,
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
    let mut stream = serving.into_parts().io.into_inner().into_inner();
    let farewell = async {
        if let Some(bound) = refused {
            site.metrics.count_refused(bound.reason());
            let id = frame::new_id();
            if site.access_log {
                info!(%id, reason = bound.reason(), "a head was refused");
            }
            stream.write_all(&bound.last_words(&id)).await?;
            pace.leave_unread();
        }
        stream.shutdown().await?;
        // Were the connection closed under a client that still sends, it would lose the answer that it has not read.
        let mut thrown_away = vec![0; LINGER_STEP];
        while pace.is_unread() && stream.read(&mut thrown_away).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    match tokio::time::timeout(site.bounds.linger_time, farewell).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!(%error, "a connection was broken off"),
    }
}

fn is_timeout(error: &hyper::Error) -> bool {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

/// The requests of one connection.
struct Requests {
    router: Router,
    pace: Arc<Pace>,
    source: Source,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Response, std::convert::Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (mut router, pace) = (self.router.clone(), self.pace.clone());
        pace.handle_request();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(pace.clone());
        request.extensions_mut().insert(self.source);
        Box::pin(async move {
            let answer = router.call(request).await;
            pace.handle_answer();
            answer
        })
    }
}
