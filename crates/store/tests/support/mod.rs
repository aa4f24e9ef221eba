//! A fresh database for a test, on either engine.

#![allow(dead_code, reason = "each test program uses a part")]

use futures::future::BoxFuture;
use hextet_core::settings::CloudSettings;
use hextet_store::{Database, EngineError, Layout, Store, StoreConfig, Tx, WriteError};
use hextet_testdb::Cluster;
use serde_json::Value as Json;
use tempfile::TempDir;
use uuid::Uuid;

/// Where a test's stores are.
pub struct Bed {
    pub database: Database,
    /// Kept while the test runs.
    _folder: Option<TempDir>,
}

impl Bed {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            database: Database::Sqlite(folder.path().join("hextet.db")),
            _folder: Some(folder),
        }
    }

    pub fn postgres() -> Self {
        Self::on(Cluster::shared())
    }

    /// A fresh database of this PostgreSQL.
    pub fn on(cluster: &Cluster) -> Self {
        Self {
            database: cluster.database().parse().unwrap(),
            _folder: None,
        }
    }

    pub fn config(&self) -> StoreConfig {
        let settings = CloudSettings::with_defaults(Uuid::from_u128(1));
        StoreConfig::of(self.database.clone(), settings)
    }

    pub async fn open(&self) -> Store {
        Store::open(self.config()).await.unwrap()
    }

    /// Runs SQL past the store; what a query answers, rows by lines, columns apart by `|`.
    pub fn sql(&self, sql: &str) -> String {
        match &self.database {
            Database::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut lines = Vec::new();
                for sql in sql.split(';').filter(|sql| !sql.trim().is_empty()) {
                    let mut statement = connection.prepare(sql).unwrap();
                    let columns = statement.column_count();
                    let mut rows = statement.query([]).unwrap();
                    while let Some(row) = rows.next().unwrap() {
                        let cells = (0..columns).map(|column| text(row.get_ref(column).unwrap()));
                        lines.push(cells.collect::<Vec<_>>().join("|"));
                    }
                }
                lines.join("\n")
            }
            Database::Postgres(_) => Cluster::shared().sql(&self.database.to_string(), sql),
        }
    }
}

fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    }
}

/// Each body as a test on each engine.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::support::Bed::sqlite()).await })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(super::support::Bed::postgres()).await })+
        }
    };
}

#[derive(Debug)]
pub enum Refused {
    No,
    Engine(EngineError),
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Refused::Engine(error)
    }
}

pub async fn write<T: Send + 'static>(
    store: &Store,
    job: impl for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, Refused>> + Send + 'static,
) -> Result<T, WriteError<Refused>> {
    store.write(job).await
}

/// As [`write`], again while the database had no time for it: that is bounded, and other work may take all of a machine.
pub async fn write_on<T: Send + 'static>(
    store: &Store,
    job: impl for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, Refused>> + Clone + Send + 'static,
) -> Result<T, WriteError<Refused>> {
    loop {
        let written = write(store, job.clone()).await;
        let (Err(WriteError::Engine(error)) | Err(WriteError::Refused(Refused::Engine(error)))) =
            &written
        else {
            return written;
        };
        let stored = matches!(error, EngineError::OutcomeUnknown(_));
        if stored || !error.is_passing() {
            return written;
        }
        eprintln!("again: {error}");
    }
}

/// Makes or replaces a document of kind `thing`, again while the database has no time for it.
pub async fn put(store: &Store, id: &str, value: Json) {
    while let Err(error) = try_put(store, id, value.clone()).await {
        assert!(error.is_passing(), "{error}");
        eprintln!("again: {error}");
    }
}

/// As [`put`]; with the database's error, whether the job met it or the commit.
pub async fn try_put(store: &Store, id: &str, value: Json) -> Result<(), EngineError> {
    let id = id.to_owned();
    let written = write(store, move |tx| {
        let (id, value) = (id.clone(), value.clone());
        Box::pin(async move {
            if !tx
                .insert("thing", &id, "", &value, Layout::default())
                .await?
            {
                assert!(tx.update("thing", &id, &value, Layout::default()).await?);
            }
            Ok(())
        })
    })
    .await;
    written.map_err(|error| match error {
        WriteError::Engine(error) | WriteError::Refused(Refused::Engine(error)) => error,
        WriteError::Refused(Refused::No) => panic!("nobody refuses this"),
    })
}
