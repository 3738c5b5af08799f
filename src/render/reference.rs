//! The catalog as `docs/metrics.md`: every metric, check and alert, theme by theme.
//!
//! Only the Markdown is made here; the content is in the catalog.

use crate::catalog::attributes::{ATTRIBUTES, Attribute, AttributePlace};
use crate::catalog::signals::{THEMES, Theme};
use crate::catalog::{AlertDef, CheckDef, Lang, MetricDef, MetricKind};
use crate::render::rules::page_text;

const OPENING: &str = "\
# Metrics, checks and alerts

Generated from the catalog by `make generate`; changes made here are lost.

`campaign_instance` is Campaign's own instance; `instance` and `job` are Prometheus's, and say which host it is. Modules
that serve all instances have the instance `default`. A series is there as long as its subject is.

The alerts stand in `alerts/en` and `alerts/pt-BR`, and each has a page in `docs/runbooks`. Each brings, as annotations, a
`summary`, a `description` with the values and their limits, the `next_steps`, the `troubleshooting` that the
documentation gives for the module, a `note` where that text misleads, its `scope`, the `runbook_url` of its page, and in
`documentation` the pages that the text refers to (or else the page about the log files).
";

const ATTRIBUTES_OPENING: &str = "
## Campaign's settings

What the exporter uses of `conf/serverConf.xml` and `conf/config-<instance>.xml`, where a value of the instance's file
wins. A value that is empty means the default; one that can't be read is not used: the value of
`serverConf.xml` or the default applies, the log warns with file and line, and `campaign_configuration_invalid_values`
counts it. Where `autoStart` can't be read it is unknown whether the module has to run: `campaign_module_expected` is absent.
";

/// The reference, in English.
#[must_use]
pub fn render() -> String {
    let mut text = OPENING.to_owned();
    for theme in THEMES {
        push_theme(&mut text, theme);
    }
    text.push_str(ATTRIBUTES_OPENING);
    push_table(
        &mut text,
        ["Element", "Attribute", "Holds", "Default", "What for"],
        ATTRIBUTES.iter().map(attribute_row),
    );
    text
}

fn push_theme(text: &mut String, theme: &Theme) {
    text.push_str(&format!("\n## {}\n", theme.title));
    if !theme.metrics.is_empty() {
        push_table(
            text,
            ["Metric", "Type", "Labels", "Meaning"],
            theme.metrics.iter().map(|metric| metric_row(metric)),
        );
    }
    if !theme.checks.is_empty() {
        text.push_str("\nChecks, the values of the label `check`:\n");
        push_table(text, ["Check", "Passes when"], theme.checks.iter().map(|check| check_row(check)));
    }
    if !theme.alerts.is_empty() {
        text.push_str("\nAlerts:\n");
        push_table(text, ["Alert", "Severity", "After", "Meaning"], theme.alerts.iter().map(alert_row));
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

fn attribute_row(attribute: &&Attribute) -> [String; 5] {
    let place = match attribute.place {
        AttributePlace::EveryResident => "every module".to_owned(),
        AttributePlace::Element(path) => format!("`{path}`"),
    };
    let default = if attribute.default.is_empty() { String::new() } else { format!("`{}`", attribute.default) };
    let (kind, purpose) = (attribute.kind.what().to_owned(), attribute.purpose.to_owned());
    [place, format!("`{}`", attribute.name), kind, default, purpose]
}

fn check_row(check: &CheckDef) -> [String; 2] {
    [format!("`{}`", check.name), check.passes_when.get(Lang::En).to_owned()]
}

fn alert_row(alert: &AlertDef) -> [String; 4] {
    let hold = if alert.hold.is_empty() { "at once" } else { alert.hold };
    let page = format!("[`{0}`](runbooks/en/{0}.md)", alert.name);
    [page, alert.severity.label().to_owned(), hold.to_owned(), page_text(alert.summary, Lang::En)]
}

fn push_table<const N: usize>(text: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    text.push_str(&format!("\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(N)));
    for row in rows {
        // A bar would end the cell.
        let row = row.map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::signals::{alerts, checks, metrics};

    #[test]
    fn everything_of_the_catalog_has_one_row() {
        let text = render();
        for name in metrics().map(|metric| metric.name).chain(checks().map(|check| check.name)) {
            assert_eq!(text.matches(&format!("\n| `{name}` |")).count(), 1, "{name}");
        }
        for alert in alerts() {
            assert_eq!(text.matches(&format!("\n| [`{}`](", alert.name)).count(), 1, "{}", alert.name);
        }
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        let mut text = String::new();
        push_table(&mut text, ["A", "B"], [["a|b".to_owned(), "c".to_owned()]].into_iter());
        assert_eq!(text, "\n| A | B |\n|---|---|\n| a\\|b | c |\n");
    }
}
