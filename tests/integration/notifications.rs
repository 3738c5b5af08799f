//! How many notifications a fault makes: real processes of simulated hosts, the exporter, Prometheus with the rules,
//! Alertmanager with the kit's configuration and templates, and a mail server that counts.
//!
//! Time is shortened by one factor for everything that waits: rules, ranges, graces, grouping, scrapes. What takes hours
//! of the real time is played by `scenarios`. Every host is a job of its own, so that none is a part of another one's
//! fleet, and all of them go through their fault at the same time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use campaign_exporter::catalog::Lang;
use campaign_exporter::render::alertmanager::{configuration, templates};
use campaign_exporter::render::rules::options::{Options, selector};
use campaign_exporter::render::rules::render;

use crate::support::mailbox::{Mail, Mailbox};
use crate::support::relay::{Answer, Relay};
use crate::support::simulator::Simulator;
use crate::support::stack::{Alertmanager, Exporter, Prometheus, concat_os};
use crate::support::wait_for;

/// How many seconds of the real time pass in one of the test. A higher pace makes notifications of answers that are late
/// on a busy machine.
const PACE: f64 = 15.0;

/// Seconds of the test between two scrapes: half a minute of the real time.
const SCRAPE_INTERVAL: f64 = 30.0 / PACE;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(180);

/// Hosts that have a module down together.
const FLEET: usize = 120;

/// A duration of the real time, as short as the test has it.
fn shortened(duration: &str) -> String {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let unit = BTreeMap::from([("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)])[unit];
    format!("{:.0}ms", (number.parse::<f64>().unwrap() * unit * 1000.0 / PACE).max(100.0))
}

/// `text` with every duration after one of `marks` shortened.
fn with_short_times(text: &str, marks: &[&str]) -> String {
    let mut text = text.to_owned();
    for mark in marks {
        let mut pieces = text.split(mark);
        let mut short = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let end = piece.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(piece.len());
            let (duration, rest) = piece.split_at(end);
            let is_duration = duration.starts_with(|c: char| c.is_ascii_digit());
            short.push_str(mark);
            short.push_str(&if is_duration { shortened(duration) } else { duration.to_owned() });
            short.push_str(rest);
        }
        text = short;
    }
    text
}

fn short_rules() -> String {
    let mut options = Options { selector: selector("job=~\".+\"").unwrap(), ..Options::default() };
    // The kernel counts the segments of a user, and all hosts of the test have the same one.
    options.without.push("CampaignSharedMemoryLeft".to_owned());
    for (name, seconds) in [("boot_grace_seconds", 600.0), ("start_grace_seconds", 120.0)] {
        options.thresholds.insert(name.to_owned(), (seconds / PACE).to_string());
    }
    let text = with_short_times(&render(&options).unwrap(), &["for: ", "interval: ", "[", "offset "]);
    let seconds = |number: f64| (number / PACE).to_string();
    text.replace("} < 300)", &format!("}} < {})", seconds(300.0)))
        .replace("} - 3600)", &format!("}} - {})", seconds(3600.0)))
}

/// The kit with the address of the mail server, with no receiver but mail, and short times.
fn short_kit(mailbox: &Mailbox) -> String {
    let kit = configuration();
    let (before, rest) = kit.split_once("    slack_configs:").expect("the kit has a receiver for Slack");
    let (_, rules) = rest.split_once("\ninhibit_rules:").expect("the kit has inhibitions");
    let text = format!("{before}\ninhibit_rules:{rules}").replace("localhost:25", &mailbox.address());
    with_short_times(&text, &["group_wait: ", "group_interval: "])
}

/// A simulated host with an exporter, which Prometheus reaches through a relay.
struct Host<'a> {
    name: &'static str,
    stage: &'a Stage,
    simulator: Simulator,
    exporter: Option<Exporter>,
    folder: &'a Path,
}

impl Host<'_> {
    fn flags(&self) -> Vec<std::ffi::OsString> {
        let file = self.folder.join("probes.yml");
        let text = format!(
            "targets:\n  - name: localhost\n    url: http://127.0.0.1:{}\n    probes: [redirection]\n    \
             intervals: {{redirection: 2s}}\n    timeout: 20s\n    connect_timeout: 20s\n",
            self.simulator.port("web.httpPort")
        );
        fs::write(&file, text).unwrap();
        vec![concat_os("--config.file=", &file)]
    }

    /// Starts the exporter, for the first time or again. With `booted`, the host seems to have started only then.
    fn start_exporter(&mut self, booted: Option<u64>) {
        let exporter = Exporter::watch_with(self.folder, &self.simulator, &self.flags());
        self.stage.relay.set(self.name, Answer::Of { address: exporter.address.clone(), booted });
        self.exporter = Some(exporter);
    }

    fn stop_exporter(&mut self, answer: Answer) {
        self.stage.relay.set(self.name, answer);
        self.exporter = None;
    }

    /// Waits until the operator has the mail `wanted`, as in `firing CampaignMtaDown`.
    #[track_caller]
    fn await_mail(&self, wanted: &str) {
        self.stage.await_mail(self.name, wanted);
    }

    /// Waits until the operator has so many mails.
    #[track_caller]
    fn await_mails(&self, count: usize) {
        wait_for(&format!("{count} mails of {}", self.name), LIMIT, || {
            let told = self.stage.told(self.name);
            if told.len() >= count { Ok(()) } else { Err(told) }
        });
    }

    /// Waits until an alert fires no more, and Alertmanager has seen that: it looks at a group once in its interval.
    #[track_caller]
    fn await_end(&self, alert: &str) {
        let query = format!("ALERTS{{alertstate=\"firing\",alertname=\"{alert}\",job=\"{}\"}}", self.name);
        wait_for(&format!("the end of {alert} of {}", self.name), LIMIT, || {
            let firing = self.stage.prometheus.query(&query)?;
            if firing.is_empty() { Ok(()) } else { Err(format!("{firing:?}")) }
        });
        self.let_pass(8);
    }

    /// Waits until Prometheus has scraped the host for so many minutes of the real time.
    #[track_caller]
    fn let_pass(&self, minutes: u32) {
        self.stage.let_pass(self.name, minutes);
    }
}

