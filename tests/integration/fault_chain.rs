//! The chain from what the documentation lets an operator look for by hand to the operator's notification, with every
//! process real: a stolen port, a corrupt tracking line, undelivered emails, a core file, end points that report
//! trouble, a custom indicator at its threshold.
//!
//! One host and one exporter, and an operator for each language. What is looked for no more than once a minute (core
//! files, the Message Center queue) is in trouble from the start, so that the test waits for one such minute and not for two.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use campaign_exporter::catalog::signals::{self, THEMES};
use campaign_exporter::catalog::{AlertDef, Lang, Subject};
use campaign_exporter::parse::line::tracking_line_is_good;

use crate::chain::Operator;
use crate::specification;
use crate::support::simulator::Simulator;
use crate::support::stack::{Exporter, Pace, concat_os};
use crate::support::wait_for;

/// How long a notification may take: more than the minute, and its tenth, between two looks.
const LIMIT: Duration = Duration::from_secs(150);

/// The names of the targets in the configuration file of the probes.
const TARGET: &str = "front1";
const PIPELINE: &str = "pipeline";

/// The limits of a target: no answer is too late on a busy machine.
const PATIENT: &str = "    timeout: 60s\n    connect_timeout: 60s\n";

/// A custom indicator of the documentation.
const INDICATOR: &str = "Zombie Processes";

/// A fault, and its alert.
struct Tells {
    /// Makes it, and ends it; empty where it takes more than one order.
    fault: [&'static [&'static str]; 2],
    alert: &'static str,
    labels: Vec<(&'static str, String)>,
    /// The module whose row of the specification is the documented text; none where the alert has a text of its own.
    module: Option<&'static str>,
}

/// The faults of this test.
fn expected() -> Vec<Tells> {
    const MORE: [&[&str]; 2] = [&[], &[]];
    let target = || vec![("target", TARGET.to_owned())];
    vec![
        Tells {
            fault: MORE,
            alert: "CampaignSyslogdPort",
            labels: vec![("module", "syslogd".to_owned()), ("campaign_instance", "default".to_owned())],
            module: Some("syslogd"),
        },
        Tells {
            fault: MORE,
            alert: "CampaignMtaBacklog",
            labels: vec![("campaign_instance", "prod".to_owned())],
            module: Some("mta"),
        },
        Tells {
            fault: MORE,
            alert: "CampaignTrackingLogsCorrupt",
            labels: vec![("campaign_instance", "prod".to_owned())],
            module: None,
        },
        Tells { fault: MORE, alert: "CampaignCoreFiles", labels: Vec::new(), module: None },
        Tells {
            fault: [&["answer", "redir", "error"], &["answer", "redir", "ok"]],
            alert: "CampaignRedirectionDown",
            labels: target(),
            module: None,
        },
        Tells { fault: MORE, alert: "CampaignMessageCenterQueueFull", labels: target(), module: None },
        Tells {
            fault: [&["answer", "pipelined", "fail"], &["answer", "pipelined", "ok"]],
            alert: "CampaignPipelinedNotAnswering",
            labels: vec![("target", PIPELINE.to_owned())],
            module: None,
        },
        Tells {
            fault: [&["indicator", INDICATOR, "2"], &["indicator", INDICATOR, "1"]],
            alert: "CampaignIndicatorAlert",
            labels: vec![("indicator", INDICATOR.to_owned()), ("label", "Current Value".to_owned())],
            module: None,
        },
    ]
}

impl Tells {
    /// What the operator is to do, word for word.
    fn troubleshooting(&self, lang: Lang) -> String {
        let alert = signals::alerts().find(|alert| alert.name == self.alert).unwrap();
        match (self.module, alert.subject) {
            (Some(module), Subject::Module(about)) if about.name == module => {
                specification::troubleshooting(module, lang)
            }
            (None, Subject::Own { .. }) => alert.advice.get(lang).to_owned(),
            (module, subject) => panic!("{}: {module:?} and {subject:?}", self.alert),
        }
    }
}

/// What the operator was told last of `alert`: `firing` or `resolved`.
fn last_told(operator: &Operator, alert: &str) -> Option<String> {
    let told = operator.receiver.notified();
    told.iter().rfind(|one| one.labels["alertname"] == alert).map(|one| one.status.clone())
}

