//! One server at a time on a SQLite database. Readers (a backup, a check) need no lock: WAL shows them a whole state.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::warn;

/// How long a taker waits for another to let go: a server that ends, or a child between its fork and its exec.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often it looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Held while a database is served or replaced; the kernel lets go of it when the process ends, however it ends.
pub(crate) struct DatabaseLock {
    file: File,
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        // Closing is not enough: a child between its fork and its exec has the descriptor, too, for as long as it takes.
        if let Err(error) = self.file.unlock() {
            warn!(%error, "the database's lock is let go of when its file is closed");
        }
    }
}

impl DatabaseLock {
    /// Takes it; `None` when another holds it and does not let go for 5 s. Blocks.
    ///
    /// # Errors
    /// When the file beside the database cannot be made or opened.
    pub(crate) fn take(database: &Path) -> io::Result<Option<Self>> {
        // Not the database itself: SQLite gives its own locks away when any descriptor of that file is closed.
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(beside(database, ".lock"))?;
        let give_up = Instant::now() + WAIT_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { file })),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

/// The path with something after its name.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
