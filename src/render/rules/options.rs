//! The options of the command `rules`, and the syntax of its flags.

use std::collections::BTreeMap;

use crate::catalog::Lang;
use crate::catalog::alerts::{Severity, THRESHOLDS};
use crate::catalog::signals::{THEMES, alerts};

/// Where the runbook pages are unless `--runbooks` says otherwise: where the packages put them on every Campaign host.
pub const RUNBOOKS: &str = "file:///usr/share/doc/campaign-exporter/runbooks";

/// Where `runbook_url` leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runbooks {
    /// To our own pages, below this address.
    At(String),
    /// To the product's documentation.
    Documentation,
}

/// What the rules are rendered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The language of the texts.
    pub lang: Lang,
    /// The `job` under which Prometheus scrapes the exporters.
    pub job: String,
    /// Matchers that every selector gets.
    pub selector: Vec<Matcher>,
    /// The label that names the cluster, where there are several.
    pub cluster_label: Option<String>,
    /// Severities that differ from the catalog's, the last that fits wins.
    pub severities: Vec<(Matcher, Severity)>,
    /// Labels that every alert gets.
    pub labels: BTreeMap<String, String>,
    /// Thresholds that differ from the catalog's.
    pub thresholds: BTreeMap<String, String>,
    /// Groups and alerts that are left out.
    pub without: Vec<String>,
    /// Where `runbook_url` leads.
    pub runbooks: Runbooks,
    /// The address of Grafana, for `dashboard_url`.
    pub grafana_url: Option<String>,
    /// The address of a host's own page, with `{instance}` in it, for `status_url`.
    pub status_url: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lang: Lang::En,
            job: super::DEFAULT_JOB.to_owned(),
            selector: Vec::new(),
            cluster_label: None,
            severities: Vec::new(),
            labels: BTreeMap::new(),
            thresholds: BTreeMap::new(),
            without: Vec::new(),
            runbooks: Runbooks::At(RUNBOOKS.to_owned()),
            grafana_url: None,
            status_url: None,
        }
    }
}

/// A matcher of a label, as PromQL writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// The label.
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub operator: &'static str,
    /// The value, as it is meant.
    pub value: String,
}

impl Matcher {
    /// Whether a label `label` with `value` matches; `None` when this is about another label. Of regular expressions,
    /// `.*`, `.+` and `|` between plain words are understood: enough for names of alerts.
    pub(super) fn fits(&self, label: &str, value: &str) -> Option<bool> {
        if self.label != label {
            return None;
        }
        let is_one = |pattern: &str| match pattern.split_once(".*") {
            Some((start, end)) => value.starts_with(start) && value.ends_with(end),
            None => value == pattern,
        };
        Some(match self.operator {
            "=" => value == self.value,
            "!=" => value != self.value,
            "=~" => self.value.split('|').any(is_one),
            _ => !self.value.split('|').any(is_one),
        })
    }

    /// The condition of a template.
    pub(super) fn condition(&self) -> String {
        let label = &self.label;
        let quoted = |text: &str| format!("\"{}\"", escaped(text));
        match self.operator {
            "=" => format!("eq $labels.{label} {}", quoted(&self.value)),
            "!=" => format!("ne $labels.{label} {}", quoted(&self.value)),
            "=~" => format!("match {} $labels.{label}", quoted(&format!("^(?:{})$", self.value))),
            _ => format!("not (match {} $labels.{label})", quoted(&format!("^(?:{})$", self.value))),
        }
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}\"{}\"", self.label, self.operator, escaped(&self.value))
    }
}

/// `text` within a quoted string of PromQL or of a template.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// One matcher at the start of `text`, and the rest.
fn matcher(text: &str) -> Result<(Matcher, &str), String> {
    let wrong = || format!("write matchers as PromQL does, as in job=~\"a|b\": {text:?} is not a matcher");
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').ok_or_else(wrong)?;
    let (label, rest) = text.split_at(end);
    let operator = ["=~", "!~", "!=", "="].into_iter().find(|operator| rest.starts_with(operator)).ok_or_else(wrong)?;
    let mut inside = rest[operator.len()..].strip_prefix('"').ok_or_else(wrong)?.char_indices();
    let mut value = String::new();
    loop {
        match inside.next() {
            Some((_, '\\')) => value.push(inside.next().ok_or_else(wrong)?.1),
            Some((at, '"')) => {
                let rest = &rest[operator.len() + 1 + at + 1..];
                let is_label = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                return if is_label {
                    Ok((Matcher { label: label.to_owned(), operator, value }, rest))
                } else {
                    Err(wrong())
                };
            }
            Some((_, c)) => value.push(c),
            None => return Err(wrong()),
        }
    }
}

