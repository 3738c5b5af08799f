//! Ports, mails that wait and what crashes leave behind, on the simulated host: what each fault does to the metrics, the
//! checks and the log.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use campaign_exporter::catalog::Lang;
use campaign_exporter::catalog::signals::ports::HELD_BY_ANOTHER;

use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, Metrics, concat_os};
use crate::support::{built, get, run, wait_for};

/// Scrapes until `value` is what `series` has: what is looked for in the background may come a scrape later.
#[track_caller]
fn wait_for_value(exporter: &Exporter, series: &str, value: f64) -> Metrics {
    wait_for(series, Duration::from_secs(90), || {
        let metrics = exporter.metrics();
        let found = metrics.value(series);
        if found == Some(value) { Ok(metrics) } else { Err(found) }
    })
}

fn check(module: &str, instance: &str, check: &str) -> String {
    format!("campaign_module_check{{module=\"{module}\",campaign_instance=\"{instance}\",check=\"{check}\"}}")
}

#[test]
fn a_healthy_host_passes_every_check_and_a_stolen_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &["--instances", "prod"]);
    let exporter = Exporter::watch(folder.path(), &simulator);
    let metrics = wait_for_value(&exporter, "campaign_mta_spool_files{campaign_instance=\"prod\"}", 0.0);
    for (module, instance, name) in [
        ("syslogd", "default", "port"),
        ("web", "default", "http_port"),
        ("web", "default", "control_port"),
        ("stat", "prod", "port"),
        ("mta", "prod", "children"),
        ("trackinglogd", "default", "shared_memory"),
    ] {
        let series = check(module, instance, name);
        assert_eq!(metrics.value(&series), Some(1.0), "{series}");
    }
    for series in metrics.series("campaign_port_bound").into_iter().chain(metrics.series("campaign_port_owned")) {
        assert_eq!(series.1, 1.0, "{}", series.0);
    }
    assert_eq!(metrics.series("campaign_port_owned").len(), 4);
    wait_for_value(&exporter, "campaign_core_files", 0.0);

    let number = simulator.port("syslogd.port");
    let labels = format!("{{module=\"syslogd\",campaign_instance=\"default\",port=\"{number}\",protocol=\"udp\"}}");
    simulator.fault(&["close-port", "syslogd"]);
    let metrics = exporter.metrics();
    assert_eq!(metrics.value(&format!("campaign_port_bound{labels}")), Some(0.0));
    assert_eq!(metrics.value(&format!("campaign_port_owned{labels}")), None);
    assert_eq!(metrics.value(&check("syslogd", "default", "port")), Some(0.0));

    let thief = UdpSocket::bind(("127.0.0.1", number)).unwrap();
    let metrics = exporter.metrics();
    assert_eq!(metrics.value(&format!("campaign_port_bound{labels}")), Some(1.0));
    assert_eq!(metrics.value(&format!("campaign_port_owned{labels}")), Some(0.0));
    assert_eq!(metrics.value(&check("syslogd", "default", "port")), Some(0.0));
    let named = format!("port {number}/udp of syslogd@default is held by PID {}", std::process::id());
    wait_for("program in the log", Duration::from_secs(90), || {
        exporter.metrics();
        let log = exporter.process.output();
        if log.contains(&named) { Ok(()) } else { Err(log) }
    });
    // People read it on the page and in the terminal; in a label it would be a series without bound.
    let holder = format!("{number}/udp, PID {} ({})", std::process::id(), own_name());
    for (lang, text) in [(Lang::En, HELD_BY_ANOTHER.en), (Lang::PtBr, HELD_BY_ANOTHER.pt_br)] {
        let page = get(&exporter.url("/status"), &[("lang", lang.tag())]).unwrap();
        let article = page.split("<article").find(|article| article.contains(">syslogd</h3>"));
        let article = article.unwrap_or_else(|| panic!("{page}"));
        assert!(article.contains(&format!("<p class=\"remark\">{}: {holder}.</p>", capital(text))), "{article}");
    }
    // A single look waits for the search through all processes.
    let text = check_in_terminal(&simulator, number);
    assert!(text.contains(&format!("\n  {}: {holder}.\n", capital(HELD_BY_ANOTHER.en))), "{text}");
    assert!(!exporter.metrics().0.contains("PID"));

    drop(thief);
    simulator.fault(&["open-port", "syslogd"]);
    let metrics = exporter.metrics();
    assert_eq!(metrics.value(&format!("campaign_port_owned{labels}")), Some(1.0));
    assert_eq!(metrics.value(&check("syslogd", "default", "port")), Some(1.0));
    assert!(!get(&exporter.url("/status"), &[]).unwrap().contains("class=\"remark\""));
}

fn capital(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}

/// The name of this process's program, as the kernel has it.
fn own_name() -> String {
    std::fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned()
}

/// What `campaign_exporter check` prints.
fn check_in_terminal(simulator: &Simulator, syslogd: u16) -> String {
    let mut command = Command::new(built("campaign_exporter"));
    command.arg("check").arg(concat_os("--campaign.home=", simulator.home()));
    let output = run(command.arg(format!("--collector.ports.syslogd-port={syslogd}")));
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn mails_that_wait_and_a_core_file_are_seen_and_gone_again() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &["--instances", "prod"]);
    simulator.fault(&["children", "mta@prod", "0"]);
    simulator.fault(&["spool", "prod", "25"]);
    simulator.fault(&["core", "4711"]);
    let exporter = Exporter::watch(folder.path(), &simulator);
    let files = "campaign_mta_spool_files{campaign_instance=\"prod\"}";
    let metrics = wait_for_value(&exporter, files, 25.0);
    assert_eq!(metrics.value(&check("mta", "prod", "children")), Some(0.0));
    assert!(metrics.value("campaign_mta_spool_oldest_timestamp_seconds{campaign_instance=\"prod\"}").unwrap() > 1e9);
    let metrics = wait_for_value(&exporter, "campaign_core_files", 1.0);
    assert!(metrics.value("campaign_core_newest_timestamp_seconds").unwrap() > 1e9);
    assert!(exporter.process.output().contains("core.4711"), "{}", exporter.process.output());

    simulator.fault(&["children", "mta@prod", "1"]);
    assert_eq!(exporter.metrics().value(&check("mta", "prod", "children")), Some(1.0));
    simulator.fault(&["spool", "prod", "0"]);
    wait_for_value(&exporter, files, 0.0);
}
