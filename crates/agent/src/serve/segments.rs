//! The ears on physical segments: one machine for each NIC, with its panics contained.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use hextet_core::ids::Vni;
use hextet_proto::{Link, Segment, SegmentRules, SegmentSeen};
use tracing::{debug, error, warn};

use crate::kernel::{Objections, Sender};

use super::link::Served;
use super::totals::Unheard;

/// A segment that a NIC leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentView {
    /// The NIC.
    pub ifindex: u32,
    /// What is expected of it.
    pub rules: SegmentRules,
}

pub(super) struct Ears {
    objections: Objections,
    by_net: BTreeMap<Vni, Ear>,
    /// What the host's thread has not taken yet, the newest of each.
    pub(super) untold: BTreeMap<Vni, SegmentSeen>,
    /// Of segments that are gone.
    past: Unheard,
}

struct Ear {
    segment: Segment,
    view: SegmentView,
}

impl Ears {
    pub(super) fn new(objections: Objections) -> Self {
        Self {
            objections,
            by_net: BTreeMap::new(),
            untold: BTreeMap::new(),
            past: Unheard::default(),
        }
    }

    /// What told nothing, of all segments.
    pub(super) fn unheard(&self) -> Unheard {
        let mut unheard = self.past;
        let ears = self.by_net.values();
        ears.for_each(|ear| unheard.add(&ear.segment));
        unheard
    }

    /// These there are from now on. Another NIC is another segment until it is heard to be the same.
    pub(super) fn take_view(&mut self, views: &BTreeMap<Vni, SegmentView>, now: Instant) {
        let gone = self.by_net.extract_if(.., |net, ear| {
            let view = views.get(net);
            view.is_none_or(|view| view.ifindex != ear.view.ifindex)
        });
        gone.for_each(|(_, ear)| self.past.add(&ear.segment));
        self.untold.retain(|net, _| views.contains_key(net));
        for (net, view) in views {
            match self.by_net.get_mut(net) {
                Some(ear) => {
                    if ear.view != *view {
                        ear.view = view.clone();
                        ear.segment.handle_rules(view.rules.clone());
                    }
                }
                None => {
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
            self.past.add(&ear.segment);
            ear.segment = Segment::new(ear.view.rules.clone(), now);
        }
    }

    /// Asks the segment for what the link's machine wants to know, and tells it who objects to what it is about to learn.
    pub(super) fn ask(&mut self, served: &mut Served, now: Instant) {
        let net = served.net();
        while let Some(Some(address)) = served.contained(Link::poll_question, now) {
            let Some(ear) = self.by_net.get_mut(&net) else {
                continue;
            };
            // The host itself does not hear what it sends.
            let nic = ear.view.ifindex;
            if !ear.segment.handle_question(address) || host_addresses().contains(&(address, nic)) {
                served.contained(|link| link.handle_objection(address, now), now);
            }
        }
        for address in served.machine().on_probation() {
            // What cannot be read is no silence.
            let heard = self.objections.heard(net, address);
            if heard.unwrap_or_else(|error| {
                error!(%net, %error, "what a segment says cannot be read");
                true
            }) {
                served.contained(|link| link.handle_objection(address, now), now);
            }
        }
    }

    /// Sends what is to be sent, and notes what changed.
    pub(super) fn run(&mut self, sender: &Sender, now: Instant) {
        for (net, ear) in &mut self.by_net {
            while let Some(frame) = ear.segment.poll_transmit(now) {
                if let Err(error) = sender.send(ear.view.ifindex, &frame) {
                    debug!(%net, %error, "question not sent");
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

/// The host's addresses, each with its link. None where they cannot be read: the segment is asked all the same.
fn host_addresses() -> Vec<(Ipv6Addr, u32)> {
    let text = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_else(|error| {
        warn!(%error, "the host's addresses cannot be read");
        String::new()
    });
    text.lines().filter_map(host_address).collect()
}

/// A line of `if_inet6`: address, link, prefix length, scope, flags, name; hexadecimal.
fn host_address(line: &str) -> Option<(Ipv6Addr, u32)> {
    let mut words = line.split_whitespace();
    let bits = u128::from_str_radix(words.next()?, 16).ok()?;
    let ifindex = u32::from_str_radix(words.next()?, 16).ok()?;
    Some((Ipv6Addr::from_bits(bits), ifindex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_addresses_are_read_with_their_links() {
        let line = "20010db800aa00000000000000000007 1f 40 00 80    phys0";
        let address = "2001:db8:aa::7".parse().unwrap();
        assert_eq!(host_address(line), Some((address, 0x1f)));
        assert_eq!(host_address("20010db8"), None);
        assert!(host_addresses().iter().all(|(_, ifindex)| *ifindex > 0));
    }
}
