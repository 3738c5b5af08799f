//! The collector `exporter`: the exporter's own process, and what it was built from.
//!
//! Knows nothing of Campaign.

use super::{CollectError, Collector, Context, ErrorKind, Outcome, float};
use crate::catalog::signals::exporter::{
    EXPORTER_BUILD_INFO, PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY, PROCESS_START_TIME,
    PROCESS_THREADS, PROCESS_VIRTUAL_MEMORY,
};
use crate::snapshot::Samples;
use crate::source::own;

/// The exporter's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision it was built from; `unknown` outside a repository.
pub const REVISION: &str = env!("CAMPAIGN_REVISION");

/// The version of the compiler.
pub const RUSTC: &str = env!("CAMPAIGN_RUSTC");

/// Tells of the exporter itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exporter;

impl Collector for Exporter {
    fn collect(&self, _: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        out.push(&EXPORTER_BUILD_INFO, &[VERSION, REVISION, RUSTC], 1.0);
        let own = own::read().map_err(|error| CollectError { kind: ErrorKind::Gone, message: error.to_string() })?;
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
        assert_eq!(Exporter.collect(&Context::for_tests(Instant::now()), &mut samples).unwrap(), Outcome::Complete);
        let snapshot = samples.freeze();
        assert_eq!(snapshot.value(&EXPORTER_BUILD_INFO, &[VERSION, REVISION, RUSTC]), Some(1.0));
        assert!(RUSTC.starts_with("1."), "{RUSTC}");
        for def in [&PROCESS_RESIDENT_MEMORY, &PROCESS_VIRTUAL_MEMORY, &PROCESS_START_TIME, &PROCESS_THREADS] {
            assert!(snapshot.value(def, &[]).unwrap() > 0.0, "{}", def.name);
        }
        assert!(snapshot.value(&PROCESS_CPU, &[]).is_some() && snapshot.value(&PROCESS_OPEN_FDS, &[]).unwrap() > 2.0);
    }
}
