//! The kernel's units of time and memory in ours.

use std::time::{Duration, Instant};

use super::Totals;
use super::ending::CpuTicks;
use super::kept::REREAD;
use crate::source::kit::ProcRoot;

/// The machine's start is taken anew only when it differs by more: it is rounded to seconds, and start times that
/// waver would look like restarts.
const BOOT_TOLERANCE: Duration = Duration::from_secs(2);

/// Turns the kernel's units into ours.
pub(super) struct Ticks {
    pub(super) ticks_per_second: u64,
    pub(super) page_bytes: u64,
    pub(super) boot: Option<Duration>,
    pub(super) due: Option<Instant>,
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

    /// Reads when the machine started. Returns whether it is known.
    pub(super) fn refresh(&mut self, root: &ProcRoot, now: Instant) -> bool {
        if self.due.is_none_or(|due| now >= due)
            && let Some(boot) = root.boot_time()
        {
            if self.boot.is_none_or(|known| known.abs_diff(boot) > BOOT_TOLERANCE) {
                self.boot = Some(boot);
            }
            self.due = Some(now + REREAD);
        }
        self.boot.is_some()
    }
}
