//! Counters: numbers that are handed out, and how many of a kind a project has (`crate::quota`).
//!
//! On PostgreSQL each question is a round trip. The lock of the writers makes a counter, once read, known until the
//! transaction ends, and those that the last transactions asked for are read with the transaction's first question. On SQLite,
//! where nobody else writes, it is known until something is undone.

use std::collections::HashMap;

use crate::engine::EngineError;
use crate::tx::Tx;
use crate::value::{Row, Value};

/// Numbers that are handed out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Ports' numbers in the fast path.
    PortNumber,
    /// Subnets' places in the order of creation.
    SubnetSequence,
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Counter::PortNumber => "port_number",
            Counter::SubnetSequence => "subnet_sequence",
        }
    }
}

/// How many counters are read ahead: the two of [`Counter`], and three of each of two projects.
const AHEAD_MAX: usize = 8;
/// How many counters are known at most; one more, and they are read again.
const KNOWN_MAX: usize = 1024;
/// The first of these.
pub(crate) const READ_AHEAD: &str =
    "SELECT name, value FROM counter WHERE name IN ($1, $2, $3, $4, $5, $6, $7, $8)";
const ADD_ONE: &str = "INSERT INTO counter (name, value) VALUES ($1, 1) \
     ON CONFLICT (name) DO UPDATE SET value = counter.value + 1";

/// What is known of the counters: within a transaction of PostgreSQL, on SQLite from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    known: HashMap<String, u64>,
    /// What was asked for last, the latest at the end; at most [`AHEAD_MAX`].
    asked: Vec<String>,
}

impl Counted {
    /// The parameters of [`READ_AHEAD`].
    pub(crate) fn ahead(&self) -> Vec<Value> {
        let names = self.asked.iter().map(|name| name.as_str().into());
        let none = std::iter::repeat("".into());
        names.chain(none).take(AHEAD_MAX).collect()
    }

    /// A transaction begins, with what [`READ_AHEAD`] answered.
    pub(crate) fn begin(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        self.known = self.asked.iter().map(|name| (name.clone(), 0)).collect();
        for row in rows {
            self.known.insert(row.text(0)?.to_owned(), row.number(1)?);
        }
        Ok(())
    }

    /// Something was undone: nothing is known any more.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// Notes that a counter was asked for.
    fn ask(&mut self, name: &str) {
        if let Some(place) = self.asked.iter().position(|asked| asked == name) {
            self.asked[place..].rotate_left(1);
            return;
        }
        if self.asked.len() >= AHEAD_MAX {
            self.asked.remove(0);
        }
        self.asked.push(name.to_owned());
    }

    fn know(&mut self, name: &str, value: u64) {
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(name.to_owned(), value);
    }

    fn change(&mut self, name: &str, change: impl FnOnce(u64) -> u64) {
        if let Some(value) = self.known.get_mut(name) {
            *value = change(*value);
        }
    }
}

impl Tx {
    /// The next number of a counter, from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self, counter: Counter) -> Result<u64, EngineError> {
        let next = self.count(counter.name()).await? + 1;
        self.add_one(counter.name()).await?;
        Ok(next)
    }

    /// Where a counter stands; 0 when there is none.
    pub(crate) async fn count(&mut self, name: &str) -> Result<u64, EngineError> {
        if !self.is_sole() {
            self.counted.ask(name);
        }
        if let Some(known) = self.counted.known.get(name) {
            return Ok(*known);
        }
        let sql = "SELECT value FROM counter WHERE name = $1";
        let rows = self.rows(sql, &[name.into()]).await?;
        let value = rows.first().map_or(Ok(0), |row| row.number(0))?;
        self.counted.know(name, value);
        Ok(value)
    }

    /// Counts one more.
    pub(crate) async fn add_one(&mut self, name: &str) -> Result<(), EngineError> {
        self.exec_later(ADD_ONE, &[name.into()], None).await?;
        self.counted.change(name, |value| value + 1);
        Ok(())
    }

    /// Counts one less of what was counted before.
    pub(crate) async fn take_one(&mut self, name: &str) -> Result<(), EngineError> {
        self.exec_later(
            "UPDATE counter SET value = value - 1 WHERE name = $1",
            &[name.into()],
            Some(1),
        )
        .await?;
        self.counted.change(name, |value| value.saturating_sub(1));
        Ok(())
    }
}
