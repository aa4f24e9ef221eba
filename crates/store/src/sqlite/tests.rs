//! What is acknowledged stays, whatever becomes of SQLite's transaction and of the redo file. Crashes are writers that
//! are dropped as they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::BoxFuture;
use tempfile::TempDir;
use uuid::Uuid;

use super::desk::{CROWDED_FOR, Gate, QUICK, SLOW_FOR};
use super::*;
use crate::document::Layout;
use crate::tx::Pick;
use crate::writer::Write;

struct Bed {
    folder: TempDir,
    acknowledged: BTreeSet<String>,
}

impl Bed {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            acknowledged: BTreeSet::new(),
        }
    }

    fn writer(&self) -> Writer {
        let path = self.folder.path().join("hextet.db");
        let config = StoreConfig::new(&path, CloudSettings::with_defaults(Uuid::from_u128(1)));
        let (tx, redo, model) = open(&path, &config).map_err(|_| "cannot open").unwrap();
        let (committed, _) = broadcast::channel(8);
        let audience = Audience {
            model: Arc::new(RwLock::new(model)),
            committed,
            counts: Counts::default(),
        };
        Writer {
            tx,
            redo,
            audience,
            beside: BESIDE_DISK,
            open_since: None,
        }
    }

    /// Inserts a document of so many bytes in a group of its own; whether it is stored.
    fn put(&mut self, writer: &mut Writer, id: &str, bytes: usize) -> bool {
        let named = id.to_owned();
        let stored = run(writer, move |tx| {
            let (id, value) = (named.clone(), BTreeMap::from([("text", "x".repeat(bytes))]));
            Box::pin(async move { tx.insert("thing", &id, "", &value, Layout::default()).await })
        });
        if stored {
            self.acknowledged.insert(id.to_owned());
        }
        stored
    }

    /// What a server finds that starts now.
    fn found(&self) -> BTreeSet<String> {
        let writer = self.writer();
        let model = writer.audience.model();
        let things = model.documents("thing");
        things.map(|document| document.id.to_string()).collect()
    }
}

/// Runs a job in a group of its own; whether it ended well.
fn run<F>(writer: &mut Writer, job: F) -> bool
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<bool, EngineError>> + Send + 'static,
{
    let (job, mut answer) = boxed(job);
    writer.commit(vec![job]);
    matches!(answer.try_recv(), Ok(Ok(true)))
}

/// Lets the database have so many pages more.
fn limit_pages(writer: &mut Writer, more: i64) {
    let connection = writer.tx.connection().unwrap();
    let pages: i64 = connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    connection
        .pragma_update(None, "max_page_count", pages + more)
        .unwrap();
}

#[test]
fn writes_that_sqlite_has_not_committed_are_done_again() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    assert!(bed.put(&mut writer, "first", 10));
    writer.write_down_now();
    assert!(bed.put(&mut writer, "second", 10));
    assert!(bed.put(&mut writer, "third", 10));
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
    // Once more, for what was done again is in the database now.
    assert_eq!(bed.found(), bed.acknowledged);
}

#[test]
fn a_refused_job_leaves_nothing_in_the_redo_file() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    assert!(bed.put(&mut writer, "first", 10));
    let refused = run(&mut writer, |tx| {
        Box::pin(async move {
            let value = BTreeMap::from([("text", "")]);
            tx.insert("thing", "refused", "", &value, Layout::default())
                .await?;
            Err(EngineError::Unsound("wish"))
        })
    });
    assert!(!refused);
    assert!(bed.put(&mut writer, "second", 10));
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
}

#[test]
fn a_transaction_that_sqlite_gives_up_takes_nothing_acknowledged_with_it() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    assert!(bed.put(&mut writer, "first", 10));
    limit_pages(&mut writer, 8);
    let numbers = (0..).take_while(|number| bed.put(&mut writer, &format!("n{number}"), 2000));
    assert!(
        (1..20).contains(&numbers.count()),
        "the database was to be full"
    );
    assert!(writer.open_since.is_none(), "SQLite was to give up");
    limit_pages(&mut writer, 1000);
    assert!(bed.put(&mut writer, "last", 10));
    writer.write_down_now();
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
    assert!(bed.acknowledged.len() > 3);
}

