//! The alert rules: what the catalog promises about them, the committed files, and what promtool says of both.

use std::collections::{BTreeMap, BTreeSet};

use campaign_exporter::catalog::alerts::INHIBITIONS;
use campaign_exporter::catalog::modules::{MODULES, OTHER_SCOPE, OTHER_TROUBLESHOOTING, url};
use campaign_exporter::catalog::signals::{THEMES, alerts, modules::RUNNING};
use campaign_exporter::catalog::{Lang, Severity, Subject};
use campaign_exporter::render::rules::expression::plain;
use campaign_exporter::render::rules::options::Options;
use campaign_exporter::render::rules::render;
use serde::Deserialize;

use crate::committed::assert_generated;
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
    #[serde(default)]
    record: String,
    #[serde(default)]
    alert: String,
    expr: String,
    #[serde(default, rename = "for")]
    hold: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn in_language(lang: Lang) -> Options {
    Options { lang, ..Options::default() }
}

fn rule_file(lang: Lang) -> String {
    format!("alerts/{}/campaign.rules.yml", lang.tag())
}

fn rules(lang: Lang) -> BTreeMap<String, Rule> {
    let file: RuleFile = serde_saphyr::from_str(&render(&in_language(lang)).unwrap()).unwrap();
    file.groups
        .into_iter()
        .flat_map(|group| group.rules)
        .filter(|rule| rule.record.is_empty())
        .map(|rule| (rule.alert.clone(), rule))
        .collect()
}

#[test]
fn the_english_rules_are_current() {
    assert_generated(&rule_file(Lang::En), &render(&in_language(Lang::En)).unwrap());
}

#[test]
fn the_portuguese_rules_are_current() {
    assert_generated(&rule_file(Lang::PtBr), &render(&in_language(Lang::PtBr)).unwrap());
}

#[test]
fn prometheus_accepts_the_rules() {
    for lang in Lang::ALL {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yml"), render(&in_language(lang)).unwrap()).unwrap();
        let output = promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], folder.path());
        assert_passes(&output, lang.tag());
        let records = THEMES.iter().map(|theme| theme.records.len()).sum::<usize>();
        let expected = format!("SUCCESS: {} rules found", alerts().count() + records);
        assert!(String::from_utf8_lossy(&output.stdout).contains(&expected), "{expected}");
    }
}

#[test]
fn documented_texts_stand_word_for_word() {
    for lang in Lang::ALL {
        let rendered = rules(lang);
        assert_eq!(rendered.len(), alerts().count());
        for alert in alerts() {
            let rule = &rendered[alert.name];
            assert_eq!(rule.hold, alert.hold, "{}", alert.name);
            assert_eq!(rule.labels, BTreeMap::from([("severity".to_owned(), alert.severity.label().to_owned())]));
            let annotation = |name: &str| rule.annotations.get(name).map_or("", String::as_str);
            let page = format!("{}/{}.md", lang.tag(), alert.name);
            assert!(annotation("runbook_url").ends_with(&page), "{}", alert.name);
            match alert.subject {
                Subject::Module(module) => {
                    assert_eq!(annotation("scope"), module.scope.get(lang));
                    assert_eq!(annotation("troubleshooting"), module.troubleshooting.get(lang));
                    for link in module.links {
                        assert!(annotation("documentation").contains(&url(link.page, lang)));
                    }
                }
                Subject::AnyModule => {
                    let advice = annotation("troubleshooting").starts_with(alert.advice.get(lang));
                    assert!(advice, "{}: its own advice comes first", alert.name);
                    let texts = MODULES.iter().map(|module| (module.scope, module.troubleshooting));
                    for (scope, troubleshooting) in texts.chain([(OTHER_SCOPE, OTHER_TROUBLESHOOTING)]) {
                        let has = |name, text| annotation(name).lines().any(|line| line == text);
                        assert!(has("scope", scope.get(lang)), "{}", alert.name);
                        assert!(has("troubleshooting", troubleshooting.get(lang)), "{}", alert.name);
                    }
                }
                Subject::Own { scope, page } => {
                    assert_eq!(annotation("scope"), scope.get(lang));
                    assert_eq!(annotation("troubleshooting"), alert.advice.get(lang));
                    assert_eq!(annotation("documentation"), url(page, lang));
                }
            }
        }
    }
}

