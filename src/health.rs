//! Evidence into checks: the checks that the documentation asks an operator to make, as a pure function of the
//! samples of one moment. A check without evidence is absent, neither passed nor failed.
//!
//! Knows the catalog and samples; what needs time ("for five minutes", "too many restarts") is for the alert rules.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::catalog::CheckDef;
use crate::catalog::modules::{self, DEFAULT_INSTANCE};
use crate::catalog::signals::crash::{SHARED_MEMORY, SHARED_MEMORY_SEGMENTS, SHARED_MEMORY_USED, SHARED_MEMORY_USER};
use crate::catalog::signals::logs::{LAST_RUN, LOG_LAST_MESSAGE, LOG_LAST_RUN_ERRORS};
use crate::catalog::signals::modules::{
    AGE, DESCRIPTORS, LOG_PRECISION, MAX_AGE, MAX_OPEN_FDS_RATIO, MAX_WAITING, MEMORY, MODULE_CHECK, MODULE_EXPECTED,
    MODULE_HEALTHY, MODULE_MEMORY_ALERT, MODULE_OPEN_FDS_RATIO, MODULE_PROCESSES, MODULE_RESIDENT_MEMORY_MAX,
    MODULE_START_TIME, MODULE_STATES, MODULE_UP, MODULE_VERBOSE, MODULE_WAITING, RESPONSIVE, RUNNING, STARTS_MODULES,
};
use crate::catalog::signals::ports::{CONTROL_PORT, HTTP_PORT, PORT, PORT_BOUND, PORT_NUMBER, PORT_OWNED};
use crate::catalog::signals::probes::{PING, PROBE_SUCCESS, PROBE_TARGET_INFO, Probe, REDIRECTION, SERVING_MODULE};
use crate::catalog::signals::spool::{CHILDREN, MTA_SPOOL_FILES, OWNER};
use crate::catalog::signals::tracking::{LOG_INTEGRITY, TRACKING_LOG_CORRUPT_FILES, WRITER};
use crate::catalog::{Kind, MetricDef};
use crate::snapshot::{Samples, Snapshot};

/// What one check says of one module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Judgement {
    /// The module's name.
    pub module: String,
    /// Its Campaign instance.
    pub instance: String,
    /// The check's name.
    pub check: &'static str,
    /// Whether it passes.
    pub passes: bool,
}

/// A module of one instance, and the samples that speak of it.
struct Subject<'a> {
    module: &'a str,
    instance: &'a str,
    kind: Kind,
    evidence: &'a Snapshot,
    now: SystemTime,
}

/// Each check with the function that judges it; none: nothing to judge by.
type Rule = (&'static CheckDef, fn(&Subject) -> Option<bool>);

/// The checks of modules that are meant to live on.
const RESIDENT_RULES: &[Rule] = &[
    (&RUNNING, running),
    (&MEMORY, memory),
    (&AGE, age),
    (&RESPONSIVE, responsive),
    (&DESCRIPTORS, descriptors),
    (&LOG_PRECISION, log_precision),
    (&STARTS_MODULES, starts_modules),
    (&PORT, |subject| port(subject, &PORT)),
    (&HTTP_PORT, |subject| port(subject, &HTTP_PORT)),
    (&CONTROL_PORT, |subject| port(subject, &CONTROL_PORT)),
    (&CHILDREN, children),
    (&SHARED_MEMORY, shared_memory),
    (&LOG_INTEGRITY, log_integrity),
    (&REDIRECTION, |subject| probes(subject, Probe::Redirection)),
    (&PING, |subject| probes(subject, Probe::Ping)),
];

/// The checks of modules that start when needed and end by themselves.
const UTILITY_RULES: &[Rule] = &[(&LAST_RUN, last_run)];

const fn rules(kind: Kind) -> &'static [Rule] {
    if kind.is_resident() { RESIDENT_RULES } else { UTILITY_RULES }
}

/// Every check of every module that `evidence` allows, at the moment `now`.
#[must_use]
pub fn judge(evidence: &Snapshot, now: SystemTime) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for subject in subjects(evidence, now) {
        for (check, rule) in rules(subject.kind) {
            if let Some(passes) = rule(&subject) {
                judgements.push(Judgement {
                    module: subject.module.to_owned(),
                    instance: subject.instance.to_owned(),
                    check: check.name,
                    passes,
                });
            }
        }
    }
    judgements
}

/// The judgements as samples: every check, and whether a module passes all of them.
#[must_use]
pub fn samples(judgements: &[Judgement]) -> Samples {
    let mut samples = Samples::default();
    for judgement in judgements {
        let labels = [judgement.module.as_str(), &judgement.instance, judgement.check];
        samples.push(&MODULE_CHECK, &labels, number(judgement.passes));
    }
    let same_module = |a: &Judgement, b: &Judgement| a.module == b.module && a.instance == b.instance;
    for of_module in judgements.chunk_by(same_module) {
        let healthy = of_module.iter().all(|judgement| judgement.passes);
        let labels = [of_module[0].module.as_str(), &of_module[0].instance];
        samples.push(&MODULE_HEALTHY, &labels, number(healthy));
    }
    samples
}

