//! A transaction: what a job may do.

mod later;
mod log;
mod noun;
mod take;
mod taken;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hextet_core::snapshot::Change;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::counter::Counted;
use crate::document::{Document, Layout};
use crate::engine::{EngineError, translate};
use crate::postgres::Session;
use crate::redo::Statements;
use crate::value::{Row, Value};
use later::Later;

pub(crate) use log::{Logged, View};
pub use take::Pick;
pub(crate) use take::{Taking, taking};
pub(crate) use taken::Taken;

const INSERT_RESOURCE: Taking = taking!(
    "resource",
    2,
    "kind, id",
    "INSERT INTO resource (kind, id, project_id, revision, body, public_bytes, admin_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7)"
);
pub(crate) const CLAIM: Taking = taking!(
    "claim",
    2,
    "scope, name",
    "INSERT INTO claim (scope, name, holder) VALUES ($1, $2, $3)"
);

/// A transaction. Everything in it happens, or nothing.
///
/// Its futures wait for the database alone; a job that awaits anything else is a fault.
pub struct Tx {
    engine: Engine,
    /// Taken by the job that runs, when it first writes.
    revision: Option<u64>,
    logged: Vec<Logged>,
    /// What documents can be had from memory, where the engine is a call away.
    view: Option<View>,
    /// What was changed, where it is to be done again after a crash.
    pub(crate) recorded: Option<Statements>,
    /// What is known of the counters.
    pub(crate) counted: Counted,
    /// What is known to be taken; where nothing is known, the database is asked.
    pub(crate) taken: Option<Taken>,
    later: Later,
    /// Whether what was drawn is asked for as if it were named: counting on it has failed.
    pub(crate) careful: bool,
    /// Whether the job is alone in its commit, whose answer says of its last statements, too, how they went.
    pub(crate) alone: bool,
    /// Statements of jobs since this was last looked at.
    pub(crate) statements: u64,
}

/// What runs the statements.
pub(crate) enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Session>),
}

