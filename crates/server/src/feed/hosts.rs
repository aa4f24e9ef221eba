//! Which hosts follow the feed, and how far they are: for those who watch the server, not for its work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The hosts of a feed. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    serving: AtomicBool,
    lagged: AtomicU64,
    streams: Mutex<Streams>,
}

#[derive(Debug, Default)]
struct Streams {
    next: u64,
    open: BTreeMap<u64, Progress>,
}

/// Revisions of the change log.
#[derive(Clone, Copy, Debug)]
struct Progress {
    told: u64,
    reached: u64,
}

/// What the hosts are at, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Streams of agents that are open.
    pub connected: usize,
    /// Those of them that were told of a revision and have not reported it.
    pub behind: usize,
    /// Most revisions that one of them is behind.
    pub behind_max: u64,
    /// How often a stream fell behind the change log and looked at everything instead.
    pub lagged: u64,
}

/// One agent's stream; it is forgotten with this.
pub(super) struct Stream {
    hosts: Hosts,
    number: u64,
}

impl Hosts {
    /// Whether the feed is served.
    pub fn is_serving(&self) -> bool {
        self.0.serving.load(Ordering::Relaxed)
    }

    /// What the hosts are at now.
    pub fn seen(&self) -> Seen {
        let streams = self.streams();
        let behind = || {
            let open = streams.open.values();
            open.map(|progress| progress.told.saturating_sub(progress.reached))
        };
        Seen {
            connected: streams.open.len(),
            behind: behind().filter(|behind| *behind > 0).count(),
            behind_max: behind().max().unwrap_or(0),
            lagged: self.0.lagged.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn serve(&self, serving: bool) {
        self.0.serving.store(serving, Ordering::Relaxed);
    }

    /// A stream of an agent that is at this revision.
    pub(super) fn enter(&self, revision: u64) -> Stream {
        let mut streams = self.streams();
        streams.next += 1;
        let number = streams.next;
        let progress = Progress {
            told: revision,
            reached: revision,
        };
        streams.open.insert(number, progress);
        Stream {
            hosts: self.clone(),
            number,
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.0
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// The agent was told of a revision.
    pub(super) fn tell(&self, revision: u64) {
        if let Some(progress) = self.hosts.streams().open.get_mut(&self.number) {
            progress.told = revision;
        }
    }

    /// The agent reported a revision.
    pub(super) fn reach(&self, revision: u64) {
        if let Some(progress) = self.hosts.streams().open.get_mut(&self.number) {
            progress.reached = revision;
        }
    }

    /// It fell behind the change log.
    pub(super) fn count_lagged(&self) {
        self.hosts.0.lagged.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.hosts.streams().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
