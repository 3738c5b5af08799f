//! The logs' counters and times as samples.
//!
//! Assigns each log to its module; `source::tailer` follows the files.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use super::census::Census;
use super::{
    CollectError, Collector, Context, LOGS, Losses, Outcome, evidence_folder, float, instance_label, published,
    show_stored,
};
use crate::catalog::modules::{DEFAULT_INSTANCE, MODULES, module};
use crate::catalog::signals::logs::{
    LAST_RUN, LOG_CONTINUATION_LINES, LOG_ERROR_CODES, LOG_FILES_FOLLOWED, LOG_FILES_NOT_FOLLOWED,
    LOG_GENERATIONS_MISSED, LOG_LAG, LOG_LAST_ERROR, LOG_LAST_FAILED_RUN, LOG_LAST_MESSAGE, LOG_LAST_RUN_ERRORS,
    LOG_MESSAGES, LOG_PROBLEMS, LOG_READ_BYTES, LOG_ROTATIONS, LOG_RUNS, LOG_SIZE, LOG_SKIPPED_BYTES,
    LOG_UNPARSED_LINES,
};
use crate::catalog::{Kind, Module};
use crate::health::{self, DoubtReason};
use crate::label::{MAX_LABEL_BYTES, label_among};
use crate::parse::counts::{Counts, OTHER};
use crate::parse::line::{Level, Problem};
use crate::snapshot::Samples;
use crate::source::installation::Installation;
use crate::source::tailer::follow::Tally;
use crate::source::tailer::logs::{LogView, Logs, LogsView};
use crate::source::tailer::{Published, reason};

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
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let published = published(&self.logs, LOGS, cx.deadline)?;
        Ok(samples(&published, &cx.installation, cx.census(), out))
    }
}

/// What was published, as samples. Logs that are expected and not there yet have counters at 0.
pub fn samples(
    published: &Published<LogsView>,
    installation: &Installation,
    census: &Census,
    out: &mut Samples,
) -> Outcome {
    show_stored(LOGS, published.stored, out);
    let view = &published.view;
    let mut absent: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (instance, log) in expected(installation, census) {
        absent.entry(instance).or_default().insert(log);
    }
    let mut followed = 0;
    let names = LogNames { view, installation };
    for log in view.logs.iter().filter(|log| log.present) {
        followed += 1;
        let (name, instance) = (names.log(log), names.instance(&log.instance));
        let is_expected = absent.get_mut(&*instance).is_some_and(|logs| logs.remove(&*name));
        push(log, &LogLabels::new(&name, &instance), is_expected, out);
    }
    out.push(&LOG_FILES_FOLLOWED, &[], float(followed));
    // One that was read before, and is not there now, goes on where it was, as when a volume is not mounted yet: at 0 all of
    // it would count once more.
    let away = view.logs.iter().filter(|log| !log.present);
    let away = away.map(|log| ((names.instance(&log.instance), &*log.log), (&log.counts, log.tally)));
    let stored = view.stored.iter();
    let stored = stored.map(|log| ((names.instance(&log.instance.0), &*log.log.0), (&log.counts, log.tally)));
    let known: BTreeMap<_, _> = away.chain(stored).collect();
    for (instance, log) in absent.iter().flat_map(|(instance, logs)| logs.iter().map(move |log| (*instance, *log))) {
        let known = known.get(&(instance.into(), OsStr::new(log))).copied();
        let (counts, tally) = known.unwrap_or((&*NOTHING, Tally::default()));
        LogLabels::new(log, instance).counters(counts, &tally, out);
    }
    judge(&names, out);
    let mut losses = Losses::default();
    for ((instance, trouble), times) in &view.troubles {
        let instance = names.instance(instance);
        out.push(&LOG_FILES_NOT_FOLLOWED, &[&instance, reason(*trouble)], float(*times));
        out.doubt(DoubtReason::EvidenceUnreadable, evidence_folder(&instance, "log"));
        losses.add((*trouble).into(), *times);
    }
    match losses.into_outcome() {
        Outcome::Complete if view.logs.is_empty() => Outcome::NotApplicable,
        outcome => outcome,
    }
}

/// A log with no line.
static NOTHING: LazyLock<Counts> = LazyLock::new(Counts::default);

/// The logs to be expected from the configuration: those of the modules it starts, and of those that start when needed.
fn expected<'a>(installation: &'a Installation, census: &'a Census) -> impl Iterator<Item = (&'a str, &'static str)> {
    let started = census.members().filter(|(_, _, member)| member.expected == Some(true));
    let started = started.filter_map(|(name, instance, _)| Some((instance, module(name)?)));
    let instances = installation.instances.keys().filter(|instance| *instance != DEFAULT_INSTANCE);
    let utilities = instances.flat_map(|instance| {
        let utilities = MODULES.iter().filter(|module| module.kind == Kind::Utility);
        utilities.map(|module| (instance.as_str(), *module))
    });
    let modules: Vec<(&str, &'static Module)> = started.chain(utilities).collect();
    modules.into_iter().flat_map(|(instance, module)| module.logs.iter().map(move |log| (instance, *log)))
}

