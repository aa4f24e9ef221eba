//! The ears on physical segments: one machine for each NIC, with its panics contained.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use hextet_core::ids::Vni;
use hextet_proto::{Segment, SegmentRules, SegmentSeen};
use tracing::{debug, error};

use crate::kernel::Sender;

/// A segment that a NIC leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentView {
    /// The NIC.
    pub ifindex: u32,
    /// What is expected of it.
    pub rules: SegmentRules,
}

#[derive(Default)]
pub(super) struct Ears {
    by_net: BTreeMap<Vni, Ear>,
    /// What the host's thread has not taken yet, the newest of each.
    pub(super) untold: BTreeMap<Vni, SegmentSeen>,
}

struct Ear {
    segment: Segment,
    view: SegmentView,
}

impl Ears {
    /// These there are from now on. Another NIC is another segment until it is heard to be the same.
    pub(super) fn take_view(&mut self, views: &BTreeMap<Vni, SegmentView>, now: Instant) {
        self.by_net.retain(|net, _| views.contains_key(net));
        self.untold.retain(|net, _| views.contains_key(net));
        for (net, view) in views {
            match self.by_net.get_mut(net) {
                Some(ear) if ear.view.ifindex == view.ifindex => {
                    if ear.view != *view {
                        ear.view = view.clone();
                        ear.segment.handle_rules(view.rules.clone());
                    }
                }
                _ => {
                    let segment = Segment::new(view.rules.clone(), now);
                    let view = view.clone();
                    self.by_net.insert(*net, Ear { segment, view });
                }
            }
        }
    }

    /// A Router Advertisement that came in by this NIC.
    pub(super) fn hear(&mut self, net: Vni, ifindex: u32, frame: &[u8], now: Instant) {
        let ear = self.by_net.get_mut(&net);
        let Some(ear) = ear.filter(|ear| ear.view.ifindex == ifindex) else {
            return;
        };
        let step = AssertUnwindSafe(|| ear.segment.handle_frame(frame, now));
        if catch_unwind(step).is_err() {
            error!(%net, "a segment's machine panicked and begins anew");
            ear.segment = Segment::new(ear.view.rules.clone(), now);
        }
    }

    /// Sends what is to be sent, and notes what changed.
    pub(super) fn run(&mut self, sender: &Sender, now: Instant) {
        for (net, ear) in &mut self.by_net {
            while let Some(frame) = ear.segment.poll_transmit(now) {
                if let Err(error) = sender.send(ear.view.ifindex, &frame) {
                    debug!(%net, %error, "router solicitation not sent");
                }
            }
            if let Some(seen) = ear.segment.poll_seen(now) {
                self.untold.insert(*net, seen);
            }
        }
    }

    /// When there is something to do by itself.
    pub(super) fn next(&self) -> Option<Instant> {
        let next = self.by_net.values();
        next.filter_map(|ear| Some(ear.segment.poll_timeout()?.0))
            .min()
    }
}
