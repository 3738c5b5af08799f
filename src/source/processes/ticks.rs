//! The kernel's units of time and memory in ours.

use std::time::Duration;

use super::Totals;
use super::ending::CpuTicks;
use crate::source::kit::BootTime;

/// Turns the kernel's units into ours.
pub(super) struct Ticks {
    pub(super) ticks_per_second: u64,
    pub(super) page_bytes: u64,
    pub(super) boot: BootTime,
}

impl Ticks {
    pub(super) fn duration(&self, ticks: u64) -> Duration {
        let (seconds, rest) = (ticks / self.ticks_per_second, ticks % self.ticks_per_second);
        Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / self.ticks_per_second)
    }

    pub(super) fn add(&self, totals: &mut Totals, ticks: CpuTicks) {
        totals.user_cpu = totals.user_cpu.saturating_add(self.duration(ticks.user));
        totals.system_cpu = totals.system_cpu.saturating_add(self.duration(ticks.system));
    }

    /// A moment in ticks since the machine started, since 1970-01-01 UTC.
    pub(super) fn moment(&self, ticks: u64) -> Option<Duration> {
        self.boot.known()?.checked_add(self.duration(ticks))
    }
}
