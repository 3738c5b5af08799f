//! The attributes of Campaign's configuration that the exporter uses: the element, the kind of value and the documented
//! default of each. Reading, validation, defaults and the reference come from this table.
//!
//! The sources are the pages *The server configuration file*, *Configuring Campaign server* and *Configuring pipeline* of
//! the product documentation. Nothing is here that the exporter does not use.

use super::modules;

/// What an attribute may hold. An empty value always means the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `true` or `1`, `false` or `0`, in any case.
    Flag,
    /// A whole number.
    Number,
    /// A whole number of mebibytes: 1024 × 1024 bytes, the unit that the kernel's figures are compared in.
    Mebibytes,
    /// A whole number of seconds.
    Seconds,
    /// The number of a port; 0 for none.
    Port,
    /// Any text.
    Text,
}

impl ValueKind {
    /// The expected kind of value, as a warning names it.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            ValueKind::Flag => "true or false",
            ValueKind::Number => "a whole number",
            ValueKind::Mebibytes => "a whole number of mebibytes",
            ValueKind::Seconds => "a whole number of seconds",
            ValueKind::Port => "a port number",
            ValueKind::Text => "text",
        }
    }
}

/// Where an attribute is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributePlace {
    /// On the element of every resident module.
    EveryResident,
    /// On this element, from below the root: `mta/child`.
    Element(&'static str),
}

/// An attribute of Campaign's configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The element.
    pub place: AttributePlace,
    /// The attribute's name; case matters.
    pub name: &'static str,
    /// What it may hold.
    pub kind: ValueKind,
    /// The documented default, as it would be written; empty where there is none.
    pub default: &'static str,
    /// What the exporter does with it.
    pub purpose: &'static str,
}

/// Replaces [`AUTO_START`] on an element whose module was disabled, by a migration or a duplication.
pub const DISABLED: &str = "_autoStart";

/// The variable of the environment that moves the folder `var`.
pub const VAR_DIRECTORY: &str = "XTK_VAR_DIR";

/// The script of the installation's folder that sets it.
pub const CUSTOMER_SCRIPT: &str = "customer.sh";

/// Defines the attributes: a static for each, and the table of them all.
macro_rules! define_attributes {
    ($($id:ident: $place:expr, $name:literal, $kind:ident, $default:literal, $purpose:literal;)*) => {
        $(
            #[doc = $purpose]
            pub static $id: Attribute =
                Attribute { place: $place, name: $name, kind: ValueKind::$kind, default: $default, purpose: $purpose };
        )*
        /// Every attribute.
        pub static ATTRIBUTES: &[&Attribute] = &[$(&$id),*];
    };
}

