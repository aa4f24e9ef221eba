//! The IPv4 side of a guest: what the API says that it has, and what it has.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::Value;

use crate::seen::Ping;

/// Who answers DHCPv4 on every network (`docs/decisions/0019-dhcpv4.md`); guests are told a route to it.
const SERVICE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// A route as both sides name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where it leads.
    pub destination: Ipv4Net,
    /// By whom; `None`: on the link.
    pub gateway: Option<Ipv4Addr>,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gateway {
            Some(gateway) => write!(f, "{} via {gateway}", self.destination),
            None => write!(f, "{}", self.destination),
        }
    }
}

/// What a DHCPv4 client makes of the routes that it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteHabit {
    /// It takes them all (RFC 3442).
    Classless,
    /// It takes the router alone.
    RouterAlone,
    /// It takes them all, and adds routes to the routers on the link and to the servers of names and of time, as
    /// systemd-networkd does.
    ClasslessAndHosts,
}

/// What a guest was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4Promised {
    /// The port's address with its subnet's length.
    pub address: Ipv4Net,
    /// Every route of the guest's table.
    pub routes: BTreeSet<Route>,
    /// Name servers, in order.
    pub dns: Vec<Ipv4Addr>,
}

impl Ipv4Promised {
    /// Adds routes to hosts, by the router where there is one.
    ///
    /// # Errors
    /// When one is no address.
    pub fn add_hosts<'a>(&mut self, hosts: impl Iterator<Item = &'a str>) -> Result<()> {
        let default = |route: &&Route| route.destination.prefix_len() == 0;
        let gateway = self
            .routes
            .iter()
            .find(default)
            .and_then(|route| route.gateway);
        for host in hosts {
            let host: Ipv4Addr = host.parse().with_context(|| host.to_owned())?;
            self.routes.insert(Route {
                destination: Ipv4Net::from(host),
                gateway,
            });
        }
        Ok(())
    }
}

/// What a guest has.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ipv4Seen {
    /// Addresses on the link.
    pub addresses: Vec<Ipv4Net>,
    /// Routes out of the link.
    pub routes: BTreeSet<Route>,
    /// Name servers, in order.
    pub dns: Vec<Ipv4Addr>,
    /// A full-sized packet to the neighbour's address.
    pub ping: Ping,
}

/// Reads the promise out of a port's address and its subnet, for a client with this habit.
///
/// # Errors
/// When the subnet lacks an attribute or has one that does not parse.
pub fn promised(address: Ipv4Addr, subnet: &Value, habit: RouteHabit) -> Result<Ipv4Promised> {
    let cidr: Ipv4Net = parsed(&subnet["cidr"]).context("cidr")?;
    let on_link = |destination| Route {
        destination,
        gateway: None,
    };
    let mut routes = BTreeSet::from([on_link(cidr)]);
    let gateway = match &subnet["gateway_ip"] {
        Value::Null => None,
        gateway => Some(parsed(gateway).context("gateway_ip")?),
    };
    routes.extend(gateway.map(|_| Route {
        destination: Ipv4Net::default(),
        gateway,
    }));
    if habit != RouteHabit::RouterAlone {
        routes.insert(on_link(Ipv4Net::from(SERVICE)));
        for route in subnet["host_routes"].as_array().context("host_routes")? {
            routes.insert(Route {
                destination: parsed(&route["destination"]).context("destination")?,
                gateway: Some(parsed(&route["nexthop"]).context("nexthop")?),
            });
        }
    }
    let servers = subnet["dns_nameservers"]
        .as_array()
        .context("dns_nameservers")?;
    let dns: Vec<Ipv4Addr> = servers.iter().map(parsed).collect::<Result<_>>()?;
    if habit == RouteHabit::ClasslessAndHosts {
        let routers: Vec<Ipv4Addr> = routes.iter().filter_map(|route| route.gateway).collect();
        routes.extend(routers.into_iter().map(|router| on_link(router.into())));
        routes.extend(dns.iter().map(|server| Route {
            destination: Ipv4Net::from(*server),
            gateway,
        }));
    }
    Ok(Ipv4Promised {
        address: Ipv4Net::new(address, cidr.prefix_len())?,
        routes,
        dns,
    })
}

fn parsed<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    value: &Value,
) -> Result<T> {
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no text"))?;
    text.parse().with_context(|| text.to_owned())
}

#[derive(Deserialize)]
struct IpLink {
    addr_info: Vec<IpAddress>,
}

#[derive(Deserialize)]
struct IpAddress {
    local: Ipv4Addr,
    prefixlen: u8,
}

#[derive(Deserialize)]
struct IpRoute {
    dst: String,
    #[serde(default)]
    gateway: Option<Ipv4Addr>,
}

/// The link's addresses, from `ip -4 -j addr show dev IF`.
///
/// # Errors
/// When it is not that JSON.
pub fn parse_addresses(json: &str) -> Result<Vec<Ipv4Net>> {
    let links: Vec<IpLink> = serde_json::from_str(json).context("ip -4 -j addr")?;
    // Without an address the link is not shown at all, or as an empty object was before.
    let addresses = links.into_iter().flat_map(|link| link.addr_info);
    addresses
        .map(|address| Ok(Ipv4Net::new(address.local, address.prefixlen)?))
        .collect()
}

/// The routes out of a link, from `ip -4 -j route show dev IF`.
///
/// # Errors
/// When it is not that JSON, or a destination does not parse.
pub fn parse_routes(json: &str) -> Result<BTreeSet<Route>> {
    let routes: Vec<IpRoute> = serde_json::from_str(json).context("ip -4 -j route")?;
    let parse = |route: IpRoute| {
        let destination = match route.dst.as_str() {
            "default" => Ipv4Net::default(),
            net if net.contains('/') => net.parse().with_context(|| net.to_owned())?,
            host => match host.parse::<Ipv4Addr>() {
                Ok(host) => Ipv4Net::from(host),
                Err(_) => bail!("destination {host}"),
            },
        };
        Ok(Route {
            destination,
            gateway: route.gateway,
        })
    };
    routes.into_iter().map(parse).collect()
}

/// IPv4 name servers of a `resolv.conf`, in order.
pub fn parse_resolv_conf(text: &str) -> Vec<Ipv4Addr> {
    text.lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .filter_map(|server| server.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests;
