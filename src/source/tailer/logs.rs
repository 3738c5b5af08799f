//! The modules' logs: `var/<instance>/log/*.log`, and what `-tracefile:` puts beside that folder.
//!
//! One log may have several files: `X.log` is written, `X_2.log` was before it; `logins.yy-mm-dd.log` begins anew each day.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::follow::{Begin, LogFollower, StoredFile, Tally};
use super::{ListedFile, Log, LogKind, Names, Readings, Restored, Stage, Tailer};
use crate::parse::counts::{Counter, Counts, MAX_NAMES, NameBudget};
use crate::parse::line::{Level, Memory, Problem};
use crate::parse::runs::Runs;
use crate::source::kit::Miss;
use crate::source::positions::{Name, Record};

/// The logs, as the rest of the program sees them.
pub type Logs = Readings<LogsView>;

/// Where the very first reading of a log begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At its end: what was written before the exporter started is not counted.
    #[default]
    End,
    /// At its beginning.
    Beginning,
}

/// The kind of the modules' logs.
#[derive(Debug)]
pub struct LogsKind {
    start: Start,
    /// Whether a log has runs that end.
    tells_runs: fn(&OsStr) -> bool,
    /// Where processes are looked for: a run whose process still runs has not ended.
    procfs: PathBuf,
    names: Arc<NameBudget>,
    has_looked: bool,
}

impl LogsKind {
    /// Logs that are first read from `start` on; `tells_runs` says which are of modules that start when needed.
    #[must_use]
    pub fn new(start: Start, procfs: PathBuf, tells_runs: fn(&OsStr) -> bool) -> Self {
        LogsKind { start, tells_runs, procfs, names: NameBudget::new(MAX_NAMES), has_looked: false }
    }
}

/// What reads the lines of one log.
#[derive(Debug)]
pub struct LogReading {
    counter: Counter,
    tells_runs: bool,
    /// Whether its counters were shown at 0, which `increase` needs to see the first counts.
    introduced: Arc<Introduction>,
}

impl crate::parse::tail::Lines for LogReading {
    fn line(&mut self, line: crate::parse::tail::RawLine<'_>) {
        self.counter.line(line);
    }
}

/// Whether a log's counters were scraped at 0.
#[derive(Debug, Default)]
pub struct Introduction(AtomicU8);

impl Introduction {
    const NEW: u8 = 0;
    const OFFERED: u8 = 1;
    const DONE: u8 = 2;

    /// Of a log that was there before.
    #[must_use]
    pub fn done() -> Arc<Self> {
        Arc::new(Introduction(AtomicU8::new(Introduction::DONE)))
    }

    /// Whether the counters are to be shown as they are. If not, they are about to be shown at 0.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let offered = self.0.compare_exchange(Self::NEW, Self::OFFERED, Ordering::AcqRel, Ordering::Acquire);
        offered.is_err_and(|now| now == Self::DONE)
    }

    /// What was offered has been scraped.
    pub fn was_seen(&self) {
        let _ = self.0.compare_exchange(Self::OFFERED, Self::DONE, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// What is known of one log at one moment.
#[derive(Clone, Debug)]
pub struct LogView {
    /// The Campaign instance: the name of the folder below `var`.
    pub instance: OsString,
    /// The log's name: its file's, without `.log`.
    pub log: OsString,
    /// What its lines came to.
    pub counts: Counts,
    /// What the reader did.
    pub tally: Tally,
    /// The size of the file that is being written, in bytes.
    pub size: u64,
    /// What is written and not read yet, in bytes.
    pub lag: u64,
    /// Whether a file of it is there; of one that is gone only the counts are kept.
    pub present: bool,
    /// Whether it can't be read now: it may have lines that are not counted.
    pub is_troubled: bool,
    /// Whether its counters may be shown as they are.
    pub introduced: Arc<Introduction>,
}

/// Everything that is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct LogsView {
    /// The logs.
    pub logs: Vec<Arc<LogView>>,
    /// Logs that have not been there for long, or not since the start: what is stored of them.
    pub stored: Vec<Arc<StoredLog>>,
    /// How many log files and folders could not be read, by instance and reason.
    pub troubles: BTreeMap<(OsString, Miss), u64>,
}

impl LogsView {
    /// Everything in it that was shown has been scraped.
    pub fn was_seen(&self) {
        self.logs.iter().for_each(|log| log.introduced.was_seen());
    }
}

/// What is stored of the logs, in version 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LogRecord {
    /// The installation's logs had been looked for: a log that isn't stored is new.
    Surveyed {},
    /// One log.
    Log(Arc<StoredLog>),
}

