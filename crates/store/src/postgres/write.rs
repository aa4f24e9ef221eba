//! The one task of this server that writes: jobs in savepoints, as many in one commit as are waiting, under a lock that
//! lets one server write at a time.
//!
//! The lock comes before the transaction's snapshot (a snapshot is taken by the first query, and LOCK is none), so that a
//! transaction sees every commit before its own: revisions are in the order of commits, and what the model says is what
//! the database says for as long as the lock is held.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error};

use super::connect::Connector;
use super::follow::{self, Look};
use super::outage::{Line, Outage};
use super::retry::Backoff;
use super::session::Fate;
use super::told::Told;
use crate::audience::Audience;
use crate::counter::READ_AHEAD;
use crate::engine::EngineError;
use crate::tx::{Engine, Logged, Tx, View};
use crate::writer::{Changes, GROUP_MAX, Job, Order, Undo};

/// How often a group is tried that others were in the way of.
const ATTEMPTS_MAX: usize = 8;
/// How long the jobs of a group may take together.
const GROUP_WAIT_MAX: Duration = Duration::from_secs(10);
/// `meta` is hardly ever written, so that no vacuum wants it; readers take no lock that this one minds.
const BEGIN: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE meta IN EXCLUSIVE MODE";

/// Why a group is not stored.
enum Failed {
    /// Others were in the way.
    Again,
    /// What was counted on being free is taken.
    Guessed,
    /// Nothing is stored.
    Lost(EngineError),
    /// The model is not where the log goes on; it is read anew by the follower.
    Behind,
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Failed::Lost(error)
    }
}

type Commits = Vec<(u64, Vec<Logged>)>;

pub(super) struct Writer {
    pub connector: Connector,
    pub audience: Audience,
    pub orders: mpsc::Receiver<Order>,
    pub outage: Outage,
    /// Wakes the follower.
    pub told: Told,
}

/// The connection, or when to try for one again.
enum Link {
    Up(Box<Tx>),
    Down { next: Instant, why: String },
}

impl Writer {
    /// Runs until told to close, or until every store handle is gone.
    pub(super) async fn run(mut self, tx: Tx) {
        let mut link = Link::Up(Box::new(tx));
        let mut backoff = Backoff::default();
        let mut closing = None;
        while closing.is_none() {
            let first = match &link {
                Link::Up(_) => self.orders.recv().await,
                Link::Down { next, .. } => {
                    match tokio::time::timeout_at(*next, self.orders.recv()).await {
                        Ok(first) => first,
                        Err(_) => {
                            self.connect(&mut link, &mut backoff).await;
                            continue;
                        }
                    }
                }
            };
            let Some(first) = first else { return };
            let mut group: Vec<Box<dyn Job>> = Vec::new();
            let mut next = Some(first);
            while let Some(order) = next.take() {
                match order {
                    Order::Write(job) => group.push(job),
                    Order::Close(done) => closing = Some(done),
                }
                if group.len() < GROUP_MAX && closing.is_none() {
                    next = self.orders.try_recv().ok();
                }
            }
            if !group.is_empty() {
                self.commit(&mut link, &mut backoff, group).await;
            }
        }
        drop(link);
        drop(closing);
    }

    /// Tries for a connection, unless it is too early for that.
    async fn connect(&self, link: &mut Link, backoff: &mut Backoff) {
        match link {
            Link::Up(tx) => {
                if tx.session().is_ok_and(|session| !session.is_closed()) {
                    return;
                }
            }
            Link::Down { next, .. } if Instant::now() < *next => return,
            Link::Down { .. } => {}
        }
        *link = match self.connector.connect(None).await {
            Ok(session) => {
                self.outage.end(Line::Writer);
                *backoff = Backoff::default();
                Link::Up(Box::new(Tx::new(Engine::Postgres(Box::new(session)))))
            }
            Err(error) => self.down(error.to_string(), backoff),
        };
    }

    fn down(&self, why: String, backoff: &mut Backoff) -> Link {
        self.outage.begin(Line::Writer, &why);
        Link::Down {
            next: Instant::now() + backoff.next(),
            why,
        }
    }

