//! What Campaign's processes show of the installation: a variable of the environment that they were started with, which
//! instances there are, since when the watchdog runs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use super::ProcessSource;
use crate::parse::process as parse;
use crate::source::kit::files::read_at_most;
use crate::sync::locked;

/// The most bytes of an environment.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// The most processes that are read until one has the answer.
const MAX_ASKED: usize = 8;

/// What Campaign's processes show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningModules {
    /// The variable that was looked up.
    pub variable: Variable,
    /// The instances of which a process was seen; none while a look at the processes is being taken.
    pub instances: Option<BTreeSet<Arc<str>>>,
    /// When the running watchdog started, since 1970-01-01 UTC.
    pub watchdog_start: Option<Duration>,
}

/// What is known of a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Variable {
    /// No process of the installation runs, or none of them may be read.
    #[default]
    Unknown,
    /// The processes do not have it.
    Unset,
    /// They have this value.
    Set(OsString),
}

/// What was read of one process; it holds as long as that process lives.
pub(super) struct KnownVariable {
    name: Vec<u8>,
    pid: u32,
    start_ticks: u64,
    value: Variable,
    /// The processes that were read: [`Tracker::changes`](super::tracker::Tracker::changes).
    among: u64,
}

impl ProcessSource {
    /// What the processes show, the variable `name` included. Does not wait for a look that is being taken.
    pub fn running(&self, name: &[u8]) -> RunningModules {
        let variable = self.variable(name);
        let tracker = match self.tracker.try_lock() {
            Ok(tracker) => tracker,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return RunningModules { variable, ..RunningModules::default() },
        };
        let (instances, watchdog_start) = (Some(tracker.instances()), tracker.watchdog_start());
        RunningModules { variable, instances, watchdog_start }
    }

    /// The variable `name` in the environment of a running process of this installation: the watchdog's, else another's.
    ///
    /// Does not wait for a look at the processes that is being taken: then it is what it was before.
    pub fn variable(&self, name: &[u8]) -> Variable {
        let mut known = locked(&self.environment);
        let tracker = match self.tracker.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let before = known.as_ref().filter(|known| known.name == name);
                return before.map_or(Variable::Unknown, |known| known.value.clone());
            }
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Ok(tracker) => tracker,
        };
        let among = tracker.changes();
        if let Some(known) = known.as_ref().filter(|known| known.name == name && known.among == among) {
            return known.value.clone();
        }
        let processes = tracker.representatives(MAX_ASKED);
        drop(tracker);
        if let Some(known) = known.as_mut().filter(|known| known.name == name)
            && processes.contains(&(known.pid, known.start_ticks))
        {
            known.among = among;
            return known.value.clone();
        }
        let told = processes.into_iter().find_map(|(pid, start_ticks)| {
            let environ = self.environ(pid)?;
            let value = parse::variable(&environ, name).map(|value| OsString::from_vec(value.to_owned()));
            let value = value.map_or(Variable::Unset, Variable::Set);
            Some(KnownVariable { name: name.to_owned(), pid, start_ticks, value, among })
        });
        let value = told.as_ref().map_or(Variable::Unknown, |told| told.value.clone());
        *known = told;
        value
    }

    /// A process's environment; none where it may not be read, or has gone with the process.
    fn environ(&self, pid: u32) -> Option<Vec<u8>> {
        let file: OwnedFd = self.root.open_of(pid, "environ").ok()?;
        read_at_most(std::fs::File::from(file), 0, MAX_ENVIRONMENT).ok().filter(|environ| !environ.is_empty())
    }
}
