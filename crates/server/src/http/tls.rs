//! HTTPS: a certificate and its key from PEM files, taken anew when the files change.
//!
//! The files are looked at every [`RELOAD_INTERVAL`], by their content. A new pair that cannot be used, or whose time is over or
//! has not begun, is logged once and counted, and the old one stays: whoever renews certificates writes two files, and between
//! the two they do not fit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{error, info};
use x509_cert::Certificate;
use x509_cert::der::{self, Decode as _};
use x509_cert::time::Time;

use super::metrics::Metrics;

/// How often the files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);
/// How long a client may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest certificate or key file, bytes: a chain of certificates is a few thousand.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Which certificate HTTPS shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file of the server's certificate, those that lead to its authority after it.
    pub cert: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// Why a pair of files is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Not what it should be.
    #[error("{path} holds no {wanted} in PEM")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What was found.
        #[source]
        source: pem::Error,
    },
    /// The two do not fit, or are of a kind that is not spoken.
    #[error("the certificate in {cert} and the key in {key} cannot be used together")]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// It says what only a certificate says, but not so that it can be read.
    #[error("the certificate in {path} cannot be read")]
    Unreadable {
        /// Its file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: der::Error,
    },
    /// Clients would refuse it.
    #[error("the certificate in {path} {what}: it is valid from {from} to {until}")]
    Time {
        /// Its file.
        path: PathBuf,
        /// Which end of its time is missed.
        what: &'static str,
        /// When its time begins.
        from: jiff::Timestamp,
        /// When it ends.
        until: jiff::Timestamp,
    },
}

/// What turns connections into encrypted ones. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    config: TlsConfig,
    shown: Arc<Shown>,
    acceptor: TlsAcceptor,
    metrics: Metrics,
}

/// A certificate and its key, and when clients believe it (RFC 5280 §4.1.2.5).
struct Pair {
    certified: CertifiedKey,
    path: PathBuf,
    from: jiff::Timestamp,
    until: jiff::Timestamp,
}

impl Pair {
    /// Whether its time is now.
    fn check(&self, now: jiff::Timestamp) -> Result<(), TlsError> {
        let what = match () {
            () if now < self.from => "is not valid yet",
            () if now > self.until => "has expired",
            () => return Ok(()),
        };
        Err(TlsError::Time {
            path: self.path.clone(),
            what,
            from: self.from,
            until: self.until,
        })
    }
}

/// What was found in the files, so that it is tried once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// What tells it from another, or why it cannot be read.
    digest: String,
    /// When its time begins, if that was what was missing.
    again: Option<jiff::Timestamp>,
}

/// The pair of files as it was read last.
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// The certificate that the next handshake shows.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

