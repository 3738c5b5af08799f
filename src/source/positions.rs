//! The state files: what must be kept of every log across a restart, and across `kill -9`.
//!
//! A state is a number of records, one for each log, that hold a position and the counters as of that position: what is
//! read again after a crash is counted again from what was counted before it, each line once. So a position that lags
//! behind costs a re-read but no count, as long as the file is there to be read again.
//!
//! What is in a record is defined by its [`Record`].
//!
//! # Format
//! Version 2 is lines. The first is `{"format":…,"version":2}`. Each of the others is a checksum (CRC-32 in eight
//! hexadecimal digits), a blank, and a JSON object of records that changed together, `put`, and the keys of those that
//! are `gone`. The last record of a key holds. Lines are appended; when the file has grown much beyond what a whole
//! state takes, a new file is written beside it and renamed into its place. A last line that is not whole was being
//! written when the machine or the exporter ended; all of its records are left out.
//!
//! Version 1 is two lines: `{"format":…,"version":1,"length":…,"crc32":…}`, and all as one JSON object of that length in bytes
//! and with that checksum. It is read, and replaced by the next version when something is stored.
//!
//! Names are byte strings, written with each byte as the character of that number.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::storage::{StorageError, StorageFolder};

const STATE: &str = ".json";
const DAMAGED: &str = ".json.damaged";
const EARLIER: &str = ".json.earlier";
const TEMPORARY: &str = ".json.new";
const LOCK: &str = ".lock";

/// The largest state file that is read.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// A file may grow by so many times what a whole state takes, and by so many bytes, until it is written anew.
const GROWTH: u64 = 3;
const GROWTH_BYTES: u64 = 512 * 1024;

/// What is stored of one thing, by its key.
pub trait Record: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// The whole state as version 1 had it.
    type V1: DeserializeOwned + Into<Vec<Self>>;

    /// Its key, unique in the file.
    fn key(&self) -> Vec<Name>;

    /// How many bytes are known not to have been read.
    fn unread(&self) -> u64;
}

/// What is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update<R> {
    /// Every record there is.
    All(Vec<R>),
    /// The records that are new or different, and the keys of those that are no more.
    Changed {
        /// New or different records.
        put: Vec<R>,
        /// Keys.
        gone: Vec<Vec<Name>>,
    },
}

/// A state as it is stored, by the version of its format.
enum Stored<R: Record> {
    V1(R::V1),
    V2(Vec<Batch<R>>),
}

/// A line of version 2.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<R> {
    put: Vec<R>,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    gone: Vec<Vec<Name>>,
}

impl<R: Record> From<Stored<R>> for Vec<R> {
    fn from(stored: Stored<R>) -> Self {
        let lines = match stored {
            Stored::V1(state) => return state.into(),
            Stored::V2(lines) => lines,
        };
        let mut records = BTreeMap::new();
        for Batch { put, gone } in lines {
            records.extend(put.into_iter().map(|record| (record.key(), record)));
            for key in gone {
                records.remove(&key);
            }
        }
        records.into_values().collect()
    }
}

/// A file name or a part of one: any bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(pub OsString);

/// A text that stands for no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has a character that stands for no byte")]
pub struct NoName;

impl From<&OsStr> for Name {
    fn from(name: &OsStr) -> Self {
        Name(name.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_bytes().iter().copied().map(char::from).collect()
    }
}

impl TryFrom<String> for Name {
    type Error = NoName;

