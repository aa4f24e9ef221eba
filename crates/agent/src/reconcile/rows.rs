//! The fast path's rows: what a plan, the learned addresses and the links that are there make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use hextet_core::ids::{PortId, PortNumber, Vni};
use hextet_core::link::SERVICE_IPV4;
use hextet_core::mac::Mac;
use hextet_core::plan::{NetworkPlan, PortPlan};

use crate::kernel::maps::MEMBERS_MAX;
use crate::kernel::{NeighRow, PortRow, Rows, SourceRow};
use crate::ledger::State;

/// The links that carry ports: the ifindex of the host's end.
pub type Carried = BTreeMap<PortId, u32>;

/// Every row that there must be. `seen` are the ports whose link is still the one whose first frame was shown.
pub fn rows_wanted(state: &State, carried: &Carried, seen: BTreeSet<PortNumber>) -> Rows {
    let mut rows = Rows {
        seen,
        ..Rows::default()
    };
    let addresses = Addresses::new(state);
    let dual_stack: BTreeSet<Vni> = state.plan.ipv4_subnets().map(|subnet| subnet.vni).collect();
    for port in state.plan.ports() {
        let Some(network) = state.plan.network(port.vni) else {
            continue;
        };
        serve(&mut rows, port.vni, Mac::service(port.vni).link_local());
        if dual_stack.contains(&port.vni) {
            serve(&mut rows, port.vni, SERVICE_IPV4.to_ipv6_mapped());
        }
        addresses.admit(&mut rows, port, network);
        if let Some(ifindex) = carried.get(&port.id) {
            let row = PortRow {
                port: port.number,
                net: port.vni,
                admin_up: port.admin_state_up && network.admin_state_up,
                guarded: port.port_security_enabled,
                mtu: network.mtu,
                mac: port.mac,
                outside: None,
            };
            carry(&mut rows, *ifindex, row);
        }
    }
    rows
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

/// Who learned an address first on its network, unless a port of the plan holds it firmly.
pub(crate) fn learned_holders(
    state: &State,
    concerned: impl Fn(&Ipv6Addr) -> bool,
) -> BTreeMap<(Vni, Ipv6Addr), PortId> {
    let mut holders = BTreeMap::new();
    for (port, address) in state.learned.iter().filter(|(_, known)| concerned(known)) {
        if let Some(plan) = state.plan.port(*port) {
            holders.entry((plan.vni, *address)).or_insert(*port);
        }
    }
    for port in state.plan.ports() {
        holders.remove(&(port.vni, port.mac.link_local()));
    }
    holders
}

/// What guests use besides what the plan says.
pub(crate) struct Addresses {
    pub(crate) learned: BTreeMap<PortId, Vec<Ipv6Addr>>,
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
        let known: BTreeSet<Ipv6Addr> = learned.values().flatten().copied().collect();
        Self {
            learned,
            holders: learned_holders(state, |address| known.contains(address)),
        }
    }

    fn admit(&self, rows: &mut Rows, port: &PortPlan, network: &NetworkPlan) {
        let admin_up = port.admin_state_up && network.admin_state_up;
        let own = port.ipv6().chain([port.mac.link_local()]);
        for address in own.chain(port.ipv4().map(|address| address.to_ipv6_mapped())) {
            admit(rows, port, address, admin_up, false);
        }
        for address in self.learned.get(&port.id).into_iter().flatten() {
            let first = self.holders.get(&(port.vni, *address)) == Some(&port.id);
            admit(rows, port, *address, admin_up, !first);
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

fn learned_by_port(
    state: &State,
    concerned: impl Fn(&PortId) -> bool,
) -> BTreeMap<PortId, Vec<Ipv6Addr>> {
    let mut by_port: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (port, address) in state.learned.iter().filter(|(port, _)| concerned(port)) {
        by_port.entry(*port).or_default().push(*address);
    }
    by_port
}

fn admit(rows: &mut Rows, port: &PortPlan, address: Ipv6Addr, admin_up: bool, local_only: bool) {
    rows.sources
        .insert((port.number, address), SourceRow { local_only });
    if admin_up && !local_only {
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
    if !row.admin_up {
        return;
    }
    rows.fdb.insert((row.net, row.mac), ifindex);
    let members = rows.members.entry(row.net).or_default();
    // Above the bound a port gets no multicast of other guests; RA, ND and DHCPv6 do not depend on it.
    if members.len() < MEMBERS_MAX {
        members.insert(ifindex);
    }
}
