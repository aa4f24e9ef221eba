//! What the serving thread has counted of all links, those included that are gone.

use std::collections::BTreeMap;

use hextet_proto::{LinkCounters, Segment};

use super::link::Served;
use crate::kernel::PuntReason;

/// Since the process began; nothing of it ever falls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames that came by the ring.
    pub punts: BTreeMap<PuntReason, u64>,
    /// Records of the ring that were too old, or none of this schema.
    pub stale: u64,
    /// Frames that the kernel refused to send.
    pub unsent: u64,
    /// What the links' machines sent and dropped.
    pub links: LinkCounters,
    /// Machines that panicked and began anew.
    pub panics: u64,
    /// Router Advertisements of physical segments that told nothing.
    pub unheard: Unheard,
}

/// Router Advertisements of physical segments that told nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unheard {
    /// What was no valid advertisement.
    pub invalid: u64,
    /// Those of senders beyond [`hextet_proto::SENDERS_MAX`].
    pub senders: u64,
}

impl Unheard {
    pub(super) fn add(&mut self, segment: &Segment) {
        self.invalid += segment.invalid;
        self.senders += segment.uncounted;
    }
}

impl Totals {
    /// Adds what a link's machines counted.
    pub(super) fn add(&mut self, served: &Served) {
        let (counters, panics) = served.counters();
        self.links.add(&counters);
        self.panics += panics;
    }
}