/// What all hosts have in common.
struct Stage {
    relay: Relay,
    mailbox: Mailbox,
    prometheus: Prometheus,
    alertmanager: Alertmanager,
}

impl Stage {
    /// What the operator was told of the host `name`, in order: what happened, and the alert of the first page.
    fn told(&self, name: &str) -> Vec<String> {
        self.mails(name).iter().map(headline).collect()
    }

    fn mails(&self, name: &str) -> Vec<Mail> {
        let mails = self.mailbox.mails().into_iter();
        mails
            .filter(|mail| mail.subject.contains(&host(name)) || mail.subject.contains(&format!("of {name}.")))
            .collect()
    }

    #[track_caller]
    fn await_mail(&self, name: &str, wanted: &str) {
        wait_for(&format!("mail: {wanted}, of {name}"), LIMIT, || {
            let told = self.told(name);
            if told.iter().any(|one| one == wanted) { Ok(()) } else { Err(told) }
        });
    }

    #[track_caller]
    fn let_pass(&self, name: &str, minutes: u32) {
        let_pass(&self.prometheus, name, minutes);
    }

    /// The alerts of the host that have fired, without those that are only good to know.
    fn fired(&self, name: &str) -> Vec<String> {
        let query = format!(
            "group by (alertname) (max_over_time(ALERTS{{alertstate=\"firing\",severity!=\"info\",job=\"{name}\"}}[1h]))"
        );
        let mut names: Vec<_> = self.prometheus.query(&query).unwrap().iter().map(name_of).collect();
        names.sort();
        names
    }
}

