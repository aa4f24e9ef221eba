//! A pass over a few ports whose links came, went or changed, the plan being the same. Only what concerns them is looked at
//! and changed, so that it costs what they are and not what the host carries. What it takes for granted of all else is what
//! the last whole pass found; the next one looks again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hextet_core::ids::{PortId, PortNumber};
use tracing::{debug, info};

use super::Host;
use super::pass::{Observed, PassError};
use crate::kernel::{Rows, links};
use crate::reconcile::{Addresses, LinksWanted, links_wanted_of, rows_of};

/// Most ports of such a pass: of more a whole one is the cheaper.
const PORTS_MAX: usize = 64;

impl Host {
    /// Brings these ports about, and all of them where that cannot be told from these alone.
    pub(super) fn bring_some_about(&mut self, ports: &BTreeSet<PortId>) {
        if !self.is_settled()
            || ports.len() > PORTS_MAX
            || !ports.iter().all(|port| self.stands_alone(*port))
        {
            return self.bring_about();
        }
        let began = Instant::now();
        let concerned = self.with_same_addresses(ports);
        let learned = self.state.learned.len();
        let outcome = self.pass_over(ports, &concerned);
        self.passes
            .note(outcome.as_ref().ok().copied(), began.elapsed());
        match outcome {
            Ok(ops) if self.is_settled() => info!(ops, ports = ports.len(), "reconcile"),
            // A whole pass finds what is left to do, and says what cannot be done.
            other => {
                debug!(?other, "a part does not do");
                return self.bring_about();
            }
        }
        if self.state.learned.len() != learned {
            self.directory = self.directory.relearned(&self.state);
        }
        let addresses = Addresses::of(&self.state, &concerned);
        let view = self.view(concerned.iter(), &addresses);
        self.serve.part(concerned, Arc::new(view));
        self.serve.ask_groups(std::mem::take(&mut self.unasked));
        self.tell_of(ports);
    }

    /// The last pass was a whole success: what is not looked at is as it is to be.
    fn is_settled(&self) -> bool {
        let planned = !self.down && self.state.plan.cloud().is_some();
        let done = self.passes.made > 0 && self.failure.is_none() && self.failures.is_empty();
        planned && done && self.fastpath.is_settled()
    }

    /// Whether no other port's rows and link depend on this one's.
    fn stands_alone(&self, id: PortId) -> bool {
        let Some(port) = self.state.plan.port(id) else {
            return true;
        };
        let network = self.state.plan.network(port.vni);
        let on_segment = network.is_some_and(|network| network.physical_network.is_some());
        !on_segment && self.state.port_of_link(&self.link_name(id)) == Some(id)
    }

    /// These, and who learned one of the addresses that they learned.
    fn with_same_addresses(&self, ports: &BTreeSet<PortId>) -> BTreeSet<PortId> {
        let learned = || self.state.learned.iter();
        let theirs = learned().filter(|known| ports.contains(&known.port));
        let theirs: BTreeSet<_> = theirs.map(|known| known.address).collect();
        let others = learned().filter(|known| theirs.contains(&known.address));
        others
            .map(|known| known.port)
            .chain(ports.iter().copied())
            .collect()
    }

    /// How many operations it took. What failed is among the failures.
    fn pass_over(
        &mut self,
        ports: &BTreeSet<PortId>,
        concerned: &BTreeSet<PortId>,
    ) -> Result<usize, PassError> {
        let numbers = self.numbers(concerned);
        let before = self.rows_of(concerned, numbers.values().copied().collect());
        let mut wanted = links_wanted_of(&self.state, ports);
        let names = self.names(&wanted, ports);
        let mut seen = self.observe_some(&names)?;
        self.note_taken_off(&seen);
        let ops = self.mend_links(&mut wanted, &seen);
        if !ops.is_empty() {
            seen = self.observe_some(&names)?;
        }
        self.know(&seen, ports);
        self.note_carriers(&wanted, &seen, |_| None, Some(ports));
        let carried = |id: &PortId| self.carriers.contains_key(id) && !self.lost.contains(id);
        let still = numbers.iter().filter(|(id, _)| carried(id));
        let after = self.rows_of(concerned, still.map(|(_, number)| *number).collect());
        let rows = before.diff(&after);
        self.note_unasked(&rows);
        self.apply_ops(&rows);
        self.problems.retain(|port, _| !ports.contains(port));
        let raised = self.attach_and_raise(&wanted, &seen);
        self.problems.extend(wanted.problems);
        Ok(ops.len() + rows.len() + raised)
    }

    fn rows_of(&self, ports: &BTreeSet<PortId>, seen: BTreeSet<PortNumber>) -> Rows {
        rows_of(&self.state, &self.carried(), &self.segments, seen, ports)
    }

    /// Of those that are planned.
    fn numbers(&self, ports: &BTreeSet<PortId>) -> BTreeMap<PortId, PortNumber> {
        let planned = ports.iter().filter_map(|id| self.state.plan.port(*id));
        planned.map(|port| (port.id, port.number)).collect()
    }

    /// How links of these ports are named, those that carry them now and those that are to.
    fn names(&self, wanted: &LinksWanted, ports: &BTreeSet<PortId>) -> BTreeSet<String> {
        let carriers = ports.iter().filter_map(|port| self.carriers.get(port));
        let known = carriers.filter_map(|carrier| self.known.get(&carrier.ifindex));
        let known = known.map(|link| link.name.clone());
        wanted.links.keys().cloned().chain(known).collect()
    }

    fn observe_some(&self, names: &BTreeSet<String>) -> Result<Observed, PassError> {
        let mut seen = Observed::default();
        for name in names {
            let Some(link) = links::find(name).map_err(PassError::Links)? else {
                continue;
            };
            if self.fastpath.runs_on(link.ifindex)? {
                seen.attached.insert(link.ifindex);
            }
            seen.links.insert(link.name.clone(), link);
        }
        Ok(seen)
    }

    /// As the changes that follow are told, they are compared with this.
    fn know(&mut self, seen: &Observed, ports: &BTreeSet<PortId>) {
        for carrier in ports.iter().filter_map(|port| self.carriers.get(port)) {
            self.known.remove(&carrier.ifindex);
        }
        let seen = seen.links.values();
        self.known
            .extend(seen.map(|link| (link.ifindex, link.clone())));
    }
}
