//! Which processes are Campaign's, and what they used: what is remembered between two looks at `/proc`.
//!
//! Follows processes through fork, exec, exit and the reuse of process ids. `owner` decides whose a process is, once
//! for each program that it executes.
//!
//! # How new processes are found
//! `loadavg` has the process id that the kernel handed out last. While it stays the same no process is new and nothing
//! is listed; when it has moved a little, only the ids in between are tried; else `/proc` is listed. Ids that were
//! handed out are looked at even when they were known: that is how a reused id is noticed. At intervals everything is
//! listed anyway. Where the kernel's answer can't be trusted (another process namespace, a tree of plain files) `/proc`
//! is listed each time.
//!
//! # What is looked at twice
//! A forked process has the name and the arguments of its parent until it executes a program, mostly at once. So every
//! new process is looked at again for [`FRESH`]. One that looks just like its parent, or shows no arguments although it
//! lives, is held back until the next sample. A later `execve` of a Campaign process shows by the addresses of its
//! program in `stat`; of any other process by its arguments, which are read again in turn, of some at every fourth sample.

mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ancestry::{Seclusion, is_about_to_execute, is_below, seclusion};
use super::ending::{CpuTicks, Ended};
use super::environment::RunningWatchdog;
use super::groups::Groups;
use super::kept::KeptFiles;
use super::owner::{NamedProcess, NotOurs, Ownership};
use super::strangers::Strangers;
use super::thread::LivingThread;
use super::ticks::Ticks;
use super::tracked::{Tracked, hash, is_bare, name};
use super::{ListingFailure, ReadLosses};
use crate::catalog::Kind;
use crate::catalog::modules::{DEFAULT_INSTANCE, WATCHDOG, residents};
use crate::parse::cmdline::{self, CommandLine};
use crate::parse::process::{self as parse, Stat};
use crate::source::installation::Installation;
use crate::source::kit::proc_root::{Abilities, last_pid};
use crate::source::kit::{BootTime, Miss, ProcRoot};

/// The name of Campaign's processes.
const EXECUTABLE: &[u8] = b"nlserver";

/// The module of a process that shows no arguments.
const UNKNOWN: &str = "unknown";

/// The most bytes of `stat`, of `io`, of the first look at the arguments, and of all arguments.
pub(super) const STAT_BYTES: usize = 2048;
const IO_BYTES: usize = 1024;
pub(super) const LINE_BYTES: usize = 4096;
const LONG_LINE_BYTES: usize = 256 * 1024;

/// How long a new process is looked at again at each sample.
const FRESH: Duration = Duration::from_secs(3);

/// How long, at least, a process is held back that looks just like its parent.
const HOLD: Duration = Duration::from_millis(200);

/// How often everything is listed although nothing shows a new process.
const RELIST: Duration = Duration::from_secs(60);

/// One sample in so many rechecks some of the processes that are not Campaign's.
const RECHECK_EVERY: usize = 4;

/// After so many rechecks every one of them has been looked at.
const RECHECK_ROUND: usize = 75;

/// How many entries a recheck visits at most, kernel threads included.
const RECHECK_STEPS: usize = 1024;

/// Listing one process id costs about 1/16 of a `stat()`.
const LISTED_PER_TRY: usize = 16;

/// A new process has its id shortly before it can be seen in `/proc`: this many of the last ids are tried once more.
const UNBORN: u32 = 64;

