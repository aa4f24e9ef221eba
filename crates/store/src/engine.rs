//! What the SQL of this crate is written against: values, rows, errors. Nothing here names a table.

use rusqlite::types::{ToSqlOutput, ValueRef};

/// The database failed us, or we failed it. Never the user's doing.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A statement failed.
    #[error("the database refused a statement")]
    Statement(#[source] rusqlite::Error),
    /// A job waited for something that is not the database. A transaction holds up every other one, so it may not.
    #[error("a transaction waited for something outside the database")]
    ForeignAwait,
    /// A job panicked; its changes are undone.
    #[error("a transaction panicked")]
    Panicked,
    /// The engine gave up the whole transaction in which this job ran beside others (disk full, input or output error).
    #[error("the database gave up the transaction")]
    TransactionLost,
    /// The commit failed; nothing of it is stored.
    #[error("the commit failed: {0}")]
    Commit(String),
    /// The database cannot be reached; nothing was changed. It passes by itself.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The connection broke while a commit was under way. What was written may be stored or not; the model follows what is.
    #[error("the database was lost during a commit, which may have happened or not: {0}")]
    OutcomeUnknown(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// A stored document is not what its kind says.
    #[error("the {kind} {id} cannot be read")]
    Document {
        /// Its kind.
        kind: String,
        /// Its id.
        id: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A row is not there, or has another form, where the tables' rules say that it must be.
    #[error("the database holds no sound {0}")]
    Unsound(&'static str),
}

impl EngineError {
    /// Whether the same may succeed a little later without anybody's doing: the database is away, or too busy.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            EngineError::Unavailable(_) | EngineError::OutcomeUnknown(_)
        )
    }
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        EngineError::Statement(error)
    }
}

/// A parameter or a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Int(i64::from(number))
    }
}

impl From<u64> for Value {
    /// Revisions and lengths: they stay far below 2^63.
    fn from(number: u64) -> Self {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Value::from(number as u64)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Blob(bytes)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn read(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Self> {
        let values = (0..columns).map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Int(number),
                ValueRef::Real(_) => Value::Null,
                ValueRef::Text(_) => Value::Text(row.get(column)?),
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
            })
        });
        values.collect::<rusqlite::Result<_>>().map(Row)
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str, EngineError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(EngineError::Unsound("text column")),
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<u64, EngineError> {
        match self.0.get(column) {
            Some(Value::Int(number)) => {
                u64::try_from(*number).map_err(|_| EngineError::Unsound("number column"))
            }
            _ => Err(EngineError::Unsound("number column")),
        }
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<&[u8], EngineError> {
        match self.0.get(column) {
            Some(Value::Blob(bytes)) => Ok(bytes),
            _ => Err(EngineError::Unsound("bytes column")),
        }
    }
}

/// SQLite takes `$1` for a *name* and numbers names by first appearance; `?1` is a number. PostgreSQL has `$1`.
pub(crate) fn translate(sql: &str) -> String {
    sql.replace('$', "?")
}

#[cfg(test)]
mod tests;
