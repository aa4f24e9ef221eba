//! The one thread that writes: it runs jobs, each in a savepoint, and commits as many together as are waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::error;

use crate::engine::EngineError;
use crate::lock::DatabaseLock;
use crate::model::{Committed, Model};
use crate::store::WriteError;
use crate::tx::{Logged, Tx};

/// Most jobs in one commit.
const GROUP_MAX: usize = 64;

/// What a job left to be told to the model.
type Changes = Option<(u64, Vec<Logged>)>;

/// A job on its way through the writer.
pub(crate) trait Job: Send {
    /// Runs in its savepoint. An error means: undo.
    fn run(&mut self, tx: &mut Tx) -> Result<Changes, Undo>;
    /// Tells the caller, after the commit or its failure.
    fn finish(self: Box<Self>, committed: Result<(), EngineError>);
}

/// The savepoint is to be rolled back; the job knows why.
pub(crate) struct Undo;

/// A message to the writer.
pub(crate) enum Order {
    Write(Box<dyn Job>),
    /// Ends the thread; the sender is dropped when the database is closed.
    Close(oneshot::Sender<()>),
}

/// A closure and the one who waits for its answer.
pub(crate) struct Write<F, T, E> {
    make: F,
    outcome: Option<Result<T, WriteError<E>>>,
    reply: oneshot::Sender<Result<T, WriteError<E>>>,
}

impl<F, T, E> Write<F, T, E> {
    pub(crate) fn new(make: F, reply: oneshot::Sender<Result<T, WriteError<E>>>) -> Self {
        Self {
            make,
            outcome: None,
            reply,
        }
    }
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, tx: &mut Tx) -> Result<Changes, Undo> {
        tx.reset();
        // The future is polled once: SQLite never makes it wait, and nothing else may.
        let polled = catch_unwind(AssertUnwindSafe(|| (self.make)(tx).now_or_never()));
        let outcome = match polled {
            Ok(Some(Ok(value))) => match ready(tx.flush()) {
                Ok(changes) => {
                    self.outcome = Some(Ok(value));
                    return Ok(changes);
                }
                Err(error) => WriteError::Engine(error),
            },
            Ok(Some(Err(refused))) => WriteError::Refused(refused),
            Ok(None) => WriteError::Engine(EngineError::ForeignAwait),
            Err(_) => WriteError::Engine(EngineError::Panicked),
        };
        self.outcome = Some(Err(outcome));
        Err(Undo)
    }

    fn finish(self: Box<Self>, committed: Result<(), EngineError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(outcome)), _) => Err(outcome),
            (_, Err(error)) => Err(WriteError::Engine(error)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(WriteError::Engine(EngineError::Closed)),
        };
        // Whoever no longer waits has gone away; the write stands.
        let _ = self.reply.send(outcome);
    }
}

/// What the writer tells others after a commit.
pub(crate) struct Audience {
    pub model: Arc<RwLock<Model>>,
    pub committed: broadcast::Sender<Arc<Committed>>,
}

/// Runs until told to close, or until every store handle is gone. The lock is given back once the database is closed.
pub(crate) fn run(
    mut tx: Tx,
    mut orders: mpsc::Receiver<Order>,
    audience: &Audience,
    lock: DatabaseLock,
) {
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = orders.blocking_recv() else {
            break;
        };
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Write(job) => group.push(job),
                Order::Close(done) => closing = Some(done),
            }
            if group.len() < GROUP_MAX && closing.is_none() {
                next = orders.try_recv().ok();
            }
        }
        commit(&mut tx, group, audience);
    }
    drop(tx);
    drop(lock);
    drop(closing);
}

fn commit(tx: &mut Tx, mut group: Vec<Box<dyn Job>>, audience: &Audience) {
    if group.is_empty() {
        return;
    }
    let outcome = run_group(tx, &mut group);
    match outcome {
        Ok(changes) => {
            publish(changes, audience);
            for job in group {
                job.finish(Ok(()));
            }
        }
        Err(fault) => {
            error!(error = %fault, "a group of writes was lost");
            if !tx.connection().is_autocommit() {
                // Nothing of the group may leak into the next.
                let _ = tx.connection().execute_batch("ROLLBACK");
            }
            for job in group {
                job.finish(Err(EngineError::Commit(fault.to_string())));
            }
        }
    }
}

fn run_group(
    tx: &mut Tx,
    group: &mut [Box<dyn Job>],
) -> Result<Vec<(u64, Vec<Logged>)>, EngineError> {
    tx.connection().execute_batch("BEGIN IMMEDIATE")?;
    let mut committed = Vec::new();
    for job in group.iter_mut() {
        tx.connection().execute_batch("SAVEPOINT job")?;
        match job.run(tx) {
            Ok(changes) => {
                tx.connection().execute_batch("RELEASE job")?;
                committed.extend(changes);
            }
            Err(Undo) => {
                // Some failures make SQLite give up the transaction as a whole, other jobs' work with it.
                if tx.connection().is_autocommit() {
                    return Err(EngineError::TransactionLost);
                }
                tx.connection()
                    .execute_batch("ROLLBACK TO job; RELEASE job")?;
            }
        }
    }
    tx.connection().execute_batch("COMMIT")?;
    Ok(committed)
}

fn publish(changes: Vec<(u64, Vec<Logged>)>, audience: &Audience) {
    let mut commits = Vec::with_capacity(changes.len());
    {
        let mut model = audience
            .model
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (revision, logged) in changes {
            commits.push(model.apply(revision, logged));
        }
    }
    for commit in commits {
        // Nobody may be listening.
        let _ = audience.committed.send(Arc::new(commit));
    }
}

/// The answer of a future that only asks SQLite, which never waits.
pub(crate) fn ready<T>(
    future: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    future
        .now_or_never()
        .unwrap_or(Err(EngineError::ForeignAwait))
}
