//! Groups of processes, one for each module and Campaign instance: their names, in bounds, and their counters, which
//! outlive their processes.
//!
//! Knows names and sums; where they come from is for `tracker`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Group, Present, State, Totals};
use crate::catalog::modules::{MODULES, OTHER_RESIDENTS};
use crate::parse::cmdline::CommandLine;

/// The most modules without documentation that get groups of their own.
const MAX_UNKNOWN_MODULES: usize = 200;

/// The most Campaign instances that get groups of their own.
const MAX_INSTANCES: usize = 1000;

/// The most groups: every documented module of as many instances as any host runs.
const MAX_GROUPS: usize = 16_384;

/// The most distinct command lines with raised precision that a group shows.
const MAX_COMMAND_LINES: usize = 16;

/// The name of whatever is beyond the bounds.
const OTHER: &str = "other";

/// Which group: a place in the order of their first appearance.
pub(super) type GroupId = usize;

/// Every group there ever was.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<Group>,
    ids: BTreeMap<(Arc<str>, Arc<str>), GroupId>,
    unknown_modules: BTreeSet<Arc<str>>,
    instances: BTreeSet<Arc<str>>,
}

impl Groups {
    /// The group of a module and an instance, `other` for what is beyond the bounds.
    pub(super) fn id(&mut self, module: &str, instance: &str) -> GroupId {
        let module = if is_documented(module) {
            Arc::from(module)
        } else {
            bounded(&mut self.unknown_modules, module, MAX_UNKNOWN_MODULES)
        };
        let instance = bounded(&mut self.instances, instance, MAX_INSTANCES);
        let mut name = (module, instance);
        if self.list.len() >= MAX_GROUPS && !self.ids.contains_key(&name) {
            name = (Arc::from(OTHER), Arc::from(OTHER));
        }
        *self.ids.entry(name).or_insert_with_key(|(module, instance)| {
            let (module, instance) = (Arc::clone(module), Arc::clone(instance));
            self.list.push(Group { module, instance, totals: Totals::default(), now: Present::default() });
            self.list.len() - 1
        })
    }

    /// One group.
    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.list.get_mut(id)
    }

    /// Forgets what holds for one moment only; the counters stay.
    pub(super) fn begin_walk(&mut self) {
        for group in &mut self.list {
            group.now = Present::default();
        }
    }

    /// Every group ordered by module and instance, and the place of each by its id.
    pub(super) fn in_order(&self) -> (Vec<Group>, Vec<usize>) {
        let mut places = vec![0; self.list.len()];
        let groups = self.ids.values().enumerate().filter_map(|(place, id)| {
            *places.get_mut(*id)? = place;
            self.list.get(*id).cloned()
        });
        (groups.collect(), places)
    }
}

impl Group {
    /// Adds one process of this moment.
    pub(super) fn add(&mut self, process: &Moment<'_>) {
        let now = &mut self.now;
        now.processes += 1;
        now.states[process.state as usize] += 1;
        if process.state != State::Zombie
            && let Some(start) = process.start
        {
            now.oldest_start = Some(now.oldest_start.map_or(start, |oldest| oldest.min(start)));
        }
        now.resident_bytes = now.resident_bytes.saturating_add(process.resident_bytes);
        now.resident_bytes_max = now.resident_bytes_max.max(process.resident_bytes);
        now.virtual_bytes = now.virtual_bytes.saturating_add(process.virtual_bytes);
        now.threads = now.threads.saturating_add(process.threads);
        now.waiting = now.waiting.max(process.waiting);
        if let Some(open) = process.open_descriptors {
            now.open_descriptors = Some(now.open_descriptors.unwrap_or_default() + open);
            if let Some(limit) = process.descriptor_limit.filter(|limit| *limit > 0) {
                #[expect(clippy::cast_precision_loss, reason = "no process has 2^52 descriptors")]
                let ratio = open as f64 / limit as f64;
                now.descriptor_ratio = Some(now.descriptor_ratio.map_or(ratio, |worst| worst.max(ratio)));
            }
        }
        if let Some(line) = process.precision
            && now.command_lines.len() < MAX_COMMAND_LINES
            && !now.command_lines.contains(line)
        {
            now.command_lines.push(Arc::clone(line));
        }
    }
}

/// One process at one moment, as its group sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) state: State,
    pub(super) start: Option<Duration>,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: u64,
    pub(super) waiting: Duration,
    pub(super) open_descriptors: Option<u64>,
    pub(super) descriptor_limit: Option<u64>,
    /// Its arguments, when they speak of the log precision.
    pub(super) precision: Option<&'a Arc<CommandLine>>,
}

fn bounded(names: &mut BTreeSet<Arc<str>>, name: &str, limit: usize) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    if names.len() >= limit {
        return Arc::from(OTHER);
    }
    let name = Arc::from(name);
    names.insert(Arc::clone(&name));
    name
}

fn is_documented(name: &str) -> bool {
    MODULES.iter().any(|module| module.name == name || module.children.contains(&name))
        || OTHER_RESIDENTS.iter().any(|(resident, _)| *resident == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bounds_become_other() {
        let mut groups = Groups::default();
        for number in 0..1500 {
            groups.id(&format!("unknown{number}"), "default");
            groups.id("mta", &format!("instance{number}"));
        }
        let (list, _) = groups.in_order();
        let modules: BTreeSet<_> = list.iter().map(|group| &group.module).collect();
        let instances: BTreeSet<_> = list.iter().map(|group| &group.instance).collect();
        assert!(modules.len() <= MAX_UNKNOWN_MODULES + 2, "{}", modules.len());
        assert_eq!(instances.len(), MAX_INSTANCES + 1);
        let last = groups.id("unknown9999", "instance9999");
        let group = groups.get_mut(last).unwrap();
        assert_eq!((&*group.module, &*group.instance), (OTHER, OTHER));
    }

    #[test]
    fn the_number_of_groups_is_bounded() {
        let mut groups = Groups::default();
        for module in 0..20 {
            for instance in 0..1000 {
                groups.id(&format!("unknown{module}"), &format!("instance{instance}"));
            }
        }
        assert_eq!(groups.in_order().0.len(), MAX_GROUPS + 1);
    }

    #[test]
    fn groups_come_in_order_and_are_found_by_their_id() {
        let mut groups = Groups::default();
        let names = [("web", "default"), ("mta", "prod"), ("mta", "a"), ("web", "default")];
        let ids: Vec<GroupId> = names.iter().map(|(module, instance)| groups.id(module, instance)).collect();
        let (list, places) = groups.in_order();
        let ordered: Vec<_> = list.iter().map(|group| (&*group.module, &*group.instance)).collect();
        assert_eq!(ordered, [("mta", "a"), ("mta", "prod"), ("web", "default")]);
        for (id, name) in ids.iter().zip(names) {
            assert_eq!(ordered[places[*id]], name);
        }
    }
}
