//! One line in the log when the database is lost, one when it is back, however many connections notice.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tracing::{error, info};

/// A connection of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Writer,
    Follower,
}

/// What is lost just now. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lost: Vec<Line>,
    since: Option<Instant>,
}

impl Outage {
    pub(super) fn begin(&self, line: Line, why: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.lost.is_empty() {
            state.since = Some(Instant::now());
            error!(
                why,
                "the database is lost: requests are answered 503 until it is back"
            );
        }
        if !state.lost.contains(&line) {
            state.lost.push(line);
        }
    }

    pub(super) fn end(&self, line: Line) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.lost.is_empty() {
            return;
        }
        state.lost.retain(|lost| *lost != line);
        if state.lost.is_empty() {
            let away_s = state
                .since
                .take()
                .map(|since| since.elapsed().as_secs_f64());
            info!(away_s, "the database is back");
        }
    }
}
