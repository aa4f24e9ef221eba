//! What a change of the plan is about: the ports that a pass has to look at, and whom else they concern.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use hextet_core::ids::{PortId, Vni};
use hextet_core::plan::{HostPlan, PlanEntry, PlanKey};
use hextet_feed::sync::PlanDelta;

use super::own_addresses;
use crate::ledger::State;

/// What changes of the plan are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// These, of which the plan says something else, of themselves or of their networks.
    pub ports: BTreeSet<PortId>,
    /// Ports that the plan begins or ceases to have.
    pub come_or_gone: BTreeSet<PortId>,
    /// The networks of all of them.
    pub networks: BTreeSet<Vni>,
    /// IPv6 addresses that one of the ports has or had.
    pub addresses: BTreeSet<Ipv6Addr>,
}

/// What these changes are about, told before they are taken; `None` where they are about more than some networks: the cloud's
/// settings, and physical segments, whose NICs take in all their guests' MACs.
pub fn touched(plan: &HostPlan, deltas: &[PlanDelta]) -> Option<Touched> {
    let mut touched = Touched::default();
    let mut whole = BTreeSet::new();
    for (key, entry) in deltas.iter().flat_map(|delta| &delta.changes) {
        let before = plan.entries.get(key);
        if let PlanKey::Port(id) = key {
            touched.ports.insert(*id);
            if before.is_some() != entry.is_some() {
                touched.come_or_gone.insert(*id);
            }
        }
        for entry in before.into_iter().chain(entry) {
            match entry {
                PlanEntry::Cloud(_) => return None,
                PlanEntry::Network(network) if network.physical_network.is_some() => return None,
                PlanEntry::Network(network) => drop(whole.insert(network.vni)),
                PlanEntry::Subnet(subnet) => drop(whole.insert(subnet.vni)),
                PlanEntry::Ipv4Subnet(subnet) => drop(whole.insert(subnet.vni)),
                PlanEntry::Port(port) => {
                    touched.networks.insert(port.vni);
                    touched.addresses.extend(own_addresses(port));
                }
            }
        }
    }
    // What a network or one of its subnets says concerns all its ports.
    if !whole.is_empty() {
        let theirs = plan.ports().filter(|port| whole.contains(&port.vni));
        touched.ports.extend(theirs.map(|port| port.id));
        touched.networks.append(&mut whole);
    }
    Some(touched)
}

/// These ports, and whoever learned one of these addresses or one that they learned.
pub fn with_same_addresses(
    state: &State,
    ports: &BTreeSet<PortId>,
    addresses: &BTreeSet<Ipv6Addr>,
) -> BTreeSet<PortId> {
    let learned = || state.learned.iter();
    let theirs = learned().filter(|known| ports.contains(&known.port));
    let theirs: BTreeSet<_> = theirs.map(|known| known.address).collect();
    let same = |address: &Ipv6Addr| theirs.contains(address) || addresses.contains(address);
    let others = learned().filter(|known| same(&known.address));
    let others = others.map(|known| known.port);
    others.chain(ports.iter().copied()).collect()
}
