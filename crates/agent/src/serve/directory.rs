//! Who holds which address, from the plan and what was learned.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::sync::Arc;

use hextet_core::ids::Vni;
use hextet_core::mac::Mac;
use hextet_proto::{Directory, Holder, HolderKind};

use crate::ledger::State;
use crate::reconcile::learned_holders;

/// The addresses of one host's networks; those of IPv4 are mapped into IPv6, as in the fast path. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PlanDirectory {
    planned: Arc<Holders>,
    /// Where the plan says nothing.
    learned: Arc<Holders>,
}

type Holders = BTreeMap<(Vni, Ipv6Addr), Holder>;

/// An address that is at another MAC now, with its holder.
pub(super) type Moved = (Vni, Ipv6Addr, Holder);

impl PlanDirectory {
    /// Of this state.
    pub fn new(state: &State) -> Self {
        Self {
            planned: Arc::new(planned(state)),
            learned: Arc::new(learned(state)),
        }
    }

    /// Of this state, whose plan is the same as before.
    #[must_use]
    pub fn relearned(&self, state: &State) -> Self {
        Self {
            planned: self.planned.clone(),
            learned: Arc::new(learned(state)),
        }
    }

    /// Whether the plan is the same that this one was made from.
    pub(super) fn is_planned_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.planned, &other.planned)
    }

    fn find(&self, key: &(Vni, Ipv6Addr)) -> Option<&Holder> {
        self.planned.get(key).or_else(|| self.learned.get(key))
    }
}

/// Most addresses that are remembered after their holder is gone; the one gone longest is forgotten for another.
const DEPARTED_MAX: usize = 4096;

/// Where addresses were that nobody holds now: guests may know them there still.
#[derive(Debug, Default)]
pub(super) struct Departed {
    macs: BTreeMap<(Vni, Ipv6Addr), Mac>,
    order: VecDeque<(Vni, Ipv6Addr)>,
}

impl Departed {
    /// Assigned addresses that are at another MAC now than when somebody held them last, with their holders. IPv4 ones are
    /// mapped into IPv6.
    pub(super) fn moved(&mut self, before: &PlanDirectory, now: &PlanDirectory) -> Vec<Moved> {
        self.compare(before, now, |directory| &directory.planned)
    }

    /// The same of learned addresses.
    pub(super) fn moved_learned(
        &mut self,
        before: &PlanDirectory,
        now: &PlanDirectory,
    ) -> Vec<Moved> {
        self.compare(before, now, |directory| &directory.learned)
    }

    fn compare(
        &mut self,
        before: &PlanDirectory,
        now: &PlanDirectory,
        of: fn(&PlanDirectory) -> &Arc<Holders>,
    ) -> Vec<Moved> {
        if Arc::ptr_eq(of(before), of(now)) {
            return Vec::new();
        }
        for (key, holder) in of(before).iter() {
            if now.find(key).is_none() {
                self.remember(*key, holder.mac);
            }
        }
        let mut moved = Vec::new();
        for key in of(now).keys() {
            let last = before.find(key).map(|holder| holder.mac);
            let last = last.or_else(|| self.macs.remove(key));
            if let (Some(last), Some(holder)) = (last, now.find(key))
                && last != holder.mac
            {
                moved.push((key.0, key.1, *holder));
            }
        }
        moved
    }

    fn remember(&mut self, key: (Vni, Ipv6Addr), mac: Mac) {
        // Some in the order may be held again by now.
        if self.order.len() >= DEPARTED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.macs.remove(&oldest);
        }
        self.macs.insert(key, mac);
        self.order.push_back(key);
    }
}

fn learned(state: &State) -> Holders {
    let mut holders = Holders::new();
    for ((vni, address), id) in learned_holders(state, |_| true) {
        if let Some(port) = state.plan.port(id) {
            let holder = Holder {
                port: Some(id),
                mac: port.mac,
                kind: HolderKind::Learned,
            };
            holders.insert((vni, address), holder);
        }
    }
    holders
}

fn planned(state: &State) -> Holders {
    let mut holders = Holders::new();
    for port in state.plan.ports() {
        let kinds = port
            .ipv6()
            .chain(port.ipv4().map(|address| address.to_ipv6_mapped()))
            .map(|address| (address, HolderKind::Assigned))
            .chain([(port.mac.link_local(), HolderKind::Eui64LinkLocal)]);
        for (address, kind) in kinds {
            let holder = Holder {
                port: Some(port.id),
                mac: port.mac,
                kind,
            };
            holders.insert((port.vni, address), holder);
        }
        let service = Mac::service(port.vni);
        let holder = Holder {
            port: None,
            mac: service,
            kind: HolderKind::Service,
        };
        holders.insert((port.vni, service.link_local()), holder);
    }
    holders
}

impl Directory for PlanDirectory {
    fn holder(&self, vni: Vni, address: Ipv6Addr) -> Option<Holder> {
        self.find(&(vni, address)).copied()
    }
}

#[cfg(test)]
mod tests;
