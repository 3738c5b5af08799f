//! The state files: how far every log has been read, and what was counted by then.
//!
//! Both are of the same moment, so that what is read again after a crash is counted again from what was counted
//! before it: each line once. Knows the file and its form, nothing of how logs are read.
//!
//! # Format
//! Two lines. The first is `{"format":…,"version":…,"length":…,"crc32":…}`, the second is the state as JSON, of that length in bytes
//! and with that checksum. Names are byte strings, written with each byte as the character of that number.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::tailer::counts::Counts;
use super::tailer::follow::{Kept, Tally};
use super::without_waiting;
use crate::parse::line::Memory;

const STATE: &str = ".json";
const SET_ASIDE: &str = ".json.damaged";
const TEMPORARY: &str = ".json.new";
const LOCK: &str = ".lock";
const VERSION: u32 = 1;

/// The largest state file that is read: 5,000 logs with all their codes need less.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Everything that goes on after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Whether the installation's logs had been looked for: a log that isn't here is new.
    pub surveyed: bool,
    /// The logs.
    pub logs: Vec<LogState>,
}

/// What is kept of one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogState {
    /// The Campaign instance.
    pub instance: Name,
    /// The log's name.
    pub log: Name,
    /// The name of the file that was being written.
    pub file: Name,
    /// The files that were not read to their end or may grow, the oldest first.
    pub files: Vec<Kept>,
    /// The last files that were read to their end and left behind.
    pub finished: Vec<Kept>,
    /// What the reader did.
    pub tally: Tally,
    /// What the lines came to.
    pub counts: Counts,
    /// What the next line may continue.
    pub memory: Memory,
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

/// Why the state can't be kept or was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The machine refused.
    #[error("{path}: {source}; check --storage.path and its owner")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another exporter keeps its state here.
    #[error("{path}: another process holds the lock; give each exporter its own --storage.path")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("{path}: {reason}; it was set aside as {aside}, positions and counters start afresh")]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// What it is called now.
        aside: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    length: u64,
    crc32: u32,
}

/// A state of one kind, and the directory that it is kept in.
#[derive(Debug)]
pub struct Storage {
    directory: PathBuf,
    name: &'static str,
    /// Held until the process ends, however it ends.
    lock: Option<File>,
    /// Whether what is there has been taken over, or is our own.
    is_ours: bool,
}

impl Storage {
    /// The state `name` is to be kept in `directory`, which is created when it is needed.
    #[must_use]
    pub fn new(directory: PathBuf, name: &'static str) -> Self {
        Storage { directory, name, lock: None, is_ours: false }
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}{ending}", self.name))
    }

    /// The state that was saved last; none when none ever was.
    ///
    /// # Errors
    /// The file can't be read, or is damaged or foreign. Then it has been set aside if that was possible.
    pub fn load<S: DeserializeOwned>(&mut self) -> Result<Option<S>, StorageError> {
        self.lock()?;
        let path = self.file(STATE);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_ours = true;
                return Ok(None);
            }
            Err(source) => return Err(StorageError::Io { path, source }),
        };
        match parse(&bytes, self.name) {
            Ok(state) => {
                self.is_ours = true;
                Ok(Some(state))
            }
            Err(reason) => {
                let aside = self.set_aside()?.unwrap_or_default();
                Err(StorageError::Damaged { path, aside, reason })
            }
        }
    }

    /// Keeps what is there, if anything, under another name.
    fn set_aside(&mut self) -> Result<Option<PathBuf>, StorageError> {
        let aside = self.file(SET_ASIDE);
        let was_there = match std::fs::rename(self.file(STATE), &aside) {
            Ok(()) => true,
            Err(source) if source.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(StorageError::Io { path: aside, source }),
        };
        self.is_ours = true;
        Ok(was_there.then_some(aside))
    }

    /// Puts `state` in the place of what was saved before: after a crash either is there, whole. What could not be loaded
    /// is set aside: somebody may want it back.
    ///
    /// # Errors
    /// What the machine refused. What was saved before is then still there.
    pub fn save(&mut self, state: &impl Serialize) -> Result<(), StorageError> {
        self.lock()?;
        if !self.is_ours
            && let Some(aside) = self.set_aside()?
        {
            tracing::warn!(aside = %aside.display(), "positions and counters that could not be taken over were set aside");
        }
        let temporary = self.file(TEMPORARY);
        let path = self.file(STATE);
        let write = || -> io::Result<()> {
            let mut file = without_waiting().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(&render(state, self.name)?)?;
            file.sync_data()
        };
        write().map_err(|source| StorageError::Io { path: temporary.clone(), source })?;
        let replace = || -> io::Result<()> {
            std::fs::rename(&temporary, &path)?;
            // Else a machine that loses its power may show what was saved before.
            File::open(&self.directory)?.sync_all()
        };
        replace().map_err(|source| StorageError::Io { path: path.clone(), source })
    }

    fn lock(&mut self) -> Result<(), StorageError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let failed = |path: &Path, source| StorageError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(&self.directory).map_err(|source| failed(&self.directory, source))?;
        let path = self.file(LOCK);
        let file = without_waiting().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|source| failed(&path, source))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.lock = Some(file);
                Ok(())
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StorageError::Locked { path }),
            Err(error) => Err(failed(&path, error.into())),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = without_waiting().read(true).open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn render(state: &impl Serialize, name: &str) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(state)?;
    let header =
        Header { format: format_of(name), version: VERSION, length: body.len() as u64, crc32: checksum(&body) };
    let mut text = serde_json::to_vec(&header)?;
    text.push(b'\n');
    text.extend(body);
    text.push(b'\n');
    Ok(text)
}

