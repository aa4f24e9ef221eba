//! Follows the log into the model. The log is the truth: a notification only says that it is time to look.

use std::sync::Arc;
use std::time::Duration;

use hextet_core::plan::Generation;
use hextet_core::settings::CloudSettings;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::warn;

use super::connect::Connector;
use super::outage::{Line, Outage};
use super::retry::Backoff;
use super::session::{ANSWER_WAIT_MAX, Session};
use super::told::{self, Told};
use crate::audience::Audience;
use crate::document::Document;
use crate::engine::EngineError;
use crate::model::{self, Model};
use crate::schema;
use crate::tx::{Engine, Logged, Tx};
use crate::value::{Row, Value};

/// How long the log is not looked at when nobody reads and no notification comes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most lines of the log that one look takes in; there is another look then.
const LINES_MAX: usize = 10_000;
/// How long the whole database may take to be read.
pub(super) const LOAD_WAIT_MAX: Duration = Duration::from_secs(120);
/// Most readers that share one look.
pub(crate) const READERS_MAX: usize = 4096;

/// The log from the model's revision on. That revision's own first line comes too: it is there as long as the log goes on
/// from where the model is. Each says which history it is of, and which program's tables.
const LINES: &str = "SELECT revision, kind, id, op, CASE WHEN revision > $1 THEN body ELSE '' END, \
     project_id, public_bytes, admin_bytes, (SELECT value FROM meta WHERE name = 'epoch'), \
     (SELECT value FROM meta WHERE name = 'schema') FROM change \
     WHERE revision >= $1 AND (revision > $1 OR ordinal = 0) ORDER BY revision, ordinal LIMIT $2";
/// The same where the log is empty.
const META: &str = "SELECT (SELECT value FROM meta WHERE name = 'epoch'), \
     (SELECT value FROM meta WHERE name = 'schema')";

/// Who waits for the model to be at the newest revision.
pub(crate) type Reader = oneshot::Sender<Result<(), EngineError>>;

/// What one look at the log found.
pub(super) enum Look {
    /// Commits that the model may not have yet; `more` where there was no room for all.
    Commits {
        commits: Vec<(u64, Vec<Logged>)>,
        more: bool,
    },
    /// The log does not go on from where the model is.
    Broken,
}

/// Looks at the log from a generation on.
pub(super) async fn look(session: &mut Session, from: Generation) -> Result<Look, EngineError> {
    let lines = session.query(LINES, &from_here(from)).await?;
    judge(session, &lines, from).await
}

