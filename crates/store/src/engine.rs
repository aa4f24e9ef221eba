//! How a database fails, whichever it is.

/// The database failed us, or we failed it. Never the user's doing.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A statement failed.
    #[error("the database refused a statement")]
    Statement(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file beside the database cannot be read or written.
    #[error("a file of the database cannot be read or written")]
    File(#[source] std::io::Error),
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
    /// The database cannot be reached, or is too busy; nothing was changed. It passes by itself.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// Other transactions were in the way each time.
    #[error("the write was in others' way {0} times and was given up")]
    Contended(usize),
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
            EngineError::Unavailable(_)
                | EngineError::Contended(_)
                | EngineError::OutcomeUnknown(_)
        )
    }

    /// The same for each of several who wait for one commit.
    pub(crate) fn retold(&self) -> Self {
        match self {
            EngineError::Unavailable(why) => EngineError::Unavailable(why.clone()),
            EngineError::Contended(attempts) => EngineError::Contended(*attempts),
            EngineError::OutcomeUnknown(why) => EngineError::OutcomeUnknown(why.clone()),
            other => EngineError::Commit(hextet_core::errors::chain(other)),
        }
    }
}

impl From<std::io::Error> for EngineError {
    fn from(error: std::io::Error) -> Self {
        EngineError::File(error)
    }
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        EngineError::Statement(Box::new(error))
    }
}

impl From<tokio_postgres::Error> for EngineError {
    fn from(error: tokio_postgres::Error) -> Self {
        EngineError::Statement(Box::new(error))
    }
}

/// SQLite takes `$1` for a *name* and numbers names by first appearance; `?1` is a number. PostgreSQL has `$1`.
pub(crate) fn translate(sql: &str) -> String {
    sql.replace('$', "?")
}

#[cfg(test)]
mod tests;
