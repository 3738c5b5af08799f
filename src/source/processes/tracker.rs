//! Which processes are Campaign's, and what they used: the memory between two looks at `/proc`.
//!
//! Knows the life of processes: fork, exec, end, a process id used again. What the numbers mean is for others.
//!
//! # How new processes are found
//! The kernel tells the process id that it handed out last (`loadavg`). While that has not moved nothing was born and
//! nothing is listed; when it has moved a little, just the ids in between are tried; else `/proc` is listed. Ids that
//! were handed out are looked at even when they were known: that is how an id used again is noticed. Every now and then
//! all is listed anyway. Where the kernel's answer can't be trusted (another process namespace, a tree of plain files)
//! `/proc` is listed each time.
//!
//! # What is looked at twice
//! A process is born with the name and the arguments of its parent, and becomes another program later, mostly at once.
//! So every new process is looked at again for [`FRESH`]. One that looks just like its parent, or shows no arguments
//! although it lives, is held back until the next sample: most such are about to execute a program. Later changes of a
//! Campaign process are noticed by where its program lies in memory; of any other by a patrol that looks at some of
//! them at each sample.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::mem::MaybeUninit;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::groups::{GroupId, Groups, Moment};
use super::root::installation_of;
use super::{Failure, Process, ProcessTable, ReadLosses, State};
use crate::catalog::modules::DEFAULT_INSTANCE;
use crate::parse::cmdline::{self, CommandLine};
use crate::parse::process::{self as parse, Image, Io, Stat};
use crate::source::kit::proc_root::{Abilities, last_pid, read_again, size};
use crate::source::kit::{Miss, ProcRoot as Root};

/// The name of Campaign's processes.
const EXECUTABLE: &[u8] = b"nlserver";

/// The module of a process that shows no arguments.
const UNKNOWN: &str = "unknown";

/// How long a new process is looked at again at each sample.
const FRESH: Duration = Duration::from_secs(3);

/// How long, at least, a process is held back that looks just like its parent.
const HOLD: Duration = Duration::from_millis(200);

/// How often everything is listed although nothing tells of a new process.
const RELIST: Duration = Duration::from_secs(30);

/// How often what changes rarely is read again: limits, the machine's start, files that were denied.
const REREAD: Duration = Duration::from_secs(300);

/// In how many samples the patrol looks at every process that is not Campaign's.
const PATROL_ROUND: usize = 300;

/// How many processes the patrol passes over at most in one sample.
const PATROL_STEPS: usize = 256;

/// To list a process costs a sixteenth of trying an id.
const LISTED_PER_TRY: usize = 16;

/// A process that is being born has its id but is not there yet: this many of the last ids are tried once more.
const UNBORN: u32 = 64;

/// The most bytes of `stat`, of `io`, of the first look at the arguments, of all arguments, and of `limits`.
const STAT_BYTES: usize = 2048;
const IO_BYTES: usize = 1024;
const LINE_BYTES: usize = 4096;
const LONG_LINE_BYTES: usize = 256 * 1024;
const LIMITS_BYTES: usize = 8192;

/// The most bytes of the machine's `stat`, where the interrupts of a large one fill most.
const MACHINE_BYTES: usize = 1024 * 1024;

/// The most executables whose installation is remembered; a host has a handful.
const MOST_EXECUTABLES: usize = 64;

/// The machine's start is taken anew only when it differs by more: it is rounded to seconds, and start times that
/// waver would look like restarts.
const BOOT_TOLERANCE: Duration = Duration::from_secs(2);

