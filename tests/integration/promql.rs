//! Holds PromQL to the catalog: finds the metrics and labels that an expression uses.
//!
//! A scanner of words, strings and brackets, no parser: whether an expression is valid is for promtool to say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use campaign_exporter::catalog::signals::{THEMES, checks, metrics};

use crate::support::{program, run};

/// Labels that Prometheus gives to every series that it scrapes.
const TARGET_LABELS: [&str; 2] = ["instance", "job"];

/// Metrics that Prometheus itself writes for every target, and the label names they have beside the target's.
const PROMETHEUS: [(&str, &[&str]); 4] = [
    ("up", &[]),
    ("scrape_duration_seconds", &[]),
    ("scrape_samples_scraped", &[]),
    // An alert has the labels of the series that it fired on besides.
    ("ALERTS", &["alertgroup", "alertname", "alertstate", "campaign_instance", "module", "severity"]),
];

/// What an expression uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// Every selector: the metric, and its matchers as label and value.
    pub(crate) selectors: Vec<(String, Vec<(String, String)>)>,
    /// Labels of `by`, `without`, `on`, `ignoring` and `group_…`.
    pub(crate) groupings: BTreeSet<String>,
}

const CLAUSES: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: &[&str] = &["and", "or", "unless", "offset", "bool", "inf", "nan"];

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn take_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// The content of a string that `text` starts with, and what follows it.
fn take_string(text: &str) -> (String, &str) {
    let quote = text.chars().next().unwrap();
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => content.extend(chars.next().map(|(_, c)| c)),
            c if c == quote => return (content, &text[at + 1..]),
            c => content.push(c),
        }
    }
    panic!("a string does not end: {text}");
}

/// The matchers between braces; `text` starts after the opening one.
fn take_matchers(mut text: &str) -> (Vec<(String, String)>, &str) {
    let mut matchers = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',', '\n']);
        if let Some(rest) = text.strip_prefix('}') {
            return (matchers, rest);
        }
        let (label, rest) = take_word(text);
        assert!(!label.is_empty(), "no matcher: {text}");
        let rest = rest.trim_start().trim_start_matches(['=', '!', '~']).trim_start();
        let (value, rest) = take_string(rest);
        matchers.push((label.to_owned(), value));
        text = rest;
    }
}

/// What `expr` uses.
pub(crate) fn mentions(expr: &str) -> Mentions {
    let mut found = Mentions::default();
    let mut text = expr;
    while let Some(c) = text.chars().next() {
        if c == '"' || c == '\'' {
            text = take_string(text).1;
        } else if c == '[' {
            text = &text[text.find(']').expect("a range ends")..];
        } else if c.is_ascii_digit() {
            text = take_word(text).1;
        } else if is_word(c) {
            let (word, rest) = take_word(text);
            let next = rest.trim_start();
            if CLAUSES.contains(&word) {
                text = rest;
                // Only `group_left` and `group_right` may stand without a list.
                if let Some(list) = next.strip_prefix('(') {
                    let (labels, rest) = list.split_once(')').expect("a list of labels ends");
                    let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
                    found.groupings.extend(labels.map(str::to_owned));
                    text = rest;
                }
            } else if WORDS.contains(&word) || next.starts_with('(') {
                text = rest;
            } else {
                let followed_by_clause = CLAUSES.contains(&take_word(next).0);
                let (matchers, rest) = match rest.strip_prefix('{') {
                    Some(inside) => take_matchers(inside),
                    None => (Vec::new(), rest),
                };
                // `sum by (a) (b)`: an aggregation whose clause stands before its argument.
                if !followed_by_clause || is_metric_like(word) {
                    found.selectors.push((word.to_owned(), matchers));
                }
                text = rest;
            }
        } else if c == '{' {
            panic!("a selector without a metric: {text}");
        } else {
            text = &text[c.len_utf8()..];
        }
    }
    found
}

/// Aggregation operators are single words; every metric but `up` has an underscore, `ALERTS` capitals.
fn is_metric_like(word: &str) -> bool {
    word == "up" || word == "ALERTS" || word.contains(':') || (word.contains('_') && !word.starts_with("count_values"))
}

/// The recorded series, with their labels beside those of the target.
fn recorded() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    THEMES.iter().flat_map(|theme| theme.records).map(|record| (record.name, record.labels))
}

/// Fails when `expr` uses a metric, label or check that is not documented, naming `owner`; else the labels that its
/// result may have.
pub(crate) fn assert_documented(owner: &str, expr: &str) -> BTreeSet<&'static str> {
    let documented: BTreeMap<_, _> =
        metrics().map(|metric| (metric.name, metric.labels)).chain(recorded()).chain(PROMETHEUS).collect();
    let found = mentions(expr);
    assert!(!found.selectors.is_empty(), "{owner} asks for no metric");
    let mut known = BTreeSet::from(TARGET_LABELS);
    for (name, matchers) in &found.selectors {
        let labels = documented.get(name.as_str()).unwrap_or_else(|| panic!("{owner}: no metric {name}"));
        for (label, value) in matchers {
            let there = labels.contains(&label.as_str()) || TARGET_LABELS.contains(&label.as_str());
            assert!(there, "{owner}: {name} has no label {label}");
            let named = |value: &str| checks().any(|check| check.name == value);
            let is_check = label != "check" || value.split('|').all(named);
            assert!(is_check, "{owner}: no check {value}");
        }
        known.extend(*labels);
    }
    for label in &found.groupings {
        assert!(known.contains(label.as_str()), "{owner}: no metric with a label {label}");
    }
    known
}

/// Runs promtool in `folder`.
pub(crate) fn promtool(arguments: &[&str], folder: &Path) -> Output {
    run(Command::new(program("promtool", "prometheus")).args(arguments).current_dir(folder))
}

/// Fails with what the program said unless it ended well.
pub(crate) fn assert_passes(output: &Output, what: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}:\n{out}{err}");
}

/// Fails unless promtool can parse every expression.
pub(crate) fn check_expressions(owner: &str, expressions: &[String]) {
    let rules: Vec<_> = expressions
        .iter()
        .enumerate()
        .map(|(at, expr)| serde_json::json!({ "record": format!("expression:{at}"), "expr": expr }))
        .collect();
    // JSON is YAML too.
    let file = serde_json::json!({ "groups": [{ "name": "expressions", "rules": rules }] });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), file.to_string()).unwrap();
    assert_passes(&promtool(&["check", "rules", "rules.yml"], folder.path()), owner);
}

#[test]
fn metrics_labels_and_groupings_are_recognised() {
    let found = mentions(
        "sum by (job, a) (rate(x_total{mode=\"u}\\\"(\", b!~'c|d'}[5m])) * 100\nand on (instance) (up == 0) \
         or count_values(\"v\", y_info) without (z) > bool 1e3 unless ignoring (check) m_seconds offset 1h",
    );
    let matcher = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    let expected = [
        ("x_total", vec![matcher("mode", "u}\"("), matcher("b", "c|d")]),
        ("up", vec![]),
        ("y_info", vec![]),
        ("m_seconds", vec![]),
    ];
    assert_eq!(found.selectors, expected.map(|(metric, matchers)| (metric.to_owned(), matchers)));
    assert_eq!(found.groupings, ["a", "check", "instance", "job", "z"].map(str::to_owned).into());
}
