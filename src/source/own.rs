//! The exporter's own process, as the kernel sees it.
//!
//! Knows numbers of one process; the processes of Campaign are for `processes`.

use std::time::Duration;

use procfs::process::{LimitValue, Process};
use procfs::{CurrentSI, KernelStats, ProcError};

/// What the exporter itself uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// CPU time in user and kernel mode.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Virtual memory, in bytes.
    pub virtual_bytes: u64,
    /// When it started, since 1970-01-01 UTC; none where `/proc/stat` does not say when the machine did.
    pub start: Option<Duration>,
    /// Open descriptors.
    pub open_descriptors: u64,
    /// How many it may open; none when there is no limit.
    pub descriptor_limit: Option<u64>,
    /// Threads.
    pub threads: u64,
}

/// Why the exporter can't read its own `/proc/self`.
#[derive(Debug, thiserror::Error)]
#[error("/proc/self: {0}; the exporter's own numbers need proc mounted at /proc, whatever --path.procfs says")]
pub struct OwnError(#[from] ProcError);

/// Reads the exporter's own numbers.
///
/// # Errors
/// When `/proc` is not there or not the kernel's.
pub fn read() -> Result<Own, OwnError> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let limit = process.limits()?.max_open_files.soft_limit;
    Ok(Own {
        cpu: ticks(stat.utime + stat.stime),
        resident_bytes: stat.rss.saturating_mul(procfs::page_size()),
        virtual_bytes: stat.vsize,
        start: boot().map(|boot| boot + ticks(stat.starttime)),
        open_descriptors: process.fd_count()? as u64,
        descriptor_limit: match limit {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        },
        threads: u64::try_from(stat.num_threads).unwrap_or_default(),
    })
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs(ticks) / u32::try_from(procfs::ticks_per_second().max(1)).unwrap_or(u32::MAX)
}

/// When the machine started; read once, for it is long and wavers by a second.
fn boot() -> Option<Duration> {
    static BOOT: std::sync::OnceLock<Option<Duration>> = std::sync::OnceLock::new();
    *BOOT.get_or_init(|| KernelStats::current().ok().map(|stats| Duration::from_secs(stats.btime)))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_exporter_sees_itself() {
        let own = read().unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let start = own.start.unwrap();
        assert!(
            start <= now + Duration::from_secs(2) && start + Duration::from_secs(86_400) > now,
            "{start:?} {now:?}"
        );
        assert!(own.resident_bytes > 100_000 && own.virtual_bytes > own.resident_bytes);
        assert!(own.threads >= 1 && own.open_descriptors >= 3);
        assert!(own.descriptor_limit.is_none_or(|limit| limit >= own.open_descriptors));
        assert!(own.cpu < Duration::from_secs(3600));
        assert_eq!(ticks(procfs::ticks_per_second() * 3 / 2), Duration::from_millis(1500));
    }
}