impl Tls {
    /// Reads the pair. One whose time is not now is shown all the same, and logged: there is no other.
    ///
    /// # Errors
    /// With the file that cannot be read, or the pair that cannot be used.
    pub fn open(config: TlsConfig, metrics: Metrics) -> Result<Self, TlsError> {
        let pair = pair(&config, &read(&config)?)?;
        if let Err(failure) = pair.check(jiff::Timestamp::now()) {
            error!(
                error = %hextet_core::errors::chain(&failure),
                "clients will refuse the certificate"
            );
        }
        metrics.certificate_shown(pair.until.as_second());
        let shown = Arc::new(Shown(RwLock::new(Arc::new(pair.certified))));
        let mut server = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|source| unfit(&config, source))?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config,
            shown,
            acceptor: TlsAcceptor::from(Arc::new(server)),
            metrics,
        })
    }

    /// The handshake; one that takes too long is an error too.
    ///
    /// # Errors
    /// When the client does not speak TLS, or not in time.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.accept_within(stream, HANDSHAKE_TIMEOUT).await
    }

    async fn accept_within(
        &self,
        stream: TcpStream,
        time: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(time, self.acceptor.accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Follows the files for as long as it is polled. Connections that are open keep what they began with.
    pub async fn follow(self) {
        let mut seen = None;
        let mut ticks = tokio::time::interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (this, before) = (self.clone(), seen.take());
            // Certificates may lie on a disk that is slow or gone.
            let looked =
                tokio::task::spawn_blocking(move || this.look(before, jiff::Timestamp::now()))
                    .await;
            seen = looked.unwrap_or_default();
        }
    }

    /// Takes the pair if it is another than `before`; answers what was seen, good or not.
    fn look(&self, before: Option<Seen>, now: jiff::Timestamp) -> Option<Seen> {
        let read = read(&self.config);
        let digest = match &read {
            Ok(files) => digest(files),
            Err(error) => error.to_string(),
        };
        let tried = before
            .as_ref()
            .is_some_and(|seen| seen.digest == digest && seen.again.is_none_or(|from| now < from));
        if tried {
            return before;
        }
        let pair = read.and_then(|files| pair(&self.config, &files));
        let again = pair.as_ref().ok().map(|pair| pair.from);
        let again = again.filter(|from| now < *from);
        match pair.and_then(|pair| pair.check(now).map(|()| pair)) {
            Ok(pair) => self.show(pair),
            Err(failure) => {
                self.metrics.count_certificate_refused();
                error!(
                    error = %hextet_core::errors::chain(&failure),
                    "the certificate is not replaced"
                );
            }
        }
        Some(Seen { digest, again })
    }

    fn show(&self, pair: Pair) {
        let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        if shown.cert != pair.certified.cert {
            *shown = Arc::new(pair.certified);
            self.metrics.certificate_shown(pair.until.as_second());
            info!(cert = %self.config.cert.display(), until = %pair.until, "the certificate was replaced");
        }
    }
}

fn read(config: &TlsConfig) -> Result<Files, TlsError> {
    Ok(Files {
        cert: read_file(&config.cert)?,
        key: read_file(&config.key)?,
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    use io::Read as _;
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(PEM_BYTES_MAX)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    Ok(octets)
}

/// What tells one pair from another, without holding the key.
fn digest(files: &Files) -> String {
    let mut context = ::aws_lc_rs::digest::Context::new(&::aws_lc_rs::digest::SHA256);
    context.update(&files.cert);
    context.update(&[0]);
    context.update(&files.key);
    format!("{:?}", context.finish())
}

fn pair(config: &TlsConfig, files: &Files) -> Result<Pair, TlsError> {
    let bad = |path: &Path, wanted| {
        let path = path.to_owned();
        move |source| TlsError::Pem {
            path,
            wanted,
            source,
        }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&files.cert)
        .collect::<Result<_, _>>()
        .map_err(bad(&config.cert, "certificate"))?;
    if chain.is_empty() {
        return Err(bad(&config.cert, "certificate")(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(bad(&config.key, "private key"))?;
    let unreadable = |source| TlsError::Unreadable {
        path: config.cert.clone(),
        source,
    };
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|source| unfit(config, source))?;
    let leaf = certified
        .end_entity_cert()
        .map_err(|source| unfit(config, source))?;
    let leaf = Certificate::from_der(leaf).map_err(unreadable)?;
    let validity = leaf.tbs_certificate.validity;
    Ok(Pair {
        path: config.cert.clone(),
        from: timestamp(validity.not_before),
        until: timestamp(validity.not_after),
        certified,
    })
}

/// Years beyond those of a timestamp stand for "never" (RFC 5280 §4.1.2.5).
fn timestamp(time: Time) -> jiff::Timestamp {
    let since = jiff::SignedDuration::try_from(time.to_unix_duration());
    since
        .ok()
        .and_then(|since| jiff::Timestamp::from_duration(since).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}

fn unfit(config: &TlsConfig, source: rustls::Error) -> TlsError {
    TlsError::Pair {
        cert: config.cert.clone(),
        key: config.key.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
