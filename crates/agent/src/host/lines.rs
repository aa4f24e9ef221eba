//! What guests cause in the log has a bound: each port's guest a few lines in a minute, the rest is counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hextet_core::ids::PortId;
use tracing::warn;

/// Most lines of one port in [`INTERVAL`].
const LINES_MAX: u32 = 10;
/// For how long they are counted.
const INTERVAL: Duration = Duration::from_secs(60);

/// The lines of each port whose guest caused some.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<PortId, Lately>);

#[derive(Clone, Copy, Debug)]
struct Lately {
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Lines {
    /// Whether one more about this port may be written. What was left out is said with the first that may again.
    pub(super) fn may_say(&mut self, port: PortId, now: Instant) -> bool {
        let lately = self.0.entry(port).or_insert(Lately {
            since: now,
            lines: 0,
            left_out: 0,
        });
        if now.saturating_duration_since(lately.since) >= INTERVAL {
            if lately.left_out > 0 {
                warn!(%port, left_out = lately.left_out, "a guest caused more lines than are written");
            }
            (lately.since, lately.lines, lately.left_out) = (now, 0, 0);
        }
        let may = lately.lines < LINES_MAX;
        match may {
            true => lately.lines += 1,
            false => lately.left_out += 1,
        }
        may
    }

    /// Only those of ports that meet the condition are kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&PortId) -> bool) {
        self.0.retain(|port, _| keep(port));
    }
}

#[cfg(test)]
mod tests;
