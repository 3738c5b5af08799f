//! Plays what happens to a host over hours and days, with promtool: which alerts fire, and what they say.
//!
//! `alerts/tests/scenarios.yml` has the scenarios. Those with one scrape interval are played together, each as a job of its
//! own, for promtool takes as long for one host as for fifty.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use campaign_exporter::catalog::Lang;
use campaign_exporter::catalog::signals::alerts;
use campaign_exporter::render::rules::options::{Options, selector};
use campaign_exporter::render::rules::render;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::committed::read;
use crate::promql::promtool;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    name: String,
    interval: String,
    /// Metrics of a host that is well which this one does not have; `*` for all.
    #[serde(default)]
    without: Vec<String>,
    series: BTreeMap<String, String>,
    /// The alerts that fire, by time.
    firing: BTreeMap<String, Vec<String>>,
}

/// An alert as it reaches Alertmanager.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

fn scenarios() -> Vec<Scenario> {
    serde_saphyr::from_str(&read("alerts/tests/scenarios.yml")).unwrap()
}

fn seconds(duration: &str) -> u64 {
    let mut total = 0;
    for part in duration.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
        let (number, unit) = part.split_at(part.len() - 1);
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            other => panic!("{duration}: {other}"),
        };
        total += number.parse::<u64>().unwrap() * unit;
    }
    total
}

impl Scenario {
    fn is_of_no_host(&self) -> bool {
        self.without.iter().any(|metric| metric == "*")
    }

    /// The job under which it is played.
    fn job(&self, number: usize) -> String {
        if self.is_of_no_host() { "campaign".to_owned() } else { format!("scenario{number}") }
    }

    /// The same scraped at another interval, with what it ends in as all that is expected; `None` where it ends in nothing
    /// or is of hours.
    fn at_interval(&self, interval: u64) -> Option<Self> {
        let own = seconds(&self.interval);
        let (at, alerts) = self.firing.iter().max_by_key(|(at, _)| seconds(at))?;
        if alerts.is_empty() || own > 60 || own == interval || self.is_of_no_host() {
            return None;
        }
        let end = seconds(at) + 2 * interval;
        let series = self.series.iter().map(|(series, values)| {
            let expanded = expanded(values);
            let at = |time: u64| expanded.get(usize::try_from(time / own).unwrap()).map_or("_", String::as_str);
            let values: Vec<_> = (0..=end / interval).map(|step| at(step * interval)).collect();
            (series.clone(), values.join(" "))
        });
        Some(Self {
            name: self.name.clone(),
            interval: format!("{interval}s"),
            without: self.without.clone(),
            series: series.collect(),
            firing: [(at.clone(), alerts.clone())].into(),
        })
    }

    /// Its series and those of a host that is well.
    fn series(&self, job: &str) -> Vec<Value> {
        let interval = seconds(&self.interval);
        let count = self.firing.keys().map(|at| seconds(at)).max().unwrap() / interval + 2;
        let metric = |series: &str| series.split('{').next().unwrap().to_owned();
        let named: BTreeSet<_> = self.series.keys().map(|series| metric(series)).collect();
        let well = [
            ("up", format!("1x{count}")),
            ("campaign_host_time_seconds", format!("0+{interval}x{count}")),
            ("campaign_host_boot_time_seconds", format!("-86400x{count}")),
            ("process_start_time_seconds", format!("-86400x{count}")),
            ("campaign_installation_info{home=\"/usr/local/neolane/nl6\"}", format!("1x{count}")),
        ];
        let is_there = |series: &str| {
            let metric = metric(series);
            !self.is_of_no_host() && !self.without.contains(&metric) && !named.contains(&metric)
        };
        let well =
            well.into_iter().filter(|(series, _)| is_there(series)).map(|(series, values)| (series.to_owned(), values));
        let own = self.series.iter().map(|(series, values)| (series.clone(), values.clone()));
        well.chain(own)
            .map(|(series, values)| json!({ "series": with_target(&series, job), "values": values }))
            .collect()
    }
}

