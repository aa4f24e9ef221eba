//! The connection to the server: greets with what is held, hands deltas to the host's thread, sends reports. It comes
//! back after any failure, and nobody waits for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hextet_core::report::{HostReport, PortReport};
use hextet_feed::convert::Malformed;
use hextet_feed::sync::Incoming;
use hextet_feed::v1;
use hextet_feed::v1::agent_message::Body;
use hextet_feed::v1::feed_client::FeedClient;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tracing::{debug, info, warn};

use crate::claims::{self, Taps};
use crate::config::{Config, ServerAddress};
use crate::host::{Input, Local};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent server is asked for a sign of life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the sign may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Most messages that wait to be sent.
const OUTGOING_MAX: usize = 16;
/// Most ports in one report: about 100 kB.
const REPORT_PORTS_MAX: usize = 1000;

/// The ends of the uplink within the agent.
pub struct Uplink {
    /// Where the server is, and how long to wait between attempts.
    pub config: Arc<Config>,
    /// Everything that there is to report.
    pub reports: watch::Receiver<Arc<HostReport>>,
    /// Where deltas go, and who is asked what is held; a full queue makes the server wait.
    pub host: mpsc::Sender<Input>,
    /// Taps that are named as ports are and carry none.
    pub claims: watch::Receiver<Taps>,
    /// Whether the server answers.
    pub feed: Arc<FeedState>,
}

/// Whether the server answers, since when, and how often it came to.
#[derive(Debug)]
pub struct FeedState {
    connected: AtomicBool,
    /// Unix time, milliseconds.
    since_ms: AtomicU64,
    connections: AtomicU64,
}

impl Default for FeedState {
    fn default() -> Self {
        Self {
            connected: AtomicBool::new(false),
            since_ms: AtomicU64::new(unix_ms()),
            connections: AtomicU64::new(0),
        }
    }
}

impl FeedState {
    /// Whether it does.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Since when that is so.
    pub fn since(&self) -> Duration {
        Duration::from_millis(self.since_ms.load(Ordering::Relaxed))
    }

