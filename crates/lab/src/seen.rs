//! What a guest has: parsed from `ip -j`, the client's files, and what `rdisc6` printed.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result, bail};
use ipnet::Ipv6Net;
use serde::Deserialize;

use crate::ipv4::Ipv4Seen;
use crate::options::Options;

/// Everything observed in one guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Seconds since the link was plugged, rounded up: what lifetimes can have lost.
    pub age_s: u32,
    /// Global addresses on the link.
    pub addresses: Vec<AddressSeen>,
    /// The client watches the lifetimes of its addresses by itself and tells the kernel of none.
    pub lifetimes_by_client: bool,
    /// Routes without a gateway out of the link, link-local ones left out.
    pub on_link: Vec<Ipv6Net>,
    /// Default routes, by gateway.
    pub default_routes: Vec<String>,
    /// Name servers, in order.
    pub dns: Vec<Ipv6Addr>,
    /// Where `dns` was read.
    pub dns_source: DnsSource,
    /// `/proc/sys/net/ipv6/conf/IF/mtu`.
    pub ipv6_mtu: u32,
    /// The link's own MTU.
    pub link_mtu: u32,
    /// The RA that answered a solicitation from the guest.
    pub ra: Option<RaSeen>,
    /// A full-sized packet to the neighbour's global address.
    pub ping_global: Ping,
    /// A packet to the neighbour's link-local address.
    pub ping_link_local: Ping,
    /// The IPv4 side.
    pub ipv4: Ipv4Seen,
    /// What it calls itself, where its client gives it a name.
    pub host_name: Option<String>,
    /// The options of DHCP that its client has passed on.
    pub options: Options,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSeen {
    /// The address.
    pub address: Ipv6Addr,
    /// As configured: 128 where DHCPv6 assigned it.
    pub prefix_len: u8,
    /// Remaining valid lifetime, seconds; `u32::MAX` is forever.
    pub valid_s: u32,
    /// Remaining preferred lifetime, seconds; `u32::MAX` is forever.
    pub preferred_s: u32,
    /// Flags that keep it from being used: tentative, dadfailed, deprecated.
    pub unusable: Vec<&'static str>,
}

/// Where a guest's name servers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsSource {
    /// The client's `/etc/resolv.conf`.
    ResolvConf,
    /// What systemd-networkd has for systemd-resolved, which makes a `resolv.conf` of it.
    Networkd,
    /// The RA: the guest has no client that writes a file.
    Ra,
}

impl fmt::Display for DnsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DnsSource::ResolvConf => "resolv.conf",
            DnsSource::Networkd => "networkd",
            DnsSource::Ra => "RA",
        })
    }
}

/// A Router Advertisement as `rdisc6` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RaSeen {
    /// M (RFC 4861 §4.2).
    pub managed: bool,
    /// O (RFC 4861 §4.2).
    pub other: bool,
    /// Router Lifetime, seconds.
    pub router_lifetime_s: u32,
    /// Prefix Information options.
    pub prefixes: Vec<PrefixSeen>,
    /// Recursive DNS servers.
    pub rdnss: Vec<Ipv6Addr>,
    /// The MTU option, bytes.
    pub mtu: Option<u32>,
}

/// A Prefix Information option (RFC 4861 §4.6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixSeen {
    /// The prefix with its length.
    pub prefix: Ipv6Net,
    /// L.
    pub on_link: bool,
    /// A.
    pub autonomous: bool,
    /// Valid lifetime, seconds.
    pub valid_s: u32,
    /// Preferred lifetime, seconds.
    pub preferred_s: u32,
}

/// How a ping ended.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ping {
    /// Whether an answer came.
    pub answered: bool,
    /// What `ping` said, one line.
    pub says: String,
}

#[derive(Deserialize)]
struct IpLink {
    mtu: u32,
    addr_info: Vec<IpAddress>,
}

#[derive(Deserialize)]
struct IpAddress {
    local: IpAddr,
    prefixlen: u8,
    valid_life_time: u32,
    preferred_life_time: u32,
    #[serde(default)]
    tentative: bool,
    #[serde(default)]
    dadfailed: bool,
    #[serde(default)]
    deprecated: bool,
}

#[derive(Deserialize)]
struct IpRoute {
    dst: String,
    #[serde(default)]
    dev: Option<String>,
    #[serde(default)]
    gateway: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    nexthops: Vec<serde_json::Value>,
}

