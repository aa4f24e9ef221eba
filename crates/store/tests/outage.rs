//! A PostgreSQL that is killed, stopped and started again under load: what was acknowledged is there, what fails says why,
//! and everything works again by itself.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hextet_store::{EngineError, OpenError, Store};
use hextet_testdb::{Cluster, Disk};
use nix::sys::signal::Signal;
use serde_json::json;
use support::{Bed, put, try_put};

/// Writers at once in each of two stores.
const WRITERS: usize = 8;
/// Writes that are acknowledged before each blow, and after the last.
const WRITES: usize = 100;

/// What a writer saw.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<String>,
    /// May be stored or not.
    unknown: Vec<String>,
    refused: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_database_is_killed_under_load() {
    let cluster = Cluster::start(Disk::Synced);
    let bed = Bed::on(&cluster);
    let stores = [bed.open().await, bed.open().await];
    let stop = Arc::new(AtomicBool::new(false));
    let (count, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..2 * WRITERS)
        .map(|writer| {
            let (store, stop) = (stores[writer % 2].clone(), stop.clone());
            tokio::spawn(write_until(store, writer, stop, count.clone()))
        })
        .collect();
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGQUIT] {
        for _ in 0..WRITES {
            acknowledged.recv().await.unwrap();
        }
        cluster.kill(signal);
        for store in &stores {
            unavailable(store).await;
        }
        cluster.run();
        while acknowledged.try_recv().is_ok() {}
    }
    for _ in 0..WRITES {
        acknowledged.recv().await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let seen = futures::future::try_join_all(writers).await.unwrap();
    for store in &stores {
        back(store).await;
    }
    let mut refused = 0;
    let known: Vec<&Seen> = seen.iter().collect();
    for store in [&stores[0], &stores[1], &bed.open().await] {
        let mut stored = ids(store).await;
        // Ours, to see whether the database is there.
        stored.retain(|id| !["no", "back"].contains(&id.as_str()));
        for one in &known {
            for id in &one.acknowledged {
                assert!(stored.contains(id), "{id} was acknowledged");
            }
            for id in &one.refused {
                assert!(!stored.contains(id), "{id} was said to be not written");
            }
            refused += one.refused.len();
        }
        let told: BTreeSet<&String> = known
            .iter()
            .flat_map(|one| one.acknowledged.iter().chain(&one.unknown))
            .collect();
        assert!(stored.iter().all(|id| told.contains(id)));
    }
    assert!(refused > 0, "writers met the outages");
}