/// Waits until `prometheus` has scraped the host `name` for so many minutes of the real time.
#[track_caller]
fn let_pass(prometheus: &Prometheus, name: &str, minutes: u32) {
    let scrapes = f64::from(minutes) * 60.0 / PACE / SCRAPE_INTERVAL;
    let count = || -> Result<f64, String> {
        let series = prometheus.query(&format!("max(count_over_time(up{{job=\"{name}\"}}[1h]))"))?;
        let value = series.first().and_then(|one| one["value"][1].as_str()?.parse().ok());
        value.ok_or_else(|| "no scrape".to_owned())
    };
    let from = wait_for("a first scrape", LIMIT, count);
    wait_for(&format!("{minutes} minutes of {name}"), LIMIT, || match count() {
        Ok(now) if now >= from + scrapes => Ok(()),
        other => Err(format!("{from} and {scrapes}: {other:?}")),
    });
}

fn name_of(series: &serde_json::Value) -> String {
    series["metric"]["alertname"].as_str().unwrap_or_default().to_owned()
}

fn headline(mail: &Mail) -> String {
    let alert = mail.text.split(".md").next().and_then(|before| before.rsplit('/').next()).unwrap_or_default();
    let status = if mail.subject.starts_with("Resolved: ") { "resolved" } else { "firing" };
    format!("{status} {alert}")
}

/// The label `instance` of a job's host.
fn host(job: &str) -> String {
    format!("{job}.example")
}

/// What happens to a host, and what the operator is told.
struct Row {
    name: &'static str,
    /// What is done before the exporter starts for the first time.
    before: fn(&Simulator),
    play: fn(&mut Host),
    /// The alerts that fire.
    fires: &'static [&'static str],
    /// The mails, in order.
    told: &'static [&'static str],
}

const fn nothing(_: &Simulator) {}

