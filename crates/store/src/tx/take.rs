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

/// The two forms of a statement that takes something.
#[derive(Clone, Copy)]
pub(crate) struct Taking {
    /// Fails where it is taken.
    pub plain: &'static str,
    /// Changes nothing where it is taken.
    pub asking: &'static str,
}

/// Both forms, from the first.
macro_rules! taking {
    ($sql:literal) => {
        $crate::tx::Taking {
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
        Ok(self.exec(sql.asking, params).await? == 1)
    }
}
