//! The dashboards as files: what Grafana would show without a complaint but not as meant.
//!
//! Whether a query finds data is for the test that has a Prometheus; [`queries`] lists them for it.

use std::collections::BTreeSet;

use campaign_exporter::catalog::alerts::UNUSED;
use campaign_exporter::catalog::signals::{THEMES, alerts, metrics};
use campaign_exporter::render::rules::expression;
use campaign_exporter::render::rules::options::Options;
use serde_json::Value;

use crate::committed::{project, read};
use crate::promql::{assert_documented, check_expressions, mentions};

/// Every dashboard of the project.
pub(crate) const DASHBOARDS: &[&str] = &["dashboards/campaign-overview.json", "dashboards/campaign-evidence.json"];

/// A query of a panel.
#[derive(Debug)]
pub(crate) struct Query {
    /// The panel's title.
    pub(crate) panel: String,
    /// The expression, with every variable replaced.
    pub(crate) expr: String,
    /// The names of the labels that the legend shows.
    legend: Vec<String>,
}

/// What Grafana puts in the place of its variables: everything, and a range that fits a short test.
fn without_variables(text: &str) -> String {
    let text = text.replace("$__rate_interval", "1m");
    ["$job", "$instance", "$campaign_instance"].iter().fold(text, |text, variable| text.replace(variable, ".+"))
}

/// Every query of every panel of the dashboard at `path`, ready for Prometheus.
pub(crate) fn queries(path: &str) -> Vec<Query> {
    let mut found = Vec::new();
    for panel in panels(&dashboard(path)) {
        for target in list(&panel, "targets") {
            let legend = text(&target, "legendFormat").split("{{").skip(1);
            found.push(Query {
                panel: text(&panel, "title").to_owned(),
                expr: without_variables(text(&target, "expr")),
                legend: legend.map(|piece| piece.split("}}").next().unwrap().trim().to_owned()).collect(),
            });
        }
    }
    found
}

fn dashboard(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

fn list(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().cloned().unwrap_or_default()
}

/// Rows and panels, those inside a closed row included.
fn boxes(dashboard: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for panel in list(dashboard, "panels") {
        all.extend(list(&panel, "panels"));
        all.push(panel);
    }
    all
}

fn panels(dashboard: &Value) -> Vec<Value> {
    boxes(dashboard).into_iter().filter(|panel| panel["type"] != "row").collect()
}

/// Every text anywhere in `value`.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The variables that `text` mentions, as `$name` or `${name}`; Grafana's own, with two underscores, left out.
fn variables_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let name = rest.trim_start_matches('{').split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        (!name.is_empty() && !name.starts_with("__")).then_some(name)
    })
}

#[test]
fn every_dashboard_of_the_folder_is_looked_at() {
    let entries = std::fs::read_dir(project("dashboards")).unwrap();
    let files = entries.map(|entry| format!("dashboards/{}", entry.unwrap().file_name().to_str().unwrap()));
    let files = files.filter(|file| file != "dashboards/pt-BR");
    assert_eq!(files.collect::<BTreeSet<_>>(), DASHBOARDS.iter().map(|path| (*path).to_owned()).collect());
}

#[test]
fn dashboards_have_unique_uids_and_can_be_linked_to() {
    let mut uids = BTreeSet::new();
    for path in DASHBOARDS {
        let dashboard = dashboard(path);
        let uid = text(&dashboard, "uid");
        assert_eq!(*path, format!("dashboards/{uid}.json"), "the uid is the file's name: links to it last");
        assert!(uids.insert(uid.to_owned()), "{path}");
        assert!(!text(&dashboard, "title").is_empty() && !text(&dashboard, "description").is_empty(), "{path}");
        assert!(dashboard["id"].is_null(), "{path}: Grafana gives the id");
    }
}

