//! The rows of the fast path's maps as values, and the difference between two sets of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use hextet_core::ids::{PortNumber, Vni};
use hextet_core::mac::Mac;
use ipnet::Ipv6Net;

pub(crate) mod batches;
pub(crate) mod raw;

/// Most groups of one port that are kept apart; a port with more gets every group.
pub const GROUPS_MAX: usize = raw::GROUPS_MAX;
/// Most ports of one network on one host that get its multicast.
pub const MEMBERS_MAX: usize = raw::MEMBERS_PER_CHUNK * raw::MEMBER_CHUNKS;

/// A guest link. Key: the ifindex of its host end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRow {
    /// The port it carries.
    pub port: PortNumber,
    /// The port's network.
    pub net: Vni,
    /// False: everything from it is dropped, and nothing is delivered to it.
    pub admin_up: bool,
    /// False: the guest may send from any MAC and address, and what only routers and servers send.
    pub guarded: bool,
    /// Frames for the guest are handed right to the other end of its link, which is a veth pair's and in a namespace other
    /// than the host's; of any other the kernel throws them away.
    pub direct: bool,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// The guest's MAC.
    pub mac: Mac,
    /// Where the network is a physical segment that this host is on.
    pub outside: Option<OutsideFlags>,
}

/// Whom of a physical segment a guest hears, besides its neighbours there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutsideFlags {
    /// Its routers: their advertisements and redirects.
    pub ra: bool,
    /// Its DHCPv6 servers, who hear the guest, too.
    pub dhcpv6: bool,
    /// Its DHCPv4 servers, who alone hear the guest.
    pub dhcpv4: bool,
}

/// The NIC by which a network's physical segment is reached. Key: the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkRow {
    /// Its ifindex.
    pub ifindex: u32,
    /// Its own MAC: what is sent to it is the host's.
    pub mac: Mac,
}

/// What a NIC leads to. Key: its ifindex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NicRow {
    /// The network that is its segment.
    pub net: Vni,
    /// The network's largest IP packet, bytes.
    pub mtu: u32,
    /// It was this agent that had it take in all multicast. Not for the program: the row tells a later agent.
    pub all_multicast: bool,
}

/// The groups that a port's guest listens to, as the program reads its reports. Times are those of CLOCK_MONOTONIC. Key: port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerRow {
    /// Whatever the guest reports from then on is in the row. Zero in a row that is to be written: from then on.
    pub since: Duration,
    /// When it reported last; `None`: never, and it gets every group.
    pub reported: Option<Duration>,
    /// When it last was to get every group, as it has more than [`GROUPS_MAX`] or routes multicast.
    pub all: Option<Duration>,
    /// The groups, with the time of the last report. None of those that every port gets.
    pub groups: BTreeMap<Ipv6Addr, Duration>,
}

/// An address that a port may send from. Key: port and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// Admitted towards the service only, never to other guests: another port of the network holds it.
    pub local_only: bool,
    /// The guest formed it by itself: whether it is in use is noted.
    pub learned: bool,
}

/// An address whose Neighbor Solicitations, of IPv4 whose ARP requests, are answered in the kernel. Key: network and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighRow {
    /// What the answer says.
    pub mac: Mac,
    /// Who holds it; `None`: the service. The holder's own solicitations for it are not answered.
    pub port: Option<PortNumber>,
    /// The answer's R flag (RFC 4861 §4.4).
    pub router: bool,
}

/// Everything that the maps hold and the agent owns. An IPv4 address stands in them mapped into IPv6 (RFC 4291 §2.5.5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// By ifindex.
    pub ports: BTreeMap<u32, PortRow>,
    /// By port and address.
    pub sources: BTreeMap<(PortNumber, Ipv6Addr), SourceRow>,
    /// Of which prefixes the guest of a port may form addresses.
    pub learnable: BTreeSet<(PortNumber, Ipv6Net)>,
    /// By network and address.
    pub neigh: BTreeMap<(Vni, Ipv6Addr), NeighRow>,
    /// The ifindex to which a network's MAC leads.
    pub fdb: BTreeMap<(Vni, Mac), u32>,
    /// The ifindexes that get a network's multicast, at most [`MEMBERS_MAX`]; never an empty set.
    pub members: BTreeMap<Vni, BTreeSet<u32>>,
    /// By port. The agent makes and removes rows, the program alone says what is in them.
    pub listeners: BTreeMap<PortNumber, ListenerRow>,
    /// By network.
    pub uplinks: BTreeMap<Vni, UplinkRow>,
    /// By ifindex.
    pub nics: BTreeMap<u32, NicRow>,
    /// Ports whose first frame has been shown to the agent. The program adds to it; the agent takes a port out when its
    /// link is new or gone ([`MapOp::Unsee`]).
    pub seen: BTreeSet<PortNumber>,
}

