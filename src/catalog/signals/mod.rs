//! Every metric, check and alert there is, a file a theme. Nothing that is not here can be exported, judged or rendered.

pub mod exporter;
pub mod indicators;
pub mod modules;
pub mod probes;

use super::{AlertDef, CheckDef, MetricDef};

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
    /// Its metrics.
    pub metrics: &'static [&'static MetricDef],
    /// Its checks.
    pub checks: &'static [&'static CheckDef],
    /// Its alerts.
    pub alerts: &'static [AlertDef],
}

/// Every theme, in the order of the documentation.
pub static THEMES: &[Theme] = &[modules::THEME, probes::THEME, indicators::THEME, exporter::THEME];

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
