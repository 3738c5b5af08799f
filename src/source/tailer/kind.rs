//! [`LogKind`]: what one kind of logs has of its own: where its files are, which of them make up one log, what takes its lines,
//! what is stored of it and what is shown.
//!
//! When a log is looked at and read is decided in `schedule`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use super::follow::{Begin, LogFollower};
use super::{Log, Tailer};
use crate::parse::tail::Lines;
use crate::source::positions::Record;

/// What one kind of logs has of its own.
pub trait LogKind: Sized + Send + 'static {
    /// What its state is called, and its thread.
    const NAME: &'static str;

    /// The folders below `var/<instance>` that its files are in; the empty one is that folder itself. A log that is in more
    /// than one of them is followed in the first.
    const FOLDERS: &'static [&'static str];

    /// A folder of the installation, beside `var`, that may have one for each instance with such files too.
    const BESIDE: Option<&'static str> = None;

    /// Whether the kernel is asked for hints. Else everything is looked at in every survey, and nothing in between.
    const HAS_HINTS: bool;

    /// How often everything is looked at, whatever was hinted.
    const SURVEY: Duration;

    /// The most logs that are followed, unless set otherwise.
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

    /// Everything was looked at: what comes from now on is new. `instances` have a folder, in their order.
    fn surveyed(&mut self, _instances: &[OsString]) {}

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

    /// All such lines were taken; the next line may continue the last of them.
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

    /// Draws conclusions from the silence of a log at the time `now`, in milliseconds since 1970-01-01 UTC. Whether
    /// anything is different.
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
