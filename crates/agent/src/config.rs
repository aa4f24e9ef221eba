//! The agent's configuration: `RawConfig` is the file, `Config` is what was checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hextet_core::ids::HostId;
use serde::Deserialize;

use crate::kernel::fastpath::Sizes;

/// Longest name of an instance.
const INSTANCE_LEN_MAX: usize = 32;
/// Longest name of a physical network, as in the API.
const PHYSICAL_NETWORK_LEN_MAX: usize = 64;
/// Most physical networks of a host.
const PHYSICAL_NETWORKS_MAX: usize = 64;
/// Rows that a map may be made for.
const MAP_ROWS: RangeInclusive<u32> = 1..=1 << 20;
/// Bytes that the ring of frames for the agent may have.
const PUNT_BYTES: RangeInclusive<u32> = 1 << 16..=1 << 26;
/// Verdicts that are counted of one port, on the average of all.
const COUNTERS_EACH: u32 = 16;
/// Least of all ports together: some are kept that are no port's.
const COUNTERS_MIN: u32 = 1024;
/// Longest name of an interface (IFNAMSIZ less its end).
const IFNAME_LEN_MAX: usize = 15;

/// What the agent runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name of this host.
    pub host: HostId,
    /// Where the ledger is, and the pins where the machine has no bpffs.
    pub state_dir: PathBuf,
    /// Where the command line finds the agent.
    pub socket: PathBuf,
    /// Tells several agents on one machine apart.
    pub instance: String,
    /// How the program is attached.
    pub hook: HookKind,
    /// From one look at the whole host to the next.
    pub resync: Duration,
    /// How the server is reached.
    pub server: ServerAccess,
    /// Backoff between attempts to reach the server.
    pub retry: Retry,
    /// How much of a guest's traffic reaches the agent.
    pub punt: PuntLimits,
    /// Where Prometheus reads the figures; nowhere, if `None`.
    pub metrics_listen: Option<SocketAddr>,
    /// How much the fast path's maps hold.
    pub maps: Sizes,
    /// The NIC that leads to each physical network that this host is on.
    pub physical_networks: BTreeMap<String, String>,
}

/// How the program is attached to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookKind {
    /// A tcx link (Linux 6.6).
    Tcx,
    /// A clsact qdisc with a filter.
    Clsact,
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAccess {
    /// Its feed's address.
    pub address: ServerAddress,
    /// The name in its certificate.
    pub name: String,
    /// PEM file of the authority of both ends.
    pub ca: PathBuf,
    /// PEM file of the agent's certificate.
    pub cert: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
}

/// Where the feed answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// There.
    Fixed(SocketAddr),
    /// Where this file says, read at each attempt.
    File(PathBuf),
}

/// Backoff: doubled after each attempt, up to a bound, then halved at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure.
    pub first: Duration,
    /// Never longer.
    pub max: Duration,
}

/// The token bucket of one guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuntLimits {
    /// Frames a second.
    pub rate: u32,
    /// Frames at once.
    pub burst: u32,
}

/// A configuration that cannot be run with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML, or has a key that is not known.
    #[error("{path} is not a configuration of the agent")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value is not among those allowed.
    #[error("{key} must be {allowed}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// It cannot be read, or says something that cannot be run with.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        raw.check()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    host: String,
    state_dir: PathBuf,
    socket: PathBuf,
    #[serde(default = "default_instance")]
    instance: String,
    #[serde(default = "default_hook")]
    hook: HookKind,
    #[serde(default = "default_resync_s")]
    resync_s: u64,
    metrics_listen: Option<SocketAddr>,
    server: RawServer,
    #[serde(default)]
    retry: RawRetry,
    #[serde(default)]
    punt: RawPunt,
    #[serde(default)]
    maps: RawMaps,
    #[serde(default)]
    physical_networks: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    address: Option<SocketAddr>,
    address_file: Option<PathBuf>,
    #[serde(default = "default_server_name")]
    name: String,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRetry {
    first_ms: u64,
    max_ms: u64,
}