/// Everything known of the processes below a root.
pub(super) struct Tracker {
    abilities: Abilities,
    home: Option<PathBuf>,
    /// Whether an executable is another installation's: asked of the disk once, for a disk may go away.
    executables: BTreeMap<PathBuf, bool>,
    clock: Clock,
    born: Option<Born>,
    /// When everything was listed last; none before the first time.
    listed: Option<Instant>,
    campaign: BTreeMap<u32, Tracked>,
    others: BTreeMap<u32, Nature>,
    fresh: Vec<Fresh>,
    unborn: Vec<u32>,
    /// Where the patrol is.
    patrol: u32,
    groups: Groups,
    seen: bool,
    keeper: Keeper,
    /// Since the last walk.
    losses: ReadLosses,
    failure: Option<Failure>,
    /// Kept for their memory alone.
    pids: Vec<u32>,
    entries: Box<[MaybeUninit<u8>]>,
}

/// The process ids as the kernel hands them out.
struct Born {
    loadavg: OwnedFd,
    last: u32,
}

/// Why a process is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It was there when the exporter came.
    Before,
    /// It is new, or its id is.
    New,
    /// It may have become another program.
    Again,
    /// Everything is read.
    Walk,
}

/// What a look at a process id found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// No process.
    Nothing,
    /// A process, whose name had been seen before or is not Campaign's.
    Process,
    /// A process that has Campaign's name now, and is fresh from now on.
    Newcomer,
}

/// A process that is not Campaign's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// It may execute Campaign's program later.
    User,
    /// It never executes anything.
    Kernel,
}

#[derive(Clone, Copy)]
struct Fresh {
    pid: u32,
    since: Instant,
}

/// A process of Campaign.
struct Tracked {
    start_ticks: u64,
    image: Image,
    /// None while it is held back.
    group: Option<GroupId>,
    since: Instant,
    /// Whether it started while the exporter ran.
    born: bool,
    /// Of its arguments as they were when it got its group.
    line: u64,
    /// Whether it showed no arguments then.
    bare: bool,
    precision: Option<Arc<CommandLine>>,
    user_ticks: u64,
    system_ticks: u64,
    io: Io,
    waiting_since: Option<Instant>,
    limit: Option<u64>,
    limit_due: Instant,
    stat_file: Kept,
    io_file: Kept,
    descriptors: Kept,
}

/// A file of a process.
#[derive(Debug, Default)]
enum Kept {
    /// Opened for each read.
    #[default]
    Closed,
    Open(OwnedFd),
    /// Not tried again before that time.
    Denied(Instant),
}

/// Keeps files open as long as the budget allows.
struct Keeper {
    keeps: bool,
    budget: usize,
}

impl Keeper {
    /// Reads a file, and keeps it open when it may.
    fn read<'b>(
        &mut self,
        kept: &mut Kept,
        now: Instant,
        open: impl FnOnce() -> Result<OwnedFd, Miss>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], Miss> {
        self.with(kept, now, open, |file| read_again(file, buffer))
    }

    fn with<T>(
        &mut self,
        kept: &mut Kept,
        now: Instant,
        open: impl FnOnce() -> Result<OwnedFd, Miss>,
        read: impl FnOnce(&OwnedFd) -> Result<T, Miss>,
    ) -> Result<T, Miss> {
        let result = match kept {
            Kept::Open(file) => return read(file),
            Kept::Denied(until) if now < *until => return Err(Miss::Denied),
            Kept::Closed | Kept::Denied(_) => open().and_then(|file| Ok((read(&file)?, file))),
        };
        match result {
            Ok((value, file)) => {
                *kept = Kept::Closed;
                if self.keeps && self.budget > 0 {
                    self.budget -= 1;
                    *kept = Kept::Open(file);
                }
                Ok(value)
            }
            Err(miss) => {
                if miss == Miss::Denied {
                    *kept = Kept::Denied(now + REREAD);
                }
                Err(miss)
            }
        }
    }

    /// Takes back what a process that ended had kept open.
    fn release(&mut self, process: &Tracked) {
        let files = [&process.stat_file, &process.io_file, &process.descriptors];
        self.budget += files.iter().filter(|file| matches!(file, Kept::Open(_))).count();
    }
}

/// Turns the kernel's units into ours.
struct Clock {
    ticks_per_second: u64,
    page_bytes: u64,
    boot: Option<Duration>,
    due: Option<Instant>,
}

