//! What one port's link must be told and given: the part of a host's plan that the protocol machines need, with
//! lifetimes and flags already decided.

mod dhcpv4;
mod learnable;
mod outside;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use uuid::Uuid;

use crate::dhcp::DhcpOptions;
use crate::ids::{PortId, PortNumber, Vni};
use crate::mac::Mac;
use crate::modes::{Dhcpv6Service, RaSender, SolicitWithoutAddress};
use crate::plan::{HostPlan, NetworkPlan, PortPlan, SubnetPlan};
use crate::settings::{CloudSettings, RenewalTimes};

pub use dhcpv4::{Dhcpv4Lease, Dhcpv4Plan, SERVICE_IPV4};
pub use learnable::{Learnable, learnable};
pub use outside::{Outside, Router, names_router, outside};

/// Everything that the machines of one link serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPlan {
    /// Whose link it is.
    pub port: PortId,
    /// The port's number in the fast path.
    pub number: PortNumber,
    /// The port's network.
    pub vni: Vni,
    /// The network is a physical segment (flat): others have addresses there that the plan does not know.
    pub on_segment: bool,
    /// The guest's MAC.
    pub mac: Mac,
    /// The guest's assigned IPv6 addresses.
    pub addresses: Vec<Ipv6Addr>,
    /// Of which prefixes the guest may form addresses besides.
    pub learnable: Vec<Learnable>,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// False: the port or its network is administratively down, and nothing is answered or sent.
    pub admin_state_up: bool,
    /// What to advertise; `None` where no subnet of the network is ours to advertise.
    pub ra: Option<RaPlan>,
    /// Who speaks in the advertisements instead of the service: the default router on the physical segment.
    pub router: Option<Router>,
    /// What to answer by DHCPv6; `None` where it is off on every subnet.
    pub dhcpv6: Option<Dhcpv6Plan>,
    /// What to answer by DHCPv4; `None` where the port has no address of a subnet with DHCP.
    pub dhcpv4: Option<Dhcpv4Plan>,
}

impl LinkPlan {
    /// Who speaks to the guest on this link: the network's service MAC.
    pub fn service_mac(&self) -> Mac {
        Mac::service(self.vni)
    }

    /// The link-local address of [`Self::service_mac`].
    pub fn service_link_local(&self) -> Ipv6Addr {
        self.service_mac().link_local()
    }

    /// Whether the guest may use this address if nobody else does: a link-local one, or one of its prefixes.
    pub fn may_learn(&self, address: Ipv6Addr) -> bool {
        address.is_unicast_link_local()
            || self.learnable.iter().any(|prefix| prefix.admits(address))
    }

    /// The same, whose advertisements name this router on the physical segment. Nothing changes where there is nothing to
    /// advertise. Its lifetime is by our interval, not by the router's own (RFC 4861 §6.2.1, AdvDefaultLifetime): guests hear
    /// of it as often as we advertise, and at once when it ends.
    #[must_use]
    pub fn by_router(mut self, router: Router) -> Self {
        if let Some(ra) = &mut self.ra {
            ra.router_lifetime_s = ra.max_rtr_adv_interval_s.saturating_mul(3);
            self.router = Some(router);
        }
        self
    }

    /// MAC and link-local address that advertisements come from.
    pub fn advertiser(&self) -> (Mac, Ipv6Addr) {
        match self.router {
            Some(router) => (router.mac, router.link_local),
            None => (self.service_mac(), self.service_link_local()),
        }
    }
}

/// A Router Advertisement's content (RFC 4861 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaPlan {
    /// M.
    pub managed: bool,
    /// O.
    pub other: bool,
    /// Router Lifetime, seconds; zero: not a default router.
    pub router_lifetime_s: u16,
    /// Retrans Timer, milliseconds; zero: unspecified.
    pub retrans_timer_ms: u32,
    /// MaxRtrAdvInterval (RFC 4861 §6.2.1), seconds.
    pub max_rtr_adv_interval_s: u16,
    /// The MTU option, bytes.
    pub mtu: u32,
    /// Prefix Information options, in the order of the subnets' creation.
    pub prefixes: Vec<RaPrefix>,
    /// Recursive DNS servers (RFC 8106 §5.1), without repetition.
    pub rdnss: Vec<Ipv6Addr>,
    /// Search list (RFC 8106 §5.2).
    pub dnssl: Vec<String>,
    /// Lifetime of both, seconds (RFC 8106 §5.1: three times MaxRtrAdvInterval).
    pub dns_lifetime_s: u32,
}