/// Everything known of the processes below a root.
pub(super) struct Tracker {
    abilities: Abilities,
    installation: Arc<Installation>,
    owner: Ownership,
    ticks: Ticks,
    born: Option<Born>,
    /// When everything was listed last; none before the first time.
    listed: Option<Instant>,
    /// Boxed: a map has room for twice as many as it holds.
    campaign: BTreeMap<u32, Box<Tracked>>,
    /// Rises when a process of Campaign comes, goes or becomes another module's.
    changes: u64,
    /// Processes that call themselves Campaign's and are not ours; `others` has them too.
    strangers: Strangers,
    others: BTreeMap<u32, Nature>,
    fresh: Vec<Fresh>,
    unborn: Vec<u32>,
    samples: usize,
    /// The process that was rechecked last.
    rechecked: u32,
    groups: Groups,
    seen: bool,
    seclusion: Seclusion,
    /// Processes that have ended, until what they used last is added to their parents' times.
    ended: Vec<Ended>,
    /// What parents got of children since the last walk.
    gained: BTreeMap<u32, CpuTicks>,
    kept: KeptFiles,
    /// Since the last walk.
    losses: ReadLosses,
    failure: Option<ListingFailure>,
    /// Buffers, kept to be used again.
    pids: Vec<u32>,
    entries: Box<[MaybeUninit<u8>]>,
}

/// The process ids as the kernel hands them out.
struct Born {
    loadavg: OwnedFd,
    last: u32,
}

/// A process that shows what others have too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Representative {
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
    /// Whether its module runs all the time.
    pub(super) is_resident: bool,
}

/// Why a process is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It was there when the exporter started.
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
enum LookResult {
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
    /// It may execute Campaign's program later. What its arguments were, where they have been read.
    User(Option<u64>),
    /// It never executes anything.
    Kernel,
}

#[derive(Clone, Copy)]
struct Fresh {
    pid: u32,
    since: Instant,
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
    /// A tracker that has seen no process yet.
    pub(super) fn new(root: &ProcRoot, abilities: Abilities, budget: usize) -> Tracker {
        let loadavg = abilities.tells_last_pid.then(|| root.open_file("loadavg").ok()).flatten();
        Tracker {
            abilities,
            installation: Arc::default(),
            owner: Ownership::new(abilities.keeps),
            ticks: Ticks {
                ticks_per_second: rustix::param::clock_ticks_per_second().max(1),
                page_bytes: rustix::param::page_size() as u64,
                boot: BootTime::default(),
            },
            born: loadavg.map(|loadavg| Born { loadavg, last: 0 }),
            listed: None,
            campaign: BTreeMap::new(),
            changes: 0,
            strangers: Strangers::default(),
            others: BTreeMap::new(),
            fresh: Vec::new(),
            unborn: Vec::new(),
            samples: 0,
            rechecked: 0,
            groups: Groups::default(),
            seen: false,
            seclusion: if abilities.keeps { seclusion(root) } else { Seclusion::No },
            ended: Vec::new(),
            gained: BTreeMap::new(),
            kept: KeptFiles { keeps: abilities.keeps, budget },
            losses: ReadLosses::default(),
            failure: None,
            pids: Vec::new(),
            entries: Box::new_uninit_slice(32 * 1024),
        }
    }

    /// Sets the installation that is ours.
    pub(super) fn set_installation(&mut self, installation: &Arc<Installation>) {
        if Arc::ptr_eq(installation, &self.installation) {
            return;
        }
        self.installation = Arc::clone(installation);
        self.groups.set_configured(installation.instances.keys().cloned().collect());
        // One that is not known for a moment is still where it was.
        let Some(home) = installation.home.as_deref() else { return };
        let is_another = self.owner.home() != Some(home);
        if is_another {
            self.owner.set_home(home);
        }
        self.owner.set_var(installation.var.as_deref(), Instant::now());
        if !is_another {
            return;
        }
        self.changes += 1;
        for process in std::mem::take(&mut self.campaign).values() {
            self.kept.release(process.files());
        }
        self.strangers = Strangers::default();
        self.others.clear();
        self.fresh.clear();
        self.unborn.clear();
        self.groups = Groups::default();
        self.groups.set_configured(installation.instances.keys().cloned().collect());
        self.seen = false;
        self.listed = None;
        self.ended.clear();
        self.gained.clear();
    }

