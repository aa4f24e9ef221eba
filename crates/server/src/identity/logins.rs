//! How many logins there were, for those who watch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::throttle::DELAY_FIRST;

/// How logins went since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// The proof was right.
    pub ok: u64,
    /// It was wrong.
    pub failed: u64,
    /// Those of the failed that were not the first in a row, and waited longer for their answer.
    pub damped: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub struct Counts {
    ok: AtomicU64,
    failed: AtomicU64,
    damped: AtomicU64,
}

impl Counts {
    /// What was counted.
    pub fn read(&self) -> Logins {
        Logins {
            ok: self.ok.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            damped: self.damped.load(Ordering::Relaxed),
        }
    }

    pub fn count_success(&self) {
        self.ok.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_failure(&self, delay: Duration) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if delay > DELAY_FIRST {
            self.damped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