    fn try_from(text: String) -> Result<Self, NoName> {
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        bytes.map(|bytes| Name(OsString::from_vec(bytes))).map_err(|_| NoName)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32: Option<u32>,
}

/// What is known of the file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnDisk {
    /// Nothing yet: it may be of another exporter.
    Unknown,
    /// It is our own, but must be written anew before anything is appended.
    Ours,
    /// It is our own: its size now, and when it was last written whole, in bytes.
    Appendable { size: u64, whole: u64 },
}

/// A state of one kind, and the directory that it is kept in.
#[derive(Debug)]
pub struct Storage {
    directory: PathBuf,
    name: &'static str,
    /// Held until the process ends, however it ends.
    lock: Option<LockFile>,
    content: OnDisk,
}

/// A lock that is held.
#[derive(Debug)]
struct LockFile(File);

impl Drop for LockFile {
    /// Closing is not enough: a child that was just forked has the file open until it executes its program.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Storage {
    /// The state `name` is to be kept in `directory`, which is created when it is needed.
    #[must_use]
    pub fn new(directory: PathBuf, name: &'static str) -> Self {
        Storage { directory, name, lock: None, content: OnDisk::Unknown }
    }

    fn file(&self, ending: &str) -> String {
        format!("{}{ending}", self.name)
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.directory.join(self.file(ending))
    }

    /// The records that were stored last; none when none ever were.
    ///
    /// # Errors
    /// The file can't be read, or is damaged or foreign. Damaged, it has been set aside if that was possible.
    pub fn load<R: Record>(&mut self) -> Result<Vec<R>, StorageError> {
        let folder = StorageFolder::open(&self.directory, true)?;
        self.lock(&folder)?;
        let Some(bytes) = self.read(&folder)? else {
            self.content = OnDisk::Ours;
            return Ok(Vec::new());
        };
        match parse(&bytes, self.name) {
            Ok(records) => {
                self.content = OnDisk::Ours;
                Ok(records)
            }
            Err(reason) => {
                let aside = self.path(DAMAGED);
                folder.rename(&self.file(STATE), &self.file(DAMAGED))?;
                self.content = OnDisk::Ours;
                Err(StorageError::Damaged { path: self.path(STATE), aside, reason })
            }
        }
    }

    /// The records that were stored last, by any exporter: nothing is created, locked or changed.
    ///
    /// # Errors
    /// The file can't be read or understood.
    pub fn look<R: Record>(&self) -> Result<Vec<R>, StorageError> {
        let folder = StorageFolder::open(&self.directory, false)?;
        let Some(bytes) = self.read(&folder)? else { return Ok(Vec::new()) };
        parse(&bytes, self.name)
            .map_err(|reason| StorageError::Io { path: self.path(STATE), source: io::Error::other(reason) })
    }

