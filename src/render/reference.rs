//! The catalog as `docs/metrics.md`: every metric, check and alert, theme by theme.
//!
//! Knows Markdown; what there is to document is for the catalog.

use crate::catalog::signals::{THEMES, Theme};
use crate::catalog::{AlertDef, CheckDef, Lang, MetricDef, MetricKind};

const OPENING: &str = "\
# Metrics, checks and alerts

Written from the catalog by `make generate`; a change made here is lost.

`campaign_instance` is Campaign's own instance; `instance` and `job` are Prometheus's, and say which host it is. Modules
that serve all instances have the instance `default`. A series is there as long as its subject is.
";

/// The reference, in English.
#[must_use]
pub fn render() -> String {
    let mut text = OPENING.to_owned();
    for theme in THEMES {
        push_theme(&mut text, theme);
    }
    text
}

fn push_theme(text: &mut String, theme: &Theme) {
    text.push_str(&format!("\n## {}\n", theme.title));
    push_table(text, ["Metric", "Type", "Labels", "Meaning"], theme.metrics.iter().map(|metric| metric_row(metric)));
    if !theme.checks.is_empty() {
        text.push_str("\nChecks, the values of the label `check`:\n");
        push_table(text, ["Check", "Passes when"], theme.checks.iter().map(|check| check_row(check)));
    }
    if !theme.alerts.is_empty() {
        text.push_str("\nAlerts:\n");
        push_table(text, ["Alert", "Severity", "For", "Meaning"], theme.alerts.iter().map(alert_row));
    }
}

fn metric_row(metric: &MetricDef) -> [String; 4] {
    let kind = match metric.kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
    };
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    [format!("`{}`", metric.name), kind.to_owned(), labels.join(", "), metric.help.to_owned()]
}

fn check_row(check: &CheckDef) -> [String; 2] {
    [format!("`{}`", check.name), check.passes_when.get(Lang::En).to_owned()]
}

fn alert_row(alert: &AlertDef) -> [String; 4] {
    let summary = alert.summary.get(Lang::En);
    [format!("`{}`", alert.name), alert.severity.label().to_owned(), alert.hold.to_owned(), summary.to_owned()]
}

fn push_table<const N: usize>(text: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    text.push_str(&format!("\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(N)));
    for row in rows {
        // A bar would end the cell.
        let row = row.map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
}