/// What is kept of one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredLog {
    /// The Campaign instance.
    pub instance: Name,
    /// The log's name.
    pub log: Name,
    /// The name of the file that was being written.
    pub file: Name,
    /// The files that were not read to their end or may grow, the oldest first.
    pub files: Vec<StoredFile>,
    /// The last files that were read to their end and left behind.
    pub finished: Vec<StoredFile>,
    /// What the reader did.
    pub tally: Tally,
    /// What the lines came to.
    pub counts: Counts,
    /// What the next line may continue.
    pub memory: Memory,
}

impl Record for LogRecord {
    type V1 = LogsV1;

    fn key(&self) -> Vec<Name> {
        match self {
            LogRecord::Surveyed {} => Vec::new(),
            LogRecord::Log(log) => vec![log.instance.clone(), log.log.clone()],
        }
    }

    fn unread(&self) -> u64 {
        match self {
            LogRecord::Surveyed {} => 0,
            LogRecord::Log(log) => log.files.iter().map(StoredFile::unread).sum(),
        }
    }
}

/// What version 1 stored. Never to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsV1 {
    surveyed: bool,
    logs: Vec<LogV1>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogV1 {
    instance: Name,
    log: Name,
    file: Name,
    files: Vec<StoredFile>,
    finished: Vec<StoredFile>,
    tally: Tally,
    counts: CountsV1,
    memory: Memory,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountsV1 {
    levels: [u64; Level::KNOWN.len()],
    other_levels: BTreeMap<String, u64>,
    codes: BTreeMap<crate::parse::line::Code, u64>,
    other_codes: u64,
    /// `xtk_session`, `cross_device_link`.
    problems: [u64; 2],
    continuations: u64,
    unreadable: u64,
    last_message: Option<i64>,
    last_error: Option<i64>,
    last_pid: Option<u64>,
    last_pid_errors: u64,
}

impl From<LogsV1> for Vec<LogRecord> {
    fn from(stored: LogsV1) -> Self {
        let surveyed = stored.surveyed.then_some(LogRecord::Surveyed {});
        let logs = stored.logs.into_iter().map(|log| {
            let LogV1 { instance, log, file, files, finished, tally, counts, memory } = log;
            let counts = counts.into();
            LogRecord::Log(Arc::new(StoredLog { instance, log, file, files, finished, tally, counts, memory }))
        });
        surveyed.into_iter().chain(logs).collect()
    }
}

impl From<CountsV1> for Counts {
    fn from(stored: CountsV1) -> Self {
        let mut problems = [0; Problem::ALL.len()];
        problems[..2].copy_from_slice(&stored.problems);
        let last = stored.last_pid.zip(stored.last_message);
        let runs = last.map(|(pid, time)| Runs::of_last(pid, stored.last_pid_errors, time)).unwrap_or_default();
        Counts {
            levels: stored.levels,
            other_levels: stored.other_levels,
            codes: stored.codes,
            other_codes: stored.other_codes,
            problems,
            continuations: stored.continuations,
            unreadable: stored.unreadable,
            last_message: stored.last_message,
            last_error: stored.last_error,
            runs,
            held: None,
            refused: None,
        }
    }
}

impl LogKind for LogsKind {
    const NAME: &'static str = "logs";

    const FOLDERS: &'static [&'static str] = &["log", ""];

    /// Of hosted sites.
    const BESIDE: Option<&'static str> = Some("log");

    const HAS_HINTS: bool = true;

    const SURVEY: Duration = Duration::from_secs(10);

    const MAX_LOGS: usize = 5_000;

    const QUARTERS: usize = 3;

    /// How long a log without files is shown, and its last file kept open.
    const GONE: Option<Duration> = Some(Duration::from_secs(3600));

    type Reading = LogReading;

    type Record = LogRecord;

    type Shown = LogView;

    type View = LogsView;

    fn restore(&mut self, records: Vec<LogRecord>) -> Restored<LogRecord> {
        let mut restored = Restored { surveyed: false, logs: BTreeMap::new() };
        for record in records {
            match &record {
                LogRecord::Surveyed {} => (restored.surveyed, self.has_looked) = (true, true),
                LogRecord::Log(log) => {
                    let key = (log.instance.0.clone(), log.log.0.clone());
                    restored.logs.insert(key, record);
                }
            }
        }
        restored
    }

    fn group(files: Vec<ListedFile>) -> BTreeMap<OsString, Names> {
        let mut logs: BTreeMap<OsString, Names> = BTreeMap::new();
        for ListedFile { name: file, is_link } in files {
            let Some((name, role)) = log_name(&file) else { continue };
            let names = logs.entry(name).or_default();
            names.link |= is_link;
            match role {
                Role::Plain => names.plain = Some(file),
                Role::Old => names.old = Some(file),
                Role::Dated => names.dated.push(file),
            }
        }
        logs.values_mut().for_each(|names| names.dated.sort());
        logs
    }

    fn take_up(
        &self,
        folder: &Path,
        names: &Names,
        stored: Option<LogRecord>,
        begin: Begin,
    ) -> Option<(LogFollower, LogReading)> {
        let stored = match stored {
            Some(LogRecord::Log(stored)) => Some(Arc::unwrap_or_clone(stored)),
            _ => None,
        };
        let last = stored.as_ref().map(|log| log.file.0.as_os_str());
        let (current, earlier) = names.paths(folder, last)?;
        let name = current.file_name().and_then(log_name).map(|(name, _)| name).unwrap_or_default();
        let mut follower = LogFollower::new(current, earlier, begin);
        let budget = Arc::clone(&self.names);
        // A log that was there at the start, or was stored, has counters that go on; only a new one begins at 0.
        let is_new = stored.is_none() && self.has_looked && begin == Begin::Beginning;
        let introduced = if is_new { Arc::default() } else { Introduction::done() };
        let counter = match stored {
            Some(log) => {
                follower.restore(log.files, log.finished, log.tally);
                Counter::new(log.counts, log.memory, budget)
            }
            None => Counter::new(Counts::default(), Memory::default(), budget),
        };
        Some((follower, LogReading { counter, tells_runs: (self.tells_runs)(&name), introduced }))
    }

    fn rename(folder: &Path, names: &Names, follower: &mut LogFollower) {
        let last = follower.current().file_name().map(OsStr::to_owned);
        if let Some((current, earlier)) = names.paths(folder, last.as_deref()) {
            follower.rename(current, earlier);
        }
    }

    fn begin(&self) -> Begin {
        match self.start {
            Start::End => Begin::End,
            Start::Beginning => Begin::Beginning,
        }
    }

    fn glance(reading: &mut LogReading, line: &[u8]) {
        reading.counter.glance(line);
    }

    fn glanced(reading: &mut LogReading) {
        reading.counter.assume_lines_before();
    }

    fn record(&self, instance: &OsStr, log: &Log<Self>) -> LogRecord {
        let (files, finished) = log.follower.stored();
        LogRecord::Log(Arc::new(StoredLog {
            instance: Name::from(instance),
            log: Name::from(log.name.as_os_str()),
            file: Name::from(log.follower.current().file_name().unwrap_or_default()),
            files,
            finished,
            tally: log.follower.tally,
            counts: log.reading.counter.counts.clone(),
            memory: log.reading.counter.memory(),
        }))
    }

    fn other_records(&self, surveyed: bool) -> Vec<LogRecord> {
        surveyed.then_some(LogRecord::Surveyed {}).into_iter().collect()
    }

    fn surveyed(&mut self, _: &[OsString]) {
        self.has_looked = true;
    }

    fn is_unsettled(reading: &LogReading) -> bool {
        reading.counter.counts.held.is_some()
    }

    fn settle(&self, reading: &mut LogReading, now: i64) -> bool {
        let lives = |pid: u64| {
            let comm = std::fs::read(self.procfs.join(pid.to_string()).join("comm"));
            comm.is_ok_and(|comm| comm.starts_with(b"nlserver"))
        };
        reading.counter.settle(now, reading.tells_runs.then_some(lives))
    }

    fn show(instance: &OsStr, log: &Log<Self>) -> LogView {
        let (size, lag) = log.follower.size_and_lag();
        LogView {
            instance: instance.to_owned(),
            log: log.name.clone(),
            counts: log.reading.counter.counts.clone(),
            tally: log.follower.tally,
            size,
            lag,
            is_troubled: log.follower.trouble().is_some(),
            present: log.stage != Stage::New && !log.follower.is_gone(),
            introduced: Arc::clone(&log.reading.introduced),
        }
    }

    fn view(tailer: &mut Tailer<Self>) -> LogsView {
        let logs = tailer.logs.iter().filter_map(|log| log.shown.clone()).collect();
        let stored = |(record, _): &(LogRecord, _)| match record {
            LogRecord::Log(log) => Some(Arc::clone(log)),
            LogRecord::Surveyed {} => None,
        };
        let stored = tailer.stored.values().filter_map(stored).collect();
        LogsView { logs, stored, troubles: tailer.troubles() }
    }
}

