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
    /// What was drawn and counted on being free is taken: the same again, asking.
    Guessed,
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
    /// How often an answer was waited for, since this was last looked at.
    round_trips: u64,
}

type Answer = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A statement on its way.
struct Sent {
    answer: Answer,
    expected: Expected,
}

/// What of an answer is judged beside its error.
#[derive(Clone, Copy)]
enum Expected {
    /// Nothing: a statement that does not do what it should fails.
    Done,
    /// So many rows are changed.
    Rows(u64),
    /// What is taken was free.
    Free,
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
            round_trips: 0,
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

    /// How often an answer was waited for since the last call.
    pub(super) fn take_round_trips(&mut self) -> u64 {
        std::mem::take(&mut self.round_trips)
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

    /// A batch without parameters, then two queries, all sent at once.
    pub(super) async fn batch_and_queries(
        &mut self,
        batch: &str,
        (first, first_params): (&'static str, &[Value]),
        (second, second_params): (&'static str, &[Value]),
    ) -> Result<(Vec<Row>, Vec<Row>), EngineError> {
        let first = self.prepared(first).await?;
        let second = self.prepared(second).await?;
        let client = self.client.clone();
        let (first_params, second_params) = (parameters(first_params), parameters(second_params));
        // Sent in the order in which they are polled first, which is the order here.
        let all = async {
            let (batch, first, second) = tokio::join!(
                client.batch_execute(batch),
                client.query(&first, &first_params),
                client.query(&second, &second_params),
            );
            batch?;
            Ok((first?, second?))
        };
        let (first, second) = self.wait(all).await?;
        Ok((read(&first)?, read(&second)?))
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
        let expected = expected.map_or(Expected::Done, Expected::Rows);
        self.send_for(sql, params, expected).await
    }

    /// Sends a statement that takes what was drawn, counting on its being free.
    pub(crate) async fn guess(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<(), EngineError> {
        self.send_for(sql, params, Expected::Free).await
    }

    async fn send_for(
        &mut self,
        sql: &'static str,
        params: &[Value],
        expected: Expected,
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
        self.keep(Box::pin(answer), Expected::Done).await
    }

    /// Ends the transaction behind what was sent, and waits for all of it. A statement that failed has undone the
    /// transaction, so that nothing is committed then; what is told by a number of rows must have been settled before.
    pub(super) async fn commit(&mut self, batch: String) -> Result<(), EngineError> {
        let client = self.client.clone();
        let answer = async move { client.batch_execute(&batch).await.map(|()| 0) };
        let sent = self.keep(Box::pin(answer), Expected::Done).await;
        let settled = self.settle().await;
        sent.and(settled)
    }

    /// Waits for the answers to what was sent, if one of them is more than done or failed.
    pub(super) async fn settle_rows(&mut self) -> Result<(), EngineError> {
        self.settle_if(|expected| matches!(expected, Expected::Rows(_)))
            .await
    }

    /// Waits for the answers to what was sent, if something among it is counted on being free.
    pub(super) async fn settle_guesses(&mut self) -> Result<(), EngineError> {
        self.settle_if(|expected| matches!(expected, Expected::Free))
            .await
    }

    async fn settle_if(&mut self, what: fn(Expected) -> bool) -> Result<(), EngineError> {
        let found = self.sent.iter().any(|sent| what(sent.expected));
        match found {
            true => self.settle().await,
            false => Ok(()),
        }
    }

    async fn keep(&mut self, mut answer: Answer, expected: Expected) -> Result<(), EngineError> {
        if self.sent.len() >= SENT_MAX {
            self.settle().await?;
        }
        // The first poll is what sends it.
        match (&mut answer).now_or_never() {
            Some(answer) => {
                let answer = answer.map_err(|error| self.classify(error, expected));
                answer.and_then(|changed| expect(changed, expected))
            }
            None => {
                self.sent.push(Sent { answer, expected });
                Ok(())
            }
        }
    }

    /// Waits for the answers to what was sent. Answers with the first error.
    pub(crate) async fn settle(&mut self) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        self.round_trips += u64::from(!self.sent.is_empty());
        for Sent { answer, expected } in std::mem::take(&mut self.sent) {
            if matches!(self.fate, Some(Fate::Lost(_))) && outcome.is_err() {
                // There is nobody left to answer.
                break;
            }
            let answer = self.answer(answer, expected).await;
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

    async fn wait<T>(
        &mut self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, EngineError> {
        self.round_trips += 1;
        self.answer(answer, Expected::Done).await
    }

    async fn answer<T>(
        &mut self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
        expected: Expected,
    ) -> Result<T, EngineError> {
        self.waiting.store(true, Ordering::Relaxed);
        let answer = tokio::time::timeout(self.answer_wait, answer).await;
        self.waiting.store(false, Ordering::Relaxed);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.classify(error, expected)),
            Err(_) => {
                let why = format!("no answer within {} s", self.answer_wait.as_secs());
                self.fate = Some(Fate::Lost(why.clone()));
                Err(EngineError::Unavailable(why))
            }
        }
    }

    /// What an error means (PostgreSQL, appendix A). Where it ends more than its statement, that is noted.
    fn classify(&mut self, error: tokio_postgres::Error, expected: Expected) -> EngineError {
        let told = hextet_core::errors::chain(&error);
        let Some(state) = error.code() else {
            // Not the server's word: the connection broke, or speaks nonsense.
            self.fate = Some(Fate::Lost(told.clone()));
            return EngineError::Unavailable(told);
        };
        if matches!(expected, Expected::Free) && *state == SqlState::UNIQUE_VIOLATION {
            self.fate.get_or_insert(Fate::Guessed);
            return EngineError::Contended(1);
        }
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

fn expect(changed: u64, expected: Expected) -> Result<(), EngineError> {
    match expected {
        Expected::Rows(expected) if expected != changed => {
            Err(EngineError::Unsound("row to change"))
        }
        _ => Ok(()),
    }
}

fn read(rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, EngineError> {
    rows.iter().map(Row::read_postgres).collect()
}

fn parameters(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(Value::as_parameter).collect()
}
