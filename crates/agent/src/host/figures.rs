//! What there is to measure, for whoever reads the metrics.

use std::collections::BTreeSet;

use hextet_core::ids::PortId;
use tracing::warn;

use super::Host;
use crate::kernel::FastpathError;
use crate::metrics::{Figures, PortsBy};

impl Host {
    /// `None` where a part cannot be had: a figure that is missing would look like one that fell.
    pub(super) fn figures(&self) -> Option<Figures> {
        let of_program = || -> Result<_, FastpathError> {
            // After `down` there are neither maps nor ports.
            match self.down {
                true => Ok(Default::default()),
                false => Ok((self.fastpath.counters()?, self.fastpath.tables()?)),
            }
        };
        let (frames, tables) = of_program()
            .inspect_err(|error| {
                let error = hextet_core::errors::chain(error);
                warn!(error, "no figures of the fast path");
            })
            .ok()?;
        let feed = &self.ports.feed;
        Some(Figures {
            frames,
            tables,
            served: self.serve.totals()?,
            ports: self.ports_by(),
            claims: self.claims_by(),
            learned: self.state.learned.len(),
            unknown_options: self
                .state
                .plan
                .ports()
                .map(|port| port.dhcp_options.unknown.len())
                .sum(),
            revision: self.state.plan.generation.revision,
            connected: feed.is_connected(),
            feed_since: feed.since(),
            connections: feed.connections(),
            passes: self.passes,
            ledger_failures: self.ledger_failures,
        })
    }

    fn ports_by(&self) -> PortsBy {
        let planned: BTreeSet<PortId> = self.state.plan.ports().map(|port| port.id).collect();
        let down = planned
            .iter()
            .filter(|port| self.why_down(**port).is_some());
        let down = down.count();
        let declared = self.state.declarations.keys();
        PortsBy {
            up: planned.len() - down,
            down,
            unplanned: declared.filter(|port| !planned.contains(port)).count(),
        }
    }
}
