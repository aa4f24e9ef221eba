//! A pass over a few ports: their links came, went or changed, or the plan says something else of them. Only what concerns them
//! is looked at and changed, so that it costs what they are and not what the host carries. What it takes for granted of all else
//! is what the last whole pass found; the next one looks again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hextet_core::ids::{PortId, PortNumber, Vni};
use tracing::{debug, info};

use super::Host;
use super::pass::{Observed, PassError};
use crate::kernel::{MapOp, Rows, links, netns};
use crate::reconcile::{
    Addresses, LinkProblem, LinksWanted, Touched, links_wanted_of, rows_of, with_same_addresses,
};

/// Most ports of such a pass: of more a whole one is the cheaper.
const PORTS_MAX: usize = 64;
/// How often it is looked for a namespace that is not there.
const NETNS_POLL: Duration = Duration::from_millis(250);

/// What a pass is over, and what its rows were before.
pub(super) struct Part {
    /// Whose links are looked at.
    ports: BTreeSet<PortId>,
    /// These, and who learned one of their addresses.
    concerned: BTreeSet<PortId>,
    /// Those of all of them.
    networks: BTreeSet<Vni>,
    numbers: BTreeMap<PortId, PortNumber>,
    rows: Rows,
    /// How many addresses were learned, by all ports.
    learned: usize,
}

impl Host {
    /// Brings these ports about, and all of them where that cannot be told from these alone.
    pub(super) fn bring_some_about(&mut self, ports: &BTreeSet<PortId>) {
        let part = self.part_of(ports);
        self.bring_about_alone(part);
    }

    /// A pass over these ports.
    pub(super) fn part_of(&self, ports: &BTreeSet<PortId>) -> Option<Part> {
        self.part(Touched {
            ports: ports.clone(),
            ..Touched::default()
        })
    }

    /// Brings it about, and everything where there is no part that stands alone.
    pub(super) fn bring_about_alone(&mut self, part: Option<Part>) {
        match part.filter(|part| self.stand_alone(part)) {
            Some(part) => self.bring_part_about(part),
            None => self.bring_about(),
        }
    }

    /// What a pass over this is to begin with; `None` where it has to be a whole one.
    pub(super) fn part(&self, touched: Touched) -> Option<Part> {
        let Touched {
            ports,
            mut networks,
            addresses,
            ..
        } = touched;
        let alone = |port: &PortId| self.stands_alone(*port);
        if !self.is_settled() || ports.len() > PORTS_MAX || !ports.iter().all(alone) {
            return None;
        }
        let concerned = with_same_addresses(&self.state, &ports, &addresses);
        let planned = concerned.iter().filter_map(|id| self.state.plan.port(*id));
        networks.extend(planned.map(|port| port.vni));
        let numbers = self.numbers(&concerned);
        let mut part = Part {
            ports,
            concerned,
            networks,
            numbers,
            rows: Rows::default(),
            learned: self.state.learned.len(),
        };
        part.rows = self.rows_of(&part, part.numbers.values().copied().collect());
        Some(part)
    }

    /// Whether no other port's rows and links depend on those of the part.
    pub(super) fn stand_alone(&self, part: &Part) -> bool {
        part.ports.iter().all(|port| self.stands_alone(*port))
    }

    pub(super) fn bring_part_about(&mut self, part: Part) {
        if part.ports.is_empty() {
            return self.tell_of(&part.ports);
        }
        let began = Instant::now();
        let outcome = self.pass_over(&part);
        self.passes
            .note(outcome.as_ref().ok().copied(), began.elapsed());
        match outcome {
            Ok(ops) if self.is_settled() => info!(ops, ports = part.ports.len(), "reconcile"),
            // A whole pass finds what is left to do, and says what cannot be done.
            other => {
                debug!(?other, "a part does not do");
                return self.bring_about();
            }
        }
        if self.state.learned.len() != part.learned {
            self.directory = self.directory.relearned(&self.state);
        }
        let addresses = Addresses::of(&self.state, &part.concerned);
        let view = self.view(part.concerned.iter(), &addresses);
        self.tell_of(&part.concerned);
        self.serve.part(part.concerned, Arc::new(view));
        self.serve.ask_groups(std::mem::take(&mut self.unasked));
    }