    /// Looks at what is new.
    pub(super) fn sample(&mut self, root: &ProcRoot, now: Instant) {
        let fresh = std::mem::take(&mut self.fresh);
        let unborn = std::mem::take(&mut self.unborn);
        // Read before the listing: what starts in between is seen the next time, perhaps twice, but never missed.
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
                    if self.look(root, pid, now, Why::New) == LookResult::Nothing {
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
            if found == LookResult::Process && now.saturating_duration_since(process.since) < FRESH {
                self.fresh.push(process);
            }
        }
        self.samples = self.samples.wrapping_add(1);
        if self.samples.is_multiple_of(RECHECK_EVERY) {
            self.recheck(root, now);
        }
    }

    /// Lists everything, and looks at what is not known or was handed out again.
    fn list(&mut self, root: &ProcRoot, now: Instant, handed: Option<Handed>) {
        let mut pids = std::mem::take(&mut self.pids);
        match root.list(&mut pids, &mut self.entries) {
            Ok(()) => self.failure = None,
            Err(miss) => {
                let denied = miss == Miss::Denied;
                let remedy =
                    if denied { "let the exporter's user list it" } else { "check that proc is mounted there" };
                let path = root.path().display();
                let message = format!("{path}: processes can't be listed; {remedy}, or set --path.procfs");
                self.failure = Some(ListingFailure { denied, message });
                self.listed = None;
                self.pids = pids;
                return;
            }
        }
        let why = if self.listed.replace(now).is_none() { Why::Before } else { Why::New };
        let mut ended = Vec::new();
        for_absent(self.campaign.keys(), &pids, |pid| ended.push(pid));
        for pid in ended.drain(..) {
            self.forget(pid, now);
        }
        for_absent(self.others.keys(), &pids, |pid| ended.push(pid));
        for pid in ended {
            self.forget_other(pid);
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
    fn recheck(&mut self, root: &ProcRoot, now: Instant) {
        let mut pids = std::mem::take(&mut self.pids);
        pids.clear();
        let wanted = self.others.len().div_ceil(RECHECK_ROUND);
        let mut steps = 0;
        for (pid, nature) in self.others.range((Bound::Excluded(self.rechecked), Bound::Unbounded)).take(RECHECK_STEPS)
        {
            steps += 1;
            self.rechecked = *pid;
            if *nature != Nature::Kernel {
                pids.push(*pid);
            }
            if pids.len() >= wanted {
                break;
            }
        }
        if steps == 0 {
            self.rechecked = 0;
        }
        for pid in &pids {
            self.look(root, *pid, now, Why::Again);
        }
        self.pids = pids;
    }

    /// Looks at one process.
    fn look(&mut self, root: &ProcRoot, pid: u32, now: Instant, why: Why) -> LookResult {
        let mut buffer = [0; STAT_BYTES];
        if let Some(process) = self.campaign.get_mut(&pid) {
            let read = self.kept.read(&mut process.stat_file, now, || root.open_of(pid, "stat"), &mut buffer);
            match read.map(parse::stat) {
                Ok(Some(stat)) if stat.start_ticks == process.start_ticks => {
                    self.look_again(root, &stat, now, why);
                    return LookResult::Process;
                }
                // It ended. Another may have its id already.
                Ok(Some(_)) | Err(Miss::Gone | Miss::NotAFile) => self.forget(pid, now),
                Ok(None) | Err(Miss::Denied | Miss::Limit | Miss::Failed) => return LookResult::Process,
            }
        }
        if why == Why::Again && self.abilities.keeps && self.is_unchanged(root, pid) {
            return LookResult::Process;
        }
        let bytes = match root.read_of(pid, "stat", &mut buffer) {
            Ok(bytes) => bytes,
            Err(Miss::Gone | Miss::NotAFile) => {
                self.forget_other(pid);
                return LookResult::Nothing;
            }
            // Hidden: the table says so as a whole.
            Err(Miss::Denied) => {
                self.others.insert(pid, Nature::User(None));
                return LookResult::Process;
            }
            Err(Miss::Limit | Miss::Failed) => {
                self.losses.broken += 1;
                return LookResult::Process;
            }
        };
        let Some(stat) = parse::stat(bytes) else {
            self.losses.broken += 1;
            self.others.insert(pid, Nature::User(None));
            return LookResult::Process;
        };
        // Threads have ids too, and files below /proc although they are not listed.
        if stat.is_inner_thread() {
            return LookResult::Process;
        }
        if stat.is_kernel_thread() {
            self.others.insert(pid, Nature::Kernel);
            return LookResult::Process;
        }
        self.meet(root, &stat, now, why)
    }

    /// Whether a process that is none of Campaign's still has the arguments that it had. Reads its name where they were not
    /// known: most processes stay what they are.
    fn is_unchanged(&mut self, root: &ProcRoot, pid: u32) -> bool {
        let Some(Nature::User(known)) = self.others.get(&pid).copied() else { return false };
        if self.strangers.list.contains_key(&pid) {
            return false;
        }
        let mut buffer = [0; LINE_BYTES];
        let line = match root.read_of(pid, "cmdline", &mut buffer) {
            Ok(line) => line,
            Err(miss) => return miss == Miss::Denied,
        };
        let now = Some(hash(line));
        if known == now || cmdline::is_campaigns(line) {
            return known == now;
        }
        let has_another_name =
            root.read_of(pid, "comm", &mut buffer).is_ok_and(|comm| comm.trim_ascii_end() != EXECUTABLE);
        if has_another_name {
            self.others.insert(pid, Nature::User(now));
        }
        has_another_name
    }

    /// A process that was not known, or has changed: Campaign's by its name or its first argument, or another's.
    fn meet(&mut self, root: &ProcRoot, stat: &Stat<'_>, now: Instant, why: Why) -> LookResult {
        let pid = stat.pid;
        let is_named = stat.comm == EXECUTABLE;
        // The arguments of a process that has just been born are its parent's: they are read at the next sample.
        if !is_named && why == Why::New {
            return self.pass(pid, None, now, why);
        }
        let LivingThread { thread, .. } = LivingThread::of(root, stat, &mut self.entries);
        let mut buffer = [0; LINE_BYTES];
        let line = match root.read_of(pid, &format!("{thread}cmdline"), &mut buffer) {
            Ok(line) => line,
            Err(Miss::Gone | Miss::NotAFile) => return LookResult::Nothing,
            Err(miss) => {
                self.lose(miss);
                &[]
            }
        };
        if !is_named && !cmdline::is_campaigns(line) || cmdline::parse(line).is_some_and(|line| line.starts_nothing) {
            return self.pass(pid, Some(hash(line)), now, why);
        }
        match self.decide(root, stat, &thread, line, now) {
            Ok(()) => {}
            Err(None) => return LookResult::Nothing,
            Err(Some(reason)) => {
                let result = self.pass(pid, Some(hash(line)), now, why);
                self.strangers.insert(stat, line, reason);
                return result;
            }
        }
        self.forget_other(pid);
        self.seen = true;
        self.changes += 1;
        self.campaign.insert(pid, Box::new(Tracked::new(stat, line, now, why != Why::Before)));
        self.fresh.push(Fresh { pid, since: now });
        if !(why != Why::Before && is_about_to_execute(root, stat, line)) {
            self.settle(root, stat, &thread, line, now, why != Why::Before);
            self.account(root, pid, stat, now, Why::New);
        }
        LookResult::Newcomer
    }

    /// A process that is not ours, with what is known of its arguments.
    fn pass(&mut self, pid: u32, line: Option<u64>, now: Instant, why: Why) -> LookResult {
        self.strangers.remove(pid);
        self.others.insert(pid, Nature::User(line));
        if why != Why::Again {
            self.fresh.push(Fresh { pid, since: now });
        }
        LookResult::Process
    }

    /// Whether a process that calls itself Campaign's is ours.
    fn decide(
        &mut self,
        root: &ProcRoot,
        stat: &Stat<'_>,
        thread: &str,
        line: &[u8],
        now: Instant,
    ) -> Result<(), Option<NotOurs>> {
        let has_our_parent = self.campaign.contains_key(&stat.parent);
        let candidate = NamedProcess { root, pid: stat.pid, thread, line, has_our_parent };
        let (campaign, groups) = (&self.campaign, &self.groups);
        let is_watchdog = |pid: u32| {
            let group = campaign.get(&pid).and_then(|process| groups.get(process.group?));
            group.is_some_and(|group| *group.module == *WATCHDOG.name)
        };
        self.owner.decide(candidate, || is_below(root, stat.parent, is_watchdog), now)
    }

    /// A known process, at another look: what it used is counted, and what it became is noticed.
    fn look_again(&mut self, root: &ProcRoot, stat: &Stat<'_>, now: Instant, why: Why) {
        let pid = stat.pid;
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let told = process.image.is_known() && stat.image.is_known();
        if !process.image.is_known() {
            process.image = stat.image;
        }
        let moved = told && process.image != stat.image;
        let name = name(stat.comm);
        let renamed = std::mem::replace(&mut process.name, name) != name;
        let is_held = process.group.is_none();
        // Without the image, other arguments in a young process mean another program; later they are a new title.
        let may_have_changed = is_held || moved || (!told && renamed) || (why == Why::Again && (process.bare || !told));
        if may_have_changed && !stat.has_lost_first_thread() {
            let mut buffer = [0; LINE_BYTES];
            match root.read_of(pid, "cmdline", &mut buffer) {
                Ok(line)
                    if stat.comm != EXECUTABLE
                        && !cmdline::is_campaigns(line)
                        && (is_held || moved || !is_bare(line)) =>
                {
                    return self.dismiss(stat, line, None, now);
                }
                Ok(line) => self.reconsider(root, stat, line, moved, now),
                Err(Miss::Gone | Miss::NotAFile) => return self.forget(pid, now),
                Err(miss) => {
                    self.lose(miss);
                    self.reconsider(root, stat, &[], moved, now);
                }
            }
        }
        self.account(root, pid, stat, now, why);
    }

    /// A known process, whose arguments may tell another group than before.
    fn reconsider(&mut self, root: &ProcRoot, stat: &Stat<'_>, line: &[u8], moved: bool, now: Instant) {
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
        if cmdline::parse(line).is_some_and(|line| line.starts_nothing) {
            return self.dismiss(stat, line, None, now);
        }
        match self.decide(root, stat, "", line, now) {
            Ok(()) => {}
            Err(None) => return self.forget(pid, now),
            Err(reason) => return self.dismiss(stat, line, reason, now),
        }
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let starts = process.born || (moved && process.group.is_some());
        process.image = stat.image;
        self.settle(root, stat, "", line, now, starts);
    }

    /// A known process that has become something else.
    fn dismiss(&mut self, stat: &Stat<'_>, line: &[u8], reason: Option<NotOurs>, now: Instant) {
        self.release(stat.pid, now);
        self.others.insert(stat.pid, Nature::User(Some(hash(line))));
        if let Some(reason) = reason {
            self.strangers.insert(stat, line, reason);
        }
    }

    /// Looks again at a few of the processes that are not ours although they call themselves so.
    fn rejudge(&mut self, root: &ProcRoot, now: Instant) {
        let mut buffer = [0; STAT_BYTES];
        for pid in self.strangers.next() {
            let Some(stranger) = self.strangers.list.get(&pid) else { continue };
            let is_same = match root.read_of(pid, "stat", &mut buffer).map(parse::stat) {
                Ok(Some(stat)) => {
                    let now = (stat.start_ticks, stat.image, name(stat.comm));
                    now == (stranger.start_ticks, stranger.image, stranger.name)
                }
                Ok(None) => true,
                Err(miss) => miss != Miss::Gone,
            };
            if !is_same || stranger.reason == NotOurs::Undecided {
                self.look(root, pid, now, Why::Again);
            }
        }
    }

    /// Puts a process into the group that its arguments tell.
    fn settle(&mut self, root: &ProcRoot, stat: &Stat<'_>, thread: &str, line: &[u8], now: Instant, starts: bool) {
        let pid = stat.pid;
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let arguments = if line.len() < LINE_BYTES { cmdline::parse(line) } else { long_line(root, pid, thread, line) };
        let arguments = arguments.map(Arc::new);
        let (module, instance) =
            arguments.as_ref().map_or((UNKNOWN, DEFAULT_INSTANCE), |line| (&line.module, &line.instance));
        let group = self.groups.join(module, instance);
        let before = process.group.replace(group);
        self.changes += 1;
        if starts
            && before != Some(group)
            && let Some(group) = self.groups.get_mut(group)
        {
            group.totals.starts += 1;
        }
        if let Some(before) = before {
            self.groups.leave(before, now);
        }
        process.line = hash(line);
        process.bare = is_bare(line);
        // Compared with no configured arguments: whether they raise the precision.
        process.precision = arguments.filter(|line| line.raised_precision(""));
        if !process.born {
            // What it did before the exporter started is not counted: the counters would jump when the exporter
            // restarts.
            let mut buffer = [0; IO_BYTES];
            let read = self.kept.read(&mut process.io_file, now, || root.open_of(pid, "io"), &mut buffer);
            process.io = read.ok().and_then(parse::io).unwrap_or_default();
        }
    }

    /// How many processes of a group have started.
    #[cfg(test)]
    pub(super) fn starts(&self, module: &str, instance: &str) -> u64 {
        self.groups.totals(module, instance).starts
    }

    /// A process has ended.
    fn forget(&mut self, pid: u32, now: Instant) {
        let Some(process) = self.release(pid, now) else { return };
        if let Some(group) = process.group
            && self.campaign.contains_key(&process.parent)
        {
            let known = process.used.plus(process.children);
            self.ended.push(Ended { parent: process.parent, group, known, is_late: false });
        }
    }

    fn release(&mut self, pid: u32, now: Instant) -> Option<Tracked> {
        let process = self.campaign.remove(&pid)?;
        self.changes += 1;
        self.gained.remove(&pid);
        self.kept.release(process.files());
        if let Some(group) = process.group {
            self.groups.leave(group, now);
        }
        Some(*process)
    }

    /// A number that is another one when the processes of Campaign are others.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// At most `most` processes that represent all: the watchdog's first, then those of modules that run all the time.
    pub(super) fn representatives(&self, most: usize) -> Vec<Representative> {
        let mut ranked = Vec::new();
        for (pid, process) in &self.campaign {
            let Some(group) = process.group.and_then(|group| self.groups.get(group)) else { continue };
            let kind = residents().find(|(name, _)| *name == &*group.module).map(|(_, kind)| kind);
            let start_ticks = process.start_ticks;
            let one = Representative { pid: *pid, start_ticks, is_resident: kind.is_some() };
            ranked.push((kind != Some(Kind::Watchdog), !one.is_resident, one));
        }
        ranked.sort_by_key(|(is_after, is_last, _)| (*is_after, *is_last));
        ranked.into_iter().map(|(_, _, one)| one).take(most).collect()
    }

    /// The instances of which a process was seen.
    pub(super) fn instances(&self) -> BTreeSet<Arc<str>> {
        self.groups.instances()
    }

    /// The running watchdog: the one that started first.
    pub(super) fn watchdog(&self) -> Option<RunningWatchdog> {
        let is_watchdog = |process: &Tracked| {
            let group = process.group.and_then(|group| self.groups.get(group));
            group.is_some_and(|group| *group.module == *WATCHDOG.name)
        };
        let start_ticks =
            self.campaign.values().filter(|process| is_watchdog(process)).map(|process| process.start_ticks).min()?;
        Some(RunningWatchdog { start_ticks, start: self.ticks.moment(start_ticks)? })
    }

    fn forget_other(&mut self, pid: u32) {
        self.others.remove(&pid);
        self.strangers.remove(pid);
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

/// Reads arguments that are longer than the first look takes.
fn long_line(root: &ProcRoot, pid: u32, thread: &str, start: &[u8]) -> Option<CommandLine> {
    let mut buffer = vec![0; LONG_LINE_BYTES];
    cmdline::parse(root.read_of(pid, &format!("{thread}cmdline"), &mut buffer).unwrap_or(start))
}
