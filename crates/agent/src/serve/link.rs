//! One link's machine, with its panics contained.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hextet_core::ids::{PortNumber, Vni};
use hextet_proto::{Link, LinkCounters, ReconfigureSeed};
use hextet_wire::dhcpv6::ReconfigureKey;
use tracing::error;

use super::directory::Moved;
use super::{LinkView, PlanDirectory};

/// How the panics of a machine are counted among its drops.
const PANICS: &str = "machine_restarted";

pub(super) struct Served {
    link: Link,
    view: LinkView,
    panics: u64,
    /// What machines counted that panicked.
    past: LinkCounters,
    pub(super) ifindex: u32,
    pub(super) timer: Option<Instant>,
}

impl Served {
    pub(super) fn new(view: &LinkView, now: Instant) -> Self {
        Self {
            link: machine(view, now),
            view: view.clone(),
            panics: 0,
            past: LinkCounters::default(),
            ifindex: view.ifindex,
            timer: None,
        }
    }

    pub(super) fn number(&self) -> PortNumber {
        self.view.plan.number
    }

    pub(super) fn net(&self) -> Vni {
        self.view.plan.vni
    }

    pub(super) fn take_view(&mut self, view: &LinkView, now: Instant) {
        let before = std::mem::replace(&mut self.view, view.clone());
        self.ifindex = view.ifindex;
        if before.incarnation != view.incarnation {
            self.contained(|link| link.handle_up(now), now);
        }
        if before.plan != view.plan {
            let plan = view.plan.clone();
            self.contained(|link| link.handle_plan(plan, now), now);
        }
    }

    /// What its machine told of: it knows already, one that has to begin anew would not.
    pub(super) fn take_learned(&mut self, view: &LinkView) {
        self.view.learned.clone_from(&view.learned);
    }

    /// Who holds what has changed.
    pub(super) fn take_directory(&mut self, directory: &PlanDirectory, now: Instant) {
        self.contained(|link| link.handle_directory(directory), now);
    }

    /// Addresses of any network that are at another MAC: its guest is told of its neighbours'.
    pub(super) fn take_moved(&mut self, moved: &[Moved], now: Instant) {
        let (vni, port) = (self.view.plan.vni, self.view.plan.port);
        for (of, address, holder) in moved {
            if *of == vni && holder.port != Some(port) {
                self.contained(|link| link.handle_moved(*address, holder.mac), now);
            }
        }
    }

    /// Runs a step of the machine. A panic in it costs this link its state, and nobody else anything; `None` then.
    pub(super) fn contained<R>(
        &mut self,
        step: impl FnOnce(&mut Link) -> R,
        now: Instant,
    ) -> Option<R> {
        if let Ok(result) = catch_unwind(AssertUnwindSafe(|| step(&mut self.link))) {
            return Some(result);
        }
        self.panics += 1;
        error!(port = %self.view.plan.port, panics = self.panics, "a link's machine panicked and begins anew");
        // The guest is there and was heard, or there would have been no step.
        self.view.resumed = true;
        self.past.add(self.link.counters());
        self.link = machine(&self.view, now);
        None
    }

    pub(super) fn machine(&self) -> &Link {
        &self.link
    }

    /// What its machines counted, and how many of them panicked.
    pub(super) fn counters(&self) -> (LinkCounters, u64) {
        let mut counters = self.past.clone();
        counters.add(self.link.counters());
        (counters, self.panics)
    }

    pub(super) fn drops(&self) -> BTreeMap<&'static str, u64> {
        let (counters, _) = self.counters();
        let mut drops: BTreeMap<&'static str, u64> = counters
            .dropped
            .iter()
            .map(|(reason, count)| (reason.name(), *count))
            .collect();
        if self.panics > 0 {
            drops.insert(PANICS, self.panics);
        }
        drops
    }
}

fn machine(view: &LinkView, now: Instant) -> Link {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = ReconfigureSeed {
        secret: ReconfigureKey::new(rand::random()),
        // Beyond what any process before sent, until the year 2554.
        replay: since.map_or(0, |since| since.as_nanos() as u64),
    };
    let mut link = Link::new(view.plan.clone(), rand::random()).reconfiguring(seed);
    if view.resumed {
        link.handle_learned(&view.learned, now);
        link.handle_resume(now);
        if let Some(client) = &view.reconfigurable {
            link.handle_reconfigurable(client.clone(), now);
        }
    } else {
        link.handle_up(now);
    }
    link
}

#[cfg(test)]
mod tests;