#[test]
fn every_panel_explains_itself_and_names_its_unit() {
    for path in DASHBOARDS {
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard(path)) {
            let title = text(&panel, "title");
            assert!(titles.insert(title.to_owned()), "{path}: two panels are called {title}");
            let description = text(&panel, "description");
            assert!(description.len() > 30 && description.ends_with('.'), "{path}: {title}: {description}");
            assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{path}: {title}");
            assert!(!list(&panel, "targets").is_empty(), "{path}: {title} shows nothing");
            assert_eq!(panel["fieldConfig"]["defaults"]["noValue"], "no data", "{path}: {title}");
            let shows_numbers = ["stat", "timeseries"].contains(&text(&panel, "type"));
            assert!(!shows_numbers || title.ends_with(')'), "{path}: {title} does not say in which unit");
        }
        assert!(!titles.is_empty(), "{path}");
    }
}

#[test]
fn every_query_goes_to_the_chosen_data_source_under_its_own_letter() {
    for path in DASHBOARDS {
        for panel in panels(&dashboard(path)) {
            let title = text(&panel, "title");
            let mut letters = BTreeSet::new();
            for place in list(&panel, "targets").iter().chain([&panel]) {
                assert_eq!(text(&place["datasource"], "uid"), "${datasource}", "{path}: {title}");
                assert_eq!(text(&place["datasource"], "type"), "prometheus", "{path}: {title}");
            }
            for target in list(&panel, "targets") {
                assert!(letters.insert(text(&target, "refId").to_owned()), "{path}: {title}");
            }
        }
    }
}

#[test]
fn no_two_boxes_share_an_id_or_a_place() {
    for path in DASHBOARDS {
        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        for panel in boxes(&dashboard(path)) {
            let title = text(&panel, "title");
            assert!(ids.insert(panel["id"].as_u64().unwrap_or_else(|| panic!("{path}: {title} has no id"))), "{title}");
            let side =
                |name: &str| panel["gridPos"][name].as_u64().unwrap_or_else(|| panic!("{path}: {title}: {name}"));
            let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
            assert!(w > 0 && h > 0 && x + w <= 24, "{path}: {title} is wider than the page");
            for place in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
                assert!(places.insert(place), "{path}: {title} covers another one");
            }
        }
    }
}

#[test]
fn the_variables_that_are_used_are_those_that_exist() {
    for path in DASHBOARDS {
        let dashboard = dashboard(path);
        let list = list(&dashboard["templating"], "list");
        let existing: BTreeSet<_> = list.iter().map(|variable| text(variable, "name")).collect();
        for required in ["datasource", "job", "instance", "campaign_instance"] {
            assert!(existing.contains(required), "{path}: no variable {required}");
        }
        let used: BTreeSet<_> = texts(&dashboard).into_iter().flat_map(variables_of).collect();
        assert_eq!(used, existing, "{path}");
        for query in queries(path) {
            assert!(!query.expr.contains('$'), "{path}: {}: {}", query.panel, query.expr);
        }
    }
}

#[test]
fn queries_speak_of_documented_metrics_and_labels() {
    for path in DASHBOARDS {
        for query in queries(path) {
            let known = assert_documented(&format!("{path}: {}", query.panel), &query.expr);
            for label in &query.legend {
                assert!(known.contains(label.as_str()), "{path}: {}: the legend shows {label}", query.panel);
            }
        }
        let dashboard = dashboard(path);
        for variable in list(&dashboard["templating"], "list") {
            if let Some(inside) = variable["definition"].as_str().and_then(|text| text.strip_prefix("label_values(")) {
                let (selector, label) = inside.trim_end_matches(')').rsplit_once(", ").unwrap();
                let known = assert_documented(text(&variable, "name"), &without_variables(selector));
                assert!(known.contains(label), "{path}: {selector} has no label {label}");
                assert_eq!(variable["definition"], variable["query"]["query"], "{path}");
            }
        }
    }
}

#[test]
fn prometheus_understands_every_query() {
    for path in DASHBOARDS {
        let dashboard = dashboard(path);
        let annotations = list(&dashboard["annotations"], "list");
        let annotations = annotations.iter().map(|annotation| without_variables(text(annotation, "expr")));
        let expressions: Vec<_> = queries(path).into_iter().map(|query| query.expr).chain(annotations).collect();
        assert!(expressions.len() > 20, "{path}");
        check_expressions(path, &expressions);
    }
}

