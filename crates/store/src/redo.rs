//! The redo file beside a SQLite database: what writes did since the database itself was last written.
//!
//! A commit of SQLite writes each page that it touched; a write touches a dozen. Here a write is one record of the
//! statements that changed something, one write to a file that has its length already, and one sync. The transaction of
//! SQLite stays open over many writes and is committed now and then; what a crash takes of it is done again from the
//! file, at the next start, or in a copy that is made beside the server.
//!
//! **Which records count.** The database holds a number, its generation (SQLite's `user_version`, which is stored with
//! the transaction), that each of its commits raises. A record says the generation that it was made upon and its place
//! among the records of that generation. So a commit makes every record of the file void by itself, and nothing has to
//! be erased.
//!
//! **A record**: the file's format, length of the body, generation, place, two sums (32 bits each, little-endian); then the
//! body, padded to 8 bytes. The sums are those of SQLite's own log (file format, §4.2), over everything but themselves; a
//! record that was not written whole does not have them, and ends the file. The body is statements, each its text and its
//! parameters.

mod early;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tracing::error;

use crate::engine::EngineError;
use crate::lock::beside;
use crate::value::Value;

/// What the file's name has after the database's.
pub(crate) const SUFFIX: &str = "-redo";
/// The file's length, bytes. What does not fit any more is committed by SQLite.
pub(crate) const FILE_BYTES: usize = 8 << 20;
/// A page of the kernel's cache.
const PAGE_BYTES: usize = 4096;
/// Hardly a record of one request is longer.
const USUAL_BYTES: usize = 64 << 10;
/// The first number of a record.
const FORMAT: u32 = 1;
/// A record's bytes before its body, and those of them before the sums.
const HEAD: usize = 24;
const SUMMED_HEAD: usize = 16;
/// A body's length is made a multiple of this.
const ALIGNMENT: usize = 8;

/// The file, while its database is served.
pub(crate) struct Redo {
    file: File,
    path: PathBuf,
    /// Whether a record is on the disk before it is acknowledged.
    synced: bool,
    generation: i32,
    /// Records of this generation.
    records: u32,
    /// Where the next one goes.
    end: usize,
    /// The length of a record that was written there and that the disk may not have.
    under_way: usize,
    /// The disk refused a record; what is there stands, and nothing is added.
    broken: bool,
    /// The opening found that writes are lost.
    pub(crate) damaged: bool,
}

impl Redo {
    /// Makes the file at its full length, or takes the one that is there as it is: what it holds may still count.
    pub(crate) fn open(database: &Path, synced: bool) -> io::Result<Self> {
        let path = beside(database, SUFFIX);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if bytes < FILE_BYTES {
            // It holds what the database holds, so it is for the same readers.
            file.set_permissions(std::fs::metadata(database)?.permissions())?;
            // Written, not reserved: a write into blocks that never were written is two. And page by page: the kernel keeps
            // what was written in one go as one block, and looks through all of it at each sync.
            for begin in (bytes..FILE_BYTES).step_by(PAGE_BYTES) {
                let end = FILE_BYTES.min(begin + PAGE_BYTES);
                file.write_all_at(&[0; PAGE_BYTES][..end - begin], begin as u64)?;
            }
            if synced {
                file.sync_all()?;
                sync_folder(&path)?;
            }
        }
        Ok(Self {
            file,
            path,
            synced,
            generation: 0,
            records: 0,
            end: 0,
            under_way: 0,
            broken: false,
            damaged: false,
        })
    }

    /// The database has this generation now, which is new: no record counts.
    pub(crate) fn begin(&mut self, generation: i32) {
        self.generation = generation;
        self.records = 0;
        self.end = 0;
        self.under_way = 0;
    }

    /// Writes a record and has the disk begin with it; it counts once [`Redo::sync`] has answered. False when there is no
    /// room for it, or the file is broken: then nothing is written.
    pub(crate) fn append(&mut self, statements: &Statements) -> io::Result<bool> {
        let record = seal(&statements.0, self.generation, self.records);
        if self.broken || self.end + record.len() > FILE_BYTES {
            return Ok(false);
        }
        let written = self.file.write_all_at(&record, self.end as u64);
        written.inspect_err(|_| self.broken = true)?;
        if self.synced {
            early::begin_writing(&self.file, self.end, record.len());
        }
        self.under_way = record.len();
        Ok(true)
    }

