//! What there may be one of is taken: a name, a MAC, an address, a segment, each a row of a table that has no room for a
//! second.

use super::{Engine, Tx};
use crate::engine::EngineError;
use crate::value::Value;

/// How that which is taken was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Somebody named it, so it may well be taken: the answer tells.
    Named,
    /// It was drawn out of so many that it is nearly always free. On PostgreSQL it is then counted on being free; where
    /// it was not, the closure is run again, and asks.
    Drawn,
}

/// A table of what is taken, and the two forms of the statement that takes.
#[derive(Clone, Copy)]
pub(crate) struct Taking {
    /// Its name.
    pub table: &'static str,
    /// How many of the statement's parameters, the first ones, there may be only once.
    pub key: usize,
    /// Those columns of each row.
    pub all: &'static str,
    /// Fails where it is taken.
    pub plain: &'static str,
    /// Changes nothing where it is taken.
    pub asking: &'static str,
}

/// A table, how many columns are its key, which, and the statement that takes.
macro_rules! taking {
    ($table:literal, $count:literal, $key:literal, $sql:literal) => {
        $crate::tx::Taking {
            table: $table,
            key: $count,
            all: concat!("SELECT ", $key, " FROM ", $table),
            plain: $sql,
            asking: concat!($sql, " ON CONFLICT DO NOTHING"),
        }
    };
}
pub(crate) use taking;

impl Tx {
    /// Takes something. False when it is taken.
    pub(crate) async fn take(
        &mut self,
        pick: Pick,
        sql: Taking,
        params: &[Value],
    ) -> Result<bool, EngineError> {
        if let Engine::Postgres(session) = &mut self.engine
            && pick == Pick::Drawn
            && !self.careful
        {
            self.statements += 1;
            session.guess(sql.plain, params).await?;
            return Ok(true);
        }
        let key = &params[..sql.key];
        let is_free = self
            .taken
            .as_ref()
            .is_some_and(|taken| taken.is_free(sql, key));
        if is_free {
            self.exec_later(sql.asking, params, Some(1)).await?;
        } else if self.exec(sql.asking, params).await? != 1 {
            return Ok(false);
        }
        if let Some(taken) = &mut self.taken {
            taken.take(sql, key);
        }
        Ok(true)
    }

    /// Notes that what was taken is given back, by a statement of the same job.
    pub(crate) fn give_back(&mut self, table: Taking, key: &[Value]) {
        if let Some(taken) = &mut self.taken {
            taken.give_back(table, key);
        }
    }
}