    /// The last pass was a whole success: what is not looked at is as it is to be.
    fn is_settled(&self) -> bool {
        let planned = !self.down && self.state.plan.cloud().is_some();
        let done = self.passes.made > 0 && self.failure.is_none() && self.failures.is_empty();
        planned && done && self.fastpath.is_settled()
    }

    /// Whether no other port's rows and link depend on this one's, and its link is claimed for none.
    fn stands_alone(&self, id: PortId) -> bool {
        let taken = |problem: &LinkProblem| matches!(problem, LinkProblem::Taken { port, .. } if *port == id);
        if self.problems.values().any(taken) {
            return false;
        }
        let Some(port) = self.state.plan.port(id) else {
            return true;
        };
        let network = self.state.plan.network(port.vni);
        let on_segment = network.is_some_and(|network| network.physical_network.is_some());
        let link = self.link_name(id);
        let claimed = self.claims.is_asked(&link);
        !on_segment && !claimed && self.state.port_of_link(&link) == Some(id)
    }

    /// How many operations it took. What failed is among the failures.
    fn pass_over(&mut self, part: &Part) -> Result<usize, PassError> {
        let ports = &part.ports;
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
        let rows = self.changed_rows(part);
        self.note_unasked(&rows);
        self.apply_ops(&rows);
        self.problems.retain(|port, _| !ports.contains(port));
        let raised = self.attach_and_raise(&wanted, &seen);
        self.problems.extend(wanted.problems);
        Ok(ops.len() + rows.len() + raised)
    }

    fn changed_rows(&self, part: &Part) -> Vec<MapOp> {
        let carried = |id: &PortId| self.carriers.contains_key(id) && !self.lost.contains(id);
        let still = part.numbers.iter().filter(|(id, _)| carried(id));
        let after = self.rows_of(part, still.map(|(_, number)| *number).collect());
        let mut ops = part.rows.diff(&after);
        let before: BTreeSet<PortNumber> = part.numbers.values().copied().collect();
        let now = self.state.plan.ports().map(|port| port.number);
        let now: BTreeSet<PortNumber> = now.filter(|number| before.contains(number)).collect();
        ops.extend(before.difference(&now).copied().map(MapOp::Forget));
        ops
    }

    fn rows_of(&self, part: &Part, seen: BTreeSet<PortNumber>) -> Rows {
        let (ports, networks) = (&part.concerned, &part.networks);
        rows_of(
            &self.state,
            &self.carried(),
            &self.segments,
            seen,
            ports,
            networks,
        )
    }

    /// How long until it is looked for namespaces that are not there.
    pub(super) fn until_namespaces(&self) -> Duration {
        match self.missing_namespaces().next() {
            Some(_) => NETNS_POLL.saturating_sub(self.namespaces_looked_at.elapsed()),
            None => Duration::MAX,
        }
    }

    /// Brings those ports about whose namespace has come.
    pub(super) fn look_for_namespaces(&mut self) {
        if self.down || !self.until_namespaces().is_zero() {
            return;
        }
        self.namespaces_looked_at = Instant::now();
        let there = self
            .missing_namespaces()
            .filter(|(_, name)| netns::path(name).exists());
        let there: BTreeSet<PortId> = there.map(|(port, _)| port).collect();
        if !there.is_empty() {
            self.bring_some_about(&there);
        }
    }

    fn missing_namespaces(&self) -> impl Iterator<Item = (PortId, &str)> {
        self.problems
            .iter()
            .filter_map(|(port, problem)| match problem {
                LinkProblem::NoNetns(name) => Some((*port, name.as_str())),
                _ => None,
            })
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
