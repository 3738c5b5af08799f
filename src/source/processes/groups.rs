//! Groups of processes, one for each module and Campaign instance: their names, in bounds, and their counters, which
//! outlive their processes. Names that nothing documents or configures are forgotten with theirs.
//!
//! Keeps names and sums; they come from `tracker`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(test)]
use super::Totals;
use super::{Group, Present, ProcessState};
use crate::catalog::modules::{DEFAULT_INSTANCE, MODULES, OTHER_RESIDENTS};
use crate::parse::cmdline::CommandLine;

/// The most modules without documentation that get groups of their own.
const MAX_UNKNOWN_MODULES: usize = 100;

/// The most instances without a configuration file that get groups of their own.
const MAX_UNKNOWN_INSTANCES: usize = 100;

/// The most groups: every documented module of as many instances as any host runs.
const MAX_GROUPS: usize = 4_096;

/// The most groups without a process that are remembered beside the documented modules of configured instances.
const MAX_IDLE_GROUPS: usize = 64;

/// How long a group of an instance without a configuration file outlives its last process: long enough for its last
/// counts to be scraped.
const IDLE_TIME: Duration = Duration::from_secs(600);

/// The most distinct command lines with raised precision that a group shows.
const MAX_COMMAND_LINES: usize = 16;

/// The name of whatever is beyond the bounds.
pub(super) const OTHER: &str = "other";

/// Which group: a place in the list, used again once the group is forgotten.
pub(super) type GroupId = usize;

/// Every group that has processes, or had some lately.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<GroupSlot>,
    free: Vec<GroupId>,
    ids: BTreeMap<(Arc<str>, Arc<str>), GroupId>,
    /// How many groups each name without documentation, or without a configuration file, has.
    unknown_modules: BTreeMap<Arc<str>, usize>,
    unknown_instances: BTreeMap<Arc<str>, usize>,
    /// The instances with a configuration file.
    configured: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct GroupSlot {
    group: Group,
    /// Processes that are counted in it.
    members: usize,
    /// Since when it has none.
    idle: Option<Instant>,
}

impl Groups {
    /// Says which instances have a configuration file.
    pub(super) fn set_configured(&mut self, instances: BTreeSet<String>) {
        self.configured = instances;
    }

    /// The instances that have groups.
    pub(super) fn instances(&self) -> BTreeSet<Arc<str>> {
        self.ids.keys().map(|(_, instance)| Arc::clone(instance)).collect()
    }

    /// The group of a module and an instance, `other` for what is beyond the bounds; one process more is in it.
    pub(super) fn join(&mut self, module: &str, instance: &str) -> GroupId {
        let module = match is_documented(module) {
            true => Arc::from(module),
            false => bounded(&self.unknown_modules, module, MAX_UNKNOWN_MODULES),
        };
        let instance = match self.is_configured(instance) {
            true => Arc::from(instance),
            false => bounded(&self.unknown_instances, instance, MAX_UNKNOWN_INSTANCES),
        };
        let mut name = (module, instance);
        if self.ids.len() >= MAX_GROUPS && !self.ids.contains_key(&name) {
            name = (Arc::from(OTHER), Arc::from(OTHER));
        }
        let id = self.ids.get(&name).copied().unwrap_or_else(|| self.make(name));
        let slot = &mut self.list[id];
        slot.members += 1;
        slot.idle = None;
        id
    }

    /// One process of the group has ended, or is in another group now.
    pub(super) fn leave(&mut self, id: GroupId, now: Instant) {
        if let Some(slot) = self.list.get_mut(id) {
            slot.members = slot.members.saturating_sub(1);
            slot.idle = (slot.members == 0).then_some(now);
        }
    }

    fn make(&mut self, name: (Arc<str>, Arc<str>)) -> GroupId {
        let (module, instance) = name.clone();
        if !is_documented(&module) {
            *self.unknown_modules.entry(Arc::clone(&module)).or_default() += 1;
        }
        if !self.is_configured(&instance) {
            *self.unknown_instances.entry(Arc::clone(&instance)).or_default() += 1;
        }
        let slot = GroupSlot { group: Group { module, instance, ..Group::default() }, ..GroupSlot::default() };
        let id = self.free.pop().unwrap_or(self.list.len());
        match self.list.get_mut(id) {
            Some(free) => *free = slot,
            None => self.list.push(slot),
        }
        self.ids.insert(name, id);
        id
    }