#[test]
fn a_full_redo_file_makes_sqlite_commit() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    // One that is too long for the file by itself, many that fill it up.
    assert!(bed.put(&mut writer, "long", redo::FILE_BYTES));
    assert!(writer.open_since.is_none());
    for number in 0..40 {
        assert!(bed.put(&mut writer, &format!("n{number}"), redo::FILE_BYTES / 20));
    }
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
}

#[test]
fn without_a_redo_file_every_write_is_a_commit_of_sqlite() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    assert!(bed.put(&mut writer, "before", 10));
    writer.redo.break_file();
    for id in ["first", "second"] {
        assert!(bed.put(&mut writer, id, 10));
        assert!(writer.open_since.is_none(), "SQLite has committed");
    }
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
}

#[test]
fn a_record_whose_sync_fails_is_a_commit_of_sqlite() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    assert!(bed.put(&mut writer, "before", 10));
    // What was acknowledged is in SQLite, so that the redo file need not be read again.
    writer.write_down().unwrap();
    writer.redo.break_sync();
    for id in ["first", "second"] {
        assert!(bed.put(&mut writer, id, 10));
        assert!(writer.open_since.is_none(), "SQLite has committed");
    }
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
}

/// A write that is refused from the second time on.
fn only_once(tx: &mut Tx) -> BoxFuture<'_, Result<(), EngineError>> {
    let value = BTreeMap::from([("text", "")]);
    Box::pin(async move {
        let stored = tx.insert("thing", "one", "", &value, Layout::default());
        stored.await?.then_some(()).ok_or(EngineError::Closed)
    })
}

/// Puts a row in the way of the log's next, which nobody looks for first.
fn stand_in_the_way(writer: &mut Writer) {
    writer.begin().unwrap();
    let next = writer.audience.model().generation().revision + 1;
    let row = format!(
        "INSERT INTO change (revision, ordinal, kind, id, op, body, project_id, public_bytes, admin_bytes) \
         VALUES ({next}, 0, 'thing', 'x', 'put', '', '', 0, 0)"
    );
    ready(writer.tx.batch(&row)).unwrap();
}

#[test]
fn what_sqlite_refuses_while_the_disk_writes_is_lost_for_good() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    writer.beside = Duration::MAX;
    assert!(bed.put(&mut writer, "before", 10));
    stand_in_the_way(&mut writer);
    assert!(!bed.put(&mut writer, "lost", 10));
    // The row went with the transaction, what was acknowledged did not.
    assert!(bed.put(&mut writer, "after", 10));
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
    assert!(!bed.acknowledged.contains("lost"));
}

#[test]
fn what_sqlite_refuses_after_the_answer_is_done_again() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    writer.beside = Duration::ZERO;
    assert!(bed.put(&mut writer, "before", 10));
    writer.catch_up();
    stand_in_the_way(&mut writer);
    assert!(bed.put(&mut writer, "kept", 10));
    writer.catch_up();
    assert!(writer.open_since.is_none(), "SQLite was to refuse it");
    assert!(bed.put(&mut writer, "after", 10));
    writer.write_down_now();
    assert!(writer.redo.is_empty(), "SQLite was to have everything");
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
    assert_eq!(bed.acknowledged.len(), 3);
}

/// A job that asks the database something.
fn ask(tx: &mut Tx) -> BoxFuture<'_, Result<bool, EngineError>> {
    Box::pin(async move { Ok(tx.newest_revision().await? > 0) })
}

