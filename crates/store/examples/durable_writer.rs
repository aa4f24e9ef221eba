//! Writes to a store until it is killed, and says on its standard output what the store has acknowledged.
//!
//! `durable_writer STATE-DIRECTORY ROUND full|off`: the program that `tests/durability.rs` starts and kills.

#![allow(clippy::unwrap_used, reason = "a part of a test")]

use std::io::Write as _;
use std::path::Path;

use hextet_core::settings::CloudSettings;
use hextet_store::{EngineError, Layout, Store, StoreConfig, Synchronous, WriteError};
use uuid::Uuid;

/// Writes that are under way at once.
const WRITERS: u64 = 8;
/// Every so many writes a long one, so that the redo file is full and SQLite commits in every round.
const LONG_EVERY: u64 = 4;
/// Characters of a short one and of a long one.
const LENGTHS: [usize; 2] = [300, 100_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state, round, synchronous] = &arguments[..] else {
        panic!("durable_writer STATE-DIRECTORY ROUND full|off");
    };
    let settings = CloudSettings::with_defaults(Uuid::from_u128(1));
    let config = StoreConfig {
        synchronous: match synchronous.as_str() {
            "full" => Synchronous::Full,
            "off" => Synchronous::Off,
            other => panic!("{other}: full or off"),
        },
        ..StoreConfig::new(Path::new(state).join("hextet.db"), settings)
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(config).await.unwrap();
        // Each a task of its own: some find the writer free and write at once, the others wait and are grouped.
        let writers = (0..WRITERS)
            .map(|writer| tokio::spawn(write_for_ever(store.clone(), round.clone(), writer)));
        futures::future::join_all(writers).await;
    });
}

async fn write_for_ever(store: Store, round: String, writer: u64) {
    for count in 0.. {
        let id = format!("{round}-{writer}-{count}");
        let written = id.clone();
        let long = (count + writer).is_multiple_of(LONG_EVERY);
        let stored = store.write(move |tx| {
            let id = written.clone();
            Box::pin(async move {
                let text = "x".repeat(LENGTHS[usize::from(long)]);
                tx.insert(
                    "thing",
                    &id,
                    "",
                    &serde_json::json!({"text": text}),
                    Layout::default(),
                )
                .await
            })
        });
        let stored: Result<bool, WriteError<EngineError>> = stored.await;
        assert!(stored.unwrap());
        // One call, so that no line is cut by another writer's.
        let line = format!("acknowledged {id}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}
