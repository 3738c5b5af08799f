//! The alert rules: what the catalog promises about them, the committed files, and what promtool says of both.

use std::collections::{BTreeMap, BTreeSet};

use campaign_exporter::catalog::modules::{self, MODULES, OTHER_SCOPE, OTHER_TROUBLESHOOTING, url};
use campaign_exporter::catalog::signals::{alerts, modules::RUNNING};
use campaign_exporter::catalog::{Lang, Subject};
use campaign_exporter::render::rules::{DEFAULT_JOB, expression, render};
use serde::Deserialize;

use crate::committed::{assert_generated, project, read};
use crate::promql::{assert_documented, assert_passes, mentions, promtool};

#[derive(Debug, Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(default, rename = "for")]
    hold: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn rule_file(lang: Lang) -> String {
    format!("alerts/{}/campaign.rules.yml", lang.tag())
}

fn rules(lang: Lang) -> BTreeMap<String, Rule> {
    let file: RuleFile = serde_saphyr::from_str(&render(lang, DEFAULT_JOB).unwrap()).unwrap();
    file.groups.into_iter().flat_map(|group| group.rules).map(|rule| (rule.alert.clone(), rule)).collect()
}

/// A file of unit tests for promtool, as far as it tells which alerts it expects.
#[derive(Debug, Deserialize)]
struct TestFile {
    rule_files: Vec<String>,
    tests: Vec<UnitTest>,
}

#[derive(Debug, Deserialize)]
struct UnitTest {
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<ExpressionTest>,
}

#[derive(Debug, Deserialize)]
struct AlertTest {
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Debug, Deserialize)]
struct ExpectedAlert {
    exp_annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct ExpressionTest {
    expr: String,
    #[serde(default)]
    exp_samples: Vec<ExpectedSample>,
}

#[derive(Debug, Deserialize)]
struct ExpectedSample {
    labels: String,
}

/// The language that a file of unit tests is of: those named `texts.….<language>` hold what alerts say, the others when.
fn language(name: &str) -> Option<Lang> {
    let ending = |lang: &Lang| name.ends_with(&format!(".{}.test.yml", lang.tag()));
    Lang::ALL.into_iter().find(ending).filter(|_| name.starts_with("texts."))
}

/// Every file of unit tests: its name and its text.
fn test_files() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(project("alerts/tests")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".test.yml")).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&format!("alerts/tests/{name}")))).collect()
}

#[test]
fn the_english_rules_are_current() {
    assert_generated(&rule_file(Lang::En), &render(Lang::En, DEFAULT_JOB).unwrap());
}

#[test]
fn the_portuguese_rules_are_current() {
    assert_generated(&rule_file(Lang::PtBr), &render(Lang::PtBr, DEFAULT_JOB).unwrap());
}

#[test]
fn prometheus_accepts_the_rules() {
    for lang in Lang::ALL {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yml"), render(lang, DEFAULT_JOB).unwrap()).unwrap();
        let output = promtool(&["check", "rules", "rules.yml"], folder.path());
        assert_passes(&output, lang.tag());
        let expected = format!("SUCCESS: {} rules found", alerts().count());
        assert!(String::from_utf8_lossy(&output.stdout).contains(&expected), "{expected}");
    }
}

