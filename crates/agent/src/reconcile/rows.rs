//! The fast path's rows: what a plan, the learned addresses and the links that are there make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use hextet_core::ids::{PortId, PortNumber, Vni};
use hextet_core::link::{SERVICE_IPV4, learnable, outside};
use hextet_core::mac::Mac;
use hextet_core::plan::{HostPlan, NetworkPlan, PortPlan, SubnetPlan};

use super::{Nic, Segments};
use crate::kernel::maps::MEMBERS_MAX;
use crate::kernel::{
    ListenerRow, NeighRow, NicRow, OutsideFlags, PortRow, Rows, SourceRow, UplinkRow,
};
use crate::ledger::{LearnedAddress, State};

/// A link that carries a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedBy {
    /// The ifindex of the host's end.
    pub ifindex: u32,
    /// As of [`PortRow::direct`].
    pub direct: bool,
}

/// The links that carry ports.
pub type Carried = BTreeMap<PortId, CarriedBy>;

/// Every row that there must be. `seen` are the ports whose link is still the one whose first frame was shown.
pub fn rows_wanted(
    state: &State,
    carried: &Carried,
    segments: &Segments,
    seen: BTreeSet<PortNumber>,
) -> Rows {
    let mut rows = Rows {
        seen,
        ..Rows::default()
    };
    let addresses = Addresses::new(state);
    let subnets = Subnets::of(&state.plan, |_| true);
    for port in state.plan.ports() {
        let Some(network) = state.plan.network(port.vni) else {
            continue;
        };
        subnets.serve(&mut rows, port.vni);
        addresses.admit(&mut rows, port, network);
        subnets.admit(&mut rows, port);
        if let Some(link) = carried.get(&port.id) {
            let row = port_row(state, segments, port, network, *link);
            carry(&mut rows, link.ifindex, row);
        }
    }
    for (vni, segment) in segments {
        if let (Some(nic), Some(network)) = (&segment.nic, state.plan.network(*vni)) {
            lead(&mut rows, network, nic);
        }
    }
    rows
}

fn port_row(
    state: &State,
    segments: &Segments,
    port: &PortPlan,
    network: &NetworkPlan,
    link: CarriedBy,
) -> PortRow {
    PortRow {
        port: port.number,
        net: port.vni,
        admin_up: port.admin_state_up && network.admin_state_up,
        guarded: port.port_security_enabled,
        direct: link.direct,
        mtu: network.mtu,
        mac: port.mac,
        outside: segments
            .get(&port.vni)
            .filter(|segment| segment.nic.is_some())
            .map(|_| outside_flags(&state.plan, port)),
    }
}

fn outside_flags(plan: &HostPlan, port: &PortPlan) -> OutsideFlags {
    let outside = outside(plan, port);
    OutsideFlags {
        ra: outside.ra,
        dhcpv6: outside.dhcpv6,
        dhcpv4: outside.dhcpv4,
    }
}

/// The NIC leads to the network, as long as this is up.
fn lead(rows: &mut Rows, network: &NetworkPlan, nic: &Nic) {
    if !network.admin_state_up {
        return;
    }
    let uplink = UplinkRow {
        ifindex: nic.ifindex,
        mac: nic.mac,
    };
    rows.uplinks.insert(network.vni, uplink);
    let row = NicRow {
        net: network.vni,
        mtu: network.mtu,
        all_multicast: nic.all_multicast,
    };
    rows.nics.insert(nic.ifindex, row);
}

/// The rows of these ports' addresses alone: what the same of a state before and after makes different is all that an
/// address learned or forgotten by them changes, if every port that learned the same address is among them.
pub fn address_rows(state: &State, ports: &BTreeSet<PortId>) -> Rows {
    let mut rows = Rows::default();
    let addresses = Addresses::of(state, ports);
    for port in ports.iter().filter_map(|id| state.plan.port(*id)) {
        if let Some(network) = state.plan.network(port.vni) {
            addresses.admit(&mut rows, port, network);
        }
    }
    rows
}