/// A text's placeholders, without those that only one language may need.
fn placeholders(text: &str) -> BTreeSet<&str> {
    let pieces = text.split('{').skip(1).filter_map(|piece| piece.split_once('}'));
    pieces.map(|(inside, _)| inside.split("|or:").next().unwrap()).collect()
}

#[test]
fn both_languages_tell_the_same_values() {
    for alert in alerts() {
        for text in [alert.summary, alert.description, alert.next_steps] {
            assert_ne!(text.en, "", "{}", alert.name);
            assert_eq!(placeholders(text.en), placeholders(text.pt_br), "{}", alert.name);
        }
    }
}

#[test]
fn templates_name_only_labels_that_the_alert_has() {
    for alert in alerts() {
        let known = ["host", "parent", "value", "job"].iter().copied().chain(alert.labels.iter().copied());
        let known: BTreeSet<_> = known.collect();
        for text in [alert.summary, alert.description, alert.next_steps] {
            for inside in placeholders(text.en) {
                let name = inside.split('|').next().unwrap();
                let is_label = !name.contains(':') && !name.contains(['=', '"']);
                assert!(!is_label || known.contains(name), "{}: {{{inside}}}", alert.name);
            }
        }
    }
}

#[test]
fn at_most_a_dozen_alerts_are_critical() {
    let critical = alerts().filter(|alert| alert.severity == Severity::Critical).count();
    assert!((1..=12).contains(&critical), "{critical}");
}

/// The length of a duration in seconds.
fn seconds(duration: &str) -> u64 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    number.parse::<u64>().unwrap() * BTreeMap::from([("s", 1), ("m", 60), ("h", 3600), ("d", 86400)])[unit]
}

/// A scrape each two minutes: a single bad sample lasts two minutes, and a range needs two samples.
#[test]
fn ranges_and_waiting_times_suit_scrapes_each_two_minutes() {
    for alert in alerts() {
        assert!(alert.hold.is_empty() || seconds(alert.hold) >= 120, "{}: {}", alert.name, alert.hold);
        for range in alert.expr.split('[').skip(1).filter_map(|piece| piece.split(']').next()) {
            assert!(seconds(range) >= 300, "{}: [{range}]", alert.name);
        }
    }
}

#[test]
fn every_inhibition_speaks_of_alerts_that_there_are() {
    let known: BTreeSet<_> = alerts().map(|alert| alert.name).collect();
    for inhibition in INHIBITIONS {
        for name in inhibition.sources.iter().chain(inhibition.targets) {
            assert!(known.contains(name), "{name}");
        }
        assert!(inhibition.sources.iter().all(|source| !inhibition.targets.contains(source)));
    }
}

#[test]
fn the_rules_speak_of_the_job_that_they_are_rendered_for() {
    let text = render(&Options { job: "campanha \"v7|8\"".to_owned(), ..Options::default() }).unwrap();
    let file: RuleFile = serde_saphyr::from_str(&text).unwrap();
    let mut rules = file.groups.iter().flat_map(|group| &group.rules);
    let down = rules.find(|rule| rule.alert == "CampaignExporterDown").unwrap();
    assert_eq!(down.expr, r#"up{job="campanha \"v7|8\""} == 0"#);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), text).unwrap();
    assert_passes(&promtool(&["check", "rules", "rules.yml"], folder.path()), "another job");
}

#[test]
fn expressions_speak_of_documented_metrics_labels_and_checks() {
    for alert in alerts() {
        for expr in [alert.expr, alert.told].into_iter().filter(|expr| !expr.is_empty()) {
            assert_documented(alert.name, &plain(expr, alert.labels, alert.name, &Options::default()));
        }
    }
    for record in THEMES.iter().flat_map(|theme| theme.records) {
        assert_documented(record.name, &plain(record.expr, &[], "", &Options::default()));
    }
}

#[test]
fn no_resident_module_can_be_down_in_silence() {
    let mut rest = Vec::new();
    let mut own = BTreeSet::new();
    for alert in alerts() {
        if alert.told.is_empty() {
            continue;
        }
        let told = plain(alert.told, alert.labels, alert.name, &Options::default());
        for (_, matchers) in mentions(&told).selectors {
            let value = |label: &str| matchers.iter().find(|(name, _)| name == label).map(|(_, value)| value.clone());
            // Without a module, it asks whether anything is known of processes.
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