    /// Forgets what has had no process for long, or is one too many of those without.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        let mut idle: Vec<(Instant, GroupId)> = Vec::new();
        let mut over: Vec<GroupId> = Vec::new();
        for id in self.ids.values() {
            let GroupSlot { group, idle: since, .. } = &self.list[*id];
            let Some(since) = *since else { continue };
            match (self.is_configured(&group.instance), is_documented(&group.module)) {
                (true, true) => {}
                (false, _) if now.saturating_duration_since(since) >= IDLE_TIME => over.push(*id),
                _ => idle.push((since, *id)),
            }
        }
        if idle.len() > MAX_IDLE_GROUPS {
            idle.sort_unstable();
            over.extend(idle[..idle.len() - MAX_IDLE_GROUPS].iter().map(|(_, id)| *id));
        }
        for id in over {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: GroupId) {
        let Group { module, instance, .. } = std::mem::take(&mut self.list[id]).group;
        give_back(&mut self.unknown_modules, &module);
        give_back(&mut self.unknown_instances, &instance);
        self.ids.remove(&(module, instance));
        self.free.push(id);
    }

    fn is_configured(&self, instance: &str) -> bool {
        instance == DEFAULT_INSTANCE || self.configured.contains(instance)
    }

    /// One group.
    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.list.get(id).map(|slot| &slot.group)
    }

    /// One group, to be changed.
    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.list.get_mut(id).map(|slot| &mut slot.group)
    }

    /// What a group has seen, by its name.
    #[cfg(test)]
    pub(super) fn totals(&self, module: &str, instance: &str) -> Totals {
        let id = self.ids.get(&(Arc::from(module), Arc::from(instance)));
        id.map_or_else(Totals::default, |id| self.list[*id].group.totals)
    }

    /// Forgets what holds for one moment only; the counters stay.
    pub(super) fn begin_walk(&mut self) {
        for slot in &mut self.list {
            slot.group.now = Present::default();
        }
    }

    /// Remembers which groups have a live process at `time`, since 1970-01-01 UTC.
    pub(super) fn note_seen(&mut self, time: Duration) {
        for GroupSlot { group, .. } in &mut self.list {
            if group.now.live() > 0 {
                group.last_seen = Some(time);
            }
        }
    }

    /// Every group ordered by module and instance, and the place of each by its id.
    pub(super) fn in_order(&self) -> (Vec<Group>, Vec<usize>) {
        let mut places = vec![0; self.list.len()];
        let groups = self.ids.values().enumerate().filter_map(|(place, id)| {
            *places.get_mut(*id)? = place;
            self.list.get(*id).map(|slot| slot.group.clone())
        });
        (groups.collect(), places)
    }
}

