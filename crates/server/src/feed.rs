//! The feed: each agent's stream of what differs in its plan, and its reports. Mutual TLS; an agent's certificate names
//! its host, and the host that it names is the only one whose plan it reads and whose ports it reports.

mod claims;
mod hosts;
mod session;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use hextet_core::ids::{HostId, PortId};
use hextet_core::report::{ClaimOutcome, HostReport};
use hextet_feed::v1::feed_server::{Feed, FeedServer};
use hextet_feed::{CLAIMS_MAX, v1};
use hextet_store::Store;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

pub use hosts::{Hosts, Seen};

/// Most agents at once; the next is refused and tries again.
const AGENTS_MAX: usize = 4096;
/// Most messages that wait for a slow agent; the session then waits, and catches up with one delta.
const OUTGOING_MAX: usize = 16;
/// How often a silent connection is asked for a sign of life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the sign may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How to serve the feed.
#[derive(Clone, Debug)]
pub struct FeedConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// PEM file of the authority that agents' certificates come from.
    pub ca: PathBuf,
    /// PEM file of the server's certificate.
    pub cert: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// Where to write the address that was taken, for agents of the same machine.
    pub address_file: Option<PathBuf>,
    /// The hosts that may claim ports which are bound to none; [`ANY_HOST`]: all.
    pub claim_hosts: BTreeSet<String>,
}

/// Among the hosts that may claim: every one.
pub const ANY_HOST: &str = "*";

/// Why the feed cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A file of the configuration.
    #[error("could not read or write {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address.
    #[error("could not listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The transport.
    #[error("the feed's transport failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Who takes the reports. What it is given was checked: the host is the one that the certificate names.
pub type Reports = Arc<dyn Fn(HostId, HostReport) -> BoxFuture<'static, ()> + Send + Sync>;

/// Who binds claimed ports to a host, and says what became of each. The host is the one that the certificate names.
pub type Claims = Arc<
    dyn Fn(HostId, Vec<PortId>) -> BoxFuture<'static, Result<Vec<(PortId, ClaimOutcome)>, Status>>
        + Send
        + Sync,
>;

/// Where the feed brings what hosts say.
#[derive(Clone)]
pub struct Takers {
    /// Their reports.
    pub reports: Reports,
    /// Their claims.
    pub claims: Claims,
}

/// A feed that listens and is not yet served.
pub struct BoundFeed {
    claim_hosts: BTreeSet<String>,
    listener: TcpListener,
    tls: ServerTlsConfig,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Reads the certificates, listens, and says where.
///
/// # Errors
/// A file cannot be read or written, or the address cannot be had.
pub async fn bind(config: &FeedConfig) -> Result<BoundFeed, FeedError> {
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read(&config.cert)?, read(&config.key)?))
        .client_ca_root(Certificate::from_pem(read(&config.ca)?));
    let fail = |source| FeedError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    if let Some(path) = &config.address_file {
        write_whole(path, &format!("{address}\n")).map_err(|source| FeedError::File {
            path: path.clone(),
            source,
        })?;
    }
    Ok(BoundFeed {
        claim_hosts: config.claim_hosts.clone(),
        listener,
        tls,
        address,
    })
}

impl BoundFeed {
    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// The transport's.
    pub async fn serve(
        self,
        store: Store,
        takers: Takers,
        hosts: Hosts,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), FeedError> {
        let service = FeedService {
            store,
            takers,
            claim_hosts: self.claim_hosts,
            hosts: hosts.clone(),
            agents: Arc::new(Semaphore::new(AGENTS_MAX)),
            claiming: Arc::new(Semaphore::new(AGENTS_MAX)),
        };
        // A stream of a live agent never ends, so its connections are not waited for.
        let serving = Server::builder()
            .tls_config(self.tls)?
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(FeedServer::new(service))
            .serve_with_incoming(TcpListenerStream::new(self.listener));
        hosts.serve(true);
        let ended = tokio::select! {
            ended = serving => ended.map_err(FeedError::from),
            () = shutdown => Ok(()),
        };
        hosts.serve(false);
        ended
    }
}

struct FeedService {
    store: Store,
    takers: Takers,
    claim_hosts: BTreeSet<String>,
    hosts: Hosts,
    agents: Arc<Semaphore>,
    claiming: Arc<Semaphore>,
}

#[tonic::async_trait]
impl Feed for FeedService {
    type SyncStream = ReceiverStream<Result<v1::ServerMessage, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let permit = permit(&self.agents)?;
        let certificate = certificate(&request)?;
        let (outgoing, answers) = mpsc::channel(OUTGOING_MAX);
        let session = session::Session::new(
            self.store.clone(),
            self.takers.reports.clone(),
            self.hosts.clone(),
            certificate,
            request.into_inner(),
            outgoing,
        );
        tokio::spawn(
            async move {
                session.run().await;
                drop(permit);
            }
            .in_current_span(),
        );
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    type ClaimStream = ReceiverStream<Result<v1::ClaimReply, Status>>;

    async fn claim(
        &self,
        request: Request<v1::ClaimRequest>,
    ) -> Result<Response<Self::ClaimStream>, Status> {
        let permit = permit(&self.claiming)?;
        let certificate = certificate(&request)?;
        let v1::ClaimRequest { host, taps } = request.into_inner();
        if !names(&certificate, &host) {
            return Err(Status::permission_denied(
                "the certificate does not name this host",
            ));
        }
        let is_name = |tap: &String| PortId::of_tap_name(tap).is_some();
        if taps.len() > CLAIMS_MAX || !taps.iter().all(is_name) {
            return Err(Status::invalid_argument(format!(
                "taps: at most {CLAIMS_MAX}, each named tap and the first 11 characters of an id"
            )));
        }
        let may = [ANY_HOST, &host].map(|name| self.claim_hosts.contains(name));
        let (outgoing, replies) = mpsc::channel(OUTGOING_MAX);
        let claiming = claims::Claiming {
            store: self.store.clone(),
            claims: may.contains(&true).then(|| self.takers.claims.clone()),
            host: HostId(host),
            taps: taps.into_iter().collect(),
            outgoing,
        };
        tokio::spawn(
            async move {
                claiming.run().await;
                drop(permit);
            }
            .in_current_span(),
        );
        Ok(Response::new(ReceiverStream::new(replies)))
    }
}

fn permit(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
    let taken = places.clone().try_acquire_owned();
    taken.map_err(|_| Status::resource_exhausted("too many agents"))
}

fn certificate<T>(request: &Request<T>) -> Result<CertificateDer<'static>, Status> {
    let chain = request.peer_certs();
    let first = chain.and_then(|chain| chain.first().cloned());
    first.ok_or_else(|| Status::unauthenticated("no certificate"))
}

/// Whether a certificate names a host, as a DNS name of its subject alternative names.
fn names(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let (Ok(parsed), Ok(name)) = (
        ParsedCertificate::try_from(certificate),
        ServerName::try_from(host),
    ) else {
        return false;
    };
    rustls::client::verify_server_name(&parsed, &name).is_ok()
}

fn read(path: &Path) -> Result<Vec<u8>, FeedError> {
    std::fs::read(path).map_err(|source| FeedError::File {
        path: path.to_owned(),
        source,
    })
}

/// A reader sees the old text or the new one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests;
