//! What guests were heard to use, to claim and to follow: addresses learned, in use or not, conflicts, Reconfigure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hextet_core::ids::{PortId, PortNumber};
use hextet_core::report::{AddressConflict, CONFLICTS_MAX};
use hextet_proto::LinkEvent;
use tracing::{debug, error, warn};

use super::{Host, now_s};
use crate::kernel::Rows;
use crate::ledger::LearnedAddress;
use crate::reconcile::{Addresses, address_rows};

/// How often it is looked which learned addresses are in use.
const USED_INTERVAL: Duration = Duration::from_secs(300);

/// The addresses of others that guests claim, with how often they did: of each port the latest, the newest last.
#[derive(Debug, Default)]
pub(super) struct Conflicts(BTreeMap<PortId, Vec<(AddressConflict, u64)>>);

impl Conflicts {
    /// Whether this one was not known.
    fn note(&mut self, port: PortId, conflict: AddressConflict) -> bool {
        let known = self.0.entry(port).or_default();
        if let Some((_, claims)) = known.iter_mut().find(|(other, _)| *other == conflict) {
            *claims += 1;
            return false;
        }
        if known.len() >= CONFLICTS_MAX {
            known.remove(0);
        }
        known.push((conflict, 1));
        true
    }

    pub(super) fn of(&self, port: PortId) -> &[(AddressConflict, u64)] {
        self.0.get(&port).map_or(&[], Vec::as_slice)
    }

    /// Only those of ports that meet the condition are kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&PortId) -> bool) {
        self.0.retain(|port, _| keep(port));
    }
}

impl Host {
    /// What guests were heard to use changes rows of those ports alone: no whole pass.
    pub(super) fn learn(&mut self, events: Vec<(PortId, LinkEvent)>) {
        if events.is_empty() {
            return;
        }
        let mut ports = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for (port, event) in &events {
            if let LinkEvent::Learned { address, .. } | LinkEvent::Forgotten { address } = event {
                ports.insert(*port);
                addresses.insert(*address);
            }
        }
        let learned = self.state.learned.iter();
        let same = learned.filter(|known| addresses.contains(&known.address));
        ports.extend(same.map(|known| known.port));
        let before = address_rows(&self.state, &ports);
        if !self.take_events(events) {
            return;
        }
        let ops = before.diff(&address_rows(&self.state, &ports));
        debug!(ops = ops.len(), "learned");
        self.apply_ops(&ops);
        self.directory = self.directory.relearned(&self.state);
        let view = self.view(ports.iter(), &Addresses::of(&self.state, &ports));
        self.serve.learned(Arc::new(view));
    }

    /// Whether links must hear of it: something was learned or forgotten, or refused though its link believes in it.
    pub(super) fn take_events(&mut self, events: Vec<(PortId, LinkEvent)>) -> bool {
        let mut changed = false;
        for (port, event) in events {
            changed |= !self.down && self.take_event(port, event);
        }
        changed
    }

    fn take_event(&mut self, port: PortId, event: LinkEvent) -> bool {
        let changed = match event {
            LinkEvent::Learned {
                address,
                first_holder,
            } => {
                if let Some(other) = first_holder
                    && self.is_new_conflict(port, address, first_holder)
                    && self.may_say(port)
                {
                    warn!(%port, %other, "two guests use one link-local address");
                }
                self.take_learned(port, address)
            }
            LinkEvent::Forgotten { address } => self.state.unlearn(port, address),
            LinkEvent::Conflict { address, holder } => {
                if self.is_new_conflict(port, address, holder) && self.may_say(port) {
                    let holder = holder.map(|id| id.to_string());
                    let holder = holder.as_deref().unwrap_or("the service or the segment");
                    warn!(%port, holder, "a guest claims an address that is not its own");
                }
                false
            }
            LinkEvent::Reconfigurable { client } => {
                if self.state.reconfigure(port, client.map(|client| *client)) {
                    self.unwritten_since.get_or_insert_with(Instant::now);
                }
                false
            }
            LinkEvent::Released { addresses } => {
                debug!(%port, ?addresses, "released by DHCP");
                false
            }
            LinkEvent::Declined { addresses } => {
                if self.may_say(port) {
                    warn!(%port, count = addresses.len(), "declined by DHCP");
                }
                debug!(%port, ?addresses, "declined by DHCP");
                false
            }
        };
        if changed {
            self.unwritten_since.get_or_insert_with(Instant::now);
            self.untold_since.get_or_insert_with(Instant::now);
        }
        changed
    }