/// Every value of a series in promtool's notation, one each.
fn expanded(values: &str) -> Vec<String> {
    let mut all = Vec::new();
    for token in values.split_whitespace() {
        let (first, times) = token.rsplit_once('x').unwrap_or((token, "0"));
        let times: u32 = times.parse().unwrap();
        // A sign within the number's text is the step.
        let sign = first.char_indices().skip(1).find(|(_, c)| "+-".contains(*c)).map(|(at, _)| at);
        let (start, step) = sign.map_or((first, "0"), |at| first.split_at(at));
        match start.parse::<f64>() {
            Ok(start) => {
                let step: f64 = step.parse().unwrap();
                all.extend((0..=times).map(|at| (start + step * f64::from(at)).to_string()));
            }
            // `_x3` is nothing three times.
            Err(_) => all.extend((0..times.max(1)).map(|_| first.to_owned())),
        }
    }
    all
}

/// `series` with the labels `job` and `instance`, where it has none.
fn with_target(series: &str, job: &str) -> String {
    let (metric, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels = labels.trim_end_matches('}').to_owned();
    for (name, value) in [("job", job), ("instance", "host1.example:9666")] {
        if !labels.split(',').any(|label| label.starts_with(&format!("{name}="))) {
            labels.push_str(&format!("{}{name}=\"{value}\"", if labels.is_empty() { "" } else { "," }));
        }
    }
    format!("{metric}{{{labels}}}")
}

/// Scenarios that can be played together, with their numbers.
fn groups(all: &[Scenario]) -> BTreeMap<(String, bool), Vec<(usize, &Scenario)>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (number, scenario) in all.iter().enumerate() {
        groups.entry((scenario.interval.clone(), scenario.is_of_no_host())).or_default().push((number, scenario));
    }
    groups
}

/// How often the rules are evaluated where scrapes are `interval` apart.
fn evaluation_interval(interval: &str) -> &str {
    if (61..=600).contains(&seconds(interval)) { "60s" } else { interval }
}

/// What promtool says of `tests`, with the rules in `lang`.
fn play(
    (interval, evaluation): (&str, &str),
    of_no_host: bool,
    series: &[Value],
    tests: (&str, Vec<Value>),
    lang: Lang,
) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    // Each scenario has its own job; the one without a host has the job that the rules ask for.
    let selector = if of_no_host { Vec::new() } else { selector("job=~\".+\"").unwrap() };
    let rules = render(&Options { lang, selector, ..Options::default() }).unwrap();
    std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let (kind, tests) = tests;
    let file = json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": evaluation,
        "tests": [{ "interval": interval, "input_series": series, kind: tests }],
    });
    // JSON is YAML too.
    std::fs::write(folder.path().join("test.yml"), file.to_string()).unwrap();
    promtool(&["test", "rules", "test.yml"], folder.path())
}

#[test]
fn the_alerts_fire_when_they_should_and_not_otherwise() {
    let all = scenarios();
    let groups = groups(&all);
    std::thread::scope(|scope| {
        for ((interval, of_no_host), members) in &groups {
            let all = &all;
            scope.spawn(move || {
                let series: Vec<_> =
                    members.iter().flat_map(|(number, scenario)| scenario.series(&scenario.job(*number))).collect();
                let tests = members.iter().flat_map(|(number, scenario)| {
                    scenario.firing.iter().map(move |(at, alerts)| {
                        let job = scenario.job(*number);
                        let named = |alert: &String| json!({ "labels": format!("{{alertname=\"{alert}\",scenario=\"{number}\"}}"), "value": 1 });
                        json!({
                            "expr": format!("label_replace(group by (alertname) (ALERTS{{alertstate=\"firing\",job=\"{job}\"}}), \"scenario\", \"{number}\", \"\", \"\")"),
                            "eval_time": at,
                            "exp_samples": alerts.iter().map(named).collect::<Vec<_>>(),
                        })
                    })
                });
                let output = play((interval, evaluation_interval(interval)), *of_no_host, &series, ("promql_expr_test", tests.collect()), Lang::En);
                let mut said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                for (number, scenario) in all.iter().enumerate() {
                    said = said.replace(&format!("scenario=\"{number}\""), &format!("scenario=\"{}\"", scenario.name));
                }
                assert!(output.status.success(), "at an interval of {interval}:\n{said}");
            });
        }
    });
}

