//! Follows all logs of an installation: `<home>/var/<instance>/log/*.log`, and counts what is in them.
//!
//! The kernel's hints (inotify, by `notify`) say where to look; looking says what is true. Every [`SURVEY`] everything is looked
//! at, hints or not. A directory that gives no hints, because the kernel has no more watches or the file system knows
//! of changes elsewhere, is polled; so is one that gives so many that hearing them would cost more than looking.
//!
//! One thread reads, with one buffer, a little of each log in turn. Knows files and lines; which module a log
//! belongs to, and what its messages mean for its health, is for the collectors.

pub mod counts;
pub mod follow;
mod run;
pub mod tracking;
pub mod watch;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::counts::{Counter, Counts};
use self::follow::{Begin, Follower, Tally, Trouble};
use self::watch::{Pending, Wake, Watch};
use super::positions::{LogState, Name, State};
use crate::parse::tail::RawLine;
pub use run::{Published, Reader, Readings, StartError, Turns};

/// How often everything is looked at, whatever was hinted.
pub const SURVEY: Duration = Duration::from_secs(10);

/// How soon after the last survey hints bring on the next.
const SURVEY_HINTED: Duration = Duration::from_secs(1);

/// How often a directory without hints is looked at, and every log in it that was written to lately.
const POLL: Duration = Duration::from_millis(100);

/// How often a directory without hints is looked at when no log in it is being written.
const IDLE_POLL: Duration = Duration::from_millis(250);

/// How often every log in a directory without hints is looked at.
const SWEEP: Duration = Duration::from_secs(2);

/// How long after its last growth a log counts as being written.
const HOT: Duration = Duration::from_secs(5);

/// After something was hinted and read, hints gather for so long.
const GATHER: Duration = Duration::from_millis(100);

/// The same, while much is being written.
const GATHER_BUSY: Duration = Duration::from_millis(5);

/// A turn that read more bytes than this found much being written.
const BUSY_BYTES: usize = 1024 * 1024;

/// So many events of one directory in one turn make it polled, for [`FLOOD`].
const FLOOD_EVENTS: u32 = 64;

/// How long a directory that gave too many hints is polled instead.
const FLOOD: Duration = Duration::from_secs(30);

/// The reader's one buffer, in bytes. More than the longest line.
const BUFFER: usize = 256 * 1024;

/// What is read of one log in its turn, in bytes.
const LOG_TURN: usize = 2 * BUFFER;

/// How long a turn may read before it is time to look for rotations again.
const TURN: Duration = Duration::from_millis(20);

/// How long a log without files is shown, and its last file kept open.
const GONE: Duration = Duration::from_secs(3600);

/// How long its counts are kept, should it come again: as when a volume was not mounted.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most logs that are followed, unless told otherwise.
pub const MAX_LOGS: usize = 5_000;

/// The clock that files' times come from ticks this often, at the slowest.
const TICK: Duration = Duration::from_millis(20);

/// Where the very first reading of a log begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At its end: what was written before the exporter came is not counted.
    #[default]
    End,
    /// At its beginning.
    Beginning,
}

/// The logs, as the rest of the program sees them.
pub type Logs = Readings<View>;

/// What is known of one log at one moment.
#[derive(Clone, Debug)]
pub struct LogView {
    /// The Campaign instance: the name of the directory below `var`.
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
}

/// Everything that is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The logs.
    pub logs: Vec<LogView>,
    /// How many log files and directories could not be read, by instance and reason.
    pub troubles: BTreeMap<(OsString, Trouble), u64>,
    /// Whether an installation's log directories have been looked for.
    pub surveyed: bool,
}

/// How long the reader may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Even when there are hints.
    pub at_least: Duration,
    /// When there are none.
    pub at_most: Duration,
}

/// How hints of a directory are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hints {
    /// They come.
    Come,
    /// They don't.
    Lack,
    /// They did not cease to come: none until then.
    Flood(Instant),
}

