//! The exporter's own process, as the kernel sees it, the host's clock, and since when the exporter has been used here.
//!
//! Campaign's processes are read in `processes`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use procfs::ProcError;
use procfs::process::Process;
use rustix::process::{Resource, getrlimit};

use super::kit::proc_root::Abilities;
use super::kit::{BootTime, ProcRoot};
use super::storage::{StorageError, StorageFolder};
use crate::sync::locked;

/// The file in the storage's folder that says since when the exporter has been used here: seconds since 1970-01-01 UTC.
const FIRST_START: &str = "first-start";

/// No exporter started earlier: 2020-01-01, since 1970-01-01 UTC.
const EARLIEST_START: Duration = Duration::from_secs(1_577_836_800);

/// How far a time may lie ahead: the clock may have been set back a little.
const CLOCK_MAY_BE_LATE: Duration = Duration::from_secs(86_400);

/// What it is called while it is written.
const FIRST_START_NEW: &str = "first-start.new";

/// The most bytes of that file.
const MAX_FIRST_START: u64 = 64;

/// What the exporter itself uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// CPU time in user and kernel mode.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Virtual memory, in bytes.
    pub virtual_bytes: u64,
    /// When it started, since 1970-01-01 UTC; none where `/proc/stat` does not say when the machine did.
    pub start: Option<Duration>,
    /// Open descriptors.
    pub open_descriptors: u64,
    /// How many it may open; none when there is no limit.
    pub descriptor_limit: Option<u64>,
    /// Threads.
    pub threads: u64,
}