/// Alerts that look back on hours or days, and the failed runs, which end before their scenarios do: those have scenarios
/// at several intervals.
const NOT_PLAYED_AT_EACH: &[&str] = &[
    "CampaignBuildsDiffer",
    "CampaignExportFailed",
    "CampaignExporterAbsent",
    "CampaignExporterVersionsDiffer",
    "CampaignImportFailed",
    "CampaignInMailSilent",
    "CampaignIndicatorFileStale",
    "CampaignTrackingFailed",
    "CampaignTrackingLogsMissing",
];

#[test]
fn every_alert_fires_at_scrape_intervals_from_15_to_120_seconds() {
    let all = scenarios();
    std::thread::scope(|scope| {
        for interval in [15, 30, 60, 120] {
            let all = &all;
            scope.spawn(move || {
                let mut names: BTreeSet<&str> = NOT_PLAYED_AT_EACH.iter().copied().collect();
                let (mut series, mut tests) = (Vec::new(), Vec::new());
                for (number, native) in all.iter().enumerate() {
                    if seconds(&native.interval) == interval {
                        names.extend(native.firing.values().flatten().map(String::as_str));
                    }
                    let Some(scenario) = native.at_interval(interval) else { continue };
                    let job = scenario.job(number);
                    series.extend(scenario.series(&job));
                    for (at, alerts) in &scenario.firing {
                        names.extend(native.firing[at].iter().map(String::as_str));
                        let which = alerts.join("|");
                        let named = |alert: &String| json!({ "labels": format!("{{alertname=\"{alert}\",job=\"{job}\"}}"), "value": 1 });
                        tests.push(json!({
                            "expr": format!("group by (alertname, job) (ALERTS{{alertstate=\"firing\",job=\"{job}\",alertname=~\"{which}\"}})"),
                            "eval_time": at,
                            "exp_samples": alerts.iter().map(named).collect::<Vec<_>>(),
                        }));
                    }
                }
                let output = play((&format!("{interval}s"), "60s"), false, &series, ("promql_expr_test", tests), Lang::En);
                let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                assert!(output.status.success(), "at an interval of {interval} s:\n{said}");
                let known: BTreeSet<_> = alerts().map(|alert| alert.name).collect();
                assert_eq!(names, known, "the alerts that are played at an interval of {interval} s");
            });
        }
    });
}

#[test]
fn series_are_read_in_promtools_notation() {
    let read = |values: &str| expanded(values).join(" ");
    assert_eq!(read("1x2 _x2 stale -5+2x2 7"), "1 1 1 _ _ stale -5 -3 -1 7");
}

#[test]
fn every_alert_fires_in_a_scenario() {
    let all = scenarios();
    let fires: BTreeSet<_> =
        all.iter().flat_map(|scenario| scenario.firing.values().flatten()).map(String::as_str).collect();
    let known: BTreeSet<_> = alerts().map(|alert| alert.name).collect();
    assert_eq!(fires, known, "the alerts of alerts/tests/scenarios.yml are those of the catalog");
}

/// Every alert as a scenario makes it fire, in `lang`; played once for all tests.
pub(crate) fn rendered(lang: Lang) -> &'static BTreeMap<String, Rendered> {
    static EACH: [OnceLock<BTreeMap<String, Rendered>>; 2] = [const { OnceLock::new() }; 2];
    EACH[usize::from(lang == Lang::PtBr)].get_or_init(|| play_all(lang))
}

fn play_all(lang: Lang) -> BTreeMap<String, Rendered> {
    let all = scenarios();
    let mut wanted: BTreeSet<&str> = alerts().map(|alert| alert.name).collect();
    let mut found = BTreeMap::new();
    for ((interval, of_no_host), members) in groups(&all) {
        let mut series = Vec::new();
        let mut tests = Vec::new();
        for (number, scenario) in members {
            let mut is_needed = false;
            for (at, alerts) in &scenario.firing {
                // A test that expects nothing fails, and says what there is.
                for alert in alerts.iter().filter(|alert| wanted.remove(alert.as_str())) {
                    tests.push(json!({ "eval_time": at, "alertname": alert, "exp_alerts": [] }));
                    is_needed = true;
                }
            }
            if is_needed {
                series.extend(scenario.series(&scenario.job(number)));
            }
        }
        if !tests.is_empty() {
            let output = play(
                (&interval, evaluation_interval(&interval)),
                of_no_host,
                &series,
                ("alert_rule_test", tests),
                lang,
            );
            for one in told(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat())) {
                found.entry(one.labels["alertname"].clone()).or_insert(one);
            }
        }
    }
    found
}

