//! Follows log files: [`Tailer`] with a [`LogKind`] of logs. The modules' logs are one ([`logs`]), the tracking logs another
//! ([`tracking`]).
//!
//! The kernel's hints (inotify, by `notify`) say where to look; looking says what is true. In every survey everything that
//! was written to lately is looked at, hints or not, and now and then everything else. A folder that gives no hints, because
//! the kernel has no more watches or the file system knows of changes elsewhere, is polled; so is one that gives so many that
//! hearing them would cost more than looking.
//!
//! One thread for each kind reads, with one buffer, a little of each log in turn ([`run`]). It holds no more descriptors than
//! it may: beyond that, logs that were read are closed, and opened again when they have grown.
//!
//! Knows folders, names and lines; which module a log belongs to, and what its messages mean for its health, is for the
//! collectors.

pub mod counts;
pub mod follow;
pub mod logs;
mod run;
pub mod runs;
#[cfg(test)]
mod tests;
pub mod tracking;
pub mod watch;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::follow::{Begin, LogFollower};
use self::watch::{Hinted, Wake, Watch};
use super::kit::Miss;
use super::limits::DescriptorBudget;
use super::positions::{Name, Record, Update};
use crate::parse::tail::Lines;
pub use run::{Published, Readings, StartError, StorageAccess, TailerThread};

/// How soon after the last survey hints bring on the next.
const SURVEY_HINTED: Duration = Duration::from_secs(1);

/// A log that was not written to for so long is not looked at in every survey where hints come.
const IDLE: Duration = Duration::from_secs(60);

/// One survey in so many looks at it all the same.
const IDLE_SURVEYS: usize = 6;

/// How often a folder without hints is looked at, and every log in it that was written to lately.
const POLL: Duration = Duration::from_millis(100);

/// How often a folder without hints is looked at when no log in it is being written.
const IDLE_POLL: Duration = Duration::from_millis(250);

/// How often every log in a folder without hints is looked at.
const SWEEP: Duration = Duration::from_secs(2);

/// How long after its last growth a log counts as being written.
const HOT: Duration = Duration::from_secs(5);

/// After something was hinted and read, hints gather for so long.
const GATHER: Duration = Duration::from_millis(100);

/// The same, while much is being written.
const GATHER_BUSY: Duration = Duration::from_millis(5);

/// A turn that read more bytes than this found much being written.
const BUSY_BYTES: usize = 1024 * 1024;

/// So many events of one folder in one turn make it polled, for [`FLOOD`].
const FLOOD_EVENTS: u32 = 64;

/// How long a folder that gave too many hints is polled instead.
const FLOOD: Duration = Duration::from_secs(30);

/// The reader's one buffer, in bytes. More than the longest line.
const BUFFER: usize = 256 * 1024;

/// What is read of one log in its turn, in bytes.
const LOG_TURN: usize = 2 * BUFFER;

/// How long a turn may read before it is time to look for rotations again.
const TURN: Duration = Duration::from_millis(20);

/// How often a log is asked whether its silence says something.
const SETTLE: Duration = Duration::from_secs(1);

/// How long what is stored of a log is kept when no file of it is found: as when a volume was not mounted.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The clock that files' times come from ticks this often, at the slowest.
const TICK: Duration = Duration::from_millis(20);

/// How many logs are closed at once when descriptors are scarce.
const PARK: usize = 32;

/// What one kind of logs has of its own.
pub trait LogKind: Sized + Send + 'static {
    /// What its state is called, and its thread.
    const NAME: &'static str;

    /// The folders below `var/<instance>` that its files are in; the empty one is that folder itself. A log that is in more
    /// than one of them is followed in the first.
    const FOLDERS: &'static [&'static str];

    /// Whether the kernel is asked for hints. Else everything is looked at in every survey, and nothing in between.
    const HAS_HINTS: bool;

    /// How often everything is looked at, whatever was hinted.
    const SURVEY: Duration;

    /// The most logs that are followed, unless told otherwise.
    const MAX_LOGS: usize;

    /// How many quarters of the descriptors that files may take are for this kind.
    const QUARTERS: usize;

    /// How long a log without files goes on. None: until it is no longer listed, and what was stored of it is not kept.
    const GONE: Option<Duration>;

    /// What takes the lines of one log.
    type Reading: Lines;

    /// What is stored of one log.
    type Record: Record;

    /// What is shown of one log.
    type Shown: Send + Sync;

    /// What is known at one moment.
    type View: Default + Send + Sync;

    /// Takes over what is stored besides the logs; the logs' own records, by instance and log, are given back.
    fn restore(&mut self, records: Vec<Self::Record>) -> Restored<Self::Record>;

    /// The logs that the files of a folder belong to.
    fn group(files: Vec<ListedFile>) -> BTreeMap<OsString, Names>;

    /// Everything was looked at once: what comes from now on is new.
    fn surveyed(&mut self) {}

    /// Begins to follow a log, or goes on where `stored` was taken. None where its names make no log.
    fn take_up(
        &self,
        folder: &Path,
        names: &Names,
        stored: Option<Self::Record>,
        begin: Begin,
    ) -> Option<(LogFollower, Self::Reading)>;

    /// The names of a log that is followed may be others now.
    fn rename(folder: &Path, names: &Names, follower: &mut LogFollower);

    /// Where the very first reading of a log that was there before begins.
    fn begin(&self) -> Begin;

    /// Takes a line of what was there before, which is not counted.
    fn glance(reading: &mut Self::Reading, line: &[u8]);

    /// Such lines have been there.
    fn glanced(reading: &mut Self::Reading);

    /// What is to be stored of one log.
    fn record(&self, instance: &OsStr, log: &Log<Self>) -> Self::Record;

    /// What is to be stored besides.
    fn other_records(&self, surveyed: bool) -> Vec<Self::Record>;

    /// A log is over: what was counted in it is kept by the kind. `unread` is what is known to be lost of it, in bytes.
    fn is_over(&mut self, _instance: &OsStr, _record: Self::Record, _unread: u64) {}

    /// Whether [`LogKind::settle`] may change something.
    fn is_unsettled(_reading: &Self::Reading) -> bool {
        false
    }

    /// Takes silence for an answer at the time `now`, in milliseconds since 1970-01-01 UTC. Whether anything is different.
    fn settle(&self, _reading: &mut Self::Reading, _now: i64) -> bool {
        false
    }

    /// Something of the log was read.
    fn was_read(_log: &mut Log<Self>) {}

    /// What is shown of one log.
    fn show(instance: &OsStr, log: &Log<Self>) -> Self::Shown;

    /// What is known now.
    fn view(tailer: &mut Tailer<Self>) -> Self::View;
}

