//! Changes of the plan: they are taken into the ledger, and where they are about a few ports these alone are brought about.

use std::collections::BTreeSet;

use hextet_core::ids::PortId;
use hextet_core::plan::PlanKey;
use hextet_feed::sync::PlanDelta;
use tracing::info;

use super::part::Part;
use super::{Host, now_s};
use crate::reconcile::touched;
use crate::serve::PlanDirectory;

impl Host {
    /// Takes changes into plan and ledger. Returns what is to be brought about then; `None` where that is everything.
    pub(super) fn take_deltas(&mut self, deltas: Vec<PlanDelta>) -> Option<Part> {
        if self.down {
            return None;
        }
        let part = self.part_of_deltas(&deltas);
        for delta in deltas {
            self.take_delta(delta);
        }
        // On disk before anybody is told.
        self.write();
        if part.is_some() {
            self.directory = PlanDirectory::new(&self.state);
        }
        part.filter(|part| self.stand_alone(part))
    }

    fn take_delta(&mut self, delta: PlanDelta) {
        let changes = delta.changes.len();
        let gone: BTreeSet<PortId> = delta
            .changes
            .iter()
            .filter_map(|(key, entry)| match (key, entry) {
                (PlanKey::Port(id), None) => Some(*id),
                _ => None,
            })
            .collect();
        for port in &gone {
            self.let_go(*port);
            self.doubt(*port);
        }
        self.serve.cease(gone);
        self.state.take(delta, now_s());
        info!(generation = ?self.state.plan.generation, changes, "plan taken");
    }

    /// Asked before they are taken.
    fn part_of_deltas(&self, deltas: &[PlanDelta]) -> Option<Part> {
        let touched = touched(&self.state.plan, deltas)?;
        if touched.come_or_gone.iter().any(|port| self.has_tap(*port)) {
            return None;
        }
        self.part(touched)
    }
}