impl Names {
    /// The file that is being written, and where those before it may be. `last` is the name that was being written so far.
    fn paths(&self, folder: &Path, last: Option<&OsStr>) -> Option<(PathBuf, Vec<PathBuf>)> {
        let at = |name: &OsString| folder.join(name);
        match (&self.plain, self.dated.last()) {
            (Some(plain), newest) => {
                let earlier = self.old.iter().chain(newest).map(at);
                Some((at(plain), earlier.collect()))
            }
            (None, Some(newest)) => {
                // Days that came since the one that was being written.
                let since = |name: &&OsString| last.is_some_and(|last| name.as_os_str() >= last) && *name != newest;
                Some((at(newest), self.dated.iter().filter(since).map(at).collect()))
            }
            (None, None) => {
                // Between a rotation's rename and the new file.
                let old = self.old.as_ref()?;
                let stem = old.as_bytes().strip_suffix(OLD)?;
                let plain = OsString::from(OsStr::from_bytes(&[stem, SUFFIX].concat()));
                Some((at(&plain), vec![at(old)]))
            }
        }
    }
}

const SUFFIX: &[u8] = b".log";
const OLD: &[u8] = b"_2.log";

/// What a file name says of its place among a log's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// `X.log`
    Plain,
    /// `X_2.log`
    Old,
    /// `X.yy-mm-dd.log`
    Dated,
}

/// The log that a file belongs to, and which of its files it is; none when it is no log file.
fn log_name(file: &OsStr) -> Option<(OsString, Role)> {
    let owned = |name: &[u8]| OsStr::from_bytes(name).to_owned();
    let bytes = file.as_bytes();
    if let Some(stem) = bytes.strip_suffix(OLD).filter(|stem| !stem.is_empty()) {
        return Some((owned(stem), Role::Old));
    }
    let stem = bytes.strip_suffix(SUFFIX).filter(|stem| !stem.is_empty())?;
    let (name, day) = stem.split_at(stem.len().saturating_sub(9));
    let is_day = matches!(day, [b'.', y1, y2, b'-', m1, m2, b'-', d1, d2]
        if [y1, y2, m1, m2, d1, d2].iter().all(|byte| byte.is_ascii_digit()));
    if is_day && !name.is_empty() {
        return Some((owned(name), Role::Dated));
    }
    Some((owned(stem), Role::Plain))
}
