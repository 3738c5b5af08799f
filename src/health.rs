//! Evidence into checks: the checks that the documentation asks an operator to make, each a pure function of what is known at
//! one moment. There are three answers: it passes, it fails, and none where that is unknown.
//!
//! Conditions over time ("for five minutes", "too many restarts") are left to the alert rules. The collector that has
//! the evidence calls the check (`Samples::judge`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::catalog::Kind;
use crate::catalog::signals::exporter::HEALTH_UNKNOWN;
use crate::catalog::signals::modules::{MAX_AGE, MAX_OPEN_FDS_RATIO, MAX_WAITING, MODULE_CHECK, MODULE_HEALTHY};
use crate::snapshot::Samples;

pub use crate::catalog::signals::exporter::DoubtReason;
pub use crate::snapshot::{Doubt, Judgement};

/// Configured to start => a live process.
#[must_use]
pub fn running(expected: Option<bool>, up: Option<bool>) -> Option<bool> {
    if expected? { up } else { None }
}

/// The largest process is smaller than the configured threshold, in bytes; a threshold of 0 is none, and a process that
/// has ended uses nothing.
#[must_use]
pub fn memory(largest: u64, threshold: u64) -> Option<bool> {
    (threshold > 0 && largest > 0).then_some(largest < threshold)
}

/// The daily restart took place; both times since 1970-01-01 UTC. The watchdog, which restarts all others, has none.
#[must_use]
pub fn age(kind: Kind, oldest_start: Option<Duration>, now: Duration) -> Option<bool> {
    if kind == Kind::Watchdog {
        return None;
    }
    Some(now.saturating_sub(oldest_start?) <= MAX_AGE)
}

/// No process is stopped, a zombie, or has been waiting uninterruptibly for `waiting`, which is too long.
#[must_use]
pub fn responsive(processes: u64, stopped: u64, zombies: u64, waiting: Duration) -> Option<bool> {
    (processes > 0).then_some(stopped + zombies == 0 && waiting <= MAX_WAITING)
}

/// The process that comes nearest to its limit of open descriptors keeps enough of them free; for `untold` processes
/// that is unknown.
#[must_use]
pub fn descriptors(worst_ratio: Option<f64>, untold: u64) -> Option<bool> {
    let passes = worst_ratio.map(|ratio| ratio < MAX_OPEN_FDS_RATIO);
    all([passes, (untold == 0).then_some(true)].into_iter())
}

/// No process logs more than the configuration asks for; a process that has ended has no command line to judge by.
#[must_use]
pub fn log_precision(living: u64, raised: bool) -> Option<bool> {
    (living > 0).then_some(!raised)
}

/// Of the modules that the watchdog has to start (each: whether it is up), some runs. None when nothing is expected, or
/// none is known to run and one is unknown.
#[must_use]
pub fn starts_modules(expected: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(expected.map(|up| up.map(|up| !up))).map(|none_runs| !none_runs)
}

/// Bound, and by the module itself. The owner can't always be told, and is not known at once.
#[must_use]
pub fn port(bound: Option<bool>, owned: Option<bool>) -> Option<bool> {
    if bound? { owned } else { Some(false) }
}

/// Work waits => a child runs. None for a module that is down.
#[must_use]
pub fn children(up: Option<bool>, waiting: Option<u64>, living: Option<u64>) -> Option<bool> {
    match (up?, waiting, living) {
        (false, ..) => None,
        (true, Some(0), _) | (true, _, Some(1..)) => Some(true),
        (true, waiting, living) => waiting.and(living).map(|_| false),
    }
}

/// While the module runs, there is a segment of Campaign's user (`owned`), or one that its processes use; how many are
/// used is not always known.
#[must_use]
pub fn shared_memory(up: Option<bool>, owned: u64, used: Option<u64>) -> Option<bool> {
    match (up?, owned, used) {
        (false, _, _) => None,
        (true, 0, used) => used.map(|used| used > 0),
        (true, _, _) => Some(true),
    }
}