impl Group {
    /// Adds one process of this moment.
    pub(super) fn add(&mut self, process: &ProcessMoment<'_>) {
        let now = &mut self.now;
        now.processes += 1;
        now.states[process.state as usize] += 1;
        if process.state != ProcessState::Zombie
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
        }
        let limit = process.descriptor_limit.filter(|limit| *limit > 0);
        if let Some((open, limit)) = process.open_descriptors.zip(limit) {
            #[expect(clippy::cast_precision_loss, reason = "no process has 2^52 descriptors")]
            let ratio = open as f64 / limit as f64;
            now.descriptor_ratio = Some(now.descriptor_ratio.map_or(ratio, |worst| worst.max(ratio)));
        } else if process.state != ProcessState::Zombie {
            now.descriptors_untold += 1;
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
pub(super) struct ProcessMoment<'a> {
    pub(super) state: ProcessState,
    pub(super) start: Option<Duration>,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: u64,
    pub(super) waiting: Duration,
    pub(super) open_descriptors: Option<u64>,
    pub(super) descriptor_limit: Option<u64>,
    /// Its arguments, when they set the log precision.
    pub(super) precision: Option<&'a Arc<CommandLine>>,
}

/// A name, or `other` where there are as many as there may be.
fn bounded(names: &BTreeMap<Arc<str>, usize>, name: &str, limit: usize) -> Arc<str> {
    match names.get_key_value(name) {
        Some((known, _)) => Arc::clone(known),
        None if names.len() >= limit => Arc::from(OTHER),
        None => Arc::from(name),
    }
}

/// One group fewer has that name.
fn give_back(names: &mut BTreeMap<Arc<str>, usize>, name: &Arc<str>) {
    if let Some(groups) = names.get_mut(name) {
        *groups -= 1;
        if *groups == 0 {
            names.remove(name);
        }
    }
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
            groups.join(&format!("unknown{number}"), "default");
            groups.join("mta", &format!("instance{number}"));
        }
        let (list, _) = groups.in_order();
        let modules: BTreeSet<_> = list.iter().map(|group| &group.module).collect();
        let instances: BTreeSet<_> = list.iter().map(|group| &group.instance).collect();
        assert!(modules.len() <= MAX_UNKNOWN_MODULES + 2, "{}", modules.len());
        assert!(instances.len() <= MAX_UNKNOWN_INSTANCES + 2, "{}", instances.len());
        let last = groups.join("unknown9999", "instance9999");
        let group = groups.get_mut(last).unwrap();
        assert_eq!((&*group.module, &*group.instance), (OTHER, OTHER));
    }

    #[test]
    fn invented_names_leave_configured_instances_their_own_groups() {
        let mut groups = Groups::default();
        groups.set_configured(["prod".to_owned()].into());
        for number in 0..1000 {
            groups.join("mta", &format!("invented{number}"));
        }
        let mta = groups.join("mta", "prod");
        assert_eq!(&*groups.get_mut(mta).unwrap().instance, "prod");
    }

    #[test]
    fn the_number_of_groups_is_bounded() {
        let mut groups = Groups::default();
        groups.set_configured((0..1000).map(|instance| format!("instance{instance}")).collect());
        for module in 0..20 {
            for instance in 0..1000 {
                groups.join(&format!("unknown{module}"), &format!("instance{instance}"));
            }
        }
        assert_eq!(groups.in_order().0.len(), MAX_GROUPS + 1);
    }

    #[test]
    fn sixteen_thousand_invented_names_are_forgotten_with_their_processes() {
        let mut groups = Groups::default();
        groups.set_configured(["prod".to_owned()].into());
        let mut now = Instant::now();
        let import = groups.join("import", "prod");
        groups.get_mut(import).unwrap().totals.starts = 7;
        groups.leave(import, now);
        for number in 0..16_000 {
            now += Duration::from_millis(1);
            let (module, instance) = (format!("module{number}"), format!("instance{}", number % 3));
            let ids = [
                groups.join(&module, "prod"),
                groups.join("mta", &format!("x{number}")),
                groups.join(&module, &instance),
            ];
            for id in ids {
                groups.leave(id, now);
            }
            groups.forget_idle(now);
        }
        assert_eq!(groups.in_order().0.len(), MAX_IDLE_GROUPS + 1);
        now += IDLE_TIME;
        groups.forget_idle(now);
        assert!(groups.in_order().0.iter().all(|group| *group.instance == *"prod"));
        assert_eq!(groups.totals("import", "prod").starts, 7, "what is documented and configured is never forgotten");
        assert!(groups.list.len() <= MAX_IDLE_GROUPS + 5, "places are used again");
        assert!(groups.unknown_modules.len() <= MAX_IDLE_GROUPS && groups.unknown_instances.is_empty());
    }

    #[test]
    fn a_group_with_a_process_is_never_forgotten() {
        let mut groups = Groups::default();
        let now = Instant::now();
        let (one, _) = (groups.join("strange", "elsewhere"), groups.join("strange", "elsewhere"));
        groups.leave(one, now);
        groups.forget_idle(now + IDLE_TIME * 2);
        assert_eq!(groups.in_order().0.len(), 1);
    }

    #[test]
    fn groups_come_in_order_and_are_found_by_their_id() {
        let mut groups = Groups::default();
        let names = [("web", "default"), ("mta", "prod"), ("mta", "a"), ("web", "default")];
        let ids: Vec<GroupId> = names.iter().map(|(module, instance)| groups.join(module, instance)).collect();
        let (list, places) = groups.in_order();
        let ordered: Vec<_> = list.iter().map(|group| (&*group.module, &*group.instance)).collect();
        assert_eq!(ordered, [("mta", "a"), ("mta", "prod"), ("web", "default")]);
        for (id, name) in ids.iter().zip(names) {
            assert_eq!(ordered[places[*id]], name);
        }
    }
}