    /// Whether everything must be stored the next time.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        match self.content {
            OnDisk::Unknown | OnDisk::Ours => true,
            OnDisk::Appendable { size, whole } => size > whole.saturating_mul(GROWTH).saturating_add(GROWTH_BYTES),
        }
    }

    /// Stores `update`. When it is `durable` it has reached the disk when this returns: after a crash of the machine
    /// either it or what was stored before is there, whole. What could not be loaded is kept under another name, so
    /// that it can be recovered.
    ///
    /// # Errors
    /// What the machine refused. What was stored before is then still there, and everything must be stored the next time.
    pub fn save<R: Record>(&mut self, update: Update<R>, durable: bool) -> Result<(), StorageError> {
        let before = self.content;
        if before != OnDisk::Unknown {
            self.content = OnDisk::Ours;
        }
        let folder = StorageFolder::open(&self.directory, true)?;
        self.lock(&folder)?;
        self.content = match update {
            Update::All(put) => {
                if before == OnDisk::Unknown && folder.has(&self.file(STATE)) {
                    folder.rename(&self.file(STATE), &self.file(EARLIER))?;
                    tracing::warn!(path = %self.path(EARLIER).display(), "positions and counters that could not be taken over were set aside");
                }
                let whole = self.write_all(&folder, &Batch { put, gone: Vec::new() })?;
                OnDisk::Appendable { size: whole, whole }
            }
            Update::Changed { put, gone } => {
                let OnDisk::Appendable { size, whole } = before else {
                    let source = io::Error::other("there is no whole state to add to");
                    return Err(StorageError::Io { path: self.path(STATE), source });
                };
                let added = self.append(&folder, size, &Batch { put, gone }, durable)?;
                OnDisk::Appendable { size: size + added, whole }
            }
        };
        Ok(())
    }

    fn write_all<R: Record>(&self, folder: &StorageFolder, line: &Batch<R>) -> Result<u64, StorageError> {
        let render = || -> io::Result<Vec<u8>> {
            let mut bytes = serde_json::to_vec(&header_of(self.name))?;
            bytes.push(b'\n');
            render(line, &mut bytes)?;
            Ok(bytes)
        };
        let bytes = render().map_err(|source| folder.failed(&self.file(TEMPORARY), source))?;
        folder.replace(&self.file(STATE), &self.file(TEMPORARY), &bytes)?;
        Ok(bytes.len() as u64)
    }

    fn append<R: Record>(
        &self,
        folder: &StorageFolder,
        size: u64,
        line: &Batch<R>,
        durable: bool,
    ) -> Result<u64, StorageError> {
        let write = || -> io::Result<u64> {
            let mut file = folder.open_file(&self.file(STATE), OFlags::WRONLY | OFlags::APPEND)?;
            let meta = file.metadata()?;
            if !meta.is_file() || meta.len() != size {
                return Err(io::Error::other("it is not as it was left"));
            }
            let mut bytes = Vec::new();
            render(line, &mut bytes)?;
            file.write_all(&bytes)?;
            if durable {
                file.sync_data()?;
            }
            Ok(bytes.len() as u64)
        };
        write().map_err(|source| folder.failed(&self.file(STATE), source))
    }

    fn read(&self, folder: &StorageFolder) -> Result<Option<Vec<u8>>, StorageError> {
        folder.read(&self.file(STATE), MAX_BYTES + 1)
    }

    /// Takes the lock, again when its file was removed.
    fn lock(&mut self, folder: &StorageFolder) -> Result<(), StorageError> {
        use std::os::unix::fs::MetadataExt;
        if self.lock.as_ref().and_then(|lock| lock.0.metadata().ok()).is_some_and(|meta| meta.nlink() > 0) {
            return Ok(());
        }
        self.lock = None;
        let open = |how| folder.open_file(&self.file(LOCK), how);
        // What is on a file system that can't be written now is taken over all the same. Network file systems lock only
        // what is open for writing.
        let file = match open(OFlags::WRONLY | OFlags::CREATE) {
            Err(Errno::ROFS) => open(OFlags::RDONLY),
            opened => opened,
        };
        let file = file.map_err(|error| folder.failed(&self.file(LOCK), error.into()))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.lock = Some(LockFile(file));
                Ok(())
            }
            Err(Errno::WOULDBLOCK) => Err(StorageError::Locked { path: self.path(LOCK) }),
            Err(error) => Err(folder.failed(&self.file(LOCK), error.into())),
        }
    }
}

/// Adds a line of version 2, with its checksum and its end.
fn render<R: Record>(line: &Batch<R>, bytes: &mut Vec<u8>) -> io::Result<()> {
    let begin = bytes.len();
    bytes.extend(b"checksum ");
    let body = bytes.len();
    serde_json::to_writer(&mut *bytes, line)?;
    let checksum = format!("{:08x}", checksum(&bytes[body..]));
    bytes[begin..body - 1].copy_from_slice(checksum.as_bytes());
    bytes.push(b'\n');
    Ok(())
}

fn header_of(name: &str) -> Header {
    Header { format: format_of(name), version: 2, length: None, crc32: None }
}

/// What the header of the state `name` says that it is.
fn format_of(name: &str) -> String {
    format!("campaign_exporter {name}")
}

/// Reads what a file of the state `name` holds.
///
/// # Errors
/// Why it is not one that this version or an earlier one wrote, whole.
pub fn parse<R: Record>(bytes: &[u8], name: &str) -> Result<Vec<R>, String> {
    parse_stored(bytes, name).map(Stored::<R>::into)
}

