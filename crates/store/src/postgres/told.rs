//! What writers say of the log's growth. It may be late, doubled or missing: it only saves waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Where writers say it.
pub(super) const LISTEN: &str = "LISTEN hextet_log";

/// The newest revision that was heard of. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Inner>);

#[derive(Default)]
struct Inner {
    newest: AtomicU64,
    woken: Notify,
}

impl Told {
    /// What a writer runs with its commit.
    pub(super) fn say(revision: u64) -> String {
        format!("NOTIFY hextet_log, '{revision}'")
    }

    /// A notification came. One that says nothing known means that something is new.
    pub(super) fn hear(&self, payload: &str) {
        let revision = payload.parse().unwrap_or(u64::MAX);
        self.0.newest.fetch_max(revision, Ordering::Relaxed);
        self.0.woken.notify_one();
    }

    /// Says that the log must be looked at, whatever was heard.
    pub(super) fn wake(&self) {
        self.0.newest.store(u64::MAX, Ordering::Relaxed);
        self.0.woken.notify_one();
    }

    /// Waits until there is something newer than what `reached` says at each notification.
    pub(super) async fn newer_than(&self, reached: impl Fn() -> u64) {
        loop {
            self.0.woken.notified().await;
            let newest = self.0.newest.load(Ordering::Relaxed);
            if newest == u64::MAX {
                self.0.newest.store(0, Ordering::Relaxed);
                return;
            }
            if newest > reached() {
                return;
            }
        }
    }
}
