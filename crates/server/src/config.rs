//! `server.toml`: what the file says, and what it means once checked. `hextet.example.toml` lists every key.

mod settings;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hextet_core::ids::Vni;
use hextet_core::mac::BaseMac;
use hextet_core::network::{MTU_MIN, OVERLAY_OVERHEAD};
use hextet_core::provider::Underlay;
use hextet_core::settings::CloudSettings;
use hextet_store::{Database, DatabaseError};
use serde::Deserialize;

use crate::app::quotas::{Defaults, LIMIT_MAX, UNLIMITED};
use crate::feed::{ANY_HOST, FeedConfig};
use crate::http::TlsConfig;
use crate::identity::IdentityConfig;

use settings::{RawDhcpv4, RawDhcpv6, RawLifetimes, RawRa, RawSettings};

/// Largest MTU of a Linux link, bytes.
const LINK_MTU_MAX: u32 = 65_535;
/// Longest name of a physical network, characters (Neutron's limit).
const PHYSICAL_NETWORK_CHARS_MAX: usize = 64;
/// Length of a host's name, characters.
const HOST_CHARS: RangeInclusive<usize> = 1..=255;

/// The file, key by key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    listen: SocketAddr,
    database: String,
    public_url: Option<String>,
    #[serde(default = "defaults::underlay_mtu")]
    underlay_mtu: u32,
    #[serde(default = "defaults::physical_mtu")]
    physical_mtu: u32,
    #[serde(default)]
    physical_networks: Vec<String>,
    #[serde(default = "defaults::vni_range")]
    vni_range: (u32, u32),
    base_mac: Option<String>,
    #[serde(default)]
    dns_search: Vec<String>,
    #[serde(default = "defaults::access_log")]
    access_log: bool,
    #[serde(default)]
    log_format: LogFormat,
    metrics_listen: Option<SocketAddr>,
    tls: Option<RawPair>,
    feed: RawFeed,
    identity: RawIdentity,
    #[serde(default)]
    quotas: RawQuotas,
    #[serde(default)]
    ra: RawRa,
    #[serde(default)]
    lifetimes: RawLifetimes,
    #[serde(default)]
    dhcpv6: RawDhcpv6,
    #[serde(default)]
    dhcpv4: RawDhcpv4,
}

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object for each line.
    Json,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFeed {
    #[serde(default = "defaults::feed_listen")]
    listen: SocketAddr,
    address_file: Option<PathBuf>,
    #[serde(default)]
    claim_hosts: BTreeSet<String>,
    tls: RawTls,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPair {
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdentity {
    accounts: PathBuf,
    #[serde(default = "defaults::token_lifetime_s")]
    token_lifetime_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawQuotas {
    network: i64,
    subnet: i64,
    port: i64,
}

mod defaults {
    use super::{IdentityConfig, RawQuotas, SocketAddr, Vni};

    pub(super) fn underlay_mtu() -> u32 {
        1500
    }

    pub(super) fn physical_mtu() -> u32 {
        1500
    }

    pub(super) fn vni_range() -> (u32, u32) {
        (Vni::MIN.0, Vni::MAX.0)
    }

    pub(super) fn access_log() -> bool {
        true
    }

    pub(super) fn feed_listen() -> SocketAddr {
        SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0))
    }

    pub(super) fn token_lifetime_s() -> u64 {
        IdentityConfig::TOKEN_LIFETIME.as_secs()
    }

    impl Default for RawQuotas {
        fn default() -> Self {
            Self {
                network: 100,
                subnet: 100,
                port: 500,
            }
        }
    }
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where HTTP listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the cloud is stored.
    pub database: Database,
    /// The address that clients know this server by, without a slash at the end.
    pub public_url: Option<String>,
    /// Whether each request has its line in the log.
    pub access_log: bool,
    /// How lines of the log are written.
    pub log_format: LogFormat,
    /// Where whoever reads the metrics finds them, without a token; nowhere if it is not set.
    pub metrics_listen: Option<SocketAddr>,
    /// The certificate of HTTPS; without one it is HTTP.
    pub tls: Option<TlsConfig>,
    /// What networks can be made of.
    pub underlay: Underlay,
    /// How generated MACs begin.
    pub base_mac: BaseMac,
    /// The feed.
    pub feed: FeedConfig,
    /// The file of the first accounts; written with random passwords where it is not there.
    pub accounts: PathBuf,
    /// How long a token holds.
    pub token_lifetime: Duration,
    /// How much a project may have that has no limits of its own.
    pub quotas: Defaults,
    /// What guests are told. `server_duid` is a proposal that a new database keeps.
    pub settings: CloudSettings,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The syntax, an unknown key, a missing one, a wrong type.
    #[error("{0}")]
    Parse(toml::de::Error),
    /// A value.
    #[error("{key} = {value}: {allowed}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What it says.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

impl ServerConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// With the key and what is allowed.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Checks a file's text.
    ///
    /// # Errors
    /// With the key and what is allowed.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|error| unquoted(error, text))?;
        // The text is not quoted: a password may be in it.
        let database = raw
            .database
            .parse()
            .map_err(|why: DatabaseError| wrong("database", "…", &why.to_string()))?;
        Ok(Self {
            listen: raw.listen,
            database,
            public_url: raw.public_url.as_deref().map(public_url).transpose()?,
            access_log: raw.access_log,
            log_format: raw.log_format,
            metrics_listen: raw.metrics_listen,
            tls: raw.tls.map(|pair| TlsConfig {
                cert: pair.cert,
                key: pair.key,
            }),
            base_mac: raw
                .base_mac
                .map_or(Ok(BaseMac::NEUTRON), |text| base_mac(&text))?,
            underlay: Underlay {
                vni_range: vni_range(raw.vni_range)?,
                ..underlay(raw.underlay_mtu, raw.physical_mtu, raw.physical_networks)?
            },
            feed: FeedConfig {
                listen: raw.feed.listen,
                ca: raw.feed.tls.ca,
                cert: raw.feed.tls.cert,
                key: raw.feed.tls.key,
                address_file: raw.feed.address_file,
                claim_hosts: claim_hosts(raw.feed.claim_hosts)?,
            },
            accounts: raw.identity.accounts,
            token_lifetime: token_lifetime(raw.identity.token_lifetime_s)?,
            quotas: quotas(&raw.quotas)?,
            settings: RawSettings {
                ra: raw.ra,
                lifetimes: raw.lifetimes,
                dhcpv6: raw.dhcpv6,
                dhcpv4: raw.dhcpv4,
                dns_search: raw.dns_search,
            }
            .check()?,
        })
    }
}

