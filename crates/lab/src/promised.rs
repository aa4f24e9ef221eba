//! What the API says that a guest has: read from the JSON of its port, network and subnets, the mode table, and the
//! lifetimes that the operator configured.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result, anyhow};
use hextet_core::mac::Mac;
use hextet_core::modes::{Ipv6Mode, Ipv6Modes, RaSender};
use hextet_core::settings::CloudSettings;
use ipnet::Ipv6Net;
use serde_json::Value;
use uuid::Uuid;

use crate::client::Client;
use crate::ipv4::{self, Ipv4Promised, RouteHabit};
use crate::options::{self, Options};

/// Everything that one guest was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// The guest's name.
    pub guest: String,
    /// The port's IPv6 addresses.
    pub addresses: Vec<Ipv6Addr>,
    /// The addresses besides that the API says its guest has formed itself.
    pub formed: Vec<Ipv6Addr>,
    /// Whether there must be such.
    pub forms_addresses: bool,
    /// The guest's link-local address (EUI-64 of the port's MAC).
    pub link_local: Ipv6Addr,
    /// Valid lifetime of prefixes and addresses, seconds.
    pub valid_lifetime_s: u32,
    /// Preferred lifetime of prefixes and addresses, seconds.
    pub preferred_lifetime_s: u32,
    /// Prefixes on the link, in the order of the subnets.
    pub on_link: Vec<Ipv6Net>,
    /// Name servers, in order.
    pub dns: Vec<Ipv6Addr>,
    /// The network's MTU, bytes.
    pub mtu: u32,
    /// M of the RA.
    pub managed: bool,
    /// O of the RA.
    pub other: bool,
    /// The default router, where there is one.
    pub router: Option<Ipv6Addr>,
    /// Prefixes with A in the RA.
    pub autonomous: Vec<Ipv6Net>,
    /// The guest that it pings.
    pub neighbour: String,
    /// IPv4, where the network has a subnet of it.
    pub ipv4: Option<Ipv4Promised>,
    /// The host name, where its client takes one.
    pub host_name: Option<String>,
    /// The port's options of DHCP that its client passes on.
    pub options: Options,
}

impl Promised {
    /// Adds what DHCP says to this client besides addresses, of what `GET` answered for the port.
    ///
    /// # Errors
    /// When the answer lacks its options or has one that is unknown here.
    pub fn add_told(&mut self, port: &Value, client: Client) -> Result<()> {
        self.options = options::promised(port, client)?;
        if let Some(ipv4) = &mut self.ipv4
            && client.route_habit() == RouteHabit::ClasslessAndHosts
        {
            ipv4.add_hosts(options::servers_of_time(&self.options))?;
        }
        // The name that Neutron makes of an address, which is what there is without names of a DNS
        // (`docs/decisions/0040-extra-dhcp-options.md`).
        let ipv4 = self.ipv4.as_ref().filter(|_| client.takes_host_name());
        self.host_name = ipv4.map(|ipv4| {
            let address = ipv4.address.addr().to_string();
            format!("host-{}", address.replace('.', "-"))
        });
        Ok(())
    }
}

/// Lifetimes that the operator configured for the whole cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Valid, seconds.
    pub valid_s: u32,
    /// Preferred, seconds.
    pub preferred_s: u32,
}

impl Lifetimes {
    /// Reads them from a `server.toml`; what it leaves out is at its default.
    ///
    /// # Errors
    /// When it does not parse or has other values than seconds.
    pub fn from_server_toml(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let lifetimes = table.get("lifetimes");
        let seconds = |key: &str, default: u32| match lifetimes.and_then(|table| table.get(key)) {
            None => Ok(default),
            Some(toml::Value::Integer(value)) => u32::try_from(*value).context(key.to_owned()),
            Some(other) => Err(anyhow!("lifetimes.{key} is {other}")),
        };
        let defaults = CloudSettings::with_defaults(Uuid::nil());
        Ok(Self {
            valid_s: seconds("valid_s", defaults.valid_lifetime_s)?,
            preferred_s: seconds("preferred_s", defaults.preferred_lifetime_s)?,
        })
    }
}

