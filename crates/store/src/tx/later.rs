//! Statements whose answers nobody needs at once. On PostgreSQL they are sent and not waited for. On SQLite those of a job
//! that is alone run while the disk takes its record in: the record says what they are, and nothing is left for them to find
//! out.

use super::{Engine, Tx};
use crate::engine::{EngineError, translate};
use crate::value::Value;

/// Most statements that are put off; with one more all are run at once.
const PUT_OFF_MAX: usize = 64;

/// Statements that are put off.
#[derive(Default)]
pub(crate) struct Later {
    /// Whether any are.
    on: bool,
    statements: Vec<Statement>,
}

struct Statement {
    sql: String,
    params: Vec<Value>,
    /// How many rows it must change.
    expected: Option<u64>,
}

impl Tx {
    /// Runs a statement whose answer nobody needs at once: what is wrong with it is said before the job ends, or its group
    /// where it is put off. It must change `expected` rows, where that is given.
    pub(crate) async fn exec_later(
        &mut self,
        sql: &'static str,
        params: &[Value],
        expected: Option<u64>,
    ) -> Result<(), EngineError> {
        if let Engine::Postgres(session) = &mut self.engine {
            self.statements += 1;
            return session.send(sql, params, expected).await;
        }
        if self.later.on {
            return self.put_off(sql, params, expected);
        }
        let changed = self.exec(sql, params).await?;
        check(expected, changed)
    }

    /// Statements whose answers nobody needs are put off from now on, or not any more. Those that were are run by
    /// [`Tx::catch_up`], before any that is not.
    pub(crate) fn set_putting_off(&mut self, on: bool) {
        self.later.on = on;
    }

    fn put_off(
        &mut self,
        sql: &'static str,
        params: &[Value],
        expected: Option<u64>,
    ) -> Result<(), EngineError> {
        if self.later.statements.len() >= PUT_OFF_MAX {
            self.catch_up()?;
        }
        self.statements += 1;
        let sql = translate(sql);
        if let Some(recorded) = &mut self.recorded {
            recorded.push(&sql, params);
        }
        self.later.statements.push(Statement {
            sql,
            params: params.to_vec(),
            expected,
        });
        Ok(())
    }

    /// Runs what was put off.
    pub(crate) fn catch_up(&mut self) -> Result<(), EngineError> {
        if self.later.statements.is_empty() {
            return Ok(());
        }
        let statements = std::mem::take(&mut self.later.statements);
        let connection = self.connection()?;
        for Statement {
            sql,
            params,
            expected,
        } in statements
        {
            let mut statement = connection.prepare_cached(&sql)?;
            let changed = statement.execute(rusqlite::params_from_iter(params))?;
            check(expected, changed as u64)?;
        }
        Ok(())
    }

    /// Forgets what was put off, and what is known of counters: it is undone.
    pub(crate) fn forget_later(&mut self) {
        self.later.statements.clear();
        self.counted.forget();
    }
}

fn check(expected: Option<u64>, changed: u64) -> Result<(), EngineError> {
    match expected {
        Some(expected) if expected != changed => Err(EngineError::Unsound("row to change")),
        _ => Ok(()),
    }
}
