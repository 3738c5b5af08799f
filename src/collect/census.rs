//! Which modules are expected here and which run: computed once a scrape, for all collectors.
//!
//! Compares the configuration in force with the current processes. What each module uses, and whether it is healthy, is
//! left to the collectors and `health`.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::catalog::Kind;
use crate::catalog::modules::{DEFAULT_INSTANCE, IN_INSTANCE_FILES, residents};
use crate::catalog::signals::exporter::DoubtReason;
use crate::label::label_of;
use crate::snapshot::Samples;
use crate::source::installation::{Failure, Installation, Trouble};
use crate::source::processes::{Group, ProcessState, ProcessTable};

/// A module of one Campaign instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its life cycle; none for a command that the documentation does not describe.
    pub kind: Option<Kind>,
    /// Whether the configuration starts it; none where that is unknown, or does not depend on the configuration.
    pub expected: Option<bool>,
    /// Whether a live process of it exists; none where that is unknown.
    pub up: Option<bool>,
    /// The place of its group in [`ProcessTable::groups`]; none when no process of it was ever seen.
    group: Option<usize>,
}

impl Member {
    /// Whether a process of it is meant to keep running.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        self.kind.is_some_and(Kind::is_resident)
    }

    /// Whether it has to run, or does.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.expected == Some(true) || self.up == Some(true)
    }

    /// Its processes, and what they did; none when none was ever seen.
    #[must_use]
    pub fn group<'a>(&self, table: &'a ProcessTable) -> Option<&'a Group> {
        table.groups.get(self.group?)
    }
}

/// A module's name and its Campaign instance.
pub type MemberName = (Arc<str>, Arc<str>);

/// Every module that is configured here, or of which a process was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    members: BTreeMap<MemberName, Member>,
}

impl Census {
    /// The census of one moment.
    #[must_use]
    pub fn of(installation: &Installation, table: &ProcessTable) -> Census {
        let mut members = BTreeMap::new();
        for (place, group) in table.groups.iter().enumerate() {
            let name = (Arc::clone(&group.module), Arc::clone(&group.instance));
            let kind = residents().find(|(name, _)| **name == *group.module).map(|(_, kind)| kind);
            let is_down = || table.can_tell_of(&group.module, &group.instance).then_some(false);
            let up = if group.now.live() > 0 { Some(true) } else { is_down() };
            members.insert(name, Member { kind, expected: None, up, group: Some(place) });
        }
        for ((instance, module), expected) in installation.expected() {
            let instance = serving_instance(module, instance, &members);
            let kind = residents().find(|(name, _)| *name == module).map(|(_, kind)| kind);
            let member = members.entry((Arc::from(module), Arc::from(instance))).or_insert_with(|| Member {
                kind,
                expected: None,
                up: table.can_tell_of(module, instance).then_some(false),
                group: None,
            });
            // A module that two files start is expected when one of them says so.
            member.expected = if member.expected == Some(true) { member.expected } else { expected };
        }
        Census { members }
    }

    /// Every member, ordered by module and instance.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str, &Member)> {
        self.members.iter().map(|((module, instance), member)| (&**module, &**instance, member))
    }

    /// The member of this name; none where nothing is known of it.
    #[must_use]
    pub fn member(&self, module: &str, instance: &str) -> Option<&Member> {
        self.members.get(&(Arc::from(module), Arc::from(instance)))
    }

    /// The instances in which `module` has to run, or does, in order.
    pub fn instances_of<'a>(&'a self, module: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let first: MemberName = (Arc::from(module), Arc::from(""));
        let module = Arc::clone(&first.0);
        let members = self.members.range(first..).take_while(move |((name, _), _)| *name == module);
        members.filter(|(_, member)| member.is_here()).map(|((_, instance), _)| &**instance)
    }

    /// The instances in which `module` runs, in order.
    pub fn running<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let runs = self.members().filter(move |(name, _, member)| *name == module && member.up == Some(true));
        runs.map(|(_, instance, _)| instance)
    }

    /// The process ids of the live processes of `module`: of `instance`, or of any instance where that is none.
    pub fn pids<'a>(
        &self,
        module: &str,
        instance: Option<&str>,
        table: &'a ProcessTable,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let wanted =
            |group: &Group| *group.module == *module && instance.is_none_or(|instance| *group.instance == *instance);
        let groups: Vec<bool> = table.groups.iter().map(wanted).collect();
        let alive = table.processes.iter().filter(|process| process.state != ProcessState::Zombie);
        alive.filter(move |process| groups.get(process.group) == Some(&true)).map(|process| process.pid)
    }
}