const ROWS: &[Row] = &[
    Row {
        name: "mta-killed",
        before: nothing,
        play: |host| {
            host.simulator.fault(&["hold", "mta@prod"]);
            host.simulator.fault(&["die", "mta@prod"]);
            host.await_mail("firing CampaignMtaDown");
            host.let_pass(6);
        },
        fires: &["CampaignMtaDown"],
        told: &["firing CampaignMtaDown"],
    },
    Row {
        name: "module-stopped",
        before: nothing,
        play: |host| {
            host.simulator.nlserver(&["stop", "inMail@prod"]);
            host.await_mail("firing CampaignInMailDown");
            host.let_pass(6);
        },
        fires: &["CampaignInMailDown"],
        told: &["firing CampaignInMailDown"],
    },
    Row {
        name: "all-stopped",
        before: nothing,
        play: |host| {
            host.simulator.nlserver(&["shutdown"]);
            host.await_mail("firing CampaignNoProcessStarts");
            host.let_pass(8);
        },
        fires: &["CampaignNoProcessStarts"],
        told: &["firing CampaignNoProcessStarts"],
    },
    Row {
        name: "crash-loop",
        before: nothing,
        play: |host| {
            for _ in 0..5 {
                host.simulator.fault(&["die", "mta@prod"]);
                host.simulator.fault(&["wait", "mta@prod", "up"]);
                host.let_pass(1);
            }
            host.await_mail("firing CampaignModuleRestarting");
            host.let_pass(5);
        },
        fires: &["CampaignModuleRestarting"],
        told: &["firing CampaignModuleRestarting"],
    },
    Row {
        name: "host-dead",
        before: nothing,
        play: |host| {
            host.stop_exporter(Answer::Hangs);
            host.simulator.nlserver(&["shutdown"]);
            host.await_mail("firing CampaignExporterDown");
            host.let_pass(6);
        },
        fires: &["CampaignExporterDown"],
        told: &["firing CampaignExporterDown"],
    },
    Row {
        name: "exporter-down",
        before: nothing,
        play: |host| {
            host.stop_exporter(Answer::Nothing);
            host.await_mail("firing CampaignExporterDown");
            host.let_pass(6);
        },
        fires: &["CampaignExporterDown"],
        told: &["firing CampaignExporterDown"],
    },
    Row {
        // The alert of mta is never resolved: not while the exporter is silent, and not when it is back.
        name: "silent-exporter",
        before: nothing,
        play: |host| {
            host.simulator.fault(&["hold", "mta@prod"]);
            host.simulator.fault(&["die", "mta@prod"]);
            host.await_mail("firing CampaignMtaDown");
            host.stop_exporter(Answer::Nothing);
            host.await_mail("firing CampaignExporterDown");
            host.let_pass(3);
            host.start_exporter(None);
            host.await_mail("resolved CampaignExporterDown");
            host.let_pass(6);
        },
        fires: &["CampaignExporterDown", "CampaignMtaDown"],
        told: &["firing CampaignMtaDown", "firing CampaignExporterDown", "resolved CampaignExporterDown"],
    },
    Row {
        name: "syslogd-hung",
        before: nothing,
        play: |host| {
            host.simulator.fault(&["hang", "syslogd@default"]);
            host.simulator.nlserver(&["restart", "stat@prod"]);
            host.simulator.nlserver(&["restart", "inMail@prod"]);
            host.await_mail("firing CampaignModuleUnresponsive");
            host.let_pass(16);
            host.simulator.fault(&["resume", "syslogd@default"]);
            host.await_mail("resolved CampaignModuleUnresponsive");
        },
        fires: &["CampaignModuleUnresponsive"],
        told: &["firing CampaignModuleUnresponsive", "resolved CampaignModuleUnresponsive"],
    },
    Row {
        name: "web-hung",
        before: nothing,
        play: |host| {
            host.simulator.fault(&["hang", "web@default"]);
            host.await_mail("firing CampaignModuleUnresponsive");
            host.let_pass(6);
            host.simulator.fault(&["resume", "web@default"]);
            host.await_mail("resolved CampaignModuleUnresponsive");
        },
        fires: &["CampaignModuleUnresponsive"],
        told: &["firing CampaignModuleUnresponsive", "resolved CampaignModuleUnresponsive"],
    },
    Row {
        name: "import-failed",
        before: nothing,
        play: |host| {
            host.simulator.run_utility("import", "prod", true);
            host.simulator.run_utility("import", "prod", false);
            host.await_mail("firing CampaignImportFailed");
            host.let_pass(8);
        },
        fires: &["CampaignImportFailed"],
        told: &["firing CampaignImportFailed"],
    },
    Row {
        name: "import-failed-twice",
        before: nothing,
        play: |host| {
            host.simulator.run_utility("import", "prod", true);
            host.await_mail("firing CampaignImportFailed");
            host.await_end("CampaignImportFailed");
            host.simulator.run_utility("import", "prod", true);
            host.await_mails(2);
            host.let_pass(8);
        },
        fires: &["CampaignImportFailed"],
        told: &["firing CampaignImportFailed", "firing CampaignImportFailed"],
    },
    Row {
        name: "restarts",
        before: nothing,
        play: |host| {
            host.simulator.fault(&["daily-restart"]);
            host.let_pass(3);
            host.stage.relay.miss(host.name, 2);
            host.let_pass(5);
            host.start_exporter(None);
            host.let_pass(8);
        },
        fires: &[],
        told: &[],
    },
    Row {
        name: "old-news",
        before: |simulator| {
            let core = simulator.fault(&["core", "4711"]);
            let long_ago = SystemTime::now() - Duration::from_secs(30 * 86400);
            fs::File::options().write(true).open(core.trim()).unwrap().set_modified(long_ago).unwrap();
            let log = simulator.home().join("var/prod/log/import.log");
            let line = "2021-05-31T08:42:18.124Z\t66462\t66501\t1\terror\tlog\tINT-150012 it failed (iRc=16384)\n";
            fs::write(log, line).unwrap();
        },
        play: |host| host.let_pass(16),
        fires: &[],
        told: &[],
    },
    Row {
        name: "runwf-large",
        before: nothing,
        play: |host| {
            host.simulator.fault(&["leak", "runwf@prod", "96"]);
            host.await_mail("firing CampaignModuleMemoryAlert");
            host.let_pass(8);
        },
        fires: &["CampaignModuleMemoryAlert"],
        told: &["firing CampaignModuleMemoryAlert"],
    },
    Row { name: "short-reboot", before: nothing, play: |host| reboot(host, 60.0), fires: &[], told: &[] },
];

