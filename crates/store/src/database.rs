//! Which database: a SQLite file, or a PostgreSQL by its URL. A URL's password is in no text that this module makes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// What `Database::from_str` takes.
const FORMS: &str = "sqlite:PATH or postgresql://USER[:PASSWORD]@HOST[:PORT]/NAME[?sslmode=…&sslrootcert=PATH], \
                     or for a unix socket postgresql:///NAME?host=/FOLDER&user=USER, is allowed";

/// Where the cloud is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of this machine, for one server.
    Sqlite(PathBuf),
    /// A PostgreSQL, for any number of servers.
    Postgres(PostgresUrl),
}

/// A checked PostgreSQL URL.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub(crate) config: Arc<tokio_postgres::Config>,
    pub(crate) tls: Tls,
    /// As it was given, without the password.
    shown: String,
}

/// How a connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Not at all: unix sockets, this machine, or by the operator's word.
    Off,
    /// The server's name is verified against these authorities, PEM; against the system's where there is no file.
    Verified { roots: Option<PathBuf> },
}

/// What is wrong with the text of a database, and what is allowed. Never quotes the text: there may be a password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DatabaseError(String);

impl FromStr for Database {
    type Err = DatabaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Database::Sqlite(path.into()));
        }
        if text.starts_with("postgresql://") || text.starts_with("postgres://") {
            return PostgresUrl::parse(text).map(Database::Postgres);
        }
        Err(DatabaseError(FORMS.to_owned()))
    }
}

impl From<&Path> for Database {
    fn from(path: &Path) -> Self {
        Database::Sqlite(path.to_owned())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => path.display().fmt(f),
            Database::Postgres(url) => f.write_str(&url.shown),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresUrl")
            .field("url", &self.shown)
            .field("tls", &self.tls)
            .finish()
    }
}

impl PostgresUrl {
    fn parse(text: &str) -> Result<Self, DatabaseError> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let mut mode = None;
        let mut roots = None;
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(PathBuf::from(plain(value)?)),
                _ => kept.push(pair),
            }
        }
        let mut config: tokio_postgres::Config = format!("{address}?{}", kept.join("&"))
            .parse()
            .map_err(|error| refuse(&error))?;
        let missing = |what: &str| DatabaseError(format!("the URL names no {what}; {FORMS}"));
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(missing("database"));
        }
        if config.get_user().is_none_or(str::is_empty) {
            return Err(missing("user"));
        }
        if config.get_hosts().is_empty() {
            return Err(missing("host"));
        }
        let tls = tls(&config, mode, roots)?;
        config.ssl_mode(match tls {
            Tls::Off => SslMode::Disable,
            Tls::Verified { .. } => SslMode::Require,
        });
        // A standby would refuse the first write, and be behind with every read.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self {
            config: Arc::new(config),
            tls,
            shown: shown(text),
        })
    }
}

/// Names are always verified, so that `require` is as good as `verify-full`; what may end in plain text unasked is refused.
fn tls(
    config: &tokio_postgres::Config,
    mode: Option<&str>,
    roots: Option<PathBuf>,
) -> Result<Tls, DatabaseError> {
    let near = config.get_hosts().iter().all(is_near);
    match mode {
        None if near && roots.is_none() => Ok(Tls::Off),
        Some("disable") if roots.is_none() => Ok(Tls::Off),
        Some("disable") => Err(DatabaseError(
            "sslrootcert has no meaning beside sslmode=disable".to_owned(),
        )),
        None | Some("require" | "verify-full") => Ok(Tls::Verified { roots }),
        Some(_) => Err(DatabaseError(
            "sslmode: disable, require and verify-full are allowed; the last two are one, names are always verified"
                .to_owned(),
        )),
    }
}

/// Whether a host is this machine.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}

/// The library's words name options, never values.
fn refuse(error: &tokio_postgres::Error) -> DatabaseError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    DatabaseError(format!(
        "the URL cannot be used ({}); {FORMS}",
        cause.unwrap_or_else(|| error.to_string())
    ))
}

/// The URL without its password, wherever that stands.
fn shown(text: &str) -> String {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let address = match address.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((user, rest)) => {
                let name = user.split_once(':').map_or(user, |(name, _)| name);
                format!("{scheme}://{name}@{rest}")
            }
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("password="))
        .collect();
    match kept.is_empty() {
        true => address,
        false => format!("{address}?{}", kept.join("&")),
    }
}

/// Takes percent-encoding off a value.
fn plain(value: &str) -> Result<String, DatabaseError> {
    let wrong = || DatabaseError("sslrootcert: percent-encoded UTF-8 is allowed".to_owned());
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        if *octet != b'%' {
            octets.push(*octet);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        octets.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = after;
    }
    String::from_utf8(octets).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
