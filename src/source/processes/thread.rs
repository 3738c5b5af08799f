//! The thread that represents a process.

use std::mem::MaybeUninit;

use super::ProcessState;
use super::tracker::STAT_BYTES;
use crate::parse::process::{self as parse, Stat};
use crate::source::kit::ProcRoot;

/// What the kernel shows of a process's first thread, or, where that has ended while others work, of one of those.
pub(super) struct LivingThread {
    /// Below which folder of the process that is: its own (`""`), or `task/TID/`.
    pub(super) thread: String,
    pub(super) state: ProcessState,
    pub(super) resident_pages: u64,
    pub(super) virtual_bytes: u64,
}

impl LivingThread {
    pub(super) fn new(thread: String, stat: &Stat<'_>) -> LivingThread {
        let Stat { resident_pages, virtual_bytes, .. } = *stat;
        LivingThread { thread, state: ProcessState::of_letter(stat.state), resident_pages, virtual_bytes }
    }

    pub(super) fn of(root: &ProcRoot, stat: &Stat<'_>, entries: &mut [MaybeUninit<u8>]) -> LivingThread {
        let living =
            if stat.has_lost_first_thread() { LivingThread::of_another(root, stat.pid, entries) } else { None };
        living.unwrap_or_else(|| LivingThread::new(String::new(), stat))
    }

    pub(super) fn of_another(root: &ProcRoot, pid: u32, entries: &mut [MaybeUninit<u8>]) -> Option<LivingThread> {
        let mut threads = Vec::new();
        root.numbers_of(pid, "task", &mut threads, entries).ok()?;
        let mut buffer = [0; STAT_BYTES];
        threads.into_iter().filter(|thread| *thread != pid).find_map(|thread| {
            let thread = format!("task/{thread}/");
            let stat = parse::stat(root.read_of(pid, &format!("{thread}stat"), &mut buffer).ok()?)?;
            Some(LivingThread::new(thread, &stat)).filter(|shown| shown.state != ProcessState::Zombie)
        })
    }
}
