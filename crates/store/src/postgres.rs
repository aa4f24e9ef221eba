//! The engine for several servers: one PostgreSQL, to which each server holds two connections. One writes, the other
//! follows the log and says how new the model is.

mod connect;
mod follow;
mod outage;
mod retry;
mod session;
mod told;
mod write;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use hextet_core::settings::CloudSettings;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;
use tracing::info;

use crate::audience::Audience;
use crate::database::PostgresUrl;
use crate::engine::EngineError;
use crate::model::Committed;
use crate::schema::{self, Unusable};
use crate::stats::Counts;
use crate::tx::{Engine, Tx};
use crate::writer::Order;
use connect::{ConnectError, Connector};
use follow::{Follower, READERS_MAX, Reader};
use outage::Outage;
use told::Told;
use write::Writer;

pub(crate) use session::Session;

/// How long a reader waits to hear how new the model is.
const READ_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often an opening says that it still waits.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How often an opening tries again.
const OPEN_RETRY: Duration = Duration::from_millis(200);
/// What servers that open a database at once take turns by: an arbitrary number, for `pg_advisory_xact_lock`.
const OPENING: i64 = 0x6865_7874_6574;

/// Asks whether the model is at the newest revision. Clones share it.
#[derive(Clone)]
pub(crate) struct Freshness(mpsc::Sender<Reader>);

impl Freshness {
    /// Waits until the model holds everything that was committed before the call. All who wait share one question.
    pub(crate) async fn reached(&self) -> Result<(), EngineError> {
        let (reader, answer) = oneshot::channel();
        let asked = async {
            self.0.send(reader).await.map_err(|_| EngineError::Closed)?;
            answer.await.map_err(|_| EngineError::Closed)?
        };
        tokio::time::timeout(READ_WAIT_MAX, asked)
            .await
            .unwrap_or_else(|_| {
                Err(EngineError::Unavailable(format!(
                    "the model is not at the newest revision after {} s",
                    READ_WAIT_MAX.as_secs()
                )))
            })
    }
}

/// How to open.
pub(crate) struct Opening {
    pub url: PostgresUrl,
    pub synchronous: bool,
    pub settings: CloudSettings,
    /// How long the database is waited for.
    pub patience: Duration,
}

/// Opens the database, makes or migrates its tables, reads it, and begins to follow and to write.
pub(crate) async fn open(
    opening: Opening,
    orders: mpsc::Receiver<Order>,
    committed: broadcast::Sender<Arc<Committed>>,
) -> Result<(Audience, Freshness), Unusable> {
    let connector = Connector::new(opening.url.clone(), opening.synchronous)?;
    let told = Told::default();
    let mut writing = wait_for(&connector, None, &opening).await?;
    prepare(&mut writing, &opening).await?;
    let mut following = wait_for(&connector, Some(told.clone()), &opening).await?;
    // Heard from here on, so that nothing falls between the reading and the following.
    following.batch(told::LISTEN).await?;
    let model = follow::load(&mut following, opening.settings).await?;
    let audience = Audience {
        model: Arc::new(RwLock::new(model)),
        committed,
        counts: Counts::default(),
    };
    let (asked, readers) = mpsc::channel(READERS_MAX);
    let outage = Outage::default();
    let follower = Follower {
        connector: connector.clone(),
        audience: audience.clone(),
        readers,
        outage: outage.clone(),
        told: told.clone(),
    };
    let writer = Writer {
        connector,
        audience: audience.clone(),
        orders,
        outage,
        told,
    };
    tokio::spawn(follower.run(following));
    tokio::spawn(writer.run(writing));
    Ok((audience, Freshness(asked)))
}

/// Makes or migrates the tables, one server at a time.
async fn prepare(tx: &mut Tx, opening: &Opening) -> Result<(), Unusable> {
    tx.session()?.set_answer_wait(follow::LOAD_WAIT_MAX);
    // READ COMMITTED, so that what another server made while this one waited is seen.
    tx.batch(&format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; \
         SET LOCAL statement_timeout = '110s'; SET LOCAL lock_timeout = '110s'; \
         SELECT pg_advisory_xact_lock({OPENING})"
    ))
    .await?;
    schema::prepare(tx, opening.settings.server_duid).await?;
    tx.batch("COMMIT").await?;
    tx.session()?.set_answer_wait(session::ANSWER_WAIT_MAX);
    Ok(())
}

/// A connection, waited for as long as `patience` says where waiting may help.
async fn wait_for(
    connector: &Connector,
    told: Option<Told>,
    opening: &Opening,
) -> Result<Tx, EngineError> {
    let begin = Instant::now();
    let mut said = begin;
    loop {
        match connector.connect(told.clone()).await {
            Ok(session) => return Ok(Tx::new(Engine::Postgres(Box::new(session)))),
            Err(ConnectError::Wrong(error)) => return Err(error),
            Err(ConnectError::Away(why)) if begin.elapsed() >= opening.patience => {
                return Err(EngineError::Unavailable(why));
            }
            Err(ConnectError::Away(why)) => {
                if said == begin || said.elapsed() >= PROGRESS_EVERY {
                    said = Instant::now();
                    let left_s = opening.patience.saturating_sub(begin.elapsed()).as_secs();
                    info!(why, left_s, "waiting for the database");
                }
            }
        }
        tokio::time::sleep(OPEN_RETRY).await;
    }
}