/// The same, and the answer of another query, both right behind what begins a transaction.
pub(super) async fn begin_and_look(
    session: &mut Session,
    begin: &str,
    from: Generation,
    beside: (&'static str, &[Value]),
) -> Result<(Look, Vec<Row>), EngineError> {
    let (lines, others) = session
        .batch_and_queries(begin, (LINES, &from_here(from)), beside)
        .await?;
    Ok((judge(session, &lines, from).await?, others))
}

/// The parameters of [`LINES`].
fn from_here(from: Generation) -> [Value; 2] {
    [from.revision.into(), LINES_MAX.into()]
}

/// What lines of the log say.
async fn judge(
    session: &mut Session,
    lines: &[Row],
    from: Generation,
) -> Result<Look, EngineError> {
    let empty = match lines.is_empty() {
        true => session.query(META, &[]).await?,
        false => Vec::new(),
    };
    let (epoch, version) = match (lines.first(), empty.first()) {
        (Some(line), _) => (line.text(8)?, line.text(9)?),
        (None, Some(row)) => (row.text(0)?, row.text(1)?),
        (None, None) => return Err(EngineError::Unsound("meta row")),
    };
    if version.parse() != Ok(schema::SCHEMA_VERSION) {
        return Err(EngineError::Unavailable(
            "a newer program has changed its tables: this one must be replaced".to_owned(),
        ));
    }
    if epoch.parse() != Ok(from.epoch) {
        return Ok(Look::Broken);
    }
    sort(lines, from)
}

/// Puts the lines into commits.
fn sort(lines: &[Row], from: Generation) -> Result<Look, EngineError> {
    let full = lines.len() >= LINES_MAX;
    let mut commits: Vec<(u64, Vec<Logged>)> = Vec::new();
    let mut next = from.revision;
    for (place, line) in lines.iter().enumerate() {
        let revision = line.number(0)?;
        if place == 0 && from.revision > 0 {
            if revision != from.revision {
                return Ok(Look::Broken);
            }
            continue;
        }
        match commits.last_mut() {
            Some((last, logged)) if *last == revision => logged.push(logged_of(line)?),
            _ if revision != next + 1 => return Ok(Look::Broken),
            _ => {
                next = revision;
                commits.push((revision, vec![logged_of(line)?]));
            }
        }
    }
    if lines.is_empty() && from.revision > 0 {
        return Ok(Look::Broken);
    }
    if full && commits.len() > 1 {
        // The last one may not be whole.
        commits.pop();
    } else if full {
        return Ok(Look::Broken);
    }
    Ok(Look::Commits {
        commits,
        more: full,
    })
}

fn logged_of(line: &Row) -> Result<Logged, EngineError> {
    let (revision, kind, id) = (line.number(0)?, line.text(1)?, line.text(2)?);
    let document = match line.text(3)? {
        "put" => Some(Document::restore(
            id,
            line.text(5)?,
            revision,
            line.text(4)?,
            line.number(6)?,
            line.number(7)?,
        )?),
        "delete" => None,
        _ => return Err(EngineError::Unsound("line of the log")),
    };
    let change = model::decode(kind, id, document.as_ref())?;
    Ok(Logged {
        kind: kind.into(),
        id: id.into(),
        document: document.map(Arc::new),
        change: change.map(Arc::new),
    })
}

/// Brings the model to the newest revision.
async fn catch_up(tx: &mut Tx, audience: &Audience) -> Result<(), EngineError> {
    loop {
        let from = audience.model().generation();
        match look(tx.session()?, from).await? {
            Look::Commits { commits, more } => {
                audience.publish(commits);
                if !more {
                    return Ok(());
                }
            }
            Look::Broken => {
                warn!(
                    epoch = from.epoch,
                    revision = from.revision,
                    "the log does not go on from here: the database is read anew"
                );
                let settings = audience.model().snapshot().settings().clone();
                let model = load(tx, settings).await?;
                audience.replace(from, model);
            }
        }
    }
}

/// Reads the whole database as it is at one moment.
pub(super) async fn load(tx: &mut Tx, settings: CloudSettings) -> Result<Model, EngineError> {
    tx.session()?.set_answer_wait(LOAD_WAIT_MAX);
    tx.batch(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '110s'; \
         SET LOCAL idle_in_transaction_session_timeout = 0",
    )
    .await?;
    let identity = schema::identity(tx).await?;
    let settings = CloudSettings {
        server_duid: identity.server_duid,
        ..settings
    };
    let model = Model::load(tx, identity.epoch, settings).await?;
    tx.batch("COMMIT").await?;
    tx.session()?.set_answer_wait(ANSWER_WAIT_MAX);
    Ok(model)
}

/// Whether the log still holds what the model took from it last: a database that was put back and has gone another way
/// since may be at any revision.
async fn goes_on(tx: &mut Tx, audience: &Audience) -> Result<bool, EngineError> {
    let revision = audience.model().generation().revision;
    let lines = tx
        .rows(
            "SELECT kind, id, op, body FROM change WHERE revision = $1",
            &[revision.into()],
        )
        .await?;
    let model = audience.model();
    if model.generation().revision != revision {
        // The writer took a commit in meanwhile, so it found the log in order.
        return Ok(true);
    }
    for line in &lines {
        let stored = model.document(line.text(0)?, line.text(1)?);
        let same = match line.text(2)? {
            "put" => stored.is_some_and(|document| {
                document.revision != revision
                    || line.text(3).is_ok_and(|body| document.text() == body)
            }),
            _ => stored.is_none(),
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(revision == 0 || !lines.is_empty())
}

/// Follows until every store handle is gone.
pub(super) struct Follower {
    pub connector: Connector,
    pub audience: Audience,
    pub readers: mpsc::Receiver<Reader>,
    pub outage: Outage,
    pub told: Told,
}

impl Follower {
    /// `tx` is the connection that the store was opened with.
    pub(super) async fn run(mut self, tx: Tx) {
        let mut connected = Some(tx);
        let mut backoff = Backoff::default();
        loop {
            let ended = match connected.take() {
                Some(tx) => self.follow(tx).await,
                None => match self.connect().await {
                    Ok(tx) => {
                        self.outage.end(Line::Follower);
                        backoff = Backoff::default();
                        self.follow(tx).await
                    }
                    Err(error) => Err(error),
                },
            };
            let Err(error) = ended else { return };
            self.outage.begin(Line::Follower, &error);
            if !self.refuse_readers(backoff.next(), &error).await {
                return;
            }
        }
    }

    async fn connect(&self) -> Result<Tx, String> {
        let mut tx = match self.connector.connect(Some(self.told.clone())).await {
            Ok(session) => Tx::new(Engine::Postgres(Box::new(session))),
            Err(error) => return Err(error.to_string()),
        };
        let resumed = async {
            tx.batch(told::LISTEN).await?;
            if !goes_on(&mut tx, &self.audience).await? {
                let from = self.audience.model().generation();
                warn!(
                    revision = from.revision,
                    "another history stands in the database: it is read anew"
                );
                let settings = self.audience.model().snapshot().settings().clone();
                let model = load(&mut tx, settings).await?;
                self.audience.replace(from, model);
            }
            catch_up(&mut tx, &self.audience).await
        };
        match resumed.await {
            Ok(()) => Ok(tx),
            Err(error) => Err(hextet_core::errors::chain(&error)),
        }
    }

    /// Answers readers and follows notifications until the connection fails. `Ok`: nobody holds the store any more.
    async fn follow(&mut self, mut tx: Tx) -> Result<(), String> {
        let mut waiting: Vec<Reader> = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = self.readers.recv_many(&mut waiting, READERS_MAX) => {
                    if count == 0 {
                        return Ok(());
                    }
                }
                () = self.told.newer_than(|| self.audience.model().generation().revision) => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let outcome = catch_up(&mut tx, &self.audience).await;
            match outcome {
                Ok(()) => {
                    for reader in waiting.drain(..) {
                        // Whoever no longer waits has gone away.
                        let _ = reader.send(Ok(()));
                    }
                }
                Err(error) => {
                    let told = hextet_core::errors::chain(&error);
                    for reader in waiting.drain(..) {
                        let _ = reader.send(Err(EngineError::Unavailable(told.clone())));
                    }
                    return Err(told);
                }
            }
        }
    }

    /// Lets time pass, and says no to whoever comes meanwhile. False: nobody holds the store any more.
    async fn refuse_readers(&mut self, wait: Duration, told: &str) -> bool {
        let end = Instant::now() + wait;
        loop {
            match tokio::time::timeout_at(end, self.readers.recv()).await {
                Ok(Some(reader)) => {
                    let _ = reader.send(Err(EngineError::Unavailable(told.to_owned())));
                }
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }
}
