//! The documented indicators, from the last status page of pipelined.
//!
//! Sends no request: the probes have a schedule of their own (`source::probes`); the collector `probes` reports whether
//! they succeed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome};
use crate::catalog::signals::probes::{PIPELINED_INDICATORS, Probe, Unit};
use crate::parse::reply::Pipelined;
use crate::snapshot::Samples;
use crate::source::kit::LogOnChange;
use crate::source::probes::{ProbeRun, Probes, Reply, View};

/// The collector.
#[derive(Debug)]
pub struct PipelinedStatus {
    probes: Arc<Probes>,
    log: LogOnChange,
}

impl PipelinedStatus {
    /// A collector of what `probes` found last.
    #[must_use]
    pub fn new(probes: Arc<Probes>) -> PipelinedStatus {
        PipelinedStatus { probes, log: LogOnChange::default() }
    }
}

impl Collector for PipelinedStatus {
    /// Partial when an answer has something that is no value.
    fn collect(&self, _: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        Ok(self.collect_from(&self.probes.latest(), out))
    }
}

impl PipelinedStatus {
    fn collect_from(&self, views: &[View], out: &mut Samples) -> Outcome {
        let mut views = views.iter().filter(|view| view.probe == Probe::Pipelined).peekable();
        if views.peek().is_none() {
            return Outcome::NotApplicable;
        }
        let mut losses = Losses::default();
        let mut problems = BTreeMap::new();
        for view in views {
            push(view, out);
            for (key, written) in values(view).into_iter().flat_map(|(_, status)| &status.unreadable) {
                losses.add(ErrorKind::Parse, 1);
                problems.insert(format!("{key} of target {}", view.target.name), written.clone());
            }
        }
        for (indicator, written) in self.log.replace(problems) {
            tracing::warn!(
                "the status page of pipelined has {indicator} as {written:?}, which is not a number; it is left out"
            );
        }
        losses.into_outcome()
    }
}

/// What the last answer told, and its probe; none where there is none, or it is too old.
fn values(view: &View) -> Option<(&ProbeRun, &Pipelined)> {
    match view.last.as_ref().filter(|_| !view.stale) {
        Some(run @ ProbeRun { reply: Some(Reply::Pipelined(status)), .. }) => Some((run, status)),
        _ => None,
    }
}

/// The indicators of one probe's last answer; nothing when there is none.
pub fn push(view: &View, out: &mut Samples) {
    let Some((last, Pipelined { values, .. })) = values(view) else { return };
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::catalog::signals::probes::{PIPELINED_CURRENT_MESSAGES, PIPELINED_READ_BYTES};
    use crate::logging::Page;
    use crate::parse::reply::pipelined;
    use crate::parse::targets::Target;
    use crate::source::installation::Installation;
    use crate::source::probes::local_targets;

    fn view(answer: &str) -> View {
        let target = Arc::new(Target::local("here", 7781, Probe::Pipelined));
        let reply = Some(Reply::Pipelined(pipelined(answer.as_bytes(), None).unwrap()));
        let (started, duration) = (SystemTime::now(), Duration::from_millis(1));
        let last = Some(ProbeRun { started, duration, status: Some(200), failure: None, reply });
        View { target, probe: Probe::Pipelined, last, stale: false, runs: 1, failures: Default::default() }
    }

    #[test]
    fn an_indicator_that_can_not_be_read_is_absent_counted_and_told_when_it_changes() {
        let probes = Arc::new(Probes::local(|| local_targets(&Installation::default(), |_| false)).unwrap());
        let collector = PipelinedStatus::new(probes);
        let page = Page::default();
        let mut told = Vec::new();
        tracing::subscriber::with_default(page.subscriber(), || {
            for written in ["\"x\"", "\"x\"", "-1", "1", "-1"] {
                let answer = format!("{{\"bytes-read\": 5, \"current-messages\": {written}}}");
                let mut out = Samples::default();
                let outcome = collector.collect_from(&[view(&answer)], &mut out);
                let snapshot = out.freeze();
                let is_well = written == "1";
                assert_eq!(outcome == Outcome::Complete, is_well);
                assert_eq!(snapshot.value(&PIPELINED_CURRENT_MESSAGES, &["here"]).is_some(), is_well);
                assert_eq!(snapshot.value(&PIPELINED_READ_BYTES, &["here"]), Some(5.0));
                told.push(page.take().matches("current-messages of target here").count());
            }
        });
        assert_eq!(told, [1, 0, 1, 0, 1]);
        let mut stale = view("{\"bytes-read\": 5, \"current-messages\": -1}");
        stale.stale = true;
        assert_eq!(collector.collect_from(&[stale], &mut Samples::default()), Outcome::Complete);
    }
}
