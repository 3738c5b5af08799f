//! The exporter, Prometheus and Alertmanager as real processes on loopback ports.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::simulator::Simulator;
use super::{Running, built, free_port, get, get_json, program, wait_for};

/// How long a program may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How fast the chain is to react: real intervals for people, short ones for tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) scrape: &'static str,
    pub(crate) group: &'static str,
}

impl Pace {
    pub(crate) const REAL: Pace = Pace { scrape: "15s", group: "30s" };
    pub(crate) const TEST: Pace = Pace { scrape: "1s", group: "100ms" };
}

/// The exporter under test.
pub(crate) struct Exporter {
    pub(crate) process: Running,
    pub(crate) address: String,
}

impl Exporter {
    /// Starts the built exporter on a free port, for the installation in `home`, with `arguments` added.
    pub(crate) fn start<A: AsRef<OsStr>>(folder: &Path, home: &Path, arguments: &[A]) -> Self {
        Self::start_binary(&built("campaign_exporter"), folder, home, arguments)
    }

    /// Starts it on a simulated host, whose syslogd has another port than the documented one.
    pub(crate) fn watch(folder: &Path, simulator: &Simulator) -> Self {
        Self::watch_with(folder, simulator, &[])
    }

    /// The same with `arguments` added.
    pub(crate) fn watch_with(folder: &Path, simulator: &Simulator, arguments: &[OsString]) -> Self {
        let syslogd = format!("--collector.ports.syslogd-port={}", simulator.port("syslogd.port"));
        Self::start(folder, simulator.home(), &[&[syslogd.into()], arguments].concat())
    }

    /// The same for another build of it.
    pub(crate) fn start_binary<A: AsRef<OsStr>>(binary: &Path, folder: &Path, home: &Path, arguments: &[A]) -> Self {
        let mut command = Command::new(binary);
        command
            .arg("--web.listen-address=127.0.0.1:0")
            .arg(concat_os("--campaign.home=", home))
            .arg(concat_os("--storage.path=", &folder.join("state")))
            .args(arguments);
        let mut process = Running::start(&mut command, &folder.join("exporter.log"));
        let address = wait_for("exporter that listens", START_LIMIT, || {
            if let Some(status) = process.ended() {
                panic!("the exporter ended with {status}: {}", process.output());
            }
            listening_address(&process.output()).ok_or_else(|| process.output())
        });
        Self { process, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until its log has a line that holds each of `texts`. A thread of its own writes the log: a line may come
    /// after the answer that it is about.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, texts: &[&str]) {
        wait_for("line in the log", Duration::from_secs(90), || {
            let log = self.process.output();
            let told = log.lines().any(|line| texts.iter().all(|text| line.contains(text)));
            if told { Ok(()) } else { Err(log) }
        });
    }

    /// Scrapes until every series of `wanted` has its value, or is not there: what is looked for in the background may come
    /// scrapes later.
    #[track_caller]
    pub(crate) fn wait_for_values(&self, wanted: &[(&str, Option<f64>)]) -> Metrics {
        wait_for("values", Duration::from_secs(150), || {
            let metrics = self.metrics();
            let found = wanted.iter().map(|(series, value)| (*series, metrics.value(series), *value));
            let missing: Vec<_> = found.filter(|(_, found, value)| found != value).collect();
            if missing.is_empty() { Ok(metrics) } else { Err(format!("{missing:?}")) }
        })
    }

    /// Ends it; its whole log.
    pub(crate) fn end(mut self) -> String {
        assert!(self.process.terminate().success());
        self.process.output()
    }

    /// One scrape.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics(get(&self.url("/metrics"), &[]).unwrap_or_else(|error| panic!("{error}\n{}", self.process.output())))
    }
}

/// The text of one scrape.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The value of the series written exactly as `series`.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().expect("a sample's value is a number"))
    }

    /// The series of `metric`, as written, with their values.
    pub(crate) fn series(&self, metric: &str) -> Vec<(&str, f64)> {
        let of_metric = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let lines = self.0.lines().filter(of_metric);
        lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, value)| (series, value.parse().unwrap())).collect()
    }
}

/// Alertmanager, which notifies one receiver.
pub(crate) struct Alertmanager {
    pub(crate) process: Running,
    pub(crate) address: String,
}

impl Alertmanager {
    pub(crate) fn start(folder: &Path, pace: Pace, webhook: Option<&str>) -> Self {
        let receivers = webhook.map_or_else(
            || "  - name: operator\n".to_owned(),
            |url| {
                format!("  - name: operator\n    webhook_configs:\n      - url: {url}\n        send_resolved: true\n")
            },
        );
        let config = format!(
            "route:\n  receiver: operator\n  group_by: [alertname]\n  group_wait: {group}\n  group_interval: {group}\n\
             receivers:\n{receivers}",
            group = pace.group
        );
        Self::start_with(folder, &config)
    }

