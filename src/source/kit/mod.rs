//! What all sources share: why something could not be read, bounded reading, the root of `/proc`, work in the
//! background, and a log line only when something changes.
//!
//! Depends on the operating system, not on Campaign, and imports no other source.

pub mod background;
mod boot;
pub(in crate::source) mod files;
pub mod log_on_change;
mod miss;
pub mod proc_root;

pub(in crate::source) use boot::BootTime;
pub use log_on_change::LogOnChange;
pub use miss::Miss;
pub use proc_root::ProcRoot;

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
