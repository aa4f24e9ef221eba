//! A transaction: what a job may do.

use std::sync::Arc;

use hextet_core::snapshot::Change;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::{Document, Layout};
use crate::engine::{EngineError, Row, Value, translate};
use crate::model;

/// How many revisions the log keeps.
pub(crate) const CHANGES_KEPT: u64 = 100_000;
/// How often the log is trimmed, revisions.
const TRIM_EVERY: u64 = 1024;

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

/// One change of the log, as the model takes it.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub kind: Arc<str>,
    pub id: Arc<str>,
    /// `None`: it is gone.
    pub document: Option<Arc<Document>>,
    /// The same for the snapshot, where the kind is of it.
    pub change: Option<Change>,
}

/// A transaction. Everything in it happens, or nothing.
///
/// Its futures are always ready on SQLite; a job that awaits anything else is a fault.
pub struct Tx {
    connection: rusqlite::Connection,
    /// Taken by the job that runs, when it first writes.
    revision: Option<u64>,
    logged: Vec<Logged>,
}

impl Tx {
    pub(crate) fn new(connection: rusqlite::Connection) -> Self {
        Self {
            connection,
            revision: None,
            logged: Vec::new(),
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
        let revision = self.newest_revision().await? + 1;
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
        let revision = self.revision().await?;
        let document = Document::render(kind, id, project_id, value, layout, revision)?;
        let (public_bytes, admin_bytes) = document.cuts();
        let stored = self
            .exec(
                "INSERT INTO resource (kind, id, project_id, revision, body, public_bytes, admin_bytes) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                &[
                    kind.into(),
                    id.into(),
                    project_id.into(),
                    revision.into(),
                    document.text().into(),
                    public_bytes.into(),
                    admin_bytes.into(),
                ],
            )
            .await?;
        if stored == 0 {
            return Ok(false);
        }
        self.log(kind, id, Some(document)).await?;
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
        let Some(mut before) = self.document(kind, id).await? else {
            return Ok(false);
        };
        before.revision = self.revision().await?;
        let document = self.rewrite(kind, before, value, layout).await?;
        self.log(kind, id, Some(document)).await?;
        Ok(true)
    }

    /// Replaces a document's text; its revision stays, and the log hears nothing.
    pub(crate) async fn rewrite(
        &mut self,
        kind: &str,
        before: Document,
        value: &(impl Serialize + Sync),
        layout: Layout,
    ) -> Result<Document, EngineError> {
        let Document {
            id,
            project_id,
            revision,
            ..
        } = &before;
        let document = Document::render(kind, id, project_id, value, layout, *revision)?;
        let (public_bytes, admin_bytes) = document.cuts();
        self.exec(
            "UPDATE resource SET revision = $3, body = $4, public_bytes = $5, admin_bytes = $6 \
             WHERE kind = $1 AND id = $2",
            &[
                kind.into(),
                id.as_ref().into(),
                (*revision).into(),
                document.text().into(),
                public_bytes.into(),
                admin_bytes.into(),
            ],
        )
        .await?;
        Ok(document)
    }

    /// Deletes a document. False when there is none.
    ///
    /// # Errors
    /// When the database fails, or something still refers to it.
    pub async fn delete(&mut self, kind: &str, id: &str) -> Result<bool, EngineError> {
        let gone = self
            .exec(
                "DELETE FROM resource WHERE kind = $1 AND id = $2",
                &[kind.into(), id.into()],
            )
            .await?;
        if gone == 0 {
            return Ok(false);
        }
        self.log(kind, id, None).await?;
        Ok(true)
    }

