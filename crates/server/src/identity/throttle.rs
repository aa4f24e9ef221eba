//! What a wrong password costs: each further failure for one user name is answered later, up to a bound.
//!
//! Only failures wait. A right password is never kept out by somebody else's wrong ones, so nobody can be locked out;
//! guessing is slowed by the delay, and guesses side by side by the hash itself, of which few run at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Delay after the first failure; it doubles with each further one.
const DELAY_FIRST: Duration = Duration::from_millis(100);

/// Longest delay.
pub const DELAY_MAX: Duration = Duration::from_secs(3);

/// Failures are forgotten when none came for so long.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Names remembered. At the bound the one that failed longest ago is forgotten.
const NAMES_MAX: usize = 4096;

/// Failures by user name.
#[derive(Debug, Default)]
pub struct Throttle {
    names: BTreeMap<String, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Throttle {
    /// Counts a failure and says how long its answer waits.
    pub fn handle_failure(&mut self, name: &str, now: Instant) -> Duration {
        self.names
            .retain(|_, failures| now.saturating_duration_since(failures.last) < FORGET_AFTER);
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(name) {
            self.forget_oldest();
        }
        let failures = self.names.entry(name.to_owned()).or_insert(Failures {
            count: 0,
            last: now,
        });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        let doublings = failures.count.saturating_sub(1).min(16);
        DELAY_FIRST.saturating_mul(1 << doublings).min(DELAY_MAX)
    }

    /// The user proved the password: earlier failures count no more.
    pub fn handle_success(&mut self, name: &str) {
        self.names.remove(name);
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .names
            .iter()
            .min_by_key(|(_, failures)| failures.last)
            .map(|(name, _)| name.clone());
        if let Some(name) = oldest {
            self.names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests;
