//! What counts of a file, whatever is in it.

use rusqlite::Connection;

use super::*;

const GENERATION: i32 = -7;

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    let table = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB)";
    connection.execute_batch(table).unwrap();
    connection
}

fn insertion(number: i64) -> Statements {
    let mut statements = Statements::default();
    let sql = "INSERT INTO t (a, b, c) VALUES (?1, ?2, ?3)";
    let text = "x".repeat(usize::try_from(number).unwrap());
    statements.push(sql, &[number.into(), text.into(), Value::Null]);
    let sql = "UPDATE t SET c = ?2 WHERE a = ?1 RETURNING a";
    statements.push(sql, &[number.into(), vec![1, 2, 3].into()]);
    statements
}

/// A file of so many records.
fn file(count: u32) -> Vec<u8> {
    let records = (0..count).map(|place| seal(&insertion(i64::from(place)).0, GENERATION, place));
    records.flatten().collect()
}

fn rows(connection: &Connection) -> i64 {
    let sql = "SELECT COUNT(*) FROM t WHERE c = x'010203' AND length(b) = a";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn replayed(file: &[u8], generation: i32) -> (u32, i64) {
    let connection = database();
    let records = replay(&connection, file, generation).unwrap();
    (records, rows(&connection))
}

#[test]
fn records_are_done_again_in_their_order() {
    assert_eq!(replayed(&file(5), GENERATION), (5, 5));
    assert_eq!(replayed(&[], GENERATION), (0, 0));
    assert_eq!(replayed(&[0; 4096], 0), (0, 0));
}

#[test]
fn records_of_another_generation_do_not_count() {
    assert_eq!(replayed(&file(3), GENERATION + 1), (0, 0));
    // Written over by a newer generation, whose first record is as long as the old first one.
    let mut mixed = file(3);
    let newer = seal(&insertion(0).0, GENERATION + 1, 0);
    mixed[..newer.len()].copy_from_slice(&newer);
    assert_eq!(replayed(&mixed, GENERATION + 1), (1, 1));
    assert_eq!(replayed(&mixed, GENERATION), (0, 0));
    // A record twice.
    let twice = [file(1), file(1)].concat();
    assert_eq!(replayed(&twice, GENERATION), (1, 1));
}

#[test]
fn records_behind_a_damaged_one_are_seen() {
    let whole = file(5);
    assert_eq!(stranded(&whole, GENERATION, 5), 0);
    assert_eq!(stranded(&[], GENERATION, 0), 0);
    for harmed in file(2).len()..file(3).len() {
        let mut file = whole.clone();
        file[harmed] ^= 1;
        let (done, _) = replayed(&file, GENERATION);
        assert_eq!(done, 2, "byte {harmed}");
        assert_eq!(stranded(&file, GENERATION, done), 2, "byte {harmed}");
        assert_eq!(stranded(&file, GENERATION + 1, 0), 0);
    }
    // The last one alone was being written.
    let cut = &whole[..whole.len() - 1];
    assert_eq!(stranded(cut, GENERATION, 4), 0);
}

/// Appends a record and waits for the disk.
fn kept(redo: &mut Redo, statements: &Statements) -> io::Result<bool> {
    let appended = redo.append(statements)?;
    redo.sync()?;
    Ok(appended)
}

#[test]
fn what_the_disk_refuses_at_the_sync_is_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    std::fs::write(&path, "").unwrap();
    let mut redo = Redo::open(&path, true).unwrap();
    redo.begin(GENERATION);
    redo.break_sync();
    assert!(redo.append(&insertion(1)).unwrap(), "it can be written");
    assert!(redo.sync().is_err());
    assert!(redo.is_empty());
    assert!(
        !kept(&mut redo, &insertion(2)).unwrap(),
        "nothing follows it"
    );
}

#[test]
fn a_record_that_is_withdrawn_is_not_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    std::fs::write(&path, "").unwrap();
    let mut redo = Redo::open(&path, true).unwrap();
    redo.begin(GENERATION);
    assert!(kept(&mut redo, &insertion(1)).unwrap());
    assert!(redo.append(&insertion(2)).unwrap());
    redo.withdraw();
    assert_eq!(replayed(&read(&path).unwrap(), GENERATION), (1, 1));
    assert!(kept(&mut redo, &insertion(3)).unwrap());
    assert_eq!(replayed(&read(&path).unwrap(), GENERATION), (2, 2));
}

