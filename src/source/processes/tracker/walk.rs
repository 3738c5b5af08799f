//! A walk: the numbers of every known process, and what its group used since the last look.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{IO_BYTES, LookResult, STAT_BYTES, Tracker, Why, lose};
use crate::parse::process::{self as parse, Stat};
use crate::source::kit::proc_root::size;
use crate::source::kit::{Miss, ProcRoot};
use crate::source::processes::ancestry::Seclusion;
use crate::source::processes::ending::{CpuTicks, share_out};
use crate::source::processes::groups::ProcessMoment;
use crate::source::processes::kept::{Kept, REREAD};
use crate::source::processes::thread::LivingThread;
use crate::source::processes::tracked::{children_ticks, own_ticks};
use crate::source::processes::{Process, ProcessState, ProcessTable};

/// The most bytes of `limits`.
const LIMITS_BYTES: usize = 8192;

impl Tracker {
    /// Adds what a process used since the last look to its group.
    pub(super) fn account(&mut self, root: &ProcRoot, pid: u32, stat: &Stat<'_>, now: Instant, why: Why) {
        let Some(process) = self.campaign.get_mut(&pid) else { return };
        let Some(group) = process.group.and_then(|group| self.groups.get_mut(group)) else { return };
        let totals = &mut group.totals;
        process.parent = stat.parent;
        let more = own_ticks(stat).beyond(process.used);
        process.used = process.used.plus(more);
        self.ticks.add(totals, more);
        let more = children_ticks(stat).beyond(process.children);
        if more != CpuTicks::default() {
            process.children = process.children.plus(more);
            let gained = self.gained.entry(pid).or_default();
            *gained = gained.plus(more);
        }
        let mut buffer = [0; IO_BYTES];
        match self.kept.read(&mut process.io_file, now, || root.open_of(pid, "io"), &mut buffer).map(parse::io) {
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

    /// Samples, and reads every known process.
    pub(in crate::source::processes) fn walk(&mut self, root: &ProcRoot, now: Instant) -> ProcessTable {
        self.sample(root, now);
        self.rejudge(root, now);
        let wall = SystemTime::now();
        if self.ticks.boot.refresh(root, now, wall).is_none() {
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
                && self.look(root, *pid, now, Why::New) == LookResult::Newcomer
            {
                // Its id is already another process's.
                measured = self.measure(root, *pid, now);
            }
            processes.extend(measured);
        }
        self.pids = pids;
        for (group, ticks) in share_out(&mut self.ended, &mut self.gained) {
            if let Some(group) = self.groups.get_mut(group) {
                self.ticks.add(&mut group.totals, ticks);
            }
        }
        self.groups.note_seen(wall.duration_since(UNIX_EPOCH).unwrap_or_default());
        self.groups.forget_idle(now);
        let (groups, places) = self.groups.in_order();
        for process in &mut processes {
            process.group = places.get(process.group).copied().unwrap_or_default();
        }
        ProcessTable {
            groups,
            processes,
            hidden: self.is_secluded() || self.are_hidden(root, now),
            seen: self.seen,
            ignored: self.strangers.counts,
            undecided: self.strangers.undecided.values().cloned().collect(),
            undecided_beyond: self.strangers.beyond,
            losses: std::mem::take(&mut self.losses),
            failure: self.failure.clone(),
        }
    }

    /// Whether the exporter is alone in its process namespace: a container of its own.
    fn is_secluded(&self) -> bool {
        match self.seclusion {
            Seclusion::No => false,
            Seclusion::ChildOfFirst => self.others.len() + self.campaign.len() <= 2,
            Seclusion::Yes => true,
        }
    }

    /// Whether `/proc` hides processes that may be ours. A user who is Campaign's is shown all of them.
    fn are_hidden(&mut self, root: &ProcRoot, now: Instant) -> bool {
        let own = rustix::process::geteuid();
        root.check_of(1, "stat").is_err() && (own.is_root() || !self.owner.is_user(own.as_raw(), now))
    }

    /// Reads one process and adds it to its group's moment. None when it is not there, or held back.
    fn measure(&mut self, root: &ProcRoot, pid: u32, now: Instant) -> Option<Process> {
        let mut buffer = [0; STAT_BYTES];
        let process = self.campaign.get_mut(&pid)?;
        process.group?;
        let read = self.kept.read(&mut process.stat_file, now, || root.open_of(pid, "stat"), &mut buffer);
        let stat = match read.map(parse::stat) {
            Ok(Some(stat)) if stat.start_ticks == process.start_ticks => stat,
            Ok(Some(_)) | Err(Miss::Gone | Miss::NotAFile) => {
                self.forget(pid, now);
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
        let shown = LivingThread::of(root, &stat, &mut self.entries);
        let state = shown.state;
        let idle = own_ticks(&stat) == process.used;
        process.waiting_since =
            (state == ProcessState::Waiting).then(|| process.waiting_since.filter(|_| idle).unwrap_or(now));
        self.look_again(root, &stat, now, Why::Walk);
        let open_descriptors = match state {
            ProcessState::Zombie => None,
            _ => self.descriptors(root, pid, &shown.thread, now),
        };
        let process = self.campaign.get_mut(&pid)?;
        let group = process.group?;
        let moment = ProcessMoment {
            state,
            start: self.ticks.moment(stat.start_ticks),
            resident_bytes: shown.resident_pages.saturating_mul(self.ticks.page_bytes),
            virtual_bytes: shown.virtual_bytes,
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
    fn descriptors(&mut self, root: &ProcRoot, pid: u32, thread: &str, now: Instant) -> Option<u64> {
        let process = self.campaign.get_mut(&pid)?;
        if now >= process.limit_due {
            let mut buffer = [0; LIMITS_BYTES];
            // Spread, so that not all of them fall into the same scrape.
            process.limit_due = now + REREAD + Duration::from_secs(u64::from(pid % 64));
            match root.read_of(pid, "limits", &mut buffer).map(parse::open_files_limit) {
                Ok(Some(limit)) => process.limit = limit,
                Ok(None) => self.losses.broken += 1,
                Err(miss) => lose(&mut self.losses, miss),
            }
        }
        let counted = if self.abilities.counts_descriptors && thread.is_empty() {
            self.kept.with(&mut process.descriptors, now, || root.handle_of(pid, "fd"), |handle| size(handle))
        } else {
            match process.descriptors {
                Kept::Denied(until) if now < until => Err(Miss::Denied),
                _ => root.entries_of(pid, &format!("{thread}fd"), &mut self.entries),
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
}