    async fn commit(&self, link: &mut Link, backoff: &mut Backoff, mut group: Vec<Box<dyn Job>>) {
        self.connect(link, backoff).await;
        let tx = match link {
            Link::Up(tx) => tx,
            Link::Down { why, .. } => {
                for job in group {
                    job.finish(Err(EngineError::Unavailable(why.clone())));
                }
                return;
            }
        };
        let begun = Instant::now();
        let outcome = self.attempt(tx, &mut group).await;
        let counts = &self.audience.counts;
        counts.count(group.len(), begun.elapsed(), outcome.is_ok());
        let round_trips = tx.session().map_or(0, |session| session.take_round_trips());
        counts.ask(std::mem::take(&mut tx.statements), round_trips);
        tx.set_view(None);
        let lost = match tx.session().map(|session| session.take_fate()) {
            Ok(Some(Fate::Lost(why))) => Some(why),
            _ => None,
        };
        if let Some(why) = lost {
            *link = self.down(why, backoff);
        }
        match outcome {
            Ok(commits) => {
                self.audience.publish(commits);
                for job in group {
                    job.finish(Ok(()));
                }
            }
            Err(fault) => {
                if !fault.is_passing() {
                    error!(error = %hextet_core::errors::chain(&fault), "a group of writes was lost");
                }
                for job in group {
                    job.finish(Err(fault.retold()));
                }
            }
        }
    }

    /// Runs a group, several times where others are in its way.
    async fn attempt(
        &self,
        tx: &mut Tx,
        group: &mut [Box<dyn Job>],
    ) -> Result<Commits, EngineError> {
        let mut wait = Backoff::default();
        tx.careful = false;
        for attempt in 1..=ATTEMPTS_MAX {
            let ran = tokio::time::timeout(GROUP_WAIT_MAX, self.run_group(tx, group)).await;
            let ended = match ran {
                Ok(Ok(Some(commits))) => end(tx, commits).await,
                Ok(Ok(None)) => Ok(Commits::new()),
                Ok(Err(failed)) => Err(failed),
                Err(_) => {
                    let why = format!("writes took more than {} s", GROUP_WAIT_MAX.as_secs());
                    tx.session()?.give_up(&why);
                    Err(Failed::Lost(EngineError::Unavailable(why)))
                }
            };
            match ended {
                Ok(commits) => return Ok(commits),
                Err(Failed::Lost(error)) => {
                    undo(tx).await;
                    return Err(error);
                }
                Err(Failed::Guessed) => {
                    undo(tx).await;
                    tx.careful = true;
                    continue;
                }
                Err(Failed::Again) => debug!(attempt, "others were in the way of a group"),
                Err(Failed::Behind) => {
                    debug!(attempt, "the model is to be read anew first");
                    self.told.wake();
                }
            }
            undo(tx).await;
            tokio::time::sleep(wait.next()).await;
        }
        Err(EngineError::Contended(ATTEMPTS_MAX))
    }

    /// Everything before the commit. `None`: nothing is left to commit, and no transaction.
    async fn run_group(
        &self,
        tx: &mut Tx,
        group: &mut [Box<dyn Job>],
    ) -> Result<Option<Commits>, Failed> {
        self.begin(tx).await?;
        tx.alone = group.len() == 1;
        if let [job] = group {
            return alone(tx, job.as_mut()).await;
        }
        let mut commits = Vec::new();
        for job in group.iter_mut() {
            commits.extend(among_others(tx, job.as_mut()).await?);
        }
        Ok(Some(commits))
    }

    /// Takes the lock, brings the model to the newest revision, so that it can answer for the documents, and reads
    /// counters that are likely to be asked for.
    async fn begin(&self, tx: &mut Tx) -> Result<(), Failed> {
        tx.set_view(None);
        let mut from = self.audience.model().generation();
        let ahead = tx.counted.ahead();
        let beside = (READ_AHEAD, ahead.as_slice());
        let begun = follow::begin_and_look(tx.session()?, BEGIN, from, beside).await;
        let (mut look, counters) = begun.map_err(|error| failed(tx, error))?;
        tx.counted.begin(&counters)?;
        loop {
            let Look::Commits { commits, more } = look else {
                return Err(Failed::Behind);
            };
            let newest = commits.last().map_or(from.revision, |(last, _)| *last);
            self.audience.publish(commits);
            if !more {
                let model = self.audience.model.clone();
                tx.set_view(Some(View::new(model, newest)));
                return Ok(());
            }
            from = self.audience.model().generation();
            let looked = follow::look(tx.session()?, from).await;
            look = looked.map_err(|error| failed(tx, error))?;
        }
    }
}

