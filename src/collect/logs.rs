//! The logs' counters and times as samples.
//!
//! Knows what a log says about its module; how files are followed is for `source::tailer`.

use super::{
    CollectError, Collector, Context, LOGS, Losses, Outcome, float, lost, reader_is_silent, show_stored, text,
};
use crate::catalog::modules::MODULES;
use crate::catalog::signals::logs::{
    LOG_CONTINUATION_LINES, LOG_ERROR_CODES, LOG_FILES_NOT_FOLLOWED, LOG_LAG, LOG_LAST_ERROR, LOG_LAST_MESSAGE,
    LOG_LAST_RUN_ERRORS, LOG_MESSAGES, LOG_PROBLEMS, LOG_READ_BYTES, LOG_ROTATIONS, LOG_SIZE, LOG_SKIPPED_BYTES,
    LOG_UNPARSED_LINES,
};
use crate::parse::line::{Level, Problem};
use crate::snapshot::Samples;
use crate::source::tailer::counts::OTHER;
use crate::source::tailer::{LogView, Logs, Published, View};

/// Shows what the reader of the logs has counted.
#[derive(Debug)]
pub struct LogsCollector {
    logs: Logs,
}

impl LogsCollector {
    /// Shows `logs`.
    #[must_use]
    pub fn new(logs: Logs) -> Self {
        Self { logs }
    }
}

impl Collector for LogsCollector {
    fn collect(&self, _: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let outcome = samples(&self.logs.published(), out);
        if self.logs.is_alive() { Ok(outcome) } else { Err(reader_is_silent("logs")) }
    }
}

/// What was published, as samples.
pub fn samples(published: &Published<View>, out: &mut Samples) -> Outcome {
    show_stored(LOGS, published.stored, out);
    let view = &published.view;
    for log in view.logs.iter().filter(|log| log.present) {
        push(log, out);
    }
    let mut losses = Losses::default();
    for ((instance, trouble), times) in &view.troubles {
        out.push(&LOG_FILES_NOT_FOLLOWED, &[&text(instance), trouble.label()], float(*times));
        losses.add(lost(*trouble), *times);
    }
    match losses.into_outcome() {
        Outcome::Complete if view.logs.is_empty() => Outcome::NotApplicable,
        outcome => outcome,
    }
}

fn push(view: &LogView, out: &mut Samples) {
    let (log, instance) = (text(&view.log), text(&view.instance));
    let module = module_of(&log);
    let labels = [&*log, module, &*instance];
    let with = |value: &'_ str| -> [String; 4] { [&*log, module, &*instance, value].map(str::to_owned) };
    let counts = &view.counts;
    let mut by = |def, value: &str, times: u64| {
        let labels = with(value);
        out.push(def, &labels.each_ref().map(String::as_str), float(times));
    };
    for (level, times) in Level::KNOWN.iter().zip(counts.levels) {
        by(&LOG_MESSAGES, level, times);
    }
    for (level, times) in &counts.other_levels {
        by(&LOG_MESSAGES, level, *times);
    }
    for (code, times) in &counts.codes {
        by(&LOG_ERROR_CODES, code.as_str(), *times);
    }
    if counts.other_codes > 0 {
        by(&LOG_ERROR_CODES, OTHER, counts.other_codes);
    }
    for problem in Problem::ALL {
        by(&LOG_PROBLEMS, problem.label(), counts.problems[problem as usize]);
    }
    if let Some(time) = counts.last_message {
        out.push(&LOG_LAST_MESSAGE, &labels, seconds(time));
        out.push(&LOG_LAST_RUN_ERRORS, &labels, float(counts.last_pid_errors));
    }
    if let Some(time) = counts.last_error {
        out.push(&LOG_LAST_ERROR, &labels, seconds(time));
    }
    out.push(&LOG_SIZE, &labels, float(view.size));
    out.push(&LOG_LAG, &labels, float(view.lag));
    out.push(&LOG_READ_BYTES, &labels, float(view.tally.read_bytes));
    out.push(&LOG_ROTATIONS, &labels, float(view.tally.rotations));
    out.push(&LOG_CONTINUATION_LINES, &labels, float(counts.continuations));
    out.push(&LOG_UNPARSED_LINES, &labels, float(counts.unreadable));
    out.push(&LOG_SKIPPED_BYTES, &labels, float(view.tally.skipped_bytes));
}

