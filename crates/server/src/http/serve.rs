//! The accept loop: bounded connections, bounded waits, an end that lets requests finish.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::tls::Tls;
use crate::identity::Source;

/// Most connections at once; the next waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take to say what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept, which most often means that descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, and then until the requests under way have ended. With `tls` it is HTTPS alone.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stop, stopped) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &connections) => accepted,
            // What has ended is forgotten at once.
            Some(_) = open.join_next() => continue,
        };
        if let Some((stream, source, permit)) = accepted {
            let (door, stopped) = ((router.clone(), source), stopped.clone());
            open.spawn(connection(stream, tls.clone(), door, stopped, permit));
        }
    }
    drop(listener);
    // Connections that are gone need not be told.
    let _ = stop.send(true);
    while open.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, Source, OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, Source::of(peer.ip()), permit)),
        Err(error) => {
            warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<Tls>,
    door: (Router, Source),
    mut stopped: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    // Answers are small; without it the second half of one waits for the first's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection cannot be hurried");
    }
    let Some(tls) = tls else {
        return converse(stream, door, stopped).await;
    };
    let opened = tokio::select! {
        opened = tls.accept(stream) => opened,
        // A sender that is gone says the same.
        _ = stopped.wait_for(|stop| *stop) => return,
    };
    match opened {
        Ok(stream) => converse(stream, door, stopped).await,
        Err(error) => debug!(%error, "a handshake failed"),
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (router, source): (Router, Source),
    mut stopped: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let sourced = service_fn(|mut request: hyper::Request<_>| {
        // Logins are slowed down by where they come from.
        request.extensions_mut().insert(source);
        service.call(request)
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), sourced)
    );
    let told = async {
        // A sender that is gone says the same.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}