    /// Waits until the disk has what was appended.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.under_way);
        if bytes == 0 {
            return Ok(());
        }
        if self.synced {
            // What the disk holds of it after an error is not known, so nothing may follow it.
            self.file.sync_data().inspect_err(|_| self.broken = true)?;
        }
        self.end += bytes;
        self.records += 1;
        Ok(())
    }

    /// Takes what was appended back, before it was waited for: its write failed after all, and is not to be done again.
    pub(crate) fn withdraw(&mut self) {
        if std::mem::take(&mut self.under_way) == 0 {
            return;
        }
        let erased = self.file.write_all_at(&[0; HEAD], self.end as u64);
        let erased = erased.and_then(|()| match self.synced {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        if let Err(error) = erased {
            self.broken = true;
            error!(%error, "the redo file cannot be written; a write that failed may be done after a crash");
        }
    }

    /// Makes every later write fail.
    #[cfg(test)]
    pub(crate) fn break_file(&mut self) {
        self.file = File::open(&self.path).unwrap();
    }

    /// Makes every later sync fail: that of a device without a disk.
    #[cfg(test)]
    pub(crate) fn break_sync(&mut self) {
        let device = OpenOptions::new().write(true).open("/dev/null");
        self.file = device.unwrap();
    }

    /// The generation that the database's next commit is to have.
    pub(crate) fn next_generation(&self) -> i32 {
        self.generation.wrapping_add(1)
    }

    /// That commit is done: every record is void.
    pub(crate) fn begin_anew(&mut self) {
        self.begin(self.next_generation());
    }

    /// Whether a record of usual length fits.
    pub(crate) fn has_room(&self) -> bool {
        !self.broken && self.end + USUAL_BYTES <= FILE_BYTES
    }

    /// Whether no record counts.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Takes the file away, if none of it counts: the database is whole without it.
    pub(crate) fn close(self) {
        if self.is_empty() {
            // One that stays does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Does again what the records say, in the open transaction of a connection that has lost it.
    pub(crate) fn replay(&self, connection: &Connection) -> Result<(), EngineError> {
        let mut bytes = vec![0; self.end];
        self.file.read_exact_at(&mut bytes, 0)?;
        match replay(connection, &bytes, self.generation)? {
            done if done == self.records => Ok(()),
            _ => Err(EngineError::Unsound("redo file: records are missing")),
        }
    }
}

/// What a job did, as the body of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statements(Vec<u8>);

impl Statements {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long it is, to go back to.
    pub(crate) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Forgets what came after a mark.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Adds a statement with its parameters.
    pub(crate) fn push(&mut self, sql: &str, params: &[Value]) {
        self.push_bytes(sql.as_bytes());
        self.push_number(params.len());
        for value in params {
            match value {
                Value::Null => self.0.push(NULL),
                Value::Int(number) => {
                    self.0.push(INT);
                    self.0.extend_from_slice(&number.to_le_bytes());
                }
                Value::Text(text) => {
                    self.0.push(TEXT);
                    self.push_bytes(text.as_bytes());
                }
                Value::Blob(bytes) => {
                    self.0.push(BLOB);
                    self.push_bytes(bytes);
                }
            }
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        self.push_number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Lengths: SQLite takes no text or blob of 2^31 bytes.
    fn push_number(&mut self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&number.to_le_bytes());
    }
}

/// Kinds of parameters.
const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 3;

/// The generation of a database, within the caller's transaction.
pub(crate) fn generation(connection: &Connection) -> Result<i32, EngineError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Sets the generation of a database, within the caller's transaction.
pub(crate) fn set_generation(connection: &Connection, generation: i32) -> Result<(), EngineError> {
    Ok(connection.pragma_update(None, "user_version", generation)?)
}

/// The file of a database, whole; nothing where there is none.
pub(crate) fn read(database: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(beside(database, SUFFIX)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// The mark of a database that is served, or was when its server was cut off (SQLite's `application_id`, stored as the
/// generation is): a redo file at its full length belongs to it. One that was ended in order has none.
const SERVED: i32 = 0x6878_7464;

/// Sets that mark or takes it away, within the caller's transaction.
pub(crate) fn mark_served(connection: &Connection, served: bool) -> Result<(), EngineError> {
    let mark = if served { SERVED } else { 0 };
    Ok(connection.pragma_update(None, "application_id", mark)?)
}

/// What is wrong with the redo file of a database, if it must have one: it was made before the mark was set, at the length
/// that it keeps.
pub(crate) fn wrong(
    database: &Path,
    connection: &Connection,
) -> Result<Option<&'static str>, EngineError> {
    let mark: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if mark != SERVED {
        return Ok(None);
    }
    match std::fs::metadata(beside(database, SUFFIX)) {
        Ok(file) if file.len() >= FILE_BYTES as u64 => Ok(None),
        Ok(_) => Ok(Some("it was cut short")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some("it is missing")),
        Err(error) => Err(error.into()),
    }
}

/// Does again what the records of a generation say, within the caller's transaction. Answers how many there are.
pub(crate) fn replay(
    connection: &Connection,
    file: &[u8],
    generation: i32,
) -> Result<u32, EngineError> {
    let mut rest = file;
    let mut records = 0;
    while let Some((body, after)) = record(rest, generation, records) {
        replay_body(connection, body)?;
        records += 1;
        rest = after;
    }
    Ok(records)
}

/// Records of a generation behind those that were done again: a record follows another only when that one is on the disk,
/// so what lies between was there and is damaged. Only for a file that nobody writes meanwhile.
pub(crate) fn stranded(file: &[u8], generation: i32, done: u32) -> u32 {
    let mut found = 0;
    for at in (0..file.len()).step_by(ALIGNMENT) {
        let place = file.get(at + 12..at + 16).map(|place| {
            let place = [place[0], place[1], place[2], place[3]];
            u32::from_le_bytes(place)
        });
        let intact = |place| record(&file[at..], generation, place).is_some();
        if place.is_some_and(|place| place >= done && intact(place)) {
            found += 1;
        }
    }
    found
}

fn replay_body(connection: &Connection, body: &[u8]) -> Result<(), EngineError> {
    let mut cursor = Cursor(body);
    while !cursor.0.is_empty() {
        let (sql, params) = cursor
            .statement()
            .ok_or(EngineError::Unsound("redo file: a statement"))?;
        let mut statement = connection.prepare_cached(sql)?;
        // Some answer with what they wrote.
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// The body of a record taken apart and put together again; nothing if it is none. For fuzzing: no bytes may panic, and what
/// is understood comes out as it went in.
pub fn redo_body(body: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor(body);
    let mut statements = Statements::default();
    while !cursor.0.is_empty() {
        let (sql, params) = cursor.statement()?;
        statements.push(sql, &params);
    }
    Some(statements.0)
}

/// A record around a body.
fn seal(body: &[u8], generation: i32, place: u32) -> Vec<u8> {
    let length = HEAD + body.len().next_multiple_of(ALIGNMENT);
    let mut record = Vec::with_capacity(length);
    let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
    for number in [FORMAT, bytes, generation.cast_unsigned(), place, 0, 0] {
        record.extend_from_slice(&number.to_le_bytes());
    }
    record.extend_from_slice(body);
    record.resize(length, 0);
    let (first, second) = sums(&record);
    record[SUMMED_HEAD..SUMMED_HEAD + 4].copy_from_slice(&first.to_le_bytes());
    record[SUMMED_HEAD + 4..HEAD].copy_from_slice(&second.to_le_bytes());
    record
}

/// The body of the record that a file begins with, if it is this one, and what comes after it.
fn record(file: &[u8], generation: i32, place: u32) -> Option<(&[u8], &[u8])> {
    let mut head = Cursor(file.get(..HEAD)?);
    let format = head.number()?;
    let bytes = usize::try_from(head.number()?).ok()?;
    let this =
        format == FORMAT && head.number()? == generation.cast_unsigned() && head.number()? == place;
    if !this || bytes == 0 {
        return None;
    }
    let length = HEAD.checked_add(bytes.checked_next_multiple_of(ALIGNMENT)?)?;
    let (record, after) = file.split_at_checked(length)?;
    if sums(record) != (head.number()?, head.number()?) {
        return None;
    }
    Some((&record[HEAD..HEAD + bytes], after))
}

/// The sums of a record, its own left out.
fn sums(record: &[u8]) -> (u32, u32) {
    let (mut first, mut second) = (0_u32, 0_u32);
    let pairs = record[..SUMMED_HEAD].chunks_exact(8);
    for pair in pairs.chain(record[HEAD..].chunks_exact(8)) {
        let half =
            |at: usize| u32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
        first = first.wrapping_add(half(0)).wrapping_add(second);
        second = second.wrapping_add(half(4)).wrapping_add(first);
    }
    (first, second)
}

/// What is left of a body.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn statement(&mut self) -> Option<(&'a str, Vec<Value>)> {
        let sql = self.text()?;
        let count = self.number()?;
        let params = (0..count).map(|_| self.value());
        Some((sql, params.collect::<Option<_>>()?))
    }

    fn value(&mut self) -> Option<Value> {
        match self.take(1)? {
            [NULL] => Some(Value::Null),
            [INT] => {
                let bytes = self.take(8)?.try_into().ok()?;
                Some(Value::Int(i64::from_le_bytes(bytes)))
            }
            [TEXT] => Some(Value::Text(self.text()?.to_owned())),
            [BLOB] => Some(Value::Blob(self.bytes()?.to_vec())),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Names in a folder are on the disk once the folder is.
pub(crate) fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

#[cfg(test)]
mod tests;
