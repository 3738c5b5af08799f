//! The modules of the product that are simulated, and the arguments they run with (facts.md, Modules and Processes).
//! Deliberately not the exporter's catalogue: the simulator is independent of it.

use std::fmt;

use crate::conf::Conf;
use crate::error::{Error, Result};

/// For whom a module runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One process for the machine, without an instance: watchdog.
    Machine,
    /// One process for all instances, called "default".
    Shared,
    /// One process for each instance.
    Instance,
}

/// A resident module.
#[derive(Debug)]
pub(crate) struct Resident {
    /// The command's name as the product spells it.
    pub(crate) name: &'static str,
    /// For whom it runs.
    pub(crate) scope: Scope,
    /// The children it keeps, when it has any.
    pub(crate) child: Option<&'static str>,
    /// The documented default of the attribute `args`.
    pub(crate) args: &'static str,
    /// Arguments that the documented command line has before `-tracefile:`.
    pub(crate) leading: &'static [&'static str],
}

const fn resident(name: &'static str, scope: Scope) -> Resident {
    Resident { name, scope, child: None, args: "", leading: &[] }
}

/// The watchdog's name: the one module that the others depend on.
pub(crate) const WATCHDOG: &str = "watchdog";
/// The log writer's name.
pub(crate) const SYSLOGD: &str = "syslogd";

/// The tracking log writer's name.
pub(crate) const TRACKINGLOGD: &str = "trackinglogd";

/// Every resident module. The order is the one in which modules of the same run level start.
pub(crate) const RESIDENTS: &[Resident] = &[
    resident(WATCHDOG, Scope::Machine),
    resident(SYSLOGD, Scope::Shared),
    resident(TRACKINGLOGD, Scope::Shared),
    resident("web", Scope::Shared),
    resident("stat", Scope::Instance),
    Resident { child: Some("mtachild"), args: "-tracefilter:nlmta", ..resident("mta", Scope::Instance) },
    Resident { child: Some("runwf"), ..resident("wfserver", Scope::Instance) },
    resident("inMail", Scope::Instance),
    Resident { leading: &["-noconsole"], ..resident("sms", Scope::Instance) },
    resident("pipelined", Scope::Instance),
    resident("interactiond", Scope::Instance),
    resident("archiving", Scope::Instance),
];

/// The resident module called `name`; administrators also type `inmail`.
pub(crate) fn find(name: &str) -> Option<&'static Resident> {
    RESIDENTS.iter().find(|resident| resident.name.eq_ignore_ascii_case(name))
}

/// The module whose children are called `name`.
pub(crate) fn parent_of(name: &str) -> Option<&'static Resident> {
    RESIDENTS.iter().find(|resident| resident.child == Some(name))
}

/// A module of an instance; shown as `mta@prod`, the watchdog as `watchdog`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// The command's name.
    pub(crate) module: String,
    /// The instance; `default` for what has none.
    pub(crate) instance: String,
}

impl Key {
    /// The module `module` of `instance`.
    pub(crate) fn new(module: &str, instance: &str) -> Self {
        Self { module: module.to_owned(), instance: instance.to_owned() }
    }

    /// The watchdog.
    pub(crate) fn watchdog() -> Self {
        Self::new(WATCHDOG, "default")
    }

    /// The children of this module, when it is one that has any.
    pub(crate) fn child(&self) -> Option<Self> {
        let child = find(&self.module)?.child?;
        Some(Self::new(child, &self.instance))
    }

    /// The module whose child this is.
    pub(crate) fn parent(&self) -> Option<Self> {
        parent_of(&self.module).map(|parent| Self::new(parent.name, &self.instance))
    }

    /// What an administrator typed: `mta@prod`, `inmail@prod`, `web`, `syslogd@default`.
    /// A module that runs for each instance, typed without one, means all `instances`.
    ///
    /// # Errors
    /// When it is empty.
    pub(crate) fn parse(typed: &str, instances: &[String]) -> Result<Vec<Self>> {
        let (name, instance) = match typed.split_once('@') {
            Some((name, instance)) => (name, Some(instance)),
            None => (typed, None),
        };
        if name.is_empty() || instance == Some("") {
            return Err(Error::Usage(format!("'{typed}' is not a module: write module or module@instance")));
        }
        let known = find(name);
        let spelled = known.map_or(name, |resident| resident.name);
        let scope = known.map_or(Scope::Instance, |resident| resident.scope);
        Ok(match (scope, instance) {
            (Scope::Machine, _) => vec![Self::watchdog()],
            (_, Some(instance)) => vec![Self::new(spelled, instance)],
            (Scope::Shared, None) => vec![Self::new(spelled, "default")],
            (Scope::Instance, None) => instances.iter().map(|instance| Self::new(spelled, instance)).collect(),
        })
    }

    /// Which module a command line `nlserver MODULE … -instance:NAME …` is.
    pub(crate) fn of_args(args: &[String]) -> Option<Self> {
        let module = args.get(1)?;
        let instance = args.iter().find_map(|arg| arg.strip_prefix("-instance:")).unwrap_or("default");
        Some(Self::new(find(module).map_or(module.as_str(), |resident| resident.name), instance))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.module == WATCHDOG { out.write_str(WATCHDOG) } else { write!(out, "{}@{}", self.module, self.instance) }
    }
}