/// What was stored.
pub struct Restored<R> {
    /// Whether the installation's logs had been looked for: a log that isn't among them is new.
    pub surveyed: bool,
    /// The logs' records, by instance and log.
    pub logs: BTreeMap<(OsString, OsString), R>,
}

/// A file in a folder of logs.
pub struct ListedFile {
    /// Its name.
    pub name: OsString,
    /// Whether it is a symbolic link.
    pub is_link: bool,
}

/// The file names of one log, as a listing found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The file that is written.
    pub plain: Option<OsString>,
    /// The one that was written before.
    pub old: Option<OsString>,
    /// Where there is a file a day: all of them, the oldest first.
    pub dated: Vec<OsString>,
    /// Whether one of them is a symbolic link.
    pub link: bool,
}

/// How long the reader may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnRest {
    /// Even when there are hints.
    pub at_least: Duration,
    /// When there are none.
    pub at_most: Duration,
}

/// What is different from when it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Nothing.
    #[default]
    None,
    /// Something was read or seen, and could be read again.
    Some,
    /// Content is gone, or will be with the next rotation: it can't be read again for long.
    Final,
}

/// How much is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// What is different from what was stored.
    Changed,
    /// Of that, what is final.
    Final,
}

/// How far the tailer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TailerPhase {
    /// It is looking for the logs.
    #[default]
    Looking,
    /// There is no installation to look in.
    NoInstallation,
    /// It knows where the logs are and where it reads on: what is written from now on is counted.
    Placed,
    /// What was there to be read when it began has been read.
    CaughtUp,
}

/// How hints of a folder are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hints {
    /// They come.
    Come,
    /// They don't.
    Lack,
    /// They did not cease to come: none until then.
    Flood(Instant),
}

/// A folder of logs.
struct Folder {
    instance: OsString,
    path: PathBuf,
    /// Whether it is the folder of the instance itself, which may be left unread.
    is_instance: bool,
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
    trouble: Option<Miss>,
    /// How many logs there are beyond the most that are followed.
    beyond: u64,
    logs: HashMap<OsString, usize>,
    gone: bool,
}

/// How far a log has been taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It was not looked at.
    New,
    /// Its end is still to be glanced at, for what it said last.
    Glance,
    /// It is followed.
    Followed,
}

/// One log that is followed.
pub struct Log<K: LogKind> {
    folder: usize,
    name: OsString,
    follower: LogFollower,
    reading: K::Reading,
    stage: Stage,
    /// Whether a file of it was there when its folder was last listed.
    is_listed: bool,
    /// Whether it is to be looked at.
    dirty: bool,
    /// Whether its file is a symbolic link, so that hints of the folder tell nothing of writes.
    link: bool,
    grew: Option<Instant>,
    gone_since: Option<Instant>,
    /// The trouble that was told last.
    told: Option<Miss>,
    /// How different it is from what was stored.
    unstored: Difference,
    shown: Option<Arc<K::Shown>>,
}