/// What the header of the state `name` says that it is.
fn format_of(name: &str) -> String {
    format!("campaign_exporter {name}")
}

/// Reads what a file of the state `name` holds.
///
/// # Errors
/// Why it is not one that this version wrote, whole.
pub fn parse<S: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<S, String> {
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
    if header.version != VERSION {
        return Err(format!("it is of version {}, this program writes {VERSION}", header.version));
    }
    let body = bytes[end + 1..].strip_suffix(b"\n").ok_or("its end is missing")?;
    if body.len() as u64 != header.length || checksum(body) != header.crc32 {
        return Err("it is not as long as it was, or its checksum is wrong".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| format!("it can't be read: {error}"))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "logs";

    fn state() -> State {
        let counts = Counts { levels: [1, 2, u64::MAX], ..Counts::default() };
        let kept = Kept {
            device: 1,
            inode: u64::MAX,
            length: 256,
            hash: 7,
            offset: 9,
            skipping: true,
            after_nul: false,
            size: 10,
            current: true,
            follows: true,
        };
        let log = LogState {
            instance: Name("prod".into()),
            log: Name(OsString::from_vec(b"caf\xe9".to_vec())),
            file: Name("x.log".into()),
            files: vec![kept],
            finished: vec![kept],
            tally: Tally { read_bytes: 1, skipped_bytes: 2, rotations: 3 },
            counts,
            memory: Memory { begun: true, searched: true, error: false, found: 3 },
        };
        State { surveyed: true, logs: vec![log] }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join("directory");
        let mut storage = Storage::new(path.clone(), NAME);
        assert_eq!(storage.load::<State>().unwrap(), None);
        storage.save(&State::default()).unwrap();
        storage.save(&state()).unwrap();
        assert_eq!(storage.load().unwrap(), Some(state()));
        drop(storage);
        assert_eq!(Storage::new(path, NAME).load().unwrap(), Some(state()));
    }

    #[test]
    fn a_damaged_or_foreign_file_is_set_aside_and_reported() {
        let good = render(&state(), NAME).unwrap();
        let mut flipped = good.clone();
        let middle = good.len() / 2;
        flipped[middle] ^= 1;
        let other_version = String::from_utf8(good.clone()).unwrap().replacen("\"version\":1", "\"version\":2", 1);
        let other_kind = render(&state(), "tracking").unwrap();
        for bytes in [
            &good[..good.len() - 5],
            &flipped,
            b"",
            b"\n",
            b"{}\n{}\n",
            b"\0\0\0\0",
            other_version.as_bytes(),
            &other_kind,
        ] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("logs.json"), bytes).unwrap();
            let mut storage = Storage::new(directory.path().to_owned(), NAME);
            let error = storage.load::<State>().unwrap_err();
            assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("logs.json.damaged"), "{error}");
            assert_eq!(std::fs::read(directory.path().join("logs.json.damaged")).unwrap(), bytes);
            assert_eq!(storage.load::<State>().unwrap(), None);
            storage.save(&state()).unwrap();
            assert_eq!(storage.load().unwrap(), Some(state()));
        }
    }

    #[test]
    fn two_exporters_do_not_share_a_state() {
        let directory = tempfile::tempdir().unwrap();
        let mut first = Storage::new(directory.path().to_owned(), NAME);
        first.save(&state()).unwrap();
        let mut second = Storage::new(directory.path().to_owned(), NAME);
        assert!(matches!(second.load::<State>(), Err(StorageError::Locked { .. })));
        assert!(matches!(second.save(&State::default()), Err(StorageError::Locked { .. })));
        drop(first);
        // It comes too late to take over what is there, and destroys nothing.
        second.save(&State::default()).unwrap();
        let aside = std::fs::read(directory.path().join(format!("{NAME}{SET_ASIDE}"))).unwrap();
        assert_eq!(parse::<State>(&aside, NAME).unwrap(), state());
        second.save(&state()).unwrap();
        assert_eq!(second.load().unwrap(), Some(state()));
        assert_eq!(std::fs::read(directory.path().join(format!("{NAME}{SET_ASIDE}"))).unwrap(), aside);
    }

    #[test]
    fn a_fifo_in_place_of_a_file_is_an_error_and_waits_for_nobody() {
        for (file, loads) in [("logs.lock", false), ("logs.json", false), ("logs.json.new", true)] {
            let directory = tempfile::tempdir().unwrap();
            let fifo = directory.path().join(file);
            rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
            let mut storage = Storage::new(directory.path().to_owned(), NAME);
            assert_eq!(storage.load::<State>().is_ok(), loads, "{file}");
            let saved = storage.save(&state());
            // What is damaged was set aside when it was to be loaded.
            assert_eq!(saved.is_ok(), file == "logs.json", "{file}: {saved:?}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Storage::new(file.join("below"), NAME).save(&state()).unwrap_err();
        assert!(error.to_string().contains("--storage.path"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse::<State>(&bytes, NAME).is_err());
        }

        #[test]
        fn names_are_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let name = Name(OsString::from_vec(bytes));
            let text = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<Name>(&text).unwrap(), name);
        }
    }
}
