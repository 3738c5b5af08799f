//! The collector `process`: what the modules' processes use, and whether they run.
//!
//! Compares groups of processes with the configuration; `source::processes` finds the processes, `health` judges.

use std::sync::Mutex;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::census::Member;
use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome, float};
use crate::catalog::attributes::MTA_CHILD_ARGS;
use crate::catalog::modules::{DEFAULT_INSTANCE, MODULES};
use crate::catalog::signals::exporter::{DoubtReason, PROCESSES_HIDDEN, PROCESSES_IGNORED};
use crate::catalog::signals::modules::{
    AGE, DESCRIPTORS, LOG_PRECISION, MEMORY, MODULE_CPU, MODULE_LAST_SEEN, MODULE_OPEN_FDS, MODULE_OPEN_FDS_RATIO,
    MODULE_PROCESSES, MODULE_READ_BYTES, MODULE_RESIDENT_MEMORY, MODULE_RESIDENT_MEMORY_MAX, MODULE_START_TIME,
    MODULE_STARTS, MODULE_STATES, MODULE_THREADS, MODULE_UP, MODULE_VERBOSE, MODULE_VIRTUAL_MEMORY, MODULE_WAITING,
    MODULE_WRITTEN_BYTES, RESPONSIVE, RUNNING, STARTS_MODULES,
};
use crate::catalog::signals::spool::OWNER;
use crate::catalog::{CheckDef, Kind};
use crate::health;
use crate::parse::conf::Settings;
use crate::snapshot::Samples;
use crate::source::installation::Installation;
use crate::source::processes::{Group, NotOurs, ProcessState, ProcessTable};
use crate::sync::locked;

/// How often the log says that processes are not counted: another user who starts them must not fill it.
const TELL_AGAIN: Duration = Duration::from_secs(3600);

/// Reports the modules' processes.
#[derive(Debug, Default)]
pub struct ProcessCollector {
    /// When uncounted processes were last logged, by reason.
    told: Mutex<[Option<Instant>; NotOurs::ALL.len()]>,
}

impl ProcessCollector {
    /// Logs that processes are not counted, unless that was logged recently.
    fn tell(&self, reason: NotOurs, processes: u64) {
        let now = Instant::now();
        let told = &mut locked(&self.told)[reason as usize];
        if processes == 0 || told.is_some_and(|told| now.saturating_duration_since(told) < TELL_AGAIN) {
            return;
        }
        *told = Some(now);
        let reason = reason.label();
        if reason == NotOurs::Undecided.label() {
            tracing::warn!(
                reason,
                processes,
                "it is unknown whose these nlserver processes are, and whether their modules run; run the exporter as the \
                 user of the installation, and check --campaign.home"
            );
        } else {
            tracing::info!(reason, processes, "nlserver processes that are not this installation's are not counted");
        }
    }
}

impl Collector for ProcessCollector {
    /// Partial when something of a process could not be read.
    ///
    /// # Errors
    /// When the processes can't be listed, or are hidden: then a module that is not seen may still run, and is neither
    /// up nor down.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let (table, census) = (&*cx.processes, cx.census());
        out.push(&PROCESSES_HIDDEN, &[], float((table.hidden && !table.seen).into()));
        for (reason, processes) in NotOurs::ALL.into_iter().zip(table.ignored) {
            out.push(&PROCESSES_IGNORED, &[reason.label()], float(processes));
            self.tell(reason, processes);
        }
        for (module, instance, member) in census.members() {
            let group = member.group(table).filter(|group| is_there(group, &cx.installation));
            if group.is_some() || member.expected == Some(true) {
                show(module, instance, member, group, out);
            }
            if let Some(group) = group {
                counters(group, out);
                if let Some(last_seen) = group.last_seen.filter(|_| member.is_resident()) {
                    out.push(&MODULE_LAST_SEEN, &[module, instance], last_seen.as_secs_f64());
                }
            }
            if let Some(group) = group.filter(|group| group.now.processes > 0) {
                gauges(group, &cx.installation, out);
            }
            if member.is_resident() {
                judge(module, instance, member, cx, out);
            }
        }
        for (module, instance) in &table.undecided {
            out.doubt(DoubtReason::ProcessesUndecided, format!("{module}@{instance}"));
        }
        if table.has_unnamed() {
            out.doubt(DoubtReason::ProcessesUndecided, "");
        }
        // A counter that is 0 before the first start is what makes the first start visible.
        for instance in cx.installation.instances.keys().filter(|instance| *instance != DEFAULT_INSTANCE) {
            for utility in MODULES.iter().filter(|module| !module.kind.is_resident()) {
                if census.member(utility.name, instance).is_none() {
                    out.push(&MODULE_STARTS, &[utility.name, instance], 0.0);
                }
            }
        }
        ending(table, out)
    }
}