    /// The same with the configuration `config`, which it keeps in `folder`.
    pub(crate) fn start_with(folder: &Path, config: &str) -> Self {
        let file = folder.join("alertmanager.yml");
        fs::write(&file, config).expect("alertmanager.yml");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program("prometheus-alertmanager", "prometheus-alertmanager"));
        command
            .arg(concat_os("--config.file=", &file))
            .arg(concat_os("--storage.path=", &folder.join("alertmanager")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=");
        let process = Running::start(&mut command, &folder.join("alertmanager.log"));
        await_ready("Alertmanager", &address, &process);
        Self { process, address }
    }
}

/// Prometheus, which scrapes one exporter.
pub(crate) struct Prometheus {
    pub(crate) process: Running,
    pub(crate) address: String,
}

impl Prometheus {
    pub(crate) fn start(folder: &Path, pace: Pace, exporter: &str, alertmanager: &str, rules: &Path) -> Self {
        let config = format!(
            "global:\n  scrape_interval: {scrape}\n  evaluation_interval: {scrape}\n\
             rule_files: ['{rules}']\n\
             alerting:\n  alertmanagers:\n    - static_configs: [{{targets: ['{alertmanager}']}}]\n\
             scrape_configs:\n  - job_name: campaign\n    static_configs: [{{targets: ['{exporter}']}}]\n",
            scrape = pace.scrape,
            rules = rules.display(),
        );
        Self::start_with(folder, &config)
    }

    /// The same with the configuration `config`; it goes on with what an earlier one has left in `folder`.
    pub(crate) fn start_with(folder: &Path, config: &str) -> Self {
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).expect("prometheus.yml");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program("prometheus", "prometheus"));
        command
            .arg(concat_os("--config.file=", &file))
            .arg(concat_os("--storage.tsdb.path=", &folder.join("prometheus")))
            .arg(format!("--web.listen-address={address}"));
        let process = Running::start(&mut command, &folder.join("prometheus.log"));
        await_ready("Prometheus", &address, &process);
        Self { process, address }
    }

    /// `data` of an API answer.
    ///
    /// # Errors
    /// What Prometheus says against it.
    pub(crate) fn api(&self, path: &str) -> Result<Value, String> {
        self.api_with(path, &[])
    }

    fn api_with(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let answer = get_json(&format!("http://{}/api/v1/{path}", self.address), parameters)?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer.to_string()) }
    }

    /// The series that an instant query answers.
    ///
    /// # Errors
    /// What Prometheus says against it.
    pub(crate) fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let data = self.api_with("query", &[("query", query)])?;
        data["result"].as_array().cloned().ok_or_else(|| format!("no list of series: {data}"))
    }

    /// Waits until the exporter was scraped.
    pub(crate) fn wait_for_target(&self) {
        wait_for("healthy target", START_LIMIT, || {
            let targets = self.api("targets")?;
            let target = &targets["activeTargets"][0];
            if target["health"] == "up" { Ok(()) } else { Err(target.to_string()) }
        });
    }
}

/// Both rule files with every `for:` as short as the test pace.
pub(crate) fn impatient_rules(folder: &Path, rules: &Path) -> PathBuf {
    let text = fs::read_to_string(rules).unwrap_or_else(|error| panic!("{}: {error}", rules.display()));
    // Nor is there a grace after the start.
    let text = text.replace("boot_time_seconds < 600", "boot_time_seconds < 0");
    let text = text.replace("start_time_seconds < 120", "start_time_seconds < 0");
    let lines = text.lines().map(|line| {
        let key = line.trim_start().starts_with("for: ");
        if key { format!("{}for: 1s", &line[..line.len() - line.trim_start().len()]) } else { line.to_owned() }
    });
    let path = folder.join("impatient.rules.yml");
    fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("the rules of the test");
    path
}

/// The value of an `address=` field in the line that tells where the exporter listens.
fn listening_address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("listening") && line.contains("address="))?;
    let address = line.split("address=").nth(1)?.split_whitespace().next()?;
    Some(address.trim_matches('"').to_owned())
}

fn await_ready(what: &str, address: &str, process: &Running) {
    await_answer(what, &format!("http://{address}/-/ready"), process);
}

/// Waits until there is a good answer from `url`, which the program `what` serves.
pub(crate) fn await_answer(what: &str, url: &str, process: &Running) {
    wait_for(&format!("{what} that is ready"), START_LIMIT, || {
        get(url, &[]).map_err(|error| format!("{error}; its log: {}", process.output()))
    });
}

pub(crate) fn concat_os(flag: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push(path);
    argument
}
