//! SQLite: opening, and the writer. Jobs run in one transaction that stays open over many groups of them. A group is stored
//! when its record is in the redo file (`crate::redo`); SQLite is given its statements when there is time
//! (`crate::tx`), and commits now and then.
//!
//! The writer has a thread, which takes the jobs that wait as one group. Where none waits and nobody writes, who has a job
//! runs it alone and at once: two hand-overs between threads take longer than the job. That is so as long as commits are
//! quick, since meanwhile that thread does nothing else.

mod desk;

use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use desk::Desk;
use futures::FutureExt;
use hextet_core::settings::CloudSettings;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::{error, info};

pub(crate) use desk::Direct;

use crate::audience::Audience;
use crate::engine::EngineError;
use crate::lock::{DatabaseLock, beside};
use crate::model::{Committed, Model};
use crate::network::TAKE_SEGMENT;
use crate::port::TAKE_MAC;
use crate::redo::{self, Redo, Statements};
use crate::schema::{self, Unusable};
use crate::stats::Counts;
use crate::store::{BUSY_TIMEOUT, OpenError, StoreConfig, Synchronous, unusable};
use crate::subnet::TAKE_ADDRESS;
use crate::tx::{CLAIM, Engine, Logged, Taken, Taking, Tx, View};
use crate::writer::{GROUP_MAX, Job, Order, Undo, ready};

/// How long the log grows before it is written into the database, pages of 4 KiB. Most pages are written by several
/// commits, and go into the database once.
const CHECKPOINT_PAGES: u32 = 4000;
/// Changed pages that are kept in memory until SQLite commits. Above its cache of 2 MB it would write them into its log in the
/// midst of jobs, the same ones again and again.
const CHANGED_PAGES_KEPT: u32 = 768;
/// How many prepared statements are kept.
const STATEMENTS_KEPT: usize = 128;
/// How long the disk writes, at least: what SQLite is given meanwhile costs nobody time.
const BESIDE_DISK: Duration = Duration::from_micros(20);
/// The tables of what is taken.
const TAKEN: &[Taking] = &[TAKE_SEGMENT, TAKE_MAC, TAKE_ADDRESS, CLAIM];
/// Opens a file, and starts its writer.
pub(crate) fn start(
    path: &Path,
    config: &StoreConfig,
    inbox: mpsc::Receiver<Order>,
    committed: broadcast::Sender<Arc<Committed>>,
) -> Result<(Audience, Direct), OpenError> {
    let lock = match DatabaseLock::take(path) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Err(OpenError::InUse { path: path.into() }),
        Err(source) => {
            let path = path.into();
            return Err(OpenError::Lock { path, source });
        }
    };
    let (tx, redo, model) =
        open(path, config).map_err(|error| unusable(&config.database, error))?;
    let audience = Audience {
        model: Arc::new(RwLock::new(model)),
        committed,
        counts: Counts::default(),
    };
    audience.counts.count_damage(redo.damaged);
    let writer = Writer {
        tx,
        redo,
        audience: audience.clone(),
        beside: BESIDE_DISK,
        open_since: None,
    };
    let desk = Desk::new(writer);
    let own = desk.clone();
    let thread = std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || run_thread(&own, inbox, lock))
        .map_err(OpenError::Thread)?;
    let thread = thread.thread().clone();
    Ok((audience, Direct { desk, thread }))
}

fn open(path: &Path, config: &StoreConfig) -> Result<(Tx, Redo, Model), Unusable> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Else a statement is prepared anew whenever other values are bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synced = config.synchronous == Synchronous::Full;
    connection.pragma_update(None, "synchronous", if synced { "FULL" } else { "OFF" })?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What savepoints keep to go back to is of no use after the process.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_spill", CHANGED_PAGES_KEPT)?;
    let records = redo::read(path)?;
    let mut tx = Tx::new(Engine::Sqlite(connection));
    ready(tx.batch("BEGIN IMMEDIATE"))?;
    // Before the tables are brought to this version: the statements are of the program that wrote them.
    let connection = tx.connection()?;
    let generation = redo::generation(connection)?;
    let done = redo::replay(connection, &records, generation)?;
    if done > 0 {
        info!(groups = done, "writes that were cut off are done again");
    }
    let wrong = redo::wrong(path, connection)?;
    if let Some(why) = wrong {
        error!(
            file = %beside(path, redo::SUFFIX).display(), why, done,
            "the server was cut off, and its redo file is not what it was: what was acknowledged in the last second before may be lost; look through the cloud, or put a backup back"
        );
    }
    let stranded = redo::stranded(&records, generation, done);
    if stranded > 0 {
        error!(
            done,
            stranded, "the redo file is damaged: writes behind those that are done again are lost"
        );
    }
    // At its full length before the database says that it has one.
    let mut redo = Redo::open(path, synced)?;
    redo.damaged = wrong.is_some() || stranded > 0;
    let identity = ready(schema::prepare(&mut tx, config.settings.server_duid))?;
    let settings = CloudSettings {
        server_duid: identity.server_duid,
        ..config.settings.clone()
    };
    let model = ready(Model::load(&mut tx, identity.epoch, settings))?;
    // Random, so that a file of another history of this database cannot count.
    let generation = rand::random();
    redo::set_generation(tx.connection()?, generation)?;
    redo::mark_served(tx.connection()?, true)?;
    ready(tx.batch("COMMIT"))?;
    tx.taken = Some(Taken::read(tx.connection()?, TAKEN)?);
    redo.begin(generation);
    // Into the database itself: SQLite's log may be taken away with the redo file.
    ready(tx.batch("PRAGMA wal_checkpoint(PASSIVE)"))?;
    Ok((tx, redo, model))
}