/// A directory `var/<instance>/log`.
struct Directory {
    instance: OsString,
    path: PathBuf,
    /// Device and inode, when last listed.
    identity: Option<(u64, u64)>,
    /// Its time of change and the wall clock, when last listed.
    listed: Option<(SystemTime, SystemTime)>,
    hints: Hints,
    /// Whether writes by another machine would go unheard.
    remote: bool,
    /// Whether it is to be listed.
    stale: bool,
    /// Where its logs are first read from.
    begin: Begin,
    next_sweep: Instant,
    trouble: Option<Trouble>,
    /// How many logs there are beyond the most that are followed.
    beyond: u64,
    logs: HashMap<OsString, usize>,
    gone: bool,
}

struct Log {
    directory: usize,
    name: OsString,
    follower: Follower,
    counter: Counter,
    /// Whether it was looked at for the first time.
    begun: bool,
    /// Whether its end is still to be glanced at, for what it said last.
    glance: bool,
    /// Whether it is to be looked at.
    dirty: bool,
    /// Whether its file is a symbolic link, so that hints of the directory tell nothing of writes.
    link: bool,
    grew: Option<Instant>,
    gone_since: Option<Instant>,
}

/// The file names of one log, as a listing found them.
#[derive(Default)]
struct Names {
    plain: Option<OsString>,
    old: Option<OsString>,
    dated: Vec<OsString>,
    link: bool,
}

/// Reads the logs of an installation, a turn at a time. It does nothing by itself: [`Reader`] gives it a thread.
pub struct Tailer {
    wake: Arc<Wake>,
    watch: Watch,
    start: Start,
    max_logs: usize,
    home: Option<PathBuf>,
    directories: Vec<Directory>,
    places: HashMap<PathBuf, usize>,
    /// `var` and `var/<instance>`: where directories come and go. With the identity that is being watched.
    above: HashMap<PathBuf, Option<(u64, u64)>>,
    above_trouble: Option<Trouble>,
    logs: Vec<Log>,
    /// Logs of before a restart that have not been found yet.
    stored: BTreeMap<(OsString, OsString), (LogState, Instant)>,
    surveyed: bool,
    was_surveyed: bool,
    next_survey: Option<Instant>,
    surveyed_at: Option<Instant>,
    cursor: usize,
    buffer: Vec<u8>,
    changed: bool,
    rotated: bool,
}

impl Tailer {
    /// A tailer without an installation yet; see [`Wake::follow`].
    #[must_use]
    pub fn new(start: Start, watch: Watch, wake: Arc<Wake>) -> Self {
        Tailer {
            wake,
            watch,
            start,
            max_logs: MAX_LOGS,
            home: None,
            directories: Vec::new(),
            places: HashMap::new(),
            above: HashMap::new(),
            above_trouble: None,
            logs: Vec::new(),
            stored: BTreeMap::new(),
            surveyed: false,
            was_surveyed: false,
            next_survey: None,
            surveyed_at: None,
            cursor: 0,
            buffer: vec![0; BUFFER],
            changed: false,
            rotated: false,
        }
    }

    /// A tailer that hears the kernel's hints.
    #[must_use]
    pub fn watching(start: Start, wake: Arc<Wake>) -> Self {
        Self::new(start, Watch::kernel(Arc::clone(&wake)), wake)
    }

    /// Follows at most `most` logs.
    #[must_use]
    pub fn with_max_logs(mut self, most: usize) -> Self {
        self.max_logs = most;
        self
    }

    /// Looks at everything and reads all there is, however long it takes.
    pub fn poll(&mut self, now: Instant) {
        self.next_survey = None;
        while self.turn(now).at_most.is_zero() {}
    }

    fn rest(&self, now: Instant, hinted: bool, read: usize) -> Rest {
        let zero = Duration::ZERO;
        if self.logs.iter().any(|log| log.follower.has_more()) {
            return Rest { at_least: zero, at_most: zero };
        }
        let until_survey = self.next_survey.map_or(zero, |next| next.saturating_duration_since(now));
        if read > BUSY_BYTES {
            return Rest { at_least: GATHER_BUSY, at_most: GATHER.min(until_survey).max(GATHER_BUSY) };
        }
        let mut at_most = until_survey;
        for directory in self.directories.iter().filter(|directory| directory.is_polled()) {
            let hot = directory.logs.values().any(|log| self.logs[*log].is_hot(now));
            at_most = at_most.min(if hot { POLL } else { IDLE_POLL });
        }
        if self.logs.iter().any(|log| log.link) {
            at_most = at_most.min(IDLE_POLL);
        }
        let at_least = if hinted || read > 0 { GATHER } else { zero };
        Rest { at_least, at_most: at_most.max(Duration::from_millis(1)) }
    }