/// The row whose host is silent for longer than its exporter may be: two notifications at most.
const LONG_REBOOT: Row =
    Row { name: "long-reboot", before: nothing, play: |host| reboot(host, 350.0), fires: &[], told: &[] };

/// Everything ends, and comes back module by module while the exporter answers already.
fn reboot(host: &mut Host, seconds: f64) {
    host.stop_exporter(Answer::Nothing);
    host.simulator.fault(&["hold"]);
    host.simulator.nlserver(&["shutdown"]);
    host.let_pass((seconds / 60.0).round() as u32);
    let booted = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    host.start_exporter(Some(booted));
    host.let_pass(3);
    host.simulator.fault(&["unhold"]);
    host.simulator.nlserver(&["start"]);
    host.let_pass(10);
}

/// A host of the fleet as the exporter on it shows it: only what the alerts on modules ask for.
fn of_fleet(mta: u8) -> Arc<str> {
    let checks = [
        "syslogd\",campaign_instance=\"default",
        "web\",campaign_instance=\"default",
        "stat\",campaign_instance=\"prod",
    ];
    let check =
        |module: &str, value: u8| format!("campaign_module_check{{module=\"{module}\",check=\"running\"}} {value}\n");
    let others: String = checks.iter().map(|module| check(module, 1)).collect();
    let host = "campaign_host_time_seconds 1000000\ncampaign_host_boot_time_seconds 0\nprocess_start_time_seconds 0\n\
                campaign_installation_info{home=\"/usr/local/neolane/nl6\"} 1\n";
    format!("{host}{others}{}", check("mta\",campaign_instance=\"prod", mta)).into()
}

fn prometheus_configuration(rules: &Path, jobs: &[&str], relay: &Relay, alertmanager: &str) -> String {
    let jobs: String = jobs
        .iter()
        .map(|job| {
            let hosts = if *job == "fleet" {
                (0..FLEET).map(|at| host(&format!("host{at}"))).collect()
            } else {
                vec![host(job)]
            };
            let targets: String = hosts
                .iter()
                .map(|host| format!("      - {{targets: ['{}'], labels: {{instance: {host}}}}}\n", relay.address()))
                .collect();
            format!("  - job_name: {job}\n    metrics_path: /{job}\n    static_configs:\n{targets}")
        })
        .collect();
    format!(
        "global: {{scrape_interval: {0}s, scrape_timeout: {0}s, evaluation_interval: {0}s}}\nrule_files: ['{1}']\n\
         alerting:\n  alertmanagers:\n    - static_configs: [{{targets: ['{alertmanager}']}}]\nscrape_configs:\n{jobs}",
        SCRAPE_INTERVAL,
        rules.display()
    )
}

/// A Prometheus of its own is restarted while a module is down: that is no news.
fn restart_prometheus(stage: &Stage, folder: &Path, rules: &Path) {
    const JOB: &str = "prometheus-restarted";
    fs::create_dir(folder).unwrap();
    stage.relay.set(JOB, Answer::Text(of_fleet(1)));
    let configuration = prometheus_configuration(rules, &[JOB], &stage.relay, &stage.alertmanager.address);
    let mut prometheus = Prometheus::start_with(folder, &configuration);
    let_pass(&prometheus, JOB, 2);
    stage.relay.set(JOB, Answer::Text(of_fleet(0)));
    stage.await_mail(JOB, "firing CampaignMtaDown");
    prometheus.process.terminate();
    prometheus = Prometheus::start_with(folder, &configuration);
    // Longer than the alert waits anew.
    let_pass(&prometheus, JOB, 8);
    assert_eq!(stage.told(JOB), ["firing CampaignMtaDown"]);
}

