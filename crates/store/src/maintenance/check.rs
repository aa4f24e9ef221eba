//! Whether a database holds together: SQLite's own look at its pages, and ours at what the tables say of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hextet_core::network::Network;
use hextet_core::port::Port;
use hextet_core::subnet::Subnet;
use serde::de::DeserializeOwned;

use super::{MaintenanceError, known, open, unsound};
use crate::engine::EngineError;
use crate::lock::beside;
use crate::redo;
use crate::subnet::address_key;
use crate::tx::{Engine, Tx};
use crate::value::{Row, Value};
use crate::writer::ready;
use crate::{NETWORK, PORT, SUBNET, quota};

/// Looks a database through, served or not, as it stands at one moment. Answers what is wrong with it, one sentence
/// each; nothing is changed.
///
/// # Errors
/// When it cannot be read at all, or a newer program made it.
pub fn check(database: &Path) -> Result<Vec<String>, MaintenanceError> {
    let connection = open(database)?;
    let mut problems = pages(&connection).map_err(unsound(database))?;
    if let Some(why) = redo::wrong(database, &connection).map_err(unsound(database))? {
        problems.push(format!(
            "the redo file {}: {why}; what was acknowledged in the last second before the server was cut off may be lost",
            beside(database, redo::SUFFIX).display()
        ));
    }
    if !problems.is_empty() {
        return Ok(problems);
    }
    connection
        .execute_batch("BEGIN")
        .map_err(unsound(database))?;
    let mut tx = Tx::new(Engine::Sqlite(connection));
    let version = ready(tx.rows("SELECT value FROM meta WHERE name = 'schema'", &[]))
        .and_then(|rows| {
            let row = rows.first().ok_or(EngineError::Unsound("meta row"))?;
            row.text(0).map(str::to_owned)
        })
        .map_err(unsound(database))?;
    known(database, &version)?;
    problems.extend(ready(rows(&mut tx)).map_err(unsound(database))?);
    Ok(problems)
}

