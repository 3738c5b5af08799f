//! One walk of `/proc` per sample, shared by all collectors.
//!
//! Finds the processes, and the Campaign module of each; the collectors judge them.
//!
//! Two things cost differently. A *sample* (each second, by [`Sampler`]) looks at processes that were not there before, so
//! that one that lives for a second is counted; on a quiet machine it reads one file kept open. A *walk* (at a scrape)
//! is a sample, and then reads the numbers of every known `nlserver` process from files kept open: `stat` and `io` of
//! the process and the size of its folder `fd`. Nothing of `task/`, `smaps` or `maps` is ever read, so that neither
//! threads nor mappings cost anything.

mod ancestry;
mod ending;
mod environment;
mod groups;
mod kept;
mod owner;
mod strangers;
mod thread;
mod ticks;
mod tracked;
mod tracker;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::parse::cmdline::CommandLine;
use crate::parse::process::Io;
use crate::source::installation::Installation;
use crate::source::kit::ProcRoot;
use crate::source::limits::DescriptorBudget;
use crate::sync::locked;
use environment::KnownVariable;
pub use environment::{RunningModules, RunningWatchdog, Variable, VariableValues};
use groups::OTHER;
pub use owner::NotOurs;
use tracker::Tracker;

/// What one walk of `/proc` found.
#[derive(Clone, Debug, Default)]
pub struct ProcessTable {
    /// Every module and instance of which a process was ever seen, ordered by module and instance.
    pub groups: Vec<Group>,
    /// Every process of Campaign there is now, ordered by process id.
    pub processes: Vec<Process>,
    /// Whether Campaign's processes may be hidden: by `/proc` (hidepid), or by a container that the exporter is alone in.
    pub hidden: bool,
    /// Whether a process of this installation was ever seen.
    pub seen: bool,
    /// Processes that call themselves Campaign's and are not counted, by reason in the order of [`NotOurs::ALL`].
    pub ignored: [u64; NotOurs::ALL.len()],
    /// The modules and instances of processes of which it is undecided whose they are.
    pub undecided: Vec<(Box<str>, Box<str>)>,
    /// How many more of those there are, of any module.
    pub undecided_beyond: u64,
    /// What could not be read in this walk.
    pub losses: ReadLosses,
    /// Why the process ids could not be listed; the rest is what was known before.
    pub failure: Option<ListingFailure>,
}

impl ProcessTable {
    /// Whether a module with no process can be called down. Not where `/proc` hides processes, and none of Campaign's was
    /// ever seen.
    #[must_use]
    pub fn can_tell(&self) -> bool {
        self.failure.is_none() && (self.seen || !self.hidden)
    }

    /// The same of one module and instance: not while a process that may be one of it is undecided, or counts as `other`.
    #[must_use]
    pub fn can_tell_of(&self, module: &str, instance: &str) -> bool {
        let is_it = |(of, at): &(Box<str>, Box<str>)| **of == *module && **at == *instance;
        self.can_tell() && !self.has_unnamed() && !self.undecided.iter().any(is_it)
    }

    /// Whether processes run that may be of any module.
    #[must_use]
    pub fn has_unnamed(&self) -> bool {
        self.undecided_beyond > 0 || self.group(OTHER, OTHER).is_some_and(|other| other.now.live() > 0)
    }

    /// The group of a module and an instance.
    #[must_use]
    pub fn group(&self, module: &str, instance: &str) -> Option<&Group> {
        let place = self.groups.binary_search_by(|group| (&*group.module, &*group.instance).cmp(&(module, instance)));
        self.groups.get(place.ok()?)
    }

    /// The group of a process.
    #[must_use]
    pub fn group_of(&self, process: &Process) -> Option<&Group> {
        self.groups.get(process.group)
    }
}

/// A process of Campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// The place of its group in [`ProcessTable::groups`].
    pub group: usize,
    /// Its state.
    pub state: ProcessState,
}

/// The processes of one module and Campaign instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The module: the command, `unknown` where no argument names it, `other` beyond the bounds.
    pub module: Arc<str>,
    /// The Campaign instance.
    pub instance: Arc<str>,
    /// What only rises.
    pub totals: Totals,
    /// What holds now.
    pub now: Present,
    /// When a live process of it was seen last, since 1970-01-01 UTC.
    pub last_seen: Option<Duration>,
}

