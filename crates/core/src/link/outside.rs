//! Whom of a physical segment the guest of a port hears, and which router there it is told of.

use std::net::Ipv6Addr;

use crate::mac::Mac;
use crate::modes::{Dhcpv6Service, RaSender};
use crate::plan::{HostPlan, PortPlan};

/// Routers and servers of a flat network's segment, who besides the host may serve a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Routers: the port holds an address of a subnet whose `ipv6_ra_mode` is unset.
    pub ra: bool,
    /// DHCPv6 servers: DHCP is off, or `ipv6_address_mode` unset, and the host assigns the port no address.
    pub dhcpv6: bool,
    /// DHCPv4 servers: DHCP is off on every subnet of the port's IPv4 addresses.
    pub dhcpv4: bool,
}

/// Who they are for a port; nobody where its network is no physical segment.
pub fn outside(plan: &HostPlan, port: &PortPlan) -> Outside {
    let physical = plan
        .network(port.vni)
        .and_then(|network| network.physical_network.as_ref());
    if physical.is_none() {
        return Outside::default();
    }
    let held = plan.subnets().filter(|subnet| {
        subnet.vni == port.vni && port.ipv6().any(|address| subnet.cidr.contains(&address))
    });
    let held_ipv4 = plan.ipv4_subnets().filter(|subnet| {
        subnet.vni == port.vni && port.ipv4().any(|address| subnet.cidr.contains(&address))
    });
    let mut outside = Outside::default();
    let mut assigned = false;
    for subnet in held {
        outside.ra |= subnet.sender == RaSender::Outside;
        outside.dhcpv6 |= subnet.segment.is_some_and(|segment| segment.dhcpv6);
        assigned |= subnet.dhcpv6 == Some(Dhcpv6Service::Addresses);
    }
    outside.dhcpv6 &= !assigned;
    let mut served = held_ipv4.map(|subnet| subnet.dhcp).peekable();
    outside.dhcpv4 = served.peek().is_some() && !served.any(|dhcp| dhcp);
    outside
}

/// A default router on a physical segment, as it advertises itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// Where it sends from.
    pub link_local: Ipv6Addr,
    /// Its MAC.
    pub mac: Mac,
}

/// Whether our advertisements to a port name the segment's router as default router: they are ours for a subnet of which
/// the port holds an address and that has a gateway there, and the port does not hear the router itself. A link-local
/// `gateway_ip` says which router.
pub fn names_router(plan: &HostPlan, port: &PortPlan, router: &Router) -> bool {
    let ours = plan.subnets().any(|subnet| {
        let gateway = subnet.segment.and(subnet.gateway_ip);
        let right = gateway.is_some_and(|gateway| {
            !gateway.is_unicast_link_local() || gateway == router.link_local
        });
        let held = || port.ipv6().any(|address| subnet.cidr.contains(&address));
        subnet.vni == port.vni && subnet.sender == RaSender::Us && right && held()
    });
    ours && !outside(plan, port).ra
}
