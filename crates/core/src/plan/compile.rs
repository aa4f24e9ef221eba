//! From the whole cloud to one host's plan: a pure function, whole or key by key.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::dhcp::DhcpOptions;
use crate::ids::{HostId, Vni};
use crate::modes::{Dhcpv6Service, RaSender};
use crate::plan::{
    Generation, HostPlan, Ipv4Route, Ipv4SubnetPlan, NetworkPlan, PlanEntry, PlanKey, PortPlan,
    SegmentPlan, SubnetPlan,
};
use crate::snapshot::Snapshot;
use crate::subnet::{HostRoute, Subnet};

/// The whole plan of a host.
pub fn compile(snapshot: &Snapshot, host: &HostId, generation: Generation) -> HostPlan {
    let entries = keys(snapshot, host)
        .into_iter()
        .filter_map(|key| compile_key(snapshot, host, key).map(|entry| (key, entry)))
        .collect();
    HostPlan {
        generation,
        entries,
    }
}

/// The keys of a host's plan: the cloud, its ports, their networks and the subnets of these.
pub fn keys(snapshot: &Snapshot, host: &HostId) -> BTreeSet<PlanKey> {
    let mut keys = BTreeSet::from([PlanKey::Cloud]);
    for port in snapshot.ports_on(host) {
        keys.insert(PlanKey::Port(port.id));
        keys.extend(snapshot.network_keys(port.network_id));
    }
    keys
}

/// One entry of a host's plan; `None` when the key is not in it.
pub fn compile_key(snapshot: &Snapshot, host: &HostId, key: PlanKey) -> Option<PlanEntry> {
    match key {
        PlanKey::Cloud => Some(PlanEntry::Cloud(snapshot.settings().clone())),
        PlanKey::Network(vni) => {
            let network = snapshot.network_of(vni)?;
            if !snapshot.is_on(network.id, host) {
                return None;
            }
            Some(PlanEntry::Network(NetworkPlan {
                vni,
                id: network.id,
                mtu: network.mtu,
                admin_state_up: network.admin_state_up,
                physical_network: network.physical_network.clone(),
                fast_dad: network.fast_dad,
            }))
        }
        PlanKey::Subnet(id) => {
            let subnet = snapshot.subnet(id)?;
            if !snapshot.is_on(subnet.network_id, host) {
                return None;
            }
            let network = snapshot.network(subnet.network_id)?;
            let vni = network.vni;
            let flat = network.physical_network.is_some();
            match subnet.cidr {
                IpNet::V4(cidr) => Some(PlanEntry::Ipv4Subnet(ipv4_subnet_plan(subnet, cidr, vni))),
                IpNet::V6(cidr) => Some(PlanEntry::Subnet(subnet_plan(subnet, cidr, vni, flat)?)),
            }
        }
        PlanKey::Port(id) => {
            let port = snapshot
                .port(id)
                .filter(|port| port.carried_by() == Some(host))?;
            Some(PlanEntry::Port(PortPlan {
                id,
                number: port.number,
                vni: snapshot.network(port.network_id)?.vni,
                mac: port.mac_address,
                admin_state_up: port.admin_state_up,
                port_security_enabled: port.port_security_enabled,
                fixed_ips: port.fixed_ips.clone(),
                dhcp_options: DhcpOptions::of(&port.extra_dhcp_opts),
            }))
        }
    }
}

/// `None` for a combination of modes that was never accepted, which the store does not hold.
fn subnet_plan(subnet: &Subnet, cidr: Ipv6Net, vni: Vni, flat: bool) -> Option<SubnetPlan> {
    let row = subnet.modes.row().ok()?;
    let ours = row.flags.filter(|_| row.sender == RaSender::Us);
    let service = if flat { row.dhcpv6_on_flat } else { row.dhcpv6 };
    let assigned_outside = subnet.modes.address.is_none() && service == Dhcpv6Service::Options;
    let segment = SegmentPlan {
        expected: row.flags,
        dhcpv6: !subnet.enable_dhcp || assigned_outside,
    };
    Some(SubnetPlan {
        id: subnet.id,
        vni,
        sequence: subnet.sequence,
        cidr,
        sender: row.sender,
        autonomous: ours.is_some_and(|flags| flags.autonomous),
        managed: ours.is_some_and(|flags| flags.managed),
        other: ours.is_some_and(|flags| flags.other),
        dhcpv6: subnet.enable_dhcp.then_some(service),
        solicit_without_address: row.solicit_without_address,
        dns_nameservers: subnet
            .dns_nameservers
            .iter()
            .filter_map(|server| match server {
                IpAddr::V4(_) => None,
                IpAddr::V6(server) => Some(*server),
            })
            .collect(),
        learned: row.learned,
        gateway_ip: match subnet.gateway_ip {
            Some(IpAddr::V6(gateway)) => Some(gateway),
            Some(IpAddr::V4(_)) | None => None,
        },
        segment: flat.then_some(segment),
    })
}

fn ipv4_subnet_plan(subnet: &Subnet, cidr: Ipv4Net, vni: Vni) -> Ipv4SubnetPlan {
    let ipv4 = |address: &IpAddr| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    };
    Ipv4SubnetPlan {
        id: subnet.id,
        vni,
        sequence: subnet.sequence,
        cidr,
        dhcp: subnet.enable_dhcp,
        gateway_ip: subnet.gateway_ip.as_ref().and_then(ipv4),
        dns_nameservers: subnet.dns_nameservers.iter().filter_map(ipv4).collect(),
        host_routes: subnet.host_routes.iter().filter_map(ipv4_route).collect(),
    }
}

fn ipv4_route(route: &HostRoute) -> Option<Ipv4Route> {
    match (route.destination, route.nexthop) {
        (IpNet::V4(destination), IpAddr::V4(nexthop)) => Some(Ipv4Route {
            destination,
            nexthop,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
