//! Whether an instance is in use: whether something of it ran or wrote a log.
//!
//! What follows for its files is decided in the parent module.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::source::processes::{RunningModules, RunningWatchdog};

/// The folder of logs, below that of the instance, and how their names end.
const LOGS: &str = "log";
const LOG_SUFFIX: &[u8] = b".log";

/// The most files of a folder that are looked at for one that is recent.
const MAX_LOGS: usize = 1_000;

/// What is known of the use of instances.
#[derive(Default)]
pub(super) struct Life {
    running: BTreeSet<Arc<str>>,
    watchdog: Option<RunningWatchdog>,
    /// Those that were in use: once an instance, always one.
    lived: BTreeSet<String>,
}

impl Life {
    /// Adds what is known from the processes.
    pub(super) fn learn(&mut self, running: &RunningModules) {
        if let Some(instances) = &running.instances {
            self.running.clone_from(instances);
            // By the clock as it was when it was seen first, which is that of the files' times.
            let is_same = |known: &RunningWatchdog| {
                running.watchdog.is_some_and(|watchdog| watchdog.start_ticks == known.start_ticks)
            };
            self.watchdog = self.watchdog.filter(is_same).or(running.watchdog);
        }
    }

    /// When the running watchdog started, since 1970-01-01 UTC.
    pub(super) fn watchdog_start(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog.start)
    }

    /// Whether the instance that is called `name` below `var` was in use. Of its logs those count that were written
    /// after `since`, or all.
    pub(super) fn has_lived(&mut self, instance: &str, var: &Path, name: &[u8], since: Option<SystemTime>) -> bool {
        if self.lived.contains(instance) {
            return true;
        }
        let lives = self.running.contains(instance) || writes(&var.join(OsStr::from_bytes(name)), since);
        if lives {
            self.lived.insert(instance.to_owned());
        }
        lives
    }

    /// Forgets an instance whose file is gone.
    pub(super) fn forget(&mut self, instance: &str) {
        self.lived.remove(instance);
    }
}

/// Whether a log below `folder` was written after `since`, or exists, without one.
fn writes(folder: &Path, since: Option<SystemTime>) -> bool {
    let Ok(entries) = folder.join(LOGS).read_dir() else { return false };
    let logs = entries.take(MAX_LOGS).flatten().filter(|entry| entry.file_name().as_bytes().ends_with(LOG_SUFFIX));
    let mut times = logs.filter_map(|log| log.metadata().ok()?.modified().ok());
    times.any(|time| since.is_none_or(|since| time >= since))
}