/// Runs a file of unit tests against the rules in `lang`.
fn assert_unit_tests_pass(name: &str, text: &str, lang: Lang) {
    let file: TestFile = serde_saphyr::from_str(text).unwrap();
    assert_eq!(file.rule_files.len(), 1, "{name}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), render(lang, DEFAULT_JOB).unwrap()).unwrap();
    std::fs::write(folder.path().join(name), text.replacen(&file.rule_files[0], "rules.yml", 1)).unwrap();
    let output = promtool(&["test", "rules", name], folder.path());
    assert_passes(&output, &format!("alerts/tests/{name} with the rules in {}", lang.tag()));
}

#[test]
fn the_alerts_fire_when_they_should_and_not_otherwise() {
    let files = test_files();
    // Expressions are the same in every language, as another test holds: only the texts are tested in each.
    std::thread::scope(|scope| {
        for (name, text) in &files {
            // promtool takes seconds a file and uses one core.
            scope.spawn(move || assert_unit_tests_pass(name, text, language(name).unwrap_or(Lang::En)));
        }
    });
    assert!(files.iter().any(|(name, _)| language(name).is_none()), "no file tells when alerts fire");
}

#[test]
fn no_alert_lacks_a_unit_test() {
    let mut fires = BTreeSet::new();
    let mut keeps_quiet = BTreeSet::new();
    let mut says: BTreeSet<(&str, String)> = BTreeSet::new();
    for (name, text) in test_files() {
        let file: TestFile = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for test in file.tests {
            for alert in test.alert_rule_test {
                if alert.exp_alerts.is_empty() {
                    keeps_quiet.insert(alert.alertname);
                } else if alert.exp_alerts.iter().all(|alert| alert.exp_annotations.contains_key("troubleshooting")) {
                    let language = language(&name).unwrap_or_else(|| panic!("{name} has the text of an alert"));
                    says.insert((language.tag(), alert.alertname));
                }
            }
            for expression in test.promql_expr_test {
                for sample in &expression.exp_samples {
                    // Either the sample names the alert, or the expression asks for that alert alone.
                    let named = format!("{}{}", sample.labels, expression.expr);
                    let name = named.split("alertname=\"").nth(1).and_then(|rest| rest.split('"').next());
                    fires.extend(name.map(str::to_owned));
                }
            }
        }
    }
    for alert in alerts() {
        assert!(fires.contains(alert.name), "no unit test in alerts/tests sees {} fire", alert.name);
        assert!(keeps_quiet.contains(alert.name), "no unit test in alerts/tests sees {} keep quiet", alert.name);
        for lang in Lang::ALL {
            let said = says.contains(&(lang.tag(), alert.name.to_owned()));
            assert!(said, "no unit test in alerts/tests holds what {} says in {}", alert.name, lang.tag());
        }
    }
    let known: BTreeSet<_> = alerts().map(|alert| alert.name).collect();
    for name in fires.iter().chain(&keeps_quiet).chain(says.iter().map(|(_, alert)| alert)) {
        assert!(known.contains(name.as_str()), "alerts/tests has a test of {name}, which is no alert");
    }
}

#[test]
fn what_is_rendered_is_what_the_catalog_says() {
    for lang in Lang::ALL {
        let rendered = rules(lang);
        assert_eq!(rendered.len(), alerts().count());
        for alert in alerts() {
            let rule = &rendered[alert.name];
            assert_eq!(rule.expr, expression(alert.expr, DEFAULT_JOB), "{}", alert.name);
            assert_eq!(rule.hold, alert.hold, "{}", alert.name);
            assert_eq!(rule.labels, BTreeMap::from([("severity".to_owned(), alert.severity.label().to_owned())]));
            let annotation = |name: &str| rule.annotations.get(name).map(String::as_str);
            assert_eq!(annotation("summary"), Some(alert.summary.get(lang)));
            assert_eq!(annotation("description"), Some(alert.description.get(lang)));
            assert_eq!(annotation("runbook_url"), Some(url(modules::RUNBOOK, lang).as_str()));
            match alert.subject {
                Subject::Module(module) => {
                    assert_eq!(annotation("scope"), Some(module.scope.get(lang)));
                    assert_eq!(annotation("troubleshooting"), Some(module.troubleshooting.get(lang)));
                    for link in module.links {
                        assert!(annotation("documentation").unwrap().contains(&url(link.page, lang)));
                    }
                }
                Subject::AnyModule => {
                    let texts = MODULES.iter().map(|module| (module.scope, module.troubleshooting));
                    for (scope, troubleshooting) in texts.chain([(OTHER_SCOPE, OTHER_TROUBLESHOOTING)]) {
                        let has = |name, text| annotation(name).unwrap().lines().any(|line| line == text);
                        assert!(has("scope", scope.get(lang)), "{}", alert.name);
                        assert!(has("troubleshooting", troubleshooting.get(lang)), "{}", alert.name);
                    }
                }
                Subject::Own { scope, troubleshooting, page } => {
                    assert_eq!(annotation("scope"), Some(scope.get(lang)));
                    assert_eq!(annotation("troubleshooting"), Some(troubleshooting.get(lang)));
                    assert_eq!(annotation("documentation"), Some(url(page, lang).as_str()));
                }
            }
        }
    }
}

#[test]
fn the_rules_speak_of_the_job_that_they_are_rendered_for() {
    let text = render(Lang::En, "campanha \"v7\"").unwrap();
    let file: RuleFile = serde_saphyr::from_str(&text).unwrap();
    let mut rules = file.groups.iter().flat_map(|group| &group.rules);
    let down = rules.find(|rule| rule.alert == "CampaignExporterDown").unwrap();
    assert_eq!(down.expr, r#"up{job="campanha \"v7\""} == 0"#);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), text).unwrap();
    assert_passes(&promtool(&["check", "rules", "rules.yml"], folder.path()), "another job");
}

#[test]
fn expressions_speak_of_documented_metrics_labels_and_checks() {
    for alert in alerts() {
        let known = assert_documented(alert.name, &expression(alert.expr, DEFAULT_JOB));
        for lang in Lang::ALL {
            for piece in alert.description.get(lang).split("$labels.").skip(1) {
                let label = piece.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                assert!(known.contains(label), "{}: the description names {label}", alert.name);
            }
        }
    }
}

#[test]
fn no_resident_module_can_be_down_in_silence() {
    let mut rest = Vec::new();
    let mut own = BTreeSet::new();
    for alert in alerts() {
        for (_, matchers) in mentions(&expression(alert.expr, DEFAULT_JOB)).selectors {
            let value = |label: &str| matchers.iter().find(|(name, _)| name == label).map(|(_, value)| value.clone());
            // Without a module, it asks whether anything can be told of processes at all.
            let Some(judged) = value("module").filter(|_| value("check").as_deref() == Some(RUNNING.name)) else {
                continue;
            };
            match alert.subject {
                Subject::Module(module) => {
                    assert_eq!(judged, module.name, "{}", alert.name);
                    own.insert((alert.name, module.name));
                }
                _ => rest.push(judged),
            }
        }
    }
    let named: Vec<_> = own.into_iter().map(|(_, module)| module).collect();
    let residents: Vec<_> = MODULES.iter().filter(|m| m.kind.is_resident()).map(|module| module.name).collect();
    assert_eq!(BTreeSet::from_iter(&named), BTreeSet::from_iter(&residents), "one alert a module");
    assert_eq!(named.len(), residents.len(), "one alert a module");
    assert!(!rest.is_empty());
    for left_out in rest {
        assert_eq!(left_out, residents.join("|"), "the rule for all others leaves out those that have their own");
    }
}