    /// Takes a name of which there may be one in a scope. False when it is taken, by whomever.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(
        &mut self,
        scope: &str,
        name: &str,
        holder: &str,
    ) -> Result<bool, EngineError> {
        let rows = self
            .exec(
                "INSERT INTO claim (scope, name, holder) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                &[scope.into(), name.into(), holder.into()],
            )
            .await?;
        Ok(rows == 1)
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
        self.exec(
            "DELETE FROM claim WHERE scope = $1 AND name = $2",
            &[scope.into(), name.into()],
        )
        .await?;
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
        self.exec(
            "INSERT INTO reference (kind, id, by_kind, by_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[kind.into(), id.into(), by_kind.into(), by_id.into()],
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

    /// The next number of a counter, from 1.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self, counter: Counter) -> Result<u64, EngineError> {
        let name = counter.name();
        self.exec(
            "INSERT INTO counter (name, value) VALUES ($1, 0) ON CONFLICT DO NOTHING",
            &[name.into()],
        )
        .await?;
        self.exec(
            "UPDATE counter SET value = value + 1 WHERE name = $1",
            &[name.into()],
        )
        .await?;
        let rows = self
            .rows("SELECT value FROM counter WHERE name = $1", &[name.into()])
            .await?;
        rows.first()
            .ok_or(EngineError::Unsound("counter"))?
            .number(0)
    }

    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn exec(&mut self, sql: &str, params: &[Value]) -> Result<u64, EngineError> {
        let mut statement = self.connection.prepare_cached(&translate(sql))?;
        let rows = statement.execute(rusqlite::params_from_iter(params))?;
        Ok(rows as u64)
    }

    /// Runs a query; answers its rows.
    pub(crate) async fn rows(
        &mut self,
        sql: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, EngineError> {
        let mut statement = self.connection.prepare_cached(&translate(sql))?;
        let columns = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(params), |row| {
            Row::read(row, columns)
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest revision that is stored, with those of this commit; 0 when there is none.
    pub(crate) async fn newest_revision(&mut self) -> Result<u64, EngineError> {
        let rows = self
            .rows("SELECT COALESCE(MAX(revision), 0) FROM change", &[])
            .await?;
        rows.first().ok_or(EngineError::Unsound("log"))?.number(0)
    }

    /// Whether the database has no tables. The one question that engines answer each in their own words.
    pub(crate) fn is_empty(&self) -> Result<bool, EngineError> {
        Ok(!self.connection.table_exists(None, "meta")?)
    }

    pub(crate) fn connection(&self) -> &rusqlite::Connection {
        &self.connection
    }

    /// Forgets what a job left behind, before the next.
    pub(crate) fn reset(&mut self) {
        self.revision = None;
        self.logged.clear();
    }

    /// Appends the job's changes to the log, as its last statements, and hands them over.
    pub(crate) async fn flush(&mut self) -> Result<Option<(u64, Vec<Logged>)>, EngineError> {
        let logged = std::mem::take(&mut self.logged);
        let Some(revision) = self.revision.take().filter(|_| !logged.is_empty()) else {
            return Ok(None);
        };
        for (ordinal, change) in logged.iter().enumerate() {
            let (op, body) = match &change.document {
                Some(document) => ("put", document.text()),
                None => ("delete", ""),
            };
            self.exec(
                "INSERT INTO change (revision, ordinal, kind, id, op, body) VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    revision.into(),
                    ordinal.into(),
                    change.kind.as_ref().into(),
                    change.id.as_ref().into(),
                    op.into(),
                    body.into(),
                ],
            )
            .await?;
        }
        if revision.is_multiple_of(TRIM_EVERY) {
            let kept = revision.saturating_sub(CHANGES_KEPT);
            self.exec("DELETE FROM change WHERE revision <= $1", &[kept.into()])
                .await?;
        }
        Ok(Some((revision, logged)))
    }

    async fn log(
        &mut self,
        kind: &str,
        id: &str,
        document: Option<Document>,
    ) -> Result<(), EngineError> {
        self.revision().await?;
        let change = model::decode(kind, id, document.as_ref())?;
        self.logged.push(Logged {
            kind: kind.into(),
            id: id.into(),
            document: document.map(Arc::new),
            change,
        });
        Ok(())
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
