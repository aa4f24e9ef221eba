//! What is taken, told without asking SQLite. Where nobody else writes, the rows of the tables of which a name, a MAC, an
//! address or a segment is taken are known, as a number each. What has none is free; of what has one SQLite is asked.
//!
//! Numbers are 64 bits of a keyed hash, so nobody can make two keys of one. Of a million rows, two have the same once in 2^25
//! times.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use rusqlite::Connection;

use super::take::Taking;
use crate::engine::EngineError;
use crate::value::{Row, Value};

/// The numbers.
pub(crate) struct Taken {
    numbers: BTreeSet<u64>,
    hasher: RandomState,
    /// What the job that runs has taken, and what it has given back, which counts once it has ended well.
    fresh: Vec<u64>,
    given_back: Vec<u64>,
}

impl Taken {
    /// Reads the tables.
    pub(crate) fn read(sqlite: &Connection, tables: &[Taking]) -> Result<Self, EngineError> {
        let mut taken = Self {
            numbers: BTreeSet::new(),
            hasher: RandomState::new(),
            fresh: Vec::new(),
            given_back: Vec::new(),
        };
        for table in tables {
            let mut statement = sqlite.prepare(table.all)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let row = Row::read_sqlite(row, columns)?;
                let number = taken.number(*table, row.values());
                taken.numbers.insert(number);
            }
        }
        Ok(taken)
    }

    fn number(&self, table: Taking, key: &[Value]) -> u64 {
        self.hasher.hash_one((table.table, key))
    }

    /// Whether it is known that nobody has this.
    pub(super) fn is_free(&self, table: Taking, key: &[Value]) -> bool {
        !self.numbers.contains(&self.number(table, key))
    }

    /// The job takes it.
    pub(super) fn take(&mut self, table: Taking, key: &[Value]) {
        let number = self.number(table, key);
        self.given_back.retain(|back| *back != number);
        if self.numbers.insert(number) {
            self.fresh.push(number);
        }
    }

    /// The job gives it back.
    pub(super) fn give_back(&mut self, table: Taking, key: &[Value]) {
        self.given_back.push(self.number(table, key));
    }

    /// The job ended well.
    pub(super) fn settle(&mut self) {
        self.fresh.clear();
        for number in self.given_back.drain(..) {
            self.numbers.remove(&number);
        }
    }

    /// The job is undone.
    pub(super) fn undo(&mut self) {
        self.given_back.clear();
        for number in self.fresh.drain(..) {
            self.numbers.remove(&number);
        }
    }
}
