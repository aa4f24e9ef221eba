//! The tables. One text for every engine but for the type names in [`Types`].

use tracing::info;
use uuid::Uuid;

use crate::engine::EngineError;
use crate::tx::{Engine, Tx};

/// The version of the tables that this program reads and writes.
pub const SCHEMA_VERSION: u64 = 3;

/// Type names that differ between engines.
struct Types {
    bytes: &'static str,
}

impl Types {
    fn of(tx: &mut Tx) -> Self {
        match tx.engine() {
            Engine::Sqlite(_) => Types { bytes: "BLOB" },
            Engine::Postgres(_) => Types { bytes: "BYTEA" },
        }
    }
}

/// The tables of this version, statement by statement.
///
/// `resource`: a document of each kind; `public_bytes` and `admin_bytes` say where its text is cut. `change`: the log;
/// one revision is one transaction, and on PostgreSQL a line holds all of the document. `reference`: what keeps a resource from being
/// deleted. `claim`: names of which there may be one in a scope. `counter`: numbers that are handed out, and what
/// projects have.
fn tables(types: &Types) -> Vec<String> {
    let bytes = types.bytes;
    vec![
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)".into(),
        "CREATE TABLE counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL)".into(),
        "CREATE TABLE resource (kind TEXT NOT NULL, id TEXT NOT NULL, project_id TEXT NOT NULL, \
         revision BIGINT NOT NULL, body TEXT NOT NULL, public_bytes BIGINT NOT NULL, \
         admin_bytes BIGINT NOT NULL, PRIMARY KEY (kind, id))"
            .into(),
        "CREATE TABLE change (revision BIGINT NOT NULL, ordinal BIGINT NOT NULL, kind TEXT NOT NULL, \
         id TEXT NOT NULL, op TEXT NOT NULL, body TEXT NOT NULL, \
         project_id TEXT NOT NULL DEFAULT '', public_bytes BIGINT NOT NULL DEFAULT 0, \
         admin_bytes BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (revision, ordinal))"
            .into(),
        "CREATE TABLE reference (kind TEXT NOT NULL, id TEXT NOT NULL, by_kind TEXT NOT NULL, \
         by_id TEXT NOT NULL, PRIMARY KEY (kind, id, by_kind, by_id), \
         FOREIGN KEY (kind, id) REFERENCES resource (kind, id), \
         FOREIGN KEY (by_kind, by_id) REFERENCES resource (kind, id) ON DELETE CASCADE)"
            .into(),
        "CREATE INDEX reference_by ON reference (by_kind, by_id)".into(),
        format!(
            "CREATE TABLE ip_allocation (subnet_id TEXT NOT NULL, address {bytes} NOT NULL, \
             port_id TEXT NOT NULL, PRIMARY KEY (subnet_id, address))"
        ),
        "CREATE INDEX ip_allocation_port ON ip_allocation (port_id)".into(),
        format!(
            "CREATE TABLE mac (network_id TEXT NOT NULL, mac {bytes} NOT NULL, \
             port_id TEXT NOT NULL, PRIMARY KEY (network_id, mac))"
        ),
        "CREATE TABLE segment (vni BIGINT PRIMARY KEY, network_id TEXT NOT NULL)".into(),
        "CREATE TABLE claim (scope TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, \
         PRIMARY KEY (scope, name))"
            .into(),
    ]
}

/// What makes each version out of the one before it, oldest first: the first step makes version 2. A step once released
/// stays as it is. [`tables`] holds the sum; a test holds that both ways lead to the same.
const STEPS: &[&[&str]] = &[
    // Version 2: a line of the log holds all of a document, for servers that follow it; what projects have is counted
    // from the start, so that counting up is one statement.
    &[
        "ALTER TABLE change ADD COLUMN project_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE change ADD COLUMN public_bytes BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE change ADD COLUMN admin_bytes BIGINT NOT NULL DEFAULT 0",
        "INSERT INTO counter (name, value) SELECT 'used ' || kind || ' ' || project_id, COUNT(*) \
         FROM resource WHERE kind IN ('network', 'subnet', 'port') GROUP BY kind, project_id \
         ON CONFLICT DO NOTHING",
    ],
    // Version 3: the tables are the same. But a SQLite database is whole only with its redo file, of which earlier
    // programs know nothing.
    &[],
];

