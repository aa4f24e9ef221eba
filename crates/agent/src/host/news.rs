//! What changes of links tell beyond what is known: the kernel tells of what a pass did, too, and that needs no other pass.

use std::collections::BTreeMap;

use super::pass::Carrier;
use crate::kernel::links::{LinkChange, LinkSeen};

#[cfg(test)]
mod tests;

/// What changes of links tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    /// What is known.
    Nothing,
    /// Links of ports gained their carriers.
    Carriers,
    /// Anything else.
    Links,
}

/// Of changes in their order; `known` are all links by their number. A link that was known and is gone is news even when one
/// of its number and name is there again: our program went with it.
pub(super) fn take_links<'a>(
    changes: &[LinkChange],
    known: &mut BTreeMap<u32, LinkSeen>,
    carriers: impl Iterator<Item = &'a mut Carrier>,
) -> News {
    let mut news = News::Nothing;
    if changes.is_empty() {
        return news;
    }
    let mut carriers: BTreeMap<u32, &mut Carrier> =
        carriers.map(|carrier| (carrier.ifindex, carrier)).collect();
    let mut latest = BTreeMap::new();
    for change in changes {
        let link = match change {
            LinkChange::Seen(link) => link,
            LinkChange::Gone { ifindex } => {
                latest.remove(ifindex);
                if known.contains_key(ifindex) {
                    news = News::Links;
                }
                continue;
            }
            LinkChange::Lost => {
                news = News::Links;
                continue;
            }
        };
        latest.insert(link.ifindex, link);
        if let Some(carrier) = carriers.get_mut(&link.ifindex) {
            carrier.interrupted |= carrier.carrier && !link.carrier;
            carrier.carrier = link.carrier;
        }
    }
    for (ifindex, link) in latest {
        let found = match known.get_mut(&ifindex) {
            Some(known) if link == known => News::Nothing,
            Some(known) if carriers.contains_key(&ifindex) && is_carrier_alone(known, link) => {
                known.carrier = link.carrier;
                News::Carriers
            }
            _ => News::Links,
        };
        news = news.max(found);
    }
    if carriers.values().any(|carrier| carrier.interrupted) {
        news = News::Links;
    }
    news
}

/// Whether the two differ in nothing but the carrier.
fn is_carrier_alone(known: &LinkSeen, link: &LinkSeen) -> bool {
    let same = LinkSeen {
        carrier: known.carrier,
        ..link.clone()
    };
    same == *known
}