    /// Connections since the agent began.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// What was so before.
    fn set(&self, connected: bool) -> bool {
        let before = self.connected.swap(connected, Ordering::Relaxed);
        if before != connected {
            self.since_ms.store(unix_ms(), Ordering::Relaxed);
            self.connections
                .fetch_add(u64::from(connected), Ordering::Relaxed);
        }
        before
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum UplinkError {
    #[error("could not read {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} holds no address")]
    Address(PathBuf),
    #[error("no connection to {server}")]
    Connect {
        server: String,
        #[source]
        source: tonic::transport::Error,
    },
    #[error("the server ended the stream: {}", .0.message())]
    Stream(#[from] Box<tonic::Status>),
    #[error("the server closed the stream")]
    Closed,
    #[error("the server sent nonsense")]
    Malformed(#[from] Malformed),
    #[error("the agent ends")]
    Ending,
}

impl Uplink {
    /// Never ends by itself.
    pub async fn run(mut self) {
        let retry = self.config.retry;
        let mut wait = retry.first;
        loop {
            let Err(error) = self.connection().await;
            let was_connected = self.feed.set(false);
            if matches!(error, UplinkError::Ending) {
                return;
            }
            if was_connected {
                wait = retry.first;
                warn!(
                    error = hextet_core::errors::chain(&error),
                    "connection to the server lost"
                );
            } else {
                debug!(
                    error = hextet_core::errors::chain(&error),
                    "no connection to the server"
                );
            }
            // Half of it at random, so that a thousand agents do not come back at once.
            tokio::time::sleep(wait.mul_f64(1.0 - rand::random::<f64>() / 2.0)).await;
            wait = (wait * 2).min(retry.max);
        }
    }

    async fn connection(&mut self) -> Result<std::convert::Infallible, UplinkError> {
        let channel = self.connect().await?;
        let mut client =
            FeedClient::new(channel).max_decoding_message_size(hextet_feed::MESSAGE_BYTES_MAX);
        let (outgoing, requests) = mpsc::channel(OUTGOING_MAX);
        let greeting = self.greeting().await?;
        let greet = {
            let outgoing = outgoing.clone();
            async move {
                for part in greeting {
                    send(&outgoing, Body::Hello(part)).await?;
                }
                Ok::<(), UplinkError>(())
            }
        };
        let open = async {
            let answer = client.sync(ReceiverStream::new(requests)).await;
            Ok(answer.map_err(Box::new)?.into_inner())
        };
        let ((), stream) = tokio::try_join!(greet, open)?;
        self.feed.set(true);
        info!("connected to the server");
        let claims = claims::follow(
            client,
            self.config.host.0.clone(),
            self.claims.clone(),
            self.host.clone(),
        );
        tokio::select! {
            ended = self.exchange(stream, outgoing) => ended,
            () = claims => Err(UplinkError::Ending),
        }
    }

    /// What is held, as it is on disk.
    async fn greeting(&self) -> Result<Vec<v1::Hello>, UplinkError> {
        let (reply, answer) = oneshot::channel();
        let question = Input::Local(Local::Greet(reply));
        let ending = |_| UplinkError::Ending;
        self.host.send(question).await.map_err(ending)?;
        answer.await.map_err(|_| UplinkError::Ending)
    }

    async fn exchange(
        &mut self,
        mut stream: Streaming<v1::ServerMessage>,
        outgoing: mpsc::Sender<v1::AgentMessage>,
    ) -> Result<std::convert::Infallible, UplinkError> {
        let mut incoming = Incoming::default();
        let mut sent = SentReport::default();
        self.reports.mark_changed();
        loop {
            tokio::select! {
                message = stream.message() => {
                    let message = message.map_err(Box::new)?.ok_or(UplinkError::Closed)?;
                    if let Some(delta) = incoming.take(&message)? {
                        self.host.send(Input::Delta(delta)).await.map_err(|_| UplinkError::Ending)?;
                    }
                }
                changed = self.reports.changed() => {
                    changed.map_err(|_| UplinkError::Ending)?;
                    let all = self.reports.borrow_and_update().clone();
                    for part in sent.difference(&all) {
                        send(&outgoing, Body::Report(v1::Report::from(&part))).await?;
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<Channel, UplinkError> {
        let access = &self.config.server;
        let server = match &access.address {
            ServerAddress::Fixed(address) => address.to_string(),
            ServerAddress::File(path) => {
                let text = String::from_utf8_lossy(&read(path)?).trim().to_owned();
                let address: Result<std::net::SocketAddr, _> = text.parse();
                address
                    .map_err(|_| UplinkError::Address(path.clone()))?
                    .to_string()
            }
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read(&access.ca)?))
            .identity(Identity::from_pem(read(&access.cert)?, read(&access.key)?))
            .domain_name(access.name.clone());
        let fail = |source| UplinkError::Connect {
            server: server.clone(),
            source,
        };
        Endpoint::from_shared(format!("https://{server}"))
            .map_err(fail)?
            .tls_config(tls)
            .map_err(fail)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(fail)
    }
}

/// What the server was told on this connection.
#[derive(Default)]
struct SentReport {
    told: Option<Arc<HostReport>>,
}

impl SentReport {
    /// The reports that say what is new, in parts; none when nothing is.
    fn difference(&mut self, all: &Arc<HostReport>) -> Vec<HostReport> {
        let before = self.told.as_ref().map_or(&[][..], |told| &told.ports);
        let same = |port: &PortReport| {
            let at = before.binary_search_by_key(&port.port, |port| port.port);
            at.is_ok_and(|at| before[at] == *port)
        };
        let new: Vec<PortReport> = all
            .ports
            .iter()
            .filter(|port| !same(port))
            .cloned()
            .collect();
        let newer = self
            .told
            .as_ref()
            .is_none_or(|told| told.generation != all.generation);
        self.told = Some(all.clone());
        if new.is_empty() && newer {
            return vec![HostReport {
                generation: all.generation,
                ports: Vec::new(),
            }];
        }
        // The generation is reached with the last part only, but each port's entry is true by itself.
        new.chunks(REPORT_PORTS_MAX)
            .map(|ports| HostReport {
                generation: all.generation,
                ports: ports.to_vec(),
            })
            .collect()
    }
}

async fn send(outgoing: &mpsc::Sender<v1::AgentMessage>, body: Body) -> Result<(), UplinkError> {
    outgoing
        .send(v1::AgentMessage { body: Some(body) })
        .await
        .map_err(|_| UplinkError::Closed)
}

fn read(path: &Path) -> Result<Vec<u8>, UplinkError> {
    std::fs::read(path).map_err(|source| UplinkError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