/// Reads logs, a turn at a time. It does nothing by itself: [`TailerThread`] gives it a thread.
pub struct Tailer<K: LogKind> {
    kind: K,
    wake: Arc<Wake>,
    watch: Watch,
    max_logs: usize,
    max_open: usize,
    /// The folder that has one for each instance.
    var: Option<PathBuf>,
    /// What `var` was when it was last watched: instances come and go there.
    watched_var: Option<(u64, u64)>,
    var_trouble: Option<Miss>,
    folders: Vec<Folder>,
    places: HashMap<PathBuf, usize>,
    logs: Vec<Log<K>>,
    /// Logs of before a restart that have not been found yet, and those that are gone for long.
    stored: BTreeMap<(OsString, OsString), (K::Record, Instant)>,
    /// Logs of which nothing is to be stored any more.
    dropped: Vec<Vec<Name>>,
    /// Whether logs are gone that may differ from what is stored of them.
    moved: bool,
    phase: TailerPhase,
    surveyed: bool,
    was_surveyed: bool,
    surveys: usize,
    next_survey: Option<Instant>,
    surveyed_at: Option<Instant>,
    next_settle: Option<Instant>,
    cursor: usize,
    open: usize,
    buffer: Vec<u8>,
    difference: Difference,
}

impl<K: LogKind> Tailer<K> {
    /// A tailer that hears of changes by `watch`.
    #[must_use]
    pub fn new(kind: K, watch: Watch, wake: Arc<Wake>) -> Self {
        Tailer {
            kind,
            wake,
            watch,
            max_logs: K::MAX_LOGS,
            max_open: DescriptorBudget::current().files / 4 * K::QUARTERS,
            var: None,
            watched_var: None,
            var_trouble: None,
            folders: Vec::new(),
            places: HashMap::new(),
            logs: Vec::new(),
            stored: BTreeMap::new(),
            dropped: Vec::new(),
            moved: false,
            phase: TailerPhase::Looking,
            surveyed: false,
            was_surveyed: false,
            surveys: 0,
            next_survey: None,
            surveyed_at: None,
            next_settle: None,
            cursor: 0,
            open: 0,
            buffer: vec![0; BUFFER],
            difference: Difference::None,
        }
    }

    /// Follows at most `most` logs.
    #[must_use]
    pub fn with_max_logs(mut self, most: usize) -> Self {
        self.max_logs = most;
        self
    }

    /// Holds at most `most` descriptors.
    #[must_use]
    pub fn with_max_open(mut self, most: usize) -> Self {
        self.max_open = most.max(2);
        self
    }

    /// Goes on where `records` were taken. Called before the first turn.
    pub fn restore(&mut self, records: Vec<K::Record>, now: Instant) {
        let restored = self.kind.restore(records);
        self.was_surveyed = restored.surveyed;
        self.stored = restored.logs.into_iter().map(|(key, record)| (key, (record, now))).collect();
    }

    /// Everything that must be kept to go on.
    #[must_use]
    pub fn records(&self) -> Vec<K::Record> {
        let followed = self.logs.iter().filter(|log| log.stage != Stage::New).map(|log| self.record(log));
        let stored = self.stored.values().map(|(record, _)| record.clone());
        self.kind.other_records(self.surveyed || self.was_surveyed).into_iter().chain(followed).chain(stored).collect()
    }

    /// What must be stored to go on, of what is different from when it was last asked.
    pub fn take_update(&mut self, scope: Scope) -> Update<K::Record> {
        let others = self.kind.other_records(self.surveyed || self.was_surveyed);
        let gone = std::mem::take(&mut self.dropped);
        if scope == Scope::All || std::mem::take(&mut self.moved) {
            self.logs.iter_mut().for_each(|log| log.unstored = Difference::None);
            return Update::All(self.records());
        }
        let least = if scope == Scope::Final { Difference::Final } else { Difference::Some };
        let mut put = others;
        for place in 0..self.logs.len() {
            if self.logs[place].unstored >= least && self.logs[place].stage != Stage::New {
                self.logs[place].unstored = Difference::None;
                put.push(self.record(&self.logs[place]));
            }
        }
        Update::Changed { put, gone }
    }

    fn record(&self, log: &Log<K>) -> K::Record {
        self.kind.record(&self.folders[log.folder].instance, log)
    }