/// What the last run of each utility says, by all of its logs.
fn judge(names: &LogNames<'_>, out: &mut Samples) {
    let mut runs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for log in names.view.logs.iter().filter(|log| log.present) {
        let name = names.log(log);
        let of_utility = |module: &&&Module| module.name == module_of(&name) && !module.kind.is_resident();
        if let Some(utility) = MODULES.iter().find(of_utility) {
            let run = (!log.is_troubled).then(|| (log.counts.last_message, log.counts.runs.last_errors()));
            runs.entry((utility.name, names.instance(&log.instance).into_owned())).or_default().push(run);
        }
    }
    for ((module, instance), runs) in runs {
        if runs.iter().any(Option::is_none) {
            out.doubt_of(module, &instance, DoubtReason::EvidenceUnreadable, evidence_folder(&instance, "log"));
        }
        out.judge(LAST_RUN.name, module, &instance, health::last_run(runs.into_iter()));
    }
}

/// Exports a log. An expected log has counters at 0 before its file exists; any other new log is exported with 0 once,
/// because `increase` ignores the value that a series begins with.
fn push(view: &LogView, labels: &LogLabels<'_>, is_expected: bool, out: &mut Samples) {
    let counts = &view.counts;
    if is_expected || view.introduced.is_done() {
        labels.counters(counts, &view.tally, out);
    } else {
        let codes = counts.codes.keys().map(|code| (*code, 0)).collect();
        let other_levels = counts.other_levels.keys().map(|level| (level.clone(), 0)).collect();
        labels.counters(&Counts { codes, other_levels, ..Counts::default() }, &Tally::default(), out);
    }
    let labels = labels.0;
    if let Some(time) = counts.last_message {
        out.push(&LOG_LAST_MESSAGE, &labels, seconds(time));
        out.push(&LOG_LAST_RUN_ERRORS, &labels, float(counts.runs.last_errors()));
    }
    if let Some(time) = counts.last_error {
        out.push(&LOG_LAST_ERROR, &labels, seconds(time));
    }
    if let Some(failure) = counts.runs.last_failure.filter(|_| is_utility(labels[1])) {
        let code = failure.code.as_ref().map_or("", |code| code.as_str());
        out.push(&LOG_LAST_FAILED_RUN, &[labels[0], labels[1], labels[2], code], seconds(failure.time));
    }
    out.push(&LOG_SIZE, &labels, float(view.size));
    out.push(&LOG_LAG, &labels, float(view.lag));
}

/// The labels of all logs.
struct LogNames<'a> {
    view: &'a LogsView,
    installation: &'a Installation,
}

impl LogNames<'_> {
    fn instance<'a>(&'a self, name: &'a OsStr) -> Cow<'a, str> {
        instance_label(name, self.installation, self.view.logs.iter().map(|log| &*log.instance))
    }

    fn log<'a>(&'a self, log: &'a LogView) -> Cow<'a, str> {
        let beside = self.view.logs.iter().filter(|other| other.instance == log.instance);
        label_among(log.log.as_bytes(), beside.map(|other| other.log.as_bytes()), MAX_LABEL_BYTES)
    }
}

/// Log, module and instance.
struct LogLabels<'a>([&'a str; 3]);

impl<'a> LogLabels<'a> {
    fn new(log: &'a str, instance: &'a str) -> Self {
        LogLabels([log, module_of(log), instance])
    }

    fn counters(&self, counts: &Counts, tally: &Tally, out: &mut Samples) {
        let [log, module, instance] = self.0;
        let mut by = |def, value: &str, times: u64| out.push(def, &[log, module, instance, value], float(times));
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
        if is_utility(module) {
            by(&LOG_RUNS, "success", counts.runs.succeeded);
            by(&LOG_RUNS, "failure", counts.runs.failed);
        }
        for (def, times) in [
            (&LOG_READ_BYTES, tally.read_bytes),
            (&LOG_ROTATIONS, tally.rotations),
            (&LOG_GENERATIONS_MISSED, tally.generations_missed),
            (&LOG_CONTINUATION_LINES, counts.continuations),
            (&LOG_UNPARSED_LINES, counts.unreadable),
            (&LOG_SKIPPED_BYTES, tally.skipped_bytes),
        ] {
            out.push(def, &self.0, float(times));
        }
    }
}

/// Whether a module starts when needed and ends by itself: then its log has runs.
fn is_utility(name: &str) -> bool {
    module(name).is_some_and(|module| module.kind == Kind::Utility)
}

