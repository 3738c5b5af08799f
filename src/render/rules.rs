//! The catalog as a file of rules for Prometheus.
//!
//! Only the form of a rule file is here; what is worth an alert is in the catalog. [`expression`] writes PromQL,
//! [`text`] Prometheus's templates, [`options`] what the command line changes.

pub mod expression;
pub mod options;
pub mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::alerts::{AlertDef, RecordingRule, Severity, Subject, advice};
use crate::catalog::modules::{LOG_FILES, MODULES, OTHER_SCOPE, OTHER_TROUBLESHOOTING, RUNBOOK, url};
use crate::catalog::signals::{THEMES, Theme};
use crate::catalog::{Lang, Link, Module, Text};
use options::{Options, Runbooks};
use text::Form;

/// The scrape job that the rules select unless another is named.
pub const DEFAULT_JOB: &str = "campaign";

/// A rule file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the rules can't be written as YAML: {0}")]
pub struct RenderError(#[from] serde_saphyr::ser::Error);

#[derive(Serialize)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

#[derive(Serialize)]
struct RuleGroup {
    name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    interval: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rule {
    Record {
        record: &'static str,
        expr: String,
    },
    Alert {
        alert: &'static str,
        expr: String,
        #[serde(rename = "for", skip_serializing_if = "str::is_empty")]
        hold: &'static str,
        labels: BTreeMap<String, String>,
        annotations: Box<Annotations>,
    },
}

#[derive(Serialize)]
struct Annotations {
    summary: String,
    description: String,
    next_steps: String,
    troubleshooting: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    scope: String,
    runbook_url: String,
    /// The pages that the troubleshooting refers to, separated by blanks; where it refers to none, the page about the
    /// log files.
    documentation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dashboard_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    status_url: String,
}

/// The rule file that `options` asks for.
///
/// # Errors
/// When the YAML serialiser refuses a text, which no text of the catalog makes it do.
pub fn render(options: &Options) -> Result<String, RenderError> {
    let groups = THEMES.iter().filter_map(|theme| group(theme, options)).collect();
    let layout = serde_saphyr::ser_options! { folded_wrap_chars: 110 };
    let yaml = serde_saphyr::to_string_with_options(&RuleFile { groups }, layout)?;
    let tag = options.lang.tag();
    Ok(format!(
        "# Rules for Adobe Campaign Classic v7, to be named in Prometheus's rule_files.\n\
         # Written by `campaign_exporter rules --lang {tag}`: what is changed here by hand is lost with the next release.\n\
         {yaml}"
    ))
}

fn group(theme: &'static Theme, options: &Options) -> Option<RuleGroup> {
    let is_out = |name: &str| options.without.iter().any(|out| out == name);
    let alerts: Vec<_> = theme.alerts.iter().filter(|alert| !is_out(alert.name)).collect();
    if alerts.is_empty() || is_out(theme.group) {
        return None;
    }
    let records = theme.records.iter().map(|record| recording(record, options));
    let rules = records.chain(alerts.into_iter().map(|alert| alerting(alert, theme, options))).collect();
    Some(RuleGroup { name: theme.group, interval: theme.interval, rules })
}

fn recording(record: &RecordingRule, options: &Options) -> Rule {
    Rule::Record { record: record.name, expr: expression::plain(record.expr, &[], "", options) }
}

fn alerting(alert: &'static AlertDef, theme: &Theme, options: &Options) -> Rule {
    let lang = options.lang;
    let form = Form::Template { alert, options };
    let (scope, troubleshooting, documentation) = documented(alert, lang);
    let mut labels = BTreeMap::from([("severity".to_owned(), severity(alert, options))]);
    labels.extend(options.labels.clone());
    Rule::Alert {
        alert: alert.name,
        expr: expression::of(alert, options),
        hold: alert.hold,
        labels,
        annotations: Box::new(Annotations {
            summary: text::write(alert.summary.get(lang), &form),
            description: text::of_value(alert.description, &form, text::SILENT),
            next_steps: text::of_value(alert.next_steps, &form, text::SILENT_STEPS),
            troubleshooting,
            note: note(alert, lang),
            scope,
            runbook_url: runbook_url(alert, options),
            documentation,
            dashboard_url: dashboard_url(theme, options),
            status_url: options
                .status_url
                .as_ref()
                .map_or_else(String::new, |url| url.replace("{instance}", "{{ $labels.instance }}")),
        }),
    }
}

/// The annotations `scope`, `troubleshooting` and `documentation`.
fn documented(alert: &AlertDef, lang: Lang) -> (String, String, String) {
    match alert.subject {
        Subject::Module(module) => (
            module.scope.get(lang).to_owned(),
            module.troubleshooting.get(lang).to_owned(),
            addresses(module.links, lang),
        ),
        Subject::AnyModule => (
            by_module(|module| Some(module.scope.get(lang).to_owned()), OTHER_SCOPE.get(lang)),
            format!(
                "{}\n{}",
                alert.advice.get(lang),
                by_module(|module| Some(module.troubleshooting.get(lang).to_owned()), OTHER_TROUBLESHOOTING.get(lang))
            ),
            by_module(
                |module| (!module.links.is_empty()).then(|| addresses(module.links, lang)),
                &addresses(&[], lang),
            ),
        ),
        Subject::Own { scope, page } => {
            (scope.get(lang).to_owned(), alert.advice.get(lang).to_owned(), url(page, lang))
        }
    }
}

/// The note beside a documented text that misleads.
fn note(alert: &AlertDef, lang: Lang) -> String {
    let of = |module: &Module| advice::of(module.name).map_or("", |advice| advice.note.get(lang)).to_owned();
    match alert.subject {
        Subject::Module(module) => of(module),
        Subject::AnyModule => by_module(|module| Some(of(module)).filter(|note| !note.is_empty()), ""),
        Subject::Own { .. } => String::new(),
    }
}

/// The label `severity`: the alert's own, or what the last matcher that fits says. Labels that are known only when the
/// alert fires make it a template.
fn severity(alert: &AlertDef, options: &Options) -> String {
    let mut text = alert.severity.label().to_owned();
    for (matcher, level) in &options.severities {
        let level = Severity::label(*level);
        match matcher.fits("alertname", alert.name) {
            Some(true) => level.clone_into(&mut text),
            Some(false) => {}
            None => text = format!("{{{{ if {} }}}}{level}{{{{ else }}}}{text}{{{{ end }}}}", matcher.condition()),
        }
    }
    text
}

/// The address of an alert's page.
fn runbook_url(alert: &AlertDef, options: &Options) -> String {
    match &options.runbooks {
        Runbooks::Documentation => url(RUNBOOK, options.lang),
        Runbooks::At(base) => format!("{}/{}/{}.md", base.trim_end_matches('/'), options.lang.tag(), alert.name),
    }
}

fn dashboard_url(theme: &Theme, options: &Options) -> String {
    options.grafana_url.as_ref().map_or_else(String::new, |base| {
        let (dashboard, panel) = theme.panel;
        let base = base.trim_end_matches('/');
        format!("{base}/d/{dashboard}?viewPanel={panel}&var-instance={{{{ $labels.instance | urlquery }}}}")
    })
}

fn addresses(links: &[Link], lang: Lang) -> String {
    if links.is_empty() {
        return url(LOG_FILES, lang);
    }
    links.iter().map(|link| url(link.page, lang)).collect::<Vec<_>>().join(" ")
}

/// A template that gives the text of the module that the alert's label names, and `other` for one that has none. The
/// children of a module have its text.
///
/// The markers `{{-` and `-}}` take the line breaks out again: a receiver gets the text alone.
fn by_module(text: impl Fn(&Module) -> Option<String>, other: &str) -> String {
    let mut template = String::new();
    for module in MODULES {
        if let Some(text) = text(module) {
            let open = if template.is_empty() { "{{ if" } else { "{{- else if" };
            let names = std::iter::once(&module.name).chain(module.children);
            let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
            template.push_str(&format!("{open} eq $labels.module {} -}}}}\n{text}\n", names.join(" ")));
        }
    }
    template + &format!("{{{{- else -}}}}\n{other}\n{{{{- end }}}}")
}

/// A text of the catalog on a page: with names where a notification has values.
#[must_use]
pub fn page_text(text: Text, lang: Lang) -> String {
    text::write(text.get(lang), &Form::Page { lang })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_every_module_once_and_ends() {
        let template = by_module(|module| Some(format!("<{}>", module.name)), "<other>");
        for module in MODULES {
            assert_eq!(template.matches(&format!(" -}}}}\n<{0}>\n", module.name)).count(), 1, "{template}");
            assert!(template.contains(&format!("eq $labels.module \"{}\"", module.name)), "{template}");
        }
        assert!(template.starts_with("{{ if eq $labels.module ") && template.ends_with("<other>\n{{- end }}"));
    }

    #[test]
    fn a_severity_can_be_changed_by_alert_and_by_label() {
        let alert = THEMES.iter().flat_map(|theme| theme.alerts).find(|alert| alert.name == "CampaignMtaDown").unwrap();
        let with = |flags: &[&str]| {
            let severities = flags.iter().map(|flag| options::severity(flag).unwrap()).collect();
            severity(alert, &Options { severities, ..Options::default() })
        };
        assert_eq!(with(&[]), "critical");
        assert_eq!(with(&["alertname=\"CampaignMtaDown\"=info", "alertname=~\"CampaignWeb.*\"=warning"]), "info");
        let template = with(&["campaign_instance=\"dev\"=info"]);
        assert_eq!(template, "{{ if eq $labels.campaign_instance \"dev\" }}info{{ else }}critical{{ end }}");
    }
}
