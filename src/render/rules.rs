//! The catalog as a file of alert rules for Prometheus.
//!
//! Knows the shape of a rule file and Prometheus's templates; what is worth an alert is for the catalog.

use serde::Serialize;

use crate::catalog::modules::{LOG_FILES, MODULES, OTHER_SCOPE, OTHER_TROUBLESHOOTING, RUNBOOK, url};
use crate::catalog::signals::THEMES;
use crate::catalog::{AlertDef, Lang, Link, Module, Subject};

/// The scrape job that the rules speak of unless another is named.
pub const DEFAULT_JOB: &str = "campaign";

/// A rule file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the rules can't be written as YAML: {0}")]
pub struct RenderError(#[from] serde_saphyr::ser::Error);

/// A rule file, as Prometheus reads it.
#[derive(Serialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    name: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
struct Rule {
    alert: &'static str,
    expr: String,
    #[serde(rename = "for", skip_serializing_if = "str::is_empty")]
    hold: &'static str,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Serialize)]
struct Labels {
    severity: &'static str,
}

#[derive(Serialize)]
struct Annotations {
    summary: &'static str,
    description: &'static str,
    scope: String,
    troubleshooting: String,
    runbook_url: String,
    /// The pages that the troubleshooting refers to, separated by blanks; where it refers to none, the page about the
    /// log files.
    documentation: String,
}

/// The rule file in `lang`, for an exporter that Prometheus scrapes as `job`.
///
/// # Errors
/// When the YAML serialiser refuses a text, which no text of the catalog makes it do.
pub fn render(lang: Lang, job: &str) -> Result<String, RenderError> {
    let groups = THEMES
        .iter()
        .filter(|theme| !theme.alerts.is_empty())
        .map(|theme| Group {
            name: theme.group,
            rules: theme.alerts.iter().map(|alert| rule(alert, lang, job)).collect(),
        })
        .collect();
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 110 };
    let yaml = serde_saphyr::to_string_with_options(&RuleFile { groups }, options)?;
    let tag = lang.tag();
    Ok(format!(
        "# Alert rules for Adobe Campaign Classic v7, to be named in Prometheus's rule_files.\n\
         # Written by `campaign_exporter rules --lang {tag}`: what is changed here by hand is lost with the next release.\n\
         {yaml}"
    ))
}

fn rule(alert: &AlertDef, lang: Lang, job: &str) -> Rule {
    let (scope, troubleshooting, documentation) = match alert.subject {
        Subject::Module(module) => (
            module.scope.get(lang).to_owned(),
            module.troubleshooting.get(lang).to_owned(),
            addresses(module.links, lang),
        ),
        Subject::AnyModule => (
            by_module(|module| Some(module.scope.get(lang).to_owned()), OTHER_SCOPE.get(lang)),
            by_module(|module| Some(module.troubleshooting.get(lang).to_owned()), OTHER_TROUBLESHOOTING.get(lang)),
            by_module(
                |module| (!module.links.is_empty()).then(|| addresses(module.links, lang)),
                &addresses(&[], lang),
            ),
        ),
        Subject::Own { scope, troubleshooting, page } => {
            (scope.get(lang).to_owned(), troubleshooting.get(lang).to_owned(), url(page, lang))
        }
    };
    Rule {
        alert: alert.name,
        expr: expression(alert.expr, job),
        hold: alert.hold,
        labels: Labels { severity: alert.severity.label() },
        annotations: Annotations {
            summary: alert.summary.get(lang),
            description: alert.description.get(lang),
            scope,
            troubleshooting,
            runbook_url: url(RUNBOOK, lang),
            documentation,
        },
    }
}

/// `expr` with the matcher of `job` where it says `{job}`.
#[must_use]
pub fn expression(expr: &str, job: &str) -> String {
    let job = job.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    expr.replace("{job}", &format!("{{job=\"{job}\"}}"))
}

fn addresses(links: &[Link], lang: Lang) -> String {
    if links.is_empty() {
        return url(LOG_FILES, lang);
    }
    links.iter().map(|link| url(link.page, lang)).collect::<Vec<_>>().join(" ")
}

/// A template that gives the text of the module that the alert's label names, and `other` for one that has none.
///
/// The markers `{{-` and `-}}` take the line breaks out again: a receiver gets the text and nothing else.
fn by_module(text: impl Fn(&Module) -> Option<String>, other: &str) -> String {
    let mut template = String::new();
    for module in MODULES {
        if let Some(text) = text(module) {
            let (open, name) = (if template.is_empty() { "{{ if" } else { "{{- else if" }, module.name);
            template.push_str(&format!("{open} eq $labels.module \"{name}\" -}}}}\n{text}\n"));
        }
    }
    template + &format!("{{{{- else -}}}}\n{other}\n{{{{- end }}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_matched_exactly() {
        assert_eq!(expression("up{job} == 0", "campaign"), "up{job=\"campaign\"} == 0");
        assert_eq!(expression("absent(up{job})", "a\"b\\c"), r#"absent(up{job="a\"b\\c"})"#);
    }

    #[test]
    fn a_template_names_every_module_once_and_ends() {
        let template = by_module(|module| Some(format!("<{}>", module.name)), "<other>");
        for module in MODULES {
            assert_eq!(template.matches(&format!("\"{0}\" -}}}}\n<{0}>\n", module.name)).count(), 1, "{template}");
        }
        assert!(template.starts_with("{{ if eq $labels.module ") && template.ends_with("<other>\n{{- end }}"));
    }
}