impl Clock {
    fn duration(&self, ticks: u64) -> Duration {
        let (seconds, rest) = (ticks / self.ticks_per_second, ticks % self.ticks_per_second);
        Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / self.ticks_per_second)
    }

    /// Reads when the machine started. Returns whether it is known.
    fn refresh(&mut self, root: &Root, now: Instant) -> bool {
        if self.due.is_none_or(|due| now >= due) {
            let mut buffer = vec![0; MACHINE_BYTES];
            let boot = root.read("stat", &mut buffer).ok().and_then(parse::boot_time).map(Duration::from_secs);
            if let Some(boot) = boot {
                if self.boot.is_none_or(|known| known.abs_diff(boot) > BOOT_TOLERANCE) {
                    self.boot = Some(boot);
                }
                self.due = Some(now + REREAD);
            }
        }
        self.boot.is_some()
    }
}

/// The ids handed out between two samples: after `from`, up to `to`, perhaps starting again from the lowest.
#[derive(Clone, Copy, Debug)]
struct Handed {
    from: u32,
    to: u32,
}

impl Handed {
    fn contains(self, pid: u32) -> bool {
        if self.from <= self.to { self.from < pid && pid <= self.to } else { pid > self.from || pid <= self.to }
    }

    /// How many, when none of them started again.
    fn count(self) -> Option<usize> {
        usize::try_from(self.to.checked_sub(self.from)?).ok()
    }
}

impl Tracker {
    /// Knows nothing yet.
    pub(super) fn new(root: &Root, abilities: Abilities, budget: usize) -> Tracker {
        let loadavg = abilities.tells_last_pid.then(|| root.open_file("loadavg").ok()).flatten();
        Tracker {
            abilities,
            home: None,
            executables: BTreeMap::new(),
            clock: Clock {
                ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
                page_bytes: rustix::param::page_size() as u64,
                boot: None,
                due: None,
            },
            born: loadavg.map(|loadavg| Born { loadavg, last: 0 }),
            listed: None,
            campaign: BTreeMap::new(),
            others: BTreeMap::new(),
            fresh: Vec::new(),
            unborn: Vec::new(),
            patrol: 0,
            groups: Groups::default(),
            seen: false,
            keeper: Keeper { keeps: abilities.keeps, budget },
            losses: ReadLosses::default(),
            failure: None,
            pids: Vec::new(),
            entries: Box::new_uninit_slice(32 * 1024),
        }
    }

    /// Says which installation is ours.
    pub(super) fn set_home(&mut self, home: Option<&Path>) {
        // One that is not known for a moment is still where it was.
        let Some(home) = home.filter(|home| self.home.as_deref() != Some(*home)) else { return };
        self.home = Some(home.to_owned());
        self.executables.clear();
        for process in std::mem::take(&mut self.campaign).values() {
            self.keeper.release(process);
        }
        self.others.clear();
        self.fresh.clear();
        self.unborn.clear();
        self.groups = Groups::default();
        self.seen = false;
        self.listed = None;
    }

    /// Looks at what is new.
    pub(super) fn sample(&mut self, root: &Root, now: Instant) {
        let fresh = std::mem::take(&mut self.fresh);
        let unborn = std::mem::take(&mut self.unborn);
        // Read before the listing: what is born in between shows up next time, twice at worst, never not at all.
        let last = self.born.as_ref().and_then(|born| last_pid(&born.loadavg));
        let handed = last.and_then(|to| {
            let born = self.born.as_mut()?;
            Some(Handed { from: std::mem::replace(&mut born.last, to), to })
        });
        let known = self.campaign.len() + self.others.len();
        let tries = handed.and_then(Handed::count).filter(|tries| tries * LISTED_PER_TRY <= known);
        let due = self.listed.is_none_or(|listed| now.saturating_duration_since(listed) >= RELIST);
        match (handed, tries) {
            (Some(handed), Some(_)) if !due => {
                for pid in handed.from + 1..=handed.to {
                    if self.look(root, pid, now, Why::New) == Found::Nothing {
                        self.unborn.push(pid);
                    }
                }
            }
            _ => self.list(root, now, handed),
        }
        for pid in unborn {
            self.look(root, pid, now, Why::New);
        }
        for process in fresh {
            let found = self.look(root, process.pid, now, Why::Again);
            if found == Found::Process && now.saturating_duration_since(process.since) < FRESH {
                self.fresh.push(process);
            }
        }
        self.patrol(root, now);
    }