/// Whether a log is of a module that starts when needed.
#[must_use]
pub fn tells_runs(log: &OsStr) -> bool {
    log.to_str().is_some_and(|log| is_utility(module_of(log)))
}

/// The module whose log it is: the one that the catalog names for it, also where `-tracefile:` put something behind the
/// name (`<log>_debug`); a log of no known module stands for itself.
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
    use crate::catalog::signals::exporter::HEALTH_UNKNOWN;
    use crate::catalog::signals::logs::STORAGE_SUCCESSFUL;
    use crate::catalog::signals::modules::MODULE_HEALTHY;
    use crate::parse::conf::{ServerConf, Settings};
    use crate::parse::line::Memory;
    use crate::parse::runs::Runs;
    use crate::source::kit::Miss;
    use crate::source::positions::Name;
    use crate::source::processes::ProcessTable;
    use crate::source::tailer::logs::{Introduction, StoredLog};

    fn view(log: &str, counts: Counts) -> LogView {
        LogView {
            instance: "prod".into(),
            log: log.into(),
            counts,
            tally: Tally { read_bytes: 10, skipped_bytes: 2, rotations: 1, generations_missed: 4 },
            size: 7,
            lag: 3,
            present: true,
            is_troubled: false,
            introduced: Introduction::done(),
        }
    }

    fn collect(view: LogsView, stored: Option<bool>) -> (Samples, Outcome) {
        let mut out = Samples::default();
        let outcome =
            samples(&Published::new(Arc::new(view), stored), &Installation::default(), &Census::default(), &mut out);
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
            collect(LogsView { logs: vec![view("web", Counts::default()).into()], ..LogsView::default() }, Some(true));
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
            problems: [7, 8, 12, 13],
            continuations: 9,
            unreadable: 10,
            last_message: Some(1500),
            last_error: Some(500),
            runs: Runs::of_last(1, 11, 1500),
            held: None,
            refused: None,
        };
        let (out, _) = collect(LogsView { logs: vec![view("mta_debug", counts).into()], ..LogsView::default() }, None);
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
        assert_eq!(with(&LOG_PROBLEMS, "login_refused"), Some(12.0));
        assert_eq!(with(&LOG_PROBLEMS, "database"), Some(13.0));
        assert_eq!(snapshot.value(&LOG_GENERATIONS_MISSED, &labels), Some(4.0));
        assert_eq!(snapshot.value(&LOG_FILES_FOLLOWED, &[]), Some(1.0));
        assert_eq!(snapshot.of(&LOG_RUNS).count(), 0, "a resident module has no runs");
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
    fn an_expected_log_that_is_not_there_goes_on_with_what_is_known_of_it() {
        let mut installation = Installation::default();
        let conf = ServerConf::parse(b"<serverconf><mta autoStart='true'/></serverconf>").unwrap();
        installation.instances.insert("prod".into(), Settings::overlay(None, Some(Arc::new(conf))));
        let census = Census::of(&installation, &ProcessTable::default());
        let errors = |times| Counts { levels: [times, 0, 0], ..Counts::default() };
        let away = LogView { present: false, ..view("mta", errors(3)) };
        let stored = StoredLog {
            instance: Name::from(OsStr::new("prod")),
            log: Name::from(OsStr::new("export")),
            file: Name::from(OsStr::new("export.log")),
            files: Vec::new(),
            finished: Vec::new(),
            tally: Tally { rotations: 1, ..Tally::default() },
            counts: errors(5),
            memory: Memory::default(),
        };
        // The one since a moment ago, the other since before the start.
        let view = LogsView { logs: vec![away.into()], stored: vec![stored.into()], ..LogsView::default() };
        let mut out = Samples::default();
        samples(&Published::new(Arc::new(view), None), &installation, &census, &mut out);
        let snapshot = out.freeze();
        let errors = |log| snapshot.value(&LOG_MESSAGES, &[log, module_of(log), "prod", "error"]);
        assert_eq!([errors("mta"), errors("export"), errors("import")], [Some(3.0), Some(5.0), Some(0.0)]);
        assert_eq!(snapshot.value(&LOG_ROTATIONS, &["export", "export", "prod"]), Some(1.0));
        assert_eq!(snapshot.of(&LOG_SIZE).count(), 0, "neither is there");
        assert!(snapshot.doubts().is_empty());
    }

    #[test]
    fn of_what_cannot_be_read_it_is_unknown_whether_it_is_well() {
        let troubled =
            LogView { is_troubled: true, ..view("export", Counts { last_message: Some(1), ..Counts::default() }) };
        let troubles =
            BTreeMap::from([((OsString::from("prod"), Miss::Denied), 1), ((OsString::new(), Miss::NotAFile), 1)]);
        let (mut out, _) = collect(LogsView { logs: vec![troubled.into()], troubles, ..LogsView::default() }, None);
        out.judge("responsive", "export", "prod", Some(true));
        health::conclude(&mut out);
        let snapshot = out.freeze();
        let details: BTreeSet<_> =
            snapshot.doubts().iter().map(|doubt| (doubt.reason, doubt.detail.as_str())).collect();
        let reason = DoubtReason::EvidenceUnreadable;
        assert_eq!(details, BTreeSet::from([(reason, "var"), (reason, "var/prod/log")]));
        assert_eq!(snapshot.value(&HEALTH_UNKNOWN, &["evidence_unreadable"]), Some(2.0));
        assert_eq!(snapshot.of(&MODULE_HEALTHY).count(), 0, "its last run may have failed");
    }

    #[test]
    fn a_log_that_is_gone_is_not_shown_and_what_cannot_be_read_is_counted() {
        let gone = LogView { present: false, ..view("mta", Counts::default()) };
        let troubles = BTreeMap::from([
            ((OsString::from("prod"), Miss::Denied), 2),
            ((OsString::from("prod"), Miss::NotAFile), 1),
        ]);
        let (out, outcome) =
            collect(LogsView { logs: vec![gone.into()], troubles, ..LogsView::default() }, Some(false));
        assert!(matches!(outcome, Outcome::Partial(losses) if losses.iter().map(|(_, times)| times).sum::<u64>() == 3));
        let snapshot = out.freeze();
        assert_eq!(snapshot.of(&LOG_SIZE).count(), 0);
        assert_eq!(snapshot.value(&LOG_FILES_NOT_FOLLOWED, &["prod", "permission"]), Some(2.0));
        assert_eq!(snapshot.value(&LOG_FILES_NOT_FOLLOWED, &["prod", "not_a_file"]), Some(1.0));
        assert_eq!(snapshot.value(&STORAGE_SUCCESSFUL, &["logs"]), Some(0.0));
    }

    #[test]
    fn a_host_without_logs_is_no_failure() {
        let (out, outcome) = collect(LogsView::default(), None);
        assert_eq!(outcome, Outcome::NotApplicable);
        assert_eq!(out.freeze().value(&LOG_FILES_FOLLOWED, &[]), Some(0.0));
    }

    #[test]
    fn a_log_that_comes_is_shown_at_zero_before_its_first_counts() {
        let introduced = Arc::new(Introduction::default());
        let codes = BTreeMap::from([("INT-150012".to_owned().try_into().unwrap(), 5)]);
        let counts = Counts { levels: [3, 0, 0], codes, last_error: Some(500), ..Counts::default() };
        let log = LogView { introduced: Arc::clone(&introduced), ..view("cleanup", counts) };
        let errors = || {
            let (out, _) = collect(LogsView { logs: vec![log.clone().into()], ..LogsView::default() }, None);
            let snapshot = out.freeze();
            let of = |def, value: &str| snapshot.value(def, &["cleanup", "cleanup", "prod", value]);
            assert!(snapshot.of(&LOG_LAST_ERROR).count() == 1, "times are told at once");
            (of(&LOG_MESSAGES, "error"), of(&LOG_ERROR_CODES, "INT-150012"))
        };
        assert_eq!(errors(), (Some(0.0), Some(0.0)));
        assert_eq!(errors(), (Some(0.0), Some(0.0)), "a look at the page is no scrape");
        introduced.was_seen();
        assert_eq!(errors(), (Some(3.0), Some(5.0)));
    }

    #[test]
    fn logs_that_are_expected_have_counters_before_they_are_there() {
        let conf = |text: &str| Settings::overlay(None, Some(Arc::new(ServerConf::parse(text.as_bytes()).unwrap())));
        let mut installation = Installation::default();
        installation.instances.insert("prod".into(), conf("<serverconf><mta autoStart='true'/></serverconf>"));
        let mut out = Samples::default();
        let shown = LogsView { logs: vec![view("mta", Counts::default()).into()], ..LogsView::default() };
        let census = Census::of(&installation, &ProcessTable::default());
        samples(&Published::new(Arc::new(shown), None), &installation, &census, &mut out);
        let snapshot = out.freeze();
        assert_eq!(snapshot.rejected(), 0);
        let logs: std::collections::BTreeSet<&str> =
            snapshot.of(&LOG_READ_BYTES).map(|sample| sample.label(0)).collect();
        assert!(["mta", "mtachild", "import", "export", "tracking"].iter().all(|log| logs.contains(log)), "{logs:?}");
        for outcome in ["success", "failure"] {
            assert_eq!(snapshot.value(&LOG_RUNS, &["import", "import", "prod", outcome]), Some(0.0));
        }
        assert_eq!(snapshot.of(&LOG_LAST_MESSAGE).count(), 0);
    }
}
