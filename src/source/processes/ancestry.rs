//! What the ancestors of a process show about it: the ancestors, the parent that it looks like until it executes a
//! program, and the first process of a container that the exporter may be alone in.

use super::ProcessState;
use super::tracked::is_bare;
use super::tracker::{LINE_BYTES, STAT_BYTES};
use crate::parse::process::{self as parse, Stat};
use crate::source::kit::ProcRoot;

/// Programs that run as the first process of a container, and start one other.
const CONTAINER_INITS: [&[u8]; 5] = [b"tini", b"docker-init", b"dumb-init", b"catatonit", b"pause"];

/// How many ancestors of a process are searched for the watchdog.
const MAX_ANCESTORS: usize = 16;

/// Whether `pid` or one of its ancestors is one of `wanted`.
pub(super) fn is_below(root: &ProcRoot, mut pid: u32, mut wanted: impl FnMut(u32) -> bool) -> bool {
    let mut buffer = [0; STAT_BYTES];
    for _ in 0..MAX_ANCESTORS {
        if pid == 0 || wanted(pid) {
            return pid != 0;
        }
        let Some(stat) = root.read_of(pid, "stat", &mut buffer).ok().and_then(parse::stat) else { return false };
        pid = stat.parent;
    }
    false
}

/// Whether a new process is what a fork leaves until the program is executed: its parent's arguments, or none.
pub(super) fn is_about_to_execute(root: &ProcRoot, stat: &Stat<'_>, line: &[u8]) -> bool {
    if ProcessState::of_letter(stat.state) == ProcessState::Zombie {
        return false;
    }
    let mut buffer = [0; LINE_BYTES];
    is_bare(line) || root.read_of(stat.parent, "cmdline", &mut buffer).is_ok_and(|parent| parent == line)
}

/// Whether the exporter's place in its process namespace shows that it can't see the rest of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seclusion {
    No,
    /// Its parent is the first process: yes, as long as there is no other process.
    ChildOfFirst,
    /// It is the first process, or the child of a container's init.
    Yes,
}

pub(super) fn seclusion(root: &ProcRoot) -> Seclusion {
    let mut buffer = [0; STAT_BYTES];
    let Some((pid, parent)) =
        root.read("self/stat", &mut buffer).ok().and_then(parse::stat).map(|stat| (stat.pid, stat.parent))
    else {
        return Seclusion::No;
    };
    let init = root.read_of(1, "comm", &mut buffer).unwrap_or_default().trim_ascii_end();
    match parent {
        _ if pid == 1 => Seclusion::Yes,
        1 if CONTAINER_INITS.contains(&init) => Seclusion::Yes,
        1 => Seclusion::ChildOfFirst,
        _ => Seclusion::No,
    }
}