fn parse_stored<R: Record>(bytes: &[u8], name: &str) -> Result<Stored<R>, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no header line")?;
    let header: Header =
        serde_json::from_slice(&bytes[..end]).map_err(|error| format!("its header can't be read: {error}"))?;
    let format = format_of(name);
    if header.format != format {
        return Err(format!("it says of itself that it is {:?}, not {format:?}", header.format));
    }
    let rest = &bytes[end + 1..];
    match header.version {
        1 => {
            let body = rest.strip_suffix(b"\n").ok_or("its end is missing")?;
            if Some(body.len() as u64) != header.length || Some(checksum(body)) != header.crc32 {
                return Err("it is not as long as it was, or its checksum is wrong".to_owned());
            }
            serde_json::from_slice(body).map(Stored::V1).map_err(|error| format!("it can't be read: {error}"))
        }
        2 => parse_lines(rest).map(Stored::V2),
        version => Err(format!("it is of version {version}, this program reads 1 and 2")),
    }
}

fn parse_lines<R: Record>(bytes: &[u8]) -> Result<Vec<Batch<R>>, String> {
    let mut lines = Vec::new();
    let mut number = 1;
    let mut rest = bytes;
    while !rest.is_empty() {
        number += 1;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        let body = checked(line.strip_suffix(b"\n").unwrap_or_default());
        let Some(body) = body else {
            // One that was being written is the last.
            let is_last = after.is_empty() || after.iter().all(|byte| *byte == 0);
            if is_last && !lines.is_empty() && end.is_none() {
                break;
            }
            return Err(format!("its line {number} has a wrong checksum"));
        };
        lines.push(serde_json::from_slice(body).map_err(|error| format!("its line {number} can't be read: {error}"))?);
        rest = after;
    }
    if lines.is_empty() { Err("its records are missing".to_owned()) } else { Ok(lines) }
}