/// What the exporter has seen of a group since it started. Never falls when a process ends; what a process did before
/// the exporter first saw it counts when it was born after the exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Processes that started.
    pub starts: u64,
    /// CPU time in user mode.
    pub user_cpu: Duration,
    /// CPU time in kernel mode.
    pub system_cpu: Duration,
    /// Storage I/O; none when the exporter could read it of no process.
    pub io: Option<Io>,
}

/// A group at the moment of a walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    /// Processes, zombies included.
    pub processes: u64,
    /// Processes by state, in the order of [`ProcessState::ALL`].
    pub states: [u64; ProcessState::ALL.len()],
    /// When the oldest process that is no zombie started, since 1970-01-01 UTC.
    pub oldest_start: Option<Duration>,
    /// Resident memory of all, in bytes.
    pub resident_bytes: u64,
    /// Resident memory of the largest, in bytes.
    pub resident_bytes_max: u64,
    /// Virtual memory of all, in bytes.
    pub virtual_bytes: u64,
    /// Threads of all.
    pub threads: u64,
    /// Open descriptors of all that may be read; none when no process's may.
    pub open_descriptors: Option<u64>,
    /// Open descriptors by the soft limit, of the process where that is worst; none when no process shows both.
    pub descriptor_ratio: Option<f64>,
    /// Living processes of which that is unknown.
    pub descriptors_untold: u64,
    /// How long the one that waits longest has been seen waiting uninterruptibly without using the CPU.
    pub waiting: Duration,
    /// The distinct command lines that set the log precision; a bounded number of them.
    pub command_lines: Vec<Arc<CommandLine>>,
}

impl Present {
    /// Processes that are no zombies.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.processes - self.states[ProcessState::Zombie as usize]
    }
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessState {
    /// On a CPU, or ready for one.
    Running,
    /// Waiting for something that a signal may interrupt, or idle.
    Sleeping,
    /// Waiting for something, mostly a disk, that no signal interrupts.
    Waiting,
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Ended, and not waited for by its parent.
    Zombie,
    /// Anything else.
    Other,
}

impl ProcessState {
    /// Every state, in the order of the documentation.
    pub const ALL: [ProcessState; 6] = [
        ProcessState::Running,
        ProcessState::Sleeping,
        ProcessState::Waiting,
        ProcessState::Stopped,
        ProcessState::Zombie,
        ProcessState::Other,
    ];

    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            ProcessState::Running => "running",
            ProcessState::Sleeping => "sleeping",
            ProcessState::Waiting => "waiting",
            ProcessState::Stopped => "stopped",
            ProcessState::Zombie => "zombie",
            ProcessState::Other => "other",
        }
    }

    /// The state of a letter in `/proc/PID/stat`, as proc(5) lists them.
    #[must_use]
    pub const fn of_letter(letter: u8) -> ProcessState {
        match letter {
            b'R' => ProcessState::Running,
            b'S' | b'I' => ProcessState::Sleeping,
            b'D' => ProcessState::Waiting,
            b'T' | b't' => ProcessState::Stopped,
            b'Z' => ProcessState::Zombie,
            _ => ProcessState::Other,
        }
    }
}

/// What a walk could not read. A process that ended in the middle of it is none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadLosses {
    /// Files that the exporter's user may not read.
    pub permission: u64,
    /// Files that could not be read for another reason, or were not understood.
    pub broken: u64,
}

/// Why process ids could not be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingFailure {
    /// Whether the exporter's user may not.
    pub denied: bool,
    /// The folder, the reason and the remedy.
    pub message: String,
}

/// A `/proc` that can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum ProcessSourceError {
    /// The root is no folder that can be opened.
    #[error("{path}: {source}; give --path.procfs the folder where proc is mounted")]
    Root {
        /// The root.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The thread that samples can't be started.
    #[error(
        "the thread that samples processes can't be started: {0}; raise the limit of processes of this user (ulimit -u, TasksMax)"
    )]
    Thread(std::io::Error),
}

/// Watches the processes below a `/proc`.
pub struct ProcessSource {
    root: Arc<ProcRoot>,
    tracker: Mutex<Tracker>,
    environment: Mutex<Option<KnownVariable>>,
    turn: Mutex<WalkTurn>,
    turned: Condvar,
    /// Whether a sample has ended.
    sampled: AtomicBool,
    /// How often a scrape began to wait for another's walk.
    #[cfg(test)]
    waiting: std::sync::atomic::AtomicUsize,
}

/// Which walk is on, so that scrapes at the same time share one.
#[derive(Default)]
struct WalkTurn {
    begun: u64,
    ended: u64,
    walking: bool,
    latest: Arc<ProcessTable>,
}