/// Waits until `status` is what the operator was told last of every alert. On a machine that is too busy for a scrape, an
/// alert may end and come back in between.
#[track_caller]
fn await_last_told(operator: &Operator, status: &str, expected: &[Tells], lang: Lang) {
    for tells in expected {
        let what = format!("notification: {} {status}, in {}", tells.alert, lang.tag());
        wait_for(&what, LIMIT, || match last_told(operator, tells.alert) {
            Some(told) if told == status => Ok(()),
            other => Err(other),
        });
    }
}

/// The alerts on what this test is about that the operator was told of. Not the one on shared memory: the kernel counts
/// the segments of a user, and the other tests' hosts have the same one.
fn told_of(operator: &Operator, expected: &[Tells]) -> BTreeSet<&'static str> {
    let is_here =
        |alerts: &[AlertDef]| alerts.iter().any(|alert| expected.iter().any(|tells| tells.alert == alert.name));
    let alerts = THEMES.iter().map(|theme| theme.alerts).filter(|alerts| is_here(alerts)).flatten();
    let names = alerts.map(|alert| alert.name).filter(|name| *name != "CampaignSharedMemoryLeft");
    names.filter(|name| last_told(operator, name).is_some()).collect()
}

/// A configuration of the probes for the simulated web server, with the session token that it asks for.
fn probes_file(folder: &Path, simulator: &Simulator) -> PathBuf {
    let token = simulator.session_token_file(folder);
    let file = folder.join("probes.yml");
    let (web, pipelined) = (simulator.port("web.httpPort"), simulator.port("pipelined@prod.monitorServerPort"));
    let text = format!(
        "targets:\n  - name: {TARGET}\n    url: http://127.0.0.1:{web}\n    probes: [redirection, message_center]\n    \
         intervals: {{redirection: 1s}}\n{PATIENT}    session_token_file: {}\n    session_token_header: X-Session-Token\n  \
         - name: {PIPELINE}\n    url: http://127.0.0.1:{pipelined}\n    probes: [pipelined]\n    \
         paths: {{pipelined: /status}}\n    intervals: {{pipelined: 10s}}\n{PATIENT}",
        token.display()
    );
    fs::write(&file, text).unwrap();
    file
}

/// What the documentation tells the operator to do: deletes the corrupt lines of a tracking log.
fn delete_corrupt_lines(file: &Path) {
    let lines = fs::read(file).unwrap();
    let good = lines.split_inclusive(|byte| *byte == b'\n');
    let good = good.filter(|line| line.strip_suffix(b"\n").is_none_or(tracking_line_is_good));
    let mended = file.with_extension("mended");
    fs::write(&mended, good.collect::<Vec<_>>().concat()).unwrap();
    fs::rename(mended, file).unwrap();
}

fn check(module: &str, instance: &str, check: &str) -> String {
    format!("campaign_module_check{{module=\"{module}\",campaign_instance=\"{instance}\",check=\"{check}\"}}")
}