/// The writer's thread. Runs until told to close, or until every store handle is gone. The lock is given back once the
/// database is closed.
fn run_thread(desk: &Desk, mut orders: mpsc::Receiver<Order>, lock: DatabaseLock) {
    let waker = Waker::from(Arc::new(Alarm(std::thread::current())));
    let mut closing = None;
    loop {
        let wait = wait(&mut orders, &waker, desk);
        // Left by a panic it is of no use to anybody: later writes fail.
        let Ok(mut held) = desk.writer.lock() else {
            return;
        };
        let Some(writer) = held.as_mut() else { return };
        let gone = matches!(wait, Wait::Gone);
        match wait {
            Wait::Order(first) => {
                let group = gather(first, &mut orders, &mut closing);
                desk.commit(writer, group);
                writer.catch_up();
            }
            Wait::Due => writer.write_down_now(),
            Wait::Gone => {}
        }
        desk.note_due(writer);
        if gone || closing.is_some() {
            if let Some(writer) = held.take() {
                writer.close();
            }
            drop(lock);
            drop(closing);
            return;
        }
    }
}

/// How far a group's changes are.
#[derive(PartialEq, Eq)]
enum Kept {
    Stored,
    /// A record is on its way to the disk.
    UnderWay,
}

/// What writes.
struct Writer {
    tx: Tx,
    redo: Redo,
    audience: Audience,
    /// How long SQLite is given statements while the disk writes.
    beside: Duration,
    /// Since when SQLite's transaction is open. Where there is none, what the redo file's records say is not in SQLite.
    open_since: Option<Instant>,
}

impl Writer {
    /// Ends in order: SQLite has everything, and the redo file is not needed any more.
    fn close(mut self) {
        self.write_down_now();
        if self.redo.is_empty() {
            self.end();
        }
        let Self { tx, redo, .. } = self;
        drop(tx);
        redo.close();
    }

    fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        if group.is_empty() {
            return;
        }
        let begun = Instant::now();
        let outcome = self.run_group(&mut group).and_then(|changes| {
            let kept = self.keep()?;
            // The disk has begun, and what is left to do for the answers is done meanwhile.
            for job in &mut group {
                job.prepare();
            }
            if kept == Kept::UnderWay {
                self.finish_keeping()?;
            }
            Ok(changes)
        });
        let counts = &self.audience.counts;
        counts.count(group.len(), begun.elapsed(), outcome.is_ok());
        counts.ask(std::mem::take(&mut self.tx.statements), 0);
        self.tx.set_view(None);
        match outcome {
            Ok(changes) => {
                self.audience.publish(changes);
                for job in group {
                    job.finish(Ok(()));
                }
            }
            Err(fault) => {
                error!(error = %fault, "a group of writes was lost");
                self.roll_back();
                for job in group {
                    job.finish(Err(fault.retold()));
                }
            }
        }
    }

    /// Runs a group in the open transaction. The model is at the newest revision, because nobody else writes here, so
    /// that it answers for the documents.
    fn run_group(
        &mut self,
        group: &mut [Box<dyn Job>],
    ) -> Result<Vec<(u64, Vec<Logged>)>, EngineError> {
        self.begin()?;
        let newest = self.audience.model().generation().revision;
        let tx = &mut self.tx;
        tx.set_view(Some(View::new(self.audience.model.clone(), newest)));
        tx.recorded = Some(Statements::default());
        let mut committed = Vec::new();
        for job in group {
            tx.begin_job();
            let before = tx.recorded.as_ref().map_or(0, Statements::mark);
            match job.run(tx).now_or_never().unwrap_or(Err(Undo)) {
                Ok(changes) => {
                    tx.end_job()?;
                    committed.extend(changes);
                }
                // Some failures make SQLite give up the transaction as a whole, other jobs' work with it.
                Err(Undo) if tx.connection()?.is_autocommit() => {
                    return Err(EngineError::TransactionLost);
                }
                Err(Undo) => {
                    tx.undo_job()?;
                    if let Some(recorded) = &mut tx.recorded {
                        recorded.back_to(before);
                    }
                }
            }
        }
        Ok(committed)
    }

    /// Opens the transaction, with all in it that was acknowledged and that SQLite has not committed.
    fn begin(&mut self) -> Result<(), EngineError> {
        if self.open_since.is_none() {
            self.tx.control("BEGIN IMMEDIATE")?;
            self.redo.replay(self.tx.connection()?)?;
            self.open_since = Some(Instant::now());
        }
        if self.tx.taken.is_none() {
            self.tx.taken = Some(Taken::read(self.tx.connection()?, TAKEN)?);
        }
        Ok(())
    }

    /// Has the disk begin with what a group changed.
    fn keep(&mut self) -> Result<Kept, EngineError> {
        let statements = self.tx.recorded.take().unwrap_or_default();
        if statements.is_empty() {
            // Nothing is due of a transaction that changed nothing.
            if self.redo.is_empty() {
                self.tx.control("COMMIT")?;
                self.open_since = None;
            }
            return Ok(Kept::Stored);
        }
        match self.redo.append(&statements) {
            Ok(true) => return Ok(Kept::UnderWay),
            Ok(false) => self.write_down()?,
            Err(error) => self.do_without(&error)?,
        }
        Ok(Kept::Stored)
    }

    /// Waits for the disk, and gives SQLite some of what was put off meanwhile.
    fn finish_keeping(&mut self) -> Result<(), EngineError> {
        if let Err(fault) = self.tx.catch_up_for(self.beside) {
            self.redo.withdraw();
            return Err(fault);
        }
        let synced = self.redo.sync();
        synced.or_else(|error| self.do_without(&error))
    }

    /// Gives SQLite what was put off, where nobody waits. If it fails, nothing is lost, as in [`Writer::write_down_now`].
    fn catch_up(&mut self) {
        if let Err(fault) = self.tx.catch_up() {
            error!(error = %fault, "SQLite refused what was acknowledged; it is kept in the redo file");
            self.roll_back();
        }
    }

    fn do_without(&mut self, error: &io::Error) -> Result<(), EngineError> {
        error!(%error, "the redo file cannot be written; each write is a commit of SQLite from now on");
        self.write_down()
    }

    /// Commits SQLite's transaction, which makes the redo file's records void.
    fn write_down(&mut self) -> Result<(), EngineError> {
        self.tx.catch_up()?;
        redo::set_generation(self.tx.connection()?, self.redo.next_generation())?;
        self.tx.control("COMMIT")?;
        self.redo.begin_anew();
        self.open_since = None;
        Ok(())
    }

    /// The same where nobody waits for it. If it fails, nothing is lost: the next group finds everything in the redo file.
    fn write_down_now(&mut self) {
        if self.open_since.is_none() {
            return;
        }
        if let Err(fault) = self.write_down() {
            error!(error = %fault, "SQLite could not commit; its writes are kept in the redo file");
            self.roll_back();
        }
    }

    /// Says in the database that it needs no redo file any more.
    fn end(&mut self) {
        let ended = self.tx.connection();
        if let Err(fault) = ended.and_then(|sqlite| redo::mark_served(sqlite, false)) {
            error!(error = %fault, "SQLite could not note the end; the next start misses the redo file");
        }
    }

    /// Nothing of a lost group may leak into the next. What was acknowledged before is done again then.
    fn roll_back(&mut self) {
        self.tx.recorded = None;
        self.tx.forget_later();
        self.open_since = None;
        let open = self
            .tx
            .connection()
            .is_ok_and(|sqlite| !sqlite.is_autocommit());
        if open && let Err(fault) = self.tx.control("ROLLBACK") {
            error!(error = %fault, "SQLite could not roll back");
        }
    }
}

/// The jobs that wait, the first among them, up to [`GROUP_MAX`]; or the word to close.
fn gather(
    first: Order,
    orders: &mut mpsc::Receiver<Order>,
    closing: &mut Option<oneshot::Sender<()>>,
) -> Vec<Box<dyn Job>> {
    let mut group: Vec<Box<dyn Job>> = Vec::new();
    let mut next = Some(first);
    while let Some(order) = next.take() {
        match order {
            Order::Write(job) => group.push(job),
            Order::Close(done) => *closing = Some(done),
        }
        if group.len() < GROUP_MAX && closing.is_none() {
            next = orders.try_recv().ok();
        }
    }
    group
}

/// What the writer's thread waited for.
enum Wait {
    Order(Order),
    /// It is time.
    Due,
    /// Nobody can order any more.
    Gone,
}

/// Waits for an order, or until SQLite is to commit. Who opens its transaction beside the thread wakes it.
fn wait(orders: &mut mpsc::Receiver<Order>, waker: &Waker, desk: &Desk) -> Wait {
    loop {
        match orders.poll_recv(&mut Context::from_waker(waker)) {
            Poll::Ready(Some(order)) => return Wait::Order(order),
            Poll::Ready(None) => return Wait::Gone,
            Poll::Pending => {}
        }
        match desk
            .due()
            .map(|due| due.saturating_duration_since(Instant::now()))
        {
            None => std::thread::park(),
            Some(Duration::ZERO) => return Wait::Due,
            Some(left) => std::thread::park_timeout(left),
        }
    }
}

/// Wakes a thread that is parked.
struct Alarm(Thread);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests;