/// What SQLite says of its pages, its indexes and its foreign keys.
fn pages(connection: &rusqlite::Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut problems = Vec::new();
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        let line = line?;
        if line != "ok" {
            problems.push(format!("SQLite: {line}"));
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    for table in statement.query_map([], |row| row.get::<_, String>(0))? {
        problems.push(format!("a row of {} refers to nothing", table?));
    }
    Ok(problems)
}

/// What the tables say of each other.
async fn rows(tx: &mut Tx) -> Result<Vec<String>, EngineError> {
    let mut problems = Vec::new();
    let networks: Vec<Network> = nouns(tx, NETWORK, &mut problems).await?;
    let subnets: Vec<Subnet> = nouns(tx, SUBNET, &mut problems).await?;
    let ports: Vec<Port> = nouns(tx, PORT, &mut problems).await?;
    let addresses = ports.iter().flat_map(|port| {
        port.fixed_ips.iter().map(|fixed| {
            let of = fixed.subnet_id.to_string();
            let key = address_key(fixed.ip_address);
            (of, key, port.id.to_string())
        })
    });
    let macs = ports.iter().map(|port| {
        let of = port.network_id.to_string();
        (of, port.mac_address.0.to_vec(), port.id.to_string())
    });
    let sql = "SELECT subnet_id, address, port_id FROM ip_allocation";
    compare(tx, "address", sql, addresses.collect(), &mut problems).await?;
    let sql = "SELECT network_id, mac, port_id FROM mac";
    compare(tx, "MAC", sql, macs.collect(), &mut problems).await?;
    stands(tx, &networks, &subnets, &ports, &mut problems).await?;
    let owners = networks.iter().map(|noun| (NETWORK, &noun.project_id));
    let owners = owners.chain(subnets.iter().map(|noun| (SUBNET, &noun.project_id)));
    let owners = owners.chain(ports.iter().map(|noun| (PORT, &noun.project_id)));
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (kind, project) in owners {
        *counts.entry(quota::counter(kind, project)).or_default() += 1;
    }
    counted(tx, &counts, &mut problems).await?;
    Ok(problems)
}

/// The nouns of a kind; those that cannot be read are problems.
async fn nouns<T: DeserializeOwned>(
    tx: &mut Tx,
    kind: &str,
    problems: &mut Vec<String>,
) -> Result<Vec<T>, EngineError> {
    let mut nouns = Vec::new();
    for document in tx.documents(kind).await? {
        match document.parse(kind) {
            Ok(noun) => nouns.push(noun),
            Err(error) => problems.push(hextet_core::errors::chain(&error)),
        }
    }
    Ok(nouns)
}

/// Rows of (scope, key, port) that say who has what, against what the ports say.
async fn compare(
    tx: &mut Tx,
    what: &str,
    sql: &'static str,
    wanted: BTreeSet<(String, Vec<u8>, String)>,
    problems: &mut Vec<String>,
) -> Result<(), EngineError> {
    let read = |row: &Row| -> Result<_, EngineError> {
        Ok((
            row.text(0)?.to_owned(),
            row.bytes(1)?.to_vec(),
            row.text(2)?.to_owned(),
        ))
    };
    let rows = tx.rows(sql, &[]).await?;
    let taken: BTreeSet<_> = rows.iter().map(read).collect::<Result<_, _>>()?;
    for (scope, key, port) in wanted.difference(&taken) {
        let key = hex(key);
        problems.push(format!(
            "port {port} has the {what} {key} of {scope}, which is not taken for it"
        ));
    }
    for (scope, key, port) in taken.difference(&wanted) {
        let key = hex(key);
        problems.push(format!(
            "the {what} {key} of {scope} is taken for port {port}, which does not have it"
        ));
    }
    Ok(())
}

/// What stands on what: subnets and ports on networks that are there, and each known to its network.
async fn stands(
    tx: &mut Tx,
    networks: &[Network],
    subnets: &[Subnet],
    ports: &[Port],
    problems: &mut Vec<String>,
) -> Result<(), EngineError> {
    let mut wanted = BTreeSet::new();
    let by_id: BTreeMap<_, _> = networks.iter().map(|noun| (noun.id, noun)).collect();
    for subnet in subnets {
        let on = by_id.get(&subnet.network_id);
        if !on.is_some_and(|network| network.subnets.contains(&subnet.id)) {
            problems.push(format!(
                "subnet {} is not among the subnets of its network {}",
                subnet.id, subnet.network_id
            ));
        }
        wanted.insert((subnet.network_id.to_string(), subnet.id.to_string()));
    }
    for port in ports {
        wanted.insert((port.network_id.to_string(), port.id.to_string()));
    }
    let sql = "SELECT id, by_id FROM reference WHERE kind = $1";
    let rows = tx.rows(sql, &[NETWORK.into()]).await?;
    let read = |row: &Row| -> Result<_, EngineError> {
        Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))
    };
    let told: BTreeSet<_> = rows.iter().map(read).collect::<Result<_, _>>()?;
    for (network, by) in wanted.symmetric_difference(&told) {
        problems.push(format!(
            "{by} stands on network {network} by its document or by the references, not by both"
        ));
    }
    Ok(())
}

/// The counters of what projects have. In a copy of version 1, a project may have none yet.
async fn counted(
    tx: &mut Tx,
    counts: &BTreeMap<String, u64>,
    problems: &mut Vec<String>,
) -> Result<(), EngineError> {
    let sql = "SELECT name, value FROM counter WHERE name LIKE $1";
    let prefix = Value::from(format!("{}%", quota::COUNTER_PREFIX));
    for row in tx.rows(sql, &[prefix]).await? {
        let (name, told) = (row.text(0)?, row.number(1)?);
        let count = counts.get(name).copied().unwrap_or_default();
        if told != count {
            problems.push(format!(
                "the counter '{name}' says {told}, there are {count}"
            ));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