/// Reads the promise out of what `GET` answered for a port, its network, and that network's subnets in their order.
/// `habit` is that of the guest's DHCPv4 client.
///
/// # Errors
/// When an answer lacks an attribute or has one that does not parse.
pub fn promised(
    guest: &str,
    neighbour: &str,
    port: &Value,
    network: &Value,
    subnets: &[Value],
    lifetimes: Lifetimes,
    habit: RouteHabit,
) -> Result<Promised> {
    let mac: Mac = text(port, "mac_address")?
        .parse()
        .map_err(|error| anyhow!("mac_address: {error}"))?;
    let addresses = array(port, "fixed_ips")?
        .iter()
        .map(|fixed| Ok(text(fixed, "ip_address")?.parse()?))
        .collect::<Result<Vec<IpAddr>>>()
        .context("fixed_ips")?;
    let ipv6 = addresses.iter().filter_map(|address| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    });
    let mut promised = Promised {
        guest: guest.to_owned(),
        addresses: ipv6.collect(),
        formed: Vec::new(),
        forms_addresses: false,
        link_local: mac.link_local(),
        valid_lifetime_s: lifetimes.valid_s,
        preferred_lifetime_s: lifetimes.preferred_s,
        on_link: Vec::new(),
        dns: Vec::new(),
        mtu: u32::try_from(network["mtu"].as_u64().context("network without mtu")?)?,
        managed: false,
        other: false,
        router: None,
        autonomous: Vec::new(),
        neighbour: neighbour.to_owned(),
        ipv4: None,
        host_name: None,
        options: Options::new(),
    };
    for subnet in subnets {
        if subnet["ip_version"] == 4 {
            let mut ipv4 = addresses.iter().filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            let address = ipv4.next().context("no address of the IPv4 subnet")?;
            promised.ipv4 = Some(ipv4::promised(address, subnet, habit)?);
        } else {
            add_subnet(&mut promised, mac, subnet, RaSender::Us)?;
        }
    }
    Ok(promised)
}

/// The global addresses that a port's guest has formed itself, of what `GET` answered for it.
///
/// # Errors
/// When the answer lacks them or has one that does not parse.
pub fn formed(port: &Value) -> Result<Vec<Ipv6Addr>> {
    let observed = array(port, "hextet:observed_addresses")?.iter();
    let addresses = observed.map(|seen| Ok(text(seen, "ip_address")?.parse()?));
    let addresses: Result<Vec<Ipv6Addr>> = addresses.collect();
    let mut addresses = addresses.context("hextet:observed_addresses")?;
    addresses.retain(|address| !address.is_unicast_link_local());
    Ok(addresses)
}

/// Adds what a router outside promises: a default route, and the prefixes that are its to advertise.
///
/// # Errors
/// As [`promised`].
pub fn add_router(
    promised: &mut Promised,
    router: Ipv6Addr,
    port: &Value,
    subnets: &[Value],
) -> Result<()> {
    let mac: Mac = text(port, "mac_address")?
        .parse()
        .map_err(|error| anyhow!("mac_address: {error}"))?;
    promised.router = Some(router);
    for subnet in subnets {
        add_subnet(promised, mac, subnet, RaSender::Outside)?;
    }
    Ok(())
}

/// What its sender, if it is this one, advertises of a subnet.
fn add_subnet(promised: &mut Promised, mac: Mac, subnet: &Value, sender: RaSender) -> Result<()> {
    let cidr: Ipv6Net = text(subnet, "cidr")?.parse().context("cidr")?;
    let modes = Ipv6Modes {
        ra: mode(subnet, "ipv6_ra_mode")?,
        address: mode(subnet, "ipv6_address_mode")?,
    };
    let row = modes.row().map_err(|refusal| anyhow!("{refusal}"))?;
    let Some(flags) = row.flags.filter(|_| row.sender == sender) else {
        return Ok(());
    };
    promised.on_link.push(cidr);
    let holds = promised.addresses.iter().any(|held| cidr.contains(held));
    promised.managed |= flags.managed && holds;
    promised.other |= flags.other;
    if flags.autonomous && promised.addresses.contains(&mac.eui64(cidr)) {
        promised.autonomous.push(cidr);
    }
    for server in array(subnet, "dns_nameservers")? {
        let server: Ipv6Addr = server.as_str().context("dns_nameservers")?.parse()?;
        if !server.is_unspecified() && !promised.dns.contains(&server) {
            promised.dns.push(server);
        }
    }
    Ok(())
}

fn mode(subnet: &Value, attribute: &str) -> Result<Option<Ipv6Mode>> {
    match &subnet[attribute] {
        Value::Null => Ok(None),
        Value::String(name) => Ipv6Mode::from_name(name)
            .map(Some)
            .with_context(|| format!("{attribute} is {name}")),
        other => Err(anyhow!("{attribute} is {other}")),
    }
}

fn text<'a>(of: &'a Value, attribute: &str) -> Result<&'a str> {
    of[attribute]
        .as_str()
        .with_context(|| format!("no {attribute} in {of}"))
}

fn array<'a>(of: &'a Value, attribute: &str) -> Result<&'a Vec<Value>> {
    of[attribute]
        .as_array()
        .with_context(|| format!("no {attribute} in {of}"))
}

#[cfg(test)]
mod tests;