/// `--selector`: matchers, separated by commas, with or without braces.
///
/// # Errors
/// What is wrong, for a person.
pub fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}').trim();
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (matcher, after) = matcher(rest)?;
        matchers.push(matcher);
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',').ok_or_else(|| format!("a comma is missing before {rest:?}"))?.trim_start();
        }
    }
    if matchers.is_empty() { Err("write at least one matcher, as in env=\"prod\"".into()) } else { Ok(matchers) }
}

/// `--severity`: a matcher, `=`, and the level.
///
/// # Errors
/// What is wrong, for a person.
pub fn severity(text: &str) -> Result<(Matcher, Severity), String> {
    let (matcher, rest) = matcher(text)?;
    let level = Severity::ALL.into_iter().find(|level| rest.strip_prefix('=') == Some(level.label()));
    level.map(|level| (matcher, level)).ok_or_else(|| "write MATCHER=LEVEL, with critical, warning or info".into())
}

/// `--label`: `name=value`.
///
/// # Errors
/// What is wrong, for a person.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if label_name(name).is_ok() && name != "severity" && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE, as in team=crm; for the label severity there is --severity".into()),
    }
}

/// `--cluster-label`: a label name.
///
/// # Errors
/// What is wrong, for a person.
pub fn label_name(text: &str) -> Result<String, String> {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(text.to_owned())
    } else {
        Err("write the name of a label, as in cluster".into())
    }
}

/// `--threshold`: the name of a threshold and a number.
///
/// # Errors
/// What is wrong, for a person: it names those that there are.
pub fn threshold(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else { return Err("write NAME=VALUE, as in restarts=5".into()) };
    if !THRESHOLDS.iter().any(|threshold| threshold.name == name) {
        let names: Vec<_> = THRESHOLDS.iter().map(|threshold| threshold.name).collect();
        return Err(format!("there is no threshold {name:?}; there are {}", names.join(", ")));
    }
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{value:?} is not a number of 0 or more")),
    }
}

/// `--without`: the name of a group or an alert.
///
/// # Errors
/// What is wrong, for a person.
pub fn without(text: &str) -> Result<String, String> {
    let is_group = THEMES.iter().any(|theme| theme.group == text);
    if is_group || alerts().any(|alert| alert.name == text) {
        return Ok(text.to_owned());
    }
    let groups: Vec<_> = THEMES.iter().map(|theme| theme.group).collect();
    Err(format!("there is no alert and no group {text:?}; the groups are {}", groups.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read_as_promql_writes_them() {
        let read = selector(r#"{job=~"a|b", env!="t\"e"}"#).unwrap();
        assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), [r#"job=~"a|b""#, r#"env!="t\"e""#]);
        for wrong in ["", "job", "job=a", "job=\"a", "=\"a\"", "1a=\"b\"", "a=\"b\" c=\"d\""] {
            assert!(selector(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_with_nonsense_are_refused_and_say_what_there_is() {
        assert!(severity("module=\"stat\"=loud").is_err());
        assert!(label("severity=x").is_err() && label("=x").is_err() && label("team=crm").is_ok());
        assert!(threshold("nothing=1").unwrap_err().contains("restarts"));
        assert!(threshold("restarts=-1").is_err() && threshold("restarts=NaN").is_err());
        assert!(without("campaign_logs").is_ok() && without("CampaignMtaDown").is_ok() && without("x").is_err());
    }

    #[test]
    fn a_condition_matches_the_whole_label() {
        let (matcher, _) = severity("campaign_instance=~\"dev|test.*\"=info").unwrap();
        assert_eq!(matcher.condition(), "match \"^(?:dev|test.*)$\" $labels.campaign_instance");
        assert_eq!(matcher.fits("alertname", "x"), None);
    }
}
