//! `make demo`: a simulated Campaign host with the exporter, Prometheus and Alertmanager on it, with the rules as they are
//! shipped. Prints the addresses and what the chain does, until Ctrl-C or for as many seconds as the argument says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a demonstration")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::receiver::Receiver;
use support::simulator::Simulator;
use support::stack::{Alertmanager, Exporter, Pace, Prometheus};
use support::{get_json, wait_for};

/// How often the demo tells what it sees.
const TELL_EVERY: Duration = Duration::from_secs(15);

fn main() {
    let seconds = std::env::args().nth(1).map(|text| text.parse().expect("SECONDS is a whole number"));
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));

    let interrupt = interrupt();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    let rules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("alerts/en/campaign.rules.yml");
    let receiver = Receiver::start();
    let simulator = Simulator::start(path, &["--instances", "prod,dev"]);
    let exporter = Exporter::watch(path, &simulator);
    let alertmanager = Alertmanager::start(path, Pace::REAL, Some(&receiver.url()));
    let prometheus =
        Prometheus::start(path, Pace { scrape: "5s", ..Pace::REAL }, &exporter.address, &alertmanager.address, &rules);

    println!("simulated host   {} (its command: {})", path.display(), nlserver(simulator.home()).display());
    println!("exporter         http://{}/", exporter.address);
    println!("Prometheus       http://{}/alerts", prometheus.address);
    println!("Alertmanager     http://{}/", alertmanager.address);
    println!("try              {} sim hold; {0} sim die mta@prod", nlserver(simulator.home()).display());

    prometheus.wait_for_target();
    let up = exporter.metrics().series("campaign_module_up").iter().filter(|(_, up)| *up > 0.0).count();
    println!("target           up; {up} modules run");
    println!("rules            {} loaded, none failing", healthy_rules(&prometheus));
    let reached = wait_for("Alertmanager that Prometheus knows", Duration::from_secs(30), || {
        let data = prometheus.api("alertmanagers")?;
        data["activeAlertmanagers"][0]["url"].as_str().map(str::to_owned).ok_or_else(|| data.to_string())
    });
    println!("reached          {reached}");

    let mut told = 0;
    loop {
        let pause = end.map_or(TELL_EVERY, |end| TELL_EVERY.min(end.saturating_duration_since(Instant::now())));
        if interrupt.recv_timeout(pause).is_ok() {
            break;
        }
        let notified = receiver.notified();
        for one in &notified[told..] {
            println!(
                "notification     {} {}: {}",
                one.status, one.labels["alertname"], one.annotations["troubleshooting"]
            );
        }
        told = notified.len();
        let alerts = get_json(&format!("http://{}/api/v2/alerts", alertmanager.address), &[])
            .map_or(0, |list| list.as_array().map_or(0, Vec::len));
        println!(
            "now              {} samples in a scrape, {alerts} alerts in Alertmanager",
            exporter.metrics().0.lines().filter(|line| !line.starts_with('#')).count()
        );
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
}

/// Tells of Ctrl-C, so that everything ends in order and leaves nothing behind.
fn interrupt() -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(tokio::signal::ctrl_c()).expect("the signal of Ctrl-C");
        // The demo may just have ended by itself.
        let _ = tell.send(());
    });
    told
}

/// How many alerting rules Prometheus has evaluated without an error.
fn healthy_rules(prometheus: &Prometheus) -> usize {
    wait_for("rules that were evaluated", Duration::from_secs(60), || {
        let data = prometheus.api("rules")?;
        let groups = data["groups"].as_array().ok_or("no groups")?;
        let rules: Vec<_> = groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
        let ill: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
        if ill.is_empty() && !rules.is_empty() { Ok(rules.len()) } else { Err(format!("{ill:?}")) }
    })
}

fn nlserver(home: &Path) -> PathBuf {
    home.join("bin/nlserver")
}
