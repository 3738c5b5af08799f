//! The collector `exporter`: the exporter's own process, what it was built from, and the host's clock.
//!
//! Nothing here concerns Campaign.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{CollectError, Collector, Context, ErrorKind, Outcome, float};
use crate::catalog::signals::exporter::{
    EXPORTER_BUILD_INFO, EXPORTER_FIRST_START, HOST_BOOT_TIME, HOST_TIME, PROCESS_CPU, PROCESS_MAX_FDS,
    PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY, PROCESS_START_TIME, PROCESS_THREADS, PROCESS_VIRTUAL_MEMORY,
};
use crate::snapshot::Samples;
use crate::source::kit::ProcRoot;
use crate::source::own::OwnSource;

/// The exporter's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision it was built from; `unknown` outside a repository.
pub const REVISION: &str = env!("CAMPAIGN_REVISION");

/// The version of the compiler.
pub const RUSTC: &str = env!("CAMPAIGN_RUSTC");

/// Reports on the exporter itself.
pub struct Exporter {
    source: OwnSource,
    first_start: Option<f64>,
}

impl Exporter {
    /// The exporter on the machine of `proc`, which was first used here at `first_start`, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn new(proc: &Arc<ProcRoot>, first_start: Option<f64>) -> Self {
        Self { source: OwnSource::new(proc), first_start }
    }
}

impl Collector for Exporter {
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        out.push(&EXPORTER_BUILD_INFO, &[VERSION, REVISION, RUSTC], 1.0);
        if let Ok(now) = cx.now.duration_since(UNIX_EPOCH) {
            out.push(&HOST_TIME, &[], now.as_secs_f64());
        }
        if let Some(boot) = self.source.boot() {
            out.push(&HOST_BOOT_TIME, &[], boot.as_secs_f64());
        }
        if let Some(first) = self.first_start {
            out.push(&EXPORTER_FIRST_START, &[], first);
        }
        let own =
            self.source.read().map_err(|error| CollectError { kind: ErrorKind::Gone, message: error.to_string() })?;
        out.push(&PROCESS_CPU, &[], own.cpu.as_secs_f64());
        out.push(&PROCESS_RESIDENT_MEMORY, &[], float(own.resident_bytes));
        out.push(&PROCESS_VIRTUAL_MEMORY, &[], float(own.virtual_bytes));
        if let Some(start) = own.start {
            out.push(&PROCESS_START_TIME, &[], start.as_secs_f64());
        }
        out.push(&PROCESS_OPEN_FDS, &[], float(own.open_descriptors));
        if let Some(limit) = own.descriptor_limit {
            out.push(&PROCESS_MAX_FDS, &[], float(limit));
        }
        out.push(&PROCESS_THREADS, &[], float(own.threads));
        Ok(Outcome::Complete)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_exporter_tells_what_it_is_and_what_it_uses() {
        let mut samples = Samples::default();
        let proc = Arc::new(ProcRoot::open(std::path::Path::new("/proc")).unwrap());
        let mut cx = Context::for_tests(Instant::now());
        cx.now = std::time::SystemTime::now();
        assert_eq!(Exporter::new(&proc, Some(7.0)).collect(&cx, &mut samples).unwrap(), Outcome::Complete);
        let snapshot = samples.freeze();
        assert_eq!(snapshot.value(&EXPORTER_FIRST_START, &[]), Some(7.0));
        let (now, boot) = (snapshot.value(&HOST_TIME, &[]).unwrap(), snapshot.value(&HOST_BOOT_TIME, &[]).unwrap());
        assert!(boot > 0.0 && now > boot, "{now} {boot}");
        assert_eq!(snapshot.value(&EXPORTER_BUILD_INFO, &[VERSION, REVISION, RUSTC]), Some(1.0));
        assert!(RUSTC.starts_with("1."), "{RUSTC}");
        for def in [&PROCESS_RESIDENT_MEMORY, &PROCESS_VIRTUAL_MEMORY, &PROCESS_START_TIME, &PROCESS_THREADS] {
            assert!(snapshot.value(def, &[]).unwrap() > 0.0, "{}", def.name);
        }
        assert!(snapshot.value(&PROCESS_CPU, &[]).is_some() && snapshot.value(&PROCESS_OPEN_FDS, &[]).unwrap() > 2.0);
    }
}
