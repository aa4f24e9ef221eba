//! The tables: made anew they are what older ones become, every statement is one that PostgreSQL takes, and servers that
//! start together make them once.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use hextet_core::ids::ProjectId;
use hextet_store::{Counter, Database, NETWORK, PORT, SCHEMA_VERSION, SUBNET};
use hextet_testdb::Cluster;
use serde_json::json;
use support::{Bed, put, write};

on_both_engines! {
    a_database_of_version_1_becomes_what_a_fresh_one_is,
    a_step_that_fails_leaves_the_database_as_it_was,
}

/// The tables as the first release made them.
const VERSION_1: &str = include_str!("schema/v1.sql");

async fn a_database_of_version_1_becomes_what_a_fresh_one_is(bed: Bed) {
    let fresh = match &bed.database {
        Database::Sqlite(_) => Bed::sqlite(),
        Database::Postgres(_) => Bed::postgres(),
    };
    fresh.open().await.close().await;
    version_1(&bed);
    for (kind, id) in [(NETWORK, "n"), (PORT, "p1"), (PORT, "p2")] {
        bed.sql(&format!(
            "INSERT INTO resource (kind, id, project_id, revision, body, public_bytes, admin_bytes) \
             VALUES ('{kind}', '{id}', 'p', 1, '{{}}', 1, 1)"
        ));
    }
    let counted = |bed: &Bed| bed.sql("SELECT name, value FROM counter ORDER BY name");
    // These are no nouns that a model can be made of, so that the store does not open; but they were counted.
    let refused = hextet_store::Store::open(bed.config()).await.err().unwrap();
    assert!(
        hextet_core::errors::chain(&refused).contains("cannot be read"),
        "{refused:?}"
    );
    assert_eq!(counted(&bed), before_or_after(&bed), "{refused:?}");
    bed.sql("DELETE FROM resource WHERE body = '{}'");
    bed.sql("UPDATE counter SET value = 0 WHERE name LIKE 'used %'");
    let store = bed.open().await;
    assert_eq!(shape(&bed), shape(&fresh));
    assert_eq!(
        bed.sql("SELECT value FROM meta WHERE name = 'schema'"),
        SCHEMA_VERSION.to_string()
    );
    let (generation, text) = store
        .read(|model| {
            let text = model.document("thing", "b").unwrap().text().to_owned();
            (model.generation(), text)
        })
        .await
        .unwrap();
    assert_eq!((generation.epoch, generation.revision), (77, 2));
    assert_eq!(text, "{\"x\":2}");
    put(&store, "c", json!({})).await;
    let told = write(&store, |tx| {
        Box::pin(async move {
            let owner = ProjectId("p".into());
            let used = (tx.used(PORT, &owner).await?, tx.used(SUBNET, &owner).await?);
            Ok((tx.next(Counter::PortNumber).await?, used))
        })
    });
    assert_eq!(told.await.unwrap(), (6, (0, 0)));
}

/// On SQLite the tables and the model are one transaction; on PostgreSQL the tables come first, alone.
fn before_or_after(bed: &Bed) -> &'static str {
    match &bed.database {
        Database::Sqlite(_) => "port_number|5",
        Database::Postgres(_) => "port_number|5\nused network p|1\nused port p|2",
    }
}

async fn a_step_that_fails_leaves_the_database_as_it_was(bed: Bed) {
    version_1(&bed);
    // The third statement of the step meets a column that is there.
    bed.sql("ALTER TABLE change ADD COLUMN admin_bytes BIGINT");
    let before = shape(&bed);
    let refused = hextet_store::Store::open(bed.config()).await.err().unwrap();
    assert!(
        hextet_core::errors::chain(&refused).contains("admin_bytes"),
        "{refused:?}"
    );
    assert_eq!(shape(&bed), before);
    assert_eq!(bed.sql("SELECT value FROM meta WHERE name = 'schema'"), "1");
}

