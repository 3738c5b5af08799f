//! What Campaign's processes show of the installation: a variable of the environment that they were started with, which
//! instances there are, since when the watchdog runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use super::ProcessSource;
use super::tracker::Representative;
use crate::parse::process as parse;
use crate::source::kit::Miss;
use crate::source::kit::files::read_at_most;
use crate::sync::locked;

/// The most bytes of an environment.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// The most processes that are read.
const MAX_ASKED: usize = 256;

/// The most values that are told besides the one that holds.
const MAX_OTHERS: usize = 4;

/// What Campaign's processes show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningModules {
    /// The variable that was looked up.
    pub variable: VariableValues,
    /// The instances of which a process was seen; none while a look at the processes is being taken.
    pub instances: Option<BTreeSet<Arc<str>>>,
    /// The running watchdog.
    pub watchdog: Option<RunningWatchdog>,
}

/// A watchdog that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningWatchdog {
    /// When it started, in clock ticks since the machine did: this does not move with the clock.
    pub start_ticks: u64,
    /// The same since 1970-01-01 UTC, by the clock as it is now.
    pub start: Duration,
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

/// A variable of all processes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariableValues {
    /// The watchdog's, else another's.
    pub first: Variable,
    /// What modules that run all the time have instead.
    pub others: Vec<Variable>,
}

/// What was read of the processes, by id and start; it holds as long as they live.
pub(super) struct KnownVariable {
    name: Vec<u8>,
    by_process: BTreeMap<(u32, u64), Variable>,
    values: VariableValues,
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
        let (instances, watchdog) = (Some(tracker.instances()), tracker.watchdog());
        RunningModules { variable, instances, watchdog }
    }

    /// The variable `name` in the environments of this installation's running processes.
    ///
    /// Does not wait for a look at the processes that is being taken: then it is what it was before.
    pub fn variable(&self, name: &[u8]) -> VariableValues {
        let mut known = locked(&self.environment);
        known.take_if(|known| known.name != name);
        let tracker = match self.tracker.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return known.as_ref().map(|known| known.values.clone()).unwrap_or_default();
            }
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Ok(tracker) => tracker,
        };
        let among = tracker.changes();
        let is_whole = |known: &&KnownVariable| known.among == among && known.values.first != Variable::Unknown;
        if let Some(known) = known.as_ref().filter(is_whole) {
            return known.values.clone();
        }
        let processes = tracker.representatives(MAX_ASKED);
        drop(tracker);
        let mut before = known.take().map(|known| known.by_process).unwrap_or_default();
        let mut by_process = BTreeMap::new();
        let mut values = VariableValues::default();
        for Representative { pid, start_ticks, is_resident } in processes {
            let is_told = values.first != Variable::Unknown;
            if is_told && !is_resident {
                continue;
            }
            let id = (pid, start_ticks);
            let Some(value) = before.remove(&id).or_else(|| self.value_in(pid, name)) else { continue };
            if !is_told {
                values.first = value.clone();
            } else if ![&values.first, &Variable::Unknown].contains(&&value)
                && values.others.len() < MAX_OTHERS
                && !values.others.contains(&value)
            {
                values.others.push(value.clone());
            }
            by_process.insert(id, value);
        }
        *known = Some(KnownVariable { name: name.to_owned(), by_process, values: values.clone(), among });
        values
    }

    /// What one process has; none where it is gone, or has no environment yet.
    fn value_in(&self, pid: u32, name: &[u8]) -> Option<Variable> {
        let file: OwnedFd = match self.root.open_of(pid, "environ") {
            Ok(file) => file,
            Err(Miss::Denied) => return Some(Variable::Unknown),
            Err(_) => return None,
        };
        let environ = read_at_most(std::fs::File::from(file), 0, MAX_ENVIRONMENT).ok()?;
        if environ.is_empty() {
            return None;
        }
        let value = parse::variable(&environ, name).map(|value| OsString::from_vec(value.to_owned()));
        Some(value.map_or(Variable::Unset, Variable::Set))
    }
}
