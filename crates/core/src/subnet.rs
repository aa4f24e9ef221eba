//! Subnets: a prefix of a network, and how its addresses reach the guests.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::address::{self, AddressRange};
use crate::ids::{NetworkId, ProjectId, SubnetId};
use crate::modes::Ipv6Modes;
use crate::refusal::{Refusal, RefusalKind};

/// Most DNS servers a subnet may name (Neutron's `max_dns_nameservers`).
pub const DNS_NAMESERVERS_MAX: usize = 5;

/// A stored subnet. Its JSON is its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// Its name, at most 255 characters, not unique.
    pub name: String,
    /// What its owner says of it, at most 255 characters.
    #[serde(default)]
    pub description: String,
    /// What its owner marked it with.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// The network it belongs to.
    pub network_id: NetworkId,
    /// 6.
    pub ip_version: u8,
    /// Its prefix, host bits zero.
    pub cidr: Ipv6Net,
    /// The address that a router would take here; announced to nobody while no router holds it.
    pub gateway_ip: Option<Ipv6Addr>,
    /// Where addresses are chosen from, sorted, disjoint, inside the prefix.
    pub allocation_pools: Vec<AddressRange>,
    /// Name servers for its guests, in the order of preference, at most [`DNS_NAMESERVERS_MAX`].
    pub dns_nameservers: Vec<Ipv6Addr>,
    /// Whether DHCPv6 answers on it.
    pub enable_dhcp: bool,
    /// How addresses and advertisements reach its guests.
    #[serde(flatten)]
    pub modes: Ipv6Modes,
    /// Rises with each change.
    pub revision_number: u64,
    /// When it was made, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// Place in the order of creation within the cloud. Internal: never shown.
    pub sequence: u64,
}

/// Most allocation pools a subnet may have.
pub const ALLOCATION_POOLS_MAX: usize = 64;
/// Longest prefix on which DHCP makes sense (Neutron's rule).
const DHCP_PREFIX_MAX: u8 = 126;

/// A subnet that is asked for: its syntax is right, its sense is not judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubnet {
    /// 4 or 6.
    pub ip_version: u8,
    /// The prefix, host bits as given.
    pub cidr: Option<IpNet>,
    /// Absent: the first address after the network address. `Some(None)`: none.
    pub gateway_ip: Option<Option<IpAddr>>,
    /// Absent: everything but the network address and the gateway. First and last address of each.
    pub allocation_pools: Option<Vec<(IpAddr, IpAddr)>>,
    /// In the order of preference.
    pub dns_nameservers: Vec<IpAddr>,
    /// Whether DHCPv6 answers.
    pub enable_dhcp: bool,
    /// The two IPv6 attributes.
    pub modes: Ipv6Modes,
}

/// What of a subnet is asked to change.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SubnetPatch {
    /// The gateway; `Some(None)`: none.
    pub gateway_ip: Option<Option<IpAddr>>,
    /// All pools.
    pub allocation_pools: Option<Vec<(IpAddr, IpAddr)>>,
    /// All name servers.
    pub dns_nameservers: Option<Vec<IpAddr>>,
    /// Whether DHCPv6 answers.
    pub enable_dhcp: Option<bool>,
}

/// A subnet's addressing, all rules kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// Its prefix, host bits zero.
    pub cidr: Ipv6Net,
    /// Its gateway.
    pub gateway_ip: Option<Ipv6Addr>,
    /// Its pools, sorted.
    pub allocation_pools: Vec<AddressRange>,
    /// Its name servers.
    pub dns_nameservers: Vec<Ipv6Addr>,
    /// Whether DHCPv6 answers.
    pub enable_dhcp: bool,
    /// The two IPv6 attributes.
    pub modes: Ipv6Modes,
}