    fn set_home(&mut self, home: Option<PathBuf>) {
        if self.home == home {
            return;
        }
        let directories = self.directories.iter().map(|directory| directory.path.clone());
        for path in directories.chain(self.above.keys().cloned()).collect::<Vec<_>>() {
            self.watch.remove(&path);
        }
        // Should the same files be found below the new home, they go on.
        let now = Instant::now();
        for log in self.state().logs {
            self.stored.insert((log.instance.0.clone(), log.log.0.clone()), (log, now));
        }
        self.directories.clear();
        self.places.clear();
        self.above.clear();
        self.above_trouble = None;
        self.logs.clear();
        // The first home is the one that a state was kept of.
        self.was_surveyed &= self.home.is_none();
        self.home = home;
        self.surveyed = false;
        self.next_survey = None;
        self.changed = true;
    }

    /// Marks what hints speak of. Whether they speak of directories of logs coming or going.
    fn hear(&mut self, pending: Pending, now: Instant) -> bool {
        let mut above = pending.everything;
        let mut events: HashMap<usize, u32> = HashMap::new();
        for (path, touch) in pending.touched {
            let place = path.parent().and_then(|parent| self.places.get(parent));
            let Some(place) = place.copied() else {
                above |= touch.name;
                continue;
            };
            *events.entry(place).or_default() += touch.events;
            let directory = &mut self.directories[place];
            let Some((name, _)) = path.file_name().and_then(log_name) else { continue };
            match directory.logs.get(&name) {
                Some(log) => {
                    self.logs[*log].dirty = true;
                    directory.stale |= touch.name;
                }
                None => directory.stale = true,
            }
        }
        for (place, events) in events {
            let directory = &mut self.directories[place];
            if events > FLOOD_EVENTS && directory.hints == Hints::Come {
                directory.hints = Hints::Flood(now + FLOOD);
                self.watch.remove(&directory.path);
            }
        }
        above
    }

