//! Flat networks: the NIC that leads to each one's physical segment, or why none does.

use std::collections::{BTreeMap, BTreeSet};

use hextet_core::ids::Vni;
use hextet_core::mac::Mac;
use hextet_core::plan::{HostPlan, NetworkPlan};

use crate::kernel::NicRow;
use crate::kernel::links::LinkSeen;

/// A flat network with a port on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What the API calls it.
    pub physical_network: String,
    /// What leads there.
    pub nic: Option<Nic>,
    /// Why its ports are not served whole.
    pub problem: Option<SegmentProblem>,
}

/// A NIC that leads to a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// Its own MAC.
    pub mac: Mac,
    /// It is for us that it takes in all multicast, or will.
    pub all_multicast: bool,
}

/// By network.
pub type Segments = BTreeMap<Vni, Segment>;

/// Why a flat network's ports are not served whole on this host. What does not need the missing part works: ports of the
/// network on this host reach each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentProblem {
    /// The configuration does not have it.
    #[error("this host's configuration names no NIC for physical network {0} (physical_networks)")]
    NotHere(String),
    /// The NIC is not there.
    #[error("no link named {nic}, which leads to physical network {physical_network}")]
    NoLink {
        /// The NIC's name.
        nic: String,
        /// The physical network's.
        physical_network: String,
    },
    /// It has no MAC.
    #[error("{0} is no Ethernet link")]
    NotEthernet(String),
    /// It carries a guest.
    #[error("{0} is a guest's link, and leads to no physical network")]
    Guest(String),
    /// Another network of the plan is that segment.
    #[error("physical network {0} is another network")]
    Taken(String),
    /// It is down.
    #[error("{0} is set down")]
    Down(String),
    /// No cable, or nobody at its other end (operational state, RFC 2863 §3.1.12).
    #[error("{0} has no carrier")]
    NoCarrier(String),
    /// The network's packets do not fit.
    #[error("{nic} has an MTU of {has}, the network's is {wanted}")]
    Mtu {
        /// The NIC's name.
        nic: String,
        /// Its MTU, bytes.
        has: u32,
        /// The network's, bytes.
        wanted: u32,
    },
}

/// Every flat network of the plan. `named` are NICs by physical network, `guests` the links that carry ports, `before` is
/// what NICs led to until now.
pub fn segments(
    plan: &HostPlan,
    named: &BTreeMap<String, String>,
    links: &BTreeMap<String, LinkSeen>,
    guests: &BTreeSet<u32>,
    before: &BTreeMap<u32, NicRow>,
) -> Segments {
    let mut segments = Segments::new();
    let mut taken = BTreeMap::new();
    for network in plan.networks() {
        let Some(physical_network) = network.physical_network.clone() else {
            continue;
        };
        let mut segment = Segment {
            physical_network: physical_network.clone(),
            nic: None,
            problem: None,
        };
        if taken
            .insert(physical_network.clone(), network.vni)
            .is_some()
        {
            segment.problem = Some(SegmentProblem::Taken(physical_network));
        } else {
            match nic(&physical_network, named, links, guests) {
                Ok(link) => {
                    segment.problem = limits(network, link);
                    let ours = before.get(&link.ifindex).map(|row| row.all_multicast);
                    segment.nic = Some(Nic {
                        name: link.name.clone(),
                        ifindex: link.ifindex,
                        mac: link.mac,
                        all_multicast: ours == Some(true) || !link.all_multicast,
                    });
                }
                Err(problem) => segment.problem = Some(problem),
            }
        }
        segments.insert(network.vni, segment);
    }
    segments
}

fn nic<'a>(
    physical_network: &str,
    named: &BTreeMap<String, String>,
    links: &'a BTreeMap<String, LinkSeen>,
    guests: &BTreeSet<u32>,
) -> Result<&'a LinkSeen, SegmentProblem> {
    let name = named
        .get(physical_network)
        .ok_or_else(|| SegmentProblem::NotHere(physical_network.to_owned()))?;
    let link = links.get(name).ok_or_else(|| SegmentProblem::NoLink {
        nic: name.clone(),
        physical_network: physical_network.to_owned(),
    })?;
    let tagged = link
        .alias
        .as_deref()
        .is_some_and(|alias| alias.starts_with("hextet:"));
    if tagged || guests.contains(&link.ifindex) {
        return Err(SegmentProblem::Guest(name.clone()));
    }
    if link.mac == Mac::default() {
        return Err(SegmentProblem::NotEthernet(name.clone()));
    }
    Ok(link)
}

/// What it leads to all the same, though not well.
fn limits(network: &NetworkPlan, link: &LinkSeen) -> Option<SegmentProblem> {
    if !link.admin_up {
        return Some(SegmentProblem::Down(link.name.clone()));
    }
    if !link.carrier {
        return Some(SegmentProblem::NoCarrier(link.name.clone()));
    }
    (link.mtu < network.mtu).then(|| SegmentProblem::Mtu {
        nic: link.name.clone(),
        has: link.mtu,
        wanted: network.mtu,
    })
}

#[cfg(test)]
mod tests;