/// What is behind the checksum of a line, when that is right.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (sum, body) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?, 16).ok()?;
    (sum == checksum(body)).then_some(body)
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::source::tailer::logs::LogRecord;
    use crate::source::tailer::tracking::TrackingRecord;

    const NAME: &str = "logs";

    /// What this version stored, letter by letter. A field that is renamed is another version.
    const STORED: &str = r#"{"log":{"instance":"prod","log":"caf\u00e9","file":"x.log","files":[{"device":1,"inode":18446744073709551615,"length":256,"hash":7,"offset":9,"skipping":true,"after_nul":false,"size":10,"current":true,"follows":true}],"finished":[],"tally":{"read_bytes":1,"skipped_bytes":2,"rotations":3,"generations_missed":4},"counts":{"levels":[1,2,18446744073709551615],"other_levels":{"fatal":5},"codes":{"INT-150012":6},"other_codes":7,"problems":[8,9,10,11],"continuations":12,"unreadable":13,"last_message":14,"last_error":null,"runs":{"succeeded":15,"failed":16,"last_failure":{"time":17,"code":"INT-150012"},"messages":18,"runs":[{"pid":19,"first":20,"last":21,"last_time":22,"messages":23,"errors":24,"counted":true,"failed":true,"ended":false,"superseded":false}]},"held":[25,26],"refused":null},"memory":{"begun":true,"searched":true,"error":false,"found":3}}}"#;

    const STORED_TRACKING: &str = r#"[{"gone":{"instance":"prod","totals":{"lines":3,"corrupt":1,"skipped_bytes":0}}},{"file":{"instance":"prod","file":"0x1.log","files":[],"tally":{"read_bytes":1,"skipped_bytes":2,"rotations":3,"generations_missed":4},"totals":{"lines":4,"corrupt":1,"skipped_bytes":0},"content":{"lines":4,"corrupt":1,"places":[3]}}}]"#;

    fn fixture(file: &str) -> Vec<u8> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state").join(file);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn record() -> LogRecord {
        serde_json::from_str(STORED).unwrap()
    }

    /// The same of another log.
    fn other(log: &str, errors: u64) -> LogRecord {
        let LogRecord::Log(stored) = record() else { panic!() };
        let mut stored = Arc::unwrap_or_clone(stored);
        stored.log = Name(log.into());
        stored.counts.levels[0] = errors;
        LogRecord::Log(stored.into())
    }

    fn all(records: &[LogRecord]) -> Update<LogRecord> {
        Update::All(records.to_vec())
    }

    fn loaded(directory: &Path) -> Vec<LogRecord> {
        Storage::new(directory.to_owned(), NAME).look().unwrap()
    }

    #[test]
    fn the_form_of_what_is_stored_is_this_to_the_letter() {
        let text = serde_json::to_string(&record()).unwrap().replace("caf\u{e9}", "caf\\u00e9");
        assert_eq!(text, STORED);
        let records: Vec<TrackingRecord> = serde_json::from_str(STORED_TRACKING).unwrap();
        assert_eq!(serde_json::to_string(&records).unwrap(), STORED_TRACKING);
        let line = Batch { put: vec![LogRecord::Surveyed {}], gone: vec![vec![Name("prod".into()), Name("x".into())]] };
        let mut rendered = Vec::new();
        render(&line, &mut rendered).unwrap();
        assert_eq!(rendered, b"96f276e2 {\"put\":[{\"surveyed\":{}}],\"gone\":[[\"prod\",\"x\"]]}\n");
        assert_eq!(
            serde_json::to_string(&header_of(NAME)).unwrap(),
            r#"{"format":"campaign_exporter logs","version":2}"#
        );
    }

    #[test]
    fn what_version_1_stored_is_read_with_all_its_counters_and_positions() {
        let logs: Vec<LogRecord> = parse(&fixture("v1/logs.json"), "logs").unwrap();
        assert!(matches!(logs[0], LogRecord::Surveyed {}));
        let log = |name: &str| {
            let is_it = |record: &&LogRecord| matches!(record, LogRecord::Log(log) if log.log.0 == name);
            let Some(LogRecord::Log(log)) = logs.iter().find(is_it) else { panic!("{name}") };
            log.clone()
        };
        assert_eq!(logs.len(), 6);
        let mta = log("mta");
        assert_eq!(
            (mta.counts.levels, mta.counts.codes.len(), mta.counts.last_error),
            ([3, 1, 17], 2, Some(1_622_450_563_124))
        );
        assert_eq!((mta.tally.read_bytes, mta.tally.rotations), (1415, 1));
        assert_eq!((mta.files[0].offset, mta.files[0].size, mta.finished[0].offset), (666, 700, 749));
        let import = log("import");
        assert_eq!((import.counts.continuations, import.counts.runs.last_errors()), (1, 0));
        assert_eq!(log("mtachild").counts.problems, [0, 1, 0, 0]);
        assert_eq!((log("web").counts.unreadable, log("web").counts.other_levels["fatal"]), (1, 1));
        assert_eq!(log("web").counts.runs.last_errors(), 1);
        let tracking: Vec<TrackingRecord> = parse(&fixture("v1/tracking.json"), "tracking").unwrap();
        let text = serde_json::to_string(&tracking).unwrap();
        assert!(
            text.contains(r#""gone":{"instance":"prod","totals":{"lines":3,"corrupt":1,"skipped_bytes":0}"#),
            "{text}"
        );
        assert!(text.contains(r#""offset":508"#) && text.contains(r#""places":[3]"#), "{text}");
    }

    #[test]
    fn what_was_saved_is_loaded_and_changes_are_appended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("directory");
        let mut storage = Storage::new(path.clone(), NAME);
        assert_eq!(storage.load::<LogRecord>().unwrap(), []);
        assert!(storage.wants_all());
        storage.save(all(&[other("a", 1), other("b", 1)]), true).unwrap();
        assert!(!storage.wants_all());
        let inode = path.join("logs.json").metadata().unwrap().ino();
        storage
            .save(Update::Changed { put: vec![other("b", 2), other("c", 3)], gone: vec![other("a", 0).key()] }, false)
            .unwrap();
        assert_eq!(path.join("logs.json").metadata().unwrap().ino(), inode);
        drop(storage);
        assert_eq!(loaded(&path), [other("b", 2), other("c", 3)]);
    }

    #[test]
    fn a_file_that_has_grown_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = Storage::new(directory.path().to_owned(), NAME);
        storage.load::<LogRecord>().unwrap();
        storage.save(all(&[other("a", 0)]), true).unwrap();
        let mut times = 0;
        while !storage.wants_all() {
            times += 1;
            storage.save(Update::Changed { put: vec![other("a", times)], gone: vec![] }, false).unwrap();
        }
        let size = |storage: &Storage| storage.path(STATE).metadata().unwrap().len();
        assert!(size(&storage) > GROWTH_BYTES);
        storage.save(all(&[other("a", times)]), false).unwrap();
        assert!(size(&storage) < 2048);
        drop(storage);
        assert_eq!(loaded(directory.path()), [other("a", times)]);
    }

    #[test]
    fn a_last_line_that_was_being_written_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let mut storage = Storage::new(directory.path().to_owned(), NAME);
        storage.load::<LogRecord>().unwrap();
        storage.save(all(&[other("a", 1)]), true).unwrap();
        storage.save(Update::Changed { put: vec![other("a", 2)], gone: vec![] }, false).unwrap();
        drop(storage);
        let path = directory.path().join("logs.json");
        let whole = std::fs::read(&path).unwrap();
        let second = whole.len() - whole.iter().rev().skip(1).position(|byte| *byte == b'\n').unwrap() - 1;
        for end in second + 1..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(loaded(directory.path()), [other("a", 1)], "{end}");
        }
        std::fs::write(&path, [&whole[..second + 20], &[0; 100]].concat()).unwrap();
        assert_eq!(loaded(directory.path()), [other("a", 1)], "blocks that never reached the disk");
    }

    #[test]
    fn a_damaged_or_foreign_file_is_set_aside_and_reported() {
        let v1 = fixture("v1/logs.json");
        let changed = |from: &str, to: &str| {
            let text = String::from_utf8(v1.clone()).unwrap();
            assert!(text.contains(from));
            text.replacen(from, to, 1).into_bytes()
        };
        let mut storage = Storage::new(tempfile::tempdir().unwrap().path().to_owned(), NAME);
        storage.load::<LogRecord>().unwrap();
        storage.save(all(&[other("a", 1)]), true).unwrap();
        storage.save(Update::Changed { put: vec![other("b", 1)], gone: vec![] }, true).unwrap();
        let v2 = String::from_utf8(std::fs::read(storage.path(STATE)).unwrap()).unwrap();
        for bytes in [
            v1[..v1.len() - 5].to_vec(),
            // Another number in its place: only the checksum tells.
            changed("\"read_bytes\":471", "\"read_bytes\":472"),
            changed("\"version\":1", "\"version\":3"),
            changed("campaign_exporter logs", "campaign_exporter tracking"),
            v2.replacen("\"read_bytes\":1", "\"read_bytes\":2", 1).into_bytes(),
            v2.as_bytes()[..v2.find('\n').unwrap() + 1].to_vec(),
            b"".to_vec(),
            b"\n".to_vec(),
            b"{}\n{}\n".to_vec(),
            b"\0\0\0\0".to_vec(),
        ] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("logs.json"), &bytes).unwrap();
            let mut storage = Storage::new(directory.path().to_owned(), NAME);
            let error = storage.load::<LogRecord>().unwrap_err();
            assert!(matches!(error, StorageError::Damaged { .. }), "{error}: {}", bytes.escape_ascii());
            assert!(error.to_string().contains("logs.json.damaged"), "{error}");
            assert_eq!(std::fs::read(directory.path().join("logs.json.damaged")).unwrap(), bytes);
            assert_eq!(storage.load::<LogRecord>().unwrap(), []);
            storage.save(all(&[record()]), true).unwrap();
            assert_eq!(storage.load::<LogRecord>().unwrap(), [record()]);
        }
    }

    #[test]
    fn a_lock_is_given_back_although_a_child_has_its_file_open() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = Storage::new(directory.path().to_owned(), NAME);
        first.save(all(&[record()]), true).unwrap();
        let _of_the_child = first.lock.as_ref().unwrap().0.try_clone().unwrap();
        drop(first);
        assert_eq!(Storage::new(directory.path().to_owned(), NAME).load::<LogRecord>().unwrap(), [record()]);
    }

    #[test]
    fn two_exporters_do_not_share_a_state() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = Storage::new(directory.path().to_owned(), NAME);
        first.save(all(&[record()]), true).unwrap();
        let mut second = Storage::new(directory.path().to_owned(), NAME);
        assert!(matches!(second.load::<LogRecord>(), Err(StorageError::Locked { .. })));
        assert!(matches!(second.save(all(&[]), true), Err(StorageError::Locked { .. })));
        drop(first);
        // It comes too late to take over what is there, and must not destroy it.
        second.save(all(&[]), true).unwrap();
        let aside = std::fs::read(directory.path().join("logs.json.earlier")).unwrap();
        assert_eq!(parse::<LogRecord>(&aside, NAME).unwrap(), [record()]);
        second.save(all(&[record()]), true).unwrap();
        assert_eq!(second.load::<LogRecord>().unwrap(), [record()]);
        assert_eq!(std::fs::read(directory.path().join("logs.json.earlier")).unwrap(), aside);
        assert!(!directory.path().join("logs.json.damaged").exists());
    }

    #[test]
    fn a_symbolic_link_in_place_of_a_file_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        for file in ["logs.json", "logs.json.new", "logs.lock"] {
            let folder = directory.path().join(format!("of {file}"));
            std::fs::create_dir(&folder).unwrap();
            symlink(&victim, folder.join(file)).unwrap();
            let mut storage = Storage::new(folder, NAME);
            let loads = storage.load::<LogRecord>().is_ok();
            assert_eq!(loads, file == "logs.json.new", "{file}");
            let saved = storage.save(all(&[record()]), true);
            assert_eq!(saved.is_ok(), file != "logs.lock", "{file}: {saved:?}");
            assert_eq!(std::fs::read(&victim).unwrap(), b"precious", "{file}");
        }
    }

    #[test]
    fn the_directory_of_another_user_is_refused_with_the_remedy() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(directory.path(), Some(4711), None).unwrap();
        let error = Storage::new(directory.path().to_owned(), NAME).save(all(&[record()]), true).unwrap_err();
        assert!(matches!(error, StorageError::NotOurs { owner: 4711, user: 0, .. }), "{error}");
        assert!(error.to_string().contains("chown -R 0"), "{error}");
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_an_exporter_left_that_ran_as_root_is_told_with_the_remedy_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs.json");
        let mut storage = Storage::new(directory.path().to_owned(), NAME);
        storage.save(all(&[record()]), true).unwrap();
        drop(storage);
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // As if it were another user's: what may not be read is not damaged.
        std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        let error = crate::source::kit::as_plain_user(|| {
            Storage::new(directory.path().to_owned(), NAME).load::<LogRecord>().unwrap_err()
        });
        assert!(matches!(error, StorageError::NotOurs { owner: 4711, .. }), "{error}");
        assert!(path.exists() && !directory.path().join("logs.json.damaged").exists());
    }

    /// Runs `mount` or `umount`; tests have a mount namespace of their own.
    #[track_caller]
    fn run(program: &str, options: &[&str], paths: &[&Path]) {
        let status = std::process::Command::new(program).args(options).args(paths).status().unwrap();
        assert!(status.success(), "{program}: {status}");
    }

    #[test]
    fn what_can_only_be_read_is_taken_over_and_goes_on_when_it_can_be_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        Storage::new(path.to_owned(), NAME).save(all(&[other("a", 1)]), true).unwrap();
        run("mount", &["--bind"], &[path, path]);
        run("mount", &["-o", "remount,bind,ro"], &[path]);
        let mut storage = Storage::new(path.to_owned(), NAME);
        let taken_over = storage.load::<LogRecord>();
        let saved = storage.save(all(&[other("a", 2)]), true);
        let second = Storage::new(path.to_owned(), NAME).load::<LogRecord>();
        // The lock is still open there.
        run("umount", &["--lazy"], &[path]);
        assert_eq!(taken_over.unwrap(), [other("a", 1)]);
        assert!(matches!(saved, Err(StorageError::Io { .. })), "{saved:?}");
        assert!(matches!(second, Err(StorageError::Locked { .. })), "{second:?}");
        storage.save(all(&[other("a", 2)]), true).unwrap();
        assert_eq!(loaded(path), [other("a", 2)]);
        assert!(!storage.path(EARLIER).exists(), "nothing had to be set aside");
    }

    #[test]
    fn a_full_disk_is_left_without_the_half_that_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        run("mount", &["-t", "tmpfs", "-o", "size=16k", "tmpfs"], &[path]);
        let mut storage = Storage::new(path.to_owned(), NAME);
        storage.save(all(&[other("a", 1)]), true).unwrap();
        let many: Vec<LogRecord> = (0..100).map(|number| other(&number.to_string(), 1)).collect();
        let saved = storage.save(all(&many), true);
        let (left, temporary) = (storage.look::<LogRecord>(), storage.path(TEMPORARY).exists());
        run("umount", &["--lazy"], &[path]);
        assert!(matches!(saved, Err(StorageError::Io { .. })) && !temporary, "{saved:?}");
        assert_eq!(left.unwrap(), [other("a", 1)], "what was stored before is there");
    }

    #[test]
    fn a_directory_that_was_removed_is_made_again_with_everything() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("state");
        let mut storage = Storage::new(directory.clone(), NAME);
        storage.load::<LogRecord>().unwrap();
        storage.save(all(&[record()]), true).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let changed = || Update::Changed { put: vec![other("b", 1)], gone: vec![] };
        assert!(storage.save(changed(), true).is_err(), "what changed is not all there was");
        assert!(storage.wants_all());
        storage.save(all(&[record()]), true).unwrap();
        storage.save(changed(), true).unwrap();
        assert_eq!(storage.look::<LogRecord>().unwrap().len(), 2);
        let mut second = Storage::new(directory, NAME);
        assert!(matches!(second.load::<LogRecord>(), Err(StorageError::Locked { .. })), "the lock is taken again");
    }

    #[test]
    fn a_fifo_in_place_of_a_file_is_an_error_and_waits_for_nobody() {
        for (file, loads) in [("logs.lock", false), ("logs.json", false), ("logs.json.new", true)] {
            let directory = tempfile::tempdir().unwrap();
            let fifo = directory.path().join(file);
            rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
            let mut storage = Storage::new(directory.path().to_owned(), NAME);
            assert_eq!(storage.load::<LogRecord>().is_ok(), loads, "{file}");
            let saved = storage.save(all(&[record()]), true);
            // What is damaged was set aside when it was to be loaded; what another one left is replaced.
            assert_eq!(saved.is_ok(), file != "logs.lock", "{file}: {saved:?}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "").unwrap();
        symlink("gone", &link).unwrap();
        for (path, why) in [(file.join("below"), "Not a directory"), (file, "Not a directory"), (link, "No such file")]
        {
            let error = Storage::new(path, NAME).save(all(&[record()]), true).unwrap_err();
            assert!(error.to_string().contains("--storage.path") && error.to_string().contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse::<LogRecord>(&bytes, NAME).is_err());
            let headed = [b"{\"format\":\"campaign_exporter logs\",\"version\":2}\n".to_vec(), bytes].concat();
            prop_assert!(parse::<LogRecord>(&headed, NAME).is_err());
        }

        #[test]
        fn names_are_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let name = Name(OsString::from_vec(bytes));
            let text = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<Name>(&text).unwrap(), name);
        }
    }
}