impl NewSubnet {
    /// Judges the request beside the prefixes that the network already has.
    ///
    /// # Errors
    /// With Neutron's type, and a text that names the attribute and what is allowed.
    pub fn check(&self, siblings: &[Ipv6Net]) -> Result<Addressing, Refusal> {
        if self.ip_version == 4 {
            return Err(Refusal::invalid(
                "ip_version 4 is not supported: subnets are IPv6 here (ip_version 6)",
            ));
        }
        let cidr = self.cidr.ok_or_else(|| {
            Refusal::new(
                RefusalKind::BadRequest,
                "Bad subnets request: cidr is required; subnet pools are not supported.",
            )
        })?;
        let IpNet::V6(cidr) = cidr else {
            return Err(Refusal::invalid(format!(
                "cidr {cidr} is not an IPv6 prefix, as ip_version 6 asks for"
            )));
        };
        let cidr = cidr.trunc();
        check_prefix(cidr, self.enable_dhcp)?;
        self.modes.row()?;
        if self.modes.any_set() && !self.enable_dhcp {
            return Err(modes_need_dhcp());
        }
        if self.modes.is_auto_address() && cidr.prefix_len() != 64 {
            return Err(Refusal::invalid(format!(
                "cidr {cidr} is a /{}: with ipv6_ra_mode or ipv6_address_mode slaac or dhcpv6-stateless it must be a /64",
                cidr.prefix_len()
            )));
        }
        if let Some(other) = siblings.iter().find(|other| overlap(cidr, **other)) {
            return Err(Refusal::invalid(format!(
                "cidr {cidr} overlaps with another subnet of the network, {other}"
            )));
        }
        let gateway_ip = match self.gateway_ip {
            None => address::next(cidr.network()).filter(|gateway| cidr.contains(gateway)),
            Some(None) => None,
            Some(Some(gateway)) => Some(check_gateway(gateway)?),
        };
        let allocation_pools = match &self.allocation_pools {
            None => address::default_pools(cidr, gateway_ip),
            Some(pools) => check_pools(pools, cidr, gateway_ip)?,
        };
        Ok(Addressing {
            cidr,
            gateway_ip,
            allocation_pools,
            dns_nameservers: check_dns(&self.dns_nameservers)?,
            enable_dhcp: self.enable_dhcp,
            modes: self.modes,
        })
    }
}

impl SubnetPatch {
    /// Judges the change of a stored subnet.
    ///
    /// # Errors
    /// With Neutron's type, and a text that names the attribute and what is allowed.
    pub fn check(&self, subnet: &Subnet) -> Result<Addressing, Refusal> {
        let enable_dhcp = self.enable_dhcp.unwrap_or(subnet.enable_dhcp);
        if subnet.modes.any_set() && !enable_dhcp {
            return Err(modes_need_dhcp());
        }
        if enable_dhcp {
            check_prefix(subnet.cidr, true)?;
        }
        let gateway_ip = match self.gateway_ip {
            None => subnet.gateway_ip,
            Some(None) => None,
            Some(Some(gateway)) => Some(check_gateway(gateway)?),
        };
        let allocation_pools = match &self.allocation_pools {
            Some(pools) => check_pools(pools, subnet.cidr, gateway_ip)?,
            None => {
                if self.gateway_ip.is_some() {
                    check_gateway_outside(&subnet.allocation_pools, gateway_ip)?;
                }
                subnet.allocation_pools.clone()
            }
        };
        let dns_nameservers = match &self.dns_nameservers {
            Some(servers) => check_dns(servers)?,
            None => subnet.dns_nameservers.clone(),
        };
        Ok(Addressing {
            cidr: subnet.cidr,
            gateway_ip,
            allocation_pools,
            dns_nameservers,
            enable_dhcp,
            modes: subnet.modes,
        })
    }
}

fn modes_need_dhcp() -> Refusal {
    Refusal::invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is false")
}

/// Link-local unicast (RFC 4291 §2.5.6).
const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
/// IPv4-mapped addresses (RFC 4291 §2.5.5.2).
const IPV4_MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

fn check_prefix(cidr: Ipv6Net, enable_dhcp: bool) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::invalid(format!("cidr {cidr} {why}")));
    if cidr.network().is_unspecified() {
        return refuse("begins at ::, which no subnet may");
    }
    if cidr.network().is_multicast() {
        return refuse("is multicast");
    }
    if cidr.network().is_loopback() {
        return refuse("is the loopback address");
    }
    if overlap(cidr, LINK_LOCAL) {
        return refuse(
            "is link-local, which every link has already and no router advertises (RFC 4861 §4.6.2)",
        );
    }
    if overlap(cidr, IPV4_MAPPED) {
        return refuse(
            "holds IPv4-mapped addresses, which are never on a wire (RFC 4291 §2.5.5.2)",
        );
    }
    if enable_dhcp && cidr.prefix_len() > DHCP_PREFIX_MAX {
        return refuse("is too small for DHCP: a /126 or larger, or enable_dhcp false, is allowed");
    }
    Ok(())
}