    /// Lists everything, and looks at what is not known or was handed out again.
    fn list(&mut self, root: &Root, now: Instant, handed: Option<Handed>) {
        let mut pids = std::mem::take(&mut self.pids);
        match root.list(&mut pids, &mut self.entries) {
            Ok(()) => self.failure = None,
            Err(miss) => {
                let denied = miss == Miss::Denied;
                let remedy =
                    if denied { "let the exporter's user list it" } else { "check that proc is mounted there" };
                let path = root.path().display();
                let message = format!("{path}: processes can't be listed; {remedy}, or set --path.procfs");
                self.failure = Some(Failure { denied, message });
                self.listed = None;
                self.pids = pids;
                return;
            }
        }
        let why = if self.listed.replace(now).is_none() { Why::Before } else { Why::New };
        let mut ended = Vec::new();
        for_absent(self.campaign.keys(), &pids, |pid| ended.push(pid));
        for pid in ended.drain(..) {
            self.forget(pid);
        }
        for_absent(self.others.keys(), &pids, |pid| ended.push(pid));
        for pid in ended {
            self.others.remove(&pid);
        }
        for pid in &pids {
            let known = self.others.contains_key(pid) || self.campaign.contains_key(pid);
            if !known || (why == Why::New && handed.is_some_and(|handed| handed.contains(*pid))) {
                self.look(root, *pid, now, why);
            }
        }
        if let Some(handed) = handed {
            let last = handed.to.saturating_sub(UNBORN) + 1..=handed.to;
            self.unborn.extend(last.filter(|pid| handed.contains(*pid) && pids.binary_search(pid).is_err()));
        }
        self.pids = pids;
    }

    /// Looks again at a few of the processes that are not Campaign's.
    fn patrol(&mut self, root: &Root, now: Instant) {
        let mut pids = std::mem::take(&mut self.pids);
        pids.clear();
        let wanted = self.others.len().div_ceil(PATROL_ROUND);
        let mut steps = 0;
        for (pid, nature) in self.others.range((Bound::Excluded(self.patrol), Bound::Unbounded)).take(PATROL_STEPS) {
            steps += 1;
            self.patrol = *pid;
            if *nature == Nature::User {
                pids.push(*pid);
            }
            if pids.len() >= wanted {
                break;
            }
        }
        if steps == 0 {
            self.patrol = 0;
        }
        for pid in &pids {
            self.look(root, *pid, now, Why::Again);
        }
        self.pids = pids;
    }