/// The documented command line of `key`, then `extra` (raised log precision, for instance).
pub(crate) fn argv(conf: &Conf, key: &Key, extra: &[String]) -> Vec<String> {
    let mut argv = vec!["nlserver".to_owned(), key.module.clone()];
    let known = find(&key.module);
    if known.is_some_and(|resident| resident.scope == Scope::Machine) {
        argv.extend(["-svc".to_owned(), "-noconsole".to_owned()]);
    } else {
        argv.extend(known.iter().flat_map(|resident| resident.leading).map(|&arg| arg.to_owned()));
        argv.push(format!("-tracefile:{key}"));
        argv.push(format!("-instance:{}", key.instance));
        argv.push("-detach".to_owned());
        let default = known.map_or("", |resident| resident.args);
        let args = conf.get(&key.instance, &key.module, "args").unwrap_or(default);
        // mta/child has extraArgs for mtachild.
        let parent = parent_of(&key.module);
        let more = parent.and_then(|parent| conf.get(&key.instance, &format!("{}/child", parent.name), "extraArgs"));
        argv.extend(
            args.split_ascii_whitespace().chain(more.unwrap_or("").split_ascii_whitespace()).map(str::to_owned),
        );
    }
    argv.extend(extra.iter().cloned());
    argv
}

/// What the watchdog has to run, in the order of the run levels: all that the configuration starts automatically.
/// The watchdog itself is not among them.
pub(crate) fn configured(conf: &Conf) -> Vec<(i64, Key)> {
    let mut keys = Vec::new();
    for resident in RESIDENTS {
        let instances = match resident.scope {
            Scope::Machine => Vec::new(),
            Scope::Shared => vec!["default".to_owned()],
            Scope::Instance => conf.instances(),
        };
        // Frontal servers may have it in an instance's own file.
        let own = conf.instances().into_iter().filter(|instance| {
            resident.name == TRACKINGLOGD && conf.own(instance, TRACKINGLOGD, "autoStart").is_some()
        });
        for instance in instances.into_iter().chain(own) {
            if conf.get(&instance, resident.name, "autoStart").is_some_and(|value| value.trim() == "true") {
                let level = conf.number(&instance, resident.name, "runLevel", 10);
                keys.push((level, Key::new(resident.name, &instance)));
            }
        }
    }
    keys.sort_by_key(|(level, _)| *level);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &Key, conf: &Conf, extra: &[&str]) -> String {
        argv(conf, key, &extra.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>()).join(" ")
    }

    #[test]
    fn command_lines_are_the_documented_ones() {
        let mut conf = Conf::default();
        conf.set("default", "web", "args", "-tomcat -autorepair");
        conf.set("prod", "mta", "autoStart", "true");
        let expected = [
            (Key::watchdog(), "nlserver watchdog -svc -noconsole"),
            (
                Key::new("web", "default"),
                "nlserver web -tracefile:web@default -instance:default -detach -tomcat -autorepair",
            ),
            (Key::new("mtachild", "prod"), "nlserver mtachild -tracefile:mtachild@prod -instance:prod -detach"),
            (Key::new("sms", "prod"), "nlserver sms -noconsole -tracefile:sms@prod -instance:prod -detach"),
            (Key::new("mta", "prod"), "nlserver mta -tracefile:mta@prod -instance:prod -detach -tracefilter:nlmta"),
        ];
        for (key, expected) in expected {
            assert_eq!(line(&key, &conf, &[]), expected);
        }
        assert!(line(&Key::new("stat", "prod"), &conf, &["-verbose"]).ends_with(" -detach -verbose"));
    }

    #[test]
    fn children_get_the_extra_arguments_of_their_configuration() {
        let mut conf = Conf::default();
        conf.set("prod", "mta/child", "extraArgs", "-tracefilter:SMPP");
        let child = line(&Key::new("mtachild", "prod"), &conf, &[]);
        assert_eq!(child, "nlserver mtachild -tracefile:mtachild@prod -instance:prod -detach -tracefilter:SMPP");
        assert!(!line(&Key::new("runwf", "prod"), &conf, &[]).contains("SMPP"));
    }

    #[test]
    fn what_is_typed_names_the_modules_it_means() {
        let instances = ["prod".to_owned(), "dev".to_owned()];
        let parse = |typed: &str| {
            Key::parse(typed, &instances).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(parse("inmail@prod"), "inMail@prod");
        assert_eq!(parse("web"), "web@default");
        assert_eq!(parse("mta"), "mta@prod mta@dev");
        assert_eq!(parse("watchdog"), "watchdog");
        assert!(Key::parse("@prod", &instances).is_err());
    }

    #[test]
    fn what_starts_automatically_is_ordered_by_run_level() {
        let mut conf = Conf::default();
        conf.set("prod", "mta", "autoStart", "true");
        conf.set("prod", "stat", "autoStart", "false");
        conf.set("default", "web", "autoStart", "true");
        conf.set("default", "web", "runLevel", "20");
        conf.set("default", "syslogd", "autoStart", "true");
        conf.set("default", "syslogd", "runLevel", "3");
        let names: Vec<String> = configured(&conf).iter().map(|(_, key)| key.to_string()).collect();
        assert_eq!(names, ["syslogd@default", "mta@prod", "web@default"]);
        conf.set("prod", "trackinglogd", "autoStart", "true");
        assert!(configured(&conf).contains(&(10, Key::new("trackinglogd", "prod"))));
    }
}
