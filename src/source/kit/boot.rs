//! When the host started, by its clock as it is now.
//!
//! Read rarely, because the file is long; but at once when the clock was set, which moves it.

use std::time::{Duration, Instant, SystemTime};

use super::ProcRoot;

/// How often it is read anew.
const REREAD: Duration = Duration::from_secs(300);

/// It is taken anew only when it differs by more: it is rounded to seconds, and times that waver would look like restarts.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The clock was set when it went this much faster or slower than time does.
const STEP: Duration = Duration::from_secs(1);

/// The moment of the host's start.
#[derive(Debug, Default)]
pub(in crate::source) struct BootTime {
    known: Option<Duration>,
    due: Option<Instant>,
    looked: Option<(SystemTime, Instant)>,
}

impl BootTime {
    /// What was read last, since 1970-01-01 UTC.
    pub(in crate::source) const fn known(&self) -> Option<Duration> {
        self.known
    }

    /// Reads it where it may have changed until `now`, which is the time `wall` by the clock.
    pub(in crate::source) fn refresh(&mut self, root: &ProcRoot, now: Instant, wall: SystemTime) -> Option<Duration> {
        let was_set = self.looked.replace((wall, now)).is_some_and(|before| is_step(before, (wall, now)));
        if (was_set || self.due.is_none_or(|due| now >= due))
            && let Some(boot) = root.boot_time()
        {
            if self.known.is_none_or(|known| known.abs_diff(boot) > TOLERANCE) {
                self.known = Some(boot);
            }
            self.due = Some(now + REREAD);
        }
        self.known
    }
}

/// Whether the clock was set between two looks.
fn is_step(before: (SystemTime, Instant), after: (SystemTime, Instant)) -> bool {
    let passed = after.1.saturating_duration_since(before.1);
    let shown = after.0.duration_since(before.0).ok();
    shown.is_none_or(|shown| shown.abs_diff(passed) > STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_moves_the_hosts_start_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = ProcRoot::open(folder.path()).unwrap();
        let (begin, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let seconds = Duration::from_secs;
        let mut boot = BootTime::default();
        let mut at = |after: u64, clock: u64, btime: u64| {
            std::fs::write(folder.path().join("stat"), format!("cpu 1\nbtime {btime}\n")).unwrap();
            boot.refresh(&root, begin + seconds(after), wall + seconds(clock)).map(|boot| boot.as_secs())
        };
        assert_eq!(at(0, 3600, 5000), Some(5000));
        assert_eq!(at(10, 3610, 5001), Some(5000), "it wavers");
        assert_eq!(at(20, 3620, 9000), Some(5000), "the clock was not set");
        assert_eq!(at(30, 5130, 6500), Some(6500), "forward");
        assert_eq!(at(40, 1540, 2900), Some(2900), "back");
        assert_eq!(at(400, 1900, 2950), Some(2950), "it is read anew now and then");
    }
}