/// The instance under which `module`, configured in the file of `instance`, is looked for. A shared module that an instance's
/// file starts may run under that instance's name or under `default`: which one is in no document.
fn serving_instance<'a>(module: &str, instance: &'a str, seen: &BTreeMap<MemberName, Member>) -> &'a str {
    let runs_in = |instance: &str| {
        seen.get(&(Arc::from(module), Arc::from(instance))).is_some_and(|member| member.up == Some(true))
    };
    let may_be_elsewhere = IN_INSTANCE_FILES.contains(&module) && instance != DEFAULT_INSTANCE;
    if may_be_elsewhere && !runs_in(instance) && runs_in(DEFAULT_INSTANCE) { DEFAULT_INSTANCE } else { instance }
}

/// Why the exporter can't tell what is expected here.
pub fn doubts_of(installation: &Installation) -> impl Iterator<Item = (DoubtReason, String)> + '_ {
    let known = !installation.instances.is_empty();
    let whole = match (&installation.home, &installation.trouble) {
        (None, Some(Trouble { failure: Failure::Permission, place, .. })) => {
            Some((DoubtReason::InstallationUnreadable, place.clone()))
        }
        (None, trouble) => {
            let place = trouble.as_ref().map(|trouble| trouble.place.clone()).unwrap_or_default();
            Some((DoubtReason::NoInstallation, place))
        }
        (Some(_), Some(trouble)) if known => Some((DoubtReason::ConfigurationUnreadable, trouble.place.clone())),
        (Some(home), _) if !known => Some((DoubtReason::InstallationUnreadable, home.to_string_lossy().into_owned())),
        _ => None,
    };
    let failing = installation.files.iter().filter(|(_, state)| !state.successful || state.leaves_open);
    let files = failing.map(|(file, _)| (DoubtReason::ConfigurationUnreadable, file.clone()));
    let elsewhere = installation.elsewhere.iter();
    let elsewhere =
        elsewhere.map(|place| (DoubtReason::EnvironmentsDiffer, label_of(place.as_os_str().as_bytes()).into_owned()));
    let beyond = (installation.left_out > 0).then(|| (DoubtReason::EvidenceUnreadable, "conf".to_owned()));
    whole.into_iter().chain(files).chain(elsewhere).chain(beyond)
}

