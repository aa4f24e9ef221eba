//! What is written: jobs, each in a savepoint, and as many in one commit as are waiting.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::engine::EngineError;
use crate::store::WriteError;
use crate::tx::{Logged, Tx};

/// Most jobs in one commit.
pub(crate) const GROUP_MAX: usize = 64;

/// What a job left to be told to the model.
pub(crate) type Changes = Option<(u64, Vec<Logged>)>;

/// A job on its way through the writer.
pub(crate) trait Job: Send {
    /// Runs in its savepoint, again where the transaction is tried again. An error means: undo.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Changes, Undo>>;
    /// Makes of the answer what does not depend on the commit, while the disk is waited for.
    fn prepare(&mut self);
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

/// A closure, what is made of its answer, and the one who waits for that.
pub(crate) struct Write<F, T, E, G, U> {
    make: F,
    outcome: Option<Result<T, WriteError<E>>>,
    then: Option<G>,
    prepared: Option<Result<U, WriteError<E>>>,
    reply: oneshot::Sender<Result<U, WriteError<E>>>,
}

impl<F, T, E, G, U> Write<F, T, E, G, U> {
    pub(crate) fn new(make: F, then: G, reply: oneshot::Sender<Result<U, WriteError<E>>>) -> Self {
        Self {
            make,
            outcome: None,
            then: Some(then),
            prepared: None,
            reply,
        }
    }
}

impl<F, T, E, G, U> Job for Write<F, T, E, G, U>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
    T: Send,
    E: Send,
    G: FnOnce(T) -> U + Send,
    U: Send,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<Changes, Undo>> {
        Box::pin(async move {
            tx.reset();
            let waiting = tx.waiting();
            let (make, lent) = (&mut self.make, &mut *tx);
            let job = AssertUnwindSafe(async move {
                let job = make(lent);
                job.await
            });
            let ended = only_the_database(job.catch_unwind(), waiting).await;
            let outcome = match ended {
                Some(Ok(Ok(value))) => match tx.flush().await {
                    Ok(changes) => {
                        self.outcome = Some(Ok(value));
                        return Ok(changes);
                    }
                    Err(error) => WriteError::Engine(error),
                },
                Some(Ok(Err(refused))) => WriteError::Refused(refused),
                Some(Err(_)) => WriteError::Engine(EngineError::Panicked),
                None => WriteError::Engine(EngineError::ForeignAwait),
            };
            self.outcome = Some(Err(outcome));
            Err(Undo)
        })
    }

    fn prepare(&mut self) {
        let (Some(outcome), Some(then)) = (self.outcome.take(), self.then.take()) else {
            return;
        };
        self.prepared = Some(outcome.and_then(|value| {
            let then = AssertUnwindSafe(move || then(value));
            std::panic::catch_unwind(then).map_err(|_| WriteError::Engine(EngineError::Panicked))
        }));
    }

    fn finish(mut self: Box<Self>, committed: Result<(), EngineError>) {
        self.prepare();
        let outcome = match (self.prepared, committed) {
            (Some(Err(outcome)), _) => Err(outcome),
            (_, Err(error)) => Err(WriteError::Engine(error)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(WriteError::Engine(EngineError::Closed)),
        };
        // Whoever no longer waits has gone away; the write stands.
        let _ = self.reply.send(outcome);
    }
}

/// A future's answer; `None` when it waits for something else than its database, which `waiting` tells. SQLite never
/// makes it wait.
async fn only_the_database<T>(
    job: impl Future<Output = T>,
    waiting: Option<Arc<AtomicBool>>,
) -> Option<T> {
    let mut job = std::pin::pin!(job);
    std::future::poll_fn(move |context| match job.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => match &waiting {
            Some(waiting) if waiting.load(Ordering::Relaxed) => Poll::Pending,
            _ => Poll::Ready(None),
        },
    })
    .await
}

/// The answer of a future that only asks SQLite, which never waits.
pub(crate) fn ready<T, E: From<EngineError>>(
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    future
        .now_or_never()
        .unwrap_or_else(|| Err(EngineError::ForeignAwait.into()))
}