async fn write_until(
    store: Store,
    writer: usize,
    stop: Arc<AtomicBool>,
    count: tokio::sync::mpsc::UnboundedSender<()>,
) -> Seen {
    let mut seen = Seen::default();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{writer}-{turn}");
        match try_put(&store, &id, json!({})).await {
            Ok(()) => {
                seen.acknowledged.push(id);
                count.send(()).unwrap();
            }
            Err(EngineError::OutcomeUnknown(_)) => seen.unknown.push(id),
            Err(error) if error.is_passing() => {
                seen.refused.push(id);
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    seen
}

/// Reads and writes say that the database is away.
async fn unavailable(store: &Store) {
    let read = store.read(|_| ()).await;
    assert!(matches!(read, Err(EngineError::Unavailable(_))), "{read:?}");
    loop {
        match try_put(store, "no", json!({})).await {
            Err(EngineError::Unavailable(_)) => return,
            // The first to meet the dead connection may meet it at its commit.
            Err(EngineError::OutcomeUnknown(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn ids(store: &Store) -> BTreeSet<String> {
    let ids = store.read(|model| {
        let things = model.documents("thing");
        things.map(|one| one.id.to_string()).collect()
    });
    ids.await.unwrap()
}

/// Waits until the store is served again: by itself, without a word from us.
async fn back(store: &Store) {
    while store.read(|_| ()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    loop {
        match try_put(store, "back", json!({})).await {
            Ok(()) => return,
            Err(error) if error.is_passing() => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_come_back_and_no_commit_is_missed() {
    let cluster = Cluster::start(Disk::Unsynced);
    let bed = Bed::on(&cluster);
    let stores = [bed.open().await, bed.open().await];
    let mut commits = stores[1].subscribe();
    for round in 0..5 {
        put(&stores[0], &format!("{round}-before"), json!({})).await;
        cluster.sql(
            "postgres",
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE application_name = 'hextet'",
        );
        for store in &stores {
            back(store).await;
        }
        put(&stores[0], &format!("{round}-after"), json!({})).await;
    }
    let newest = stores[1]
        .read(|model| model.generation().revision)
        .await
        .unwrap();
    for expected in 1..=newest {
        let commit = commits.recv().await.unwrap();
        assert_eq!((commit.revision, commit.whole), (expected, false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_put_back_meanwhile_is_read_anew() {
    let cluster = Cluster::start(Disk::Unsynced);
    let bed = Bed::on(&cluster);
    let store = bed.open().await;
    put(&store, "kept", json!({})).await;
    let url = bed.database.to_string();
    let cut = |and: &str| {
        // As an operator would: nobody connected, the tables as an earlier copy has them.
        cluster.sql(
            "postgres",
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE application_name = 'hextet'",
        );
        cluster.sql(&url, and);
    };
    // Behind where the store has been.
    put(&store, "lost", json!({})).await;
    let mut commits = store.subscribe();
    cut("BEGIN; LOCK TABLE change IN ACCESS EXCLUSIVE MODE; \
         DELETE FROM change WHERE revision = 2; DELETE FROM resource WHERE id = 'lost'; COMMIT");
    back(&store).await;
    assert_eq!(ids(&store).await, ["back", "kept"].map(String::from).into());
    assert!(commits.recv().await.unwrap().whole);
    // As far as the store has been, but by another way.
    cut("BEGIN; LOCK TABLE change IN ACCESS EXCLUSIVE MODE; \
         UPDATE change SET body = '{\"other\":1}' WHERE revision = 2; \
         UPDATE resource SET body = '{\"other\":1}', public_bytes = 10, admin_bytes = 10 WHERE id = 'back'; COMMIT");
    while store
        .read(|model| {
            model
                .document("thing", "back")
                .unwrap()
                .text()
                .contains("other")
        })
        .await
        .ok()
        != Some(true)
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_waits_for_the_database_and_then_says_why_not() {
    let cluster = Cluster::start(Disk::Unsynced);
    let bed = Bed::on(&cluster);
    cluster.kill(Signal::SIGINT);
    let mut impatient = bed.config();
    impatient.patience = Duration::from_millis(300);
    let refused = Store::open(impatient).await.err().unwrap();
    let OpenError::Open { database, source } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(database, &bed.database);
    assert!(source.is_passing(), "{source:?}");
    let told = hextet_core::errors::chain(&refused);
    assert!(
        told.contains("cannot open the database postgresql:///test0?host=")
            && told.contains("error connecting to server"),
        "{told}"
    );
    let config = bed.config();
    let waiting = tokio::spawn(Store::open(config));
    cluster.run();
    put(&waiting.await.unwrap().unwrap(), "a", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_does_not_mend_is_said_at_once() {
    let cluster = Cluster::start(Disk::Unsynced);
    let url = cluster.url("nowhere");
    let mut config = Bed::on(&cluster).config();
    config.patience = Duration::from_secs(3600);
    for (url, why) in [
        (url.clone(), "database \"nowhere\" does not exist"),
        (
            cluster
                .url("postgres")
                .replace("user=hextet", "user=x&password=secret"),
            "role \"x\" does not exist",
        ),
    ] {
        config.database = url.parse().unwrap();
        let refused = Store::open(config.clone()).await.err().unwrap();
        let told = format!("{refused:?} {}", hextet_core::errors::chain(&refused));
        assert!(told.contains(why), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_tables_a_newer_program_changed_says_so() {
    let cluster = Cluster::start(Disk::Unsynced);
    let bed = Bed::on(&cluster);
    let store = bed.open().await;
    cluster.sql(
        &bed.database.to_string(),
        "UPDATE meta SET value = '99' WHERE name = 'schema'",
    );
    let read = store.read(|_| ()).await;
    assert!(
        matches!(&read, Err(EngineError::Unavailable(why)) if why.contains("newer program")),
        "{read:?}"
    );
    let written = try_put(&store, "a", json!({})).await;
    assert!(
        matches!(&written, Err(EngineError::Unavailable(why)) if why.contains("newer program")),
        "{written:?}"
    );
}
