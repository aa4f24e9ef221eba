//! What the disk takes for a synced write of 4 KB, the limit of a durable commit: a page into a file, then `fdatasync`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A database page.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// Pages of the file that is written over, as many as SQLite's log has before it begins again.
const PAGES: u64 = 1000;

/// A file beside the database.
pub struct Disk {
    file: File,
    appended: u64,
}

impl Disk {
    /// Makes the file in a folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(folder: &Path) -> Result<Self> {
        Self::named(folder, "synced-writes")
    }

    /// The same under another name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn named(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        for page in 0..PAGES {
            file.write_all_at(&PAGE, page * PAGE.len() as u64)?;
        }
        file.sync_all()?;
        Ok(Self {
            file,
            appended: PAGES,
        })
    }

    /// The mean time of synced writes over pages that are there, as in a log that is used again.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn overwrite(&self, writes: u64) -> Result<Duration> {
        self.timed(0, writes.min(PAGES))
    }

    /// The mean time of synced writes at the file's end, as in a log that grows: the file's size is synced, too.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn append(&mut self, writes: u64) -> Result<Duration> {
        let first = self.appended;
        self.appended += writes;
        self.timed(first, writes)
    }

    fn timed(&self, first: u64, writes: u64) -> Result<Duration> {
        let start = Instant::now();
        for page in first..first + writes {
            self.file.write_all_at(&PAGE, page * PAGE.len() as u64)?;
            self.file.sync_data()?;
        }
        Ok(start.elapsed() / u32::try_from(writes)?)
    }
}
