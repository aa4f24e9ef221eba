//! The rules of a subnet's addressing: Neutron's types, and texts that say what is allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    Addressing, DNS_NAMESERVERS_MAX, HOST_ROUTES_MAX, HostRoute, NewSubnet, Subnet, SubnetPatch,
    pools,
};
use crate::address;
use crate::modes::Ipv6Modes;
use crate::refusal::{Refusal, RefusalKind};

/// Fewest host bits of a prefix with which DHCP makes sense: a /126 or a /30 (Neutron's rule).
const DHCP_HOST_BITS_MIN: u8 = 2;
/// Link-local unicast (RFC 4291 §2.5.6).
const LINK_LOCAL: IpNet = IpNet::V6(Ipv6Net::new_assert(
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
    10,
));
/// IPv4-mapped addresses (RFC 4291 §2.5.5.2).
const IPV4_MAPPED: IpNet = IpNet::V6(Ipv6Net::new_assert(
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
    96,
));
/// IPv4 multicast (RFC 5771 §3).
const IPV4_MULTICAST: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4));
/// IPv4 loopback (RFC 1122 §3.2.1.3).
const IPV4_LOOPBACK: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8));

impl NewSubnet {
    /// Judges the request beside the prefixes that the network already has.
    ///
    /// # Errors
    /// With Neutron's type, and a text that names the attribute and what is allowed.
    pub fn check(&self, siblings: &[IpNet]) -> Result<Addressing, Refusal> {
        let cidr = self.prefix()?;
        check_prefix(cidr, self.enable_dhcp)?;
        check_modes(self.modes, cidr, self.enable_dhcp)?;
        if let Some(other) = siblings
            .iter()
            .find(|other| address::overlap(cidr, **other))
        {
            return Err(Refusal::invalid(format!(
                "cidr {cidr} overlaps with another subnet of the network, {other}"
            )));
        }
        let gateway_ip = match self.gateway_ip {
            None => address::next(cidr.network()).filter(|gateway| cidr.contains(gateway)),
            Some(None) => None,
            Some(Some(gateway)) => Some(check_gateway(gateway, cidr)?),
        };
        let allocation_pools = match &self.allocation_pools {
            None => address::default_pools(cidr, gateway_ip),
            Some(pools) => pools::check(pools, cidr, gateway_ip)?,
        };
        Ok(Addressing {
            cidr,
            gateway_ip,
            allocation_pools,
            dns_nameservers: check_dns(&self.dns_nameservers, cidr)?,
            host_routes: check_routes(&self.host_routes, cidr)?,
            enable_dhcp: self.enable_dhcp,
            modes: self.modes,
        })
    }

    /// The prefix without its host bits, if it is of the family that is asked for.
    fn prefix(&self) -> Result<IpNet, Refusal> {
        let cidr = self.cidr.ok_or_else(|| {
            Refusal::new(
                RefusalKind::BadRequest,
                "Bad subnets request: cidr is required; subnet pools are not supported.",
            )
        })?;
        if cidr.addr().is_ipv4() != (self.ip_version == 4) {
            return Err(Refusal::invalid(format!(
                "cidr {cidr} is not an IPv{version} prefix, as ip_version {version} asks for",
                version = self.ip_version
            )));
        }
        Ok(cidr.trunc())
    }
}

impl SubnetPatch {
    /// Judges the change of a stored subnet. Addresses that are handed out may come to lie outside the pools.
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
            Some(Some(gateway)) => Some(check_gateway(gateway, subnet.cidr)?),
        };
        let allocation_pools = match &self.allocation_pools {
            Some(pools) => pools::check(pools, subnet.cidr, gateway_ip)?,
            None => {
                if self.gateway_ip.is_some() {
                    pools::check_gateway_outside(&subnet.allocation_pools, gateway_ip)?;
                }
                subnet.allocation_pools.clone()
            }
        };
        let dns_nameservers = match &self.dns_nameservers {
            Some(servers) => check_dns(servers, subnet.cidr)?,
            None => subnet.dns_nameservers.clone(),
        };
        let host_routes = match &self.host_routes {
            Some(routes) => check_routes(routes, subnet.cidr)?,
            None => subnet.host_routes.clone(),
        };
        Ok(Addressing {
            cidr: subnet.cidr,
            gateway_ip,
            allocation_pools,
            dns_nameservers,
            host_routes,
            enable_dhcp,
            modes: subnet.modes,
        })
    }
}

fn check_modes(modes: Ipv6Modes, cidr: IpNet, enable_dhcp: bool) -> Result<(), Refusal> {
    if modes.any_set() && cidr.addr().is_ipv4() {
        return Err(Refusal::invalid(
            "ipv6_ra_mode and ipv6_address_mode belong to IPv6 subnets, and ip_version is 4",
        ));
    }
    modes.row()?;
    if modes.any_set() && !enable_dhcp {
        return Err(modes_need_dhcp());
    }
    if modes.is_auto_address() && cidr.prefix_len() != 64 {
        return Err(Refusal::invalid(format!(
            "cidr {cidr} is a /{}: with ipv6_ra_mode or ipv6_address_mode slaac or dhcpv6-stateless it must be a /64",
            cidr.prefix_len()
        )));
    }
    Ok(())
}

