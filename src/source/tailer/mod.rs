//! Follows log files: [`Tailer`] with a [`LogKind`] of logs. The modules' logs are one ([`logs`]), the tracking logs another
//! ([`tracking`]).
//!
//! The kernel's hints (inotify, by `notify`) only say where to look. In every survey everything that was written to
//! lately is looked at, hints or not, and at intervals everything else. A folder that gives no hints, because the
//! kernel has no more watches or other machines may change the file system, is polled; so is one that gives so many
//! that polling costs less.
//!
//! One thread for each kind reads, with one buffer, a little of each log in turn ([`run`]). It holds no more descriptors than
//! it may: beyond that, logs that were read are closed, and opened again when they have grown.
//!
//! The collectors assign the logs to modules and judge what they say.

mod folders;
pub mod follow;
mod kind;
mod log;
pub mod logs;
mod run;
mod schedule;
#[cfg(test)]
mod tests;
pub mod tracking;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::folders::{Folder, Instances};
use self::log::Stage;
use self::watch::{Wake, Watch};
use super::kit::Miss;
use super::limits::DescriptorBudget;
use super::positions::{Name, Record, Update};
pub use kind::{ListedFile, LogKind, Names, Restored};
pub use log::{Log, reason};
pub use run::{Published, Readings, StartError, StorageAccess, TailerThread};

/// How soon after the last survey hints bring on the next.
const SURVEY_HINTED: Duration = Duration::from_secs(1);

/// After something was hinted and read, hints gather for so long.
const GATHER: Duration = Duration::from_millis(100);

/// The reader's one buffer, in bytes. More than the longest line.
const BUFFER: usize = 256 * 1024;

/// How long the reader may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnRest {
    /// Even when there are hints.
    pub at_least: Duration,
    /// When there are none.
    pub at_most: Duration,
}

/// What is different since the last call.
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
    /// The logs are found, and where to read on: what is written from now on is counted.
    Placed,
    /// What was there to be read when it began has been read.
    CaughtUp,
}

/// Whether the logs of this `var` have been looked for: one that appears later is new, and is read from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstSurvey {
    /// Not yet.
    Due,
    /// Not yet, but before a restart.
    BeforeRestart,
    /// They have.
    Done,
}

/// What may be different without a hint of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unsure {
    Nothing,
    /// Folders: they may have come, gone or been replaced.
    Folders,
    /// Logs too: hints were lost, or the operator asks.
    Everything,
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
    instances: Instances,
    /// Those that have a folder beside `var`.
    beside: Instances,
    /// What `var` was when it was last watched: instances come and go there.
    watched_var: Option<(u64, u64)>,
    var_trouble: Option<Miss>,
    folders: Vec<Folder>,
    places: HashMap<PathBuf, usize>,
    logs: Vec<Log<K>>,
    /// The most logs that had files at once, or that were stored at the start.
    most_at_once: usize,
    /// Logs of before a restart that have not been found yet, and those that are gone for long.
    stored: BTreeMap<(OsString, OsString), (K::Record, Instant)>,
    /// Logs of which nothing is to be stored any more.
    dropped: Vec<Vec<Name>>,
    /// Whether logs are gone that may differ from what is stored of them.
    moved: bool,
    phase: TailerPhase,
    first_survey: FirstSurvey,
    surveys: usize,
    next_survey: Option<Instant>,
    surveyed_at: Option<Instant>,
    /// What the next survey must look at, however silent it was.
    unsure: Unsure,
    next_settle: Option<Instant>,
    cursor: usize,
    open: usize,
    buffer: Vec<u8>,
    difference: Difference,
}

impl<K: LogKind> Tailer<K> {
    /// A tailer that gets its hints from `watch`.
    #[must_use]
    pub fn new(kind: K, watch: Watch, wake: Arc<Wake>) -> Self {
        Tailer {
            kind,
            wake,
            watch,
            max_logs: K::MAX_LOGS,
            max_open: DescriptorBudget::current().files / 4 * K::QUARTERS,
            var: None,
            instances: Instances::default(),
            beside: Instances::default(),
            watched_var: None,
            var_trouble: None,
            folders: Vec::new(),
            places: HashMap::new(),
            logs: Vec::new(),
            most_at_once: 0,
            stored: BTreeMap::new(),
            dropped: Vec::new(),
            moved: false,
            phase: TailerPhase::Looking,
            first_survey: FirstSurvey::Due,
            surveys: 0,
            next_survey: None,
            surveyed_at: None,
            unsure: Unsure::Nothing,
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
        if restored.surveyed {
            self.first_survey = FirstSurvey::BeforeRestart;
        }
        self.stored = restored.logs.into_iter().map(|(key, record)| (key, (record, now))).collect();
        self.most_at_once = self.stored.len();
    }

    /// Everything that must be kept to go on.
    #[must_use]
    pub fn records(&self) -> Vec<K::Record> {
        let followed = self.logs.iter().filter(|log| log.stage != Stage::New).map(|log| self.record(log));
        let stored = self.stored.values().map(|(record, _)| record.clone());
        self.kind
            .other_records(self.first_survey != FirstSurvey::Due)
            .into_iter()
            .chain(followed)
            .chain(stored)
            .collect()
    }

    /// What must be stored to go on, of what is different since the last call.
    pub fn take_update(&mut self, scope: Scope) -> Update<K::Record> {
        let others = self.kind.other_records(self.first_survey != FirstSurvey::Due);
        let mut gone = std::mem::take(&mut self.dropped);
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
        if !gone.is_empty() {
            // A log that is there again.
            let there: BTreeSet<_> = put.iter().map(Record::key).collect();
            gone.retain(|key| !there.contains(key));
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

    /// What is different since the last call.
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
        let unsure = self.hear(hinted, now);
        if unsure > Unsure::Nothing {
            self.unsure = self.unsure.max(unsure);
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

    /// How many logs, folders and records of logs that are not followed it holds.
    #[cfg(test)]
    fn kept(&self) -> [usize; 3] {
        [self.logs.len(), self.folders.len().max(self.places.len()), self.stored.len()]
    }

    fn come_further(&mut self, rest: TurnRest) {
        let phase = if self.var.is_none() {
            TailerPhase::NoInstallation
        } else if self.first_survey != FirstSurvey::Done && self.var_trouble.is_none()
            || self.logs.iter().any(|log| log.stage == Stage::New)
        {
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
}