    /// What is known now.
    pub fn view(&mut self) -> K::View {
        for log in &mut self.logs {
            if log.shown.is_none() {
                log.shown = Some(Arc::new(K::show(&self.folders[log.folder].instance, log)));
            }
        }
        K::view(self)
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> TailerPhase {
        self.phase
    }

    /// What is different from when it was last asked.
    pub fn take_difference(&mut self) -> Difference {
        std::mem::take(&mut self.difference)
    }

    /// Looks at everything below `var` and reads all there is, however long it takes.
    pub fn poll(&mut self, now: Instant, var: Option<&Path>) {
        self.next_survey = None;
        while self.turn(now, var).at_most.is_zero() {}
    }

    /// Looks where something is due below `var` and reads a little. How long to rest.
    pub fn turn(&mut self, now: Instant, var: Option<&Path>) -> TurnRest {
        if self.var.as_deref() != var {
            self.move_to(var, now);
        }
        let hinted = self.wake.take();
        let was_hinted = !hinted.touched.is_empty();
        if self.hear(hinted, now) {
            let soon = self.surveyed_at.map_or(now, |last| last + SURVEY_HINTED);
            self.next_survey = self.next_survey.map(|next| next.min(soon));
        }
        let is_survey = self.next_survey.is_none_or(|next| now >= next);
        if is_survey {
            self.survey(now);
        } else {
            self.look_where_due(now);
        }
        let read = self.read(now);
        self.settle(now, is_survey);
        let rest = self.rest(now, was_hinted, read);
        self.come_further(rest);
        rest
    }

    fn come_further(&mut self, rest: TurnRest) {
        let phase = if self.var.is_none() {
            TailerPhase::NoInstallation
        } else if !self.surveyed && self.var_trouble.is_none() || self.logs.iter().any(|log| log.stage == Stage::New) {
            TailerPhase::Looking
        } else if rest.at_most.is_zero() && self.phase < TailerPhase::CaughtUp {
            TailerPhase::Placed
        } else {
            TailerPhase::CaughtUp
        };
        // What comes later is looked for while the others are shown.
        if phase != self.phase && (phase > self.phase || phase == TailerPhase::NoInstallation) {
            self.phase = phase;
            self.differs(Difference::Some);
        }
    }

    fn differs(&mut self, difference: Difference) {
        self.difference = self.difference.max(difference);
    }

    fn log_differs(&mut self, place: usize, difference: Difference) {
        self.logs[place].differs(difference);
        self.differs(difference);
    }

    fn rest(&self, now: Instant, hinted: bool, read: usize) -> TurnRest {
        let zero = Duration::ZERO;
        if self.logs.iter().any(|log| log.follower.has_more()) {
            return TurnRest { at_least: zero, at_most: zero };
        }
        let until = |at: Option<Instant>| at.map_or(zero, |at| at.saturating_duration_since(now));
        let until_survey = until(self.next_survey);
        if read > BUSY_BYTES {
            return TurnRest { at_least: GATHER_BUSY, at_most: GATHER.min(until_survey).max(GATHER_BUSY) };
        }
        let mut at_most = until_survey;
        if K::HAS_HINTS {
            for folder in self.folders.iter().filter(|folder| folder.is_polled() && !folder.logs.is_empty()) {
                let hot = folder.logs.values().any(|log| self.logs[*log].is_hot(now));
                at_most = at_most.min(if hot { POLL } else { IDLE_POLL });
            }
            if self.folders.iter().any(|folder| folder.is_polled() && !folder.is_instance)
                || self.logs.iter().any(|log| log.link)
            {
                at_most = at_most.min(IDLE_POLL);
            }
        }
        if self.next_settle.is_some() {
            at_most = at_most.min(until(self.next_settle));
        }
        if self.logs.iter().any(|log| log.dirty) {
            // Descriptors were scarce.
            at_most = at_most.min(POLL);
        }
        let at_least = if hinted || read > 0 { GATHER } else { zero };
        TurnRest { at_least, at_most: at_most.max(Duration::from_millis(1)) }
    }

    /// Files found again below the new `var` resume from their stored position.
    fn move_to(&mut self, var: Option<&Path>, now: Instant) {
        let mut watched: Vec<PathBuf> = self.folders.iter().map(|folder| folder.path.clone()).collect();
        watched.extend(self.var.clone());
        watched.iter().for_each(|path| self.watch.remove(path));
        for log in &self.logs {
            if log.stage != Stage::New {
                let key = (self.folders[log.folder].instance.clone(), log.name.clone());
                self.stored.insert(key, (self.record(log), now));
            }
        }
        self.moved |= !self.logs.is_empty();
        self.logs.clear();
        self.folders.clear();
        self.places.clear();
        self.open = 0;
        (self.watched_var, self.var_trouble) = (None, None);
        // The first one is the one that a state was kept of.
        self.was_surveyed &= self.var.is_none();
        self.var = var.map(Path::to_owned);
        self.surveyed = false;
        self.phase = TailerPhase::Looking;
        self.next_survey = None;
        self.differs(Difference::Some);
    }

    /// Marks what hints speak of. Whether they speak of folders of logs coming or going.
    fn hear(&mut self, hinted: Hinted, now: Instant) -> bool {
        let mut above = hinted.everything;
        let mut events: HashMap<usize, u32> = HashMap::new();
        for (path, touch) in hinted.touched {
            let place = path.parent().and_then(|parent| self.places.get(parent));
            let Some(place) = place.copied() else {
                above |= touch.name;
                continue;
            };
            *events.entry(place).or_default() += touch.events;
            let folder = &mut self.folders[place];
            let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
            let file = ListedFile { name, is_link: false };
            let Some((name, _)) = K::group(vec![file]).pop_first() else {
                above |= touch.name && folder.is_instance;
                continue;
            };
            match folder.logs.get(&name) {
                Some(log) => {
                    self.logs[*log].dirty = true;
                    folder.stale |= touch.name;
                }
                None => folder.stale = true,
            }
        }
        for (place, events) in events {
            let folder = &mut self.folders[place];
            if events > FLOOD_EVENTS && folder.hints == Hints::Come {
                folder.hints = Hints::Flood(now + FLOOD);
                self.watch.remove(&folder.path);
            }
        }
        above
    }

    /// Looks at everything there is.
    fn survey(&mut self, now: Instant) {
        self.next_survey = Some(now + K::SURVEY);
        self.surveyed_at = Some(now);
        self.surveys += 1;
        let Some(var) = self.var.clone() else { return };
        match instances(&var) {
            Ok(found) => {
                self.var_trouble = None;
                self.watch_var(&var);
                for instance in found {
                    self.add_folders(&instance, &var.join(&instance), now);
                }
                self.first_survey_is_over(now);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.first_survey_is_over(now),
            Err(error) => {
                let trouble = Miss::from(&error);
                if self.var_trouble.replace(trouble) != Some(trouble) {
                    self.differs(Difference::Some);
                    tracing::warn!(path = %var.display(), %error, kind = K::NAME, "can't list the instances, so new ones go unseen; give the exporter's user the right to read it");
                }
            }
        }
        for place in 0..self.folders.len() {
            self.renew_watch(place, now);
            let folder = &self.folders[place];
            let unsure = folder.trouble.is_some() || folder.beyond > 0 || folder.remote || !K::HAS_HINTS;
            if folder.stale || unsure || folder.has_changed() {
                self.list(place, now);
            }
        }
        for place in 0..self.logs.len() {
            if self.rests(place, now) {
                continue;
            }
            self.look(place, now);
            let log = &mut self.logs[place];
            let before = (log.follower.tally, log.follower.open_files());
            log.follower.settle(&mut self.buffer, &mut log.reading);
            K::was_read(log);
            let is_over = before.1 > log.follower.open_files();
            self.open = self.open + log.follower.open_files() - before.1;
            let gone = log.stage != Stage::New && log.follower.is_gone();
            log.gone_since = log.gone_since.or(Some(now)).filter(|_| gone);
            if before.0 != log.follower.tally || is_over {
                self.log_differs(place, if is_over { Difference::Final } else { Difference::Some });
            }
        }
        self.forget(now);
        if self.surveyed {
            self.kind.surveyed();
        }
    }

    /// Whether a log need not be looked at in this survey: it was silent for long, and a hint would come.
    fn rests(&self, place: usize, now: Instant) -> bool {
        let log = &self.logs[place];
        let hints = K::HAS_HINTS && !log.link && !self.folders[log.folder].is_polled();
        let silent =
            log.grew.is_none_or(|grew| now.saturating_duration_since(grew) > IDLE) && self.surveys > IDLE_SURVEYS;
        let settled = log.stage == Stage::Followed && !log.dirty && log.gone_since.is_none() && log.told.is_none();
        hints && silent && settled && place % IDLE_SURVEYS != self.surveys % IDLE_SURVEYS
    }

    fn first_survey_is_over(&mut self, now: Instant) {
        if !self.surveyed {
            self.surveyed = true;
            self.differs(Difference::Some);
        }
        let dropped = &mut self.dropped;
        self.stored.retain(|(instance, log), (_, since)| {
            let stays = now.saturating_duration_since(*since) < KEPT;
            if !stays {
                dropped.push(key(instance, log));
            }
            stays
        });
    }

    /// The folders of an instance that are there. One that may not be looked into is taken to be there, so that reading it
    /// tells why it can't be read.
    fn add_folders(&mut self, instance: &OsStr, place: &Path, now: Instant) {
        for folder in K::FOLDERS {
            let is_instance = folder.is_empty();
            let path = if is_instance { place.to_owned() } else { place.join(folder) };
            if is_instance || self.places.contains_key(&path) || is_directory(&path) {
                self.add_folder(instance.to_owned(), path, is_instance, now);
            }
        }
    }

    fn add_folder(&mut self, instance: OsString, path: PathBuf, is_instance: bool, now: Instant) {
        if let Some(place) = self.places.get(&path) {
            self.folders[*place].gone = false;
            return;
        }
        // What comes while we are here is new; what was here before is not.
        let is_new = self.surveyed || self.was_surveyed;
        let begin = if is_new { Begin::Beginning } else { self.kind.begin() };
        self.places.insert(path.clone(), self.folders.len());
        self.folders.push(Folder {
            instance,
            path,
            is_instance,
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
        self.differs(Difference::Some);
    }

    /// Watches `var`, and again when another folder has its name now.
    fn watch_var(&mut self, var: &Path) {
        let identity = var.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        if !K::HAS_HINTS || identity.is_some() && self.watched_var == identity {
            return;
        }
        self.watch.remove(var);
        self.watched_var = identity.filter(|_| self.watch.add(var));
    }

    fn renew_watch(&mut self, place: usize, now: Instant) {
        if !K::HAS_HINTS {
            return;
        }
        let folder = &mut self.folders[place];
        let identity = folder.path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        folder.stale |= identity != folder.identity;
        if matches!(folder.hints, Hints::Flood(until) if now < until) {
            folder.identity = identity;
            return;
        }
        if identity != folder.identity || folder.hints != Hints::Come {
            self.watch.remove(&folder.path);
            let comes = identity.is_some() && self.watch.add(&folder.path);
            folder.hints = if comes { Hints::Come } else { Hints::Lack };
            folder.identity = identity;
            folder.remote = is_remote(&folder.path);
        }
    }

    /// Looks at what is hinted, and at what gives no hints.
    fn look_where_due(&mut self, now: Instant) {
        for place in 0..self.folders.len() {
            if !K::HAS_HINTS {
                break;
            }
            if matches!(self.folders[place].hints, Hints::Flood(until) if now >= until) {
                self.renew_watch(place, now);
                self.folders[place].stale = true;
                self.folders[place].next_sweep = now;
            }
            let folder = &mut self.folders[place];
            if !folder.stale && folder.is_polled() && folder.has_changed() {
                folder.stale = true;
            }
            if folder.stale {
                self.list(place, now);
            }
            let folder = &mut self.folders[place];
            if now >= folder.next_sweep {
                folder.next_sweep = now + SWEEP;
                let polled = folder.is_polled();
                for log in folder.logs.values() {
                    let log = &mut self.logs[*log];
                    log.dirty |= polled || log.link;
                }
            }
        }
        for place in 0..self.logs.len() {
            let log = &self.logs[place];
            let polled = K::HAS_HINTS && (self.folders[log.folder].is_polled() || log.link);
            if log.dirty || log.stage == Stage::New || polled && log.is_hot(now) || K::HAS_HINTS && log.is_busy(now) {
                self.look(place, now);
            }
        }
    }

    /// Lists a folder, and takes up the logs that are new in it.
    fn list(&mut self, place: usize, now: Instant) {
        let folder = &mut self.folders[place];
        folder.stale = false;
        let before = SystemTime::now();
        let listing = list_files(&folder.path);
        let trouble = match &listing {
            Ok((meta, _)) => {
                folder.listed = meta.modified().ok().map(|modified| (modified, before));
                folder.gone = false;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                folder.gone = true;
                None
            }
            Err(_) if folder.is_instance => None,
            Err(error) => {
                let trouble = Miss::from(error);
                if folder.trouble != Some(trouble) {
                    tracing::warn!(path = %folder.path.display(), %error, kind = K::NAME, "can't list the log files; give the exporter's user the right to read the folder");
                }
                Some(trouble)
            }
        };
        let was_gone = folder.gone;
        let differs = folder.trouble != trouble;
        folder.trouble = trouble;
        if listing.is_ok() || was_gone {
            for log in folder.logs.values() {
                self.logs[*log].is_listed = false;
            }
        }
        if differs {
            self.differs(Difference::Some);
        }
        if let Ok((_, files)) = listing {
            self.take_up_listed(place, files);
        }
        if K::GONE.is_none() && !was_gone && trouble.is_none() {
            self.drop_stored_of(place, now);
        }
    }

    fn take_up_listed(&mut self, place: usize, files: Vec<ListedFile>) {
        let begin = self.folders[place].begin;
        // What appears from now on is new.
        self.folders[place].begin = Begin::Beginning;
        let mut beyond = 0;
        for (name, names) in K::group(files) {
            if let Some(log) = self.folders[place].logs.get(&name) {
                let log = &mut self.logs[*log];
                (log.dirty, log.link, log.is_listed) = (true, names.link, true);
                K::rename(&self.folders[place].path, &names, &mut log.follower);
            } else if self.is_followed_elsewhere(place, &name) {
            } else if self.logs.len() >= self.max_logs {
                beyond += 1;
            } else {
                self.take_up(place, name, &names, begin);
            }
        }
        let folder = &mut self.folders[place];
        if beyond > 0 && folder.beyond == 0 {
            let (path, most) = (folder.path.display(), self.max_logs);
            tracing::warn!(%path, beyond, most, kind = K::NAME, "there are more log files than are followed");
        }
        let differs = std::mem::replace(&mut folder.beyond, beyond) != beyond;
        if differs {
            self.differs(Difference::Some);
        }
    }

    /// Whether another folder of the same instance has a log of that name.
    fn is_followed_elsewhere(&self, place: usize, name: &OsStr) -> bool {
        let instance = &self.folders[place].instance;
        K::FOLDERS.len() > 1
            && self
                .folders
                .iter()
                .enumerate()
                .any(|(other, folder)| other != place && folder.instance == *instance && folder.logs.contains_key(name))
    }

    fn take_up(&mut self, place: usize, name: OsString, names: &Names, begin: Begin) {
        let folder = &mut self.folders[place];
        let stored = self.stored.remove(&(folder.instance.clone(), name.clone())).map(|(record, _)| record);
        let taken_up = self.kind.take_up(&folder.path, names, stored, begin);
        let Some((follower, reading)) = taken_up else { return };
        folder.logs.insert(name.clone(), self.logs.len());
        self.logs.push(Log {
            folder: place,
            name,
            follower,
            reading,
            stage: Stage::New,
            is_listed: true,
            dirty: true,
            link: names.link,
            grew: None,
            gone_since: None,
            told: None,
            unstored: Difference::Some,
            shown: None,
        });
        self.differs(Difference::Some);
    }

    /// What was stored of logs in a folder, and is not there any more, is over.
    fn drop_stored_of(&mut self, place: usize, _now: Instant) {
        let instance = self.folders[place].instance.clone();
        let over: Vec<_> = self.stored.keys().filter(|(of, _)| *of == instance).cloned().collect();
        for key in over {
            if let Some((record, _)) = self.stored.remove(&key) {
                let unread = record.unread();
                self.kind.is_over(&instance, record, unread);
                self.dropped.push(self::key(&key.0, &key.1));
                self.differs(Difference::Final);
            }
        }
    }

    /// Looks at one log's files, unless there is no descriptor left to open one.
    fn look(&mut self, place: usize, now: Instant) {
        let held = self.logs[place].follower.open_files();
        if held == 0 && self.open >= self.max_open && !self.make_room(place) {
            self.logs[place].dirty = true;
            return;
        }
        let log = &mut self.logs[place];
        log.dirty = false;
        let seen = |log: &Log<K>| {
            let follower = &log.follower;
            (follower.tally, follower.size_and_lag(), follower.modified(), follower.trouble(), follower.is_gone())
        };
        let before = seen(log);
        let stage = log.stage;
        let begins_at_end = log.follower.begins_at_end();
        let grew = log.follower.observe();
        if stage == Stage::New {
            log.stage = if begins_at_end { Stage::Glance } else { Stage::Followed };
        } else if grew {
            log.grew = Some(now);
        }
        if log.stage == Stage::Glance {
            let reading = &mut log.reading;
            let glanced = log.follower.peek(&mut self.buffer, &mut |line: crate::parse::tail::RawLine<'_>| {
                K::glance(reading, line.text());
            });
            if glanced == Some(true) {
                K::glanced(reading);
            }
            if glanced.is_some() {
                log.stage = Stage::Followed;
            }
        }
        log.tell_trouble();
        let after = seen(log);
        let changed = before != after || stage != log.stage;
        if before.0.skipped_bytes != after.0.skipped_bytes || before.0.generations_missed != after.0.generations_missed
        {
            let bytes = after.0.skipped_bytes - before.0.skipped_bytes;
            let generations = after.0.generations_missed - before.0.generations_missed;
            tracing::warn!(path = %log.follower.current().display(), bytes, generations, "some of the log was gone before it could be read");
        }
        let is_final = before.0.rotations != after.0.rotations
            || before.0.skipped_bytes != after.0.skipped_bytes
            || before.4 != after.4
            || after.1.0 < before.1.0;
        self.open = self.open + log.follower.open_files() - held;
        if changed {
            self.log_differs(place, if is_final { Difference::Final } else { Difference::Some });
        }
    }

    /// Closes logs that were read to their end, those first that were silent for longest. Whether there were any.
    fn make_room(&mut self, besides: usize) -> bool {
        let mut places: Vec<usize> = (0..self.logs.len())
            .filter(|place| *place != besides && self.logs[*place].follower.open_files() > 0)
            .collect();
        places.sort_by_key(|place| self.logs[*place].grew);
        let before = self.open;
        for place in places {
            self.open -= self.logs[place].follower.park();
            if before - self.open >= PARK.min(self.max_open / 2) {
                break;
            }
        }
        self.open < before
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
            let before = (log.follower.tally, log.follower.trouble(), log.follower.open_files());
            let bytes = log.follower.read(&mut self.buffer, LOG_TURN, &mut log.reading);
            log.grew = Some(now);
            K::was_read(log);
            self.open = self.open + log.follower.open_files() - before.2;
            let rotated = before.0.rotations != log.follower.tally.rotations;
            if bytes > 0 || (before.0, before.1) != (log.follower.tally, log.follower.trouble()) {
                self.log_differs(place, if rotated { Difference::Final } else { Difference::Some });
            }
            read += bytes;
            if begin.elapsed() >= TURN {
                self.cursor = (place + 1) % count;
                break;
            }
        }
        read
    }

    /// Asks the logs whether their silence says something: those that wait for it, or all of them.
    fn settle(&mut self, now: Instant, all: bool) {
        if !all && self.next_settle.is_none_or(|next| now < next) && self.difference == Difference::None {
            return;
        }
        let milliseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
        let is_time = all || self.next_settle.is_some_and(|next| now >= next);
        let mut waits = false;
        for place in 0..self.logs.len() {
            let log = &mut self.logs[place];
            let asks = is_time && (all || K::is_unsettled(&log.reading)) && !log.follower.has_more();
            if asks && self.kind.settle(&mut log.reading, milliseconds) {
                self.log_differs(place, Difference::Some);
            }
            waits |= K::is_unsettled(&self.logs[place].reading);
        }
        self.next_settle = waits.then(|| self.next_settle.filter(|next| *next > now).unwrap_or(now + SETTLE));
    }

    /// Lets go of what has been gone for long.
    fn forget(&mut self, now: Instant) {
        let is_over = |log: &Log<K>| match (K::GONE, log.gone_since) {
            (Some(gone), Some(since)) => now.saturating_duration_since(since) >= gone,
            (None, Some(_)) => !log.is_listed,
            (_, None) => false,
        };
        let full = self.logs.len() >= self.max_logs && self.folders.iter().any(|folder| folder.beyond > 0);
        let (over, mut stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.logs).into_iter().partition(is_over);
        stay.retain(|log| !(full && K::GONE.is_some() && log.gone_since.is_some()));
        let differs =
            !over.is_empty() || stay.len() != self.folders.iter().map(|folder| folder.logs.len()).sum::<usize>();
        for log in over {
            let instance = self.folders[log.folder].instance.clone();
            let record = self.record(&log);
            if K::GONE.is_none() {
                self.kind.is_over(&instance, record, 0);
                self.dropped.push(key(&instance, &log.name));
                self.differs(Difference::Final);
            } else if self.stored.len() < self.max_logs {
                self.stored.insert((instance, log.name), (record, now));
                self.moved = true;
            }
        }
        self.logs = stay;
        let used: std::collections::HashSet<usize> = self.logs.iter().map(|log| log.folder).collect();
        let unused = |(place, folder): &(usize, &Folder)| folder.gone && !used.contains(place);
        if self.folders.iter().enumerate().any(|it| unused(&it)) {
            self.drop_folders(&used);
        } else if !differs {
            return;
        }
        self.index();
    }

    fn drop_folders(&mut self, used: &std::collections::HashSet<usize>) {
        let mut moved = Vec::new();
        let mut kept = Vec::new();
        for (place, folder) in std::mem::take(&mut self.folders).into_iter().enumerate() {
            if folder.gone && !used.contains(&place) {
                self.watch.remove(&folder.path);
                moved.push(usize::MAX);
            } else {
                moved.push(kept.len());
                kept.push(folder);
            }
        }
        self.folders = kept;
        for log in &mut self.logs {
            log.folder = moved[log.folder];
        }
    }

    fn index(&mut self) {
        self.differs(Difference::Some);
        self.places = self.folders.iter().enumerate().map(|(place, folder)| (folder.path.clone(), place)).collect();
        for folder in &mut self.folders {
            folder.logs.clear();
        }
        for (place, log) in self.logs.iter().enumerate() {
            self.folders[log.folder].logs.insert(log.name.clone(), place);
        }
        self.open = self.logs.iter().map(|log| log.follower.open_files()).sum();
    }

    /// What can't be read, by instance: how often, and why.
    fn troubles(&self) -> BTreeMap<(OsString, Miss), u64> {
        let mut troubles = BTreeMap::new();
        let mut note = |instance: &OsStr, trouble: Option<Miss>, times: u64| {
            if let Some(trouble) = trouble.filter(|_| times > 0) {
                *troubles.entry((instance.to_owned(), trouble)).or_default() += times;
            }
        };
        note(OsStr::new(""), self.var_trouble, 1);
        for folder in &self.folders {
            note(&folder.instance, folder.trouble, 1);
            note(&folder.instance, Some(Miss::Limit), folder.beyond);
        }
        for log in &self.logs {
            note(&self.folders[log.folder].instance, log.follower.trouble(), 1);
        }
        troubles
    }
}

impl Folder {
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

impl<K: LogKind> Log<K> {
    fn is_hot(&self, now: Instant) -> bool {
        self.grew.is_some_and(|grew| now.saturating_duration_since(grew) < HOT)
    }

    /// Whether it is being written right now: then its rotation must be seen at once, hints or not.
    fn is_busy(&self, now: Instant) -> bool {
        self.grew.is_some_and(|grew| now.saturating_duration_since(grew) < 2 * GATHER)
    }

    fn differs(&mut self, difference: Difference) {
        self.unstored = self.unstored.max(difference);
        self.shown = None;
    }

    /// Says in the exporter's log that the log can't be read, or can again; each once.
    fn tell_trouble(&mut self) {
        let trouble = self.follower.trouble();
        if std::mem::replace(&mut self.told, trouble) == trouble {
            return;
        }
        let path = self.follower.current().display();
        match trouble {
            Some(trouble) => tracing::warn!(%path, reason = reason(trouble), "can't follow the log; it is tried again"),
            None => tracing::info!(%path, "the log can be followed again"),
        }
    }
}

/// Why a log can't be followed, as the label `reason`.
#[must_use]
pub const fn reason(miss: Miss) -> &'static str {
    match miss {
        Miss::Denied => "permission",
        Miss::NotAFile => "not_a_file",
        Miss::Limit => "limit",
        Miss::Gone | Miss::Failed => "failure",
    }
}

fn key(instance: &OsStr, log: &OsStr) -> Vec<Name> {
    vec![Name::from(instance), Name::from(log)]
}

/// The files of a folder.
fn list_files(folder: &Path) -> io::Result<(Metadata, Vec<ListedFile>)> {
    let meta = folder.metadata()?;
    let entries = folder.read_dir()?.map(|entry| {
        let entry = entry?;
        Ok(ListedFile { name: entry.file_name(), is_link: entry.file_type().is_ok_and(|kind| kind.is_symlink()) })
    });
    Ok((meta, entries.collect::<io::Result<_>>()?))
}

/// Whether a directory is there, or may be: what may not be looked into.
fn is_directory(path: &Path) -> bool {
    match path.metadata() {
        Ok(meta) => meta.is_dir(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

/// Every directory below `var`, in their order.
fn instances(var: &Path) -> io::Result<Vec<OsString>> {
    let mut found = Vec::new();
    for entry in var.read_dir()? {
        let entry = entry?;
        // Every volume of some file systems has the latter, for nobody to look into.
        if is_directory(&entry.path()) && entry.file_name() != "lost+found" {
            found.push(entry.file_name());
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
