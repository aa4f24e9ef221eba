//! Asking a port's guest which multicast groups it listens to (RFC 3810 §7.1, RFC 2710 §4).
//!
//! Its reports are read by the fast path, which notes a group at once; the questions are what makes it report again, so
//! that a report that was lost does no lasting harm and a group that nobody listens to any more ends. Each link has one
//! querier, so none is elected. One form of the question does for both versions: who knows MLDv1 alone reads the longer
//! message as its own (RFC 3810 §8.2.1).

use std::time::{Duration, Instant};

use crate::random::Random;

/// Query Interval (RFC 3810 §9.2).
pub const QUERY_INTERVAL: Duration = Duration::from_secs(125);
/// Startup Query Interval (RFC 3810 §9.6): a quarter of the other.
pub const STARTUP_QUERY_INTERVAL: Duration = Duration::from_millis(31_250);
/// Query Response Interval (RFC 3810 §9.3). Below its default of 10 s, which spreads the answers of many on one link.
pub const QUERY_RESPONSE_INTERVAL: Duration = Duration::from_secs(1);
/// Robustness Variable (RFC 3810 §9.1), and Startup Query Count (§9.7).
pub const ROBUSTNESS: u8 = 2;
/// Multicast Address Listening Interval (RFC 3810 §9.4): what was not reported for as long is over.
pub const LISTENER_INTERVAL: Duration = QUERY_INTERVAL
    .saturating_mul(ROBUSTNESS as u32)
    .saturating_add(QUERY_RESPONSE_INTERVAL);

/// When the next question is due.
#[derive(Clone, Debug)]
pub(crate) struct Querier {
    next: Option<Instant>,
    /// Nothing is asked until the link comes up again.
    ceased: bool,
    /// Questions that still follow each other closely.
    startup: u8,
    random: Random,
}

impl Querier {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            next: None,
            ceased: false,
            startup: 0,
            random: Random::new(seed),
        }
    }

    /// The guest's first frame: it reports by itself what it joins from now on, so the first question may wait.
    pub(crate) fn handle_first_frame(&mut self, now: Instant) {
        self.startup = ROBUSTNESS;
        self.next = (!self.ceased).then_some(now + STARTUP_QUERY_INTERVAL);
    }

    /// The guest may have joined what nobody noted: it is asked at once.
    pub(crate) fn handle_unknown(&mut self, now: Instant) {
        self.startup = ROBUSTNESS;
        self.next = (!self.ceased).then_some(now);
    }

    /// Nobody is there yet, or nobody may be spoken to.
    pub(crate) fn handle_silence(&mut self) {
        self.next = None;
        self.ceased = false;
    }

    /// The port leaves the link.
    pub(crate) fn handle_cease(&mut self) {
        self.next = None;
        self.ceased = true;
    }

    /// Whether the question is due.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        let wait = match self.startup.saturating_sub(1) {
            0 if self.startup == 0 => QUERY_INTERVAL,
            // Links that began together are not asked together for ever.
            0 => self.random.between(QUERY_INTERVAL / 2, QUERY_INTERVAL),
            _ => STARTUP_QUERY_INTERVAL,
        };
        self.startup = self.startup.saturating_sub(1);
        self.next = Some(now + wait);
        true
    }

    /// When it is.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests;
