//! The tables. One text for every engine but for the type names in [`Types`].

use uuid::Uuid;

use crate::engine::EngineError;
use crate::tx::Tx;

/// The version of the tables that this program reads and writes.
pub const SCHEMA_VERSION: u64 = 1;

/// Type names that differ between engines.
struct Types {
    bytes: &'static str,
}

const SQLITE: Types = Types { bytes: "BLOB" };

/// Version 1, statement by statement.
///
/// `resource`: a document of each kind; `public_bytes` and `admin_bytes` say where its text is cut. `change`: the log;
/// one revision is one transaction. `reference`: what keeps a resource from being deleted. `claim`: names of which there
/// may be one in a scope.
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
         id TEXT NOT NULL, op TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (revision, ordinal))"
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

/// What was made with the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// Which database's log (see `hextet_core::plan::Generation`).
    pub epoch: u64,
    /// The cloud's DHCPv6 server identity.
    pub server_duid: Uuid,
}

/// Makes the tables of a new database. `server_duid` is what the cloud will be known by.
pub(crate) async fn create(tx: &mut Tx, server_duid: Uuid) -> Result<(), EngineError> {
    for table in tables(&SQLITE) {
        tx.exec(&table, &[]).await?;
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

/// A random epoch, at least 1.
pub(crate) fn new_epoch() -> u64 {
    rand::random_range(1..=u64::MAX)
}

/// The database's schema version; `None` when it is empty.
pub(crate) async fn version(tx: &mut Tx) -> Result<Option<u64>, EngineError> {
    if tx.is_empty()? {
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
