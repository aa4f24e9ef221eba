//! HTTPS: a certificate and its key from PEM files, taken anew when the files change.
//!
//! The files are looked at every [`RELOAD_INTERVAL`], by their content. A new pair that cannot be used is logged once and
//! the old one stays: whoever renews certificates writes two files, and between the two they do not fit.

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
}

/// What turns connections into encrypted ones. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    config: TlsConfig,
    shown: Arc<Shown>,
    acceptor: TlsAcceptor,
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
    /// Reads the pair.
    ///
    /// # Errors
    /// With the file that cannot be read, or the pair that cannot be used.
    pub fn open(config: TlsConfig) -> Result<Self, TlsError> {
        let pair = certified(&config, &read(&config)?)?;
        let shown = Arc::new(Shown(RwLock::new(Arc::new(pair))));
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
            let looked = tokio::task::spawn_blocking(move || this.look(before)).await;
            seen = looked.unwrap_or_default();
        }
    }

    /// Takes the pair if it is another than `before`; answers what was seen, good or not, so that it is tried once.
    fn look(&self, before: Option<String>) -> Option<String> {
        let (now, read) = match read(&self.config) {
            Ok(files) => (digest(&files), Ok(files)),
            Err(error) => (error.to_string(), Err(error)),
        };
        if before.as_ref() == Some(&now) {
            return before;
        }
        match read.and_then(|files| certified(&self.config, &files)) {
            Ok(pair) => {
                let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
                if shown.cert != pair.cert {
                    *shown = Arc::new(pair);
                    info!(cert = %self.config.cert.display(), "the certificate was replaced");
                }
            }
            Err(failure) => error!(
                error = %hextet_core::errors::chain(&failure),
                "the certificate is not replaced"
            ),
        }
        Some(now)
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

fn certified(config: &TlsConfig, files: &Files) -> Result<CertifiedKey, TlsError> {
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
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|source| unfit(config, source))
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