/// Whether a group is shown: not what has ended of instances that were removed.
fn is_there(group: &Group, installation: &Installation) -> bool {
    let instances = &installation.instances;
    group.now.processes > 0
        || instances.is_empty()
        || *group.instance == *DEFAULT_INSTANCE
        || instances.contains_key(&*group.instance)
}

/// Whether the module runs, and how often it started.
fn show(module: &str, instance: &str, member: &Member, group: Option<&Group>, out: &mut Samples) {
    let labels = [module, instance];
    let processes = group.map_or(0, |group| group.now.processes);
    let up = member.up.filter(|_| member.is_resident() && (processes > 0 || member.expected == Some(true)));
    if let Some(up) = up {
        out.push(&MODULE_UP, &labels, float(up.into()));
    }
    if up.is_some() || processes > 0 {
        out.push(&MODULE_PROCESSES, &labels, float(processes));
    }
    out.push(&MODULE_STARTS, &labels, float(group.map_or(0, |group| group.totals.starts)));
}

/// Judges the checks that depend on processes.
fn judge(module: &str, instance: &str, member: &Member, cx: &Context, out: &mut Samples) {
    let mut judge = |check: &CheckDef, verdict| out.judge(check.name, module, instance, verdict);
    judge(&RUNNING, health::running(member.expected, member.up));
    if member.kind == Some(Kind::Watchdog) && instance == DEFAULT_INSTANCE {
        let others = cx.census().members().filter(|(_, _, other)| other.kind != Some(Kind::Watchdog));
        let expected = others.filter(|(_, _, other)| other.expected == Some(true));
        judge(&STARTS_MODULES, health::starts_modules(expected.map(|(_, _, other)| other.up)));
    }
    let Some(group) = member.group(&cx.processes).filter(|group| group.now.processes > 0) else { return };
    let (now, settings) = (&group.now, cx.installation.settings(instance));
    judge(&MEMORY, health::memory(now.resident_bytes_max, settings.module(module).memory_alert_bytes));
    if let (Some(kind), Ok(moment)) = (member.kind, cx.now.duration_since(UNIX_EPOCH)) {
        judge(&AGE, health::age(kind, now.oldest_start, moment));
    }
    let [stopped, zombies] = [ProcessState::Stopped, ProcessState::Zombie].map(|state| now.states[state as usize]);
    judge(&RESPONSIVE, health::responsive(now.processes, stopped, zombies, now.waiting));
    judge(&DESCRIPTORS, health::descriptors(now.descriptor_ratio, now.descriptors_untold));
    judge(&LOG_PRECISION, health::log_precision(now.live(), is_raised(group, settings)));
}

fn counters(group: &Group, out: &mut Samples) {
    let (module, instance, totals) = (&*group.module, &*group.instance, &group.totals);
    out.push(&MODULE_CPU, &[module, instance, "user"], totals.user_cpu.as_secs_f64());
    out.push(&MODULE_CPU, &[module, instance, "system"], totals.system_cpu.as_secs_f64());
    if let Some(io) = totals.io {
        out.push(&MODULE_READ_BYTES, &[module, instance], float(io.read_bytes));
        out.push(&MODULE_WRITTEN_BYTES, &[module, instance], float(io.written_bytes));
    }
}

fn gauges(group: &Group, installation: &Installation, out: &mut Samples) {
    let (module, instance, now) = (&*group.module, &*group.instance, &group.now);
    let labels = [module, instance];
    if let Some(start) = now.oldest_start {
        out.push(&MODULE_START_TIME, &labels, start.as_secs_f64());
    }
    out.push(&MODULE_RESIDENT_MEMORY, &labels, float(now.resident_bytes));
    out.push(&MODULE_RESIDENT_MEMORY_MAX, &labels, float(now.resident_bytes_max));
    out.push(&MODULE_VIRTUAL_MEMORY, &labels, float(now.virtual_bytes));
    out.push(&MODULE_THREADS, &labels, float(now.threads));
    if let Some(open) = now.open_descriptors {
        out.push(&MODULE_OPEN_FDS, &labels, float(open));
    }
    if let Some(ratio) = now.descriptor_ratio {
        out.push(&MODULE_OPEN_FDS_RATIO, &labels, ratio);
    }
    for (state, processes) in ProcessState::ALL.iter().zip(now.states) {
        out.push(&MODULE_STATES, &[module, instance, state.label()], float(processes));
    }
    out.push(&MODULE_WAITING, &labels, now.waiting.as_secs_f64());
    let raised = is_raised(group, installation.settings(instance));
    out.push(&MODULE_VERBOSE, &labels, float(raised.into()));
}

