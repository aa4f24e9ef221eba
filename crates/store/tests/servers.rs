//! Several stores on one PostgreSQL: one order of commits, each store sees the others' writes at once, and nobody misses one.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use hextet_store::{Counter, EngineError, Model, Store};
use hextet_testdb::Cluster;
use serde_json::{Value as Json, json};
use support::{Bed, Refused, put, try_put, write, write_on};

/// Writers at once in each of two stores, and how much each writes.
const WRITERS: u64 = 16;
const WRITES: u64 = 100;
/// After so many a writer waits until the other store has heard of them: together they stay far below the number of commits
/// that a subscriber may be behind.
const AHEAD: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn no_event_of_3200_concurrent_writes_of_two_stores_is_missed_or_out_of_order() {
    let bed = Bed::postgres();
    let stores = [bed.open().await, bed.open().await];
    let mut heard: Vec<_> = stores.iter().map(|store| follow(store.clone())).collect();
    let writers = (0..2 * WRITERS).map(|writer| {
        let store = stores[(writer % 2) as usize].clone();
        let other = stores[((writer + 1) % 2) as usize].clone();
        tokio::spawn(async move {
            for count in 0..WRITES {
                put(&store, &format!("{writer}-{count}"), json!({})).await;
                if count % AHEAD == 0 {
                    while other.read(|_| ()).await.is_err() {}
                }
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    let all = 2 * WRITERS * WRITES;
    for (store, heard) in stores.iter().zip(&mut heard) {
        let (revision, count) = store
            .read(|model| {
                (
                    model.generation().revision,
                    model.documents("thing").count(),
                )
            })
            .await
            .unwrap();
        assert_eq!((revision, count as u64), (all, all));
        let heard = heard.await.unwrap();
        assert_eq!(heard, (1..=all).collect::<Vec<_>>());
    }
    let lines = bed.sql("SELECT COUNT(DISTINCT revision), MAX(revision) FROM change");
    assert_eq!(lines, format!("{all}|{all}"));
}

/// The revisions that a subscriber hears of, up to the last.
fn follow(store: Store) -> tokio::task::JoinHandle<Vec<u64>> {
    let mut commits = store.subscribe();
    tokio::spawn(async move {
        let mut heard = Vec::new();
        while heard.len() < (2 * WRITERS * WRITES) as usize {
            let commit = commits.recv().await.unwrap();
            assert!(!commit.whole);
            heard.push(commit.revision);
        }
        heard
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_through_one_store_is_read_through_the_other_at_once() {
    let bed = Bed::postgres();
    let stores = [bed.open().await, bed.open().await];
    for count in 0..200_u64 {
        let (here, there) = match count % 2 {
            0 => (&stores[0], &stores[1]),
            _ => (&stores[1], &stores[0]),
        };
        put(here, "a", json!({"count": count})).await;
        let text = there
            .read(|model| model.document("thing", "a").unwrap().text().to_owned())
            .await
            .unwrap();
        assert_eq!(text, format!("{{\"count\":{count}}}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contended_counters_of_two_stores_count_exactly() {
    let bed = Bed::postgres();
    let stores = [bed.open().await, bed.open().await];
    put(&stores[0], "a", json!({"count": 0})).await;
    let writers = (0..200).map(|writer| {
        let store = stores[writer % 2].clone();
        async move {
            write_on(&store, |tx| {
                Box::pin(async move {
                    let value: Json = tx.value("thing", "a").await?.unwrap();
                    let count = value["count"].as_u64().unwrap() + 1;
                    tx.update(
                        "thing",
                        "a",
                        &json!({"count": count}),
                        hextet_store::Layout::default(),
                    )
                    .await?;
                    Ok(tx.next(Counter::PortNumber).await?)
                })
            })
            .await
            .unwrap()
        }
    });
    let numbers: BTreeSet<u64> = futures::future::join_all(writers)
        .await
        .into_iter()
        .collect();
    assert_eq!(numbers, (1..=200).collect());
    for store in &stores {
        let text = store
            .read(|model| model.document("thing", "a").unwrap().text().to_owned())
            .await
            .unwrap();
        assert_eq!(text, "{\"count\":200}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_sees_what_the_jobs_before_it_in_its_commit_did() {
    let bed = Bed::postgres();
    let store = bed.open().await;
    let writers = (0..64_u64).map(|writer| {
        let store = store.clone();
        async move {
            write_on(&store, move |tx| {
                Box::pin(async move {
                    let before = tx.documents("thing").await?.len() as u64;
                    let id = format!("{before:03}");
                    let layout = hextet_store::Layout::default();
                    assert!(tx.document("thing", &id).await?.is_none());
                    assert!(tx.insert("thing", &id, "", &json!({}), layout).await?);
                    assert!(!tx.insert("thing", &id, "", &json!({}), layout).await?);
                    assert_eq!(tx.documents("thing").await?.len() as u64, before + 1);
                    match writer % 3 {
                        0 => Err(Refused::No),
                        _ => Ok(before),
                    }
                })
            })
            .await
        }
    });
    let told = futures::future::join_all(writers).await;
    let seen: BTreeSet<u64> = told.into_iter().filter_map(Result::ok).collect();
    assert_eq!(seen, (0..42).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_log_was_trimmed_past_reads_everything_anew() {
    let bed = Bed::postgres();
    let store = bed.open().await;
    put(&store, "a", json!({"count": 1})).await;
    let mut commits = store.subscribe();
    let other = bed.open().await;
    put(&other, "a", json!({"count": 2})).await;
    put(&other, "b", json!({})).await;
    // It may have followed by now: take it back to where it was by writing beside both.
    bed.sql(
        "INSERT INTO resource (kind, id, project_id, revision, body, public_bytes, admin_bytes) \
         VALUES ('thing', 'c', '', 50, '{}', 1, 1); \
         INSERT INTO change (revision, ordinal, kind, id, op, body) VALUES (50, 0, 'thing', 'c', 'put', '{}'); \
         DELETE FROM change WHERE revision < 50",
    );
    for store in [&store, &other] {
        let ids = store
            .read(|model| {
                let things = model.documents("thing");
                things.map(|one| one.id.to_string()).collect::<Vec<_>>()
            })
            .await
            .unwrap();
        assert_eq!(ids, ["a", "b", "c"]);
        let revision = store
            .read(|model| model.generation().revision)
            .await
            .unwrap();
        assert_eq!(revision, 50);
    }
    let mut last = commits.recv().await.unwrap();
    while !last.whole {
        last = commits.recv().await.unwrap();
    }
    assert_eq!(last.revision, 50);
    // Both write on from there.
    put(&store, "d", json!({})).await;
    put(&other, "e", json!({})).await;
    let revision = store
        .read(|model| model.generation().revision)
        .await
        .unwrap();
    assert_eq!(revision, 52);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_one_store_begins_the_other_takes_over() {
    let bed = Bed::postgres();
    let stores = [bed.open().await, bed.open().await];
    put(&stores[0], "a", json!({})).await;
    stores[1].read(|_| ()).await.unwrap();
    let mut commits = stores[1].subscribe();
    let epoch = stores[0].renew_epoch().await.unwrap();
    for store in &stores {
        let generation = store.read(Model::generation).await.unwrap();
        assert_eq!((generation.epoch, generation.revision), (epoch, 1));
    }
    assert!(
        commits.recv().await.unwrap().whole,
        "subscribers look at everything"
    );
    put(&stores[1], "b", json!({})).await;
}

/// Lets the next commits of a database fail as contended ones do. Sequences are not rolled back, so they count.
fn fail_commits(bed: &Bed, failures: usize) {
    bed.sql(&format!(
        "CREATE SEQUENCE attempts; \
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('attempts') <= {failures} THEN \
         RAISE EXCEPTION 'on purpose' USING ERRCODE = 'serialization_failure'; END IF; \
         RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON change \
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_others_way_is_tried_again_and_its_job_runs_again() {
    let bed = Bed::postgres();
    let store = bed.open().await;
    fail_commits(&bed, 3);
    put(&store, "a", json!({})).await;
    assert_eq!(bed.sql("SELECT last_value FROM attempts"), "4");
    let (revision, count) = store
        .read(|model| {
            (
                model.generation().revision,
                model.documents("thing").count(),
            )
        })
        .await
        .unwrap();
    assert_eq!((revision, count), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_bounded_and_nothing_is_changed_then() {
    let bed = Bed::postgres();
    let store = bed.open().await;
    fail_commits(&bed, 1000);
    let refused = try_put(&store, "a", json!({})).await;
    let Err(error) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(error, EngineError::Contended(8)), "{error}");
    assert!(error.is_passing());
    assert_eq!(bed.sql("SELECT last_value FROM attempts"), "8");
    bed.sql("DROP TRIGGER fail ON change");
    put(&store, "b", json!({})).await;
    let ids = store
        .read(|model| {
            let things = model.documents("thing");
            things.map(|one| one.id.to_string()).collect::<Vec<_>>()
        })
        .await
        .unwrap();
    assert_eq!(ids, ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_not_held_up_by_the_writers_lock() {
    let bed = Bed::postgres();
    let stores = [bed.open().await, bed.open().await];
    put(&stores[0], "a", json!({})).await;
    let url = bed.database.to_string();
    // The lock is held until the sleeping session is told to go.
    let holder = std::thread::spawn(move || {
        Cluster::shared().try_sql(
            &url,
            "BEGIN; LOCK TABLE meta IN EXCLUSIVE MODE; SELECT pg_sleep(600)",
        )
    });
    let held = "SELECT COUNT(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                WHERE c.relname = 'meta' AND mode = 'ExclusiveLock' AND granted \
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while bed.sql(held) != "1" {
        tokio::task::yield_now().await;
    }
    let blocked = {
        let store = stores[0].clone();
        tokio::spawn(async move { try_put(&store, "b", json!({})).await })
    };
    let waits = "SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE NOT granted AND d.datname = current_database()";
    while bed.sql(waits) != "1" && !blocked.is_finished() {
        tokio::task::yield_now().await;
    }
    for store in &stores {
        for _ in 0..50 {
            let count = store.read(|model| model.documents("thing").count()).await;
            assert_eq!(count.unwrap(), 1);
        }
    }
    // The writer gives up on a lock that it does not get, and says so.
    let refused = blocked.await.unwrap();
    let Err(EngineError::Unavailable(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(why.contains("lock timeout"), "{why}");
    bed.sql(
        "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()",
    );
    assert!(holder.join().unwrap().is_err());
    put(&stores[1], "c", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_document_says_is_the_same_from_the_log_and_from_the_tables() {
    let bed = Bed::postgres();
    let stores = [bed.open().await, bed.open().await];
    let layout = hextet_store::Layout {
        first_admin: Some("b"),
        first_internal: Some("c"),
    };
    let written = write(&stores[0], move |tx| {
        Box::pin(async move {
            let value = json!({"a": "äöü\u{0}", "b": 1, "c": 2});
            tx.insert("thing", "x", "owner", &value, layout).await?;
            tx.insert("thing", "y", "owner", &value, layout).await?;
            Ok(tx.delete("thing", "y").await?)
        })
    });
    assert!(written.await.unwrap());
    let third = bed.open().await;
    let mut seen = BTreeMap::new();
    for (place, store) in [&stores[0], &stores[1], &third].into_iter().enumerate() {
        let documents = store.read(|model| model.documents("thing").cloned().collect::<Vec<_>>());
        let documents = documents.await.unwrap();
        assert_eq!(documents.len(), 1);
        assert!(documents[0].public().ends_with("\\u0000\""));
        assert_eq!(documents[0].project_id.as_ref(), "owner");
        seen.insert(place, documents);
    }
    assert_eq!(seen[&0], seen[&1]);
    assert_eq!(seen[&0], seen[&2]);
}