#[test]
fn what_is_not_known_is_neither_zero_nor_judged_by_another_clock() {
    for path in DASHBOARDS {
        for query in queries(path) {
            for wrong in ["vector(", "time()"] {
                assert!(!query.expr.contains(wrong), "{path}: {}: {}", query.panel, query.expr);
            }
        }
    }
}

#[test]
fn an_alert_leads_to_a_panel_that_there_is() {
    for theme in THEMES {
        let (uid, id) = theme.panel;
        let there = panels(&dashboard(&format!("dashboards/{uid}.json"))).iter().any(|panel| panel["id"] == id);
        assert!(there, "{}: {uid} has no panel {id}", theme.group);
    }
}

#[test]
fn a_panel_leads_to_alerts_on_what_it_shows() {
    let records: Vec<_> = THEMES.iter().flat_map(|theme| theme.records).collect();
    let metrics_of = |expr: &str| {
        let recorded = records.iter().filter(|record| expr.contains(record.name));
        let exprs = recorded.map(|record| record.expr).chain([expr]).collect::<Vec<_>>();
        let deeper = records.iter().filter(|record| exprs.iter().any(|expr| expr.contains(record.name)));
        let all = deeper.map(|record| record.expr).chain(exprs.iter().copied());
        all.flat_map(|expr| asked(&expression::plain(expr, &[], "", &Options::default())).collect::<Vec<_>>())
            .collect::<BTreeSet<_>>()
    };
    for path in DASHBOARDS {
        let shown = queries(path);
        for panel in panels(&dashboard(path)) {
            let title = text(&panel, "title");
            for link in panel["links"].as_array().into_iter().flatten() {
                let Some(name) = text(link, "url").strip_prefix("/alerting/list?search=Campaign") else { continue };
                if name.is_empty() {
                    continue;
                }
                let alert = alerts().find(|alert| alert.name == text(link, "title")).expect(name);
                assert!(text(link, "url").ends_with(&format!("={}", alert.name)), "{path}: {title}: {name}");
                let theme = THEMES.iter().find(|theme| theme.alerts.iter().any(|one| one.name == alert.name)).unwrap();
                let mut asks = metrics_of(alert.expr);
                asks.extend(theme.metrics.iter().map(|metric| metric.name.to_owned()));
                let shows = shown.iter().filter(|query| query.panel == title).flat_map(|query| asked(&query.expr));
                assert!(shows.into_iter().any(|metric| asks.contains(&metric)), "{path}: {title}: {name}");
            }
        }
    }
}

/// The metrics that `expr` asks for.
fn asked(expr: &str) -> impl Iterator<Item = String> {
    mentions(expr).selectors.into_iter().map(|(name, _)| name)
}

#[test]
fn every_metric_is_in_an_alert_or_a_panel_or_there_is_a_reason_why_not() {
    let mut used: BTreeSet<String> = DASHBOARDS
        .iter()
        .flat_map(|path| queries(path))
        .flat_map(|query| asked(&query.expr).collect::<Vec<_>>())
        .collect();
    for alert in alerts() {
        used.extend(asked(&expression::of(alert, &Options::default())));
        let queried =
            [alert.description, alert.next_steps].map(|text| text.en.split("{query:").skip(1).collect::<Vec<_>>());
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        used.extend(queried.into_iter().flatten().map(|rest| rest.split(|c| !is_word(c)).next().unwrap().to_owned()));
    }
    for record in THEMES.iter().flat_map(|theme| theme.records) {
        used.extend(asked(&expression::plain(record.expr, &[], "", &Options::default())));
    }
    let reasons: BTreeSet<_> = UNUSED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(reasons.len(), UNUSED.len(), "one reason each");
    let all: BTreeSet<_> = metrics().map(|metric| metric.name.to_owned()).collect();
    let unused: BTreeSet<_> = all.difference(&used).cloned().collect();
    assert_eq!(unused, reasons, "metrics that nothing asks for, and those with a reason");
    for (name, reason) in UNUSED {
        assert!(reason.len() > 20, "{name}: {reason}");
        // What a reason says to be shown instead is.
        for other in
            reason.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("campaign_"))
        {
            assert!(
                used.contains(other) || alerts().any(|alert| alert.next_steps.en.contains(other)),
                "{name}: {other}"
            );
        }
    }
}
