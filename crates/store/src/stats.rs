//! How the writer does, for those who watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the writer of this process did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commits: groups of writes.
    pub commits: u64,
    /// Writes that were carried out or refused in them.
    pub writes: u64,
    /// Groups that the database lost or could not take.
    pub failed: u64,
    /// What the commits took together, their writes included.
    pub time: Duration,
    /// Statements of the writes, without those that begin, divide and end transactions.
    pub statements: u64,
    /// How often the writer waited for an answer of a PostgreSQL: round trips. On SQLite there are none.
    pub round_trips: u64,
    /// Openings that found a redo file missing, cut short or damaged, and so lost writes: 0 or 1.
    pub redo_damaged: u64,
    /// Writes that wait for the writer now.
    pub queue: usize,
}

/// The same while it is counted. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    commits: AtomicU64,
    writes: AtomicU64,
    failed: AtomicU64,
    nanos: AtomicU64,
    statements: AtomicU64,
    round_trips: AtomicU64,
    redo_damaged: AtomicU64,
}

impl Counts {
    /// A group of so many writes was committed, or not.
    pub(crate) fn count(&self, writes: usize, took: Duration, committed: bool) {
        if !committed {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.commits.fetch_add(1, Ordering::Relaxed);
        self.0.writes.fetch_add(writes as u64, Ordering::Relaxed);
        self.0.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// A group of writes asked the database, whatever came of it.
    pub(crate) fn ask(&self, statements: u64, round_trips: u64) {
        self.0.statements.fetch_add(statements, Ordering::Relaxed);
        self.0.round_trips.fetch_add(round_trips, Ordering::Relaxed);
    }

    /// The opening found that writes were lost, or not.
    pub(crate) fn count_damage(&self, found: bool) {
        self.0
            .redo_damaged
            .fetch_add(u64::from(found), Ordering::Relaxed);
    }

    pub(crate) fn read(&self, queue: usize) -> Stats {
        Stats {
            commits: self.0.commits.load(Ordering::Relaxed),
            writes: self.0.writes.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed)),
            statements: self.0.statements.load(Ordering::Relaxed),
            round_trips: self.0.round_trips.load(Ordering::Relaxed),
            redo_damaged: self.0.redo_damaged.load(Ordering::Relaxed),
            queue,
        }
    }
}