/// A job that shares its commit with none needs no savepoint: where it is undone, nothing is left to commit.
async fn alone(tx: &mut Tx, job: &mut dyn Job) -> Result<Option<Commits>, Failed> {
    match job.run(tx).await {
        Ok(changes) => Ok(Some(changes.into_iter().collect())),
        Err(Undo) => {
            goes_on(tx).await?;
            tx.session()?.batch("ROLLBACK").await?;
            Ok(None)
        }
    }
}

/// A job in a savepoint of its own; run again, asking, where what it counted on being free is taken.
async fn among_others(tx: &mut Tx, job: &mut dyn Job) -> Result<Changes, Failed> {
    loop {
        tx.session()?.send_batch("SAVEPOINT job").await?;
        let ran = job.run(tx).await;
        if let Ok(changes) = ran {
            tx.careful = false;
            tx.session()?.send_batch("RELEASE job").await?;
            return Ok(changes);
        }
        let guessed = match goes_on(tx).await {
            Err(Failed::Guessed) => true,
            fate => fate.map(|()| false)?,
        };
        tx.session()?.take_fate();
        tx.counted.forget();
        tx.session()?.batch("ROLLBACK TO job; RELEASE job").await?;
        // One that asks has counted on nothing.
        tx.careful = guessed && !tx.careful;
        if !tx.careful {
            return Ok(None);
        }
    }
}

/// Whether a job that ended badly left a transaction to go on with.
async fn goes_on(tx: &mut Tx) -> Result<(), Failed> {
    let session = tx.session()?;
    // It may have ended badly because of what was not as it counted on; the session's fate says so.
    let _ = session.settle_guesses().await;
    session.forget_sent();
    match session.fate() {
        Some(Fate::Again) => Err(Failed::Again),
        Some(Fate::Guessed) => Err(Failed::Guessed),
        Some(Fate::Lost(why)) => Err(Failed::Lost(EngineError::Unavailable(why.clone()))),
        None => Ok(()),
    }
}

/// The commit, and the word to the followers. Where nothing changed there is nothing to tell.
async fn end(tx: &mut Tx, commits: Commits) -> Result<Commits, Failed> {
    if let Err(error) = tx.session()?.settle_rows().await {
        return Err(failed(tx, error));
    }
    let batch = match commits.last() {
        Some((newest, _)) => format!("{}; COMMIT", Told::say(*newest)),
        None => "COMMIT".to_owned(),
    };
    let committed = tx.session()?.commit(batch).await;
    match (committed, tx.session()?.fate()) {
        (Ok(()), _) => Ok(commits),
        (Err(_), Some(Fate::Lost(why))) => {
            Err(Failed::Lost(EngineError::OutcomeUnknown(why.clone())))
        }
        (Err(error), _) => Err(failed(tx, error)),
    }
}

/// Rolls back what there is. A connection on which that fails is of no more use.
async fn undo(tx: &mut Tx) {
    tx.set_view(None);
    let Ok(session) = tx.session() else { return };
    session.forget_sent();
    if matches!(session.fate(), Some(Fate::Lost(_))) {
        return;
    }
    session.take_fate();
    if let Err(error) = session.batch("ROLLBACK").await {
        session.give_up(&error.to_string());
    }
}

fn failed(tx: &mut Tx, error: EngineError) -> Failed {
    match tx.session().map(|session| session.fate()) {
        Ok(Some(Fate::Again)) => Failed::Again,
        Ok(Some(Fate::Guessed)) => Failed::Guessed,
        _ => Failed::Lost(error),
    }
}
