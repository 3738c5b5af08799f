//! The last result of each probe: success, reason of failure, the redirection server's build, the Message Center queue.
//!
//! Sends no request: the probes have a schedule of their own (`source::probes`). The indicators of pipelined have a
//! collector of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::catalog::modules::DEFAULT_INSTANCE;
use crate::catalog::signals::probes::{
    MESSAGE_CENTER_PENDING_EVENTS, MESSAGE_CENTER_QUEUE_CAPACITY, MESSAGE_CENTER_QUEUE_FULL, PING, PROBE_DURATION,
    PROBE_FAILURE_INFO, PROBE_FAILURES, PROBE_HTTP_STATUS, PROBE_LAST_RUN, PROBE_RUNS, PROBE_SUCCESS,
    PROBE_TARGET_INFO, Probe, REDIRECTION, REDIRECTION_INFO, Reason, SERVING_MODULE,
};
use crate::health;
use crate::parse::reply::{MessageCenter, Redirection};
use crate::snapshot::Samples;
use crate::source::kit::LogOnChange;
use crate::source::probes::{ProbeRun, Probes, Reply, View};

/// The collector.
#[derive(Debug)]
pub struct ProbeResults {
    probes: Arc<Probes>,
    log: LogOnChange,
}

impl ProbeResults {
    /// A collector of what `probes` found last.
    #[must_use]
    pub fn new(probes: Arc<Probes>) -> ProbeResults {
        ProbeResults { probes, log: LogOnChange::default() }
    }
}

impl Collector for ProbeResults {
    fn collect(&self, _: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let views = self.probes.latest();
        if views.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let mut losses = Losses::default();
        let mut problems = BTreeMap::new();
        let mut described = None;
        for view in &views {
            // The probes of a target follow one another.
            if described != Some(&view.target.name) {
                let this_host = if view.target.this_host { "yes" } else { "no" };
                out.push(&PROBE_TARGET_INFO, &[&view.target.name, &view.target.base.to_string(), this_host], 1.0);
                described = Some(&view.target.name);
            }
            push(view, out);
            losses.add(ErrorKind::Timeout, u64::from(view.stale));
            if let Some(said) = unreadable_queue(view) {
                losses.add(ErrorKind::Parse, 1);
                problems.insert(view.target.name.clone(), said.to_owned());
            }
        }
        for (target, said) in self.log.replace(problems) {
            tracing::warn!("target {target}: the Message Center queue can't be read in {said:?}");
        }
        for (check, probe) in [(&REDIRECTION, Probe::Redirection), (&PING, Probe::Ping)] {
            let of_this_host = views.iter().filter(|view| view.probe == probe && view.target.this_host);
            let answers = of_this_host.map(|view| {
                let last = view.last.as_ref().filter(|_| !view.stale)?;
                Some(last.failure.is_none())
            });
            out.judge(check.name, SERVING_MODULE.name, DEFAULT_INSTANCE, health::answers(answers));
        }
        Ok(losses.into_outcome())
    }
}

/// The answer of a Message Center that tells of its queue in another way than documented.
fn unreadable_queue(view: &View) -> Option<&str> {
    match &view.last.as_ref().filter(|_| !view.stale)?.reply {
        Some(Reply::MessageCenter(queue)) => queue.unreadable.as_deref(),
        _ => None,
    }
}

/// Everything about one probe but the indicators of pipelined.
pub fn push(view: &View, out: &mut Samples) {
    let (probe, target) = (view.probe.label(), view.target.name.as_str());
    out.push(&PROBE_RUNS, &[probe, target], float(view.runs));
    for (reason, times) in Reason::ALL.iter().zip(view.failures) {
        out.push(&PROBE_FAILURES, &[probe, target, reason.label()], float(times));
    }
    let Some(last) = &view.last else { return };
    out.push(&PROBE_LAST_RUN, &[probe, target], unix_time(last.started));
    if view.stale {
        return;
    }
    push_result(probe, target, last, out);
    match &last.reply {
        Some(Reply::Redirection(redirection)) => push_redirection(target, redirection, out),
        Some(Reply::MessageCenter(queue)) => push_queue(target, queue, out),
        Some(Reply::Ping | Reply::Pipelined(_)) | None => {}
    }
}

fn push_result(probe: &str, target: &str, last: &ProbeRun, out: &mut Samples) {
    out.push(&PROBE_SUCCESS, &[probe, target], f64::from(u8::from(last.failure.is_none())));
    out.push(&PROBE_DURATION, &[probe, target], last.duration.as_secs_f64());
    if let Some(status) = last.status {
        out.push(&PROBE_HTTP_STATUS, &[probe, target], f64::from(status));
    }
    if let Some(reason) = last.failure {
        out.push(&PROBE_FAILURE_INFO, &[probe, target, reason.label()], 1.0);
    }
}

fn push_redirection(target: &str, redirection: &Redirection, out: &mut Samples) {
    let Redirection { build, version, sha1, host, local_host, .. } = redirection;
    let values =
        [build, version, sha1, host, local_host].map(|value: &Option<String>| value.as_deref().unwrap_or_default());
    let [build, version, sha1, host, local_host] = values;
    out.push(&REDIRECTION_INFO, &[target, build, version, sha1, host, local_host], 1.0);
}

fn push_queue(target: &str, queue: &MessageCenter, out: &mut Samples) {
    if let Some((pending, capacity)) = queue.queue {
        out.push(&MESSAGE_CENTER_PENDING_EVENTS, &[target], float(pending));
        out.push(&MESSAGE_CENTER_QUEUE_CAPACITY, &[target], float(capacity));
    }
    // An error other than a full queue does not tell whether the queue is full.
    if queue.ok || queue.full {
        out.push(&MESSAGE_CENTER_QUEUE_FULL, &[target], f64::from(u8::from(queue.full)));
    }
}

fn unix_time(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