impl ProcessSource {
    /// Watches `procfs_root`. Processes that are there at the first sample or walk do not count as started.
    ///
    /// Raises the limit of the exporter's own descriptors to what it may be: up to three are kept open for each process.
    ///
    /// # Errors
    /// When the root can't be opened.
    pub fn new(procfs_root: &Path) -> Result<ProcessSource, ProcessSourceError> {
        let root = ProcRoot::open(procfs_root)
            .map_err(|source| ProcessSourceError::Root { path: procfs_root.to_owned(), source })?;
        let tracker = Tracker::new(&root, root.abilities(), DescriptorBudget::current().processes);
        Ok(ProcessSource {
            root: Arc::new(root),
            tracker: Mutex::new(tracker),
            environment: Mutex::default(),
            turn: Mutex::default(),
            turned: Condvar::new(),
            sampled: AtomicBool::new(false),
            #[cfg(test)]
            waiting: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// The `/proc` that is watched.
    #[must_use]
    pub fn root(&self) -> &Arc<ProcRoot> {
        &self.root
    }

    /// Sets the installation that is ours. While none is known, whose a process is can't be decided. Another home than
    /// before starts everything afresh, the counters included; none after one changes nothing.
    pub fn set_installation(&self, installation: &Arc<Installation>) {
        locked(&self.tracker).set_installation(installation);
    }

    /// Looks at the processes that were not there at the sample before.
    pub fn sample(&self) {
        locked(&self.tracker).sample(&self.root, Instant::now());
        self.sampled.store(true, Ordering::Release);
    }

    /// Whether they have been looked at.
    #[must_use]
    pub fn was_sampled(&self) -> bool {
        self.sampled.load(Ordering::Acquire)
    }

    /// Samples, and reads every known process. Scrapes at the same time share a walk that began after they asked.
    #[must_use]
    pub fn walk(&self) -> Arc<ProcessTable> {
        let mut turn = locked(&self.turn);
        let wanted = turn.begun + 1;
        loop {
            if turn.ended >= wanted {
                return Arc::clone(&turn.latest);
            }
            if !turn.walking {
                break;
            }
            #[cfg(test)]
            self.waiting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        turn.walking = true;
        turn.begun += 1;
        let number = turn.begun;
        drop(turn);
        let mut walk = OneWalk { source: self, number, table: None };
        let table = Arc::new(locked(&self.tracker).walk(&self.root, Instant::now()));
        walk.table = Some(Arc::clone(&table));
        table
    }
}

/// A walk that is on. Others go on when it ends, however it does.
struct OneWalk<'a> {
    source: &'a ProcessSource,
    number: u64,
    table: Option<Arc<ProcessTable>>,
}

impl Drop for OneWalk<'_> {
    fn drop(&mut self) {
        let mut turn = locked(&self.source.turn);
        turn.walking = false;
        if let Some(table) = self.table.take() {
            turn.ended = self.number;
            turn.latest = table;
        }
        self.source.turned.notify_all();
    }
}

/// How long the start and the end of a [`Sampler`] wait for a sample that is on.
const SAMPLER_PATIENCE: Duration = Duration::from_secs(2);

/// Samples at an interval until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    stop: Option<Sender<()>>,
    /// Told of the first sample, and closed when the thread ends.
    sampled: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Takes the first sample, then one each `interval`, in a thread of its own. Does not wait for a first sample that
    /// takes longer than two seconds: a read that the kernel does not end must not keep the exporter from reporting it.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn start(source: Arc<ProcessSource>, interval: Duration) -> Result<Sampler, ProcessSourceError> {
        let (stop, stopped) = channel();
        let (first, sampled) = channel();
        let run = move || {
            let sample = || {
                // A panic has been reported where it happened; the next sample looks at everything that it left.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(|| source.sample()));
            };
            sample();
            // The caller may no longer wait for it.
            let _ = first.send(());
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                sample();
            }
        };
        let thread =
            std::thread::Builder::new().name("sampler".to_owned()).spawn(run).map_err(ProcessSourceError::Thread)?;
        if sampled.recv_timeout(SAMPLER_PATIENCE).is_err() {
            tracing::error!("a read of /proc does not end; until it does, nothing is known of processes");
        }
        Ok(Sampler { stop: Some(stop), sampled: Mutex::new(sampled), thread: Some(thread) })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        drop(self.stop.take());
        let sampled = self.sampled.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ended = loop {
            match sampled.recv_timeout(SAMPLER_PATIENCE) {
                Ok(()) => {}
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        // A thread that hangs ends with the process.
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