fn overlap(one: Ipv6Net, other: Ipv6Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Any address that a router can have: in the prefix, beside it, or link-local.
fn check_gateway(gateway: IpAddr) -> Result<Ipv6Addr, Refusal> {
    let IpAddr::V6(gateway) = gateway else {
        return Err(Refusal::invalid(format!(
            "gateway_ip {gateway} is not an IPv6 address"
        )));
    };
    if gateway.is_unspecified() || gateway.is_multicast() || gateway.is_loopback() {
        return Err(Refusal::invalid(format!(
            "gateway_ip {gateway} is no router's address: a unicast address or null is allowed"
        )));
    }
    Ok(gateway)
}

fn check_pools(
    pools: &[(IpAddr, IpAddr)],
    cidr: Ipv6Net,
    gateway: Option<Ipv6Addr>,
) -> Result<Vec<AddressRange>, Refusal> {
    if pools.len() > ALLOCATION_POOLS_MAX {
        return Err(Refusal::invalid(format!(
            "allocation_pools has {} entries: {ALLOCATION_POOLS_MAX} are allowed",
            pools.len()
        )));
    }
    let mut checked = Vec::with_capacity(pools.len());
    for (start, end) in pools {
        let (IpAddr::V6(from), IpAddr::V6(to)) = (*start, *end) else {
            return Err(bad_pool(*start, *end));
        };
        if from > to {
            return Err(bad_pool(*start, *end));
        }
        // A prefix of one or two addresses has none to spare for the Subnet-Router anycast address (RFC 6164).
        let spares_network = cidr.prefix_len() > DHCP_PREFIX_MAX;
        let low = cidr.network();
        if !cidr.contains(&from) || !cidr.contains(&to) || (from == low && !spares_network) {
            return Err(Refusal::new(
                RefusalKind::OutOfBoundsAllocationPool,
                format!(
                    "The allocation pool {from}-{to} spans beyond the subnet {cidr}, whose own address {low} belongs to no pool."
                ),
            ));
        }
        checked.push(AddressRange {
            start: from,
            end: to,
        });
    }
    checked.sort();
    for pair in checked.windows(2) {
        if pair[0].overlaps(&pair[1]) {
            return Err(Refusal::new(
                RefusalKind::OverlappingAllocationPools,
                format!(
                    "Found overlapping allocation pools: {}-{} {}-{} for subnet {cidr}.",
                    pair[0].start, pair[0].end, pair[1].start, pair[1].end
                ),
            ));
        }
    }
    check_gateway_outside(&checked, gateway)?;
    Ok(checked)
}

fn bad_pool(start: IpAddr, end: IpAddr) -> Refusal {
    Refusal::new(
        RefusalKind::InvalidAllocationPool,
        format!(
            "The allocation pool {start}-{end} is not valid: two IPv6 addresses, the end not before the start, are wanted."
        ),
    )
}

fn check_gateway_outside(pools: &[AddressRange], gateway: Option<Ipv6Addr>) -> Result<(), Refusal> {
    let Some(gateway) = gateway else {
        return Ok(());
    };
    match pools.iter().find(|pool| pool.contains(gateway)) {
        None => Ok(()),
        Some(pool) => Err(Refusal::new(
            RefusalKind::GatewayConflictWithAllocationPools,
            format!(
                "Gateway ip {gateway} conflicts with allocation pool {}-{}.",
                pool.start, pool.end
            ),
        )),
    }
}

fn check_dns(servers: &[IpAddr]) -> Result<Vec<Ipv6Addr>, Refusal> {
    if servers.len() > DNS_NAMESERVERS_MAX {
        return Err(Refusal::new(
            RefusalKind::DnsNameServersExhausted,
            format!(
                "Unable to complete operation: dns_nameservers has {} entries, {DNS_NAMESERVERS_MAX} are allowed.",
                servers.len()
            ),
        ));
    }
    let mut checked = Vec::with_capacity(servers.len());
    for server in servers {
        let address = match server {
            // `::` says that none is announced.
            IpAddr::V6(address) if !address.is_multicast() => *address,
            _ => {
                return Err(Refusal::invalid(format!(
                    "dns_nameservers: {server} is not allowed on an IPv6 subnet; unicast IPv6 addresses are, and :: announces none"
                )));
            }
        };
        if checked.contains(&address) {
            return Err(Refusal::attribute(
                "dns_nameservers",
                format_args!("{address} is there twice"),
            ));
        }
        checked.push(address);
    }
    Ok(checked)
}

#[cfg(test)]
mod tests;
