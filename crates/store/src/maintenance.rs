//! What an operator does to a SQLite database beside the server: copy it while it is served, put a copy back, check it.
//!
//! Databases on PostgreSQL have tools of their own for this.

mod check;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::engine::EngineError;
use crate::lock::{DatabaseLock, beside};
use crate::redo;
use crate::schema::{self, SCHEMA_VERSION};
use crate::store::BUSY_TIMEOUT;

pub use check::check;

/// How many pages are copied between two words on how far the copy is.
const PAGES_AT_ONCE: i32 = 1024;

/// How often a copy begins anew because the server commits just then.
const LOOKS_MAX: usize = 100;

/// Why nothing was copied, put back or checked. What was there is there still.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// There is no database.
    #[error("there is no database {path}")]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// The file is no database of ours.
    #[error("{path} is no sound database")]
    Unsound {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: EngineError,
    },
    /// Another program's version.
    #[error("{path} has schema version {found}; this program knows versions up to {known}")]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// A copy that does not hold together is not put back.
    #[error("{path} does not hold together: {}", problems.join("; "))]
    Problems {
        /// Which file.
        path: PathBuf,
        /// What was found.
        problems: Vec<String>,
    },
    /// A file of this name is not written over.
    #[error("{path} is there already")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// A server has the database open.
    #[error("a server has the database {path} open; stop it first")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// How far a copy is: pages done, pages in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Copies a database, served or not, as it stands at one moment, to a file that is not there yet. The file appears when
/// the copy is whole and on the disk.
///
/// # Errors
/// See [`MaintenanceError`].
pub fn backup(database: &Path, to: &Path, progress: Progress<'_>) -> Result<(), MaintenanceError> {
    if to.exists() {
        return Err(MaintenanceError::Exists {
            path: to.to_owned(),
        });
    }
    let draft = beside(to, ".partial");
    let copied = copy(database, &draft, progress)
        .and_then(|()| std::fs::rename(&draft, to).map_err(failed(to)))
        .and_then(|()| sync_folder(to));
    if copied.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    copied
}

/// Puts a copy in a database's place. The server must be stopped. What was there before is kept beside it; answers
/// where. The database begins a new epoch, so that hosts which have seen later states than the copy's take it.
///
/// # Errors
/// See [`MaintenanceError`]; a copy that [`check`] finds fault with is not put back.
pub fn restore(
    copy_path: &Path,
    database: &Path,
    progress: Progress<'_>,
) -> Result<Option<PathBuf>, MaintenanceError> {
    let problems = check(copy_path)?;
    if !problems.is_empty() {
        return Err(MaintenanceError::Problems {
            path: copy_path.to_owned(),
            problems,
        });
    }
    let _lock = DatabaseLock::take(database)
        .map_err(failed(database))?
        .ok_or_else(|| MaintenanceError::InUse {
            path: database.to_owned(),
        })?;
    let draft = beside(database, ".partial");
    let replaced = copy(copy_path, &draft, progress)
        .and_then(|()| begin_epoch(&draft))
        .and_then(|()| replace(&draft, database));
    if replaced.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    replaced
}