/// Why the exporter can't read its own process.
#[derive(Debug, thiserror::Error)]
#[error("the exporter's own process can't be read: {0}; its numbers need the kernel's proc")]
pub struct OwnError(#[from] ProcError);

/// The exporter and its host below a `/proc`.
pub struct OwnSource {
    proc: Arc<ProcRoot>,
    abilities: Abilities,
    boot: Mutex<BootTime>,
}

impl OwnSource {
    /// The exporter's process and its host below `proc`.
    #[must_use]
    pub fn new(proc: &Arc<ProcRoot>) -> Self {
        Self { proc: Arc::clone(proc), abilities: proc.abilities(), boot: Mutex::default() }
    }

    /// Reads the exporter's own numbers.
    ///
    /// # Errors
    /// When the process can't be read.
    pub fn read(&self) -> Result<Own, OwnError> {
        let folder = self.own_folder();
        // Where it does not count, all of them are listed: three for each process of Campaign.
        let counted = || folder.join("fd").metadata().map(|metadata| metadata.len()).ok();
        let counted = self.abilities.counts_descriptors.then(counted).flatten();
        let process = Process::new_with_root(folder.clone())?;
        let stat = process.stat()?;
        Ok(Own {
            cpu: ticks(stat.utime + stat.stime),
            resident_bytes: stat.rss.saturating_mul(procfs::page_size()),
            virtual_bytes: stat.vsize,
            start: self.boot().map(|boot| boot + ticks(stat.starttime)),
            open_descriptors: counted.map_or_else(|| process.fd_count().map(|count| count as u64), Ok)?,
            descriptor_limit: getrlimit(Resource::Nofile).current,
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
        })
    }

    /// The exporter is in no recorded `/proc`.
    fn own_folder(&self) -> PathBuf {
        let folder = self.proc.own_pid().map(|pid| self.proc.path().join(pid.to_string()));
        folder.unwrap_or_else(|_| "/proc/self".into())
    }

    /// When the host started, since 1970-01-01 UTC; none where `/proc/stat` does not say so.
    #[must_use]
    pub fn boot(&self) -> Option<Duration> {
        locked(&self.boot).refresh(&self.proc, Instant::now(), SystemTime::now())
    }
}

/// When the exporter was first used with the storage in `directory`: what is remembered there, else `now`, which is
/// remembered. What an earlier version left behind counts too, and so does a file that says nothing, as a full disk leaves
/// it, or a time that can't be right. None, and a line in the log, where it can't be remembered.
#[must_use]
pub fn first_start(directory: &Path, now: SystemTime) -> Option<f64> {
    let remembered = StorageFolder::open(directory, true).and_then(|folder| {
        let read = || {
            let text = folder.read(FIRST_START, MAX_FIRST_START).ok().flatten()?;
            since_1970(&text).filter(|since| is_plausible(UNIX_EPOCH + *since, now))
        };
        if let Some(since) = read() {
            return Ok(since.as_secs_f64());
        }
        let first = oldest_in(directory, now).map_or(now, |oldest| oldest.min(now));
        let first = first.duration_since(UNIX_EPOCH).unwrap_or_default();
        match folder.replace(FIRST_START, FIRST_START_NEW, format!("{}\n", first.as_secs()).as_bytes()) {
            Ok(()) => Ok(first.as_secs_f64().floor()),
            // Another process may have been quicker.
            Err(error) => read().map(|since| since.as_secs_f64()).ok_or(error),
        }
    });
    let warn = |error: &StorageError| {
        tracing::warn!(
            "the time of the first start can't be stored: {error}; remove {FIRST_START} there if it is not a file"
        );
    };
    remembered.inspect_err(warn).ok()
}

fn since_1970(text: &[u8]) -> Option<Duration> {
    let seconds: u32 = std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// Whether an exporter can have started at `time`: not before there was one, nor ahead of the clock, where that can be right.
fn is_plausible(time: SystemTime, now: SystemTime) -> bool {
    let earliest = UNIX_EPOCH + EARLIEST_START;
    time >= earliest && (time <= now + CLOCK_MAY_BE_LATE || now < earliest)
}

/// When the file that was not written for the longest time was, in a folder.
fn oldest_in(directory: &Path, now: SystemTime) -> Option<SystemTime> {
    let entries = directory.read_dir().ok()?.take(1_000).flatten();
    let times = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    times.filter(|time| is_plausible(*time, now)).min()
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs(ticks) / u32::try_from(procfs::ticks_per_second().max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exporter_sees_itself() {
        let own = OwnSource::new(&Arc::new(ProcRoot::open(Path::new("/proc")).unwrap())).read().unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let start = own.start.unwrap();
        assert!(
            start <= now + Duration::from_secs(2) && start + Duration::from_secs(86_400) > now,
            "{start:?} {now:?}"
        );
        assert!(own.resident_bytes > 100_000 && own.virtual_bytes > own.resident_bytes);
        assert!(own.threads >= 1 && own.open_descriptors >= 3);
        assert!(own.descriptor_limit.is_none_or(|limit| limit >= own.open_descriptors));
        assert!(own.cpu < Duration::from_secs(3600));
        assert_eq!(ticks(procfs::ticks_per_second() * 3 / 2), Duration::from_millis(1500));
    }

    #[test]
    fn a_recorded_proc_tells_the_hosts_start_and_not_the_exporters_numbers() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("stat"), "cpu  1 2 3 4 5 6 7 8 9 10\nctxt 1\nbtime 1700000000\nprocesses 1\n")
            .unwrap();
        let own = OwnSource::new(&Arc::new(ProcRoot::open(root.path()).unwrap()));
        assert_eq!(own.boot(), Some(Duration::from_secs(1_700_000_000)));
        assert!(own.read().unwrap().resident_bytes > 100_000);
    }

    #[test]
    fn the_first_start_is_remembered_and_never_moves() {
        let storage = tempfile::tempdir().unwrap();
        let directory = storage.path().join("new");
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(first_start(&directory, at(1_700_000_000)), Some(1_700_000_000.0));
        assert_eq!(first_start(&directory, at(1_800_000_000)), Some(1_700_000_000.0));
    }

    #[test]
    fn a_storage_that_was_used_before_began_with_its_oldest_file() {
        let storage = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(storage.path().join("logs.lock")).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
        assert_eq!(first_start(storage.path(), SystemTime::now()), Some(1_600_000_000.0));
    }

    #[test]
    fn a_link_in_place_of_the_first_start_is_not_written_through() {
        let storage = tempfile::tempdir().unwrap();
        let victim = storage.path().join("victim");
        std::os::unix::fs::symlink(&victim, storage.path().join(FIRST_START)).unwrap();
        std::os::unix::fs::symlink(&victim, storage.path().join(FIRST_START_NEW)).unwrap();
        assert!(first_start(storage.path(), SystemTime::now()).is_some());
        assert!(!victim.exists());
    }

    #[test]
    fn the_first_start_is_not_written_to_the_directory_of_another_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let storage = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(storage.path(), Some(4711), None).unwrap();
        assert_eq!(first_start(storage.path(), SystemTime::now()), None);
        assert_eq!(storage.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_first_start_that_can_not_be_right_is_written_anew() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let now = 1_700_000_000;
        for (written, modified, clock, expected) in [
            ("0", now, now, now),
            ("1577836799", now, now, now),
            ("1577836800", now, now, 1_577_836_800),
            ("1700086400", now, now, 1_700_086_400),
            ("1700086401", now, now, now),
            ("4294967295", now, now, now),
            ("18446744073709551615", now, now, now),
            // Nor can the time of such a file be when it began.
            ("0", 0, now, now),
            ("0", 4_000_000_000, now, now),
            // A host that does not know the time at its boot keeps what it knew.
            ("1600000000", now, 5, 1_600_000_000),
        ] {
            let storage = tempfile::tempdir().unwrap();
            let path = storage.path().join(FIRST_START);
            std::fs::write(&path, written).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(at(modified)).unwrap();
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let expected = Some(expected as f64);
            assert_eq!(first_start(storage.path(), at(clock)), expected, "{written} {modified} {clock}");
        }
    }

    #[test]
    fn a_first_start_that_says_nothing_is_written_anew_and_what_can_not_be_replaced_is_told() {
        for content in ["", "yesterday", "-1", "1e9"] {
            let storage = tempfile::tempdir().unwrap();
            let path = storage.path().join(FIRST_START);
            std::fs::write(&path, content).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
            for _ in 0..2 {
                assert_eq!(first_start(storage.path(), SystemTime::now()), Some(1_600_000_000.0), "{content:?}");
            }
        }
        let storage = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(storage.path().join(FIRST_START)).unwrap();
        assert_eq!(first_start(storage.path(), SystemTime::now()), None);
        assert!(!storage.path().join(FIRST_START_NEW).exists());
    }
}