    /// Looks at everything there is.
    fn survey(&mut self, now: Instant) {
        self.next_survey = Some(now + SURVEY);
        self.surveyed_at = Some(now);
        let Some(home) = self.home.clone() else { return };
        let var = home.join("var");
        match instances(&var, "log") {
            Ok(found) => {
                self.above_trouble = None;
                self.watch_above(&var);
                for (instance, has_logs) in found {
                    let place = var.join(&instance);
                    if has_logs {
                        self.add_directory(instance, place.join("log"), now);
                    }
                    self.watch_above(&place);
                }
                self.first_survey_is_over(now);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.first_survey_is_over(now),
            Err(error) => {
                let trouble = Trouble::of(&error);
                if self.above_trouble.replace(trouble) != Some(trouble) {
                    tracing::warn!(path = %var.display(), %error, "can't list the instances, so new ones go unseen; give the exporter's user the right to read it");
                }
            }
        }
        for place in 0..self.directories.len() {
            self.renew_watch(place, now);
            let directory = &self.directories[place];
            let unsure = directory.trouble.is_some() || directory.beyond > 0 || directory.remote;
            if directory.stale || unsure || directory.has_changed() {
                self.list(place);
            }
        }
        for place in 0..self.logs.len() {
            self.look(place, now);
            let log = &mut self.logs[place];
            let before = log.follower.tally;
            let counter = &mut log.counter;
            log.follower.settle(&mut self.buffer, counter);
            self.changed |= log.follower.tally != before;
            let gone = log.begun && log.follower.is_gone();
            log.gone_since = log.gone_since.or(Some(now)).filter(|_| gone);
        }
        self.forget(now);
    }

    fn first_survey_is_over(&mut self, now: Instant) {
        if !self.surveyed {
            self.surveyed = true;
            self.changed = true;
        }
        self.stored.retain(|_, (_, since)| now.saturating_duration_since(*since) < KEPT);
    }

    fn add_directory(&mut self, instance: OsString, path: PathBuf, now: Instant) {
        if let Some(place) = self.places.get(&path) {
            self.directories[*place].gone = false;
            return;
        }
        // What comes while we are here is new; what was here before is not.
        let begin = if self.surveyed || self.was_surveyed || self.start == Start::Beginning {
            Begin::Beginning
        } else {
            Begin::End
        };
        self.places.insert(path.clone(), self.directories.len());
        self.directories.push(Directory {
            instance,
            path,
            identity: None,
            listed: None,
            hints: Hints::Lack,
            remote: false,
            stale: true,
            begin,
            next_sweep: now,
            trouble: None,
            beyond: 0,
            logs: HashMap::new(),
            gone: false,
        });
        self.changed = true;
    }

    /// Watches `path`, and again when another directory has its name now.
    fn watch_above(&mut self, path: &Path) {
        let identity = path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        if self.above.get(path).is_some_and(|watched| *watched == identity && identity.is_some()) {
            return;
        }
        self.watch.remove(path);
        let watched = self.watch.add(path);
        self.above.insert(path.to_owned(), identity.filter(|_| watched));
    }

    fn renew_watch(&mut self, place: usize, now: Instant) {
        let directory = &mut self.directories[place];
        let identity = directory.path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        directory.stale |= identity != directory.identity;
        if matches!(directory.hints, Hints::Flood(until) if now < until) {
            directory.identity = identity;
            return;
        }
        if identity != directory.identity || directory.hints != Hints::Come {
            self.watch.remove(&directory.path);
            let comes = identity.is_some() && self.watch.add(&directory.path);
            directory.hints = if comes { Hints::Come } else { Hints::Lack };
            directory.identity = identity;
            directory.remote = is_remote(&directory.path);
        }
    }

    /// Looks at what is hinted, and at what gives no hints.
    fn look_where_due(&mut self, now: Instant) {
        for place in 0..self.directories.len() {
            if matches!(self.directories[place].hints, Hints::Flood(until) if now >= until) {
                self.renew_watch(place, now);
                self.directories[place].stale = true;
                self.directories[place].next_sweep = now;
            }
            let directory = &mut self.directories[place];
            if !directory.stale && directory.is_polled() && directory.has_changed() {
                directory.stale = true;
            }
            if directory.stale {
                self.list(place);
            }
            let directory = &mut self.directories[place];
            if now >= directory.next_sweep {
                directory.next_sweep = now + SWEEP;
                let polled = directory.is_polled();
                for log in directory.logs.values() {
                    let log = &mut self.logs[*log];
                    log.dirty |= polled || log.link;
                }
            }
        }
        for place in 0..self.logs.len() {
            let log = &self.logs[place];
            let polled = self.directories[log.directory].is_polled() || log.link;
            if log.dirty || !log.begun || (polled && log.is_hot(now)) || log.is_busy(now) {
                self.look(place, now);
            }
        }
    }

    /// Lists a directory, and takes up the logs that are new in it.
    fn list(&mut self, place: usize) {
        let directory = &mut self.directories[place];
        directory.stale = false;
        let before = SystemTime::now();
        let listing = list_logs(&directory.path);
        let trouble = match &listing {
            Ok((meta, _)) => {
                directory.listed = meta.modified().ok().map(|modified| (modified, before));
                directory.gone = false;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                directory.gone = true;
                None
            }
            Err(error) => {
                let trouble = Trouble::of(error);
                if directory.trouble != Some(trouble) {
                    tracing::warn!(path = %directory.path.display(), %error, "can't list the log files; give the exporter's user the right to read the directory");
                }
                Some(trouble)
            }
        };
        self.changed |= directory.trouble != trouble;
        directory.trouble = trouble;
        let Ok((_, found)) = listing else { return };
        let begin = directory.begin;
        // What appears from now on is new.
        directory.begin = Begin::Beginning;
        let mut beyond = 0;
        for (name, names) in found {
            if let Some(log) = self.directories[place].logs.get(&name) {
                let log = &mut self.logs[*log];
                log.dirty = true;
                log.link = names.link;
                let directory = &self.directories[place].path;
                let last = log.follower.current().file_name().map(OsStr::to_owned);
                if let Some((current, earlier)) = names.paths(directory, last.as_deref()) {
                    log.follower.rename(current, earlier);
                }
            } else if self.logs.len() >= self.max_logs {
                beyond += 1;
            } else {
                self.add_log(place, name, &names, begin);
            }
        }
        let directory = &mut self.directories[place];
        if beyond > 0 && directory.beyond == 0 {
            let (path, most) = (directory.path.display(), self.max_logs);
            tracing::warn!(%path, beyond, most, "there are more log files than are followed");
        }
        self.changed |= directory.beyond != beyond;
        directory.beyond = beyond;
    }

    fn add_log(&mut self, place: usize, name: OsString, names: &Names, begin: Begin) {
        let directory = &mut self.directories[place];
        let stored = self.stored.remove(&(directory.instance.clone(), name.clone())).map(|(log, _)| log);
        let last = stored.as_ref().map(|log| log.file.0.as_os_str());
        let Some((current, earlier)) = names.paths(&directory.path, last) else { return };
        let mut follower = Follower::new(current, earlier, begin);
        let counter = match stored {
            Some(log) => {
                follower.restore(log.files, log.finished, log.tally);
                Counter::new(log.counts, log.memory)
            }
            None => Counter::default(),
        };
        directory.logs.insert(name.clone(), self.logs.len());
        self.logs.push(Log {
            directory: place,
            name,
            follower,
            counter,
            begun: false,
            glance: false,
            dirty: true,
            link: names.link,
            grew: None,
            gone_since: None,
        });
        self.changed = true;
    }

    /// Looks at one log's files.
    fn look(&mut self, place: usize, now: Instant) {
        let log = &mut self.logs[place];
        log.dirty = false;
        let before = (log.follower.tally, log.follower.size_and_lag(), log.follower.trouble(), log.follower.is_gone());
        if !log.begun {
            log.glance = log.follower.begins_at_end();
            log.follower.observe();
            log.begun = true;
            self.changed = true;
        } else if log.follower.observe() {
            log.grew = Some(now);
        }
        if log.glance {
            let counter = &mut log.counter;
            let glanced = log.follower.peek(&mut self.buffer, &mut |line: RawLine<'_>| counter.glance(line.text()));
            if glanced == Some(true) {
                counter.assume_lines_before();
            }
            log.glance = glanced.is_none();
            self.changed |= glanced.is_some();
        }
        log.follower.tell_trouble();
        let after = (log.follower.tally, log.follower.size_and_lag(), log.follower.trouble(), log.follower.is_gone());
        if before.0.skipped_bytes != after.0.skipped_bytes {
            let bytes = after.0.skipped_bytes - before.0.skipped_bytes;
            tracing::warn!(path = %log.follower.current().display(), bytes, "bytes of the log were gone before they could be read");
        }
        self.changed |= before != after;
        self.rotated |= before.0.rotations != after.0.rotations;
    }

    /// Reads a little of each log that has more, beginning behind the one that was last. How many bytes.
    fn read(&mut self, now: Instant) -> usize {
        let count = self.logs.len();
        let mut read = 0;
        let begin = Instant::now();
        for step in 0..count {
            let place = (self.cursor + step) % count;
            let log = &mut self.logs[place];
            if !log.follower.has_more() {
                continue;
            }
            let before = (log.follower.tally, log.follower.trouble());
            let counter = &mut log.counter;
            let bytes = log.follower.read(&mut self.buffer, LOG_TURN, counter);
            log.grew = Some(now);
            self.changed |= before != (log.follower.tally, log.follower.trouble());
            self.rotated |= before.0.rotations != log.follower.tally.rotations;
            read += bytes;
            if begin.elapsed() >= TURN {
                self.cursor = (place + 1) % count;
                break;
            }
        }
        read
    }

    /// Lets go of what has been gone for long.
    fn forget(&mut self, now: Instant) {
        let is_over = |log: &Log| log.gone_since.is_some_and(|since| now.saturating_duration_since(since) >= GONE);
        let full = self.logs.len() >= self.max_logs && self.directories.iter().any(|directory| directory.beyond > 0);
        let before = self.logs.len();
        for log in self.logs.iter().filter(|log| is_over(log)) {
            let kept = self.kept(log);
            if self.stored.len() < self.max_logs {
                self.stored.insert((kept.instance.0.clone(), kept.log.0.clone()), (kept, now));
            }
        }
        self.logs.retain(|log| !(is_over(log) || full && log.gone_since.is_some()));
        let used = |place: usize, logs: &[Log]| logs.iter().any(|log| log.directory == place);
        let unused = |place: usize, directory: &Directory, logs: &[Log]| directory.gone && !used(place, logs);
        if !(0..self.directories.len()).any(|place| unused(place, &self.directories[place], &self.logs)) {
            if before != self.logs.len() {
                self.index();
            }
            return;
        }
        let mut moved = Vec::new();
        let mut kept = Vec::new();
        for (place, directory) in std::mem::take(&mut self.directories).into_iter().enumerate() {
            if unused(place, &directory, &self.logs) {
                self.watch.remove(&directory.path);
                moved.push(usize::MAX);
            } else {
                moved.push(kept.len());
                kept.push(directory);
            }
        }
        self.directories = kept;
        for log in &mut self.logs {
            log.directory = moved[log.directory];
        }
        self.index();
    }

    /// What must be kept of one log.
    fn kept(&self, log: &Log) -> LogState {
        let (files, finished) = log.follower.kept();
        LogState {
            instance: Name(self.directories[log.directory].instance.clone()),
            log: Name(log.name.clone()),
            file: Name::from(log.follower.current().file_name().unwrap_or_default()),
            files,
            finished,
            tally: log.follower.tally,
            counts: log.counter.counts.clone(),
            memory: log.counter.memory(),
        }
    }

    fn index(&mut self) {
        self.changed = true;
        self.places =
            self.directories.iter().enumerate().map(|(place, directory)| (directory.path.clone(), place)).collect();
        for directory in &mut self.directories {
            directory.logs.clear();
        }
        for (place, log) in self.logs.iter().enumerate() {
            self.directories[log.directory].logs.insert(log.name.clone(), place);
        }
    }
}

impl Turns for Tailer {
    const NAME: &'static str = "logs";

    type State = State;

    type View = View;

    fn restore(&mut self, state: State, now: Instant) {
        self.was_surveyed = state.surveyed;
        let key = |log: &LogState| (log.instance.0.clone(), log.log.0.clone());
        self.stored = state.logs.into_iter().map(|log| (key(&log), (log, now))).collect();
    }

    fn state(&self) -> State {
        let followed = self.logs.iter().filter(|log| log.begun).map(|log| self.kept(log));
        let stored = self.stored.values().map(|(log, _)| log.clone());
        State { surveyed: self.surveyed || self.was_surveyed, logs: followed.chain(stored).collect() }
    }

    fn view(&self) -> View {
        let mut troubles = BTreeMap::new();
        let mut note = |instance: &OsStr, trouble: Option<Trouble>, times: u64| {
            if let Some(trouble) = trouble.filter(|_| times > 0) {
                *troubles.entry((instance.to_owned(), trouble)).or_default() += times;
            }
        };
        note(OsStr::new(""), self.above_trouble, 1);
        for directory in &self.directories {
            note(&directory.instance, directory.trouble, 1);
            note(&directory.instance, Some(Trouble::Limit), directory.beyond);
        }
        let mut logs = Vec::with_capacity(self.logs.len());
        for log in &self.logs {
            let instance = &self.directories[log.directory].instance;
            note(instance, log.follower.trouble(), 1);
            let (size, lag) = log.follower.size_and_lag();
            logs.push(LogView {
                instance: instance.clone(),
                log: log.name.clone(),
                counts: log.counter.counts.clone(),
                tally: log.follower.tally,
                size,
                lag,
                present: log.begun && !log.follower.is_gone(),
            });
        }
        View { logs, troubles, surveyed: self.surveyed }
    }

    fn turn(&mut self, now: Instant) -> Rest {
        let mut pending = self.wake.take();
        if let Some(home) = pending.home.take() {
            self.set_home(home);
        }
        let hinted = !pending.touched.is_empty();
        if self.hear(pending, now) {
            let soon = self.surveyed_at.map_or(now, |last| last + SURVEY_HINTED);
            self.next_survey = self.next_survey.map(|next| next.min(soon));
        }
        if self.next_survey.is_none_or(|next| now >= next) {
            self.survey(now);
        } else {
            self.look_where_due(now);
        }
        let read = self.read(now);
        self.rest(now, hinted, read)
    }

    fn take_changed(&mut self) -> (bool, bool) {
        (std::mem::take(&mut self.changed), std::mem::take(&mut self.rotated))
    }
}

impl Directory {
    fn is_polled(&self) -> bool {
        self.remote || self.hints != Hints::Come
    }

    /// Whether names may have come or gone since it was listed. A change within the same tick of the clock would not
    /// show in its time, so that a time of just then says nothing.
    fn has_changed(&self) -> bool {
        let Some((modified, listed)) = self.listed else { return true };
        let now = self.path.metadata().and_then(|meta| meta.modified()).ok();
        now != Some(modified) || modified + TICK >= listed
    }
}

impl Log {
    fn is_hot(&self, now: Instant) -> bool {
        self.grew.is_some_and(|grew| now.saturating_duration_since(grew) < HOT)
    }

    /// Whether it is being written right now: then its rotation must be seen at once, hints or not.
    fn is_busy(&self, now: Instant) -> bool {
        self.grew.is_some_and(|grew| now.saturating_duration_since(grew) < 2 * GATHER)
    }
}

impl Names {
    /// The file that is being written, and where those before it may be. `last` is the name that was being written so far.
    fn paths(&self, directory: &Path, last: Option<&OsStr>) -> Option<(PathBuf, Vec<PathBuf>)> {
        let at = |name: &OsString| directory.join(name);
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

/// The log files of a directory, by log.
fn list_logs(directory: &Path) -> io::Result<(Metadata, BTreeMap<OsString, Names>)> {
    let meta = directory.metadata()?;
    let mut logs: BTreeMap<OsString, Names> = BTreeMap::new();
    for entry in directory.read_dir()? {
        let entry = entry?;
        let file = entry.file_name();
        let Some((name, role)) = log_name(&file) else { continue };
        let names = logs.entry(name).or_default();
        names.link |= entry.file_type().is_ok_and(|kind| kind.is_symlink());
        match role {
            Role::Plain => names.plain = Some(file),
            Role::Old => names.old = Some(file),
            Role::Dated => names.dated.push(file),
        }
    }
    for names in logs.values_mut() {
        names.dated.sort();
    }
    Ok((meta, logs))
}

/// Every directory below `var`, and whether it has a directory `below`, as far as can be told: what may not be looked
/// into is taken to have one, so that reading it tells why it can't be read.
fn instances(var: &Path, below: &str) -> io::Result<Vec<(OsString, bool)>> {
    let is_directory = |path: &Path| match path.metadata() {
        Ok(meta) => meta.is_dir(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    };
    let mut found = Vec::new();
    for entry in var.read_dir()? {
        let entry = entry?;
        let path = entry.path();
        // Every volume of some file systems has the latter, for nobody to look into.
        if is_directory(&path) && entry.file_name() != "lost+found" {
            found.push((entry.file_name(), is_directory(&path.join(below))));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a directory is on a file system whose files other machines may write, or that isn't known to hint.
fn is_remote(path: &Path) -> bool {
    /// ext2 to 4, XFS, Btrfs, tmpfs, overlayfs, ZFS, F2FS, bcachefs.
    const LOCAL: [u64; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e];
    rustix::fs::statfs(path).is_ok_and(|stat| !LOCAL.contains(&u64::from_ne_bytes(stat.f_type.to_ne_bytes())))
}
