//! When what guests reported of multicast groups is over.

use std::time::{Duration, Instant};

use hextet_proto::LISTENER_INTERVAL;
use tracing::error;

use super::Host;

/// How often what is over is cleared away.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// For how long guests have been asked without a gap. What they reported is over only where they had time to report it again: after a
/// restart, and after a halt of this thread, that is counted anew.
#[derive(Clone, Debug)]
pub(super) struct GroupAge {
    asking_since: Instant,
    looked_at: Instant,
}

impl GroupAge {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            asking_since: now,
            looked_at: now,
        }
    }

    /// How long until [`Self::is_due`].
    pub(super) fn until(&self, now: Instant) -> Duration {
        LOOK_INTERVAL.saturating_sub(now.saturating_duration_since(self.looked_at))
    }

    /// Whether it is time, and whether what is older than [`LISTENER_INTERVAL`] is over.
    fn is_due(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.looked_at);
        if since < LOOK_INTERVAL {
            return false;
        }
        if since >= 2 * LOOK_INTERVAL {
            self.asking_since = now;
        }
        self.looked_at = now;
        now.saturating_duration_since(self.asking_since) >= LISTENER_INTERVAL
    }
}

impl Host {
    pub(super) fn age_groups(&mut self) {
        if !self.group_age.is_due(Instant::now()) || self.down {
            return;
        }
        if let Err(error) = self.fastpath.expire_groups(LISTENER_INTERVAL) {
            let error = hextet_core::errors::chain(&error);
            error!(
                error,
                "groups that nobody listens to any more cannot be cleared away"
            );
        }
    }
}

#[cfg(test)]
mod tests;
