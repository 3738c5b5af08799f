//! Whether an instance lives: whether something of it ran or wrote a log.
//!
//! Knows names of instances and the folder of their logs; what that says of their files is for the parent.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::source::processes::RunningModules;

/// The folder of logs, below that of the instance, and how their names end.
const LOGS: &str = "log";
const LOG_SUFFIX: &[u8] = b".log";

/// The most files of a folder that are looked at for one that is recent.
const MAX_LOGS: usize = 1_000;

/// What is known of the instances' lives.
#[derive(Default)]
pub(super) struct Life {
    running: BTreeSet<Arc<str>>,
    watchdog_start: Option<Duration>,
    /// Those that have lived: what was an instance once stays one.
    lived: BTreeSet<String>,
}

impl Life {
    /// Takes in what the processes tell, where they do.
    pub(super) fn learn(&mut self, running: &RunningModules) {
        if let Some(instances) = &running.instances {
            self.running.clone_from(instances);
            self.watchdog_start = running.watchdog_start;
        }
    }

    /// When the running watchdog started, since 1970-01-01 UTC.
    pub(super) fn watchdog_start(&self) -> Option<Duration> {
        self.watchdog_start
    }

    /// Whether the instance has lived that is called `name` below `var`. Of its logs those count that were written after
    /// `since`, or all.
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

/// Whether a log below `folder` was written after `since`, or is there at all.
fn writes(folder: &Path, since: Option<SystemTime>) -> bool {
    let Ok(entries) = folder.join(LOGS).read_dir() else { return false };
    let logs = entries.take(MAX_LOGS).flatten().filter(|entry| entry.file_name().as_bytes().ends_with(LOG_SUFFIX));
    let mut times = logs.filter_map(|log| log.metadata().ok()?.modified().ok());
    times.any(|time| since.is_none_or(|since| time >= since))
}