fn number(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// The modules that the evidence speaks of, each once: residents by what is expected and seen of them, utilities with a
/// row by their logs.
fn subjects(evidence: &Snapshot, now: SystemTime) -> impl Iterator<Item = Subject<'_>> {
    let expected_or_seen = [&MODULE_EXPECTED, &MODULE_UP].into_iter().flat_map(|def| evidence.of(def));
    let residents = expected_or_seen.filter_map(|sample| {
        let module = sample.labels[0].as_str();
        let kind = modules::residents().find(|(name, _)| *name == module)?.1;
        Some((module, sample.labels[1].as_str(), kind))
    });
    let utilities = evidence.of(&LOG_LAST_RUN_ERRORS).filter_map(|sample| {
        let kind = modules::module(&sample.labels[1])?.kind;
        (!kind.is_resident()).then_some((sample.labels[1].as_str(), sample.labels[2].as_str(), kind))
    });
    let subjects: BTreeMap<(&str, &str), Kind> =
        residents.chain(utilities).map(|(module, instance, kind)| ((module, instance), kind)).collect();
    subjects.into_iter().map(move |((module, instance), kind)| Subject { module, instance, kind, evidence, now })
}

impl Subject<'_> {
    fn value(&self, def: &MetricDef) -> Option<f64> {
        self.evidence.value(def, &[self.module, self.instance])
    }

    fn holds(&self, def: &MetricDef) -> Option<bool> {
        self.value(def).map(|value| value > 0.0)
    }

    fn in_state(&self, state: &str) -> f64 {
        self.evidence.value(&MODULE_STATES, &[self.module, self.instance, state]).unwrap_or(0.0)
    }
}

fn running(subject: &Subject) -> Option<bool> {
    subject.holds(&MODULE_EXPECTED)?.then(|| subject.holds(&MODULE_UP)).flatten()
}

fn memory(subject: &Subject) -> Option<bool> {
    // A threshold of 0 is none.
    let threshold = subject.value(&MODULE_MEMORY_ALERT).filter(|bytes| *bytes > 0.0)?;
    Some(subject.value(&MODULE_RESIDENT_MEMORY_MAX)? < threshold)
}

fn age(subject: &Subject) -> Option<bool> {
    let now = subject.now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some(now - subject.value(&MODULE_START_TIME)? <= MAX_AGE.as_secs_f64())
}

fn responsive(subject: &Subject) -> Option<bool> {
    subject.holds(&MODULE_PROCESSES)?.then_some(())?;
    let waits = subject.value(&MODULE_WAITING).unwrap_or(0.0);
    Some(subject.in_state("stopped") + subject.in_state("zombie") == 0.0 && waits <= MAX_WAITING.as_secs_f64())
}

fn descriptors(subject: &Subject) -> Option<bool> {
    Some(subject.value(&MODULE_OPEN_FDS_RATIO)? < MAX_OPEN_FDS_RATIO)
}

fn log_precision(subject: &Subject) -> Option<bool> {
    subject.holds(&MODULE_VERBOSE).map(|verbose| !verbose)
}

/// The watchdog's own check: of the modules that the configuration starts, some runs.
fn starts_modules(subject: &Subject) -> Option<bool> {
    if subject.kind != Kind::Watchdog || subject.instance != DEFAULT_INSTANCE {
        return None;
    }
    let others = subject.evidence.of(&MODULE_EXPECTED).filter(|sample| {
        let itself = sample.labels[0] == subject.module;
        sample.value > 0.0 && !itself
    });
    let runs = others.filter_map(|sample| {
        let up = subject.evidence.value(&MODULE_UP, &[sample.labels[0].as_str(), sample.labels[1].as_str()])?;
        Some(up > 0.0)
    });
    // Absent when nothing is expected, or when nothing can be told of what is.
    runs.reduce(|some, one| some || one)
}

/// Bound, and not by somebody else alone. Who it is can't always be told.
fn port(subject: &Subject, check: &CheckDef) -> Option<bool> {
    let port = modules::module(subject.module)?.ports.iter().find(|port| port.check == check.name)?;
    let number = subject.evidence.value(&PORT_NUMBER, &[subject.module, subject.instance, check.name])?.to_string();
    let labels = [subject.module, subject.instance, &number, port.protocol.label()];
    let is_bound = subject.evidence.value(&PORT_BOUND, &labels)? > 0.0;
    Some(is_bound && subject.evidence.value(&PORT_OWNED, &labels) != Some(0.0))
}

