//! What changes of links tell beyond what is known: the kernel tells of what a pass did, too, and that needs no other pass.

use std::collections::{BTreeMap, BTreeSet};

use hextet_core::ids::PortId;

use super::carriers::Carrier;
use crate::kernel::links::{LinkChange, LinkSeen};

#[cfg(test)]
mod tests;

/// What changes of links tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Links of these ports gained their carriers, and that is all.
    pub(super) carriers: BTreeSet<PortId>,
    /// Links of these ports came, went, or changed.
    pub(super) ports: BTreeSet<PortId>,
    /// Behind these links is another place now.
    pub(super) elsewhere: BTreeSet<u32>,
    /// Others did, or it is not known which.
    pub(super) others: bool,
}

/// Of changes in their order; `known` are all links by their number, `port_of` says which port a link of this name carries when it
/// comes. A link that was known and is gone is news even when one of its number and name is there again: our program went with it.
pub(super) fn take_links(
    changes: &[LinkChange],
    known: &mut BTreeMap<u32, LinkSeen>,
    carriers: &mut BTreeMap<PortId, Carrier>,
    port_of: impl Fn(&str) -> Option<PortId>,
) -> News {
    let mut news = News::default();
    let changed: BTreeSet<u32> = changes.iter().filter_map(ifindex).collect();
    let mut carriers: BTreeMap<u32, (PortId, &mut Carrier)> = carriers
        .iter_mut()
        .filter(|(_, carrier)| changed.contains(&carrier.ifindex))
        .map(|(port, carrier)| (carrier.ifindex, (*port, carrier)))
        .collect();
    let mut latest = BTreeMap::new();
    for change in changes {
        let link = match change {
            LinkChange::Seen(link) => link,
            LinkChange::Gone { ifindex } => {
                latest.remove(ifindex);
                if known.remove(ifindex).is_some() {
                    news.note(carriers.get(ifindex).map(|(port, _)| *port));
                }
                continue;
            }
            LinkChange::Elsewhere { ifindex } => {
                news.elsewhere.insert(*ifindex);
                continue;
            }
            LinkChange::Lost => {
                news.others = true;
                continue;
            }
        };
        latest.insert(link.ifindex, link);
        if let Some((_, carrier)) = carriers.get_mut(&link.ifindex) {
            carrier.interrupted |= carrier.carrier && !link.carrier;
            carrier.carrier = link.carrier;
        }
    }
    for (ifindex, link) in latest {
        let port = carriers.get(&ifindex).map(|(port, _)| *port);
        match known.get_mut(&ifindex) {
            Some(known) if link == known => {}
            Some(known) if port.is_some() && is_carrier_alone(known, link) => {
                known.carrier = link.carrier;
                news.carriers.extend(port);
            }
            // By its new name it is another port's, or none's.
            Some(known) if known.name != link.name => news.others = true,
            Some(_) => news.note(port),
            None => news.note(port.or_else(|| port_of(&link.name))),
        }
    }
    let interrupted = carriers.values().filter(|(_, carrier)| carrier.interrupted);
    news.ports.extend(interrupted.map(|(port, _)| *port));
    news
}

impl News {
    fn note(&mut self, port: Option<PortId>) {
        match port {
            Some(port) => drop(self.ports.insert(port)),
            None => self.others = true,
        }
    }
}

fn ifindex(change: &LinkChange) -> Option<u32> {
    match change {
        LinkChange::Seen(link) => Some(link.ifindex),
        LinkChange::Gone { ifindex } | LinkChange::Elsewhere { ifindex } => Some(*ifindex),
        LinkChange::Lost => None,
    }
}

/// Whether the two differ in nothing but the carrier.
fn is_carrier_alone(known: &LinkSeen, link: &LinkSeen) -> bool {
    let same = LinkSeen {
        carrier: known.carrier,
        ..link.clone()
    };
    same == *known
}
