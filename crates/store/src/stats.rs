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

    pub(crate) fn read(&self, queue: usize) -> Stats {
        Stats {
            commits: self.0.commits.load(Ordering::Relaxed),
            writes: self.0.writes.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed)),
            queue,
        }
    }
}