    /// Whether the guest of a port of the plan may cause one more line in the log.
    fn may_say(&mut self, port: PortId) -> bool {
        self.state.plan.port(port).is_some() && self.lines.may_say(port, Instant::now())
    }

    fn take_learned(&mut self, port: PortId, address: Ipv6Addr) -> bool {
        // An event that the link sent before it went, or its port.
        let plan = self.state.plan.port(port);
        let Some(plan) = plan.filter(|_| self.carriers.contains_key(&port)) else {
            return false;
        };
        // Two links may learn one address before either hears of the other: the first to be told of has it, and the
        // other forgets it when it hears.
        let vni = plan.vni;
        let other = self.state.learned.iter().find(|known| {
            let elsewhere = known.address == address && known.port != port;
            let plan = self.state.plan.port(known.port);
            elsewhere && plan.is_some_and(|plan| plan.vni == vni)
        });
        if other.is_some() && !address.is_unicast_link_local() {
            return true;
        }
        let now_s = now_s();
        self.state.learn(LearnedAddress {
            port,
            address,
            since_s: now_s,
            seen_s: now_s,
        })
    }

    /// Keeps it for the report; false when it was kept before, however often the guest says it again.
    fn is_new_conflict(&mut self, port: PortId, address: Ipv6Addr, holder: Option<PortId>) -> bool {
        let conflict = AddressConflict { address, holder };
        let new = self.state.plan.port(port).is_some() && self.conflicts.note(port, conflict);
        if new {
            debug!(%port, %address, "conflict");
            self.untold_since.get_or_insert_with(Instant::now);
        }
        new
    }

    /// What the maps say was learned and the ledger does not: it was not written in time, or is lost.
    pub(super) fn adopt(&mut self, rows: &Rows) {
        let ports: BTreeMap<PortNumber, PortId> = self
            .state
            .plan
            .ports()
            .map(|port| (port.number, port.id))
            .collect();
        let now_s = now_s();
        // Whoever was first is not cut off from the others by who came later.
        for local_only in [false, true] {
            let learned = rows
                .sources
                .iter()
                .filter(|(_, row)| row.learned && row.local_only == local_only);
            for ((number, address), _) in learned {
                let Some(port) = ports.get(number).copied() else {
                    continue;
                };
                let there = self.carriers.contains_key(&port) && !self.lost.contains(&port);
                let known = LearnedAddress {
                    port,
                    address: *address,
                    since_s: now_s,
                    seen_s: now_s,
                };
                if there && self.state.learn(known) {
                    self.unwritten_since.get_or_insert_with(Instant::now);
                }
            }
        }
    }

    /// How long until it is looked which learned addresses are in use.
    pub(super) fn until_look(&self) -> Duration {
        match self.state.learned.is_empty() {
            true => Duration::MAX,
            false => USED_INTERVAL.saturating_sub(self.looked_at.elapsed()),
        }
    }

    /// Which learned addresses passed frames since the last look: these are in use.
    pub(super) fn look(&mut self) {
        self.looked_at = Instant::now();
        let numbers: BTreeMap<PortId, PortNumber> = self
            .state
            .plan
            .ports()
            .map(|port| (port.id, port.number))
            .collect();
        let sources = self
            .state
            .learned
            .iter()
            .filter_map(|known| Some((*numbers.get(&known.port)?, known.address)));
        let used = match self.fastpath.take_used(sources) {
            Ok(used) => BTreeSet::from_iter(used),
            Err(error) => {
                error!(
                    error = hextet_core::errors::chain(&error),
                    "the use of learned addresses cannot be read"
                );
                return;
            }
        };
        let now_s = now_s();
        let mut seen = Vec::new();
        for known in &mut self.state.learned {
            let source = numbers
                .get(&known.port)
                .map(|number| (*number, known.address));
            if source.is_some_and(|source| used.contains(&source)) {
                known.seen_s = now_s;
                seen.push((known.port, known.address));
            }
        }
        if !seen.is_empty() {
            self.unwritten_since.get_or_insert_with(Instant::now);
            self.serve.used(seen);
        }
    }
}

#[cfg(test)]
mod tests;
