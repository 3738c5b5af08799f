//! The kit for Alertmanager: real amtool reads it, and renders every alert with every template within the receivers'
//! limits.

use std::fs;
use std::path::Path;
use std::process::Command;

use campaign_exporter::catalog::Lang;
use campaign_exporter::catalog::signals::alerts;
use campaign_exporter::render::alertmanager::{configuration, templates};
use serde_json::{Value, json};

use crate::committed::{assert_generated, project};
use crate::promql::assert_passes;
use crate::scenarios::{Rendered, rendered};

fn template_file(lang: Lang) -> String {
    format!("alerts/alertmanager/campaign.{}.tmpl", lang.tag())
}

#[test]
fn the_kit_is_current() {
    assert_generated("alerts/alertmanager/alertmanager.yml", &configuration());
    for lang in Lang::ALL {
        assert_generated(&template_file(lang), &templates(lang));
    }
}

#[test]
fn alertmanager_accepts_the_configuration_in_both_languages() {
    for lang in Lang::ALL {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("campaign.{}.tmpl", lang.tag());
        fs::write(folder.path().join(&name), templates(lang)).unwrap();
        let text = configuration().replace("  - campaign.en.tmpl", &format!("  - {name}"));
        fs::write(folder.path().join("alertmanager.yml"), text).unwrap();
        let output =
            Command::new("amtool").args(["check-config", "alertmanager.yml"]).current_dir(folder.path()).output();
        assert_passes(&output.expect("amtool (Debian package prometheus-alertmanager)"), lang.tag());
    }
}

/// A notification as templates see it.
fn notification(alerts: &[&Rendered]) -> Value {
    let alerts: Vec<_> = alerts
        .iter()
        .map(|alert| {
            json!({
                "status": "firing",
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": "2026-01-01T00:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus/graph",
                "fingerprint": "0",
            })
        })
        .collect();
    json!({
        "receiver": "page", "status": "firing", "alerts": alerts,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager",
    })
}

/// What each of the templates makes of a notification, in their order.
fn render_each(folder: &Path, notification: &Value) -> Vec<String> {
    // No text has one.
    const SEPARATOR: &str = "\u{1e}";
    fs::write(folder.join("data.json"), notification.to_string()).unwrap();
    let texts = LIMITS.map(|(template, _)| format!("{{{{ template \"{template}\" . }}}}"));
    let output = Command::new("amtool")
        .args(["template", "render", "--template.glob=campaign.tmpl", "--template.data=data.json"])
        .arg(format!("--template.text={}", texts.join(SEPARATOR)))
        .current_dir(folder)
        .output()
        .expect("amtool (Debian package prometheus-alertmanager)");
    assert_passes(&output, "the templates");
    let texts = String::from_utf8(output.stdout).unwrap();
    texts.split(SEPARATOR).map(str::to_owned).collect()
}

/// The templates, and how many characters their receivers take.
const LIMITS: [(&str, usize); 7] = [
    ("campaign.title", 250),
    ("campaign.email", 10_000),
    ("campaign.teams", 10_000),
    ("campaign.telegram", 4096),
    ("campaign.slack", 3000),
    ("campaign.pagerduty", 1024),
    ("campaign.pushover", 1024),
];

fn assert_notifications_fit(lang: Lang) {
    let rendered = rendered(lang);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("campaign.tmpl"), templates(lang)).unwrap();
    for alert in alerts().map(|alert| &rendered[alert.name]) {
        let texts = render_each(folder.path(), &notification(&[alert]));
        assert_eq!(texts.len(), LIMITS.len());
        for ((template, limit), text) in LIMITS.into_iter().zip(texts) {
            let name = &alert.labels["alertname"];
            assert!(text.chars().count() <= limit, "{name} in {template}: {} characters", text.chars().count());
            assert!(!text.contains("<no value>") && !text.contains("%!"), "{name} in {template}: {text}");
            let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let whole: &[&str] = match template {
                "campaign.title" => &["summary"],
                "campaign.pushover" => &["next_steps", "troubleshooting"],
                "campaign.pagerduty" => &["summary", "next_steps"],
                _ => &["summary", "next_steps", "troubleshooting", "runbook_url"],
            };
            let mut from = 0;
            for annotation in whole {
                let expected = &alert.annotations[*annotation];
                let at = plain[from..].find(expected.as_str());
                from += at.unwrap_or_else(|| panic!("{name} in {template}: no {annotation} in {plain}"));
            }
        }
    }
    // The same alert on 120 hosts.
    let many = render_each(folder.path(), &notification(&vec![&rendered["CampaignMtaDown"]; 120]));
    for ((template, limit), text) in LIMITS.into_iter().zip(many) {
        assert!(text.chars().count() <= limit && text.len() < 10_000, "120 alerts in {template}: {}", text.len());
        assert!(text.contains("119") || text.contains("120"), "{template} says how many there are: {text}");
    }
}

#[test]
fn every_alert_fits_every_receiver_in_english() {
    assert_notifications_fit(Lang::En);
}

#[test]
fn every_alert_fits_every_receiver_in_portuguese() {
    assert_notifications_fit(Lang::PtBr);
}

#[test]
fn nothing_else_lies_in_the_kit() {
    let mut names: Vec<_> =
        fs::read_dir(project("alerts/alertmanager")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["alertmanager.yml", "campaign.en.tmpl", "campaign.pt-BR.tmpl"]);
}