#[tokio::test]
async fn servers_that_start_together_on_an_empty_database_make_it_once() {
    let bed = Bed::postgres();
    let opened = futures::future::join_all((0..4).map(|_| bed.open())).await;
    let mut generations = BTreeSet::new();
    for store in &opened {
        let generation = store.read(|model| model.generation()).await.unwrap();
        generations.insert((generation.epoch, generation.revision));
    }
    assert_eq!(generations.len(), 1, "{generations:?}");
    assert_eq!(bed.sql("SELECT COUNT(*) FROM meta"), "3");
}

/// PREPARE is the judge: what SQLite alone takes is refused here.
#[test]
fn every_statement_of_the_store_is_one_that_postgresql_takes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bed = Bed::postgres();
    runtime.block_on(async { bed.open().await.close().await });
    let mut statements = BTreeSet::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut statements,
    );
    assert!(
        statements.len() > 30,
        "the statements were found: {statements:#?}"
    );
    let prepared = statements.iter().enumerate();
    let all: String = prepared
        .map(|(number, sql)| format!("PREPARE s{number} AS {sql};\n"))
        .collect();
    bed.sql(&all);
    let refused = Cluster::shared().try_sql(
        &bed.database.to_string(),
        "PREPARE s AS INSERT OR IGNORE INTO meta (name, value) VALUES ($1, $2)",
    );
    assert!(refused.unwrap_err().contains("syntax error"));
}

/// Every string of the sources that is a statement on rows.
fn collect(folder: &Path, statements: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, statements);
        } else if !path.ends_with("maintenance.rs") && !path.ends_with("tests.rs") {
            // What is done to a SQLite file beside the server is SQLite's alone.
            let text = std::fs::read_to_string(&path).unwrap();
            statements.extend(strings(&text).into_iter().filter(|text| {
                let verbs = [
                    "SELECT ", "INSERT ", "REPLACE ", "UPDATE ", "DELETE ", "WITH ",
                ];
                verbs.iter().any(|verb| text.starts_with(verb)) && !text.contains(['{', ';'])
            }));
        }
    }
}

/// The string literals of a source: a backslash at the end of a line takes the space that follows with it.
fn strings(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in source.lines().map(str::trim_start) {
        assert!(!line.contains("r#\""), "no raw strings here: {line}");
    }
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut rest = code.replace("'\"'", "' '");
    while let Some(start) = rest.find('"') {
        let mut text = String::new();
        let mut characters = rest[start + 1..].char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => match characters.next().unwrap() {
                    (_, '\n') => {
                        let left = characters.as_str();
                        let skipped = left.len() - left.trim_start().len();
                        for _ in 0..skipped {
                            characters.next();
                        }
                    }
                    (_, other) => text.push(other),
                },
                (_, other) => text.push(other),
            }
        };
        found.push(text);
        rest = rest[start + 1 + end + 1..].to_owned();
    }
    found
}

fn version_1(bed: &Bed) {
    let bytes = match &bed.database {
        Database::Sqlite(_) => "BLOB",
        Database::Postgres(_) => "BYTEA",
    };
    bed.sql(&VERSION_1.replace("{bytes}", bytes));
}

/// The tables in a form that does not tell how they came about.
fn shape(bed: &Bed) -> String {
    let questions: &[&str] = match &bed.database {
        Database::Sqlite(_) => &[
            "SELECT t.name, c.cid, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk \
             FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1, 2",
            "SELECT t.name, f.id, f.seq, f.\"table\", f.\"from\", f.\"to\", f.on_delete \
             FROM sqlite_master t, pragma_foreign_key_list(t.name) f ORDER BY 1, 2, 3",
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type <> 'table' ORDER BY 1",
        ],
        Database::Postgres(_) => &[
            "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default \
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
            "SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        ],
    };
    let told: Vec<String> = questions.iter().map(|sql| bed.sql(sql)).collect();
    let told = told.join("\n--\n");
    assert!(told.lines().count() > 40, "{told}");
    told
}
