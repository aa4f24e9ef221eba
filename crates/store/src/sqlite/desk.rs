//! Whose turn it is to write: the writer's thread, or who has a job.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::Writer;
use crate::writer::Job;

/// How long SQLite's transaction stays open, at most: what others see who read the file is not older.
pub(super) const BEHIND_MAX: Duration = Duration::from_secs(1);
/// What a commit may take on the thread of who asks for it: as long as other work of a request.
pub(super) const QUICK: Duration = Duration::from_millis(2);
/// How many commits in a row that took longer tell a slow disk from a thread that had to wait for a processor.
const SLOW_IN_A_ROW: u32 = 3;
/// How long the writer's thread has all writes then.
pub(super) const SLOW_FOR: Duration = Duration::from_millis(200);
/// The same once several came together: who waits for the disk on its own thread keeps others there from being in the
/// next group.
pub(super) const CROWDED_FOR: Duration = Duration::from_millis(50);

/// Where the writer is, for whose turn it is.
pub(super) struct Desk {
    /// Nothing once it is closed.
    pub(super) writer: Mutex<Option<Writer>>,
    /// When SQLite is to commit.
    due: Mutex<Option<Instant>>,
    gate: Mutex<Gate>,
}

/// Whether the short way is open.
pub(super) struct Gate {
    pub(super) closed_until: Instant,
    /// The last commits, as far as they took long.
    pub(super) slow: u32,
}

impl Gate {
    /// Notes a commit of so many jobs, and closes the short way for a while where that is better left to the thread.
    pub(super) fn note(&mut self, jobs: usize, begun: Instant, ended: Instant) {
        let is_slow = ended.saturating_duration_since(begun) > QUICK;
        self.slow = if is_slow {
            self.slow.saturating_add(1)
        } else {
            0
        };
        if jobs > 1 {
            self.close(ended + CROWDED_FOR);
        }
        if self.slow >= SLOW_IN_A_ROW {
            self.close(ended + SLOW_FOR);
        }
    }

    pub(super) fn close(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(until);
    }
}

impl Desk {
    pub(super) fn new(writer: Writer) -> Arc<Self> {
        Arc::new(Self {
            writer: Mutex::new(Some(writer)),
            due: Mutex::new(None),
            gate: Mutex::new(Gate {
                closed_until: Instant::now(),
                slow: 0,
            }),
        })
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn commit(&self, writer: &mut Writer, group: Vec<Box<dyn Job>>) {
        let (begun, jobs) = (Instant::now(), group.len());
        writer.commit(group);
        self.gate().note(jobs, begun, Instant::now());
    }

    pub(super) fn due(&self) -> Option<Instant> {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes when SQLite is to commit now; whether the thread, which sleeps, has to know.
    pub(super) fn note_due(&self, writer: &Writer) -> bool {
        let due = writer.open_since.map(|since| since + BEHIND_MAX);
        let mut noted = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = noted.is_none() && due.is_some();
        *noted = due;
        is_news
    }
}

/// Lets who has a job run it, where nobody else writes.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(super) desk: Arc<Desk>,
    pub(super) thread: Thread,
}

impl Direct {
    /// Runs a job here and now, to its end. Answers whether SQLite is to be given what was put off, by
    /// [`Direct::catch_up`]. Gives the job back where somebody else writes or several did just now, where commits are
    /// slow, and where SQLite has to commit first.
    pub(crate) fn try_write(&self, job: Box<dyn Job>) -> Result<bool, Box<dyn Job>> {
        if Instant::now() < self.desk.gate().closed_until {
            return Err(job);
        }
        let Ok(mut writer) = self.desk.writer.try_lock() else {
            return Err(job);
        };
        let Some(writer) = writer.as_mut().filter(|writer| writer.redo.has_room()) else {
            return Err(job);
        };
        self.desk.commit(writer, vec![job]);
        if self.desk.note_due(writer) {
            self.thread.unpark();
        }
        Ok(writer.tx.is_behind())
    }

    /// Gives SQLite what was put off, unless somebody writes, who does it.
    pub(crate) fn catch_up(&self) {
        if let Ok(mut writer) = self.desk.writer.try_lock()
            && let Some(writer) = writer.as_mut()
        {
            writer.catch_up();
        }
    }
}