/// The module whose log it is: the one that the catalog names for it, also where `-tracefile:` put something behind the
/// name (`<log>_debug`); a log that nobody is known to write stands for itself.
fn module_of(log: &str) -> &str {
    let named = |name: &str| MODULES.iter().find(|module| module.logs.contains(&name)).map(|module| module.name);
    let until = log.rmatch_indices('_').map(|(end, _)| &log[..end]);
    std::iter::once(log).chain(until).find_map(named).unwrap_or(log)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of any calendar year are exact")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::sync::Arc;

    use super::*;
    use crate::catalog::signals::logs::STORAGE_SUCCESSFUL;
    use crate::source::tailer::counts::Counts;
    use crate::source::tailer::follow::{Tally, Trouble};

    fn view(log: &str, counts: Counts) -> LogView {
        LogView {
            instance: "prod".into(),
            log: log.into(),
            counts,
            tally: Tally { read_bytes: 10, skipped_bytes: 2, rotations: 1 },
            size: 7,
            lag: 3,
            present: true,
        }
    }

    fn collect(view: View, stored: Option<bool>) -> (Samples, Outcome) {
        let mut out = Samples::default();
        let outcome = samples(&Published::new(Arc::new(view), stored), &mut out);
        (out, outcome)
    }

    #[test]
    fn a_log_belongs_to_the_module_that_the_catalog_names() {
        for (log, module) in [
            ("mta", "mta"),
            ("mtachild", "mta"),
            ("mta_debug", "mta"),
            ("mtachild_debug_more", "mta"),
            ("runwf", "wfserver"),
            ("webmdl", "web"),
            ("trackinglogd", "trackinglogd"),
            ("tracking_debug", "tracking"),
            ("pipelined", "pipelined"),
            ("logins", "logins"),
            ("x_debug", "x_debug"),
            ("_mta", "_mta"),
        ] {
            assert_eq!(module_of(log), module);
        }
    }

    #[test]
    fn known_labels_start_at_zero() {
        let (out, outcome) =
            collect(View { logs: vec![view("web", Counts::default())], ..View::default() }, Some(true));
        assert_eq!(outcome, Outcome::Complete);
        let snapshot = out.freeze();
        for level in Level::KNOWN {
            assert_eq!(snapshot.value(&LOG_MESSAGES, &["web", "web", "prod", level]), Some(0.0));
        }
        for problem in Problem::ALL {
            assert_eq!(snapshot.value(&LOG_PROBLEMS, &["web", "web", "prod", problem.label()]), Some(0.0));
        }
        assert_eq!(snapshot.of(&LOG_LAST_MESSAGE).count(), 0);
        assert_eq!(snapshot.value(&STORAGE_SUCCESSFUL, &["logs"]), Some(1.0));
        assert_eq!(snapshot.rejected(), 0);
    }

    #[test]
    fn everything_that_was_counted_is_shown() {
        let counts = Counts {
            levels: [1, 2, 3],
            other_levels: BTreeMap::from([("fatal".to_owned(), 4)]),
            codes: BTreeMap::from([("INT-150012".to_owned().try_into().unwrap(), 5)]),
            other_codes: 6,
            problems: [7, 8],
            continuations: 9,
            unreadable: 10,
            last_message: Some(1500),
            last_error: Some(500),
            last_pid: Some(1),
            last_pid_errors: 11,
        };
        let (out, _) = collect(View { logs: vec![view("mta_debug", counts)], ..View::default() }, None);
        let snapshot = out.freeze();
        assert_eq!(snapshot.rejected(), 0);
        let labels = ["mta_debug", "mta", "prod"];
        let with = |def, last| snapshot.value(def, &["mta_debug", "mta", "prod", last]);
        assert_eq!(with(&LOG_MESSAGES, "error"), Some(1.0));
        assert_eq!(with(&LOG_MESSAGES, "warning"), Some(2.0));
        assert_eq!(with(&LOG_MESSAGES, "info"), Some(3.0));
        assert_eq!(with(&LOG_MESSAGES, "fatal"), Some(4.0));
        assert_eq!(with(&LOG_ERROR_CODES, "INT-150012"), Some(5.0));
        assert_eq!(with(&LOG_ERROR_CODES, "other"), Some(6.0));
        assert_eq!(with(&LOG_PROBLEMS, "xtk_session"), Some(7.0));
        assert_eq!(with(&LOG_PROBLEMS, "cross_device_link"), Some(8.0));
        assert_eq!(snapshot.value(&LOG_CONTINUATION_LINES, &labels), Some(9.0));
        assert_eq!(snapshot.value(&LOG_UNPARSED_LINES, &labels), Some(10.0));
        assert_eq!(snapshot.value(&LOG_LAST_MESSAGE, &labels), Some(1.5));
        assert_eq!(snapshot.value(&LOG_LAST_ERROR, &labels), Some(0.5));
        assert_eq!(snapshot.value(&LOG_LAST_RUN_ERRORS, &labels), Some(11.0));
        assert_eq!(snapshot.value(&LOG_SIZE, &labels), Some(7.0));
        assert_eq!(snapshot.value(&LOG_LAG, &labels), Some(3.0));
        assert_eq!(snapshot.value(&LOG_READ_BYTES, &labels), Some(10.0));
        assert_eq!(snapshot.value(&LOG_SKIPPED_BYTES, &labels), Some(2.0));
        assert_eq!(snapshot.value(&LOG_ROTATIONS, &labels), Some(1.0));
        assert_eq!(snapshot.of(&STORAGE_SUCCESSFUL).count(), 0);
    }

    #[test]
    fn a_log_that_is_gone_is_not_shown_and_what_cannot_be_read_is_counted() {
        let gone = LogView { present: false, ..view("mta", Counts::default()) };
        let troubles = BTreeMap::from([
            ((OsString::from("prod"), Trouble::Permission), 2),
            ((OsString::from("prod"), Trouble::NotAFile), 1),
        ]);
        let (out, outcome) = collect(View { logs: vec![gone], troubles, surveyed: true }, Some(false));
        assert!(matches!(outcome, Outcome::Partial(losses) if losses.iter().map(|(_, times)| times).sum::<u64>() == 3));
        let snapshot = out.freeze();
        assert_eq!(snapshot.of(&LOG_SIZE).count(), 0);
        assert_eq!(snapshot.value(&LOG_FILES_NOT_FOLLOWED, &["prod", "permission"]), Some(2.0));
        assert_eq!(snapshot.value(&LOG_FILES_NOT_FOLLOWED, &["prod", "not_a_file"]), Some(1.0));
        assert_eq!(snapshot.value(&STORAGE_SUCCESSFUL, &["logs"]), Some(0.0));
    }

    #[test]
    fn a_host_without_logs_is_no_failure() {
        assert_eq!(collect(View::default(), None).1, Outcome::NotApplicable);
    }
}
