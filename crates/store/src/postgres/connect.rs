//! From a URL to a session: TLS, bounds, and the settings that keep a dead server process from holding up the others.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::session::Session;
use super::told::Told;
use crate::database::{PostgresUrl, Tls};
use crate::engine::EngineError;

/// How long an attempt to connect may take, the session's settings included.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long sent data may stay without a sign of life from the other end's kernel.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);
/// After how long a silence the other end is asked for a sign of life.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// The oldest server that is known to do: `client_connection_check_interval` came with it.
const VERSION_MIN: u64 = 140_000;

/// What every session is set to.
///
/// A statement, and a wait for a lock, end before the client gives up on the answer. A transaction that its client has
/// left ends after as long, so that a dead server process keeps the writers' lock for seconds only. A commit that was
/// told to wait for no disk waits for it here all the same.
const SETTINGS: &str = "SET application_name = 'hextet'; \
     SET statement_timeout = '4s'; SET lock_timeout = '3s'; \
     SET idle_in_transaction_session_timeout = '5s'; \
     SET client_connection_check_interval = '2s'; \
     SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 2; \
     SET client_min_messages = warning";
const NO_DISK: &str = "SET synchronous_commit = off";
const DISK: &str = "SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off'";

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It may be there later.
    #[error("{0}")]
    Away(String),
    /// Waiting does not help.
    #[error("{}", hextet_core::errors::chain(.0))]
    Wrong(EngineError),
}

/// How sessions are made.
#[derive(Clone)]
pub(super) struct Connector {
    url: PostgresUrl,
    synchronous: bool,
    tls: Option<MakeRustlsConnect>,
}

impl Connector {
    /// Reads the authorities that a server is verified against.
    pub(super) fn new(url: PostgresUrl, synchronous: bool) -> Result<Self, EngineError> {
        let tls = match &url.tls {
            Tls::Off => None,
            Tls::Verified { roots } => Some(verified(roots.as_deref())?),
        };
        Ok(Self {
            url,
            synchronous,
            tls,
        })
    }

    /// A session with its settings. `told` is woken by every notification.
    pub(super) async fn connect(&self, told: Option<Told>) -> Result<Session, ConnectError> {
        match tokio::time::timeout(CONNECT_MAX, self.attempt(told)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::Away(format!(
                "no connection within {} s",
                CONNECT_MAX.as_secs()
            ))),
        }
    }

    async fn attempt(&self, told: Option<Told>) -> Result<Session, ConnectError> {
        let mut config = (*self.url.config).clone();
        config
            .connect_timeout(CONNECT_MAX)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .keepalives_idle(KEEPALIVE_IDLE);
        let client = match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(judge)?;
                drive(connection, told);
                client
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await.map_err(judge)?;
                drive(connection, told);
                client
            }
        };
        self.set_up(&client).await?;
        Ok(Session::new(client))
    }

    async fn set_up(&self, client: &Client) -> Result<(), ConnectError> {
        let version = client
            .query_one(
                "SELECT current_setting('server_version_num')::BIGINT, \
                 current_setting('server_encoding')",
                &[],
            )
            .await
            .map_err(judge)?;
        let number: i64 = version.try_get(0).map_err(judge)?;
        if number < VERSION_MIN as i64 {
            return Err(ConnectError::Wrong(EngineError::Unsound(
                "server version: PostgreSQL 14 or newer is needed",
            )));
        }
        let encoding: &str = version.try_get(1).map_err(judge)?;
        if encoding != "UTF8" {
            return Err(ConnectError::Wrong(EngineError::Unsound(
                "encoding: the database must be made with encoding UTF8",
            )));
        }
        let commit = if self.synchronous { DISK } else { NO_DISK };
        client
            .batch_execute(&format!("{SETTINGS}; {commit}"))
            .await
            .map_err(judge)
    }
}

/// Moves the connection's bytes until either end is gone.
fn drive<S, T>(mut connection: Connection<S, T>, told: Option<Told>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(std::future::poll_fn(move |context| {
        loop {
            match connection.poll_message(context) {
                Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => {
                    if let Some(told) = &told {
                        told.hear(notification.payload());
                    }
                }
                Poll::Ready(Some(Ok(_))) => {}
                // Whoever waits for an answer hears why.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }));
}

/// What may pass by waiting: no answer, a server that starts or stops, or one that has no connection left.
fn judge(error: tokio_postgres::Error) -> ConnectError {
    let told = hextet_core::errors::chain(&error);
    let passing = match error.code() {
        Some(state) => ["08", "53", "55", "57"].contains(&&state.code()[..2]),
        None => error.is_closed() || is_of_the_network(&error),
    };
    match passing {
        true => ConnectError::Away(told),
        false => ConnectError::Wrong(error.into()),
    }
}

/// Whether it failed for how the network is, not for what the other end is: a certificate does not get better.
fn is_of_the_network(error: &tokio_postgres::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let mut inputs = causes.filter_map(|error| error.downcast_ref::<std::io::Error>());
    inputs.next().is_some_and(|error| {
        !error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>())
    })
}

fn verified(roots: Option<&std::path::Path>) -> Result<MakeRustlsConnect, EngineError> {
    let mut store = RootCertStore::empty();
    let fault = |error: Box<dyn std::error::Error + Send + Sync>| EngineError::Statement(error);
    match roots {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| {
                    fault(format!("sslrootcert {}: {error}", path.display()).into())
                })?;
            store.add_parsable_certificates(certificates);
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(fault(
            "no certificate authority to verify the server with".into(),
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(error.into()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