/// Whether a process logs more than the configuration asks for.
fn is_raised(group: &Group, settings: &Settings) -> bool {
    let configured = configured_args(settings, &group.module);
    group.now.command_lines.iter().any(|line| line.raised_precision(configured))
}

/// The arguments that the configuration gives to `module`, which may be another's child.
fn configured_args<'a>(settings: &'a Settings, module: &str) -> &'a str {
    let parent = MODULES.iter().find(|parent| parent.children.contains(&module));
    match parent {
        Some(parent) if parent.name == OWNER.name => settings.text(&MTA_CHILD_ARGS),
        _ => settings.module(module).args,
    }
}

fn ending(table: &ProcessTable, out: &mut Samples) -> Result<Outcome, CollectError> {
    if let Some(failure) = &table.failure {
        out.doubt(DoubtReason::ProcessesUnlisted, "/proc");
        let kind = if failure.denied { ErrorKind::Permission } else { ErrorKind::Gone };
        return Err(CollectError { kind, message: failure.message.clone() });
    }
    if !table.can_tell() {
        out.doubt(DoubtReason::ProcessesHidden, "/proc");
        let message = "proc hides other users' processes and shows none of Campaign: whether modules run can't be \
            told; run the exporter as Campaign's user, or mount proc with gid= of a group that the exporter is in";
        return Err(CollectError { kind: ErrorKind::Permission, message: message.to_owned() });
    }
    let mut losses = Losses::default();
    losses.add(ErrorKind::Permission, table.losses.permission);
    losses.add(ErrorKind::Parse, table.losses.broken);
    Ok(losses.into_outcome())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::parse::cmdline;
    use crate::parse::conf::{ServerConf, Settings};
    use crate::parse::process::Io;
    use crate::snapshot::Snapshot;
    use crate::source::processes::{ListingFailure, Present, ProcessSource, ReadLosses, Totals};

    fn collected(installation: Installation, processes: ProcessTable) -> (Result<Outcome, CollectError>, Snapshot) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let cx = Context {
            installation: Arc::new(installation),
            processes: processes.into(),
            ..Context::for_tests(deadline)
        };
        let mut out = Samples::default();
        let outcome = ProcessCollector::default().collect(&cx, &mut out);
        assert_eq!(out.rejected(), 0);
        (outcome, out.freeze())
    }

    /// An installation with the instances `default` and `prod`, where `prod` starts its mta with `args`.
    fn installation(args: &str) -> Installation {
        let xml = format!("<serverconf><mta autoStart='true' args='{args}'/></serverconf>");
        let prod = Settings::overlay(None, Some(Arc::new(ServerConf::parse(xml.as_bytes()).unwrap())));
        Installation {
            instances: [("default".to_owned(), Settings::default()), ("prod".to_owned(), prod)].into(),
            ..Installation::default()
        }
    }

    fn group(module: &str, instance: &str, now: Present) -> Group {
        Group { module: module.into(), instance: instance.into(), now, ..Group::default() }
    }

    fn table(groups: Vec<Group>) -> ProcessTable {
        ProcessTable { groups, seen: true, ..ProcessTable::default() }
    }

    fn sleeping(processes: u64) -> Present {
        Present { processes, states: [0, processes, 0, 0, 0, 0], ..Present::default() }
    }

    #[test]
    fn every_value_of_a_group_is_told_under_its_name() {
        let mut group = group(
            "web",
            "default",
            Present {
                processes: 3,
                states: [1, 0, 1, 0, 1, 0],
                oldest_start: Some(Duration::from_millis(1_500)),
                resident_bytes: 30,
                resident_bytes_max: 20,
                virtual_bytes: 400,
                threads: 50,
                open_descriptors: Some(6),
                descriptor_ratio: Some(0.5),
                descriptors_untold: 0,
                waiting: Duration::from_secs(7),
                command_lines: Vec::new(),
            },
        );
        group.totals = Totals {
            starts: 9,
            user_cpu: Duration::from_millis(2_500),
            system_cpu: Duration::from_millis(500),
            io: Some(Io { read_bytes: 11, written_bytes: 12 }),
        };
        let (outcome, snapshot) = collected(Installation::default(), table(vec![group]));
        assert_eq!(outcome.unwrap(), Outcome::Complete);
        let expected: &[(_, &[&str], f64)] = &[
            (&PROCESSES_HIDDEN, &[], 0.0),
            (&MODULE_UP, &["web", "default"], 1.0),
            (&MODULE_PROCESSES, &["web", "default"], 3.0),
            (&MODULE_STARTS, &["web", "default"], 9.0),
            (&MODULE_START_TIME, &["web", "default"], 1.5),
            (&MODULE_CPU, &["web", "default", "user"], 2.5),
            (&MODULE_CPU, &["web", "default", "system"], 0.5),
            (&MODULE_RESIDENT_MEMORY, &["web", "default"], 30.0),
            (&MODULE_RESIDENT_MEMORY_MAX, &["web", "default"], 20.0),
            (&MODULE_VIRTUAL_MEMORY, &["web", "default"], 400.0),
            (&MODULE_THREADS, &["web", "default"], 50.0),
            (&MODULE_OPEN_FDS, &["web", "default"], 6.0),
            (&MODULE_OPEN_FDS_RATIO, &["web", "default"], 0.5),
            (&MODULE_READ_BYTES, &["web", "default"], 11.0),
            (&MODULE_WRITTEN_BYTES, &["web", "default"], 12.0),
            (&MODULE_STATES, &["web", "default", "running"], 1.0),
            (&MODULE_STATES, &["web", "default", "sleeping"], 0.0),
            (&MODULE_STATES, &["web", "default", "waiting"], 1.0),
            (&MODULE_STATES, &["web", "default", "stopped"], 0.0),
            (&MODULE_STATES, &["web", "default", "zombie"], 1.0),
            (&MODULE_STATES, &["web", "default", "other"], 0.0),
            (&MODULE_WAITING, &["web", "default"], 7.0),
            (&MODULE_VERBOSE, &["web", "default"], 0.0),
        ];
        for (def, labels, value) in expected {
            assert_eq!(snapshot.value(def, labels), Some(*value), "{} {labels:?}", def.name);
        }
    }

    #[test]
    fn an_expected_module_without_a_process_is_down_and_has_nothing_else() {
        let (outcome, snapshot) = collected(installation(""), table(Vec::new()));
        assert_eq!(outcome.unwrap(), Outcome::Complete);
        for (module, instance) in [("mta", "prod"), ("watchdog", "default")] {
            assert_eq!(snapshot.value(&MODULE_UP, &[module, instance]), Some(0.0));
            assert_eq!(snapshot.value(&MODULE_PROCESSES, &[module, instance]), Some(0.0));
            assert_eq!(snapshot.value(&MODULE_STARTS, &[module, instance]), Some(0.0));
        }
        assert_eq!(snapshot.of(&MODULE_UP).count(), 2, "what is not started automatically is not down");
        for def in [&MODULE_CPU, &MODULE_RESIDENT_MEMORY, &MODULE_STATES, &MODULE_WAITING, &MODULE_VERBOSE] {
            assert_eq!(snapshot.of(def).count(), 0, "{}", def.name);
        }
    }

    #[test]
    fn a_zombie_alone_is_down_and_an_unexpected_module_that_runs_is_up() {
        let zombie = Present { processes: 1, states: [0, 0, 0, 0, 1, 0], ..Present::default() };
        let groups = vec![
            group("import", "prod", sleeping(1)),
            group("mta", "prod", zombie),
            group("mtachild", "prod", sleeping(2)),
            group("stat", "other", sleeping(1)),
        ];
        let (_, snapshot) = collected(installation(""), table(groups));
        assert_eq!(snapshot.value(&MODULE_UP, &["mta", "prod"]), Some(0.0));
        assert_eq!(snapshot.value(&MODULE_PROCESSES, &["mta", "prod"]), Some(1.0));
        assert_eq!(snapshot.value(&MODULE_UP, &["stat", "other"]), Some(1.0));
        for (module, processes) in [("import", 1.0), ("mtachild", 2.0)] {
            assert_eq!(snapshot.value(&MODULE_UP, &[module, "prod"]), None, "{module} need not run");
            assert_eq!(snapshot.value(&MODULE_PROCESSES, &[module, "prod"]), Some(processes));
        }
    }

    #[test]
    fn counters_stay_when_the_last_process_is_gone_and_gauges_go() {
        let mut gone = group("import", "prod", Present::default());
        gone.totals.starts = 2;
        let (_, snapshot) = collected(Installation::default(), table(vec![gone]));
        assert_eq!(snapshot.value(&MODULE_STARTS, &["import", "prod"]), Some(2.0));
        assert_eq!(snapshot.value(&MODULE_CPU, &["import", "prod", "user"]), Some(0.0));
        assert_eq!(snapshot.of(&MODULE_READ_BYTES).count(), 0, "no process's could be read");
        assert_eq!(snapshot.of(&MODULE_PROCESSES).count() + snapshot.of(&MODULE_THREADS).count(), 0);
    }

    #[test]
    fn a_removed_instance_goes_with_its_last_process() {
        let starts = |now: Present| {
            let (_, snapshot) = collected(installation(""), table(vec![group("import", "removed", now)]));
            snapshot.value(&MODULE_STARTS, &["import", "removed"])
        };
        assert!(starts(sleeping(1)).is_some());
        assert_eq!(starts(Present::default()), None);
    }

    #[test]
    fn the_first_start_of_a_utility_is_visible() {
        let (_, snapshot) = collected(installation(""), table(Vec::new()));
        for utility in ["export", "import", "tracking"] {
            assert_eq!(snapshot.value(&MODULE_STARTS, &[utility, "prod"]), Some(0.0));
            assert_eq!(snapshot.value(&MODULE_STARTS, &[utility, "default"]), None);
        }
    }

    #[test]
    fn precision_beyond_the_configured_args_is_verbose() {
        let line = |bytes: &[u8]| vec![Arc::new(cmdline::parse(bytes).unwrap())];
        let verbose = |args: &str, bytes: &[u8]| {
            let now = Present { command_lines: line(bytes), ..sleeping(1) };
            let (_, snapshot) = collected(installation(args), table(vec![group("mta", "prod", now)]));
            snapshot.value(&MODULE_VERBOSE, &["mta", "prod"])
        };
        assert_eq!(verbose("-tracefilter:nlmta", b"nlserver\0mta\0-tracefilter:nlmta\0"), Some(0.0));
        assert_eq!(verbose("-tracefilter:nlmta", b"nlserver\0mta\0-tracefilter:*\0"), Some(1.0));
        assert_eq!(verbose("-verbose", b"nlserver\0mta\0-verbose\0"), Some(0.0));
    }

    #[test]
    fn hidden_processes_are_neither_up_nor_down() {
        let hidden = ProcessTable { hidden: true, ..ProcessTable::default() };
        let (outcome, snapshot) = collected(installation(""), hidden.clone());
        let error = outcome.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permission);
        assert!(error.message.contains("Campaign's user"), "{}", error.message);
        assert_eq!(snapshot.value(&PROCESSES_HIDDEN, &[]), Some(1.0));
        assert_eq!(snapshot.of(&MODULE_UP).count() + snapshot.of(&MODULE_PROCESSES).count(), 0);
        // The exporter's user is shown Campaign's processes: what is not there is down.
        let shown = ProcessTable { groups: vec![group("stat", "prod", sleeping(1))], seen: true, ..hidden };
        let (outcome, snapshot) = collected(installation(""), shown);
        assert_eq!(outcome.unwrap(), Outcome::Complete);
        assert_eq!(snapshot.value(&MODULE_UP, &["mta", "prod"]), Some(0.0));
        assert_eq!(snapshot.value(&MODULE_UP, &["stat", "prod"]), Some(1.0));
        assert_eq!(snapshot.value(&PROCESSES_HIDDEN, &[]), Some(0.0));
    }

    #[test]
    fn an_undecided_process_makes_its_module_neither_up_nor_down() {
        let undecided = ProcessTable {
            ignored: [5, 0, 0, 1],
            undecided: vec![("mta".into(), "prod".into())],
            ..table(vec![group("stat", "prod", sleeping(1))])
        };
        let zombie = Present { processes: 1, states: [0, 0, 0, 0, 1, 0], ..Present::default() };
        let beside_a_zombie = ProcessTable { groups: vec![group("mta", "prod", zombie)], ..undecided.clone() };
        for table in [undecided.clone(), beside_a_zombie] {
            let (_, snapshot) = collected(installation(""), table);
            assert_eq!(snapshot.value(&MODULE_UP, &["mta", "prod"]), None);
            assert_eq!(snapshot.value(&MODULE_UP, &["watchdog", "default"]), Some(0.0), "of others it says nothing");
            assert_eq!(snapshot.value(&PROCESSES_IGNORED, &["other_user"]), Some(5.0));
            assert_eq!(snapshot.value(&PROCESSES_IGNORED, &["undecided"]), Some(1.0));
            assert_eq!(snapshot.value(&PROCESSES_IGNORED, &["other_namespace"]), Some(0.0));
        }
        // One of ours beside it is up.
        let groups = vec![group("mta", "prod", sleeping(1))];
        let (_, snapshot) = collected(installation(""), ProcessTable { groups, ..undecided });
        assert_eq!(snapshot.value(&MODULE_UP, &["mta", "prod"]), Some(1.0));
    }

    #[test]
    fn where_any_module_may_be_among_what_is_not_told_apart_none_is_down() {
        let beyond = ProcessTable { undecided_beyond: 1, ..table(vec![group("stat", "prod", sleeping(1))]) };
        let other = table(vec![group("other", "other", sleeping(1)), group("stat", "prod", sleeping(1))]);
        for table in [beyond, other] {
            let (_, snapshot) = collected(installation(""), table);
            assert_eq!(snapshot.doubts().len(), 1);
            assert_eq!(snapshot.value(&MODULE_UP, &["mta", "prod"]), None);
            assert_eq!(snapshot.value(&MODULE_UP, &["watchdog", "default"]), None);
            assert_eq!(snapshot.value(&MODULE_UP, &["stat", "prod"]), Some(1.0));
        }
    }

    #[test]
    fn a_listing_that_failed_is_an_error_and_losses_make_the_rest_partial() {
        for (denied, kind) in [(true, ErrorKind::Permission), (false, ErrorKind::Gone)] {
            let failure = Some(ListingFailure { denied, message: "/proc: on purpose".to_owned() });
            let failed = ProcessTable { failure, ..table(vec![group("stat", "prod", sleeping(1))]) };
            let (outcome, snapshot) = collected(installation(""), failed);
            let error = outcome.unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (kind, "/proc: on purpose"));
            assert_eq!(snapshot.value(&MODULE_UP, &["stat", "prod"]), Some(1.0));
            assert_eq!(snapshot.value(&MODULE_UP, &["mta", "prod"]), None);
        }
        let losses = ReadLosses { permission: 4, broken: 1 };
        let (outcome, _) = collected(installation(""), ProcessTable { losses, ..table(Vec::new()) });
        let Ok(Outcome::Partial(losses)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(losses.iter().collect::<Vec<_>>(), [(ErrorKind::Permission, 4), (ErrorKind::Parse, 1)]);
    }

    #[test]
    fn the_fixture_host_is_read_as_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host/proc");
        let processes = ProcessSource::new(&root).unwrap().walk();
        let (outcome, snapshot) = collected(installation("-tracefilter:nlmta"), (*processes).clone());
        assert_eq!(outcome.unwrap(), Outcome::Complete);
        let labels = |module: &'static str, instance: &'static str| [module, instance];
        let up = |module, instance| snapshot.value(&MODULE_UP, &labels(module, instance));
        assert_eq!((up("web", "default"), up("mta", "prod"), up("stat", "stage")), (Some(1.0), Some(1.0), Some(1.0)));
        let processes = |module, instance| snapshot.value(&MODULE_PROCESSES, &labels(module, instance));
        assert_eq!((processes("mtachild", "prod"), processes("unknown", "default")), (Some(2.0), Some(2.0)));
        assert_eq!(processes("café", "stage"), Some(1.0));
        let verbose = |module, instance| snapshot.value(&MODULE_VERBOSE, &labels(module, instance));
        assert_eq!((verbose("mta", "prod"), verbose("mta", "stage")), (Some(0.0), Some(1.0)));
        assert_eq!(snapshot.value(&MODULE_OPEN_FDS_RATIO, &["web", "default"]), Some(0.75));
        assert_eq!(snapshot.value(&MODULE_READ_BYTES, &["stat", "stage"]), None);
        assert_eq!(snapshot.value(&MODULE_STATES, &["inMail", "prod", "waiting"]), Some(1.0));
        assert_eq!(snapshot.value(&MODULE_START_TIME, &["watchdog", "default"]), Some(1_700_000_910.0));
    }
}