/// Work waits => a child lives. Of a module that is down this says nothing.
fn children(subject: &Subject) -> Option<bool> {
    if subject.module != OWNER.name || !subject.holds(&MODULE_UP)? {
        return None;
    }
    let waits = subject.evidence.value(&MTA_SPOOL_FILES, &[subject.instance])? > 0.0;
    let lives = |child: &&str| {
        let processes = subject.evidence.value(&MODULE_PROCESSES, &[child, subject.instance]).unwrap_or(0.0);
        let zombies = subject.evidence.value(&MODULE_STATES, &[child, subject.instance, "zombie"]).unwrap_or(0.0);
        processes > zombies
    };
    Some(!waits || OWNER.children.iter().any(lives))
}

/// A segment of Campaign's user, or one that its processes use. None of the first may be all that can be told.
fn shared_memory(subject: &Subject) -> Option<bool> {
    if subject.module != SHARED_MEMORY_USER.name || !subject.holds(&MODULE_UP)? {
        return None;
    }
    let has_some = |def| subject.evidence.value(def, &[]).map(|segments| segments >= 1.0);
    match (has_some(&SHARED_MEMORY_SEGMENTS), has_some(&SHARED_MEMORY_USED)) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// Of the one process that writes for all instances: none of their files has a corrupt line.
fn log_integrity(subject: &Subject) -> Option<bool> {
    if subject.module != WRITER.name || subject.instance != DEFAULT_INSTANCE {
        return None;
    }
    let corrupt = subject.evidence.of(&TRACKING_LOG_CORRUPT_FILES).map(|sample| sample.value);
    corrupt.reduce(|one, other| one + other).map(|files| files == 0.0)
}

/// Of the module that serves the end points: every target that is this host answers the probe.
fn probes(subject: &Subject, probe: Probe) -> Option<bool> {
    if subject.module != SERVING_MODULE.name || subject.instance != DEFAULT_INSTANCE {
        return None;
    }
    let here = subject.evidence.of(&PROBE_TARGET_INFO).filter(|sample| sample.labels[2] == "yes");
    let answers = here.filter_map(|sample| {
        let success = subject.evidence.value(&PROBE_SUCCESS, &[probe.label(), &sample.labels[0]])?;
        Some(success > 0.0)
    });
    answers.reduce(|all, one| all && one)
}

/// A utility's own check. It may have several logs (`-tracefile:`): the last run is the one that wrote last.
fn last_run(subject: &Subject) -> Option<bool> {
    let of_module = subject.evidence.of(&LOG_LAST_RUN_ERRORS).filter(|sample| {
        let labels = &sample.labels;
        labels[1] == subject.module && labels[2] == subject.instance
    });
    let timed = of_module.filter_map(|sample| {
        let labels: Vec<_> = sample.labels.iter().map(String::as_str).collect();
        Some((subject.evidence.value(&LOG_LAST_MESSAGE, &labels)?, sample.value))
    });
    let (_, errors) = timed.max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)))?;
    Some(errors == 0.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalog::signals;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    /// The checks, by name, that the samples `(metric, labels, value)` lead to.
    fn checks(evidence: &[(&'static MetricDef, &[&str], f64)]) -> Vec<(String, bool)> {
        let mut samples = Samples::default();
        for (def, labels, value) in evidence {
            samples.push(def, labels, *value);
        }
        let judgements = judge(&samples.freeze(), UNIX_EPOCH + NOW);
        judgements
            .into_iter()
            .map(|one| (format!("{}@{} {}", one.module, one.instance, one.check), one.passes))
            .collect()
    }

    const MTA: &[&str] = &["mta", "prod"];
    const WEB: &[&str] = &["web", "default"];
    const SYSLOGD: &[&str] = &["syslogd", "default"];
    const TRACKINGLOGD: &[&str] = &["trackinglogd", "default"];
    const WATCHDOG: &[&str] = &["watchdog", "default"];
    const IMPORT: &[&str] = &["import", "prod"];
    const IMPORT_LOG: &[&str] = &["import", "import", "prod"];
    const HERE: &[&str] = &["a", "http://a", "yes"];

    type Evidence = &'static [(&'static MetricDef, &'static [&'static str], f64)];

    /// A check in its three states.
    struct Case {
        check: &'static CheckDef,
        /// A module that has the check, and its instance.
        subject: &'static [&'static str],
        passes: Evidence,
        fails: Evidence,
        /// Of the module there is evidence, but not what this check goes by.
        absent: Evidence,
    }

    const fn case(
        check: &'static CheckDef,
        subject: &'static [&'static str],
        [passes, fails, absent]: [Evidence; 3],
    ) -> Case {
        Case { check, subject, passes, fails, absent }
    }

    const DAY_AND_HOUR: f64 = 25.0 * 3600.0;
    const SYSLOGD_PORT: &[&str] = &["syslogd", "default", "port"];
    const SYSLOGD_6666: &[&str] = &["syslogd", "default", "6666", "udp"];
    const WEB_HTTP: &[&str] = &["web", "default", "http_port"];
    const WEB_8080: &[&str] = &["web", "default", "8080", "tcp"];
    const WEB_CONTROL: &[&str] = &["web", "default", "control_port"];
    const WEB_8005: &[&str] = &["web", "default", "8005", "tcp"];

    /// Every check of the catalog, once, with evidence at the edges of its rule.
    static CASES: &[Case] = &[
        case(
            &RUNNING,
            MTA,
            [
                &[(&MODULE_EXPECTED, MTA, 1.0), (&MODULE_UP, MTA, 1.0)],
                &[(&MODULE_EXPECTED, MTA, 1.0), (&MODULE_UP, MTA, 0.0)],
                &[(&MODULE_EXPECTED, MTA, 1.0)],
            ],
        ),
        case(
            &MEMORY,
            MTA,
            [
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_RESIDENT_MEMORY_MAX, MTA, 99.0), (&MODULE_MEMORY_ALERT, MTA, 100.0)],
                &[
                    (&MODULE_UP, MTA, 1.0),
                    (&MODULE_RESIDENT_MEMORY_MAX, MTA, 100.0),
                    (&MODULE_MEMORY_ALERT, MTA, 100.0),
                ],
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_RESIDENT_MEMORY_MAX, MTA, 100.0)],
            ],
        ),
        case(
            &AGE,
            MTA,
            [
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_START_TIME, MTA, NOW.as_secs() as f64 - DAY_AND_HOUR)],
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_START_TIME, MTA, NOW.as_secs() as f64 - DAY_AND_HOUR - 1.0)],
                &[(&MODULE_UP, MTA, 1.0)],
            ],
        ),
        case(
            &RESPONSIVE,
            MTA,
            [
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_PROCESSES, MTA, 1.0), (&MODULE_WAITING, MTA, 60.0)],
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_PROCESSES, MTA, 1.0), (&MODULE_WAITING, MTA, 61.0)],
                &[(&MODULE_UP, MTA, 0.0), (&MODULE_PROCESSES, MTA, 0.0)],
            ],
        ),
        case(
            &DESCRIPTORS,
            MTA,
            [
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_OPEN_FDS_RATIO, MTA, 0.89)],
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_OPEN_FDS_RATIO, MTA, 0.9)],
                &[(&MODULE_UP, MTA, 1.0)],
            ],
        ),
        case(
            &LOG_PRECISION,
            MTA,
            [
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_VERBOSE, MTA, 0.0)],
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_VERBOSE, MTA, 1.0)],
                &[(&MODULE_UP, MTA, 1.0)],
            ],
        ),
        case(
            &STARTS_MODULES,
            WATCHDOG,
            [
                &[(&MODULE_UP, WATCHDOG, 1.0), (&MODULE_EXPECTED, MTA, 1.0), (&MODULE_UP, MTA, 1.0)],
                &[(&MODULE_UP, WATCHDOG, 1.0), (&MODULE_EXPECTED, MTA, 1.0), (&MODULE_UP, MTA, 0.0)],
                &[(&MODULE_UP, WATCHDOG, 1.0), (&MODULE_EXPECTED, WATCHDOG, 1.0), (&MODULE_EXPECTED, MTA, 0.0)],
            ],
        ),
        case(
            &PORT,
            SYSLOGD,
            [
                &[
                    (&MODULE_UP, SYSLOGD, 1.0),
                    (&PORT_NUMBER, SYSLOGD_PORT, 6666.0),
                    (&PORT_BOUND, SYSLOGD_6666, 1.0),
                    (&PORT_OWNED, SYSLOGD_6666, 1.0),
                ],
                &[
                    (&MODULE_UP, SYSLOGD, 1.0),
                    (&PORT_NUMBER, SYSLOGD_PORT, 6666.0),
                    (&PORT_BOUND, SYSLOGD_6666, 1.0),
                    (&PORT_OWNED, SYSLOGD_6666, 0.0),
                ],
                &[(&MODULE_UP, SYSLOGD, 1.0), (&PORT_NUMBER, SYSLOGD_PORT, 6666.0)],
            ],
        ),
        case(
            &HTTP_PORT,
            WEB,
            [
                &[(&MODULE_UP, WEB, 1.0), (&PORT_NUMBER, WEB_HTTP, 8080.0), (&PORT_BOUND, WEB_8080, 1.0)],
                &[(&MODULE_UP, WEB, 1.0), (&PORT_NUMBER, WEB_HTTP, 8080.0), (&PORT_BOUND, WEB_8080, 0.0)],
                &[(&MODULE_UP, WEB, 1.0), (&PORT_NUMBER, WEB_HTTP, 8080.0), (&PORT_BOUND, WEB_8005, 0.0)],
            ],
        ),
        case(
            &CONTROL_PORT,
            WEB,
            [
                &[(&MODULE_UP, WEB, 1.0), (&PORT_NUMBER, WEB_CONTROL, 8005.0), (&PORT_BOUND, WEB_8005, 1.0)],
                &[(&MODULE_UP, WEB, 1.0), (&PORT_NUMBER, WEB_CONTROL, 8005.0), (&PORT_BOUND, WEB_8005, 0.0)],
                &[(&MODULE_UP, WEB, 1.0), (&PORT_NUMBER, WEB_CONTROL, 8005.0), (&PORT_BOUND, WEB_8080, 0.0)],
            ],
        ),
        case(
            &CHILDREN,
            MTA,
            [
                &[
                    (&MODULE_UP, MTA, 1.0),
                    (&MTA_SPOOL_FILES, &["prod"], 3.0),
                    (&MODULE_PROCESSES, &["mtachild", "prod"], 1.0),
                ],
                &[(&MODULE_UP, MTA, 1.0), (&MTA_SPOOL_FILES, &["prod"], 1.0)],
                &[(&MODULE_UP, MTA, 1.0), (&MODULE_PROCESSES, &["mtachild", "prod"], 1.0)],
            ],
        ),
        case(
            &SHARED_MEMORY,
            TRACKINGLOGD,
            [
                &[(&MODULE_UP, TRACKINGLOGD, 1.0), (&SHARED_MEMORY_SEGMENTS, &[], 1.0)],
                &[
                    (&MODULE_UP, TRACKINGLOGD, 1.0),
                    (&SHARED_MEMORY_SEGMENTS, &[], 0.0),
                    (&SHARED_MEMORY_USED, &[], 0.0),
                ],
                &[(&MODULE_UP, TRACKINGLOGD, 1.0)],
            ],
        ),
        case(
            &LOG_INTEGRITY,
            TRACKINGLOGD,
            [
                &[
                    (&MODULE_UP, TRACKINGLOGD, 1.0),
                    (&TRACKING_LOG_CORRUPT_FILES, &["prod"], 0.0),
                    (&TRACKING_LOG_CORRUPT_FILES, &["stage"], 0.0),
                ],
                &[
                    (&MODULE_UP, TRACKINGLOGD, 1.0),
                    (&TRACKING_LOG_CORRUPT_FILES, &["prod"], 0.0),
                    (&TRACKING_LOG_CORRUPT_FILES, &["stage"], 1.0),
                ],
                &[(&MODULE_UP, TRACKINGLOGD, 1.0)],
            ],
        ),
        case(
            &REDIRECTION,
            WEB,
            [
                &[
                    (&MODULE_UP, WEB, 1.0),
                    (&PROBE_TARGET_INFO, HERE, 1.0),
                    (&PROBE_SUCCESS, &["redirection", "a"], 1.0),
                ],
                &[
                    (&MODULE_UP, WEB, 1.0),
                    (&PROBE_TARGET_INFO, HERE, 1.0),
                    (&PROBE_SUCCESS, &["redirection", "a"], 0.0),
                ],
                &[(&MODULE_UP, WEB, 1.0), (&PROBE_TARGET_INFO, HERE, 1.0), (&PROBE_SUCCESS, &["ping", "a"], 0.0)],
            ],
        ),
        case(
            &PING,
            WEB,
            [
                &[(&MODULE_UP, WEB, 1.0), (&PROBE_TARGET_INFO, HERE, 1.0), (&PROBE_SUCCESS, &["ping", "a"], 1.0)],
                &[(&MODULE_UP, WEB, 1.0), (&PROBE_TARGET_INFO, HERE, 1.0), (&PROBE_SUCCESS, &["ping", "a"], 0.0)],
                &[
                    (&MODULE_UP, WEB, 1.0),
                    (&PROBE_TARGET_INFO, HERE, 1.0),
                    (&PROBE_SUCCESS, &["redirection", "a"], 0.0),
                ],
            ],
        ),
        case(
            &LAST_RUN,
            IMPORT,
            [
                &[(&LOG_LAST_MESSAGE, IMPORT_LOG, 5.0), (&LOG_LAST_RUN_ERRORS, IMPORT_LOG, 0.0)],
                &[(&LOG_LAST_MESSAGE, IMPORT_LOG, 5.0), (&LOG_LAST_RUN_ERRORS, IMPORT_LOG, 1.0)],
                &[(&LOG_LAST_RUN_ERRORS, IMPORT_LOG, 1.0)],
            ],
        ),
    ];

    #[test]
    fn every_check_of_the_catalog_passes_fails_and_is_absent_by_its_evidence() {
        for case in CASES {
            let name = format!("{}@{} {}", case.subject[0], case.subject[1], case.check.name);
            for (evidence, expected) in [(case.passes, Some(true)), (case.fails, Some(false)), (case.absent, None)] {
                let found = checks(evidence).into_iter().find(|(check, _)| *check == name);
                assert_eq!(found.map(|(_, passes)| passes), expected, "{name} with {evidence:?}");
            }
        }
        let mut shown: Vec<_> = CASES.iter().map(|case| case.check.name).collect();
        let mut there: Vec<_> = signals::checks().map(|check| check.name).collect();
        shown.sort_unstable();
        there.sort_unstable();
        assert_eq!(shown, there, "each check of the catalog has one case");
    }

    #[track_caller]
    fn assert_check(name: &str, evidence: &[(&'static MetricDef, &[&str], f64)], expected: Option<bool>) {
        let mut evidence = evidence.to_vec();
        evidence.push((&MODULE_EXPECTED, MTA, 1.0));
        let found = checks(&evidence).into_iter().find(|(check, _)| *check == format!("mta@prod {name}"));
        assert_eq!(found.map(|(_, passes)| passes), expected, "{name} with {evidence:?}");
    }

    #[test]
    fn a_module_that_is_stopped_zombie_or_long_waiting_is_not_responsive() {
        let one = (&MODULE_PROCESSES, MTA, 1.0);
        let state = |labels: &'static [&'static str]| (&MODULE_STATES, labels, 1.0);
        assert_check("responsive", &[one, state(&["mta", "prod", "sleeping"])], Some(true));
        assert_check("responsive", &[one, state(&["mta", "prod", "waiting"])], Some(true));
        assert_check("responsive", &[one, state(&["mta", "prod", "stopped"])], Some(false));
        assert_check("responsive", &[one, state(&["mta", "prod", "zombie"])], Some(false));
        assert_check("responsive", &[one, (&MODULE_WAITING, MTA, 60.0)], Some(true));
        assert_check("responsive", &[one, (&MODULE_WAITING, MTA, 61.0)], Some(false));
        assert_check("responsive", &[(&MODULE_PROCESSES, MTA, 0.0)], None);
        assert_check("responsive", &[], None);
    }

    #[test]
    fn the_watchdog_starts_modules_when_some_expected_one_runs() {
        let watchdog: &[&str] = &["watchdog", "default"];
        let expected = [(&MODULE_EXPECTED, watchdog, 1.0), (&MODULE_EXPECTED, MTA, 1.0)];
        let verdict = |up: &[(&'static MetricDef, &[&str], f64)]| {
            let evidence = [&expected, up].concat();
            checks(&evidence)
                .into_iter()
                .find(|(name, _)| name == "watchdog@default starts_modules")
                .map(|(_, passes)| passes)
        };
        assert_eq!(verdict(&[(&MODULE_UP, MTA, 1.0)]), Some(true));
        assert_eq!(verdict(&[(&MODULE_UP, MTA, 0.0)]), Some(false));
        assert_eq!(verdict(&[(&MODULE_UP, watchdog, 1.0)]), None, "the watchdog's own process says nothing");
        assert_eq!(verdict(&[]), None);
    }

    /// What a check says of a module that is expected and up.
    fn verdict(
        module: &'static str,
        instance: &'static str,
        name: &str,
        evidence: &[(&'static MetricDef, &[&str], f64)],
    ) -> Option<bool> {
        let mut evidence = evidence.to_vec();
        let labels = [module, instance];
        evidence.push((&MODULE_UP, &labels, 1.0));
        let name = format!("{module}@{instance} {name}");
        checks(&evidence).into_iter().find(|(check, _)| *check == name).map(|(_, passes)| passes)
    }

    #[test]
    fn a_port_is_well_when_it_is_bound_and_nobody_elses() {
        let number: (&'static MetricDef, &[&str], f64) = (&PORT_NUMBER, &["syslogd", "default", "port"], 6667.0);
        let labels: &[&str] = &["syslogd", "default", "6667", "udp"];
        let port = |evidence: &[(&'static MetricDef, &[&str], f64)]| {
            verdict("syslogd", "default", "port", &[&[number], evidence].concat())
        };
        assert_eq!(port(&[(&PORT_BOUND, labels, 1.0), (&PORT_OWNED, labels, 1.0)]), Some(true));
        assert_eq!(port(&[(&PORT_BOUND, labels, 1.0), (&PORT_OWNED, labels, 0.0)]), Some(false));
        assert_eq!(port(&[(&PORT_BOUND, labels, 1.0)]), Some(true), "who it is can't be told");
        assert_eq!(port(&[(&PORT_BOUND, labels, 0.0)]), Some(false));
        assert_eq!(port(&[]), None);
        assert_eq!(
            verdict("syslogd", "default", "port", &[(&PORT_BOUND, labels, 1.0)]),
            None,
            "which one is not known"
        );
    }

    #[test]
    fn each_port_of_a_module_has_a_check_of_its_own() {
        let evidence: &[(&'static MetricDef, &[&str], f64)] = &[
            (&PORT_NUMBER, &["web", "default", "http_port"], 8080.0),
            (&PORT_NUMBER, &["web", "default", "control_port"], 8005.0),
            (&PORT_BOUND, &["web", "default", "8080", "tcp"], 1.0),
            (&PORT_BOUND, &["web", "default", "8005", "tcp"], 0.0),
        ];
        assert_eq!(verdict("web", "default", "http_port", evidence), Some(true));
        assert_eq!(verdict("web", "default", "control_port", evidence), Some(false));
        assert_eq!(verdict("web", "default", "port", evidence), None);
    }

    #[test]
    fn a_memory_threshold_of_0_is_none() {
        let judged = |threshold: f64| {
            let evidence = [
                (&MODULE_UP, MTA, 1.0),
                (&MODULE_RESIDENT_MEMORY_MAX, MTA, 99.0),
                (&MODULE_MEMORY_ALERT, MTA, threshold),
            ];
            verdict("mta", "prod", "memory", &evidence)
        };
        assert_eq!([judged(100.0), judged(99.0), judged(0.0)], [Some(true), Some(false), None]);
    }

    #[test]
    fn work_that_waits_needs_a_child_that_lives() {
        let files = |count| (&MTA_SPOOL_FILES, &["prod"] as &[&str], count);
        let child: (&'static MetricDef, &[&str], f64) = (&MODULE_PROCESSES, &["mtachild", "prod"], 1.0);
        let zombie: (&'static MetricDef, &[&str], f64) = (&MODULE_STATES, &["mtachild", "prod", "zombie"], 1.0);
        assert_eq!(verdict("mta", "prod", "children", &[files(3.0), child]), Some(true));
        assert_eq!(verdict("mta", "prod", "children", &[files(0.0)]), Some(true));
        assert_eq!(verdict("mta", "prod", "children", &[files(3.0)]), Some(false));
        assert_eq!(verdict("mta", "prod", "children", &[files(3.0), child, zombie]), Some(false));
        assert_eq!(verdict("mta", "prod", "children", &[child]), None, "nothing is known of the spool");
        assert_eq!(verdict("stat", "prod", "children", &[files(3.0)]), None);
        assert_check("children", &[(&MODULE_UP, MTA, 0.0), files(3.0)], None);
    }

    #[test]
    fn the_tracking_logs_of_every_instance_have_good_lines_alone() {
        let one = |value| (&TRACKING_LOG_CORRUPT_FILES, ["prod"].as_slice(), value);
        let other = |value| (&TRACKING_LOG_CORRUPT_FILES, ["test"].as_slice(), value);
        let up: (_, &[&str], _) = (&MODULE_UP, &["trackinglogd", "default"], 0.0);
        let verdict = |evidence: &[(&'static MetricDef, &[&str], f64)]| {
            let all = checks(&[&[up], evidence].concat());
            all.into_iter().find(|(name, _)| name == "trackinglogd@default log_integrity").map(|(_, passes)| passes)
        };
        assert_eq!(verdict(&[one(0.0), other(0.0)]), Some(true), "also while it is down");
        assert_eq!(verdict(&[one(0.0), other(1.0)]), Some(false));
        assert_eq!(verdict(&[]), None);
        let elsewhere = checks(&[(&MODULE_UP, MTA, 1.0), one(1.0)]);
        assert!(!elsewhere.iter().any(|(name, _)| name.ends_with("log_integrity")));
    }

    #[test]
    fn a_living_trackinglogd_has_a_segment() {
        let segments = |count| [(&SHARED_MEMORY_SEGMENTS, &[] as &[&str], count)];
        let both = |owned, used| [segments(owned)[0], (&SHARED_MEMORY_USED, &[] as &[&str], used)];
        assert_eq!(verdict("trackinglogd", "default", "shared_memory", &segments(1.0)), Some(true));
        assert_eq!(verdict("trackinglogd", "default", "shared_memory", &segments(3.0)), Some(true));
        assert_eq!(
            verdict("trackinglogd", "default", "shared_memory", &both(0.0, 1.0)),
            Some(true),
            "the web server's"
        );
        assert_eq!(verdict("trackinglogd", "default", "shared_memory", &both(0.0, 0.0)), Some(false));
        assert_eq!(
            verdict("trackinglogd", "default", "shared_memory", &segments(0.0)),
            None,
            "whose others are is unknown"
        );
        assert_eq!(verdict("trackinglogd", "default", "shared_memory", &[]), None);
        assert_eq!(verdict("web", "default", "shared_memory", &segments(0.0)), None);
    }

    #[test]
    fn the_targets_that_are_this_host_decide_on_its_end_points() {
        let web: &[&str] = &["web", "default"];
        let expected = (&MODULE_EXPECTED, web, 1.0);
        let here: (&MetricDef, &[&str], f64) = (&PROBE_TARGET_INFO, &["a", "http://a", "yes"], 1.0);
        let also: (&MetricDef, &[&str], f64) = (&PROBE_TARGET_INFO, &["b", "http://b", "yes"], 1.0);
        let there: (&MetricDef, &[&str], f64) = (&PROBE_TARGET_INFO, &["c", "http://c", "no"], 1.0);
        for check in ["redirection", "ping"] {
            let verdict = |results: &[(&str, f64)]| {
                let labels: Vec<[&str; 2]> = results.iter().map(|(target, _)| [check, *target]).collect();
                let mut evidence = vec![expected, here, also, there];
                for (labels, (_, value)) in labels.iter().zip(results) {
                    evidence.push((&PROBE_SUCCESS, labels.as_slice(), *value));
                }
                let found = checks(&evidence);
                found.into_iter().find(|(name, _)| *name == format!("web@default {check}")).map(|(_, passes)| passes)
            };
            assert_eq!(verdict(&[("a", 1.0), ("b", 1.0), ("c", 0.0)]), Some(true));
            assert_eq!(verdict(&[("a", 1.0), ("b", 0.0)]), Some(false));
            assert_eq!(verdict(&[("a", 0.0)]), Some(false));
            assert_eq!(verdict(&[("c", 0.0)]), None, "another host says nothing of this one");
            assert_eq!(verdict(&[]), None);
        }
    }

    #[test]
    fn a_utility_is_judged_by_the_errors_of_its_last_run() {
        let run = |log: &'static [&'static str; 3], time: f64, errors: f64| {
            [(&LOG_LAST_MESSAGE, &log[..], time), (&LOG_LAST_RUN_ERRORS, &log[..], errors)]
        };
        let own: &[&str; 3] = &["import", "import", "prod"];
        let traced: &[&str; 3] = &["import_debug", "import", "prod"];
        let verdict = |runs: &[[(&'static MetricDef, &[&str], f64); 2]]| checks(&runs.concat());
        let passes = |passes| vec![("import@prod last_run".to_owned(), passes)];
        assert_eq!(verdict(&[run(own, 5.0, 0.0)]), passes(true));
        assert_eq!(verdict(&[run(own, 5.0, 2.0)]), passes(false));
        assert_eq!(verdict(&[run(own, 5.0, 2.0), run(traced, 6.0, 0.0)]), passes(true), "the later one counts");
        assert_eq!(verdict(&[run(own, 7.0, 0.0), run(traced, 6.0, 1.0)]), passes(true), "the later one counts");
        assert_eq!(verdict(&[run(own, 6.0, 0.0), run(traced, 6.0, 1.0)]), passes(false), "both are the last");
        assert_eq!(verdict(&[]), [], "a module that never ran has no last run");
    }

    #[test]
    fn each_instance_has_its_own_last_run() {
        let (prod, dev): (&[&str], &[&str]) = (&["export", "export", "prod"], &["export", "export", "dev"]);
        let evidence = [
            (&LOG_LAST_MESSAGE, prod, 1.0),
            (&LOG_LAST_MESSAGE, dev, 1.0),
            (&LOG_LAST_RUN_ERRORS, prod, 1.0),
            (&LOG_LAST_RUN_ERRORS, dev, 0.0),
        ];
        let expected = [("export@dev last_run".to_owned(), true), ("export@prod last_run".to_owned(), false)];
        assert_eq!(checks(&evidence), expected);
    }

    #[test]
    fn the_log_of_a_resident_or_unknown_module_is_no_run() {
        let resident: &[&str] = &["mta", "mta", "prod"];
        let unknown: &[&str] = &["cleanup", "cleanup", "prod"];
        let evidence = [
            (&LOG_LAST_MESSAGE, resident, 1.0),
            (&LOG_LAST_RUN_ERRORS, resident, 1.0),
            (&LOG_LAST_MESSAGE, unknown, 1.0),
            (&LOG_LAST_RUN_ERRORS, unknown, 1.0),
            (&MODULE_EXPECTED, MTA, 1.0),
            (&MODULE_UP, MTA, 1.0),
        ];
        assert_eq!(checks(&evidence), [("mta@prod running".to_owned(), true)]);
    }

    #[test]
    fn what_is_not_resident_or_not_expected_is_not_judged_as_running() {
        let import: &[&str] = &["import", "prod"];
        assert_eq!(checks(&[(&MODULE_EXPECTED, import, 1.0), (&MODULE_UP, import, 0.0)]), []);
        assert_eq!(checks(&[(&MODULE_EXPECTED, MTA, 0.0), (&MODULE_UP, MTA, 0.0)]), []);
    }

    #[test]
    fn a_module_is_healthy_when_all_its_checks_pass() {
        let judgement =
            |module: &str, check, passes| Judgement { module: module.into(), instance: "prod".into(), check, passes };
        let judgements =
            [judgement("mta", "running", true), judgement("mta", "memory", false), judgement("stat", "running", true)];
        let snapshot = samples(&judgements).freeze();
        assert_eq!(snapshot.value(&MODULE_HEALTHY, &["mta", "prod"]), Some(0.0));
        assert_eq!(snapshot.value(&MODULE_HEALTHY, &["stat", "prod"]), Some(1.0));
        assert_eq!(snapshot.value(&MODULE_CHECK, &["mta", "prod", "memory"]), Some(0.0));
    }
}