#[test]
fn what_sqlite_refuses_before_it_answers_another_job_is_done_again() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    writer.beside = Duration::ZERO;
    assert!(bed.put(&mut writer, "before", 10));
    writer.catch_up();
    stand_in_the_way(&mut writer);
    assert!(bed.put(&mut writer, "kept", 10));
    assert!(!run(&mut writer, ask), "the transaction was to be lost");
    assert!(run(&mut writer, ask));
    writer.write_down_now();
    let connection = writer.tx.connection().unwrap();
    let sql = "SELECT group_concat(id) FROM (SELECT id FROM change ORDER BY revision)";
    let logged: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(logged, "before,kept");
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
}

/// A job that claims a name.
fn claim(tx: &mut Tx) -> BoxFuture<'_, Result<bool, EngineError>> {
    Box::pin(tx.claim(Pick::Named, ("test", "name"), "somebody"))
}

#[test]
fn what_a_lost_job_gave_back_is_still_taken() {
    let bed = Bed::new();
    let mut writer = bed.writer();
    writer.beside = Duration::MAX;
    assert!(run(&mut writer, claim));
    stand_in_the_way(&mut writer);
    let given_back = run(&mut writer, |tx| {
        Box::pin(async move {
            let value = BTreeMap::from([("text", "")]);
            tx.release("test", "name").await?;
            tx.insert("thing", "lost", "", &value, Layout::default())
                .await
        })
    });
    assert!(!given_back, "SQLite was to refuse it");
    let (job, mut answer) = boxed(claim);
    writer.commit(vec![job]);
    let is_taken = matches!(answer.try_recv(), Ok(Ok(false)));
    assert!(is_taken, "it was to be refused, and by its own answer");
}

#[test]
fn a_refused_job_takes_nothing_along_that_was_put_off_before_it() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    writer.beside = Duration::ZERO;
    assert!(bed.put(&mut writer, "first", 10));
    assert!(writer.tx.is_behind());
    let refused = run(&mut writer, |tx| {
        Box::pin(async move {
            let value = BTreeMap::from([("text", "")]);
            tx.insert("thing", "refused", "", &value, Layout::default())
                .await?;
            let sql = "SELECT id FROM resource WHERE kind = 'thing' ORDER BY id";
            let rows = tx.rows(sql, &[]).await?;
            let seen: Result<Vec<_>, _> = rows.iter().map(|row| row.text(0)).collect();
            assert_eq!(seen?, ["first", "refused"]);
            tx.insert("thing", "later", "", &value, Layout::default())
                .await?;
            Ok(true)
        })
    });
    assert!(
        refused,
        "its question is answered with all that came before"
    );
    let refused = run(&mut writer, |tx| {
        Box::pin(async move {
            tx.delete("thing", "first").await?;
            Err(EngineError::Unsound("wish"))
        })
    });
    assert!(!refused);
    writer.catch_up();
    let connection = writer.tx.connection().unwrap();
    let sql =
        "SELECT group_concat(id) FROM (SELECT id FROM resource WHERE kind = 'thing' ORDER BY id)";
    let stored: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, "first,later,refused");
}

/// What a job does with a name, and whether it is refused at its end.
#[derive(Clone, Copy, Debug)]
struct Step {
    name: u8,
    kind: u8,
    refused: bool,
}

/// Claims a name, gives it back, or both in either order; the answers of its claims.
async fn take_step(tx: &mut Tx, step: Step) -> Result<Vec<bool>, EngineError> {
    let name = step.name.to_string();
    let mut answers = Vec::new();
    for claims in [step.kind & 1 == 0, step.kind & 2 == 0] {
        match claims {
            true => answers.push(tx.claim(Pick::Named, ("test", &name), "somebody").await?),
            false => tx.release("test", &name).await?,
        }
    }
    Ok(answers)
}

