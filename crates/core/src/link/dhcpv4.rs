//! What DHCPv4 answers on a port's link: a function of the plan, as everything that a link serves.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use crate::dhcp::DhcpOptions;
use crate::plan::{HostPlan, Ipv4Route, Ipv4SubnetPlan, PortPlan};
use crate::settings::{CloudSettings, RenewalTimes};

/// The network's service address in IPv4, the same on every network and host: DHCPv4's server identifier. It is
/// link-local (RFC 3927), as the IPv6 one is, so that no subnet must give up an address for it. Guests are told a route
/// to it, so that they reach it where there is no router.
pub const SERVICE_IPV4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The smallest IPv4 MTU (RFC 791), which is also the smallest that DHCPv4 can say (RFC 2132 §5.1).
const MTU_MIN: u32 = 68;
/// The option of routers (RFC 2132 §3.5).
const ROUTER: u8 = 3;

/// What DHCPv4 answers on a link (RFC 2131).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4Plan {
    /// What may be leased, at least one, in the order of the subnets' creation: the port's addresses, whoever asks.
    pub leases: Vec<Dhcpv4Lease>,
    /// Lease time, seconds.
    pub lease_time_s: u32,
    /// T1 and T2 (RFC 2131 §4.4.5).
    pub times: RenewalTimes,
    /// The interface's MTU, bytes.
    pub mtu: u16,
    /// Search list; its first name is the domain name.
    pub dns_search: Vec<String>,
    /// Further options by code, and those that are said instead of the above; an empty one: nothing is said.
    pub options: BTreeMap<u8, Vec<u8>>,
    /// From where the guest boots.
    pub boot_server: Option<IpAddr>,
}

/// An address with what its subnet tells the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4Lease {
    /// The port's address.
    pub address: Ipv4Addr,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The default router; `None` where the subnet has none.
    pub router: Option<Ipv4Addr>,
    /// Routes (RFC 3442), the default route among them, as those who take them ignore `router`. A route by 0.0.0.0 is on
    /// the link. Empty where `router` says it all.
    pub routes: Vec<Ipv4Route>,
    /// Name servers, without repetition.
    pub dns_servers: Vec<Ipv4Addr>,
    /// The guest's name, as Neutron makes it: `host-10-0-0-5`.
    pub host_name: String,
}

/// `None` where the port has no address of a subnet with DHCP.
pub(super) fn dhcpv4_plan(
    plan: &HostPlan,
    settings: &CloudSettings,
    port: &PortPlan,
    mtu: u32,
) -> Option<Dhcpv4Plan> {
    let mut subnets: Vec<&Ipv4SubnetPlan> = plan
        .ipv4_subnets()
        .filter(|subnet| subnet.vni == port.vni)
        .collect();
    subnets.sort_by_key(|subnet| subnet.sequence);
    let leases: Vec<Dhcpv4Lease> = subnets
        .iter()
        .filter(|subnet| subnet.dhcp)
        .flat_map(|subnet| {
            let addresses = port.ipv4().filter(|address| subnet.cidr.contains(address));
            addresses.map(|address| lease(address, subnet, &subnets, &port.dhcp_options))
        })
        .collect();
    if leases.is_empty() {
        return None;
    }
    let most = u32::from(u16::MAX);
    let mtu = u16::try_from(mtu.clamp(MTU_MIN, most)).expect("it was clamped to what a u16 holds");
    Some(Dhcpv4Plan {
        leases,
        lease_time_s: settings.dhcpv4_lease_s,
        times: settings.dhcpv4_times,
        mtu,
        dns_search: settings.dns_search.clone(),
        options: port.dhcp_options.v4.clone(),
        boot_server: port.dhcp_options.boot_server,
    })
}

/// `network` are all IPv4 subnets of the port's network.
fn lease(
    address: Ipv4Addr,
    subnet: &Ipv4SubnetPlan,
    network: &[&Ipv4SubnetPlan],
    options: &DhcpOptions,
) -> Dhcpv4Lease {
    let is_default = |route: &&Ipv4Route| route.destination.prefix_len() == 0;
    let default = subnet.host_routes.iter().find(is_default);
    // The gateway has precedence over a default route among the host routes, as in Neutron.
    let router = subnet.gateway_ip.or(default.map(|route| route.nexthop));
    // The port's own goes before both, in the routes, too: who takes these looks at nothing else.
    let router = match options.v4.get(&ROUTER) {
        Some(own) => own.first_chunk::<4>().map(|own| Ipv4Addr::from(*own)),
        None => router,
    };
    let others = network.iter().filter(|other| other.id != subnet.id);
    // Neighbours of other subnets are on the same link; IPv6 guests hear it by the L bit.
    let on_link = others.map(|other| Ipv4Route {
        destination: other.cidr,
        nexthop: Ipv4Addr::UNSPECIFIED,
    });
    let given = subnet.host_routes.iter().filter(|route| !is_default(route));
    let service = Ipv4Route {
        destination: Ipv4Net::from(SERVICE_IPV4),
        nexthop: Ipv4Addr::UNSPECIFIED,
    };
    let service = Some(service).filter(|_| !subnet.cidr.contains(&SERVICE_IPV4));
    let mut routes: Vec<Ipv4Route> = given.copied().chain(on_link).chain(service).collect();
    // RFC 3442: a client that takes these routes ignores the router, so the default route is said here, too.
    if let Some(nexthop) = router.filter(|_| !routes.is_empty()) {
        routes.push(Ipv4Route {
            destination: Ipv4Net::default(),
            nexthop,
        });
    }
    let mut dns_servers = Vec::new();
    for server in &subnet.dns_nameservers {
        // 0.0.0.0 means "announce none", as in Neutron.
        if !server.is_unspecified() && !dns_servers.contains(server) {
            dns_servers.push(*server);
        }
    }
    Dhcpv4Lease {
        address,
        subnet: subnet.cidr,
        router,
        routes,
        dns_servers,
        host_name: format!("host-{}", address.to_string().replace('.', "-")),
    }
}

#[cfg(test)]
mod tests;