/// One change to the maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapOp {
    /// Insert or replace.
    SetPort(u32, PortRow),
    /// Remove; nothing when there is none, as with every removal.
    RemovePort(u32),
    /// Insert or replace.
    SetSource((PortNumber, Ipv6Addr), SourceRow),
    /// Remove.
    RemoveSource((PortNumber, Ipv6Addr)),
    /// Insert.
    SetLearnable((PortNumber, Ipv6Net)),
    /// Remove.
    RemoveLearnable((PortNumber, Ipv6Net)),
    /// Insert or replace.
    SetNeigh((Vni, Ipv6Addr), NeighRow),
    /// Remove.
    RemoveNeigh((Vni, Ipv6Addr)),
    /// Insert or replace.
    SetFdb((Vni, Mac), u32),
    /// Remove.
    RemoveFdb((Vni, Mac)),
    /// Replace the whole set. More than [`MEMBERS_MAX`] is refused and changes nothing.
    SetMembers(Vni, BTreeSet<u32>),
    /// Remove the whole set.
    RemoveMembers(Vni),
    /// Insert or replace.
    SetListener(PortNumber, ListenerRow),
    /// Remove.
    RemoveListener(PortNumber),
    /// Insert or replace.
    SetUplink(Vni, UplinkRow),
    /// Remove.
    RemoveUplink(Vni),
    /// Insert or replace.
    SetNic(u32, NicRow),
    /// Remove.
    RemoveNic(u32),
    /// Take the port's next frame for its first.
    Unsee(PortNumber),
    /// Remove what the program keeps about a port that is gone: seen, budget, counters.
    Forget(PortNumber),
}

impl Rows {
    /// What makes these rows into `wanted`. A port in `seen` here and not there is taken out, one that only `wanted` has is left
    /// to the program, which alone sees frames.
    ///
    /// In order: what others refer to is there before and gone after them.
    pub fn diff(&self, wanted: &Rows) -> Vec<MapOp> {
        let mut ops = Vec::new();
        ops.extend(gone(&self.members, &wanted.members).map(MapOp::RemoveMembers));
        ops.extend(gone(&self.nics, &wanted.nics).map(MapOp::RemoveNic));
        ops.extend(gone(&self.uplinks, &wanted.uplinks).map(MapOp::RemoveUplink));
        ops.extend(gone(&self.fdb, &wanted.fdb).map(MapOp::RemoveFdb));
        ops.extend(gone(&self.neigh, &wanted.neigh).map(MapOp::RemoveNeigh));
        ops.extend(gone(&self.ports, &wanted.ports).map(MapOp::RemovePort));
        ops.extend(gone(&self.sources, &wanted.sources).map(MapOp::RemoveSource));
        ops.extend(gone(&self.listeners, &wanted.listeners).map(MapOp::RemoveListener));
        let not_learnable = self.learnable.difference(&wanted.learnable);
        ops.extend(not_learnable.map(|key| MapOp::RemoveLearnable(*key)));
        for port in self.seen.difference(&wanted.seen) {
            ops.push(MapOp::Unsee(*port));
        }
        ops.extend(self.new_listeners(wanted));
        ops.extend(
            changed(&self.sources, &wanted.sources).map(|(key, row)| MapOp::SetSource(*key, *row)),
        );
        let learnable = wanted.learnable.difference(&self.learnable);
        ops.extend(learnable.map(|key| MapOp::SetLearnable(*key)));
        ops.extend(
            changed(&self.ports, &wanted.ports).map(|(key, row)| MapOp::SetPort(*key, *row)),
        );
        ops.extend(
            changed(&self.neigh, &wanted.neigh).map(|(key, row)| MapOp::SetNeigh(*key, *row)),
        );
        ops.extend(changed(&self.fdb, &wanted.fdb).map(|(key, row)| MapOp::SetFdb(*key, *row)));
        ops.extend(
            changed(&self.members, &wanted.members)
                .map(|(key, set)| MapOp::SetMembers(*key, set.clone())),
        );
        ops.extend(
            changed(&self.uplinks, &wanted.uplinks).map(|(key, row)| MapOp::SetUplink(*key, *row)),
        );
        ops.extend(changed(&self.nics, &wanted.nics).map(|(key, row)| MapOp::SetNic(*key, *row)));
        ops
    }

    /// Rows that are not there, or speak of a guest that is gone.
    fn new_listeners<'a>(&'a self, wanted: &'a Rows) -> impl Iterator<Item = MapOp> + 'a {
        let gone = |port| self.seen.contains(port) && !wanted.seen.contains(port);
        wanted
            .listeners
            .iter()
            .filter(move |(port, _)| gone(*port) || !self.listeners.contains_key(*port))
            .map(|(port, row)| MapOp::SetListener(*port, row.clone()))
    }
}

/// The keys of `seen` that `wanted` lacks.
fn gone<'a, K: Ord + Copy, V>(
    seen: &'a BTreeMap<K, V>,
    wanted: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = K> + 'a {
    seen.keys().copied().filter(|key| !wanted.contains_key(key))
}

/// The rows of `wanted` that `seen` lacks or has otherwise.
fn changed<'a, K: Ord, V: PartialEq>(
    seen: &'a BTreeMap<K, V>,
    wanted: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    wanted
        .iter()
        .filter(|(key, row)| seen.get(key) != Some(row))
}

#[cfg(test)]
mod tests;