/// The rows that change where these ports do, or their links or guests: those of their addresses and links, and of these networks,
/// theirs among them, who gets the multicast and what the service answers for. Ports that learned one of the addresses that these
/// have, had or learned are to be among them. `seen` as of [`rows_wanted`], of these ports alone.
pub fn rows_of(
    state: &State,
    carried: &Carried,
    segments: &Segments,
    seen: BTreeSet<PortNumber>,
    ports: &BTreeSet<PortId>,
    networks: &BTreeSet<Vni>,
) -> Rows {
    let mut rows = Rows {
        seen,
        ..Rows::default()
    };
    let planned =
        |port: &PortPlan| networks.contains(&port.vni) && state.plan.network(port.vni).is_some();
    let subnets = Subnets::of(&state.plan, |vni| networks.contains(&vni));
    for port in state.plan.ports().filter(|port| planned(port)) {
        subnets.serve(&mut rows, port.vni);
    }
    let addresses = Addresses::of(state, ports);
    for port in ports.iter().filter_map(|id| state.plan.port(*id)) {
        if let Some(network) = state.plan.network(port.vni) {
            addresses.admit(&mut rows, port, network);
            subnets.admit(&mut rows, port);
        }
    }
    for (id, link) in carried {
        let Some(port) = state
            .plan
            .port(*id)
            .filter(|port| networks.contains(&port.vni))
        else {
            continue;
        };
        let Some(network) = state.plan.network(port.vni) else {
            continue;
        };
        let row = port_row(state, segments, port, network, *link);
        if ports.contains(id) {
            carry(&mut rows, link.ifindex, row);
        } else {
            join(&mut rows, link.ifindex, &row);
        }
    }
    rows
}

/// Subnets by their networks.
struct Subnets<'a> {
    ipv6: BTreeMap<Vni, Vec<&'a SubnetPlan>>,
    dual_stack: BTreeSet<Vni>,
}

impl<'a> Subnets<'a> {
    fn of(plan: &'a HostPlan, concerned: impl Fn(Vni) -> bool) -> Self {
        let mut ipv6: BTreeMap<Vni, Vec<&SubnetPlan>> = BTreeMap::new();
        for subnet in plan.subnets().filter(|subnet| concerned(subnet.vni)) {
            ipv6.entry(subnet.vni).or_default().push(subnet);
        }
        let ipv4 = plan.ipv4_subnets().map(|subnet| subnet.vni);
        Self {
            ipv6,
            dual_stack: ipv4.filter(|vni| concerned(*vni)).collect(),
        }
    }

    /// The service answers on this network.
    fn serve(&self, rows: &mut Rows, vni: Vni) {
        serve(rows, vni, Mac::service(vni).link_local());
        if self.dual_stack.contains(&vni) {
            serve(rows, vni, SERVICE_IPV4.to_ipv6_mapped());
        }
    }

    /// Of which of them the port's guest may form addresses.
    fn admit(&self, rows: &mut Rows, port: &PortPlan) {
        let subnets = self.ipv6.get(&port.vni).into_iter().flatten().copied();
        let learnable = learnable(port, subnets);
        rows.learnable
            .extend(learnable.iter().map(|known| (port.number, known.prefix)));
    }
}

/// Who learned an address first on its network, unless a port of the plan holds it firmly.
pub(crate) fn learned_holders(
    state: &State,
    concerned: impl Fn(&Ipv6Addr) -> bool,
) -> BTreeMap<(Vni, Ipv6Addr), PortId> {
    let mut holders = BTreeMap::new();
    let concerned = |known: &&LearnedAddress| concerned(&known.address);
    for known in state.learned.iter().filter(concerned) {
        if let Some(plan) = state.plan.port(known.port) {
            let key = (plan.vni, known.address);
            holders.entry(key).or_insert(known.port);
        }
    }
    if holders.is_empty() {
        return holders;
    }
    for port in state.plan.ports() {
        for address in own_addresses(port) {
            holders.remove(&(port.vni, address));
        }
    }
    holders
}