const _: () = assert!(
    STEPS.len() as u64 + 1 == SCHEMA_VERSION,
    "a step for each version after the first"
);

/// What was made with the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// Which database's log (see `hextet_core::plan::Generation`).
    pub epoch: u64,
    /// The cloud's DHCPv6 server identity.
    pub server_duid: Uuid,
}

/// Makes the tables of a new database. `server_duid` is what the cloud will be known by.
async fn create(tx: &mut Tx, server_duid: Uuid) -> Result<(), EngineError> {
    for table in tables(&Types::of(tx)) {
        tx.batch(&table).await?;
    }
    let rows = [
        ("schema", SCHEMA_VERSION.to_string()),
        ("epoch", new_epoch().to_string()),
        ("server_duid", server_duid.to_string()),
    ];
    for (name, value) in rows {
        tx.exec(
            "INSERT INTO meta (name, value) VALUES ($1, $2)",
            &[name.into(), value.into()],
        )
        .await?;
    }
    Ok(())
}

/// Why a database cannot be used as it is.
pub(crate) enum Unusable {
    /// A newer program made it; its version.
    Newer(u64),
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for Unusable {
    fn from(error: E) -> Self {
        Unusable::Engine(error.into())
    }
}

/// Makes an empty database, or brings one of an older program to this version; within the caller's transaction.
pub(crate) async fn prepare(tx: &mut Tx, server_duid: Uuid) -> Result<Identity, Unusable> {
    match version(tx).await? {
        None => create(tx, server_duid).await?,
        Some(found) if found > SCHEMA_VERSION => return Err(Unusable::Newer(found)),
        Some(found) => migrate(tx, found).await?,
    }
    Ok(identity(tx).await?)
}

async fn migrate(tx: &mut Tx, from: u64) -> Result<(), EngineError> {
    if from == SCHEMA_VERSION {
        return Ok(());
    }
    info!(
        from,
        to = SCHEMA_VERSION,
        "the database is brought to this program's version"
    );
    let done = usize::try_from(from)
        .ok()
        .and_then(|from| from.checked_sub(1))
        .ok_or(EngineError::Unsound("schema version"))?;
    for step in &STEPS[done..] {
        for statement in *step {
            tx.batch(statement).await?;
        }
    }
    tx.exec(
        "UPDATE meta SET value = $1 WHERE name = 'schema'",
        &[SCHEMA_VERSION.to_string().into()],
    )
    .await?;
    Ok(())
}

/// A random epoch, at least 1.
pub(crate) fn new_epoch() -> u64 {
    rand::random_range(1..=u64::MAX)
}

/// The database's schema version; `None` when it is empty.
async fn version(tx: &mut Tx) -> Result<Option<u64>, EngineError> {
    if tx.is_empty().await? {
        return Ok(None);
    }
    let version = meta(tx, "schema").await?;
    version
        .parse()
        .map(Some)
        .map_err(|_| EngineError::Unsound("schema version"))
}

/// What was made with the database.
pub(crate) async fn identity(tx: &mut Tx) -> Result<Identity, EngineError> {
    let epoch = meta(tx, "epoch").await?;
    let server_duid = meta(tx, "server_duid").await?;
    Ok(Identity {
        epoch: epoch.parse().map_err(|_| EngineError::Unsound("epoch"))?,
        server_duid: server_duid
            .parse()
            .map_err(|_| EngineError::Unsound("server DUID"))?,
    })
}

async fn meta(tx: &mut Tx, name: &str) -> Result<String, EngineError> {
    let rows = tx
        .rows("SELECT value FROM meta WHERE name = $1", &[name.into()])
        .await?;
    let row = rows.first().ok_or(EngineError::Unsound("meta row"))?;
    row.text(0).map(str::to_owned)
}
