//! Which links carry ports, and whether their guests are the ones that they were.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hextet_core::ids::{PortId, PortNumber};

use super::Host;
use super::pass::Observed;
use crate::reconcile::{Carried, CarriedBy, LinksWanted};

/// A link that carries a port.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    pub(super) ifindex: u32,
    pub(super) carrier: bool,
    pub(super) admin_up: bool,
    pub(super) mtu: u32,
    /// Its other end is in another namespace.
    pub(super) direct: bool,
    /// Our program is on it.
    pub(super) attached: bool,
    /// Another one whenever the guest may be another one.
    pub(super) incarnation: u64,
    /// It carried the port before this process began.
    pub(super) resumed: bool,
    /// Since the last pass the kernel told of a loss of carrier, or the port went from the plan.
    pub(super) interrupted: bool,
}

impl Host {
    /// Which links carry these ports now, `None` being all, and whether their guests may be others than before. `programmed`
    /// says which port's row a link has.
    pub(super) fn note_carriers(
        &mut self,
        wanted: &LinksWanted,
        seen: &Observed,
        programmed: impl Fn(u32) -> Option<PortNumber>,
        ports: Option<&BTreeSet<PortId>>,
    ) {
        let concerned = |port: &PortId| ports.is_none_or(|ports| ports.contains(port));
        let mut carriers = BTreeMap::new();
        let mut lost = BTreeSet::new();
        for (name, link) in &wanted.links {
            if wanted.problems.contains_key(&link.port) {
                continue;
            }
            let (Some(found), Some(port)) = (seen.links.get(name), self.state.plan.port(link.port))
            else {
                continue;
            };
            let is_programmed = programmed(found.ifindex) == Some(port.number);
            let inherited = seen.inherited.contains(&found.ifindex);
            let old = self
                .carriers
                .get(&link.port)
                .filter(|old| old.ifindex == found.ifindex);
            let is_lost = match old {
                Some(old) => old.interrupted || (old.carrier && !found.carrier),
                // Before this process: a link that is not ours yet is new, one without carrier has lost its guest.
                None => !is_programmed && !inherited || !found.carrier,
            };
            if is_lost || old.is_none() {
                self.incarnations += 1;
            }
            if is_lost {
                lost.insert(link.port);
            }
            let carrier = Carrier {
                ifindex: found.ifindex,
                carrier: found.carrier,
                admin_up: found.admin_up,
                mtu: found.mtu,
                direct: found.peer_elsewhere,
                attached: seen.attached.contains(&found.ifindex),
                incarnation: match old {
                    Some(old) if !is_lost => old.incarnation,
                    _ => self.incarnations,
                },
                resumed: !is_lost && old.is_none_or(|old| old.resumed),
                interrupted: false,
            };
            carriers.insert(link.port, carrier);
        }
        self.carriers.retain(|port, _| !concerned(port));
        self.carriers.extend(carriers);
        self.lost = lost;
        self.forget_guests(concerned);
    }

    /// The port goes. If it is back before its link is taken away, its guest is to hear all anew: what it was told was taken back.
    pub(super) fn doubt(&mut self, port: PortId) {
        if let Some(carrier) = self.carriers.get_mut(&port) {
            carrier.interrupted = true;
        }
    }

    /// What was learned of guests that are gone.
    fn forget_guests(&mut self, concerned: impl Fn(&PortId) -> bool) {
        let (carriers, lost) = (&self.carriers, &self.lost);
        let gone = |port: &PortId| {
            concerned(port) && (!carriers.contains_key(port) || lost.contains(port))
        };
        let before = self.state.learned.len();
        self.state.learned.retain(|known| !gone(&known.port));
        if self.state.learned.len() != before {
            self.unwritten_since.get_or_insert_with(Instant::now);
        }
        self.conflicts.retain(|port| !gone(port));
        // A guest that comes and goes has no other share.
        self.lines
            .retain(|port| self.state.plan.port(*port).is_some());
    }

    /// The links that carry ports.
    pub(super) fn carried(&self) -> Carried {
        let carriers = self.carriers.iter();
        carriers
            .map(|(port, carrier)| {
                let link = CarriedBy {
                    ifindex: carrier.ifindex,
                    direct: carrier.direct,
                };
                (*port, link)
            })
            .collect()
    }
}