#[test]
fn faults_that_were_looked_for_by_hand_reach_the_operator_with_the_documented_texts_and_are_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let simulator = Simulator::start(path, &["--autostart", "mta,stat,inMail,wfserver,pipelined"]);
    let core = simulator.fault(&["core", "4711"]);
    // No older than the exporter's first start, which is known to the second.
    let newer = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::options().write(true).open(core.trim()).unwrap().set_modified(newer).unwrap();
    simulator.fault(&["answer", "mcping", "full:400/400"]);
    let probes = probes_file(path, &simulator);
    let indicators = PathBuf::from(simulator.fault(&["indicator", INDICATOR, "1"]).trim());
    let flags = [concat_os("--config.file=", &probes), concat_os("--collector.indicators.directory=", &indicators)];
    let exporter = Exporter::watch_with(path, &simulator, &flags);
    let operators = Lang::ALL.map(|lang| {
        let own = path.join(lang.tag());
        fs::create_dir(&own).unwrap();
        (lang, Operator::start(&own, Pace::TEST, lang, &exporter.address))
    });
    let syslogd_port = simulator.port("syslogd.port");

    // The healthy part of the host is seen healthy first.
    let port_labels =
        format!("{{module=\"syslogd\",campaign_instance=\"default\",port=\"{syslogd_port}\",protocol=\"udp\"}}");
    let (bound, owned) = (format!("campaign_port_bound{port_labels}"), format!("campaign_port_owned{port_labels}"));
    let port = check("syslogd", "default", "port");
    let (children, redirection) = (check("mta", "prod", "children"), check("web", "default", "redirection"));
    let integrity = check("trackinglogd", "default", "log_integrity");
    let waiting = "campaign_mta_spool_files{campaign_instance=\"prod\"}";
    let full = format!("campaign_message_center_queue_full{{target=\"{TARGET}\"}}");
    let answers = format!("campaign_probe_success{{probe=\"pipelined\",target=\"{PIPELINE}\"}}");
    let indicator = format!("campaign_indicator_value{{indicator=\"{INDICATOR}\",label=\"Current Value\"}}");
    let healthy: &[(&str, Option<f64>)] = &[
        (&answers, Some(1.0)),
        (&indicator, Some(1.0)),
        (&bound, Some(1.0)),
        (&owned, Some(1.0)),
        (&port, Some(1.0)),
        (&children, Some(1.0)),
        (&redirection, Some(1.0)),
        (&integrity, Some(1.0)),
    ];
    exporter.wait_for_values(healthy);

    simulator.fault(&["close-port", "syslogd"]);
    let thief = UdpSocket::bind(("127.0.0.1", syslogd_port)).unwrap();
    let expected = expected();
    for fault in expected.iter().map(|tells| tells.fault[0]).filter(|fault| !fault.is_empty()) {
        simulator.fault(fault);
    }
    simulator.fault(&["children", "mta@prod", "0"]);
    simulator.fault(&["spool", "prod", "7"]);
    let tracking_log = PathBuf::from(simulator.fault(&["corrupt", "prod"]).trim());

    for (lang, operator) in &operators {
        for tells in &expected {
            let what = format!("notification: {} firing, in {}", tells.alert, lang.tag());
            let told = operator.receiver.wait_for(&what, LIMIT, |one| one.is("firing", tells.alert));
            for (label, value) in &tells.labels {
                assert_eq!(told.labels[label], *value, "{}: {label}", tells.alert);
            }
            assert_eq!(told.annotations["troubleshooting"], tells.troubleshooting(*lang), "{}", tells.alert);
            let description = told.annotations["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty() && !description.contains("{{"), "{}: {description}", tells.alert);
        }
    }
    let faulty: &[(&str, Option<f64>)] = &[
        (&answers, Some(0.0)),
        (&indicator, Some(2.0)),
        (&bound, Some(1.0)),
        (&owned, Some(0.0)),
        (&port, Some(0.0)),
        (waiting, Some(7.0)),
        (&children, Some(0.0)),
        ("campaign_core_files", Some(1.0)),
        (&redirection, Some(0.0)),
        (&integrity, Some(0.0)),
        (&full, Some(1.0)),
    ];
    exporter.wait_for_values(faulty);
    let program = fs::read_to_string("/proc/self/comm").unwrap();
    let held = format!(
        "port {syslogd_port}/udp of syslogd@default is held by PID {} ({})",
        process::id(),
        program.trim_end_matches('\n')
    );
    exporter.wait_for_log(&[&held]);
    let place = format!("{} line=", tracking_log.file_name().unwrap().display());
    exporter.wait_for_log(&["a tracking line is corrupt", &place]);

    // Undelivered emails pile up.
    simulator.fault(&["spool", "prod", "40"]);
    exporter.wait_for_values(&[(waiting, Some(40.0))]);
    for (lang, operator) in &operators {
        await_last_told(operator, "firing", &expected, *lang);
    }

    drop(thief);
    simulator.fault(&["open-port", "syslogd"]);
    for end in expected.iter().map(|tells| tells.fault[1]).filter(|end| !end.is_empty()) {
        simulator.fault(end);
    }
    simulator.fault(&["answer", "mcping", "ok"]);
    simulator.fault(&["children", "mta@prod", "1"]);
    fs::remove_file(core.trim()).unwrap();
    delete_corrupt_lines(&tracking_log);
    for (lang, operator) in &operators {
        await_last_told(operator, "resolved", &expected, *lang);
        let names: BTreeSet<_> = expected.iter().map(|tells| tells.alert).collect();
        assert_eq!(told_of(operator, &expected), names, "of nothing else, in {}", lang.tag());
    }
    let ended = [(waiting, Some(40.0)), ("campaign_core_files", Some(0.0)), (&*full, Some(0.0))];
    exporter.wait_for_values(&[healthy, &ended].concat());
}
