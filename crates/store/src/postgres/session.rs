//! One connection: statements prepared once, answers waited for within a bound, and statements sent without waiting.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use crate::engine::EngineError;
use crate::value::{Row, Value};

/// Longest wait for one answer. The server gives up a little before, and says so (`statement_timeout`).
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Most answers that are left for later; then they are looked at first.
const SENT_MAX: usize = 512;

/// What became of the transaction beside the error that was told.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// Others were in the way: the same again may succeed.
    Again,
    /// The connection is of no more use.
    Lost(String),
}

/// A connection in use by one task.
pub(crate) struct Session {
    client: Arc<Client>,
    statements: HashMap<&'static str, Statement>,
    waiting: Arc<AtomicBool>,
    sent: Vec<Sent>,
    fate: Option<Fate>,
    answer_wait: Duration,
}

type Answer = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A statement on its way.
struct Sent {
    answer: Answer,
    expected: Option<u64>,
}

impl Session {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client: Arc::new(client),
            statements: HashMap::new(),
            waiting: Arc::default(),
            sent: Vec::new(),
            fate: None,
            answer_wait: ANSWER_WAIT_MAX,
        }
    }

    /// Whether the other end is gone already.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Set while an answer is waited for.
    pub(crate) fn waiting(&self) -> Arc<AtomicBool> {
        self.waiting.clone()
    }

    pub(super) fn fate(&self) -> Option<&Fate> {
        self.fate.as_ref()
    }

    /// Says that the connection is of no more use.
    pub(super) fn give_up(&mut self, why: &str) {
        self.fate = Some(Fate::Lost(why.to_owned()));
    }

    /// What became of the transaction, if it ended by itself.
    pub(super) fn take_fate(&mut self) -> Option<Fate> {
        self.fate.take()
    }

    /// Waits for this long for each answer from now on.
    pub(super) fn set_answer_wait(&mut self, wait: Duration) {
        self.answer_wait = wait;
    }

    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<u64, EngineError> {
        let statement = self.prepared(sql).await?;
        let client = self.client.clone();
        let params = parameters(params);
        let changed = self.wait(client.execute(&statement, &params)).await;
        self.first_error(changed).await
    }

    pub(crate) async fn query(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Vec<Row>, EngineError> {
        let statement = self.prepared(sql).await?;
        let client = self.client.clone();
        let params = parameters(params);
        let rows = self.wait(client.query(&statement, &params)).await;
        let rows = self.first_error(rows).await?;
        read(&rows)
    }

    /// A batch without parameters, then a query, both sent at once.
    pub(super) async fn batch_and_query(
        &mut self,
        batch: &str,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Vec<Row>, EngineError> {
        if batch.is_empty() {
            return self.query(sql, params).await;
        }
        let statement = self.prepared(sql).await?;
        let client = self.client.clone();
        let params = parameters(params);
        // Sent in the order in which they are polled first, which is the order here.
        let both = async {
            let (batch, rows) = tokio::join!(
                client.batch_execute(batch),
                client.query(&statement, &params),
            );
            batch?;
            rows
        };
        let rows = self.wait(both).await?;
        read(&rows)
    }

    /// Statements without parameters.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), EngineError> {
        let client = self.client.clone();
        let done = self.wait(client.batch_execute(sql)).await;
        self.first_error(done).await
    }

    /// Sends a statement; [`Session::settle`] looks at the answer.
    pub(crate) async fn send(
        &mut self,
        sql: &'static str,
        params: &[Value],
        expected: Option<u64>,
    ) -> Result<(), EngineError> {
        let statement = self.prepared(sql).await?;
        let client = self.client.clone();
        let params = params.to_vec();
        let answer = async move { client.execute(&statement, &parameters(&params)).await };
        self.keep(Box::pin(answer), expected).await
    }

    /// Sends statements without parameters; [`Session::settle`] looks at the answer.
    pub(super) async fn send_batch(&mut self, sql: &'static str) -> Result<(), EngineError> {
        let client = self.client.clone();
        let answer = async move { client.batch_execute(sql).await.map(|()| 0) };
        self.keep(Box::pin(answer), None).await
    }

    async fn keep(&mut self, mut answer: Answer, expected: Option<u64>) -> Result<(), EngineError> {
        if self.sent.len() >= SENT_MAX {
            self.settle().await?;
        }
        // The first poll is what sends it.
        match (&mut answer).now_or_never() {
            Some(answer) => self.judge(answer, expected),
            None => {
                self.sent.push(Sent { answer, expected });
                Ok(())
            }
        }
    }

    /// Waits for the answers to what was sent. Answers with the first error.
    pub(crate) async fn settle(&mut self) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        for Sent { answer, expected } in std::mem::take(&mut self.sent) {
            if matches!(self.fate, Some(Fate::Lost(_))) && outcome.is_err() {
                // There is nobody left to answer.
                break;
            }
            let answer = self.wait(answer).await;
            let judged = answer.and_then(|changed| expect(changed, expected));
            outcome = outcome.and(judged);
        }
        outcome
    }

    /// Forgets what was sent: the transaction is rolled back.
    pub(super) fn forget_sent(&mut self) {
        self.sent.clear();
    }

    /// Whether the database has no tables of ours.
    pub(crate) async fn is_empty(&mut self) -> Result<bool, EngineError> {
        let rows = self
            .query(
                "SELECT COUNT(*) FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_name = 'meta'",
                &[],
            )
            .await?;
        let row = rows.first().ok_or(EngineError::Unsound("catalog"))?;
        Ok(row.number(0)? == 0)
    }

    async fn prepared(&mut self, sql: &'static str) -> Result<Statement, EngineError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let client = self.client.clone();
        let statement = self.wait(client.prepare(sql)).await;
        let statement = self.first_error(statement).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// An error may only echo that of an earlier statement, which then is the one to tell.
    async fn first_error<T>(&mut self, outcome: Result<T, EngineError>) -> Result<T, EngineError> {
        match (outcome, &self.fate) {
            (Err(error), None) if !self.sent.is_empty() => {
                Err(self.settle().await.err().unwrap_or(error))
            }
            (outcome, _) => outcome,
        }
    }

    fn judge(
        &mut self,
        answer: Result<u64, tokio_postgres::Error>,
        expected: Option<u64>,
    ) -> Result<(), EngineError> {
        match answer {
            Ok(changed) => expect(changed, expected),
            Err(error) => Err(self.classify(error)),
        }
    }

    async fn wait<T>(
        &mut self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, EngineError> {
        self.waiting.store(true, Ordering::Relaxed);
        let answer = tokio::time::timeout(self.answer_wait, answer).await;
        self.waiting.store(false, Ordering::Relaxed);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.classify(error)),
            Err(_) => {
                let why = format!("no answer within {} s", self.answer_wait.as_secs());
                self.fate = Some(Fate::Lost(why.clone()));
                Err(EngineError::Unavailable(why))
            }
        }
    }

    /// What an error means (PostgreSQL, appendix A). Where it ends more than its statement, that is noted.
    fn classify(&mut self, error: tokio_postgres::Error) -> EngineError {
        let told = hextet_core::errors::chain(&error);
        let Some(state) = error.code() else {
            // Not the server's word: the connection broke, or speaks nonsense.
            self.fate = Some(Fate::Lost(told.clone()));
            return EngineError::Unavailable(told);
        };
        if [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ]
        .contains(state)
        {
            self.fate.get_or_insert(Fate::Again);
            return EngineError::Contended(1);
        }
        match &state.code()[..2] {
            // Connection exceptions, the operator's intervention, and a server that became a standby.
            "08" | "25" | "57" if is_final(state) => {
                self.fate = Some(Fate::Lost(told.clone()));
                EngineError::Unavailable(told)
            }
            // Timeouts of locks and statements; disk, memory or connections used up.
            "53" | "55" | "57" => EngineError::Unavailable(told),
            _ => EngineError::from(error),
        }
    }
}

/// Whether the connection ends with this error, or may as well.
fn is_final(state: &SqlState) -> bool {
    !matches!(
        *state,
        SqlState::QUERY_CANCELED
            | SqlState::IN_FAILED_SQL_TRANSACTION
            | SqlState::NO_ACTIVE_SQL_TRANSACTION
            | SqlState::ACTIVE_SQL_TRANSACTION
    )
}

fn expect(changed: u64, expected: Option<u64>) -> Result<(), EngineError> {
    match expected {
        Some(expected) if expected != changed => Err(EngineError::Unsound("row to change")),
        _ => Ok(()),
    }
}

fn read(rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, EngineError> {
    rows.iter().map(Row::read_postgres).collect()
}

fn parameters(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(Value::as_parameter).collect()
}
