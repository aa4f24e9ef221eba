//! The door: open, write, read, follow.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use hextet_core::settings::CloudSettings;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::audience::Audience;
use crate::database::Database;
use crate::engine::EngineError;
use crate::model::{Committed, Model};
use crate::postgres::{self, Freshness};
use crate::schema::{self, SCHEMA_VERSION, Unusable};
use crate::sqlite::{self, Direct};
use crate::stats::Stats;
use crate::tx::Tx;
use crate::writer::{Job, Order, Write};

/// Most writes that wait for the writer; whoever comes then waits to be let in.
const WRITE_QUEUE_MAX: usize = 1024;
/// Most commits that a subscriber may be behind before it must look at everything.
const COMMITS_BEHIND_MAX: usize = 1024;
/// How long an opening waits for another process to let go of the database.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// It does: what was acknowledged survives the loss of power.
    #[default]
    Full,
    /// It does not: for tests that show what is lost then, and for throw-away clouds.
    Off,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where it is; made when it is not there (of a PostgreSQL, the tables).
    pub database: Database,
    /// Whether a commit waits for the disk.
    pub synchronous: Synchronous,
    /// How long an opening waits for a PostgreSQL that is not there.
    pub patience: Duration,
    /// The cloud's settings. Their `server_duid` is taken into a new database; later the database's own holds.
    pub settings: CloudSettings,
}

impl StoreConfig {
    /// Default of [`StoreConfig::patience`].
    pub const PATIENCE: Duration = Duration::from_secs(60);

    /// A durable store in a SQLite file with these settings.
    pub fn new(path: impl AsRef<Path>, settings: CloudSettings) -> Self {
        Self::of(Database::from(path.as_ref()), settings)
    }

