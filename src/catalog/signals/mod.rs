//! Every metric, check and alert there is, a file a theme. Nothing that is not here can be exported, judged or rendered.

pub mod crash;
pub mod exporter;
pub mod indicators;
pub mod logs;
pub mod modules;
pub mod ports;
pub mod probes;
pub mod spool;
pub mod tracking;

use super::alerts::RecordingRule;
use super::{AlertDef, CheckDef, MetricDef, alerts as definitions};

/// Defines the metrics of a theme: a static for each, and the table of them all.
///
/// `NAME: kind "campaign_name" [labels] "help";`
macro_rules! define_metrics {
    ($($(#[$doc:meta])* $id:ident: $kind:ident $name:literal [$($label:ident),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: $crate::catalog::MetricDef = $crate::catalog::MetricDef {
                name: $name,
                kind: $crate::catalog::MetricKind::$kind,
                labels: &[$(stringify!($label)),*],
                help: $help,
            };
        )*
        /// Every metric of this theme.
        pub static METRICS: &[&$crate::catalog::MetricDef] = &[$(&$id),*];
    };
}
use define_metrics;

/// A theme's signals.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// What the theme is about, as a heading of the documentation.
    pub title: &'static str,
    /// The name of its group in the rule file.
    pub group: &'static str,
    /// How often it is evaluated, as Prometheus writes durations; empty for as often as all rules are.
    pub interval: &'static str,
    /// Its metrics.
    pub metrics: &'static [&'static MetricDef],
    /// Its checks.
    pub checks: &'static [&'static CheckDef],
    /// Its alerts.
    pub alerts: &'static [AlertDef],
    /// Its recording rules, which stand before the alerts.
    pub records: &'static [RecordingRule],
    /// The dashboard and the panel that show it.
    pub panel: (&'static str, u16),
}

/// Every theme, in the order of the documentation.
pub static THEMES: &[Theme] = &[
    modules::THEME,
    logs::THEME,
    definitions::log_files::THEME,
    ports::THEME,
    tracking::THEME,
    spool::THEME,
    crash::THEME,
    probes::THEME,
    indicators::THEME,
    exporter::THEME,
    definitions::fleet::THEME,
];

/// Every metric.
pub fn metrics() -> impl Iterator<Item = &'static MetricDef> {
    THEMES.iter().flat_map(|theme| theme.metrics.iter().copied())
}

/// Every check.
pub fn checks() -> impl Iterator<Item = &'static CheckDef> {
    THEMES.iter().flat_map(|theme| theme.checks.iter().copied())
}

/// Every alert.
pub fn alerts() -> impl Iterator<Item = &'static AlertDef> {
    THEMES.iter().flat_map(|theme| theme.alerts.iter())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog::{Lang, MAX_NEXT_STEPS, MetricKind, Severity, Text};

    /// Every label that a metric may have. Never `instance` or `job`: those are Prometheus's own.
    const LABELS: &[&str] = &[
        "build",
        "campaign_instance",
        "check",
        "code",
        "collector",
        "file",
        "home",
        "host",
        "indicator",
        "kind",
        "label",
        "level",
        "local_host",
        "log",
        "mode",
        "module",
        "outcome",
        "port",
        "probe",
        "problem",
        "protocol",
        "reason",
        "revision",
        "rustc",
        "sha1",
        "state",
        "target",
        "this_host",
        "url",
        "version",
    ];

    /// Endings that name a unit which is not a base unit.
    const SCALED: &[&str] = &["ms", "millis", "milliseconds", "minutes", "hours", "days", "kb", "mb", "percent"];

    fn assert_unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for name in names {
            assert!(seen.insert(name), "{what} {name} is there twice");
        }
        assert!(!seen.is_empty(), "no {what} at all");
    }

    fn is_snake_case(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('_')
            && !name.contains("__")
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }

    fn assert_text(owner: &str, text: Text) {
        for lang in Lang::ALL {
            let text = text.get(lang);
            let tag = lang.tag();
            assert!(!text.is_empty(), "{owner}: no text in {tag}");
            let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(text, folded, "{owner}: white space in {tag}");
        }
        assert_ne!(text.en, text.pt_br, "{owner}: not translated");
    }

    #[test]
    fn no_name_is_there_twice() {
        assert_unique("metric", metrics().map(|metric| metric.name));
        assert_unique("check", checks().map(|check| check.name));
        assert_unique("alert", alerts().map(|alert| alert.name));
        assert_unique("group", THEMES.iter().map(|theme| theme.group));
        assert_unique("theme", THEMES.iter().map(|theme| theme.title));
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in metrics() {
            let name = metric.name;
            assert!(is_snake_case(name), "{name}");
            assert!(name.starts_with("campaign_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == MetricKind::Counter, "{name}: _total is for counters");
            let words: Vec<_> = name.split('_').collect();
            assert!(!words.iter().any(|word| SCALED.contains(word)), "{name}: not a base unit");
            if name.ends_with("_info") {
                assert!(metric.help.starts_with("Always 1"), "{name}");
            }
            if let Some(at) = words.iter().position(|word| ["seconds", "bytes", "ratio"].contains(word)) {
                let rest = &words[at + 1..];
                assert!(rest.is_empty() || rest == ["total"], "{name}: the unit stands last");
            }
        }
        for name in checks().map(|check| check.name).chain(THEMES.iter().map(|theme| theme.group)) {
            assert!(is_snake_case(name), "{name}");
        }
        for alert in alerts() {
            let name = alert.name.strip_prefix("Campaign").expect(alert.name);
            assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        }
    }

    #[test]
    fn labels_are_known_and_none_is_named_twice() {
        for metric in metrics() {
            for label in metric.labels {
                assert!(LABELS.contains(label), "{}: {label}", metric.name);
            }
            assert_eq!(metric.labels.iter().collect::<BTreeSet<_>>().len(), metric.labels.len(), "{}", metric.name);
        }
    }

    #[test]
    fn nothing_is_undocumented() {
        for metric in metrics() {
            assert!(metric.help.ends_with('.') && metric.help.len() > 10, "{}", metric.name);
        }
        for check in checks() {
            assert_text(check.name, check.passes_when);
            for lang in Lang::ALL {
                assert!(!check.title.get(lang).is_empty(), "{}", check.name);
                let steps: Vec<_> = check.next_steps.get(lang).lines().collect();
                assert!((1..=MAX_NEXT_STEPS).contains(&steps.len()), "{}: {steps:?}", check.name);
                assert!(steps.iter().all(|step| step.trim() == *step && !step.is_empty()), "{}: {steps:?}", check.name);
            }
        }
    }

    #[test]
    fn every_severity_is_used() {
        for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
            assert!(alerts().any(|alert| alert.severity == severity), "{}", severity.label());
        }
    }

    #[test]
    fn thresholds_are_told_as_they_are() {
        let percent = format!("{:.0}%", modules::MAX_OPEN_FDS_RATIO * 100.0);
        let hours = modules::MAX_AGE.as_secs() / 3600;
        assert!(modules::DESCRIPTORS.passes_when.en.contains(&percent));
        assert!(modules::DESCRIPTORS.passes_when.pt_br.contains(&percent));
        assert!(modules::AGE.passes_when.en.contains(&format!("{hours} hours")));
        assert!(modules::AGE.passes_when.pt_br.contains(&format!("{hours} horas")));
        assert_eq!(modules::MAX_WAITING.as_secs(), 60, "the texts speak of a minute");
    }
}