/// What guests use besides what the plan says.
pub(crate) struct Addresses {
    pub(crate) learned: BTreeMap<PortId, Vec<LearnedAddress>>,
    pub(crate) holders: BTreeMap<(Vni, Ipv6Addr), PortId>,
}

impl Addresses {
    pub(crate) fn new(state: &State) -> Self {
        Self {
            learned: learned_by_port(state, |_| true),
            holders: learned_holders(state, |_| true),
        }
    }

    /// As far as these ports are concerned.
    pub(crate) fn of(state: &State, ports: &BTreeSet<PortId>) -> Self {
        let learned = learned_by_port(state, |port| ports.contains(port));
        let known = learned.values().flatten().map(|known| known.address);
        let known: BTreeSet<Ipv6Addr> = known.collect();
        Self {
            learned,
            holders: learned_holders(state, |address| known.contains(address)),
        }
    }

    fn admit(&self, rows: &mut Rows, port: &PortPlan, network: &NetworkPlan) {
        let admin_up = port.admin_state_up && network.admin_state_up;
        for address in
            own_addresses(port).chain(port.ipv4().map(|address| address.to_ipv6_mapped()))
        {
            let row = SourceRow {
                local_only: false,
                learned: false,
            };
            admit(rows, port, address, admin_up, row);
        }
        for known in self.learned.get(&port.id).into_iter().flatten() {
            // Learned first, and assigned to the port since.
            if own_addresses(port).any(|address| address == known.address) {
                continue;
            }
            let first = self.holders.get(&(port.vni, known.address)) == Some(&port.id);
            let row = SourceRow {
                local_only: !first,
                learned: true,
            };
            admit(rows, port, known.address, admin_up, row);
        }
    }
}

/// The service answers for this address, unless a port of the network has it.
fn serve(rows: &mut Rows, vni: Vni, address: Ipv6Addr) {
    let row = NeighRow {
        mac: Mac::service(vni),
        port: None,
        router: false,
    };
    rows.neigh.entry((vni, address)).or_insert(row);
}

/// The IPv6 addresses that the plan makes the port's.
pub(crate) fn own_addresses(port: &PortPlan) -> impl Iterator<Item = Ipv6Addr> {
    port.ipv6().chain([port.mac.link_local()])
}

fn learned_by_port(
    state: &State,
    concerned: impl Fn(&PortId) -> bool,
) -> BTreeMap<PortId, Vec<LearnedAddress>> {
    let mut by_port: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for known in state.learned.iter().filter(|known| concerned(&known.port)) {
        by_port.entry(known.port).or_default().push(*known);
    }
    by_port
}

fn admit(rows: &mut Rows, port: &PortPlan, address: Ipv6Addr, admin_up: bool, row: SourceRow) {
    rows.sources.insert((port.number, address), row);
    if admin_up && !row.local_only {
        rows.neigh.insert(
            (port.vni, address),
            NeighRow {
                mac: port.mac,
                port: Some(port.number),
                router: false,
            },
        );
    }
}

fn carry(rows: &mut Rows, ifindex: u32, row: PortRow) {
    rows.ports.insert(ifindex, row);
    if row.admin_up {
        rows.fdb.insert((row.net, row.mac), ifindex);
        rows.listeners.insert(row.port, ListenerRow::default());
    }
    join(rows, ifindex, &row);
}

/// It gets the multicast of its network.
fn join(rows: &mut Rows, ifindex: u32, row: &PortRow) {
    if !row.admin_up {
        return;
    }
    let members = rows.members.entry(row.net).or_default();
    // Above the bound a port gets no multicast of other guests; RA, ND and DHCPv6 do not depend on it.
    if members.len() < MEMBERS_MAX {
        members.insert(ifindex);
    }
}