impl Default for RawRetry {
    fn default() -> Self {
        Self {
            first_ms: 200,
            max_ms: 5000,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPunt {
    rate: u32,
    burst: u32,
}

impl Default for RawPunt {
    fn default() -> Self {
        Self {
            rate: 100,
            burst: 200,
        }
    }
}

/// Named after what an operator counts; the rest follows from it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawMaps {
    ports: u32,
    sources: u32,
    neighbours: u32,
    punt_bytes: u32,
}

impl Default for RawMaps {
    fn default() -> Self {
        let Sizes {
            ports,
            sources,
            neighbours,
            punt_bytes,
            ..
        } = Sizes::default();
        Self {
            ports,
            sources,
            neighbours,
            punt_bytes,
        }
    }
}

impl RawMaps {
    fn check(&self) -> Result<Sizes, ConfigError> {
        for (key, entries) in [
            ("maps.ports", self.ports),
            ("maps.sources", self.sources),
            ("maps.neighbours", self.neighbours),
        ] {
            if !MAP_ROWS.contains(&entries) {
                let allowed = "1 to 1048576";
                return Err(ConfigError::Value { key, allowed });
            }
        }
        if !self.punt_bytes.is_power_of_two() || !PUNT_BYTES.contains(&self.punt_bytes) {
            return Err(ConfigError::Value {
                key: "maps.punt_bytes",
                allowed: "a power of two, 65536 to 67108864",
            });
        }
        Ok(Sizes {
            ports: self.ports,
            sources: self.sources,
            neighbours: self.neighbours,
            // A network has as many chunks as it has ports here, at most.
            member_chunks: self.ports,
            counters: self.ports.saturating_mul(COUNTERS_EACH).max(COUNTERS_MIN),
            punt_bytes: self.punt_bytes,
        })
    }
}

fn default_instance() -> String {
    "hextet".to_owned()
}

fn default_hook() -> HookKind {
    HookKind::Tcx
}

fn default_resync_s() -> u64 {
    30
}

fn default_server_name() -> String {
    "hextet-server".to_owned()
}

impl RawConfig {
    fn check(self) -> Result<Config, ConfigError> {
        let value = |ok: bool, key, allowed| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError::Value { key, allowed })
            }
        };
        let name_ok = |name: &str| {
            (1..=INSTANCE_LEN_MAX).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        value(
            (1..=255).contains(&self.host.len()),
            "host",
            "1 to 255 characters",
        )?;
        value(
            self.state_dir.is_absolute(),
            "state_dir",
            "an absolute path",
        )?;
        value(self.socket.is_absolute(), "socket", "an absolute path")?;
        value(name_ok(&self.instance), "instance", "1 to 32 of [a-z0-9-]")?;
        value((1..=3600).contains(&self.resync_s), "resync_s", "1 to 3600")?;
        let RawRetry { first_ms, max_ms } = self.retry;
        value(
            (10..=60_000).contains(&first_ms),
            "retry.first_ms",
            "10 to 60000",
        )?;
        value(
            (first_ms..=600_000).contains(&max_ms),
            "retry.max_ms",
            "first_ms to 600000",
        )?;
        let RawPunt { rate, burst } = self.punt;
        value((1..=100_000).contains(&rate), "punt.rate", "1 to 100000")?;
        value((1..=100_000).contains(&burst), "punt.burst", "1 to 100000")?;
        check_physical_networks(&self.physical_networks)?;
        Ok(Config {
            host: HostId(self.host),
            state_dir: self.state_dir,
            socket: self.socket,
            instance: self.instance,
            hook: self.hook,
            resync: Duration::from_secs(self.resync_s),
            server: self.server.check()?,
            retry: Retry {
                first: Duration::from_millis(first_ms),
                max: Duration::from_millis(max_ms),
            },
            punt: PuntLimits { rate, burst },
            metrics_listen: self.metrics_listen,
            maps: self.maps.check()?,
            physical_networks: self.physical_networks,
        })
    }
}

/// Whether a kernel could have an interface of that name.
pub(crate) fn is_ifname(name: &str) -> bool {
    let odd = |at: char| at.is_whitespace() || matches!(at, '/' | ':' | '%');
    (1..=IFNAME_LEN_MAX).contains(&name.len()) && !name.contains(odd) && name != "." && name != ".."
}

fn check_physical_networks(named: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    let value = |allowed| ConfigError::Value {
        key: "physical_networks",
        allowed,
    };
    if named.len() > PHYSICAL_NETWORKS_MAX {
        return Err(value("at most 64 physical networks"));
    }
    if !named
        .keys()
        .all(|name| (1..=PHYSICAL_NETWORK_LEN_MAX).contains(&name.len()))
    {
        return Err(value("named with 1 to 64 characters"));
    }
    if !named.values().all(|nic| is_ifname(nic)) {
        return Err(value("names of interfaces, 1 to 15 characters each"));
    }
    let nics: BTreeSet<&String> = named.values().collect();
    if nics.len() != named.len() {
        return Err(value("a NIC of its own for each physical network"));
    }
    Ok(())
}

impl RawServer {
    fn check(self) -> Result<ServerAccess, ConfigError> {
        let address = match (self.address, self.address_file) {
            (Some(address), None) => ServerAddress::Fixed(address),
            (None, Some(file)) => ServerAddress::File(file),
            _ => {
                return Err(ConfigError::Value {
                    key: "server.address",
                    allowed: "given, or server.address_file, and not both",
                });
            }
        };
        Ok(ServerAccess {
            address,
            name: self.name,
            ca: self.ca,
            cert: self.cert,
            key: self.key,
        })
    }
}

#[cfg(test)]
mod tests;