#[test]
fn what_is_taken_is_known_whatever_becomes_of_those_who_take() {
    let bed = Bed::new();
    let mut writer = bed.writer();
    let mut held = BTreeSet::new();
    for _ in 0..4000 {
        let step = Step {
            name: rand::random_range(0..8),
            kind: rand::random_range(0..4),
            refused: rand::random(),
        };
        let (mut now, mut expected) = (held.clone(), Vec::new());
        for claims in [step.kind & 1 == 0, step.kind & 2 == 0] {
            match claims {
                true => expected.push(now.insert(step.name)),
                false => drop(now.remove(&step.name)),
            }
        }
        if !step.refused {
            held = now;
        }
        let right = run(&mut writer, move |tx| {
            let expected = expected.clone();
            Box::pin(async move {
                assert_eq!(take_step(tx, step).await?, expected, "{step:?}");
                (!step.refused).then_some(true).ok_or(EngineError::Closed)
            })
        });
        assert_eq!(right, !step.refused, "{step:?}");
        match rand::random_range(0..24) {
            0 => writer.write_down_now(),
            1 => writer.roll_back(),
            2 => {
                drop(writer);
                writer = bed.writer();
            }
            3..8 => writer.catch_up(),
            _ => {}
        }
    }
}

#[test]
fn an_answer_is_prepared_once_and_only_where_there_is_one() {
    let bed = Bed::new();
    let mut writer = bed.writer();
    for refused in [false, true] {
        let (reply, mut answer) = oneshot::channel();
        let prepared = Arc::new(AtomicU32::new(0));
        let count = prepared.clone();
        let then = move |()| count.fetch_add(1, Ordering::Relaxed);
        writer.commit(vec![Box::new(Write::new(only_once, then, reply))]);
        assert_eq!(answer.try_recv().unwrap().is_err(), refused);
        assert_eq!(prepared.load(Ordering::Relaxed), u32::from(!refused));
    }
}

#[test]
fn what_is_closed_is_whole_without_a_redo_file() {
    let mut bed = Bed::new();
    let mut writer = bed.writer();
    assert!(bed.put(&mut writer, "first", 10));
    let path = bed.folder.path().join("hextet.db");
    let (orders, inbox) = mpsc::channel(1);
    drop(orders);
    run_thread(
        &Desk::new(writer),
        inbox,
        DatabaseLock::take(&path).unwrap().unwrap(),
    );
    let redo = crate::lock::beside(&path, redo::SUFFIX);
    assert!(!redo.exists());
    assert_eq!(bed.found(), bed.acknowledged);
}

type Answer = oneshot::Receiver<Result<bool, crate::store::WriteError<EngineError>>>;

/// A job, and how it ends.
fn boxed<F>(make: F) -> (Box<dyn Job>, Answer)
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<bool, EngineError>> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Write::new(make, |answer| answer, reply)), answer)
}

/// A job that stores a document.
fn insertion(id: &'static str) -> (Box<dyn Job>, Answer) {
    boxed(move |tx| {
        let value = BTreeMap::from([("text", "")]);
        Box::pin(async move { tx.insert("thing", id, "", &value, Layout::default()).await })
    })
}

/// A started engine, as a store has it.
fn started(bed: &Bed) -> (Direct, mpsc::Sender<Order>) {
    let path = bed.folder.path().join("hextet.db");
    let config = StoreConfig::new(&path, CloudSettings::with_defaults(Uuid::from_u128(1)));
    let (orders, inbox) = mpsc::channel(8);
    let (committed, _) = broadcast::channel(8);
    let (_, direct) = start(&path, &config, inbox, committed).unwrap();
    (direct, orders)
}

#[test]
fn who_finds_the_writer_free_writes_at_once_and_the_thread_commits_later() {
    let bed = Bed::new();
    let (direct, orders) = started(&bed);
    let (job, mut answer) = insertion("first");
    assert!(direct.try_write(job).is_ok());
    let stored = matches!(answer.try_recv(), Ok(Ok(true)));
    assert!(stored, "it is answered before `try_write` returns");
    // Nobody orders anything, so the thread must know by itself that SQLite is to commit.
    while direct.desk.due().is_some() {
        std::thread::yield_now();
    }
    let (done, closed) = oneshot::channel();
    orders.blocking_send(Order::Close(done)).unwrap();
    assert!(closed.blocking_recv().is_err());
    let late = direct.try_write(insertion("late").0).is_err();
    assert!(late, "nothing is written once it is closed");
    assert_eq!(bed.found(), BTreeSet::from(["first".to_owned()]));
}