/// None of the instances' tracking logs (each: how many of its files) has a corrupt line; `unread` files and folders may
/// have one.
#[must_use]
pub fn log_integrity(corrupt_files: impl Iterator<Item = u64>, unread: u64) -> Option<bool> {
    let corrupt = corrupt_files.reduce(|one, other| one + other)?;
    all([Some(corrupt == 0), (unread == 0).then_some(true)].into_iter())
}

/// Every target that is this host answers the probe.
#[must_use]
pub fn answers(targets: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(targets)
}

/// The run that wrote last wrote no error. A utility may have several logs (`-tracefile:`): each with the time of its last
/// message, in milliseconds, and the errors of the run that wrote it; none where the log can't be read.
#[must_use]
pub fn last_run(logs: impl Iterator<Item = Option<(Option<i64>, u64)>>) -> Option<bool> {
    let logs: Option<Vec<_>> = logs.collect();
    let timed = logs?.into_iter().filter_map(|(time, errors)| Some((time?, errors)));
    timed.max().map(|(_, errors)| errors == 0)
}

/// False when one of them is false; else none when one is none, or when there are none; else true.
fn all(mut answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let first = answers.next()?;
    answers.fold(first, |all, one| match (all, one) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    })
}

/// Adds the conclusions: every check, whether a module passes all of its checks, and how much is unknown. While a doubt
/// concerns everything, nothing is judged.
pub fn conclude(evidence: &mut Samples) {
    if evidence.is_in_doubt_of_everything() {
        evidence.withhold_judgements();
    }
    evidence.conclude(samples);
}

/// Adds the samples of the judgements, ordered by module and instance, and of the doubts.
fn samples(judgements: &[Judgement], doubts: &[Doubt], samples: &mut Samples) {
    for judgement in judgements {
        let labels = [judgement.module.as_str(), &judgement.instance, judgement.check];
        samples.push(&MODULE_CHECK, &labels, number(judgement.passes));
    }
    let same_module = |a: &Judgement, b: &Judgement| a.module == b.module && a.instance == b.instance;
    for of_module in judgements.chunk_by(same_module) {
        let passes = of_module.iter().all(|judgement| judgement.passes);
        let (module, instance) = (of_module[0].module.as_str(), of_module[0].instance.as_str());
        if !passes || !doubts.iter().any(|doubt| doubt.is_of(module, instance)) {
            samples.push(&MODULE_HEALTHY, &[module, instance], number(passes));
        }
    }
    for reason in DoubtReason::ALL {
        let of_reason = doubts.iter().filter(|doubt| doubt.reason == reason);
        // Several modules may be in doubt of the same.
        let things = of_reason.map(|doubt| &doubt.detail).collect::<BTreeSet<_>>().len();
        samples.push(&HEALTH_UNKNOWN, &[reason.label()], f64::from(u32::try_from(things).unwrap_or(u32::MAX)));
    }
}

