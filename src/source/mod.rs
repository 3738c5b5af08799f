//! The only code that touches the machine: files, processes, sockets. Knows what is there, not what is healthy.

pub mod background;
pub mod crash;
mod folder;
pub mod http;
pub mod indicators;
pub mod installation;
pub mod own;
pub mod positions;
pub mod probes;
pub mod processes;
pub mod sockets;
pub mod spool;
pub mod tailer;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

pub use folder::Miss;

/// Options that open at once, be it a FIFO without another end, and that take no terminal over.
fn without_waiting() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    options
}

/// Does `work` on a thread to which the modes of files apply, also where the tests run as the superuser.
#[cfg(test)]
pub(crate) fn as_plain_user<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let plain = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(plain).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
