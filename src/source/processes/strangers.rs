//! Processes that call themselves Campaign's and are not ours, counted by reason.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::owner::NotOurs;
use super::tracked::name;
use crate::parse::cmdline::{self, CommandLine};
use crate::parse::process::{Image, Stat};

/// The most processes that are not ours and are looked at again in each walk, for what they have become.
const REJUDGED: usize = 64;

/// The most undecided processes of which it is remembered what they would be; any module may be among those beyond.
const MAX_UNDECIDED: usize = 1_000;

/// A process that calls itself Campaign's and is not ours, as it was when that was decided.
pub(super) struct Stranger {
    pub(super) start_ticks: u64,
    pub(super) image: Image,
    pub(super) name: u128,
    pub(super) reason: NotOurs,
    /// Whether it is undecided, and there is no room to remember which module it would be.
    is_beyond: bool,
}

/// Every such process, counted by reason.
#[derive(Default)]
pub(super) struct Strangers {
    pub(super) list: BTreeMap<u32, Stranger>,
    pub(super) counts: [u64; NotOurs::ALL.len()],
    /// Which module and instance the undecided ones would be.
    pub(super) undecided: BTreeMap<u32, (Box<str>, Box<str>)>,
    /// How many more undecided ones there are.
    pub(super) beyond: u64,
    /// Where the walk that looks at some of them again is.
    pub(super) at: u32,
}

impl Strangers {
    pub(super) fn insert(&mut self, stat: &Stat<'_>, line: &[u8], reason: NotOurs) {
        self.remove(stat.pid);
        self.counts[reason as usize] += 1;
        let mut is_beyond = false;
        if reason == NotOurs::Undecided
            && let Some(CommandLine { module, instance, .. }) = cmdline::parse(line)
        {
            is_beyond = self.undecided.len() >= MAX_UNDECIDED;
            if is_beyond {
                self.beyond += 1;
            } else {
                self.undecided.insert(stat.pid, (module.into(), instance.into()));
            }
        }
        let (start_ticks, image, name) = (stat.start_ticks, stat.image, name(stat.comm));
        self.list.insert(stat.pid, Stranger { start_ticks, image, name, reason, is_beyond });
    }

    pub(super) fn remove(&mut self, pid: u32) {
        if let Some(stranger) = self.list.remove(&pid) {
            self.counts[stranger.reason as usize] -= 1;
            self.undecided.remove(&pid);
            self.beyond -= u64::from(stranger.is_beyond);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::process as parse;

    /// Of `nlserver <module>@prod` with this process id.
    fn insert(strangers: &mut Strangers, pid: u32, module: &str) {
        let stat = format!("{pid} (nlserver) S{}", " 0".repeat(49));
        let line = format!("nlserver\0{module}\0-instance:prod\0");
        strangers.insert(&parse::stat(stat.as_bytes()).unwrap(), line.as_bytes(), NotOurs::Undecided);
    }

    #[test]
    fn undecided_processes_beyond_those_that_are_remembered_are_counted_until_they_end() {
        let mut strangers = Strangers::default();
        let most = u32::try_from(MAX_UNDECIDED).unwrap();
        for pid in 1..=most + 2 {
            insert(&mut strangers, pid, &format!("a{pid}"));
        }
        assert_eq!((strangers.undecided.len(), strangers.beyond), (MAX_UNDECIDED, 2));
        strangers.remove(1);
        assert_eq!(strangers.beyond, 2, "which ones those are is not remembered");
        insert(&mut strangers, most + 1, "mta");
        assert_eq!((strangers.undecided.len(), strangers.beyond), (MAX_UNDECIDED, 1), "looked at again");
        strangers.remove(most + 2);
        strangers.remove(most + 2);
        assert_eq!(strangers.beyond, 0);
        assert_eq!(strangers.counts[NotOurs::Undecided as usize], u64::from(most));
    }
}
