//! Statements whose answers nobody needs at once. On PostgreSQL they are sent and not waited for. On SQLite those of a job
//! are put off until there is time: the disk takes the job's record in, or its caller has the answer. The record says what
//! they are, and nothing is left for them to find out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Engine, Tx};
use crate::engine::{EngineError, translate};
use crate::value::Value;

/// Most statements that are put off; with one more all are run at once.
const PUT_OFF_MAX: usize = 128;

/// Statements that are put off, in their order.
#[derive(Default)]
pub(crate) struct Later {
    statements: VecDeque<Statement>,
    /// How many of them are of jobs before the one that runs.
    earlier: usize,
    stage: Stage,
    /// One of an earlier job failed: SQLite's transaction lacks it.
    lost: bool,
}

/// What SQLite has of the job that runs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// None runs: nothing is put off.
    #[default]
    Outside,
    /// Nothing so far.
    Nothing,
    /// Some of it, in a savepoint.
    Savepoint,
}

struct Statement {
    sql: String,
    params: Vec<Value>,
    /// How many rows it must change.
    expected: Option<u64>,
}

impl Tx {
    /// Runs a statement whose answer nobody needs at once: what is wrong with it is said before the job ends, or later
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
        if self.later.stage != Stage::Outside {
            return self.put_off(sql, params, expected);
        }
        let changed = self.exec(sql, params).await?;
        check(expected, changed)
    }

    fn put_off(
        &mut self,
        sql: &'static str,
        params: &[Value],
        expected: Option<u64>,
    ) -> Result<(), EngineError> {
        if self.later.statements.len() >= PUT_OFF_MAX {
            self.run_what_was_put_off()?;
        }
        self.statements += 1;
        let sql = translate(sql);
        if let Some(recorded) = &mut self.recorded {
            recorded.push(&sql, params);
        }
        self.later.statements.push_back(Statement {
            sql,
            params: params.to_vec(),
            expected,
        });
        Ok(())
    }

    /// A job of SQLite begins. Until it ends, statements are put off, and what is run is run in a savepoint.
    pub(crate) fn begin_job(&mut self) {
        self.later.earlier = self.later.statements.len();
        self.later.stage = Stage::Nothing;
    }

    /// The job ended well.
    pub(crate) fn end_job(&mut self) -> Result<(), EngineError> {
        if let Some(taken) = &mut self.taken {
            taken.settle();
        }
        match std::mem::take(&mut self.later.stage) {
            Stage::Savepoint => self.control("RELEASE job"),
            Stage::Outside | Stage::Nothing => Ok(()),
        }
    }

    /// The job is undone.
    pub(crate) fn undo_job(&mut self) -> Result<(), EngineError> {
        if self.later.lost {
            return Err(EngineError::TransactionLost);
        }
        self.later.statements.truncate(self.later.earlier);
        self.counted.forget();
        if let Some(taken) = &mut self.taken {
            taken.undo();
        }
        if std::mem::take(&mut self.later.stage) == Stage::Savepoint {
            self.control("ROLLBACK TO job")?;
            self.control("RELEASE job")?;
        }
        Ok(())
    }

    /// Before a statement that is not put off: what comes before it is run. A job's own statements are in its savepoint,
    /// those of jobs before it are not.
    pub(super) fn run_what_was_put_off(&mut self) -> Result<(), EngineError> {
        if self.later.stage == Stage::Nothing {
            while self.later.earlier > 0 {
                self.later.earlier -= 1;
                self.run_next().inspect_err(|_| self.later.lost = true)?;
            }
            self.control("SAVEPOINT job")?;
            self.later.stage = Stage::Savepoint;
        }
        self.catch_up()
    }

    /// Runs what was put off.
    pub(crate) fn catch_up(&mut self) -> Result<(), EngineError> {
        while !self.later.statements.is_empty() {
            self.run_next()?;
        }
        Ok(())
    }

    /// The same, but begins none after so long.
    pub(crate) fn catch_up_for(&mut self, time: Duration) -> Result<(), EngineError> {
        let begun = Instant::now();
        while !self.later.statements.is_empty() && begun.elapsed() < time {
            self.run_next()?;
        }
        Ok(())
    }

    /// Whether SQLite has not been given everything.
    pub(crate) fn is_behind(&self) -> bool {
        !self.later.statements.is_empty()
    }

    fn run_next(&mut self) -> Result<(), EngineError> {
        let Some(next) = self.later.statements.pop_front() else {
            return Ok(());
        };
        let mut statement = self.connection()?.prepare_cached(&next.sql)?;
        let changed = statement.execute(rusqlite::params_from_iter(next.params))?;
        check(next.expected, changed as u64)
    }

    /// Forgets what was put off, and what is known of the tables: SQLite's transaction is undone.
    pub(crate) fn forget_later(&mut self) {
        self.later = Later::default();
        self.counted.forget();
        self.taken = None;
    }
}

fn check(expected: Option<u64>, changed: u64) -> Result<(), EngineError> {
    match expected {
        Some(expected) if expected != changed => Err(EngineError::Unsound("row to change")),
        _ => Ok(()),
    }
}
