//! The fast path's rows: what a plan, the learned addresses and the links that are there make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use hextet_core::ids::{PortId, PortNumber, Vni};
use hextet_core::mac::Mac;
use hextet_core::plan::PortPlan;

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
    let holders = learned_holders(state);
    for port in state.plan.ports() {
        let Some(network) = state.plan.network(port.vni) else {
            continue;
        };
        let admin_up = port.admin_state_up && network.admin_state_up;
        rows.neigh.insert(
            (port.vni, Mac::service(port.vni).link_local()),
            NeighRow {
                mac: Mac::service(port.vni),
                port: None,
                router: false,
            },
        );
        let own = port.fixed_ips.iter().map(|fixed| fixed.ip_address);
        for address in own.chain([port.mac.link_local()]) {
            admit(&mut rows, port, address, admin_up, false);
        }
        let learned = state.learned.iter().filter(|(of, _)| *of == port.id);
        for (_, address) in learned {
            let first = holders.get(&(port.vni, *address)) == Some(&port.id);
            admit(&mut rows, port, *address, admin_up, !first);
        }
        if let Some(ifindex) = carried.get(&port.id) {
            let row = PortRow {
                port: port.number,
                net: port.vni,
                admin_up,
                mtu: network.mtu,
                mac: port.mac,
            };
            carry(&mut rows, *ifindex, row);
        }
    }
    rows
}

/// Who learned an address first on its network, unless a port of the plan holds it firmly.
pub(crate) fn learned_holders(state: &State) -> BTreeMap<(Vni, Ipv6Addr), PortId> {
    let firm: BTreeSet<(Vni, Ipv6Addr)> = state
        .plan
        .ports()
        .map(|port| (port.vni, port.mac.link_local()))
        .collect();
    let mut holders = BTreeMap::new();
    for (port, address) in &state.learned {
        let Some(plan) = state.plan.port(*port) else {
            continue;
        };
        if !firm.contains(&(plan.vni, *address)) {
            holders.entry((plan.vni, *address)).or_insert(*port);
        }
    }
    holders
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