    /// Looks at one process.
    fn look(&mut self, root: &Root, pid: u32, now: Instant, why: Why) -> Found {
        let mut buffer = [0; STAT_BYTES];
        if let Some(process) = self.campaign.get_mut(&pid) {
            let read = self.keeper.read(&mut process.stat_file, now, || root.open_of(pid, "stat"), &mut buffer);
            match read.map(parse::stat) {
                Ok(Some(stat)) if stat.start_ticks == process.start_ticks => {
                    self.look_again(root, &stat, now, why);
                    return Found::Process;
                }
                // It ended. Another may have its id already.
                Ok(Some(_)) | Err(Miss::Gone | Miss::NotAFile) => self.forget(pid),
                Ok(None) | Err(Miss::Denied | Miss::Limit | Miss::Failed) => return Found::Process,
            }
        }
        if why == Why::Again && self.abilities.keeps {
            // Has it become Campaign's? To ask for the name alone costs half.
            match root.read_of(pid, "comm", &mut buffer) {
                Ok(comm) if comm.trim_ascii_end() != EXECUTABLE => return Found::Process,
                Err(Miss::Denied) => return Found::Process,
                Ok(_) | Err(_) => {}
            }
        }
        let bytes = match root.read_of(pid, "stat", &mut buffer) {
            Ok(bytes) => bytes,
            Err(Miss::Gone | Miss::NotAFile) => {
                self.others.remove(&pid);
                return Found::Nothing;
            }
            // Hidden: the table says so as a whole.
            Err(Miss::Denied) => {
                self.others.insert(pid, Nature::User);
                return Found::Process;
            }
            Err(Miss::Limit | Miss::Failed) => {
                self.losses.broken += 1;
                return Found::Process;
            }
        };
        let Some(stat) = parse::stat(bytes) else {
            self.losses.broken += 1;
            self.others.insert(pid, Nature::User);
            return Found::Process;
        };
        // Threads have ids too, and files below /proc although they are not listed.
        if stat.is_inner_thread() {
            return Found::Process;
        }
        if stat.comm == EXECUTABLE {
            return self.meet(root, pid, &stat, now, why);
        }
        let nature = if stat.is_kernel_thread() { Nature::Kernel } else { Nature::User };
        self.others.insert(pid, nature);
        if why != Why::Again && nature == Nature::User {
            self.fresh.push(Fresh { pid, since: now });
        }
        Found::Process
    }

    /// A process with Campaign's name that was not known.
    fn meet(&mut self, root: &Root, pid: u32, stat: &Stat<'_>, now: Instant, why: Why) -> Found {
        let mut buffer = [0; LINE_BYTES];
        let line = match root.read_of(pid, "cmdline", &mut buffer) {
            Ok(line) => line,
            Err(Miss::Gone | Miss::NotAFile) => return Found::Nothing,
            Err(miss) => {
                self.lose(miss);
                &[]
            }
        };
        if self.is_foreign(root, pid) {
            self.others.insert(pid, Nature::User);
            if why != Why::Again {
                self.fresh.push(Fresh { pid, since: now });
            }
            return Found::Process;
        }
        self.others.remove(&pid);
        self.seen = true;
        let born = why != Why::Before;
        let process = Tracked {
            start_ticks: stat.start_ticks,
            image: stat.image,
            group: None,
            since: now,
            born,
            line: hash(line),
            bare: is_bare(line),
            precision: None,
            user_ticks: if born { 0 } else { stat.user_ticks },
            system_ticks: if born { 0 } else { stat.system_ticks },
            io: Io::default(),
            waiting_since: None,
            limit: None,
            limit_due: now,
            stat_file: Kept::Closed,
            io_file: Kept::Closed,
            descriptors: Kept::Closed,
        };
        self.campaign.insert(pid, process);
        self.fresh.push(Fresh { pid, since: now });
        if !(born && is_about_to_execute(root, stat, line)) {
            self.settle(root, pid, line, now, born);
            self.account(root, pid, stat, now, Why::New);
        }
        Found::Newcomer
    }

    /// A known process, at another look: what it used is counted, and what it became is noticed.
    fn look_again(&mut self, root: &Root, stat: &Stat<'_>, now: Instant, why: Why) {
        let pid = stat.pid;
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let held = process.group.is_none();
        let told = process.image.is_known() && stat.image.is_known();
        if !process.image.is_known() {
            process.image = stat.image;
        }
        let moved = told && process.image != stat.image;
        let renamed = stat.comm != EXECUTABLE;
        if renamed && (moved || !told || held) {
            self.forget(pid);
            self.others.insert(pid, Nature::User);
            return;
        }
        // Without the image, other arguments in a young process mean another program; later they are a new title.
        if held || moved || (why == Why::Again && (process.bare || !told)) {
            let mut buffer = [0; LINE_BYTES];
            match root.read_of(pid, "cmdline", &mut buffer) {
                Ok(line) => self.reconsider(root, stat, line, moved, now),
                Err(Miss::Gone | Miss::NotAFile) => return self.forget(pid),
                Err(miss) => {
                    self.lose(miss);
                    self.reconsider(root, stat, &[], moved, now);
                }
            }
        }
        self.account(root, pid, stat, now, why);
    }

