//! Ports, queued emails and what crashes leave behind, on the simulated host: what each fault does to the metrics, the
//! checks and the log.

use std::net::UdpSocket;
use std::process::Command;

use campaign_exporter::catalog::Lang;
use campaign_exporter::catalog::signals::ports::HELD_BY_ANOTHER;

use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, Metrics, concat_os};
use crate::support::{built, get, run};

/// Scrapes until one series has its value.
#[track_caller]
fn wait_for_value(exporter: &Exporter, series: &str, value: f64) -> Metrics {
    exporter.wait_for_values(&[(series, Some(value))])
}

fn check(module: &str, instance: &str, check: &str) -> String {
    format!("campaign_module_check{{module=\"{module}\",campaign_instance=\"{instance}\",check=\"{check}\"}}")
}

#[test]
fn a_healthy_host_passes_every_check_and_a_stolen_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &["--instances", "prod"]);
    let exporter = Exporter::watch(folder.path(), &simulator);
    let checks = [
        ("syslogd", "default", "port"),
        ("web", "default", "http_port"),
        ("web", "default", "control_port"),
        ("stat", "prod", "port"),
        ("mta", "prod", "children"),
        ("trackinglogd", "default", "shared_memory"),
    ]
    .map(|(module, instance, name)| check(module, instance, name));
    let mut healthy: Vec<_> = checks.iter().map(|series| (&**series, Some(1.0))).collect();
    healthy.push(("campaign_mta_spool_files{campaign_instance=\"prod\"}", Some(0.0)));
    healthy.push(("campaign_core_files", Some(0.0)));
    let metrics = exporter.wait_for_values(&healthy);
    for metric in ["campaign_port_bound", "campaign_port_owned"] {
        let series = metrics.series(metric);
        assert!(series.len() == 4 && series.iter().all(|(_, value)| *value == 1.0), "{series:?}");
    }

    let number = simulator.port("syslogd.port");
    let labels = format!("{{module=\"syslogd\",campaign_instance=\"default\",port=\"{number}\",protocol=\"udp\"}}");
    let (bound, owned) = (format!("campaign_port_bound{labels}"), format!("campaign_port_owned{labels}"));
    let port_check = check("syslogd", "default", "port");
    simulator.fault(&["close-port", "syslogd"]);
    // Nothing is looked for where nothing listens: the next scrape says so.
    let metrics = exporter.metrics();
    assert_eq!(metrics.value(&bound), Some(0.0));
    assert_eq!(metrics.value(&owned), None);
    assert_eq!(metrics.value(&port_check), Some(0.0));

    let thief = UdpSocket::bind(("127.0.0.1", number)).unwrap();
    let metrics = exporter.metrics();
    assert_eq!(metrics.value(&bound), Some(1.0));
    assert_ne!(metrics.value(&owned), Some(1.0), "whose it is may not be known yet");
    assert_ne!(metrics.value(&port_check), Some(1.0), "what is not known yet does not pass");
    exporter.wait_for_values(&[(&bound, Some(1.0)), (&owned, Some(0.0)), (&port_check, Some(0.0))]);
    let named = format!("port {number}/udp of syslogd@default is held by PID {}", std::process::id());
    exporter.wait_for_log(&[&named]);
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
    exporter.wait_for_values(&[(&bound, Some(1.0)), (&owned, Some(1.0)), (&port_check, Some(1.0))]);
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
    let children = check("mta", "prod", "children");
    let metrics = exporter.wait_for_values(&[(files, Some(25.0)), (&children, Some(0.0))]);
    assert!(metrics.value("campaign_mta_spool_oldest_timestamp_seconds{campaign_instance=\"prod\"}").unwrap() > 1e9);
    let metrics = wait_for_value(&exporter, "campaign_core_files", 1.0);
    assert!(metrics.value("campaign_core_newest_timestamp_seconds").unwrap() > 1e9);
    exporter.wait_for_log(&["core.4711"]);

    simulator.fault(&["children", "mta@prod", "1"]);
    wait_for_value(&exporter, &children, 1.0);
    simulator.fault(&["spool", "prod", "0"]);
    wait_for_value(&exporter, files, 0.0);
}
