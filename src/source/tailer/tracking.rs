//! The tracking logs: `var/<instance>/redir/log/0x….log`, whose lines are judged.
//!
//! Each file is a log of its own: none takes the place of another, and one that was collected goes away. A file that
//! was repaired, by a copy without its corrupt lines or in place, is judged again. All of them are read from their
//! beginning on, for an old corrupt line stops the tracking job as well as a new one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::follow::{Begin, LogFollower, StoredFile, Tally};
use super::{ListedFile, Log, LogKind, Names, Readings, Restored, Tailer};
use crate::catalog::signals::tracking::COLLECTOR;
use crate::parse::line::tracking_line_is_good;
use crate::parse::tail::{Lines, RawLine};
use crate::source::kit::Miss;
use crate::source::positions::{Name, Record};

/// The most corrupt lines whose place is reported, of a file and of an instance.
pub const MAX_PLACES: usize = 5;

/// Where the files are, below `var/<instance>`.
pub const FOLDER: &str = "redir/log";

/// The most instances of which totals are kept; beyond it, those whose folder is gone begin anew when it comes back.
pub const MAX_INSTANCES: usize = 1_000;

/// The tracking logs, as the rest of the program sees them.
pub type Tracking = Readings<TrackingView>;

/// The kind of the tracking logs.
#[derive(Debug, Default)]
pub struct TrackingKind {
    /// What was counted in files that are gone, by instance.
    gone: BTreeMap<OsString, TrackingTotals>,
}

/// What was counted; kept across restarts, and when files go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackingTotals {
    /// Lines, corrupt ones included.
    pub lines: u64,
    /// Lines that the tracking job can't read.
    pub corrupt: u64,
    /// Bytes that are in no line that was judged whole.
    pub skipped_bytes: u64,
}

impl TrackingTotals {
    fn add(&mut self, other: &TrackingTotals) {
        self.lines += other.lines;
        self.corrupt += other.corrupt;
        self.skipped_bytes += other.skipped_bytes;
    }
}

/// What is in one file, as far as it was read; kept across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JudgedContent {
    lines: u64,
    corrupt: u64,
    /// The numbers of the first corrupt lines, from 1 on.
    places: Vec<u64>,
}

/// Judges the lines of one file.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    /// Of all that was ever in it.
    totals: TrackingTotals,
    /// Of what is in it now.
    content: JudgedContent,
    /// How many places of corrupt lines have been logged.
    told: usize,
}

impl Lines for Judge {
    fn line(&mut self, line: RawLine<'_>) {
        self.totals.lines += 1;
        self.content.lines += 1;
        if line.is_cut || !tracking_line_is_good(line.bytes) {
            self.totals.corrupt += 1;
            self.content.corrupt += 1;
            if self.content.places.len() < MAX_PLACES {
                self.content.places.push(self.content.lines);
            }
        }
    }

    fn begin(&mut self) {
        self.content = JudgedContent::default();
    }
}

/// The place of a corrupt line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptLine {
    /// The name of the file.
    pub file: OsString,
    /// The number of the line, from 1 on.
    pub line: u64,
}

/// What is known of the tracking logs of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceTracking {
    /// The Campaign instance: the name of the folder below `var`.
    pub instance: OsString,
    /// How many files there are.
    pub files: u64,
    /// How large they are together.
    pub bytes: u64,
    /// When the newest was last written, in seconds and nanoseconds since 1970-01-01 UTC.
    pub newest: Option<(i64, i64)>,
    /// What was counted, of files that are gone too.
    pub totals: TrackingTotals,
    /// How many of the files have a corrupt line now.
    pub corrupt_files: u64,
    /// Where the first corrupt lines are, at most [`MAX_PLACES`].
    pub places: Vec<CorruptLine>,
}

/// What is known at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackingView {
    /// The instances that have tracking logs.
    pub instances: Vec<InstanceTracking>,
    /// How many files and folders could not be read, by instance and reason.
    pub troubles: BTreeMap<(OsString, Miss), u64>,
}