    /// A known process, whose arguments may tell another group than before.
    fn reconsider(&mut self, root: &Root, stat: &Stat<'_>, line: &[u8], moved: bool, now: Instant) {
        let pid = stat.pid;
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let same = process.line == hash(line);
        if process.group.is_none() {
            let young = now.saturating_duration_since(process.since) < HOLD;
            if young && is_about_to_execute(root, stat, line) {
                return;
            }
        } else if is_bare(line) || (same && !moved) {
            // Between two programs, or a zombie: it stays what it was.
            return;
        }
        if self.is_foreign(root, pid) {
            self.forget(pid);
            self.others.insert(pid, Nature::User);
            return;
        }
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let starts = process.born || (moved && process.group.is_some());
        process.image = stat.image;
        self.settle(root, pid, line, now, starts);
    }

    /// Puts a process into the group that its arguments tell.
    fn settle(&mut self, root: &Root, pid: u32, line: &[u8], now: Instant, starts: bool) {
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let arguments = if line.len() < LINE_BYTES { cmdline::parse(line) } else { long_line(root, pid, line) };
        let arguments = arguments.map(Arc::new);
        let (module, instance) =
            arguments.as_ref().map_or((UNKNOWN, DEFAULT_INSTANCE), |line| (&line.module, &line.instance));
        let group = self.groups.id(module, instance);
        if starts
            && process.group != Some(group)
            && let Some(group) = self.groups.get_mut(group)
        {
            group.totals.starts += 1;
        }
        process.group = Some(group);
        process.line = hash(line);
        process.bare = is_bare(line);
        // Compared with nothing configured, it says whether the precision is spoken of at all.
        process.precision = arguments.filter(|line| line.raised_precision(""));
        if !process.born {
            // What it did before the exporter came is not counted: the counters would jump when the exporter restarts.
            let mut buffer = [0; IO_BYTES];
            let read = self.keeper.read(&mut process.io_file, now, || root.open_of(pid, "io"), &mut buffer);
            process.io = read.ok().and_then(parse::io).unwrap_or_default();
        }
    }

    /// Adds what a process used since the last look to its group.
    fn account(&mut self, root: &Root, pid: u32, stat: &Stat<'_>, now: Instant, why: Why) {
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let Some(group) = process.group.and_then(|group| self.groups.get_mut(group)) else { return };
        let totals = &mut group.totals;
        let used = |now: u64, before: u64| self.clock.duration(now.saturating_sub(before));
        totals.user_cpu = totals.user_cpu.saturating_add(used(stat.user_ticks, process.user_ticks));
        totals.system_cpu = totals.system_cpu.saturating_add(used(stat.system_ticks, process.system_ticks));
        process.user_ticks = process.user_ticks.max(stat.user_ticks);
        process.system_ticks = process.system_ticks.max(stat.system_ticks);
        let mut buffer = [0; IO_BYTES];
        match self.keeper.read(&mut process.io_file, now, || root.open_of(pid, "io"), &mut buffer).map(parse::io) {
            Ok(Some(io)) => {
                let sum = totals.io.get_or_insert_default();
                sum.read_bytes = sum.read_bytes.saturating_add(io.read_bytes.saturating_sub(process.io.read_bytes));
                sum.written_bytes =
                    sum.written_bytes.saturating_add(io.written_bytes.saturating_sub(process.io.written_bytes));
                process.io.read_bytes = process.io.read_bytes.max(io.read_bytes);
                process.io.written_bytes = process.io.written_bytes.max(io.written_bytes);
            }
            // Each is counted once in a walk, however often it was looked at before.
            Ok(None) if why == Why::Walk => self.losses.broken += 1,
            Err(miss) if why == Why::Walk => self.lose(miss),
            Ok(None) | Err(_) => {}
        }
    }