    /// A durable store with these settings.
    pub fn of(database: Database, settings: CloudSettings) -> Self {
        Self {
            database,
            synchronous: Synchronous::Full,
            patience: Self::PATIENCE,
            settings,
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be opened, made or read.
    #[error("cannot open the database {database}")]
    Open {
        /// Which.
        database: Database,
        /// Why not.
        #[source]
        source: EngineError,
    },
    /// Another server has it open: one writes a SQLite database.
    #[error("the database {path} is in use by another server")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// The lock beside the file, by which one server is told from a second, cannot be had.
    #[error("cannot lock the database {path}")]
    Lock {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A newer program made it.
    #[error(
        "the database {database} has schema version {found}; this program knows versions up to {known}"
    )]
    NewerSchema {
        /// Which.
        database: Database,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the writer thread")]
    Thread(#[source] std::io::Error),
}

/// Why a write changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The closure said no.
    #[error("the write was refused")]
    Refused(E),
    /// The database failed.
    #[error("the database failed")]
    Engine(#[source] EngineError),
}

/// A handle of the store; clones share it.
#[derive(Clone)]
pub struct Store {
    orders: mpsc::Sender<Order>,
    audience: Audience,
    /// The short way to write, on an engine that has one.
    direct: Option<Direct>,
    /// How new the model is, where others write too.
    freshness: Option<Freshness>,
}

impl Store {
    /// Opens a database, makes or migrates its tables, and reads it into the model. Meant for the start: a PostgreSQL
    /// that is not there is waited for, as long as `patience` says.
    ///
    /// # Errors
    /// When it cannot be read, is in use, or was made by a newer program.
    pub async fn open(config: StoreConfig) -> Result<Self, OpenError> {
        let (orders, inbox) = mpsc::channel(WRITE_QUEUE_MAX);
        let (committed, _) = broadcast::channel(COMMITS_BEHIND_MAX);
        let (audience, direct, freshness) = match config.database.clone() {
            Database::Sqlite(path) => {
                let open = move || sqlite::start(&path, &config, inbox, committed);
                let opened = tokio::task::spawn_blocking(open).await;
                let (audience, direct) =
                    opened.map_err(|error| OpenError::Thread(error.into()))??;
                (audience, Some(direct), None)
            }
            Database::Postgres(url) => {
                let opening = postgres::Opening {
                    url,
                    synchronous: config.synchronous == Synchronous::Full,
                    settings: config.settings,
                    patience: config.patience,
                };
                let opened = postgres::open(opening, inbox, committed).await;
                let (audience, freshness) =
                    opened.map_err(|error| unusable(&config.database, error))?;
                (audience, None, Some(freshness))
            }
        };
        Ok(Self {
            orders,
            audience,
            direct,
            freshness,
        })
    }

    /// Runs a closure in one transaction. What it changed is on the disk and in the model when this answers `Ok`; with an
    /// error nothing is changed. The closure may await nothing but its [`Tx`], and may be run again.
    ///
    /// # Errors
    /// [`WriteError::Refused`] with what the closure answered, [`WriteError::Engine`] when the database failed.
    pub async fn write<T, E, F>(&self, make: F) -> Result<T, WriteError<E>>
    where
        F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.write_then(make, |value| value).await
    }

    /// As [`Store::write`], and answers what `then` makes of the closure's answer. It runs once, while the disk is waited for:
    /// the write may still fail.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_then<T, E, F, G, U>(&self, make: F, then: G) -> Result<U, WriteError<E>>
    where
        F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        G: FnOnce(T) -> U + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
        U: Send + 'static,
    {
        let closed = || WriteError::Engine(EngineError::Closed);
        let (reply, answer) = oneshot::channel();
        if let Some(job) = self.run_at_once(Box::new(Write::new(make, then, reply))) {
            let order = Order::Write(job);
            self.orders.send(order).await.map_err(|_| closed())?;
        }
        answer.await.map_err(|_| closed())?
    }

    /// Runs a job on the short way, if there is one and it is free: nobody who waits already is overtaken. Else gives the
    /// job back.
    fn run_at_once(&self, job: Box<dyn Job>) -> Option<Box<dyn Job>> {
        let Some(direct) = &self.direct else {
            return Some(job);
        };
        if self.orders.capacity() < WRITE_QUEUE_MAX {
            return Some(job);
        }
        match direct.try_write(job) {
            Ok(false) => {}
            Ok(true) => {
                // Once the caller has its answer.
                let direct = direct.clone();
                tokio::spawn(async move { direct.catch_up() });
            }
            Err(job) => return Some(job),
        }
        None
    }

    /// Shows the model, which holds every write that was acknowledged before. The closure should be quick: commits wait
    /// for it.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when the engine cannot say what is newest. SQLite always can.
    pub async fn read<R>(&self, look: impl FnOnce(&Model) -> R) -> Result<R, EngineError> {
        // The writer takes a commit into the model before it acknowledges it, so that where nobody else writes there is
        // nothing to wait for.
        if let Some(freshness) = &self.freshness {
            freshness.reached().await?;
        }
        let model = self.audience.model();
        Ok(look(&model))
    }

    /// Shows the model as it stands, which may be behind what other servers wrote. For guesses that are checked later.
    pub fn glance<R>(&self, look: impl FnOnce(&Model) -> R) -> R {
        look(&self.audience.model())
    }

    /// How the writer of this process does.
    pub fn stats(&self) -> Stats {
        let queue = WRITE_QUEUE_MAX - self.orders.capacity();
        self.audience.counts.read(queue)
    }

    /// Every commit from now on, in order. A subscriber that falls too far behind gets `Lagged` and must look at the
    /// whole model. Subscribe first, then read: commits of a revision that the model had reached are then known.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.audience.committed.subscribe()
    }

    /// Begins a new epoch: the log of this database does not continue what others have seen (it was restored from a copy).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_epoch(&self) -> Result<u64, WriteError<EngineError>> {
        let epoch = schema::new_epoch();
        self.write(move |tx| {
            Box::pin(async move {
                tx.exec(
                    "UPDATE meta SET value = $1 WHERE name = 'epoch'",
                    &[epoch.to_string().into()],
                )
                .await
            })
        })
        .await?;
        self.audience.set_epoch(epoch);
        Ok(epoch)
    }

    /// Finishes what is under way and closes the database. Later writes fail.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.orders.send(Order::Close(done)).await.is_ok() {
            // The sender is dropped, not used, once the database is closed.
            let _ = closed.await;
        }
    }
}

pub(crate) fn unusable(database: &Database, error: Unusable) -> OpenError {
    let database = database.clone();
    match error {
        Unusable::Newer(found) => OpenError::NewerSchema {
            database,
            found,
            known: SCHEMA_VERSION,
        },
        Unusable::Engine(source) => OpenError::Open { database, source },
    }
}
