//! The collector `process`: what the modules' processes use, and whether they live.
//!
//! Knows groups of processes and what the configuration expects; how processes are found is for
//! `source::processes`, what is healthy is for `health`.

use std::collections::{BTreeMap, BTreeSet};

use super::{CollectError, Collector, Context, ErrorKind, Losses, Outcome};
use crate::catalog::modules::{DEFAULT_INSTANCE, MODULES, residents};
use crate::catalog::signals::exporter::PROCESSES_HIDDEN;
use crate::catalog::signals::modules::{
    MODULE_CPU, MODULE_OPEN_FDS, MODULE_OPEN_FDS_RATIO, MODULE_PROCESSES, MODULE_READ_BYTES, MODULE_RESIDENT_MEMORY,
    MODULE_RESIDENT_MEMORY_MAX, MODULE_START_TIME, MODULE_STARTS, MODULE_STATES, MODULE_THREADS, MODULE_UP,
    MODULE_VERBOSE, MODULE_VIRTUAL_MEMORY, MODULE_WAITING, MODULE_WRITTEN_BYTES,
};
use crate::snapshot::Samples;
use crate::source::installation::Installation;
use crate::source::processes::{Group, ProcessTable, State};

/// Tells of the modules' processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

/// What there is to say of a module and an instance.
#[derive(Clone, Copy, Default)]
struct Subject<'a> {
    group: Option<&'a Group>,
    /// Whether the configuration starts it.
    expected: bool,
}

impl Collector for Process {
    /// Partial when something of a process could not be read.
    ///
    /// # Errors
    /// When the processes can't be listed, or are hidden: then a module that is not seen may still run, and is neither
    /// up nor down.
    fn collect(&self, cx: &Context, out: &mut Samples) -> Result<Outcome, CollectError> {
        let table = &*cx.processes;
        out.push(&PROCESSES_HIDDEN, &[], number(table.hidden.into()));
        let residents: BTreeSet<&str> = residents().map(|(name, _)| name).collect();
        for ((module, instance), subject) in subjects(&cx.installation, table) {
            let labels = [module, instance];
            let present = subject.group.filter(|group| group.now.processes > 0);
            if residents.contains(module) && (present.is_some() || (subject.expected && table.can_tell())) {
                let up = present.is_some_and(|group| group.now.live() > 0);
                out.push(&MODULE_UP, &labels, number(up.into()));
                out.push(&MODULE_PROCESSES, &labels, number(present.map_or(0, |group| group.now.processes)));
            } else if let Some(group) = present {
                out.push(&MODULE_PROCESSES, &labels, number(group.now.processes));
            }
            out.push(&MODULE_STARTS, &labels, number(subject.group.map_or(0, |group| group.totals.starts)));
            if let Some(group) = subject.group {
                counters(group, out);
            }
            if let Some(group) = present {
                gauges(group, &cx.installation, out);
            }
        }
        ending(table)
    }
}

/// Every group that was seen, every resident that is expected, and the utilities of every instance: a counter that is
/// 0 before the first start is what makes the first start visible.
fn subjects<'a>(installation: &'a Installation, table: &'a ProcessTable) -> BTreeMap<(&'a str, &'a str), Subject<'a>> {
    let mut subjects: BTreeMap<_, _> = table
        .groups
        .iter()
        .map(|group| ((&*group.module, &*group.instance), Subject { group: Some(group), expected: false }))
        .collect();
    for ((instance, module), expected) in installation.expected() {
        if expected {
            subjects.entry((module, instance)).or_default().expected = true;
        }
    }
    for instance in installation.instances.keys().filter(|instance| *instance != DEFAULT_INSTANCE) {
        for utility in MODULES.iter().filter(|module| !module.kind.is_resident()) {
            subjects.entry((utility.name, instance)).or_default();
        }
    }
    subjects
}

fn counters(group: &Group, out: &mut Samples) {
    let (module, instance, totals) = (&*group.module, &*group.instance, &group.totals);
    out.push(&MODULE_CPU, &[module, instance, "user"], totals.user_cpu.as_secs_f64());
    out.push(&MODULE_CPU, &[module, instance, "system"], totals.system_cpu.as_secs_f64());
    if let Some(io) = totals.io {
        out.push(&MODULE_READ_BYTES, &[module, instance], number(io.read_bytes));
        out.push(&MODULE_WRITTEN_BYTES, &[module, instance], number(io.written_bytes));
    }
}

fn gauges(group: &Group, installation: &Installation, out: &mut Samples) {
    let (module, instance, now) = (&*group.module, &*group.instance, &group.now);
    let labels = [module, instance];
    if let Some(start) = now.oldest_start {
        out.push(&MODULE_START_TIME, &labels, start.as_secs_f64());
    }
    out.push(&MODULE_RESIDENT_MEMORY, &labels, number(now.resident_bytes));
    out.push(&MODULE_RESIDENT_MEMORY_MAX, &labels, number(now.resident_bytes_max));
    out.push(&MODULE_VIRTUAL_MEMORY, &labels, number(now.virtual_bytes));
    out.push(&MODULE_THREADS, &labels, number(now.threads));
    if let Some(open) = now.open_descriptors {
        out.push(&MODULE_OPEN_FDS, &labels, number(open));
    }
    if let Some(ratio) = now.descriptor_ratio {
        out.push(&MODULE_OPEN_FDS_RATIO, &labels, ratio);
    }
    for (state, processes) in State::ALL.iter().zip(now.states) {
        out.push(&MODULE_STATES, &[module, instance, state.label()], number(processes));
    }
    out.push(&MODULE_WAITING, &labels, now.waiting.as_secs_f64());
    let raised = !now.command_lines.is_empty() && {
        let configured = installation.settings(instance).module(module).args;
        now.command_lines.iter().any(|line| line.raised_precision(&configured))
    };
    out.push(&MODULE_VERBOSE, &labels, number(raised.into()));
}

fn ending(table: &ProcessTable) -> Result<Outcome, CollectError> {
    if let Some(failure) = &table.failure {
        let kind = if failure.denied { ErrorKind::Permission } else { ErrorKind::Gone };
        return Err(CollectError { kind, message: failure.message.clone() });
    }
    if !table.can_tell() {
        let message = "proc hides other users' processes and shows none of Campaign: whether modules run can't be \
            told; run the exporter as Campaign's user, or mount proc with gid= of a group that the exporter is in";
        return Err(CollectError { kind: ErrorKind::Permission, message: message.to_owned() });
    }
    let mut losses = Losses::default();
    losses.add(ErrorKind::Permission, table.losses.permission);
    losses.add(ErrorKind::Parse, table.losses.broken);
    Ok(losses.into_outcome())
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes of one machine stay below 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}