/// Opens a database that is there, to look at it.
fn open(path: &Path) -> Result<Connection, MaintenanceError> {
    if !path.is_file() {
        return Err(MaintenanceError::Missing {
            path: path.to_owned(),
        });
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(unsound(path))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(unsound(path))?;
    Ok(connection)
}

/// A database at one moment: a reading transaction, and what the redo file adds to what it sees.
struct Moment {
    source: Connection,
    generation: i32,
    redo: Vec<u8>,
}

impl Moment {
    fn of(path: &Path) -> Result<Self, MaintenanceError> {
        for _ in 0..LOOKS_MAX {
            let source = open(path)?;
            source.execute_batch("BEGIN").map_err(unsound(path))?;
            let generation = redo::generation(&source).map_err(unsound(path))?;
            let redo = redo::read(path).map_err(failed(&beside(path, redo::SUFFIX)))?;
            // If the server has committed since, the file may go on from that.
            let now = redo::generation(&open(path)?).map_err(unsound(path))?;
            if now == generation {
                return Ok(Self {
                    source,
                    generation,
                    redo,
                });
            }
        }
        Err(unsound(path)(EngineError::Unsound(
            "state: the server commits too often",
        )))
    }

    /// Adds to a copy of the pages what the redo file adds to them.
    fn complete(&self, copy: &mut Connection) -> Result<(), EngineError> {
        let transaction = copy.transaction()?;
        redo::replay(&transaction, &self.redo, self.generation)?;
        // The copy is whole by itself.
        redo::mark_served(&transaction, false)?;
        Ok(transaction.commit()?)
    }
}

/// Copies page by page what one reading transaction sees, with what the redo file adds, and waits for the disk.
fn copy(from: &Path, to: &Path, progress: Progress<'_>) -> Result<(), MaintenanceError> {
    let moment = Moment::of(from)?;
    let source = &moment.source;
    let found: String = source
        .query_row("SELECT value FROM meta WHERE name = 'schema'", [], |row| {
            row.get(0)
        })
        .map_err(unsound(from))?;
    known(from, &found)?;
    // What an earlier attempt left is no database yet. Made here, so that a folder that is not there is called that.
    File::create(to).map_err(failed(to))?;
    let mut target = Connection::open(to).map_err(unsound(to))?;
    {
        let pages = Backup::new(source, &mut target).map_err(unsound(from))?;
        loop {
            let step = pages.step(PAGES_AT_ONCE).map_err(unsound(from))?;
            let seen = pages.progress();
            let total = u64::try_from(seen.pagecount).unwrap_or_default();
            let left = u64::try_from(seen.remaining).unwrap_or_default();
            progress(total.saturating_sub(left), total);
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => return Err(unsound(from)(EngineError::Unsound("state: it is locked"))),
            }
        }
    }
    moment.complete(&mut target).map_err(unsound(to))?;
    target.close().map_err(|(_, error)| unsound(to)(error))?;
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(failed(to))
}

fn known(path: &Path, found: &str) -> Result<(), MaintenanceError> {
    match found.parse() {
        Ok(found) if found > SCHEMA_VERSION => Err(MaintenanceError::Schema {
            path: path.to_owned(),
            found,
            known: SCHEMA_VERSION,
        }),
        Ok(_) => Ok(()),
        Err(_) => Err(MaintenanceError::Unsound {
            path: path.to_owned(),
            source: EngineError::Unsound("schema version"),
        }),
    }
}

fn begin_epoch(path: &Path) -> Result<(), MaintenanceError> {
    let connection = Connection::open(path).map_err(unsound(path))?;
    connection
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(unsound(path))?;
    connection
        .execute(
            "UPDATE meta SET value = ?1 WHERE name = 'epoch'",
            [schema::new_epoch().to_string()],
        )
        .map_err(unsound(path))?;
    connection
        .close()
        .map_err(|(_, error)| unsound(path)(error))
}

/// Puts the draft in the database's place. The old files get a second name before anything else, so that no moment of
/// this loses them.
fn replace(draft: &Path, database: &Path) -> Result<Option<PathBuf>, MaintenanceError> {
    let kept = database.exists().then(|| {
        let seconds = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        beside(database, &format!(".replaced-{seconds}"))
    });
    if let Some(kept) = &kept {
        std::fs::hard_link(database, kept).map_err(failed(kept))?;
        for name in ["-wal", redo::SUFFIX] {
            let (log, kept) = (beside(database, name), beside(kept, name));
            if log.exists() {
                std::fs::hard_link(&log, &kept).map_err(failed(&kept))?;
            }
        }
        sync_folder(database)?;
    }
    // They belong to the old database; the new one would take them for its own.
    for name in ["-wal", "-shm", redo::SUFFIX] {
        let path = beside(database, name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path)(error));
            }
            _ => {}
        }
    }
    std::fs::rename(draft, database).map_err(failed(database))?;
    sync_folder(database)?;
    Ok(kept)
}

fn sync_folder(of: &Path) -> Result<(), MaintenanceError> {
    redo::sync_folder(of).map_err(failed(of))
}

fn unsound<E: Into<EngineError>>(path: &Path) -> impl FnOnce(E) -> MaintenanceError {
    move |source| MaintenanceError::Unsound {
        path: path.to_owned(),
        source: source.into(),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> MaintenanceError {
    move |source| MaintenanceError::Write {
        path: path.to_owned(),
        source,
    }
}