/// A Prefix Information option (RFC 4861 §4.6.2). L is always set: the prefix has its true length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaPrefix {
    /// The prefix with its true length.
    pub prefix: Ipv6Net,
    /// A.
    pub autonomous: bool,
    /// Valid lifetime, seconds; zero for a prefix that is withdrawn.
    pub valid_lifetime_s: u32,
    /// Preferred lifetime, seconds, at most the valid one.
    pub preferred_lifetime_s: u32,
}

/// What DHCPv6 answers on a link (RFC 9915).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv6Plan {
    /// The cloud's DUID-UUID (RFC 6355).
    pub server_duid: Uuid,
    /// The addresses to assign, in the order of the subnets' creation: the port's, whoever asks.
    pub addresses: Vec<Ipv6Addr>,
    /// What a Solicit gets when there are none.
    pub solicit_without_address: SolicitWithoutAddress,
    /// Preferred lifetime, seconds.
    pub preferred_lifetime_s: u32,
    /// T1 and T2 (RFC 9915 §14.2).
    pub times: RenewalTimes,
    /// Valid lifetime, seconds.
    pub valid_lifetime_s: u32,
    /// Name servers (RFC 3646 §3), without repetition.
    pub dns_servers: Vec<Ipv6Addr>,
    /// Search list (RFC 3646 §4).
    pub dns_search: Vec<String>,
    /// Further options by code, and those that are said instead of the above.
    pub options: BTreeMap<u16, Vec<u8>>,
}

/// The plan of a port's link; `None` when the plan has no such port, or lacks its network or the cloud's settings.
///
/// `withdrawn` are prefixes that were advertised on this link and are no longer in the plan: they are advertised with
/// lifetime zero for as long as the caller names them.
pub fn link_plan(plan: &HostPlan, port: PortId, withdrawn: &[Ipv6Net]) -> Option<LinkPlan> {
    let settings = plan.cloud()?;
    let port = plan.port(port)?;
    let network = plan.network(port.vni)?;
    let mut subnets: Vec<&SubnetPlan> = plan
        .subnets()
        .filter(|subnet| subnet.vni == port.vni)
        .collect();
    subnets.sort_by_key(|subnet| subnet.sequence);
    let addresses: Vec<Ipv6Addr> = port.ipv6().collect();
    Some(LinkPlan {
        port: port.id,
        number: port.number,
        vni: port.vni,
        on_segment: network.physical_network.is_some(),
        mac: port.mac,
        mtu: network.mtu,
        admin_state_up: port.admin_state_up && network.admin_state_up,
        ra: ra_plan(
            settings,
            retrans_timer_ms(settings, network, port),
            &subnets,
            port.mac,
            &addresses,
            network.mtu,
            withdrawn,
        ),
        router: None,
        dhcpv6: dhcpv6_plan(settings, &subnets, &addresses, &port.dhcp_options),
        dhcpv4: dhcpv4::dhcpv4_plan(plan, settings, port, network.mtu),
        learnable: learnable(port, subnets),
        addresses,
    })
}

/// RETRANS_TIMER (RFC 4861 §10), what guests have that were told nothing.
const RETRANS_TIMER_MS: u32 = 1000;

/// The cloud's where the host proves that addresses are used once: it guards the guest's sources, and the network's owner
/// does not wish otherwise. Else the RFC's, not "unspecified", which would leave what a running guest was told before.
fn retrans_timer_ms(settings: &CloudSettings, network: &NetworkPlan, port: &PortPlan) -> u32 {
    match network.fast_dad && port.port_security_enabled {
        true => settings.retrans_timer_ms,
        false => RETRANS_TIMER_MS,
    }
}