/// The link's MTU and its global addresses of IPv6, from `ip -j addr show dev IF`. (With `-6`, a link without such an
/// address is not shown.)
///
/// # Errors
/// When it is not that JSON.
pub fn parse_addresses(json: &str) -> Result<(u32, Vec<AddressSeen>)> {
    let links: Vec<IpLink> = serde_json::from_str(json).context("ip -j addr")?;
    let Some(link) = links.into_iter().next() else {
        bail!("ip -j addr shows no link");
    };
    let addresses = link
        .addr_info
        .into_iter()
        .filter_map(|address| match address.local {
            IpAddr::V6(local) if !local.is_unicast_link_local() => Some((local, address)),
            _ => None,
        });
    let addresses = addresses.map(|(local, address)| AddressSeen {
        address: local,
        prefix_len: address.prefixlen,
        valid_s: address.valid_life_time,
        preferred_s: address.preferred_life_time,
        unusable: [
            (address.tentative, "tentative"),
            (address.dadfailed, "dadfailed"),
            (address.deprecated, "deprecated"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect(),
    });
    Ok((link.mtu, addresses.collect()))
}

/// On-link routes out of `interface` and default routes, from `ip -6 -j route show`.
///
/// # Errors
/// When it is not that JSON, or a destination does not parse.
pub fn parse_routes(json: &str, interface: &str) -> Result<(Vec<Ipv6Net>, Vec<String>)> {
    let routes: Vec<IpRoute> = serde_json::from_str(json).context("ip -j route")?;
    let (mut on_link, mut default_routes) = (Vec::new(), Vec::new());
    for route in routes {
        if matches!(route.dst.as_str(), "default" | "::/0") {
            default_routes.push(match (route.gateway, route.nexthops.is_empty()) {
                (Some(gateway), _) => format!("via {gateway}"),
                (None, false) => "via several".to_owned(),
                (None, true) => "without a gateway".to_owned(),
            });
            continue;
        }
        let unicast = route.kind.as_deref().is_none_or(|kind| kind == "unicast");
        if !unicast || route.gateway.is_some() || route.dev.as_deref() != Some(interface) {
            continue;
        }
        let prefix = parse_prefix(&route.dst)?;
        if !prefix.network().is_unicast_link_local() && !prefix.network().is_multicast() {
            on_link.push(prefix);
        }
    }
    Ok((on_link, default_routes))
}

/// `2001:db8::/64`, or an address alone for a host route.
fn parse_prefix(text: &str) -> Result<Ipv6Net> {
    if text.contains('/') {
        text.parse().with_context(|| format!("prefix {text}"))
    } else {
        let address: Ipv6Addr = text.parse().with_context(|| format!("address {text}"))?;
        Ok(Ipv6Net::from(address))
    }
}

/// Name servers of a `resolv.conf`, in order.
pub fn parse_resolv_conf(text: &str) -> Vec<Ipv6Addr> {
    text.lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .filter_map(|server| server.trim().parse().ok())
        .collect()
}

/// systemd-networkd's file of a link as a `resolv.conf`: its servers in their order.
pub fn resolv_conf_of_networkd(link: &str) -> String {
    let servers = link.lines().filter_map(|line| line.strip_prefix("DNS="));
    servers
        .flat_map(str::split_whitespace)
        .map(|server| format!("nameserver {server}\n"))
        .collect()
}

/// The advertisement that `rdisc6 -1 -n IF` printed; `None` when none came.
///
/// # Errors
/// When a value does not parse.
pub fn parse_rdisc6(text: &str) -> Result<Option<RaSeen>> {
    // The last line, "from ADDRESS", is there only after an advertisement.
    if !text.lines().any(|line| line.trim().starts_with("from ")) {
        return Ok(None);
    }
    let mut ra = RaSeen::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        let number = || -> Result<u32> {
            let digits = value.split_whitespace().next().unwrap_or_default();
            // rdisc6 writes "infinite" for 0xffffffff.
            if digits == "infinite" {
                return Ok(u32::MAX);
            }
            digits.parse().with_context(|| format!("{key}: {value}"))
        };
        let yes = value.starts_with("Yes");
        match key {
            "Stateful address conf." => ra.managed = yes,
            "Stateful other conf." => ra.other = yes,
            "Router lifetime" => ra.router_lifetime_s = number()?,
            "MTU" => ra.mtu = Some(number()?),
            "Recursive DNS server" => ra.rdnss.push(value.parse().context("RDNSS")?),
            "Prefix" => ra.prefixes.push(PrefixSeen {
                prefix: parse_prefix(value)?,
                on_link: false,
                autonomous: false,
                valid_s: 0,
                preferred_s: 0,
            }),
            _ => {
                let Some(prefix) = ra.prefixes.last_mut() else {
                    continue;
                };
                match key {
                    "On-link" => prefix.on_link = yes,
                    "Autonomous address conf." => prefix.autonomous = yes,
                    "Valid time" => prefix.valid_s = number()?,
                    "Pref. time" => prefix.preferred_s = number()?,
                    _ => {}
                }
            }
        }
    }
    Ok(Some(ra))
}

/// The one line of `ping`'s output that tells how it went.
pub fn parse_ping(answered: bool, output: &str) -> Ping {
    let line = |wanted: &dyn Fn(&str) -> bool| output.lines().find(|line| wanted(line));
    let says = if answered {
        line(&|line| line.contains(" bytes from ")).map(|line| match line.rsplit_once("time=") {
            Some((_, time)) => format!("answered in {time}"),
            None => "answered".to_owned(),
        })
    } else {
        line(&|line| line.contains("ping:") || line.contains("From "))
            .or_else(|| line(&|line| line.contains("packet loss")))
            .map(|line| line.trim().to_owned())
    };
    Ping {
        answered,
        says: says.unwrap_or_else(|| "nothing came back".to_owned()),
    }
}

#[cfg(test)]
mod tests;
