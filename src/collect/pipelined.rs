//! The documented indicators, from the last status page of pipelined.
//!
//! Sends no request: the probes have a schedule of their own (`source::probes`); the collector `probes` reports whether
//! they succeed.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{CollectError, Collector, Context, Outcome};
use crate::catalog::signals::probes::{PIPELINED_INDICATORS, Probe, Unit};
use crate::snapshot::Samples;
use crate::source::probes::{Probes, Reply, View};

/// The collector.
#[derive(Debug)]
pub struct PipelinedStatus {
    probes: Arc<Probes>,
}

impl PipelinedStatus {
    /// A collector of what `probes` found last.
    #[must_use]
    pub fn new(probes: Arc<Probes>) -> PipelinedStatus {
        PipelinedStatus { probes }
    }
}

impl Collector for PipelinedStatus {
    fn collect(&self, _: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let mut outcome = Outcome::NotApplicable;
        for view in self.probes.latest().iter().filter(|view| view.probe == Probe::Pipelined) {
            push(view, out);
            outcome = Outcome::Complete;
        }
        Ok(outcome)
    }
}

/// The indicators of one probe's last answer; nothing when there is none.
pub fn push(view: &View, out: &mut Samples) {
    let Some(last) = view.last.as_ref().filter(|_| !view.stale) else { return };
    let Some(Reply::Pipelined(values)) = &last.reply else { return };
    let answered = last.started + last.duration;
    for indicator in PIPELINED_INDICATORS {
        let Some(value) = values.get(indicator.key) else { continue };
        let value = match indicator.unit {
            Unit::Same => *value,
            Unit::MillisecondsAgo => {
                answered.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()) - value / 1000.0
            }
        };
        out.push(indicator.metric, &[&view.target.name], value);
    }
}