    /// How many processes of a group have started.
    #[cfg(test)]
    pub(super) fn starts(&mut self, module: &str, instance: &str) -> u64 {
        let id = self.groups.id(module, instance);
        self.groups.get_mut(id).map_or(0, |group| group.totals.starts)
    }

    /// Samples, and reads every known process.
    pub(super) fn walk(&mut self, root: &Root, now: Instant) -> ProcessTable {
        self.sample(root, now);
        if !self.clock.refresh(root, now) {
            self.losses.broken += 1;
        }
        self.groups.begin_walk();
        let mut pids = std::mem::take(&mut self.pids);
        pids.clear();
        pids.extend(self.campaign.keys());
        let mut processes = Vec::with_capacity(pids.len());
        for pid in &pids {
            let mut measured = self.measure(root, *pid, now);
            if measured.is_none()
                && !self.campaign.contains_key(pid)
                && self.look(root, *pid, now, Why::New) == Found::Newcomer
            {
                // Its id is already another process's.
                measured = self.measure(root, *pid, now);
            }
            processes.extend(measured);
        }
        self.pids = pids;
        let (groups, places) = self.groups.in_order();
        for process in &mut processes {
            process.group = places.get(process.group).copied().unwrap_or_default();
        }
        ProcessTable {
            groups,
            processes,
            hidden: root.check_of(1, "stat").is_err(),
            seen: self.seen,
            losses: std::mem::take(&mut self.losses),
            failure: self.failure.clone(),
        }
    }

    /// Reads one process and adds it to its group's moment. None when it is not there, or held back.
    fn measure(&mut self, root: &Root, pid: u32, now: Instant) -> Option<Process> {
        let mut buffer = [0; STAT_BYTES];
        let process = self.campaign.get_mut(&pid)?;
        process.group?;
        let read = self.keeper.read(&mut process.stat_file, now, || root.open_of(pid, "stat"), &mut buffer);
        let stat = match read.map(parse::stat) {
            Ok(Some(stat)) if stat.start_ticks == process.start_ticks => stat,
            Ok(Some(_)) | Err(Miss::Gone | Miss::NotAFile) => {
                self.forget(pid);
                return None;
            }
            Ok(None) => {
                self.losses.broken += 1;
                return None;
            }
            Err(miss) => {
                self.lose(miss);
                return None;
            }
        };
        let state = State::of_letter(stat.state);
        let idle = stat.user_ticks == process.user_ticks && stat.system_ticks == process.system_ticks;
        process.waiting_since =
            (state == State::Waiting).then(|| process.waiting_since.filter(|_| idle).unwrap_or(now));
        self.look_again(root, &stat, now, Why::Walk);
        let open_descriptors = if state == State::Zombie { None } else { self.descriptors(root, pid, now) };
        let process = self.campaign.get_mut(&pid)?;
        let group = process.group?;
        let moment = Moment {
            state,
            start: self.clock.boot.and_then(|boot| boot.checked_add(self.clock.duration(stat.start_ticks))),
            resident_bytes: stat.resident_pages.saturating_mul(self.clock.page_bytes),
            virtual_bytes: stat.virtual_bytes,
            threads: stat.threads,
            waiting: process.waiting_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            open_descriptors,
            descriptor_limit: process.limit,
            precision: process.precision.as_ref(),
        };
        self.groups.get_mut(group)?.add(&moment);
        Some(Process { pid, group, state })
    }

