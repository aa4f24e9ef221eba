//! What the kernel tells nobody of: programs that somebody takes off links behind the agent's back (`bpftool link detach`,
//! `tc qdisc del`), and frames for which the table of counters has no room. So it is asked, of a part of the links at a time:
//! the thread is never away for long, and where nothing is amiss there is no pass.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::Host;
use super::pass::Observed;
use crate::kernel::FastpathError;

/// Within this time every link is asked whether it still runs the program.
const ROUND: Duration = Duration::from_secs(4);
/// In how many parts.
const PARTS: u32 = 8;

/// Where the round stands.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    part: u32,
    looked_at: Instant,
    /// NICs that ran the program after the last pass.
    pub(super) nics: BTreeSet<u32>,
    /// Frames that no row of a port counted, as far as they were told of.
    unattributed: u64,
    /// There were more of them at each of the last looks.
    rising: bool,
}

impl Rounds {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            part: 0,
            looked_at: now,
            nics: BTreeSet::new(),
            unattributed: 0,
            rising: false,
        }
    }

    /// How long until the next part is due.
    fn until(&self, now: Instant) -> Duration {
        (ROUND / PARTS).saturating_sub(now.saturating_duration_since(self.looked_at))
    }

    /// The part that is due, if one is.
    fn take_part(&mut self, now: Instant) -> Option<u32> {
        if !self.until(now).is_zero() {
            return None;
        }
        self.looked_at = now;
        self.part = (self.part + 1) % PARTS;
        Some(self.part)
    }

    /// Whether it is to be told that frames are no longer counted by port: once, until there are no more of them for a round.
    fn is_news(&mut self, unattributed: u64) -> bool {
        let more = unattributed > self.unattributed;
        let news = more && !self.rising;
        self.unattributed = unattributed;
        self.rising = more;
        news
    }
}

impl Host {
    /// How long until links are asked again.
    pub(super) fn until_round(&self) -> Duration {
        match self.down || self.carriers.is_empty() && self.rounds.nics.is_empty() {
            true => Duration::MAX,
            false => self.rounds.until(Instant::now()),
        }
    }

    /// Asks those whose turn it is; where a program is gone a pass puts it back.
    pub(super) fn make_round(&mut self) {
        if self.down {
            return;
        }
        let Some(part) = self.rounds.take_part(Instant::now()) else {
            return;
        };
        let due = |ifindex: &u32| ifindex % PARTS == part;
        let guests = self.carriers.values().filter(|carrier| carrier.attached);
        let mut guests = guests.map(|carrier| carrier.ifindex).filter(due);
        let mut nics = self.rounds.nics.iter().copied().filter(due);
        let amiss = guests.any(|guest| is_off(guest, self.fastpath.runs_on(guest)))
            || nics.any(|nic| is_off(nic, self.fastpath.runs_on_uplink(nic)));
        if part == 0 {
            self.look_at_counters();
        }
        if amiss {
            self.bring_about();
        }
    }

    fn look_at_counters(&mut self) {
        match self.fastpath.unattributed() {
            Ok(frames) => {
                if self.rounds.is_news(frames) {
                    warn!(
                        frames,
                        "the table of counters is full: frames are counted by verdict, and no longer by port, until ports go"
                    );
                }
            }
            Err(error) => debug!(
                error = hextet_core::errors::chain(&error),
                "what no port's counter holds cannot be read"
            ),
        }
    }

    /// Counts the links that ran the program after the last pass, are there, and run it no more.
    pub(super) fn note_taken_off(&mut self, seen: &Observed) {
        let there: BTreeSet<u32> = seen.links.values().map(|link| link.ifindex).collect();
        let mut off = self.carriers.iter().filter(|(_, carrier)| {
            let gone = !seen.attached.contains(&carrier.ifindex);
            carrier.attached && gone && there.contains(&carrier.ifindex)
        });
        let Some((port, carrier)) = off.next() else {
            return;
        };
        let links = 1 + off.count();
        warn!(
            links,
            %port,
            ifindex = carrier.ifindex,
            "somebody took the program off links, of which this is one: it is put on again"
        );
        self.passes.taken_off += links as u64;
    }

    /// The same of NICs that are led to.
    pub(super) fn note_nic_off(&mut self, ifindex: u32) {
        warn!(
            ifindex,
            "somebody took the program off a NIC: it is put on again"
        );
        self.passes.taken_off += 1;
    }
}

/// A link that cannot be asked is left to the next pass.
fn is_off(ifindex: u32, runs: Result<bool, FastpathError>) -> bool {
    match runs {
        Ok(runs) => !runs,
        Err(error) => {
            let error = hextet_core::errors::chain(&error);
            debug!(ifindex, error, "a link cannot be asked for its program");
            false
        }
    }
}

#[cfg(test)]
mod tests;
