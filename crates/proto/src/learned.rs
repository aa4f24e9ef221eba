//! The addresses that one port's guest was seen to use besides the plan's: bounded, aged, and tested before they go
//! (RFC 6620 §3.2).
//!
//! An address gets in by a duplicate address check that nobody objected to, or, where that was missed, by the guest's
//! answer to a question of ours. Who uses it is seen by the fast path; who is not seen for long is asked.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hextet_core::ids::PortId;

/// Link-local addresses learned for a port, besides the one from its MAC; a further one replaces the longest unseen.
pub const LEARNED_LINK_LOCAL_MAX: usize = 4;
/// Other addresses learned for a port; a further one is refused. A guest with temporary addresses (RFC 8981) has up to
/// eight a prefix: one for each day of their valid lifetime, and its stable one.
pub const LEARNED_GLOBAL_MAX: usize = 16;
/// All addresses learned for a port.
pub const LEARNED_MAX: usize = LEARNED_LINK_LOCAL_MAX + LEARNED_GLOBAL_MAX;
/// Addresses of a port that are being tested before they are learned.
pub(crate) const CANDIDATES_MAX: usize = 8;
/// On a physical segment, how long its hosts have to object to an address: as long as they need on any link, and shorter
/// than the guest's own check (RETRANS_TIMER), so that it need not wait.
pub const PROBATION: Duration = Duration::from_millis(500);
/// How long an address may be unseen before its guest is asked for it: longer than RFC 6620's DEFAULT_LT of 5 minutes,
/// since the fast path counts its use.
pub const LEARNED_LIFETIME: Duration = Duration::from_secs(3600);
/// How often a learned address is tested at most because somebody else wants it, or its place.
pub const CONTEST_INTERVAL: Duration = Duration::from_secs(10);
/// MAX_UNICAST_SOLICIT (RFC 4861 §10).
const MAX_UNICAST_SOLICIT: u8 = 3;
/// RETRANS_TIMER (RFC 4861 §10).
const RETRANS_TIMER: Duration = Duration::from_secs(1);

/// An address that the guest was seen to use.
#[derive(Clone, Copy, Debug)]
struct Learned {
    address: Ipv6Addr,
    first_holder: Option<PortId>,
    seen: Instant,
    test: Option<Test>,
    /// When it was last contested.
    contested: Option<Instant>,
}

/// Questions to the guest, whether it has an address.
#[derive(Clone, Copy, Debug)]
struct Test {
    sent: u8,
    next: Instant,
}

/// The learned addresses of one port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbours {
    learned: Vec<Learned>,
    candidates: Vec<Candidate>,
}

/// An address that is not learned yet.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: Ipv6Addr,
    /// Until the guest showed that it is there.
    test: Test,
    /// The guest showed it, and who learned it first, if another port did: on probation, and learned at the end of it.
    shown: Option<Option<PortId>>,
    probation: Instant,
}

/// What became of an address that the guest showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It was known, and with the same first holder.
    Known,
    /// It is new, or its first holder is another; the address that had to make room is forgotten.
    New { forgotten: Option<Ipv6Addr> },
    /// There is no room for it.
    Refused,
}

/// What the time has come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The guest must be asked whether it has this address.
    Ask(Ipv6Addr),
    /// It did not answer for this learned address, which is forgotten.
    Gone(Ipv6Addr),
    /// Its probation is over and nobody objected: it is to be learned, with this first holder.
    Proven(Ipv6Addr, Option<PortId>),
}

impl Test {
    fn new(now: Instant) -> Self {
        Self { sent: 0, next: now }
    }

    /// Whether to ask now, or to give up; `None` when it is not time yet.
    fn poll(&mut self, now: Instant) -> Option<bool> {
        if now < self.next {
            return None;
        }
        if self.sent >= MAX_UNICAST_SOLICIT {
            return Some(false);
        }
        self.sent += 1;
        self.next = now + RETRANS_TIMER;
        Some(true)
    }
}

impl Neighbours {
    /// The address was seen in use. The caller has made sure that it is learnable.
    pub(crate) fn note(
        &mut self,
        address: Ipv6Addr,
        first_holder: Option<PortId>,
        now: Instant,
    ) -> Noted {
        self.candidates
            .retain(|candidate| candidate.address != address);
        let entry = Learned {
            address,
            first_holder,
            seen: now,
            test: None,
            contested: None,
        };
        if let Some(known) = self.find(address) {
            let same = known.first_holder == first_holder;
            *known = entry;
            return if same {
                Noted::Known
            } else {
                Noted::New { forgotten: None }
            };
        }
        let mut forgotten = None;
        let link_local = address.is_unicast_link_local();
        let same_kind = self
            .learned
            .iter()
            .filter(|known| known.address.is_unicast_link_local() == link_local);
        if link_local {
            if same_kind.clone().count() >= LEARNED_LINK_LOCAL_MAX {
                let oldest = same_kind.min_by_key(|known| known.seen);
                forgotten = oldest.map(|oldest| oldest.address);
            }
        } else if same_kind.count() >= LEARNED_GLOBAL_MAX {
            self.make_room(now);
            return Noted::Refused;
        }
        if let Some(oldest) = forgotten {
            self.forget(oldest);
        }
        self.learned.push(entry);
        Noted::New { forgotten }
    }

    /// The address was seen again, if it is known.
    pub(crate) fn refresh(&mut self, address: Ipv6Addr, now: Instant) {
        if let Some(known) = self.find(address) {
            known.seen = now;
            known.test = None;
        }
    }

    /// As learned before this process began, and unseen since.
    pub(crate) fn restore(
        &mut self,
        address: Ipv6Addr,
        first_holder: Option<PortId>,
        unseen: Duration,
        now: Instant,
    ) {
        self.note(address, first_holder, now);
        if let Some(known) = self.find(address) {
            known.seen = now.checked_sub(unseen).unwrap_or(now);
        }
    }