/// The alerts that promtool says it got.
fn told(output: &str) -> Vec<Rendered> {
    let mut lines = output.lines().map(str::trim_start);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(labels) = line.strip_prefix("Labels:") {
            let annotations =
                lines.next().and_then(|line| line.strip_prefix("Annotations:")).expect("annotations follow");
            found.push(Rendered { labels: pairs(labels), annotations: pairs(annotations) });
        }
    }
    found
}

/// `{name="value", …}` with the escapes of Go.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut rest = text.trim_start_matches('{');
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("a value ends") {
                (_, '\\') => match chars.next().expect("an escape ends").1 {
                    'n' => value.push('\n'),
                    c => value.push(c),
                },
                (at, '"') => break at,
                (_, c) => value.push(c),
            }
        };
        pairs.insert(name.trim_start_matches([',', ' ']).to_owned(), value);
        rest = &after[end + 1..];
    }
    pairs
}

/// What a notification may take: Pushover's whole message is 1,024 characters, and a subject line one line.
const LIMITS: [(&str, usize); 5] =
    [("summary", 160), ("description", 420), ("next_steps", 420), ("troubleshooting", 800), ("note", 200)];

fn assert_texts_are_well(lang: Lang) {
    let rendered = rendered(lang);
    for alert in alerts() {
        let one = rendered.get(alert.name).unwrap_or_else(|| panic!("{} did not fire in {}", alert.name, lang.tag()));
        let names: BTreeSet<_> = one.labels.keys().map(String::as_str).collect();
        let own = alert.labels.iter().copied().chain(["alertname", "severity"]);
        let target = ["instance", "job"].into_iter().filter(|label| one.labels.contains_key(*label));
        assert_eq!(names, own.chain(target).collect(), "{}: its labels", alert.name);
        for (name, text) in &one.annotations {
            for odd in ["{{", "}}", "<error", "<no value>", "-Inf", "NaN", "  ", "@ ", "@.", "{"] {
                let is_query = odd == "{" && name == "next_steps";
                assert!(
                    is_query || !text.contains(odd),
                    "{} {name} in {}: {odd:?} in {text:?}",
                    alert.name,
                    lang.tag()
                );
            }
        }
        for (name, limit) in LIMITS {
            let text = one.annotations.get(name).map_or("", String::as_str);
            assert!(
                text.chars().count() <= limit,
                "{} {name} in {}: longer than {limit}: {text}",
                alert.name,
                lang.tag()
            );
            assert!(name == "note" || !text.is_empty(), "{} has no {name}", alert.name);
        }
        assert!(one.annotations["next_steps"].lines().count() <= 3, "{}: more than three steps", alert.name);
        let summary = &one.annotations["summary"];
        for label in ["instance", "module", "campaign_instance", "target"] {
            let is_static =
                matches!(alert.subject, campaign_exporter::catalog::Subject::Module(_)) && label == "module";
            if let Some(value) = one.labels.get(label).filter(|_| !is_static && alert.name != "CampaignExporterAbsent")
            {
                assert!(
                    summary.contains(value.as_str()),
                    "{}: the summary does not name the {label}: {summary}",
                    alert.name
                );
            }
        }
        for misleading in ["this module", "este módulo is", "há uma hora com"] {
            assert!(!summary.contains(misleading), "{}: {summary}", alert.name);
        }
    }
}

#[test]
fn every_alert_says_whose_where_and_what_to_do_in_english() {
    assert_texts_are_well(Lang::En);
}

#[test]
fn every_alert_says_whose_where_and_what_to_do_in_portuguese() {
    assert_texts_are_well(Lang::PtBr);
}
