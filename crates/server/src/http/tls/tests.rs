use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;

const DAY_S: i64 = 86_400;

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn open(config: TlsConfig) -> Result<Tls, TlsError> {
    Tls::open(config, Metrics::default())
}

/// An authority, and a folder in which a server's pair lies.
struct Office {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Office {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        Self {
            authority: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> TlsConfig {
        TlsConfig {
            cert: self.folder.path().join("api.pem"),
            key: self.folder.path().join("api.key"),
        }
    }

    /// A new pair in the folder; answers the certificate.
    fn issue(&self) -> CertificateDer<'static> {
        self.issue_for(-DAY_S, DAY_S)
    }

    /// The same, valid from and until so many seconds from now.
    fn issue_for(&self, from_s: i64, until_s: i64) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["cloud.example".to_owned()]).unwrap();
        let at = |second: i64| {
            let date =
                jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(second).unwrap());
            let ordinal = |number: i8| u8::try_from(number).unwrap();
            rcgen::date_time_ymd(
                date.year().into(),
                ordinal(date.month()),
                ordinal(date.day()),
            )
        };
        let now = now().as_second();
        (params.not_before, params.not_after) = (at(now + from_s), at(now + until_s));
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        std::fs::write(self.config().cert, certificate.pem()).unwrap();
        std::fs::write(self.config().key, key.serialize_pem()).unwrap();
        certificate.der().clone()
    }

    fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}

