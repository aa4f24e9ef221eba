//! How many logins there were, for those who watch.

use std::sync::atomic::{AtomicU64, Ordering};

/// How logins went since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    /// The proof was right.
    pub ok: u64,
    /// It was wrong.
    pub failed: u64,
    /// Those of both that waited for their turn, since others before them were wrong.
    pub damped: u64,
    /// Too many before them were wrong: they were told when to come back, and the proof was not looked at.
    pub put_off: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub struct Counts {
    ok: AtomicU64,
    failed: AtomicU64,
    damped: AtomicU64,
    put_off: AtomicU64,
}

impl Counts {
    /// What was counted.
    pub fn read(&self) -> Logins {
        Logins {
            ok: self.ok.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            damped: self.damped.load(Ordering::Relaxed),
            put_off: self.put_off.load(Ordering::Relaxed),
        }
    }

    pub fn count_success(&self) {
        self.ok.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_damped(&self) {
        self.damped.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_put_off(&self) {
        self.put_off.fetch_add(1, Ordering::Relaxed);
    }
}