fn number(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    const ANSWERS: [Option<bool>; 3] = [Some(true), Some(false), None];

    fn concluded(mut evidence: Samples) -> Snapshot {
        conclude(&mut evidence);
        evidence.freeze()
    }

    #[test]
    fn what_can_not_be_told_neither_passes_nor_fails() {
        assert_eq!(ANSWERS.map(|up| running(Some(true), up)), ANSWERS);
        assert_eq!(ANSWERS.map(|up| running(Some(false), up)), [None; 3], "need not run");
        assert_eq!(ANSWERS.map(|up| running(None, up)), [None; 3]);
        assert_eq!([0, 1].map(|waiting| children(None, Some(waiting), Some(1))), [None; 2]);
        assert_eq!(ANSWERS.map(|up| shared_memory(up, 0, Some(0))), [Some(false), None, None]);
        assert_eq!([answers([].into_iter()), answers([None].into_iter())], [None; 2]);
        assert_eq!([descriptors(None, 0), log_integrity([].into_iter(), 0), last_run([].into_iter())], [None; 3]);
    }

    #[test]
    fn missing_evidence_never_passes_and_hides_no_fault() {
        assert_eq!(port(Some(true), None), None, "whose it is can't be told yet");
        assert_eq!([descriptors(Some(0.1), 1), descriptors(Some(0.9), 1)], [None, Some(false)]);
        assert_eq!(memory(0, 100), None, "it has ended");
        assert_eq!([log_precision(0, false), log_precision(1, false)], [None, Some(true)]);
        let up = Some(true);
        assert_eq!([children(up, None, Some(0)), children(up, Some(1), None), children(up, None, None)], [None; 3]);
        assert_eq!([children(up, None, Some(1)), children(up, Some(0), None)], [up; 2]);
        assert_eq!([log_integrity([0].into_iter(), 1), log_integrity([1].into_iter(), 1)], [None, Some(false)]);
        assert_eq!([answers([up, None].into_iter()), answers([Some(false), None].into_iter())], [None, Some(false)]);
        assert_eq!(last_run([Some((Some(5), 0)), None].into_iter()), None);
        assert_eq!(
            [starts_modules([Some(false), None].into_iter()), starts_modules([up, None].into_iter())],
            [None, up]
        );
    }

    #[test]
    fn memory_passes_below_its_threshold_and_a_threshold_of_0_is_none() {
        assert_eq!([memory(99, 100), memory(100, 100), memory(99, 0)], [Some(true), Some(false), None]);
    }

    #[test]
    fn a_process_is_too_old_a_day_and_an_hour_after_its_start_unless_it_is_the_watchdogs() {
        let now = Duration::from_secs(1_700_000_000);
        let start = |before: u64| Some(now - Duration::from_secs(before));
        assert_eq!(age(Kind::Shared, start(25 * 3600), now), Some(true));
        assert_eq!(age(Kind::PerInstance, start(25 * 3600 + 1), now), Some(false));
        assert_eq!(age(Kind::Watchdog, start(500 * 3600), now), None);
        assert_eq!(age(Kind::Shared, None, now), None);
        assert_eq!(age(Kind::Shared, Some(now + Duration::from_secs(1)), now), Some(true), "the clock was set back");
    }

    #[test]
    fn a_module_that_is_stopped_zombie_or_long_waiting_is_not_responsive() {
        let second = Duration::from_secs(1);
        assert_eq!(responsive(1, 0, 0, 60 * second), Some(true));
        assert_eq!(responsive(1, 0, 0, 61 * second), Some(false));
        assert_eq!(responsive(2, 1, 0, second), Some(false));
        assert_eq!(responsive(2, 0, 1, second), Some(false));
        assert_eq!(responsive(0, 0, 0, second), None);
    }

    #[test]
    fn descriptors_pass_below_the_documented_ratio() {
        assert_eq!([descriptors(Some(0.89), 0), descriptors(Some(0.9), 0)], [Some(true), Some(false)]);
    }

    #[test]
    fn the_watchdog_starts_modules_when_some_expected_one_runs() {
        let verdict = |ups: &[Option<bool>]| starts_modules(ups.iter().copied());
        assert_eq!(verdict(&[Some(false), Some(true), None]), Some(true));
        assert_eq!(verdict(&[Some(false), Some(false)]), Some(false));
        assert_eq!([verdict(&[None]), verdict(&[])], [None; 2]);
    }

    #[test]
    fn a_port_is_well_when_it_is_bound_and_the_modules() {
        assert_eq!(ANSWERS.map(|owned| port(Some(true), owned)), ANSWERS);
        assert_eq!(ANSWERS.map(|owned| port(Some(false), owned)), [Some(false); 3]);
        assert_eq!(ANSWERS.map(|owned| port(None, owned)), [None; 3]);
    }

    #[test]
    fn work_that_waits_needs_a_child_that_lives() {
        let up = Some(true);
        let verdict = |waiting, living| children(up, Some(waiting), Some(living));
        assert_eq!([verdict(0, 0), verdict(1, 1), verdict(1, 0)], [Some(true), Some(true), Some(false)]);
        assert_eq!(children(Some(false), Some(1), Some(0)), None, "a module that is down has an alert of its own");
    }

    #[test]
    fn a_living_trackinglogd_has_a_segment() {
        let up = Some(true);
        assert_eq!([shared_memory(up, 1, None), shared_memory(up, 3, Some(0))], [Some(true); 2]);
        assert_eq!(shared_memory(up, 0, Some(1)), Some(true), "the web server's");
        assert_eq!(shared_memory(up, 0, Some(0)), Some(false));
        assert_eq!(shared_memory(up, 0, None), None, "whose others are is unknown");
    }

    #[test]
    fn one_corrupt_file_of_any_instance_is_enough() {
        assert_eq!(log_integrity([0, 0].into_iter(), 0), Some(true));
        assert_eq!(log_integrity([0, 1].into_iter(), 0), Some(false));
    }

    #[test]
    fn every_target_of_this_host_has_to_answer() {
        assert_eq!(answers([Some(true), Some(true)].into_iter()), Some(true));
        assert_eq!(answers([Some(true), Some(false)].into_iter()), Some(false));
    }

    #[test]
    fn the_last_run_is_the_one_that_wrote_last_in_any_of_the_logs() {
        assert_eq!(last_run([Some((Some(5), 0)), Some((Some(4), 9))].into_iter()), Some(true));
        assert_eq!(last_run([Some((Some(5), 0)), Some((Some(6), 9))].into_iter()), Some(false));
        assert_eq!(last_run([Some((Some(5), 0)), Some((Some(5), 1))].into_iter()), Some(false), "at the same moment");
        assert_eq!(last_run([Some((None, 1))].into_iter()), None);
    }

    #[test]
    fn a_module_is_healthy_when_it_passes_every_check_and_absent_when_nothing_was_judged() {
        let mut evidence = Samples::default();
        evidence.judge("running", "mta", "prod", Some(true));
        evidence.judge("memory", "mta", "prod", Some(false));
        evidence.judge("running", "web", "default", Some(true));
        evidence.judge("running", "stat", "prod", None);
        evidence.doubt(DoubtReason::CollectorFailed, "logs");
        evidence.doubt(DoubtReason::CollectorFailed, "ports");
        evidence.doubt(DoubtReason::CollectorFailed, "ports");
        let snapshot = concluded(evidence);
        assert_eq!(snapshot.value(&MODULE_CHECK, &["mta", "prod", "memory"]), Some(0.0));
        assert_eq!(snapshot.value(&MODULE_HEALTHY, &["mta", "prod"]), Some(0.0));
        assert_eq!(snapshot.value(&MODULE_HEALTHY, &["web", "default"]), Some(1.0));
        assert_eq!(snapshot.of(&MODULE_HEALTHY).count(), 2);
        assert_eq!(snapshot.value(&HEALTH_UNKNOWN, &["collector_failed"]), Some(2.0), "each is counted once");
        assert_eq!(snapshot.value(&HEALTH_UNKNOWN, &["no_installation"]), Some(0.0));
    }

    #[test]
    fn a_module_of_which_something_can_not_be_read_is_not_healthy_and_still_fails() {
        let mut evidence = Samples::default();
        for (module, passes) in [("mta", true), ("trackinglogd", false), ("web", true)] {
            evidence.judge("running", module, "prod", Some(passes));
        }
        for (module, instance) in [("mta", "prod"), ("trackinglogd", "prod"), ("web", "other")] {
            evidence.doubt_of(module, instance, DoubtReason::EvidenceUnreadable, "var/prod");
        }
        let snapshot = concluded(evidence);
        let healthy = |module| snapshot.value(&MODULE_HEALTHY, &[module, "prod"]);
        assert_eq!(["mta", "trackinglogd", "web"].map(healthy), [None, Some(0.0), Some(1.0)]);
        assert_eq!(snapshot.value(&HEALTH_UNKNOWN, &["evidence_unreadable"]), Some(1.0), "one thing, of three modules");
    }

    #[test]
    fn without_an_installation_nothing_is_judged() {
        for reason in [DoubtReason::NoInstallation, DoubtReason::InstallationUnreadable] {
            let mut evidence = Samples::default();
            evidence.judge("memory", "mta", "prod", Some(true));
            evidence.doubt(reason, "/usr/local/neolane/nl6");
            let snapshot = concluded(evidence);
            assert_eq!(snapshot.of(&MODULE_CHECK).count() + snapshot.of(&MODULE_HEALTHY).count(), 0);
            assert_eq!(
                (snapshot.judgements(), snapshot.value(&HEALTH_UNKNOWN, &[reason.label()])),
                (&[][..], Some(1.0))
            );
        }
    }
}