fn ra_plan(
    settings: &CloudSettings,
    retrans_timer_ms: u32,
    subnets: &[&SubnetPlan],
    mac: Mac,
    addresses: &[Ipv6Addr],
    mtu: u32,
    withdrawn: &[Ipv6Net],
) -> Option<RaPlan> {
    let ours: Vec<&&SubnetPlan> = subnets
        .iter()
        .filter(|subnet| subnet.sender == RaSender::Us)
        .collect();
    if ours.is_empty() && withdrawn.is_empty() {
        return None;
    }
    let holds = |subnet: &SubnetPlan| {
        addresses
            .iter()
            .any(|address| subnet.cidr.contains(address))
    };
    let holds_eui64 = |subnet: &SubnetPlan| {
        addresses.contains(&mac.eui64(subnet.cidr)) && subnet.cidr.prefix_len() == 64
    };
    let mut prefixes: Vec<RaPrefix> = ours
        .iter()
        .map(|subnet| RaPrefix {
            prefix: subnet.cidr,
            autonomous: subnet.autonomous && holds_eui64(subnet),
            valid_lifetime_s: settings.valid_lifetime_s,
            preferred_lifetime_s: settings.preferred_lifetime_s,
        })
        .collect();
    for prefix in withdrawn
        .iter()
        .filter(|prefix| !ours.iter().any(|subnet| subnet.cidr == **prefix))
    {
        let autonomous = prefix.prefix_len() == 64;
        prefixes.push(RaPrefix {
            prefix: *prefix,
            autonomous,
            valid_lifetime_s: 0,
            preferred_lifetime_s: 0,
        });
    }
    Some(RaPlan {
        managed: ours.iter().any(|subnet| subnet.managed && holds(subnet)),
        other: ours.iter().any(|subnet| subnet.other),
        // No router serves the network, so there is no way out.
        router_lifetime_s: 0,
        retrans_timer_ms,
        max_rtr_adv_interval_s: settings.max_rtr_adv_interval_s,
        mtu,
        prefixes,
        rdnss: dns_union(ours.iter().map(|subnet| **subnet)),
        dnssl: if ours.is_empty() {
            Vec::new()
        } else {
            settings.dns_search.clone()
        },
        dns_lifetime_s: 3 * u32::from(settings.max_rtr_adv_interval_s),
    })
}

fn dhcpv6_plan(
    settings: &CloudSettings,
    subnets: &[&SubnetPlan],
    addresses: &[Ipv6Addr],
    options: &DhcpOptions,
) -> Option<Dhcpv6Plan> {
    let served: Vec<&SubnetPlan> = subnets
        .iter()
        .copied()
        .filter(|subnet| subnet.dhcpv6.is_some())
        .collect();
    if served.is_empty() {
        return None;
    }
    let assigning = served
        .iter()
        .filter(|subnet| subnet.dhcpv6 == Some(Dhcpv6Service::Addresses));
    let assigned = assigning.flat_map(|subnet| {
        addresses
            .iter()
            .copied()
            .filter(|address| subnet.cidr.contains(address))
    });
    // Where one subnet allows for another server, a Solicit that we cannot serve is left to it.
    let silence = served
        .iter()
        .any(|subnet| subnet.solicit_without_address == SolicitWithoutAddress::Silence);
    Some(Dhcpv6Plan {
        server_duid: settings.server_duid,
        addresses: assigned.collect(),
        solicit_without_address: if silence {
            SolicitWithoutAddress::Silence
        } else {
            SolicitWithoutAddress::NoAddrsAvail
        },
        preferred_lifetime_s: settings.preferred_lifetime_s,
        times: settings.dhcpv6_times,
        valid_lifetime_s: settings.valid_lifetime_s,
        dns_servers: dns_union(served.iter().copied()),
        dns_search: settings.dns_search.clone(),
        options: options.v6.clone(),
    })
}

/// Most name servers that a guest is told: of a network with many subnets, those of the first. Resolvers use three.
const DNS_SERVERS_MAX: usize = 16;

/// The name servers of these subnets in order, each once. `::` means "announce none" and is left out.
fn dns_union<'a>(subnets: impl Iterator<Item = &'a SubnetPlan>) -> Vec<Ipv6Addr> {
    let mut union = Vec::new();
    for server in subnets.flat_map(|subnet| &subnet.dns_nameservers) {
        if union.len() == DNS_SERVERS_MAX {
            break;
        }
        if !server.is_unspecified() && !union.contains(server) {
            union.push(*server);
        }
    }
    union
}

#[cfg(test)]
mod tests;
