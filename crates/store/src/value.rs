//! What statements are given and answer with, whichever engine runs them.

use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{ToSql, Type};

use crate::engine::EngineError;

/// A parameter or a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

impl Value {
    /// As PostgreSQL's client takes it.
    pub(crate) fn as_parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Value::Null => &None::<&str>,
            Value::Int(number) => number,
            Value::Text(text) => text,
            Value::Blob(bytes) => bytes,
        }
    }
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn read_sqlite(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Self> {
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

    pub(crate) fn read_postgres(row: &tokio_postgres::Row) -> Result<Self, EngineError> {
        let values = row.columns().iter().enumerate().map(|(column, about)| {
            Ok(match *about.type_() {
                Type::TEXT => given(row.try_get::<_, Option<String>>(column)?, Value::Text),
                Type::INT8 => given(row.try_get::<_, Option<i64>>(column)?, Value::Int),
                Type::BYTEA => given(row.try_get::<_, Option<Vec<u8>>>(column)?, Value::Blob),
                _ => return Err(EngineError::Unsound("column: its type is none of ours")),
            })
        });
        values.collect::<Result<_, EngineError>>().map(Row)
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.0
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

fn given<T>(found: Option<T>, value: impl Fn(T) -> Value) -> Value {
    found.map_or(Value::Null, value)
}
