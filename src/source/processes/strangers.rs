//! Processes that call themselves Campaign's and are not ours, counted by reason.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::owner::NotOurs;
use super::tracked::name;
use crate::parse::cmdline::{self, CommandLine};
use crate::parse::process::{Image, Stat};

/// The most processes that are not ours and are looked at again in each walk, for what they have become.
const REJUDGED: usize = 64;

/// The most modules of which it is remembered that whose they are is undecided.
const MAX_UNDECIDED: usize = 1_000;

/// A process that calls itself Campaign's and is not ours, as it was when that was decided.
pub(super) struct Stranger {
    pub(super) start_ticks: u64,
    pub(super) image: Image,
    pub(super) name: u128,
    pub(super) reason: NotOurs,
}

/// Every such process, counted by reason.
#[derive(Default)]
pub(super) struct Strangers {
    pub(super) list: BTreeMap<u32, Stranger>,
    pub(super) counts: [u64; NotOurs::ALL.len()],
    /// Which module and instance the undecided ones would be.
    pub(super) undecided: BTreeMap<u32, (Box<str>, Box<str>)>,
    /// Where the walk that looks at some of them again is.
    pub(super) at: u32,
}

impl Strangers {
    pub(super) fn insert(&mut self, stat: &Stat<'_>, line: &[u8], reason: NotOurs) {
        self.remove(stat.pid);
        self.counts[reason as usize] += 1;
        if reason == NotOurs::Undecided
            && self.undecided.len() < MAX_UNDECIDED
            && let Some(CommandLine { module, instance, .. }) = cmdline::parse(line)
        {
            self.undecided.insert(stat.pid, (module.into(), instance.into()));
        }
        let (start_ticks, image, name) = (stat.start_ticks, stat.image, name(stat.comm));
        self.list.insert(stat.pid, Stranger { start_ticks, image, name, reason });
    }

    pub(super) fn remove(&mut self, pid: u32) {
        if let Some(stranger) = self.list.remove(&pid) {
            self.counts[stranger.reason as usize] -= 1;
            self.undecided.remove(&pid);
        }
    }

    /// The next few, in turns.
    pub(super) fn next(&mut self) -> Vec<u32> {
        let after = self.list.range((Bound::Excluded(self.at), Bound::Unbounded));
        let pids: Vec<u32> = after.chain(self.list.range(..=self.at)).take(REJUDGED).map(|(pid, _)| *pid).collect();
        self.at = pids.last().copied().unwrap_or_default();
        pids
    }
}