define_attributes! {
    AUTO_START: AttributePlace::EveryResident, "autoStart", Flag, "false",
        "Whether the watchdog starts the module, and so whether it has to run.";
    ARGS: AttributePlace::EveryResident, "args", Text, "",
        "The configured log precision, which is not taken for one that somebody raised.";
    MEMORY_WARNING: AttributePlace::EveryResident, "maxProcessMemoryWarningMb", Mebibytes, "1600",
        "The first threshold of a process's memory.";
    MEMORY_ALERT: AttributePlace::EveryResident, "maxProcessMemoryAlertMb", Mebibytes, "1800",
        "The second threshold of a process's memory.";
    IN_MAIL_PERIOD: AttributePlace::Element("inMail"), "popMailPeriodSec", Seconds, "300",
        "How often the bounce mailbox is read.";
    MTA_ARGS: AttributePlace::Element("mta"), "args", Text, "-tracefilter:nlmta",
        "The same as for every module, with another default.";
    MTA_WORKING_PATH: AttributePlace::Element("mta"), "workingPath", Text, "$(XTK_INSTALL_DIR)/var/$(INSTANCE_NAME)/mta/",
        "Where emails are queued.";
    MTA_SPARE_SERVERS: AttributePlace::Element("mta/master"), "maxSpareServers", Number, "2",
        "How many spare children (mtachild) it keeps at most.";
    MTA_CHILD_ARGS: AttributePlace::Element("mta/child"), "extraArgs", Text, "",
        "The log precision that is configured for mtachild.";
    MTA_CHILD_MEMORY: AttributePlace::Element("mta/child"), "maxWorkingSetMb", Mebibytes, "128",
        "The memory above which mtachild ends by itself: its threshold.";
    MTA_CHILD_AGE: AttributePlace::Element("mta/child"), "maxAgeSec", Seconds, "600",
        "How long an mtachild is meant to live.";
    PIPELINED_PORT: AttributePlace::Element("pipelined"), "monitorServerPort", Port, "7781",
        "Where pipelined answers for its indicators; 0: nowhere.";
    PIPELINED_DUMP_PERIOD: AttributePlace::Element("pipelined"), "dumpStatePeriodSec", Seconds, "",
        "Whether pipelined writes its indicators to var/<instance>/pipelined.json too.";
    STAT_AUTO_START: AttributePlace::Element("stat"), "autoStart", Flag, "",
        "The same as for every module; without it, the instance's model file decides, which the exporter does not know.";
    STAT_PORT: AttributePlace::Element("stat"), "port", Port, "7777",
        "Where stat listens.";
    LOG_FILE_SIZE: AttributePlace::Element("syslogd"), "maxFileSizeMb", Mebibytes, "10",
        "The size at which a log is moved to <log>_2.log.";
    TRACKING_LOGS_SIZE: AttributePlace::Element("trackinglogd"), "maxLogsSizeOnDiskMb", Mebibytes, "500",
        "How large the tracking logs may get together.";
    WEB_HTTP_PORT: AttributePlace::Element("web"), "httpPort", Port, "8080",
        "Where web answers HTTP.";
    WEB_CONTROL_PORT: AttributePlace::Element("web"), "controlPort", Port, "8005",
        "Where web is controlled.";
}

/// The attribute `name` of the element `element` (`mta/child`); none where the exporter does not use it. What is defined
/// for one element goes before what is defined for every module.
#[must_use]
pub fn attribute(element: &str, name: &str) -> Option<&'static Attribute> {
    let is_resident = || modules::residents().any(|(module, _)| module == element);
    let mut of_every = None;
    for attribute in ATTRIBUTES.iter().filter(|attribute| attribute.name == name) {
        match attribute.place {
            AttributePlace::Element(path) if path == element => return Some(attribute),
            AttributePlace::EveryResident => of_every = Some(*attribute),
            AttributePlace::Element(_) => {}
        }
    }
    of_every.filter(|_| is_resident())
}

/// The documented spelling of `element`, where an attribute or a resident module is known there.
#[must_use]
pub fn element(element: &str) -> Option<&'static str> {
    let own = ATTRIBUTES.iter().filter_map(|attribute| match attribute.place {
        AttributePlace::Element(path) => Some(path),
        AttributePlace::EveryResident => None,
    });
    own.chain(modules::residents().map(|(module, _)| module)).find(|known| *known == element)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_attribute_is_there_twice_and_each_has_a_purpose() {
        let places: BTreeSet<_> = ATTRIBUTES.iter().map(|one| (format!("{:?}", one.place), one.name)).collect();
        assert_eq!(places.len(), ATTRIBUTES.len());
        for attribute in ATTRIBUTES {
            assert!(attribute.purpose.ends_with('.'), "{}", attribute.name);
        }
    }

    #[test]
    fn what_is_defined_for_one_element_goes_before_what_holds_for_every_module() {
        assert_eq!(attribute("mta", "args"), Some(&MTA_ARGS));
        assert_eq!(attribute("sms", "args"), Some(&ARGS));
        assert_eq!(attribute("stat", "autoStart"), Some(&STAT_AUTO_START));
        assert_eq!(attribute("web", "autoStart"), Some(&AUTO_START));
        assert_eq!(attribute("mta/child", "autoStart"), None);
        assert_eq!(attribute("import", "autoStart"), None);
        assert_eq!(attribute("mta", "maxMemoryMb"), None, "not used");
    }

    #[test]
    fn the_documented_ports_are_the_defaults_of_their_attributes() {
        for port in modules::MODULES.iter().flat_map(|module| module.ports) {
            if let Some(attribute) = port.attribute {
                assert_eq!(attribute.default, port.number.to_string());
                assert_eq!(attribute.kind, ValueKind::Port);
            }
        }
    }
}