#[test]
fn a_redo_file_is_missed_where_one_belongs_and_so_is_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let database = Connection::open(&path).unwrap();
    let wrong = || wrong(&path, &database).unwrap();
    assert_eq!(wrong(), None, "a database of before");
    mark_served(&database, true).unwrap();
    assert_eq!(wrong(), Some("it is missing"));
    let mut redo = Redo::open(&path, true).unwrap();
    redo.begin(GENERATION);
    assert!(kept(&mut redo, &insertion(1)).unwrap());
    assert_eq!(wrong(), None);
    redo.file.set_len(FILE_BYTES as u64 - 1).unwrap();
    assert_eq!(wrong(), Some("it was cut short"));
    // What is there of it is kept until it is done again.
    drop(Redo::open(&path, true).unwrap());
    assert_eq!(wrong(), None);
    assert_eq!(replayed(&read(&path).unwrap(), GENERATION), (1, 1));
    std::fs::remove_file(&redo.path).unwrap();
    mark_served(&database, false).unwrap();
    assert_eq!(wrong(), None, "ended in order");
}

#[test]
fn a_record_that_is_not_whole_ends_the_file() {
    let whole = file(3);
    let last = file(2).len();
    for cut in last..whole.len() {
        assert_eq!(replayed(&whole[..cut], GENERATION), (2, 2), "cut at {cut}");
    }
    for harmed in last..whole.len() {
        for bit in 0..8 {
            let mut file = whole.clone();
            file[harmed] ^= 1 << bit;
            assert_eq!(replayed(&file, GENERATION), (2, 2), "byte {harmed}");
        }
    }
}

#[test]
fn a_body_of_anything_is_refused_and_harms_nothing() {
    let body = insertion(3).0;
    for at in 0..body.len() {
        for byte in [0, 1, 2, 3, 4, 127, 128, 255] {
            let mut harmed = body.clone();
            harmed[at] = byte;
            // Whether it is a statement still is SQLite's to say.
            let _ = replay(&database(), &seal(&harmed, GENERATION, 0), GENERATION);
            let _ = replay(&database(), &seal(&harmed[..at], GENERATION, 0), GENERATION);
        }
    }
    let nonsense = seal(&[255; 40], GENERATION, 0);
    assert!(replay(&database(), &nonsense, GENERATION).is_err());
}

#[test]
fn what_does_not_fit_or_cannot_be_written_is_not_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    std::fs::write(&path, "").unwrap();
    let mut redo = Redo::open(&path, true).unwrap();
    redo.begin(GENERATION);
    let mut large = Statements::default();
    large.push("SELECT ?1", &[vec![0; FILE_BYTES / 2].into()]);
    assert!(kept(&mut redo, &insertion(1)).unwrap());
    assert!(kept(&mut redo, &large).unwrap());
    assert!(!kept(&mut redo, &large).unwrap());
    assert!(kept(&mut redo, &insertion(2)).unwrap());
    assert_eq!(replayed(&read(&path).unwrap(), GENERATION), (3, 2));
    redo.begin_anew();
    assert!(kept(&mut redo, &insertion(3)).unwrap());
    assert_eq!(replayed(&read(&path).unwrap(), GENERATION + 1), (1, 1));
    redo.break_file();
    assert!(kept(&mut redo, &insertion(4)).is_err());
    assert!(
        !kept(&mut redo, &insertion(5)).unwrap(),
        "nothing follows it"
    );
}

#[test]
fn a_file_has_room_until_a_usual_record_may_not_fit_and_from_the_next_generation_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hextet.db");
    std::fs::write(&path, "").unwrap();
    let mut redo = Redo::open(&path, false).unwrap();
    redo.begin(GENERATION);
    let long = insertion(i64::try_from(USUAL_BYTES).unwrap() - 400);
    let mut records = 0;
    while redo.has_room() {
        assert!(kept(&mut redo, &long).unwrap(), "what has room is taken");
        records += 1;
    }
    assert_eq!(records, FILE_BYTES / USUAL_BYTES);
    redo.begin_anew();
    assert!(redo.has_room());
    redo.break_file();
    assert!(kept(&mut redo, &long).is_err());
    assert!(!redo.has_room(), "a file that the disk refused");
}