#[test]
fn the_short_way_is_closed_while_another_writes_and_while_the_gate_is() {
    let bed = Bed::new();
    let (direct, _orders) = started(&bed);
    let is_free = |id| direct.try_write(insertion(id).0).is_ok();
    let mut held = direct.desk.writer.lock().unwrap();
    assert!(!is_free("busy"));
    let begun = Instant::now();
    let pair = vec![insertion("one").0, insertion("two").0];
    direct.desk.commit(held.as_mut().unwrap(), pair);
    drop(held);
    assert!(direct.desk.gate().closed_until >= begun + CROWDED_FOR);
    direct.desk.gate().close(begun + Duration::from_secs(3600));
    assert!(!is_free("closed"));
    direct.desk.gate().closed_until = begun;
    assert!(is_free("free"));
}

#[test]
fn a_crowd_and_a_slow_disk_close_the_gate_and_one_slow_commit_does_not() {
    let start = Instant::now();
    let mut gate = Gate {
        closed_until: start,
        slow: 0,
    };
    let mut now = start;
    let mut commit = |gate: &mut Gate, jobs, took: Duration| {
        let begun = now;
        now += took;
        gate.note(jobs, begun, now);
        gate.closed_until.saturating_duration_since(now)
    };
    let slow = QUICK + Duration::from_nanos(1);
    for _ in 0..4 {
        for took in [slow, slow, QUICK] {
            assert_eq!(commit(&mut gate, 1, took), Duration::ZERO);
        }
    }
    assert_eq!(commit(&mut gate, 2, QUICK), CROWDED_FOR);
    assert_eq!(commit(&mut gate, 1, CROWDED_FOR), Duration::ZERO);
    assert_eq!(commit(&mut gate, 1, slow), Duration::ZERO);
    for _ in 0..2 {
        assert_eq!(
            commit(&mut gate, 1, slow),
            SLOW_FOR,
            "as long as it is slow"
        );
    }
    assert_eq!(commit(&mut gate, 1, QUICK), SLOW_FOR - QUICK);
}

#[test]
fn a_start_says_that_the_redo_file_is_gone_or_cut_and_only_then() {
    let mut bed = Bed::new();
    let path = bed.folder.path().join("hextet.db");
    let redo = crate::lock::beside(&path, redo::SUFFIX);
    let mut writer = bed.writer();
    assert!(!writer.redo.damaged, "a new database");
    assert!(bed.put(&mut writer, "first", 10));
    // The database alone, as it lies on the disk just now: neither SQLite's log nor the redo file.
    let alone = bed.folder.path().join("alone.db");
    std::fs::copy(&path, &alone).unwrap();
    let config = StoreConfig::new(&alone, CloudSettings::with_defaults(Uuid::from_u128(1)));
    let damaged = |(_, redo, _): (Tx, Redo, Model)| redo.damaged;
    assert!(open(&alone, &config).is_ok_and(damaged));
    drop(writer);
    let mut writer = bed.writer();
    assert!(!writer.redo.damaged, "cut off, with everything there");
    assert!(bed.put(&mut writer, "second", 10));
    drop(writer);
    let file = std::fs::File::options().write(true).open(&redo).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let writer = bed.writer();
    assert!(writer.redo.damaged, "cut short");
    drop(writer);
    std::fs::remove_file(&redo).unwrap();
    let writer = bed.writer();
    assert!(writer.redo.damaged, "removed");
    writer.close();
    let writer = bed.writer();
    assert!(!writer.redo.damaged, "ended in order");
    drop(writer);
    assert_eq!(bed.found(), bed.acknowledged);
}