fn start_host<'a>(row: &Row, stage: &'a Stage, folder: &'a Path) -> Host<'a> {
    fs::create_dir(folder).unwrap();
    let simulator = Simulator::create(folder, &["--set", "restartDelayMs=50"]);
    if row.name == "runwf-large" {
        let file = simulator.home().join("conf/config-prod.xml");
        let text = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text)
            .replace("<wfserver ", "<wfserver maxProcessMemoryWarningMb=\"48\" maxProcessMemoryAlertMb=\"64\" ");
        fs::write(&file, text).unwrap();
    }
    simulator.nlserver(&["start"]);
    (row.before)(&simulator);
    let mut host = Host { name: row.name, stage, simulator, exporter: None, folder };
    host.start_exporter(None);
    host
}

#[test]
fn every_fault_is_as_many_notifications_as_it_is_worth() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let relay = Relay::start();
    let mailbox = Mailbox::start();
    fs::write(folder.join("campaign.en.tmpl"), templates(Lang::En)).unwrap();
    let rules = folder.join("rules.yml");
    fs::write(&rules, short_rules()).unwrap();
    let alertmanager = Alertmanager::start_with(folder, &short_kit(&mailbox));
    let rows: Vec<_> = ROWS.iter().chain([&LONG_REBOOT]).collect();
    let jobs: Vec<_> = rows.iter().map(|row| row.name).chain(["fleet"]).collect();
    relay.set("fleet", Answer::Text(of_fleet(1)));
    let configuration = prometheus_configuration(&rules, &jobs, &relay, &alertmanager.address);
    let prometheus = Prometheus::start_with(folder, &configuration);
    let stage = Stage { relay, mailbox, prometheus, alertmanager };

    let lived: Vec<_> = std::thread::scope(|scope| {
        let hosts: Vec<_> = rows
            .iter()
            .map(|row| {
                let (stage, folder) = (&stage, folder.join(row.name));
                scope.spawn(move || {
                    let mut host = start_host(row, stage, &folder);
                    // Beyond the grace after the exporter's start.
                    host.let_pass(4);
                    (row.play)(&mut host);
                    (row.name, stage.fired(row.name), stage.told(row.name))
                })
            })
            .collect();
        let restarted = scope.spawn(|| restart_prometheus(&stage, &folder.join("prometheus-restarted"), &rules));
        stage.let_pass("fleet", 2);
        stage.relay.set("fleet", Answer::Text(of_fleet(0)));
        stage.await_mail("fleet", "firing CampaignModuleDownOnManyHosts");
        stage.let_pass("fleet", 6);
        restarted.join().unwrap();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    });

    let (long_reboot, others): (Vec<_>, Vec<_>) = lived.into_iter().partition(|(name, ..)| *name == LONG_REBOOT.name);
    let expected: Vec<_> = ROWS.iter().map(|row| (row.name, names(row.fires), names(row.told))).collect();
    let wrong: Vec<_> = others.iter().zip(&expected).filter(|(is, should)| is != should).collect();
    let mails: Vec<_> = wrong.iter().flat_map(|((name, ..), _)| stage.mails(name)).map(|mail| mail.text).collect();
    assert!(
        wrong.is_empty(),
        "what fired and what was told, and what should have been: {wrong:#?}\n{}",
        mails.join("\n")
    );
    let told = &long_reboot[0].2;
    assert!(told.len() <= 2 && told.iter().all(|one| one.ends_with("CampaignExporterDown")), "{told:?}");
    let fleet = stage.mails("fleet");
    assert_eq!(fleet.iter().map(headline).collect::<Vec<_>>(), ["firing CampaignModuleDownOnManyHosts"]);
    assert!(fleet[0].size < 10_000, "{} bytes", fleet[0].size);
    let of_hosts = stage.mailbox.mails().iter().filter(|mail| mail.subject.contains("host1")).count();
    assert_eq!(of_hosts, 0, "no host of the fleet is told of on its own");
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}
