//! What the files around the code promise of it, and what a change to the catalog must not forget.

use std::collections::BTreeMap;

use campaign_exporter::catalog::signals::{self, THEMES};

use crate::committed::read;

/// The metrics of version 0.1.0: name to type and labels.
fn released() -> BTreeMap<String, String> {
    let text = read("tests/fixtures/metrics-0.1.0.txt");
    let rows = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    rows.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

#[test]
fn every_metric_of_the_first_release_keeps_its_name_type_and_labels() {
    let now: BTreeMap<String, String> = signals::metrics()
        .map(|metric| {
            let labels = if metric.labels.is_empty() { "-".to_owned() } else { metric.labels.join(",") };
            (metric.name.to_owned(), format!("{} {labels}", format!("{:?}", metric.kind).to_lowercase()))
        })
        .collect();
    for (name, released) in released() {
        assert_eq!(now.get(&name), Some(&released), "{name}");
    }
}

#[test]
fn the_changelog_names_every_new_metric() {
    let (changelog, released) = (read("CHANGELOG.md"), released());
    let new = signals::metrics().map(|metric| metric.name).filter(|name| !released.contains_key(*name));
    let forgotten: Vec<_> =
        new.filter(|name| !["`", "{"].iter().any(|end| changelog.contains(&format!("`{name}{end}")))).collect();
    assert!(forgotten.is_empty(), "CHANGELOG.md does not name {forgotten:#?}");
}

#[test]
fn every_theme_has_an_alert_that_a_fault_of_the_simulated_host_sets_off() {
    let chains =
        ["chain", "log_chain", "fault_chain"].map(|name| read(&format!("tests/integration/{name}.rs"))).concat();
    // The simulated host is one, and runs for minutes: promtool plays what a fleet does, and what takes longer.
    let is_of_a_host = |group: &str| !["campaign_exporter", "campaign_fleet", "campaign_log_files"].contains(&group);
    for theme in THEMES.iter().filter(|theme| is_of_a_host(theme.group)) {
        let played = theme.alerts.iter().any(|alert| chains.contains(&format!("\"{}\"", alert.name)));
        assert!(played || theme.alerts.is_empty(), "no fault sets off an alert of {:?}", theme.title);
    }
}

/// The value of the first line `key = "value"` of a file.
fn value(path: &str, key: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
    line.unwrap_or_else(|| panic!("{path} has no {key}")).trim().trim_matches('"').to_owned()
}

#[test]
fn the_oldest_compiler_that_is_promised_is_the_one_that_everything_is_tested_with() {
    let promised = value("Cargo.toml", "rust-version");
    let workflow = read(".github/workflows/ci.yml");
    let images: Vec<_> = workflow.lines().filter_map(|line| line.trim().strip_prefix("image: rust:")).collect();
    assert!(!images.is_empty(), "no job has an image with a compiler");
    for image in images {
        assert_eq!(image.split('-').next(), Some(promised.as_str()), "Cargo.toml promises {promised}");
    }
}

#[test]
fn the_newest_section_of_the_changelog_is_that_of_the_version() {
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## "));
    assert_eq!(newest, Some(value("Cargo.toml", "version").as_str()));
}