/// What is stored of the tracking logs, in version 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TrackingRecord {
    /// What was counted in files of an instance that are gone.
    Gone {
        /// The Campaign instance.
        instance: Name,
        /// What was counted.
        totals: TrackingTotals,
    },
    /// One file.
    File(StoredTracking),
}

/// What is kept of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredTracking {
    instance: Name,
    file: Name,
    files: Vec<StoredFile>,
    tally: Tally,
    totals: TrackingTotals,
    content: JudgedContent,
}

impl StoredTracking {
    fn totals(&self) -> TrackingTotals {
        TrackingTotals { skipped_bytes: self.tally.skipped_bytes, ..self.totals }
    }
}

impl Record for TrackingRecord {
    type V1 = TrackingV1;

    fn key(&self) -> Vec<Name> {
        match self {
            TrackingRecord::Gone { instance, .. } => vec![instance.clone()],
            TrackingRecord::File(file) => vec![file.instance.clone(), file.file.clone()],
        }
    }

    fn unread(&self) -> u64 {
        match self {
            TrackingRecord::Gone { .. } => 0,
            TrackingRecord::File(file) => file.files.iter().map(StoredFile::unread).sum(),
        }
    }
}

/// What version 1 stored. Never to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackingV1 {
    instances: Vec<InstanceV1>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceV1 {
    instance: Name,
    gone: TrackingTotals,
    files: Vec<FileV1>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileV1 {
    file: Name,
    files: Vec<StoredFile>,
    tally: Tally,
    totals: TrackingTotals,
    content: JudgedContent,
}

impl From<TrackingV1> for Vec<TrackingRecord> {
    fn from(stored: TrackingV1) -> Self {
        let mut records = Vec::new();
        for InstanceV1 { instance, gone, files } in stored.instances {
            for FileV1 { file, files, tally, totals, content } in files {
                let instance = instance.clone();
                records.push(TrackingRecord::File(StoredTracking { instance, file, files, tally, totals, content }));
            }
            records.push(TrackingRecord::Gone { instance, totals: gone });
        }
        records
    }
}

impl LogKind for TrackingKind {
    const NAME: &'static str = COLLECTOR;

    const FOLDERS: &'static [&'static str] = &[FOLDER];

    const HAS_HINTS: bool = false;

    /// The tracking job comes once an hour.
    const SURVEY: Duration = Duration::from_secs(10);

    const MAX_LOGS: usize = 5_000;

    const QUARTERS: usize = 1;

    const GONE: Option<Duration> = None;

    type Reading = Judge;

    type Record = TrackingRecord;

    type Shown = ();

    type View = TrackingView;

    fn restore(&mut self, records: Vec<TrackingRecord>) -> Restored<TrackingRecord> {
        let mut restored = Restored { surveyed: true, logs: BTreeMap::new() };
        for record in records {
            match &record {
                TrackingRecord::Gone { instance, totals } => {
                    self.gone.insert(instance.0.clone(), *totals);
                }
                TrackingRecord::File(file) => {
                    let key = (file.instance.0.clone(), file.file.0.clone());
                    restored.logs.insert(key, record);
                }
            }
        }
        restored
    }

    fn group(files: Vec<ListedFile>) -> BTreeMap<OsString, Names> {
        let are_logs = files.into_iter().filter(|file| is_tracking_log(&file.name));
        let names = |file: ListedFile| {
            let names = Names { plain: Some(file.name.clone()), link: file.is_link, ..Names::default() };
            (file.name, names)
        };
        are_logs.map(names).collect()
    }

    fn take_up(
        &self,
        folder: &Path,
        names: &Names,
        stored: Option<TrackingRecord>,
        _: Begin,
    ) -> Option<(LogFollower, Judge)> {
        let mut follower = LogFollower::alone(folder.join(names.plain.as_ref()?));
        let mut judge = Judge::default();
        if let Some(TrackingRecord::File(stored)) = stored {
            follower.restore(stored.files, Vec::new(), stored.tally);
            let told = stored.content.places.len();
            judge = Judge { totals: stored.totals, content: stored.content, told };
        }
        Some((follower, judge))
    }

    fn rename(_: &Path, _: &Names, _: &mut LogFollower) {}

    fn begin(&self) -> Begin {
        Begin::Beginning
    }

    fn glance(_: &mut Judge, _: &[u8]) {}

    fn glanced(_: &mut Judge) {}

    fn record(&self, instance: &OsStr, log: &Log<Self>) -> TrackingRecord {
        let (files, _) = log.follower.stored();
        TrackingRecord::File(StoredTracking {
            instance: Name::from(instance),
            file: Name::from(log.name.as_os_str()),
            files,
            tally: log.follower.tally,
            totals: log.reading.totals,
            content: log.reading.content.clone(),
        })
    }

    fn other_records(&self, _: bool) -> Vec<TrackingRecord> {
        let gone = self.gone.iter();
        gone.map(|(instance, totals)| TrackingRecord::Gone { instance: Name(instance.clone()), totals: *totals })
            .collect()
    }

    fn is_over(&mut self, instance: &OsStr, record: TrackingRecord, unread: u64) {
        if let TrackingRecord::File(file) = record {
            let gone = self.gone.entry(instance.to_owned()).or_default();
            gone.add(&file.totals());
            gone.skipped_bytes += unread;
        }
    }

    fn surveyed(&mut self, instances: &[OsString]) {
        if self.gone.len() > MAX_INSTANCES {
            self.gone.retain(|instance, _| instances.binary_search(instance).is_ok());
        }
    }

    /// Logs where the first corrupt lines are, once each.
    fn was_read(log: &mut Log<Self>) {
        let places = &log.reading.content.places;
        for line in places.iter().skip(log.reading.told) {
            let path = log.follower.current().display();
            tracing::warn!(%path, line, "a tracking line is corrupt: it stops the tracking job; stop the workflow, delete the line, start it again; see the page \"About message tracking\"");
        }
        log.reading.told = places.len();
    }

    fn show(_: &OsStr, _: &Log<Self>) {}

    fn view(tailer: &mut Tailer<Self>) -> TrackingView {
        let mut instances = Vec::new();
        for folder in tailer.folders.iter().filter(|folder| !folder.gone) {
            let totals = tailer.kind.gone.get(&folder.instance).copied().unwrap_or_default();
            let mut one = InstanceTracking { instance: folder.instance.clone(), totals, ..InstanceTracking::default() };
            one.files = folder.beyond;
            let mut places: Vec<_> = folder.logs.values().copied().collect();
            places.sort_by(|one, other| tailer.logs[*one].name.cmp(&tailer.logs[*other].name));
            for place in places {
                one.add(&tailer.logs[place]);
            }
            instances.push(one);
        }
        TrackingView { instances, troubles: tailer.troubles() }
    }
}

impl InstanceTracking {
    fn add(&mut self, log: &Log<TrackingKind>) {
        let skipped_bytes = log.follower.tally.skipped_bytes;
        self.totals.add(&TrackingTotals { skipped_bytes, ..log.reading.totals });
        if !log.is_listed {
            return;
        }
        let (size, _) = log.follower.size_and_lag();
        self.files += 1;
        self.bytes += size;
        self.newest = self.newest.max(log.follower.modified());
        // Emptied, it has no line any more, corrupt or not.
        let content = &log.reading.content;
        if content.corrupt > 0 && size > 0 {
            self.corrupt_files += 1;
            let places = content.places.iter().map(|line| CorruptLine { file: log.name.clone(), line: *line });
            self.places.extend(places.take(MAX_PLACES - self.places.len()));
        }
    }
}

/// Whether a file of that name is a tracking log: `0x….log`.
fn is_tracking_log(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b"0x") && name.as_bytes().ends_with(b".log")
}
