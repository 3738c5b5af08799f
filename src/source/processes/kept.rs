//! Files of processes that are kept open from one look to the next, within a budget of descriptors.
//!
//! `tracker` chooses the files.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::source::kit::Miss;
use crate::source::kit::proc_root::read_again;

/// How often what changes rarely is read again: limits, the machine's start, files that were denied.
pub(super) const REREAD: Duration = Duration::from_secs(300);

/// A file of a process.
#[derive(Debug, Default)]
pub(super) enum Kept {
    /// Opened for each read.
    #[default]
    Closed,
    Open(OwnedFd),
    /// Not tried again before that time.
    Denied(Instant),
}

/// Keeps files open as long as the budget allows.
pub(super) struct KeptFiles {
    pub(super) keeps: bool,
    pub(super) budget: usize,
}

impl KeptFiles {
    /// Reads a file, and keeps it open when it may.
    pub(super) fn read<'b>(
        &mut self,
        kept: &mut Kept,
        now: Instant,
        open: impl FnOnce() -> Result<OwnedFd, Miss>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], Miss> {
        self.with(kept, now, open, |file| read_again(file, buffer))
    }

    /// Asks a file with `read`, and keeps it open when it may.
    pub(super) fn with<T>(
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
    pub(super) fn release(&mut self, files: [&Kept; 3]) {
        self.budget += files.iter().filter(|file| matches!(file, Kept::Open(_))).count();
    }
}
