//! What `/metrics` says: its form, and its whole text for a host that never changes.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use campaign_exporter::catalog::{MetricDef, signals};

use crate::committed::{assert_golden, project, read};
use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, concat_os};
use crate::support::{program, wait_for};

/// Fails unless Prometheus' own tool accepts a text of metrics in silence.
#[track_caller]
fn assert_promtool_is_silent(text: &str) {
    let mut promtool = Command::new(program("promtool", "prometheus"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()), "");
    assert!(output.status.success());
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &[]);
    let exporter = Exporter::watch(folder.path(), &simulator);
    let text = exporter.metrics().0;
    assert!(text.contains("campaign_module_up{"), "{text}");
    assert_promtool_is_silent(&text);
}

/// Series of the fixture host, by how they start, whose values depend on the moment or on the checkout: `*` stands for
/// the value. Everything else in a golden text is what the exporter said, character by character.
const OF_THE_MOMENT: &[&str] = &[
    // Times of files, of reading and of asking.
    "campaign_configuration_last_reload_timestamp_seconds",
    "campaign_core_last_scan_timestamp_seconds",
    "campaign_core_newest_timestamp_seconds",
    "campaign_exporter_first_start_timestamp_seconds",
    "campaign_host_time_seconds",
    "campaign_indicator_file_modified_timestamp_seconds",
    "campaign_module_last_seen_timestamp_seconds",
    "campaign_mta_spool_last_scan_timestamp_seconds",
    "campaign_mta_spool_oldest_timestamp_seconds",
    "campaign_pipelined_last_alive_timestamp_seconds",
    "campaign_probe_last_run_timestamp_seconds",
    "campaign_tracking_log_newest_timestamp_seconds",
    // Durations.
    "campaign_module_waiting_seconds",
    "campaign_probe_duration_seconds",
    "campaign_scrape_collector_duration_seconds",
    // Count the scrapes before the first reading of the logs is complete.
    "campaign_scrape_collector_errors_total{collector=\"logs\",kind=\"busy\"}",
    "campaign_scrape_collector_errors_total{collector=\"tracking\",kind=\"busy\"}",
    // Counts once a scrape: the log and the tracking log that are directories.
    "campaign_scrape_collector_errors_total{collector=\"logs\",kind=\"parse\"}",
    "campaign_scrape_collector_errors_total{collector=\"tracking\",kind=\"parse\"}",
    // The exporter's own process.
    "process_",
];

/// Series whose labels, too, are the machine's: the compiler, and where the project is checked out.
const OF_THE_MACHINE: &[&str] = &["campaign_exporter_build_info", "campaign_installation_info"];

/// The text with `*` for what changes, and `TARGET` for the address of the probes' server; help and type stay.
fn steady(text: &str, target: &str) -> String {
    let starts = |line: &str, with: &[&str]| with.iter().any(|start| line.starts_with(start));
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((series, _)) if starts(line, OF_THE_MACHINE) => {
            format!("{}{{*}} *\n", series.split('{').next().unwrap_or_default())
        }
        Some((series, _)) if starts(line, OF_THE_MOMENT) => format!("{series} *\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect::<String>().replace(target, "TARGET")
}

/// The golden text. It has every metric of the catalog, as a test holds: a new metric needs something on the fixture
/// host (`tests/fixtures/host`) that it shows, and `make golden`.
const GOLDEN: &str = "tests/fixtures/host/metrics.txt";

/// The metrics that have no series in `text`.
fn without_series(text: &str) -> Vec<&'static str> {
    let has_series = |metric: &&MetricDef| {
        let of_metric = |line: &str| line.strip_prefix(metric.name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        text.lines().any(of_metric)
    };
    signals::metrics().filter(|metric| !has_series(metric)).map(|metric| metric.name).collect()
}

#[test]
fn every_metric_of_the_catalog_is_in_the_committed_text() {
    let missing = without_series(&read(GOLDEN));
    assert!(missing.is_empty(), "{GOLDEN} has no series of {missing:?}");
}

/// The recorded answers of the paths that `tests/fixtures/host/targets.yml` leads to; others have status 503.
fn recorded(path: &str) -> Option<&'static [u8]> {
    Some(match path {
        "/well/r/test" => include_bytes!("../fixtures/probes/r_test.xml"),
        "/well/nl/jsp/ping.jsp" => include_bytes!("../fixtures/probes/ping.txt"),
        "/well/nl/jsp/mcPing.jsp" => include_bytes!("../fixtures/probes/mc_ping_ok.txt"),
        "/well/status" => include_bytes!("../fixtures/probes/pipelined.json"),
        "/ill/nl/jsp/mcPing.jsp" => include_bytes!("../fixtures/probes/mc_ping_full.txt"),
        _ => return None,
    })
}

/// Answers one request with what is recorded.
fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
    let (status, body) = match recorded(request.split(' ').nth(1).unwrap_or_default()) {
        Some(body) => ("200 OK", body),
        None => ("503 Service Unavailable", &b""[..]),
    };
    write!(connection, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    connection.write_all(body)
}

/// A server of the recorded answers on the loopback interface, until the test's process ends; its address.
fn serve_recorded_answers() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            // A client that goes away shows in what the exporter reports.
            let _ = connection.and_then(answer);
        }
    });
    address
}

#[test]
fn the_golden_metrics_are_what_the_fixture_host_gives() {
    let folder = tempfile::tempdir().unwrap();
    let target = serve_recorded_answers();
    let config = folder.path().join("targets.yml");
    std::fs::write(&config, read("tests/fixtures/host/targets.yml").replace("TARGET", &target)).unwrap();
    let flags = [
        concat_os("--path.procfs=", &project("tests/fixtures/host/proc")),
        concat_os("--config.file=", &config),
        concat_os("--collector.indicators.directory=", &project("tests/fixtures/indicators")),
        "--log.start=beginning".into(),
    ];
    let exporter = Exporter::start(folder.path(), &project("tests/fixtures/host/nl6"), &flags);
    // Logs, core files and mails are looked for in the background, and probes have their own schedule; once all of them
    // are there, the logs are read to their ends and that is stored, nothing changes any more.
    let mut before = String::new();
    let (metrics, text) = wait_for("results of the background", Duration::from_secs(60), || {
        let metrics = exporter.metrics();
        let missing = without_series(&metrics.0);
        let sum = |metric| metrics.series(metric).iter().map(|(_, value)| value).sum::<f64>();
        let probes = metrics.series("campaign_probe_runs_total").len();
        let is_asked = metrics.series("campaign_probe_success").len() == probes && probes > 0;
        let is_read = sum("campaign_log_lag_bytes") == 0.0;
        let stored = metrics.series("campaign_exporter_storage_successful");
        let is_stored = !stored.is_empty() && stored.iter().all(|(_, value)| *value == 1.0);
        let text = steady(&metrics.0, &target);
        let is_steady = std::mem::replace(&mut before, text.clone()) == text;
        if missing.is_empty() && is_asked && is_read && is_stored && is_steady {
            Ok((metrics, text))
        } else {
            Err(format!(
                "no series of {missing:?}; asked {is_asked}, read {is_read}, stored {is_stored}, steady {is_steady}"
            ))
        }
    });
    assert_golden(GOLDEN, &text);
    // Here is every metric that there is.
    assert_promtool_is_silent(&metrics.0);
}