/// One request on a connection of its own: the certificate that was shown, and the answer.
async fn ask(
    connector: &TlsConnector,
    address: SocketAddr,
) -> io::Result<(CertificateDer<'static>, String)> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("cloud.example").unwrap();
    let mut stream = connector.connect(name, stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: cloud.example\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok((shown, answer))
}

async fn serving(tls: Tls) -> SocketAddr {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async { "here" }));
    let site = crate::http::Site {
        router,
        tls: Some(tls),
        bounds: crate::http::Bounds::default(),
        metrics: crate::http::Metrics::default(),
        access_log: true,
        lanes: crate::http::Lanes::here(),
    };
    tokio::spawn(crate::http::serve(listener, site, std::future::pending()));
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let office = Office::new();
    let first = office.issue();
    let tls = open(office.config()).unwrap();
    let seen = tls.look(None, now());
    let address = serving(tls.clone()).await;

    let (asked, done) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (connector, asked, done) = (office.connector(), asked.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    let (_, answer) = ask(&connector, address).await.unwrap();
                    assert!(answer.ends_with("here"), "{answer}");
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let more = async || {
        let before = asked.load(Ordering::SeqCst);
        while asked.load(Ordering::SeqCst) < before + 8 {
            assert!(
                clients.iter().all(|client| !client.is_finished()),
                "a request failed"
            );
            tokio::task::yield_now().await;
        }
    };
    more().await;
    assert_eq!(ask(&office.connector(), address).await.unwrap().0, first);
    let second = office.issue();
    assert_ne!(tls.look(seen.clone(), now()), seen);
    assert_eq!(ask(&office.connector(), address).await.unwrap().0, second);
    more().await;
    done.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_broken_pair_leaves_the_old_one_until_it_is_whole() {
    let office = Office::new();
    let first = office.issue();
    let tls = open(office.config()).unwrap();
    let address = serving(tls.clone()).await;
    let key = std::fs::read(office.config().key).unwrap();
    let second = office.issue();
    let whole = std::fs::read(office.config().key).unwrap();
    let certificate = std::fs::read(office.config().cert).unwrap();
    // The certificate is there already, its key is not.
    for broken in [key, b"no key".to_vec(), whole[..40].to_vec()] {
        std::fs::write(office.config().key, broken).unwrap();
        let seen = tls.look(None, now());
        assert_eq!(tls.look(seen.clone(), now()), seen, "it is tried once");
        assert_eq!(ask(&office.connector(), address).await.unwrap().0, first);
    }
    std::fs::write(office.config().key, &whole).unwrap();
    let empty = Vec::new();
    for broken in [
        b"no certificate".to_vec(),
        certificate[..60].to_vec(),
        empty,
    ] {
        std::fs::write(office.config().cert, broken).unwrap();
        let seen = tls.look(None, now());
        assert_eq!(tls.look(seen.clone(), now()), seen, "it is tried once");
        assert_eq!(ask(&office.connector(), address).await.unwrap().0, first);
    }
    std::fs::write(office.config().cert, certificate).unwrap();
    std::fs::remove_file(office.config().key).unwrap();
    let seen = tls.look(None, now());
    assert_eq!(ask(&office.connector(), address).await.unwrap().0, first);
    std::fs::write(office.config().key, whole).unwrap();
    assert_ne!(tls.look(seen.clone(), now()), seen);
    assert_eq!(ask(&office.connector(), address).await.unwrap().0, second);
}

#[tokio::test]
async fn a_certificate_whose_time_is_not_now_leaves_the_old_one() {
    let office = Office::new();
    let first = office.issue();
    let tls = open(office.config()).unwrap();
    let address = serving(tls.clone()).await;
    let refused = || {
        let text = tls.metrics.text().unwrap();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("hextet_certificates_refused_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    for (times, (from_s, until_s)) in [(-9 * DAY_S, -2 * DAY_S), (2 * DAY_S, 9 * DAY_S)]
        .into_iter()
        .enumerate()
    {
        office.issue_for(from_s, until_s);
        let seen = tls.look(None, now());
        assert_eq!(tls.look(seen.clone(), now()), seen, "it is tried once");
        assert_eq!(refused(), 1 + times as u64);
        assert_eq!(ask(&office.connector(), address).await.unwrap().0, first);
    }
    let shown = || {
        let text = tls.metrics.text().unwrap();
        let mut lines = text.lines();
        let line =
            lines.find(|line| line.starts_with("hextet_certificate_expiry_timestamp_seconds"));
        let (_, value) = line.unwrap().rsplit_once(' ').unwrap();
        value.parse::<i64>().unwrap()
    };
    assert!(shown() < now().as_second() + 2 * DAY_S);
    // The second one's time begins, its files untouched.
    let seen = tls.look(None, now());
    let later = now() + jiff::SignedDuration::from_hours(3 * 24);
    assert_ne!(tls.look(seen.clone(), later), seen);
    assert!(shown() > now().as_second() + 7 * DAY_S);
    assert_eq!(refused(), 3, "two, and the look that was asked for twice");
}

#[test]
fn a_refused_certificate_is_named_with_its_time() {
    let office = Office::new();
    for (from_s, until_s, said) in [
        (-9 * DAY_S, -2 * DAY_S, "has expired"),
        (2 * DAY_S, 9 * DAY_S, "is not valid yet"),
    ] {
        office.issue_for(from_s, until_s);
        let pair = pair(&office.config(), &read(&office.config()).unwrap()).unwrap();
        let why = pair.check(now()).unwrap_err().to_string();
        assert!(why.contains(said), "{why}");
        assert!(why.contains(&pair.until.to_string()), "{why}");
        // There is no other to show: the server comes up.
        assert!(open(office.config()).is_ok());
    }
}

#[tokio::test]
async fn clients_that_do_not_shake_hands_hold_up_nobody() {
    let office = Office::new();
    office.issue();
    let address = serving(open(office.config()).unwrap()).await;
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut told = Vec::new();
    // An alert, or a reset: no answer in clear.
    let _ = plain.read_to_end(&mut told).await;
    assert!(!String::from_utf8_lossy(&told).contains("HTTP"));
    let (_, answer) = ask(&office.connector(), address).await.unwrap();
    assert!(answer.ends_with("here"), "{answer}");
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let office = Office::new();
    office.issue();
    let tls = open(office.config()).unwrap();
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let handshake = tls.accept_within(stream, Duration::from_millis(1));
    let error = handshake.await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn what_is_no_pair_is_refused_with_the_file() {
    let office = Office::new();
    let told = |config| hextet_core::errors::chain(&open(config).err().unwrap());
    let missing = told(office.config());
    assert!(
        missing.contains("api.pem") && missing.contains("No such file"),
        "{missing}"
    );
    office.issue();
    let swapped = TlsConfig {
        cert: office.config().key,
        key: office.config().cert,
    };
    assert!(told(swapped).contains("api.key holds no certificate in PEM"));
    let other = office.folder.path().join("other.key");
    std::fs::write(&other, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let mismatch = TlsConfig {
        key: other,
        ..office.config()
    };
    assert!(told(mismatch).contains("cannot be used together"));
}

#[test]
fn clients_are_told_the_scheme_that_is_listened_with() {
    let mut headers = http::HeaderMap::new();
    let told = |listen, headers: &http::HeaderMap| crate::http::base_url(None, listen, headers);
    assert_eq!(told("https://[::1]:9696", &headers), "https://[::1]:9696");
    headers.insert("host", "[2001:db8::1]:9696".parse().unwrap());
    assert_eq!(
        told("https://[::1]:9696", &headers),
        "https://[2001:db8::1]:9696"
    );
    assert_eq!(
        told("http://[::1]:9696", &headers),
        "http://[2001:db8::1]:9696"
    );
}