/// The same as part of a scrape's evidence.
pub fn doubts(installation: &Installation, out: &mut Samples) {
    for (reason, detail) in doubts_of(installation) {
        out.doubt(reason, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::conf::{ServerConf, Settings};
    use crate::source::installation::FileState;
    use crate::source::processes::Present;

    fn installation(instances: &[(&str, &str)]) -> Installation {
        let settings = |xml: &str| {
            let conf = ServerConf::parse(format!("<serverconf>{xml}</serverconf>").as_bytes()).unwrap();
            Settings::overlay(None, Some(Arc::new(conf)))
        };
        let instances = instances.iter().map(|(name, xml)| ((*name).to_owned(), settings(xml))).collect();
        Installation { home: Some("/x".into()), instances, ..Installation::default() }
    }

    fn table(groups: &[(&str, &str, u64)]) -> ProcessTable {
        let group = |(module, instance, processes): &(&str, &str, u64)| Group {
            module: (*module).into(),
            instance: (*instance).into(),
            now: Present { processes: *processes, states: [0, *processes, 0, 0, 0, 0], ..Present::default() },
            ..Group::default()
        };
        ProcessTable { groups: groups.iter().map(group).collect(), ..ProcessTable::default() }
    }

    #[test]
    fn a_module_is_up_down_or_not_known() {
        let prod = installation(&[("prod", "<mta autoStart='true'/>")]);
        let up = |table: &ProcessTable| Census::of(&prod, table).member("mta", "prod").unwrap().up;
        assert_eq!(up(&table(&[("mta", "prod", 1)])), Some(true));
        assert_eq!(up(&table(&[("mta", "prod", 0)])), Some(false));
        assert_eq!(up(&table(&[])), Some(false));
        assert_eq!(up(&ProcessTable { hidden: true, ..ProcessTable::default() }), None);
        assert_eq!(up(&ProcessTable { hidden: true, ..table(&[("mta", "prod", 0)]) }), None);
    }

    #[test]
    fn an_installation_that_is_not_there_or_can_not_be_read_is_a_doubt() {
        let doubts = |installation: &Installation| doubts_of(installation).collect::<Vec<_>>();
        let doubt = |reason, detail: &str| (reason, detail.to_owned());
        let trouble = |failure| Some(Trouble { failure, place: "/x/nl6".into(), message: String::new() });
        let none = |failure| Installation { trouble: trouble(failure), ..Installation::default() };
        assert_eq!(doubts(&none(Failure::Gone)), [doubt(DoubtReason::NoInstallation, "/x/nl6")]);
        assert_eq!(doubts(&none(Failure::Permission)), [doubt(DoubtReason::InstallationUnreadable, "/x/nl6")]);
        let empty = Installation { home: Some("/x/nl6".into()), ..Installation::default() };
        assert_eq!(doubts(&empty), [doubt(DoubtReason::InstallationUnreadable, "/x/nl6")]);
        let mut good = installation(&[("prod", "")]);
        assert_eq!(doubts(&good), []);
        good.files.insert("config-prod.xml".into(), FileState::default());
        assert_eq!(doubts(&good), [doubt(DoubtReason::ConfigurationUnreadable, "config-prod.xml")]);
        let open = FileState { successful: true, leaves_open: true, ..FileState::default() };
        good.files.insert("config-prod.xml".into(), open);
        assert_eq!(doubts(&good), [doubt(DoubtReason::ConfigurationUnreadable, "config-prod.xml")]);
        let differing = Installation { elsewhere: vec!["/data/var".into()], ..installation(&[("prod", "")]) };
        assert_eq!(doubts(&differing), [doubt(DoubtReason::EnvironmentsDiffer, "/data/var")]);
        let beyond = Installation { left_out: 1, ..installation(&[("prod", "")]) };
        assert_eq!(doubts(&beyond), [doubt(DoubtReason::EvidenceUnreadable, "conf")]);
        let unlisted = Installation { trouble: trouble(Failure::Permission), ..installation(&[("prod", "")]) };
        assert_eq!(doubts(&unlisted), [doubt(DoubtReason::ConfigurationUnreadable, "/x/nl6")]);
    }

    #[test]
    fn a_module_is_here_when_it_is_expected_or_runs() {
        let prod = installation(&[("prod", "<mta autoStart='true'/>"), ("stage", "<mta autoStart='false'/>")]);
        let census = Census::of(&prod, &table(&[("mta", "other", 1), ("mta", "stage", 0), ("mtachild", "prod", 1)]));
        assert_eq!(census.instances_of("mta").collect::<Vec<_>>(), ["other", "prod"]);
        let child = census.member("mtachild", "prod").unwrap();
        assert!(!child.is_resident() && child.expected.is_none());
    }

    #[test]
    fn a_shared_module_of_an_instances_file_is_found_under_either_name() {
        let frontal = installation(&[("default", ""), ("prod", "<trackinglogd autoStart='true'/>")]);
        let members = |groups: &[(&str, &str, u64)]| {
            let census = Census::of(&frontal, &table(groups));
            let of_module = census.members().filter(|(module, _, _)| *module == "trackinglogd");
            of_module.map(|(_, instance, member)| (instance.to_owned(), member.expected, member.up)).collect::<Vec<_>>()
        };
        let (default, prod) = ("default".to_owned(), "prod".to_owned());
        assert_eq!(
            members(&[]),
            [(default.clone(), Some(false), Some(false)), (prod.clone(), Some(true), Some(false))]
        );
        assert_eq!(members(&[("trackinglogd", "default", 1)]), [(default.clone(), Some(true), Some(true))]);
        assert_eq!(
            members(&[("trackinglogd", "prod", 1)]),
            [(default, Some(false), Some(false)), (prod, Some(true), Some(true))]
        );
    }
}