impl Tx {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            revision: None,
            logged: Vec::new(),
            view: None,
            recorded: None,
            counted: Counted::default(),
            taken: None,
            later: Later::default(),
            careful: false,
            alone: false,
            statements: 0,
        }
    }

    /// The revision of the log that this transaction's changes get, in the order of commits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision(&mut self) -> Result<u64, EngineError> {
        if let Some(revision) = self.revision {
            return Ok(revision);
        }
        let newest = match &self.view {
            Some(view) => view.newest(),
            None => self.newest_revision().await?,
        };
        let revision = newest + 1;
        self.revision = Some(revision);
        Ok(revision)
    }

    /// The document of this kind and id, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document(
        &mut self,
        kind: &str,
        id: &str,
    ) -> Result<Option<Document>, EngineError> {
        if let Some(view) = &self.view {
            return Ok(view.document(&self.logged, kind, id));
        }
        let rows = self
            .rows(
                "SELECT id, project_id, revision, body, public_bytes, admin_bytes FROM resource \
                 WHERE kind = $1 AND id = $2",
                &[kind.into(), id.into()],
            )
            .await?;
        rows.first().map(read_document).transpose()
    }

    /// Every document of a kind, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn documents(&mut self, kind: &str) -> Result<Vec<Document>, EngineError> {
        if let Some(view) = &self.view {
            return Ok(view.documents(&self.logged, kind));
        }
        let rows = self
            .rows(
                "SELECT id, project_id, revision, body, public_bytes, admin_bytes FROM resource \
                 WHERE kind = $1 ORDER BY id",
                &[kind.into()],
            )
            .await?;
        rows.iter().map(read_document).collect()
    }

    /// The value of this kind and id, if there is one.
    ///
    /// # Errors
    /// When the database fails, or the document is not one of these.
    pub async fn value<T: DeserializeOwned>(
        &mut self,
        kind: &str,
        id: &str,
    ) -> Result<Option<T>, EngineError> {
        let document = self.document(kind, id).await?;
        document.map(|document| document.parse(kind)).transpose()
    }

    /// Stores a new document. False, and nothing is stored, when the id is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert(
        &mut self,
        kind: &str,
        id: &str,
        project_id: &str,
        value: &(impl Serialize + Sync),
        layout: Layout,
    ) -> Result<bool, EngineError> {
        self.insert_as(kind, (id, project_id), (value, layout), None)
            .await
    }

    /// The same; the change of the snapshot is given, or made of the document.
    async fn insert_as(
        &mut self,
        kind: &str,
        (id, project_id): (&str, &str),
        (value, layout): (&(impl Serialize + Sync), Layout),
        change: Option<Change>,
    ) -> Result<bool, EngineError> {
        let revision = self.revision().await?;
        let document = Document::render(kind, id, project_id, value, layout, revision)?;
        let (public_bytes, admin_bytes) = document.cuts();
        let params = [
            kind.into(),
            id.into(),
            project_id.into(),
            revision.into(),
            document.text().into(),
            public_bytes.into(),
            admin_bytes.into(),
        ];
        let stored = match &self.view {
            None => self.exec(INSERT_RESOURCE.asking, &params).await? == 1,
            Some(view) if view.document(&self.logged, kind, id).is_some() => false,
            Some(_) => {
                self.exec_later(INSERT_RESOURCE.plain, &params, None)
                    .await?;
                true
            }
        };
        if !stored {
            return Ok(false);
        }
        self.log(kind, id, Some(document), change).await?;
        Ok(true)
    }

    /// Replaces a document, its owner stays. False, and nothing is stored, when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update(
        &mut self,
        kind: &str,
        id: &str,
        value: &(impl Serialize + Sync),
        layout: Layout,
    ) -> Result<bool, EngineError> {
        self.update_as(kind, id, (value, layout), None).await
    }

    /// The same; the change of the snapshot is given, or made of the document.
    async fn update_as(
        &mut self,
        kind: &str,
        id: &str,
        (value, layout): (&(impl Serialize + Sync), Layout),
        change: Option<Change>,
    ) -> Result<bool, EngineError> {
        let Some(mut before) = self.document(kind, id).await? else {
            return Ok(false);
        };
        before.revision = self.revision().await?;
        let document = before.rewrite(kind, value, layout)?;
        self.replace(kind, &document).await?;
        self.log(kind, id, Some(document), change).await?;
        Ok(true)
    }

    /// Replaces a document's text and revision; the log hears nothing.
    pub(crate) async fn replace(
        &mut self,
        kind: &str,
        document: &Document,
    ) -> Result<(), EngineError> {
        let (public_bytes, admin_bytes) = document.cuts();
        self.exec_later(
            "UPDATE resource SET revision = $3, body = $4, public_bytes = $5, admin_bytes = $6 \
             WHERE kind = $1 AND id = $2",
            &[
                kind.into(),
                document.id.as_ref().into(),
                document.revision.into(),
                document.text().into(),
                public_bytes.into(),
                admin_bytes.into(),
            ],
            Some(1),
        )
        .await
    }

    /// Deletes a document. False when there is none.
    ///
    /// # Errors
    /// When the database fails, or something still refers to it.
    pub async fn delete(&mut self, kind: &str, id: &str) -> Result<bool, EngineError> {
        if let Some(view) = &self.view
            && view.document(&self.logged, kind, id).is_none()
        {
            return Ok(false);
        }
        let gone = self
            .exec(
                "DELETE FROM resource WHERE kind = $1 AND id = $2",
                &[kind.into(), id.into()],
            )
            .await?;
        if gone == 0 {
            return Ok(false);
        }
        self.log(kind, id, None, None).await?;
        Ok(true)
    }

    /// Takes a name of which there may be one in a scope. False when it is taken, by whomever.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(
        &mut self,
        pick: Pick,
        (scope, name): (&str, &str),
        holder: &str,
    ) -> Result<bool, EngineError> {
        let params = [scope.into(), name.into(), holder.into()];
        self.take(pick, CLAIM, &params).await
    }

    /// Who holds a name of a scope.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holder(&mut self, scope: &str, name: &str) -> Result<Option<String>, EngineError> {
        let rows = self
            .rows(
                "SELECT holder FROM claim WHERE scope = $1 AND name = $2",
                &[scope.into(), name.into()],
            )
            .await?;
        rows.first()
            .map(|row| row.text(0).map(str::to_owned))
            .transpose()
    }

    /// Gives a name back; nothing happens when nobody holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&mut self, scope: &str, name: &str) -> Result<(), EngineError> {
        let key = [scope.into(), name.into()];
        let sql = "DELETE FROM claim WHERE scope = $1 AND name = $2";
        self.exec_later(sql, &key, None).await?;
        self.give_back(CLAIM, &key);
        Ok(())
    }

    /// Says that one document stands on another, which then cannot be deleted before it. Deleting the first takes the
    /// reference away.
    ///
    /// # Errors
    /// When the database fails, or either is not there.
    pub async fn refer(
        &mut self,
        (kind, id): (&str, &str),
        (by_kind, by_id): (&str, &str),
    ) -> Result<(), EngineError> {
        self.exec_later(
            "INSERT INTO reference (kind, id, by_kind, by_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[kind.into(), id.into(), by_kind.into(), by_id.into()],
            None,
        )
        .await?;
        Ok(())
    }

    /// The ids of the documents of a kind that stand on this one, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn referrers(
        &mut self,
        (kind, id): (&str, &str),
        by_kind: &str,
    ) -> Result<Vec<String>, EngineError> {
        let rows = self
            .rows(
                "SELECT by_id FROM reference WHERE kind = $1 AND id = $2 AND by_kind = $3 ORDER BY by_id",
                &[kind.into(), id.into(), by_kind.into()],
            )
            .await?;
        rows.iter()
            .map(|row| row.text(0).map(str::to_owned))
            .collect()
    }

    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn exec(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<u64, EngineError> {
        self.run_what_was_put_off()?;
        self.statements += 1;
        match &mut self.engine {
            Engine::Sqlite(connection) => {
                let sql = translate(sql);
                let mut statement = connection.prepare_cached(&sql)?;
                let changed = statement.execute(rusqlite::params_from_iter(params))? as u64;
                if let Some(recorded) = self.recorded.as_mut().filter(|_| changed > 0) {
                    recorded.push(&sql, params);
                }
                Ok(changed)
            }
            Engine::Postgres(session) => session.execute(sql, params).await,
        }
    }

    /// Runs a query; answers its rows.
    pub(crate) async fn rows(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Vec<Row>, EngineError> {
        self.run_what_was_put_off()?;
        self.statements += 1;
        match &mut self.engine {
            Engine::Sqlite(connection) => {
                let sql = translate(sql);
                let mut statement = connection.prepare_cached(&sql)?;
                let columns = statement.column_count();
                let rows = statement.query_map(rusqlite::params_from_iter(params), |row| {
                    Row::read_sqlite(row, columns)
                })?;
                let rows = rows.collect::<rusqlite::Result<_>>()?;
                if let Some(recorded) = self.recorded.as_mut().filter(|_| !statement.readonly()) {
                    recorded.push(&sql, params);
                }
                Ok(rows)
            }
            Engine::Postgres(session) => session.query(sql, params).await,
        }
    }

    /// Runs a statement without parameters that is seldom run: one of the schema, or of the transaction itself.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), EngineError> {
        match &mut self.engine {
            Engine::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Engine::Postgres(session) => session.batch(sql).await,
        }
    }

    /// Runs a statement of SQLite that begins, divides or ends a transaction; it is prepared once.
    pub(crate) fn control(&mut self, sql: &'static str) -> Result<(), EngineError> {
        self.connection()?.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// The newest revision that is stored, with those of this commit; 0 when there is none.
    pub(crate) async fn newest_revision(&mut self) -> Result<u64, EngineError> {
        let rows = self
            .rows("SELECT COALESCE(MAX(revision), 0) FROM change", &[])
            .await?;
        rows.first().ok_or(EngineError::Unsound("log"))?.number(0)
    }

    /// Whether nobody else writes to this database.
    pub(crate) fn is_sole(&self) -> bool {
        matches!(self.engine, Engine::Sqlite(_))
    }

    /// Whether the database has no tables. The one question that engines answer each in their own words.
    pub(crate) async fn is_empty(&mut self) -> Result<bool, EngineError> {
        match &mut self.engine {
            Engine::Sqlite(connection) => Ok(!connection.table_exists(None, "meta")?),
            Engine::Postgres(session) => session.is_empty().await,
        }
    }

    pub(crate) fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The connection to PostgreSQL, for what only its own code does.
    pub(crate) fn session(&mut self) -> Result<&mut Session, EngineError> {
        match &mut self.engine {
            Engine::Postgres(session) => Ok(session),
            Engine::Sqlite(_) => Err(EngineError::Closed),
        }
    }

    /// The connection to SQLite, likewise.
    pub(crate) fn connection(&mut self) -> Result<&mut rusqlite::Connection, EngineError> {
        match &mut self.engine {
            Engine::Sqlite(connection) => Ok(connection),
            Engine::Postgres(_) => Err(EngineError::Closed),
        }
    }

    /// Says whether the transaction waits for its database just now.
    pub(crate) fn waiting(&self) -> Option<Arc<AtomicBool>> {
        match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(session) => {
                let waiting = session.waiting();
                waiting.store(false, Ordering::Relaxed);
                Some(waiting)
            }
        }
    }
}

fn read_document(row: &Row) -> Result<Document, EngineError> {
    Document::restore(
        row.text(0)?,
        row.text(1)?,
        row.number(2)?,
        row.text(3)?,
        row.number(4)?,
        row.number(5)?,
    )
}
