//! What is remembered of one process of Campaign between two looks at it.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Instant;

use super::ending::CpuTicks;
use super::groups::GroupId;
use super::kept::Kept;
use crate::parse::cmdline::CommandLine;
use crate::parse::process::{Image, Io, Stat};

/// A process of Campaign.
pub(super) struct Tracked {
    pub(super) start_ticks: u64,
    pub(super) image: Image,
    /// None while it is held back.
    pub(super) group: Option<GroupId>,
    pub(super) since: Instant,
    /// Whether it started while the exporter ran.
    pub(super) born: bool,
    /// Its name as it was last.
    pub(super) name: u128,
    /// The hash of its arguments as they were when it got its group.
    pub(super) line: u64,
    /// Whether it showed no arguments then.
    pub(super) bare: bool,
    pub(super) precision: Option<Arc<CommandLine>>,
    pub(super) parent: u32,
    pub(super) used: CpuTicks,
    /// What its children used that it has waited for.
    pub(super) children: CpuTicks,
    pub(super) io: Io,
    pub(super) waiting_since: Option<Instant>,
    pub(super) limit: Option<u64>,
    pub(super) limit_due: Instant,
    pub(super) stat_file: Kept,
    pub(super) io_file: Kept,
    pub(super) descriptors: Kept,
}

impl Tracked {
    /// A process that is held back. What it did before it was born counts for nothing.
    pub(super) fn new(stat: &Stat<'_>, line: &[u8], now: Instant, born: bool) -> Tracked {
        Tracked {
            start_ticks: stat.start_ticks,
            image: stat.image,
            group: None,
            since: now,
            born,
            name: name(stat.comm),
            line: hash(line),
            bare: is_bare(line),
            precision: None,
            parent: stat.parent,
            used: if born { CpuTicks::default() } else { own_ticks(stat) },
            children: children_ticks(stat),
            io: Io::default(),
            waiting_since: None,
            limit: None,
            limit_due: now,
            stat_file: Kept::Closed,
            io_file: Kept::Closed,
            descriptors: Kept::Closed,
        }
    }

    pub(super) fn files(&self) -> [&Kept; 3] {
        [&self.stat_file, &self.io_file, &self.descriptors]
    }
}

pub(super) fn own_ticks(stat: &Stat<'_>) -> CpuTicks {
    CpuTicks { user: stat.user_ticks, system: stat.system_ticks }
}

pub(super) fn children_ticks(stat: &Stat<'_>) -> CpuTicks {
    CpuTicks { user: stat.children_user_ticks, system: stat.children_system_ticks }
}

/// The name of a process, of at most 15 bytes, as one value.
pub(super) fn name(comm: &[u8]) -> u128 {
    comm.iter().take(16).fold(0, |name, byte| name << 8 | u128::from(*byte))
}

pub(super) fn is_bare(line: &[u8]) -> bool {
    line.iter().all(|byte| *byte == 0)
}

pub(super) fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line);
    hasher.finish()
}