/// The library quotes the line that it cannot read. One with a URL in it is not quoted: there may be a password in it.
fn unquoted(mut error: toml::de::Error, text: &str) -> ConfigError {
    let line = error.span().and_then(|span| {
        let start = text.get(..span.start)?.rfind('\n').map_or(0, |end| end + 1);
        text.get(start..)?.lines().next()
    });
    if line.is_none_or(|line| line.contains("://")) {
        error.set_input(None);
    }
    ConfigError::Parse(error)
}

fn claim_hosts(hosts: BTreeSet<String>) -> Result<BTreeSet<String>, ConfigError> {
    let wrong = |why| Err(wrong("feed.claim_hosts", format!("{hosts:?}"), why));
    if !hosts
        .iter()
        .all(|host| HOST_CHARS.contains(&host.chars().count()))
    {
        return wrong("names of hosts, each of 1 to 255 characters");
    }
    if hosts.contains(ANY_HOST) && hosts.len() > 1 {
        return wrong("names of hosts, or \"*\" alone");
    }
    Ok(hosts)
}

fn underlay(mtu: u32, physical_mtu: u32, named: Vec<String>) -> Result<Underlay, ConfigError> {
    let allowed = MTU_MIN + OVERLAY_OVERHEAD..=LINK_MTU_MAX;
    within("underlay_mtu", mtu, &allowed, "bytes")?;
    let allowed = MTU_MIN..=LINK_MTU_MAX;
    within("physical_mtu", physical_mtu, &allowed, "bytes")?;
    let length = 1..=PHYSICAL_NETWORK_CHARS_MAX;
    let mut physical_networks = BTreeSet::new();
    for name in named {
        if !length.contains(&name.chars().count()) || physical_networks.contains(&name) {
            let allowed = format!(
                "names of 1 to {PHYSICAL_NETWORK_CHARS_MAX} characters, each once, are allowed"
            );
            return Err(wrong("physical_networks", name, &allowed));
        }
        physical_networks.insert(name);
    }
    Ok(Underlay {
        mtu,
        physical_mtu,
        physical_networks,
        vni_range: Vni::MIN.0..=Vni::MAX.0,
    })
}

fn vni_range((first, last): (u32, u32)) -> Result<RangeInclusive<u32>, ConfigError> {
    if Vni::MIN.0 <= first && first <= last && last <= Vni::MAX.0 {
        return Ok(first..=last);
    }
    let allowed = format!(
        "the first and the last number, {} to {}, are allowed",
        Vni::MIN,
        Vni::MAX
    );
    Err(wrong("vni_range", format!("[{first}, {last}]"), &allowed))
}

fn base_mac(text: &str) -> Result<BaseMac, ConfigError> {
    let base = text.parse().ok().and_then(BaseMac::new);
    base.ok_or_else(|| {
        wrong(
            "base_mac",
            text,
            "six octets as in fa:16:3e:00:00:00, of unicast addresses and not 02:68:78, are allowed",
        )
    })
}

fn public_url(url: &str) -> Result<String, ConfigError> {
    let url = url.trim_end_matches('/');
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && url.is_ascii() => Ok(url.to_owned()),
        _ => Err(wrong(
            "public_url",
            url,
            "http://HOST[:PORT] or https://HOST[:PORT] is allowed",
        )),
    }
}

fn token_lifetime(seconds: u64) -> Result<Duration, ConfigError> {
    let allowed =
        IdentityConfig::TOKEN_LIFETIME_MIN.as_secs()..=IdentityConfig::TOKEN_LIFETIME_MAX.as_secs();
    within("identity.token_lifetime_s", seconds, &allowed, "seconds")?;
    Ok(Duration::from_secs(seconds))
}

fn quotas(raw: &RawQuotas) -> Result<Defaults, ConfigError> {
    let allowed = UNLIMITED..=LIMIT_MAX;
    within("quotas.network", raw.network, &allowed, "networks")?;
    within("quotas.subnet", raw.subnet, &allowed, "subnets")?;
    within("quotas.port", raw.port, &allowed, "ports")?;
    Ok(Defaults::new(raw.network, raw.port, raw.subnet))
}

fn within<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    allowed: &std::ops::RangeInclusive<T>,
    unit: &str,
) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let allowed = format!(
        "{} to {} {unit} are allowed",
        allowed.start(),
        allowed.end()
    );
    Err(wrong(key, value, &allowed))
}

fn wrong(key: &'static str, value: impl std::fmt::Display, allowed: &str) -> ConfigError {
    ConfigError::Value {
        key,
        value: value.to_string(),
        allowed: allowed.to_owned(),
    }
}

#[cfg(test)]
mod tests;
