//! From a guest's frame to its answer.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;
use std::time::Instant;

use hextet_core::ids::PortId;
use hextet_proto::{Link, LinkEvent};
use tracing::{debug, error, trace};

use crate::kernel::punt::{DRAIN_MAX, Drained};
use crate::kernel::{Punt, PuntReason, PuntRecord, Sender};

use super::Thread;
use super::link::Served;
use super::segments::Ears;

/// Most events that wait for the host's thread; more stay in their links, which bound them too.
const EVENTS_WAITING_MAX: usize = 1024;
/// Most drains of the ring in one turn: however much comes, commands and timers have their turns, too.
const DRAINS_MAX: usize = 4;

/// Where links have their say.
pub(super) struct Outlets {
    sender: Sender,
    /// Frames of one drain, with the link of each.
    outgoing: Vec<(PortId, u32, Vec<u8>)>,
    timers: BTreeSet<(Instant, PortId)>,
    pub(super) events: Vec<(PortId, LinkEvent)>,
    /// Addresses that guests want though these ports hold them; as many at most as events.
    contests: BTreeSet<(PortId, Ipv6Addr)>,
    pub(super) ears: Ears,
    /// Frames that the kernel refused.
    pub(super) unsent: u64,
}

impl Thread {
    /// Answers the frames that wait, as many as have their turn. The answers go out when all of a drain are made: the ring is
    /// empty by then, so that what comes meanwhile wakes nobody up but once.
    pub(super) fn take_frames(&mut self, punt: &mut Punt) {
        let taken = in_turn(|| {
            let now = Instant::now();
            let drained = punt.drain(|record| self.take_frame(&record, now));
            self.outlets.flush();
            let drained = drained?;
            self.totals.stale += drained.discarded as u64;
            Ok(drained)
        });
        if let Err(error) = taken {
            error!(%error, "the punt ring cannot be read");
        }
    }

    fn take_frame(&mut self, record: &PuntRecord<'_>, now: Instant) {
        *self.totals.punts.entry(record.reason).or_default() += 1;
        if record.reason == PuntReason::SegmentRa {
            let ears = &mut self.outlets.ears;
            return ears.hear(record.net, record.ifindex, record.frame, now);
        }
        let Some(id) = self.by_ifindex.get(&record.ifindex) else {
            return;
        };
        let Some(served) = self.links.get_mut(id) else {
            return;
        };
        // A frame that waited while the link was given to another port.
        if served.number() != record.port {
            return;
        }
        trace!(port = %id, reason = record.reason.name(), "frame");
        let directory = &self.directory;
        match record.reason {
            PuntReason::FirstFrame => {
                served.contained(|link| link.handle_first_frame(now), now);
            }
            PuntReason::Source => {
                served.contained(|link| link.handle_source(record.frame, directory, now), now);
            }
            _ => {
                served.contained(|link| link.handle_frame(record.frame, directory, now), now);
            }
        }
        self.outlets.drain(*id, served, now);
    }

    /// Sends what a link has to say, takes its events, and notes when it has more.
    pub(super) fn drain(&mut self, id: PortId, now: Instant) {
        if let Some(served) = self.links.get_mut(&id) {
            self.outlets.drain(id, served, now);
            self.outlets.flush();
        }
    }
}

impl Outlets {
    pub(super) fn new(sender: Sender, ears: Ears) -> Self {
        Self {
            sender,
            outgoing: Vec::new(),
            timers: BTreeSet::new(),
            events: Vec::new(),
            contests: BTreeSet::new(),
            ears,
            unsent: 0,
        }
    }

    /// Takes what a link has to say; [`Self::flush`] sends it.
    fn drain(&mut self, id: PortId, served: &mut Served, now: Instant) {
        self.ears.ask(served, now);
        while let Some(Some(frame)) = served.contained(|link| link.poll_transmit(now), now) {
            self.outgoing.push((id, served.ifindex, frame));
        }
        while self.events.len() < EVENTS_WAITING_MAX
            && let Some(Some(event)) = served.contained(Link::poll_event, now)
        {
            if let LinkEvent::Conflict {
                address,
                holder: Some(holder),
            } = event
            {
                self.contests.insert((holder, address));
            }
            self.events.push((id, event));
        }
        let next = served
            .contained(|link| link.poll_timeout(), now)
            .flatten()
            .map(|(at, _)| at);
        if next != served.timer {
            self.forget_timer(id, served.timer);
            if let Some(new) = next {
                self.timers.insert((new, id));
            }
            served.timer = next;
        }
    }

    fn flush(&mut self) {
        for (id, ifindex, frame) in self.outgoing.drain(..) {
            if let Err(error) = self.sender.send(ifindex, &frame) {
                // Lost, as on any link; the guest asks again.
                self.unsent += 1;
                debug!(port = %id, %error, "frame not sent");
            }
        }
    }

    /// The next link whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<PortId> {
        let first = self.timers.first().filter(|(at, _)| *at <= now);
        first.copied().map(|first| {
            self.timers.remove(&first);
            first.1
        })
    }

    pub(super) fn forget_timer(&mut self, id: PortId, timer: Option<Instant>) {
        if let Some(timer) = timer {
            self.timers.remove(&(timer, id));
        }
    }

    pub(super) fn take_contests(&mut self) -> BTreeSet<(PortId, Ipv6Addr)> {
        std::mem::take(&mut self.contests)
    }

    pub(super) fn run_ears(&mut self) {
        self.ears.run(&self.sender, Instant::now());
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.ears.next()).min()
    }

    /// Whether the host's thread has not taken all yet.
    pub(super) fn are_waiting(&self) -> bool {
        !self.events.is_empty() || !self.ears.untold.is_empty()
    }
}

/// Drains until less comes than a drain can take, or for one turn.
fn in_turn(mut drain: impl FnMut() -> io::Result<Drained>) -> io::Result<()> {
    for _ in 0..DRAINS_MAX {
        let drained = drain()?;
        if drained.shown + drained.discarded < DRAIN_MAX {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
