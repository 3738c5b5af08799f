//! What `/metrics` says: its form, and its whole text for a host that never changes.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::committed::{assert_golden, project};
use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, concat_os};
use crate::support::{program, wait_for};

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &[]);
    let exporter = Exporter::watch(folder.path(), &simulator);
    let text = exporter.metrics().0;
    assert!(text.contains("campaign_module_up{"), "{text}");

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

/// Series whose values depend on the moment, the machine or the build.
const CHANGING: [&str; 10] = [
    "campaign_core_last_scan_timestamp_seconds",
    "campaign_core_newest_timestamp_seconds",
    "campaign_mta_spool_last_scan_timestamp_seconds",
    "campaign_mta_spool_oldest_timestamp_seconds",
    "campaign_configuration_last_reload_timestamp_seconds",
    "campaign_exporter_build_info",
    "campaign_installation_info",
    "campaign_module_waiting_seconds",
    "campaign_scrape_collector_duration_seconds",
    "process_",
];

/// The text with `*` for what changes; help and type stay.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((series, _)) if CHANGING.iter().any(|start| line.starts_with(start)) => {
            format!("{} *\n", series.split('{').next().unwrap_or_default())
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_golden_metrics_are_what_the_fixture_host_gives() {
    let folder = tempfile::tempdir().unwrap();
    let procfs = concat_os("--path.procfs=", &project("tests/fixtures/host/proc"));
    let flags = [procfs, "--no-collector.probes".into()];
    let exporter = Exporter::start(folder.path(), &project("tests/fixtures/host/nl6"), &flags);
    // Logs, core files and mails are looked for in the background; once that is stored, nothing changes any more.
    let metrics = wait_for("results of the background", Duration::from_secs(60), || {
        let metrics = exporter.metrics();
        let is_there = metrics.value("campaign_exporter_storage_successful") == Some(1.0)
            && metrics.value("campaign_core_files").is_some()
            && !metrics.series("campaign_mta_spool_files").is_empty();
        if is_there { Ok(metrics) } else { Err(metrics.0) }
    });
    assert_golden("tests/fixtures/host/metrics.txt", &steady(&metrics.0));
}