    /// How many descriptors a process has open. Reads its limit too, now and then.
    fn descriptors(&mut self, root: &Root, pid: u32, now: Instant) -> Option<u64> {
        let process = self.campaign.get_mut(&pid)?;
        if now >= process.limit_due {
            let mut buffer = [0; LIMITS_BYTES];
            // Spread, lest every process's falls into the same scrape.
            process.limit_due = now + REREAD + Duration::from_secs(u64::from(pid % 64));
            match root.read_of(pid, "limits", &mut buffer).map(parse::open_files_limit) {
                Ok(Some(limit)) => process.limit = limit,
                Ok(None) => self.losses.broken += 1,
                Err(miss) => lose(&mut self.losses, miss),
            }
        }
        let counted = if self.abilities.counts_descriptors {
            self.keeper.with(&mut process.descriptors, now, || root.handle_of(pid, "fd"), |handle| size(handle))
        } else {
            match process.descriptors {
                Kept::Denied(until) if now < until => Err(Miss::Denied),
                _ => root.entries_of(pid, "fd", &mut self.entries),
            }
        };
        match counted {
            Ok(open) => Some(open),
            Err(miss) => {
                if miss == Miss::Denied && !matches!(process.descriptors, Kept::Denied(until) if now < until) {
                    process.descriptors = Kept::Denied(now + REREAD);
                }
                self.lose(miss);
                None
            }
        }
    }

    /// Whether a process's executable is another installation's.
    fn is_foreign(&mut self, root: &Root, pid: u32) -> bool {
        let Some(home) = &self.home else { return false };
        // What may not be read is taken for ours: better one process too many than a module that seems dead.
        let Ok(executable) = root.link_of(pid, "exe") else { return false };
        if let Some(is_foreign) = self.executables.get(&executable) {
            return *is_foreign;
        }
        let is_foreign =
            installation_of(&executable).is_some_and(|theirs| home.canonicalize().is_ok_and(|ours| ours != theirs));
        if self.executables.len() >= MOST_EXECUTABLES {
            self.executables.clear();
        }
        self.executables.insert(executable, is_foreign);
        is_foreign
    }

    fn forget(&mut self, pid: u32) {
        if let Some(process) = self.campaign.remove(&pid) {
            self.keeper.release(&process);
        }
    }

    fn lose(&mut self, miss: Miss) {
        lose(&mut self.losses, miss);
    }
}

/// Counts what could not be read. What ended meanwhile is no loss.
fn lose(losses: &mut ReadLosses, miss: Miss) {
    match miss {
        Miss::Gone | Miss::NotAFile => {}
        Miss::Denied => losses.permission += 1,
        Miss::Limit | Miss::Failed => losses.broken += 1,
    }
}

/// Calls `each` with every one of the ascending `known` that is not among the ascending `listed`.
fn for_absent<'a>(known: impl Iterator<Item = &'a u32>, listed: &[u32], mut each: impl FnMut(u32)) {
    let mut listed = listed.iter().peekable();
    for pid in known {
        while listed.next_if(|other| *other < pid).is_some() {}
        if listed.peek() != Some(&pid) {
            each(*pid);
        }
    }
}

/// Whether a new process is what a fork leaves until the program is executed: its parent's arguments, or none.
fn is_about_to_execute(root: &Root, stat: &Stat<'_>, line: &[u8]) -> bool {
    if State::of_letter(stat.state) == State::Zombie {
        return false;
    }
    let mut buffer = [0; LINE_BYTES];
    is_bare(line) || root.read_of(stat.parent, "cmdline", &mut buffer).is_ok_and(|parent| parent == line)
}

/// Reads arguments that are longer than the first look takes.
fn long_line(root: &Root, pid: u32, start: &[u8]) -> Option<CommandLine> {
    let mut buffer = vec![0; LONG_LINE_BYTES];
    cmdline::parse(root.read_of(pid, "cmdline", &mut buffer).unwrap_or(start))
}

fn is_bare(line: &[u8]) -> bool {
    line.iter().all(|byte| *byte == 0)
}

fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line);
    hasher.finish()
}
