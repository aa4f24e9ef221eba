//! What was acknowledged is there after the process was killed, and after the disk lost everything that was not synced.
//!
//! The writer is a program of its own, `examples/durable_writer.rs`: it acknowledges each write on its standard output, and
//! the test kills it in the middle. For the loss of power it runs over `lossyfs/lossyfs.c`, which notes what
//! each unsynced write overwrote, so that the test can undo it. That the loop can see a loss at all is shown by a store
//! that does not sync.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hextet_core::settings::CloudSettings;
use hextet_store::{Store, StoreConfig, Synchronous};
use uuid::Uuid;

/// How often the writer is killed in each loop.
const ROUNDS: u64 = 8;
/// Acknowledged writes before the first kill; each round has some more, so that the kill meets other moments.
const WRITES: u64 = 40;

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    assert_eq!(lost(Synchronous::Full, Loss::Process), 0);
}

#[test]
fn nothing_acknowledged_is_lost_when_unsynced_writes_are_thrown_away() {
    assert_eq!(lost(Synchronous::Full, Loss::Power), 0);
}

#[test]
fn a_store_that_does_not_sync_is_seen_to_lose_writes() {
    assert_eq!(
        lost(Synchronous::Off, Loss::Process),
        0,
        "a killed process loses nothing of the page cache"
    );
    assert_ne!(
        lost(Synchronous::Off, Loss::Power),
        0,
        "the loop cannot see a loss"
    );
}

/// What is lost at each kill.
#[derive(Clone, Copy, PartialEq)]
enum Loss {
    Process,
    Power,
}

/// Runs the loop; how many acknowledged writes were missing afterwards, all rounds together.
fn lost(synchronous: Synchronous, loss: Loss) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let state = state.canonicalize().unwrap();
    let journal = folder.path().join("journal");
    let shim = (loss == Loss::Power).then(|| build_shim(folder.path()));
    let mut acknowledged = Vec::new();
    let mut missing = 0;
    for round in 0..ROUNDS {
        let mut command = Command::new(writer_program());
        command
            .arg(&state)
            .arg(round.to_string())
            .arg(match synchronous {
                Synchronous::Full => "full",
                Synchronous::Off => "off",
            })
            .stdout(Stdio::piped());
        if let Some(shim) = &shim {
            command
                .env("LD_PRELOAD", shim)
                .env("LOSSYFS_DIR", &state)
                .env("LOSSYFS_JOURNAL", &journal);
        }
        let mut writer = command.spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut count = 0;
        while count < WRITES + 7 * round {
            let line = lines.next().expect("the writer ended by itself").unwrap();
            if let Some(id) = line.strip_prefix("acknowledged ") {
                acknowledged.push(id.to_owned());
                count += 1;
            }
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it said until it died counts too.
        for line in lines.map_while(Result::ok) {
            if let Some(id) = line.strip_prefix("acknowledged ") {
                acknowledged.push(id.to_owned());
            }
        }
        if loss == Loss::Power {
            undo_unsynced(&journal);
        }
        missing += count_missing(&state, &acknowledged);
        if synchronous == Synchronous::Off && loss == Loss::Power {
            // One round is enough to see it, and what is left may be no database at all.
            break;
        }
    }
    missing
}

/// Opens the store as a restart would and looks for each write, in the model and so in the tables.
fn count_missing(state: &Path, acknowledged: &[String]) -> usize {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let Ok(store) = Store::open(config(state, Synchronous::Full)).await else {
            return acknowledged.len();
        };
        let missing = store
            .read(|model| {
                let missing = acknowledged
                    .iter()
                    .filter(|id| model.document("thing", id).is_none());
                missing.count()
            })
            .await
            .unwrap();
        store.close().await;
        missing
    })
}

/// Undoes, from the last to the first, what was written to each file after its last sync.
fn undo_unsynced(journal: &Path) {
    let bytes = std::fs::read(journal).unwrap();
    let mut unsynced: BTreeMap<PathBuf, Vec<Undo>> = BTreeMap::new();
    let mut syncs = 0;
    let mut rest = bytes.as_slice();
    while rest.len() >= 25 {
        let (head, after) = rest.split_at(25);
        let path_length = u32::from_le_bytes(head[1..5].try_into().unwrap()) as usize;
        let old_length = u32::from_le_bytes(head[21..25].try_into().unwrap()) as usize;
        if after.len() < path_length + old_length {
            // The kill came while it was noted, so the write itself did not happen.
            break;
        }
        let (path, after) = after.split_at(path_length);
        let (old, after) = after.split_at(old_length);
        rest = after;
        let path = PathBuf::from(std::str::from_utf8(path).unwrap());
        if head[0] == b'S' {
            unsynced.remove(&path);
            syncs += 1;
            continue;
        }
        unsynced.entry(path).or_default().push(Undo {
            offset: u64::from_le_bytes(head[5..13].try_into().unwrap()),
            size: u64::from_le_bytes(head[13..21].try_into().unwrap()),
            old: old.to_vec(),
        });
    }
    println!(
        "{syncs} syncs, {} writes undone",
        unsynced.values().map(Vec::len).sum::<usize>()
    );
    for (path, undos) in unsynced {
        let Ok(file) = OpenOptions::new().write(true).open(&path) else {
            // Deleted since.
            continue;
        };
        for undo in undos.into_iter().rev() {
            file.write_all_at(&undo.old, undo.offset).unwrap();
            file.set_len(undo.size).unwrap();
        }
    }
    std::fs::remove_file(journal).unwrap();
}

/// How to take one write back.
struct Undo {
    offset: u64,
    size: u64,
    old: Vec<u8>,
}

/// Cargo builds a package's examples with its tests, into a folder beside theirs.
fn writer_program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/durable_writer");
    assert!(
        program.exists(),
        "{} is not built: cargo builds it with the whole package's tests",
        program.display()
    );
    program
}

fn build_shim(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lossyfs/lossyfs.c");
    let shim = folder.join("lossyfs.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&shim, &source])
        .args(["-ldl", "-lpthread"])
        .status()
        .expect("a C compiler (cc) is needed");
    assert!(built.success());
    shim
}

fn config(state: &Path, synchronous: Synchronous) -> StoreConfig {
    StoreConfig {
        synchronous,
        ..StoreConfig::new(
            state.join("hextet.db"),
            CloudSettings::with_defaults(Uuid::from_u128(1)),
        )
    }
}