    /// The guest uses an address that was not checked: it is asked whether the address is its own. False when too many
    /// are being tested.
    pub(crate) fn examine(&mut self, address: Ipv6Addr, now: Instant) -> bool {
        self.is_candidate(address) || self.try_candidate(address, None, now)
    }

    /// The guest showed an address that others on the segment may have: it is learned if nobody objects for
    /// [`PROBATION`]. False when too many are being tested.
    pub(crate) fn hold(
        &mut self,
        address: Ipv6Addr,
        first_holder: Option<PortId>,
        now: Instant,
    ) -> bool {
        let mut candidates = self.candidates.iter_mut();
        match candidates.find(|candidate| candidate.address == address) {
            Some(candidate) => candidate.shown = Some(first_holder),
            None => return self.try_candidate(address, Some(first_holder), now),
        }
        true
    }

    fn try_candidate(
        &mut self,
        address: Ipv6Addr,
        shown: Option<Option<PortId>>,
        now: Instant,
    ) -> bool {
        let room = self.candidates.len() < CANDIDATES_MAX;
        if room {
            self.candidates.push(Candidate {
                address,
                test: Test::new(now),
                shown,
                probation: now + PROBATION,
            });
        }
        room
    }

    /// Whether this is being tested before it is learned.
    pub(crate) fn is_candidate(&self, address: Ipv6Addr) -> bool {
        self.candidates
            .iter()
            .any(|candidate| candidate.address == address)
    }

    /// What is being tested before it is learned.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.candidates.iter().map(|candidate| candidate.address)
    }

    /// Tests only those candidates that meet the condition any longer.
    pub(crate) fn retain_candidates(&mut self, mut keep: impl FnMut(Ipv6Addr) -> bool) {
        self.candidates.retain(|candidate| keep(candidate.address));
    }

    /// Somebody else wants the address: the guest is asked whether it still has it, not too often.
    pub(crate) fn contest(&mut self, address: Ipv6Addr, now: Instant) {
        let Some(known) = self.find(address) else {
            return;
        };
        let lately = known
            .contested
            .is_some_and(|before| now < before + CONTEST_INTERVAL);
        if known.test.is_none() && !lately {
            known.test = Some(Test::new(now));
            known.contested = Some(now);
        }
    }

    /// Whether this was learned, with whomever first.
    pub(crate) fn knows(&self, address: Ipv6Addr) -> bool {
        self.learned.iter().any(|known| known.address == address)
    }

    /// Whether this was learned with this first holder, so that noting it again is no news.
    pub(crate) fn knows_with(&self, address: Ipv6Addr, first_holder: Option<PortId>) -> bool {
        self.learned().any(|known| known == (address, first_holder))
    }

    /// Forgets one address; whether it was known.
    pub(crate) fn forget(&mut self, address: Ipv6Addr) -> bool {
        let before = self.learned.len();
        self.learned.retain(|known| known.address != address);
        self.learned.len() < before
    }

    /// Forgets all, in the order in which they were learned.
    pub(crate) fn forget_all(&mut self) -> Vec<Ipv6Addr> {
        self.candidates.clear();
        let forgotten = self.learned.drain(..);
        forgotten.map(|known| known.address).collect()
    }

    /// What is learned, with who learned it first if another did.
    pub(crate) fn learned(&self) -> impl Iterator<Item = (Ipv6Addr, Option<PortId>)> {
        self.learned
            .iter()
            .map(|known| (known.address, known.first_holder))
    }

    /// What the time has come for, one after the other.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Due> {
        for at in 0..self.learned.len() {
            let known = &mut self.learned[at];
            if known.test.is_none() && now >= known.seen + LEARNED_LIFETIME {
                known.test = Some(Test::new(now));
            }
            let address = known.address;
            match known.test.as_mut().and_then(|test| test.poll(now)) {
                Some(true) => return Some(Due::Ask(address)),
                Some(false) => {
                    self.learned.remove(at);
                    return Some(Due::Gone(address));
                }
                None => {}
            }
        }
        self.poll_candidates(now)
    }

    fn poll_candidates(&mut self, now: Instant) -> Option<Due> {
        let mut due = None;
        self.candidates.retain_mut(|candidate| {
            if due.is_some() {
                return true;
            }
            let address = candidate.address;
            if let Some(first_holder) = candidate.shown {
                let proven = now >= candidate.probation;
                due = proven.then_some(Due::Proven(address, first_holder));
                return !proven;
            }
            match candidate.test.poll(now) {
                Some(true) => due = Some(Due::Ask(address)),
                Some(false) => return false,
                None => {}
            }
            true
        });
        due
    }

    /// When [`Self::poll`] has something by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let learned = self.learned.iter().map(|known| match known.test {
            Some(test) => test.next,
            None => known.seen + LEARNED_LIFETIME,
        });
        let candidates = self.candidates.iter().map(|candidate| {
            let shown = candidate.shown.map(|_| candidate.probation);
            shown.unwrap_or(candidate.test.next)
        });
        learned.chain(candidates).min()
    }

    /// The longest unseen of those that may be gone is asked for, so that there is room the next time.
    fn make_room(&mut self, now: Instant) {
        let longest = self
            .learned
            .iter()
            .filter(|known| !known.address.is_unicast_link_local())
            .min_by_key(|known| known.seen)
            .map(|known| known.address);
        if let Some(address) = longest {
            self.contest(address, now);
        }
    }

    fn find(&mut self, address: Ipv6Addr) -> Option<&mut Learned> {
        self.learned
            .iter_mut()
            .find(|known| known.address == address)
    }
}

#[cfg(test)]
mod tests;
