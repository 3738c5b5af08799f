//! Hosts that do not look like those of the documentation's first pages: older log lines, a server that logs in French,
//! `XTK_VAR_DIR`, logs beside their folder, a module that logs nothing, logins that fail. They are understood all the
//! same.

use std::time::Duration;

use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, Metrics};
use crate::support::wait_for;

fn labels(log: &str, module: &str, instance: &str) -> String {
    format!("log=\"{log}\",module=\"{module}\",campaign_instance=\"{instance}\"")
}

fn problem(problem: &str) -> String {
    format!("campaign_log_problems_total{{{},problem=\"{problem}\"}}", labels("web", "web", "default"))
}

fn messages(log: &str, instance: &str, level: &str) -> String {
    format!("campaign_log_messages_total{{{},level=\"{level}\"}}", labels(log, log, instance))
}

/// Every line is a message, and the trouble in them is recognised.
fn assert_understood(options: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let var = folder.path().join("elsewhere");
    let options: Vec<&str> =
        options.iter().map(|option| if *option == "ELSEWHERE" { var.to_str().unwrap() } else { option }).collect();
    let common = ["--instances", "prod", "--set", "logPeriodMs=0", "--set", "silent=inMail"];
    let simulator = Simulator::start(folder.path(), &[&common[..], &options].concat());
    let exporter = Exporter::watch(folder.path(), &simulator);
    wait_for("logs that are placed", Duration::from_secs(90), || {
        crate::support::get(&exporter.url("/-/ready"), &[]).map(drop)
    });
    simulator.fault(&["log", "mta@prod", "error", "INT-150012 number {n}", "--count", "3"]);
    simulator.fault(&["xtk-session", "2"]);
    simulator.fault(&["cross-device", "web"]);
    simulator.fault(&["login-faults", "4"]);
    let wanted = [
        (messages("mta", "prod", "error"), 3.0),
        (messages("web", "default", "error"), 15.0),
        (problem("xtk_session"), 2.0),
        (problem("cross_device_link"), 1.0),
        (problem("login_refused"), 12.0),
        (problem("database"), 0.0),
    ];
    let metrics = wait_for("what the logs say", Duration::from_secs(90), || {
        let metrics = exporter.metrics();
        let found = wanted.iter().map(|(series, value)| (series, metrics.value(series), value));
        let wrong: Vec<_> = found.filter(|(_, found, value)| *found != Some(**value)).collect();
        if wrong.is_empty() { Ok(metrics) } else { Err(format!("{options:?}: {wrong:?}")) }
    });
    for metric in ["unparsed_lines", "continuation_lines", "skipped_bytes"] {
        let series = metrics.series(&format!("campaign_log_{metric}_total"));
        assert!(series.iter().all(|(_, value)| *value == 0.0), "{options:?}: {series:?}");
    }
    assert_judged(&metrics);
}

/// The watchdog's age is not judged, and the silence of inMail is no fault.
fn assert_judged(metrics: &Metrics) {
    let check = |module: &str, instance: &str, check: &str| {
        let labels = format!("module=\"{module}\",campaign_instance=\"{instance}\",check=\"{check}\"");
        metrics.value(&format!("campaign_module_check{{{labels}}}"))
    };
    assert_eq!([check("watchdog", "default", "age"), check("mta", "prod", "age")], [None, Some(1.0)]);
    let healthy = "campaign_module_healthy{module=\"inMail\",campaign_instance=\"prod\"}";
    assert_eq!(metrics.value(healthy), Some(1.0), "{}", metrics.0);
}

#[test]
fn a_host_as_the_first_pages_show_it_is_understood() {
    assert_understood(&[]);
}

#[test]
fn older_lines_are_understood() {
    assert_understood(&["--set", "logForm=older"]);
}

#[test]
fn a_server_that_logs_in_french_is_understood() {
    assert_understood(&["--set", "logLanguage=fr"]);
}

#[test]
fn logs_that_the_environment_moves_are_followed_where_they_are() {
    assert_understood(&["--var-dir", "ELSEWHERE"]);
}

#[test]
fn logs_beside_their_folder_are_followed() {
    assert_understood(&["--set", "logsBeside=mta,web"]);
}