fn modes_need_dhcp() -> Refusal {
    Refusal::invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is false")
}

fn check_prefix(cidr: IpNet, enable_dhcp: bool) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::invalid(format!("cidr {cidr} {why}")));
    let first = cidr.network();
    if first.is_unspecified() {
        return refuse(&format!("begins at {first}, which no subnet may"));
    }
    if first.is_multicast() || address::overlap(cidr, IPV4_MULTICAST) {
        return refuse("is multicast");
    }
    if first.is_loopback() || address::overlap(cidr, IPV4_LOOPBACK) {
        return refuse("is of the loopback addresses");
    }
    if address::overlap(cidr, LINK_LOCAL) {
        return refuse(
            "is link-local, which every link has already and no router advertises (RFC 4861 §4.6.2)",
        );
    }
    if address::overlap(cidr, IPV4_MAPPED) {
        return refuse(
            "holds IPv4-mapped addresses, which are never on a wire (RFC 4291 §2.5.5.2)",
        );
    }
    if enable_dhcp && cidr.max_prefix_len() - cidr.prefix_len() < DHCP_HOST_BITS_MIN {
        let longest = cidr.max_prefix_len() - DHCP_HOST_BITS_MIN;
        return refuse(&format!(
            "is too small for DHCP: a /{longest} or larger, or enable_dhcp false, is allowed"
        ));
    }
    Ok(())
}

/// What an address of another family than the prefix is told.
fn check_family(attribute: &str, address: IpAddr, cidr: IpNet) -> Result<(), Refusal> {
    if address.is_ipv4() == cidr.addr().is_ipv4() {
        return Ok(());
    }
    let version = if cidr.addr().is_ipv4() { 4 } else { 6 };
    Err(Refusal::invalid(format!(
        "{attribute}: {address} is not an IPv{version} address, as the subnet {cidr} needs"
    )))
}

/// Any address that a router can have: in the prefix, beside it, or link-local.
fn check_gateway(gateway: IpAddr, cidr: IpNet) -> Result<IpAddr, Refusal> {
    check_family("gateway_ip", gateway, cidr)?;
    if !is_unicast(gateway) {
        return Err(Refusal::invalid(format!(
            "gateway_ip {gateway} is no router's address: a unicast address or null is allowed"
        )));
    }
    if gateway.is_ipv4() && address::is_reserved(cidr, gateway) {
        return Err(Refusal::invalid(format!(
            "gateway_ip {gateway} is the network or the broadcast address of {cidr}: a router has another"
        )));
    }
    Ok(gateway)
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}

fn check_dns(servers: &[IpAddr], cidr: IpNet) -> Result<Vec<IpAddr>, Refusal> {
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
        check_family("dns_nameservers", *server, cidr)?;
        // The unspecified address says that none is announced.
        let broadcast = matches!(server, IpAddr::V4(server) if server.is_broadcast());
        if server.is_multicast() || broadcast {
            return Err(Refusal::invalid(format!(
                "dns_nameservers: {server} is no server's address: unicast addresses are allowed, and {} announces none",
                match cidr {
                    IpNet::V4(_) => "0.0.0.0",
                    IpNet::V6(_) => "::",
                }
            )));
        }
        if checked.contains(server) {
            return Err(Refusal::attribute(
                "dns_nameservers",
                format_args!("{server} is there twice"),
            ));
        }
        checked.push(*server);
    }
    Ok(checked)
}

fn check_routes(routes: &[HostRoute], cidr: IpNet) -> Result<Vec<HostRoute>, Refusal> {
    if routes.len() > HOST_ROUTES_MAX {
        return Err(Refusal::new(
            RefusalKind::HostRoutesExhausted,
            format!(
                "Unable to complete operation: host_routes has {} entries, {HOST_ROUTES_MAX} are allowed.",
                routes.len()
            ),
        ));
    }
    let mut checked = Vec::with_capacity(routes.len());
    for route in routes {
        check_family("host_routes destination", route.destination.addr(), cidr)?;
        check_family("host_routes nexthop", route.nexthop, cidr)?;
        if cidr.addr().is_ipv6() {
            return Err(Refusal::invalid(
                "host_routes of an IPv6 subnet are told to no guest as long as no router forwards them: the empty list is allowed",
            ));
        }
        if route.destination.trunc() != route.destination {
            return Err(Refusal::attribute(
                "host_routes",
                format_args!(
                    "'{}' has bits set behind its length: '{}' is allowed",
                    route.destination,
                    route.destination.trunc()
                ),
            ));
        }
        if checked.contains(route) {
            return Err(Refusal::attribute(
                "host_routes",
                format_args!(
                    "the route to {} by {} is there twice",
                    route.destination, route.nexthop
                ),
            ));
        }
        checked.push(*route);
    }
    Ok(checked)
}
