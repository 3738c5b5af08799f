//! The specification as data: the documented modules, and every metric, check and alert the product has.
//!
//! Imports nothing but `std`: no I/O, no parsing, no rendering. Every module name, metric and documented text that is
//! shown comes from here.

pub mod alerts;
pub mod attributes;
pub mod modules;
pub mod signals;

pub use alerts::{AlertDef, Severity, Subject};

/// A language that the alerts and the pages are rendered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English: our rendering of the specification.
    En,
    /// Brazilian Portuguese: the specification, word for word.
    PtBr,
}

impl Lang {
    /// Every language.
    pub const ALL: [Lang; 2] = [Lang::En, Lang::PtBr];

    /// The BCP 47 tag, as `--lang` takes it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::PtBr => "pt-BR",
        }
    }
}

/// A text in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Brazilian Portuguese.
    pub pt_br: &'static str,
}

impl Text {
    /// The text in `lang`.
    #[must_use]
    pub const fn get(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::PtBr => self.pt_br,
        }
    }
}

/// The life cycle of a module, which decides what "down" means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Started when needed, ends by itself.
    Utility,
    /// Resident, one process per Campaign instance.
    PerInstance,
    /// Resident, one process for all instances; it runs under the instance [`modules::DEFAULT_INSTANCE`].
    Shared,
    /// Resident, one per machine; it starts and restarts all others.
    Watchdog,
}

impl Kind {
    /// Whether a process of the module is meant to keep running.
    #[must_use]
    pub const fn is_resident(self) -> bool {
        !matches!(self, Kind::Utility)
    }
}

/// A transport protocol, as the label `protocol` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The label value: `tcp` or `udp`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// A documented port of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number that holds where the configuration names none.
    pub number: u16,
    /// The transport.
    pub protocol: Protocol,
    /// The attribute that sets it, where one is documented.
    pub attribute: Option<&'static attributes::Attribute>,
    /// The check that judges it.
    pub check: &'static str,
}

/// A link of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the link is called.
    pub title: Text,
    /// The page, relative to [`modules::DOCUMENTATION`].
    pub page: &'static str,
}

/// A module of the product that the specification has a row for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// The command: `nlserver <name>`, and the label `module`.
    pub name: &'static str,
    /// The name that the Portuguese page gives it; three are translated there.
    pub page_name: &'static str,
    /// Its life cycle.
    pub kind: Kind,
    /// What it does.
    pub scope: Text,
    /// What the documentation tells the operator to do when it fails.
    pub troubleshooting: Text,
    /// The pages that the troubleshooting refers to.
    pub links: &'static [Link],
    /// The names of its log files, without `.log`.
    pub logs: &'static [&'static str],
    /// Commands that it starts as its own children.
    pub children: &'static [&'static str],
    /// Where it listens.
    pub ports: &'static [Port],
}

/// How a metric's values behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Goes up and down.
    Gauge,
    /// Only rises, or starts again at 0 with the exporter.
    Counter,
}

/// A metric: the one definition that samples, documentation and tests refer to.
#[derive(Debug, PartialEq, Eq)]
pub struct MetricDef {
    /// The full name.
    pub name: &'static str,
    /// How its values behave.
    pub kind: MetricKind,
    /// The label names, in the order in which a sample gives the values.
    pub labels: &'static [&'static str],
    /// The HELP text: meaning, unit, when it is absent.
    pub help: &'static str,
}

/// The most lines that [`CheckDef::next_steps`] has: an operator on call reads no more.
pub const MAX_NEXT_STEPS: usize = 3;

/// A check that the documentation asks the operator to make: a value of the label `check`.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckDef {
    /// The label value.
    pub name: &'static str,
    /// The name on the page and in the terminal.
    pub title: Text,
    /// What holds when the check passes.
    pub passes_when: Text,
    /// What to do when it fails: at most [`MAX_NEXT_STEPS`] lines, a step each. `{module}`, `{campaign_instance}`,
    /// `{log}` (the module's log file), `{port}`, `{start}` and `{restart}` (the commands) are replaced by their
    /// values.
    pub next_steps: Text,
}
