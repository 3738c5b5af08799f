//! Everything at once: instances and logs come and go, the configuration is replaced each five seconds, logs rotate,
//! modules die, clients read slowly, want their answer at once or send nonsense, and the exporter's own log is not read
//! for a while. All the time Prometheus scrapes each second and gets its answer in time, and in the end every counter
//! is what was written.
//!
//! A minute here; `make endure MINUTES=60` for an hour.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::piped::Piped;
use super::{ALONE, locked};
use crate::support::simulator::Simulator;
use crate::support::stack::Metrics;
use crate::support::{signal_pid, wait_for};

/// How long anything may take that is no scrape.
const LIMIT: Duration = Duration::from_secs(120);

/// When Prometheus gives up, and a client that is in a hurry.
const DEADLINE: Duration = Duration::from_secs(10);
const HURRY: Duration = Duration::from_secs(5);

/// How long a few answers may take, on a machine that does nothing else for a while.
const LONGEST: Duration = Duration::from_secs(60);

/// How often a collector may be late, for the same reason.
const LATE: f64 = 3.0;

/// Modules that are killed in turn.
const VICTIMS: [(&str, &str); 4] = [("mta", "prod"), ("wfserver", "test"), ("stat", "prod"), ("web", "default")];

/// How many instances come at once at first: of logs that are gone the exporter keeps 200, and records of as many as were
/// there at once and 200 more.
const CROWDS: [u64; 3] = [110; 3];

/// Clients that read a byte at a time.
const SLOW_READERS: usize = 10;

/// A malformed request; at the level of debugging the exporter says so in its log.
const NO_REQUEST: &[u8] = b"\x01\x02\r\n\r\n";

/// Rings when the time is up, or when something has failed.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    told: Condvar,
}

impl Bell {
    /// Waits for `time`, or until it rings; says whether to go on.
    fn pause(&self, time: Duration) -> bool {
        let rung = locked(&self.rung);
        let waited = self.told.wait_timeout_while(rung, time, |rung| !*rung);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn ring(&self) {
        *locked(&self.rung) = true;
        self.told.notify_all();
    }
}

/// Rings when dropped: also when its thread panics, so that the others end.
struct RingAtEnd<'b>(&'b Bell);

impl Drop for RingAtEnd<'_> {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// What all the threads share.
struct Stage {
    simulator: Simulator,
    exporter: Piped,
    bell: Bell,
    /// Held while a readable configuration is needed.
    configuration: Mutex<()>,
    /// How often each module was killed.
    deaths: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// How many configurations and instances came.
    configurations: AtomicU64,
    instances: AtomicU64,
    /// How long a client has waited that wants its answer within five seconds.
    hurried: Mutex<Vec<Duration>>,
    /// How many scrapes Prometheus has made since the crowds were over.
    calm: AtomicUsize,
    total: Duration,
}

impl Stage {
    fn path(&self, path: &str) -> PathBuf {
        self.simulator.home().join(path)
    }

    fn scrape(&self, timeout: &str) -> Result<Metrics, String> {
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(LIMIT)).build().into();
        let request = agent.get(self.exporter.url("/metrics")).header("X-Prometheus-Scrape-Timeout-Seconds", timeout);
        let text =
            request.call().and_then(|mut answer| answer.body_mut().with_config().limit(64 << 20).read_to_string());
        text.map(Metrics).map_err(|error| error.to_string())
    }

    /// Scrapes until `is_it` of the answer.
    #[track_caller]
    fn until(&self, what: &str, is_it: impl Fn(&Metrics) -> bool) -> Metrics {
        wait_for(what, LIMIT, || {
            let metrics = self.scrape("10")?;
            if is_it(&metrics) { Ok(metrics) } else { Err(metrics.0) }
        })
    }

    /// Replaces a file as a whole.
    fn replace(&self, path: &str, content: &[u8]) {
        let new = self.path(&format!("{path}.new"));
        fs::write(&new, content).unwrap();
        fs::rename(&new, self.path(path)).unwrap();
    }

    /// A new configuration each five seconds, every fourth of which can't be read; the last one can.
    fn configure(&self) {
        let file = "conf/config-prod.xml";
        let original = fs::read(self.path(file)).unwrap();
        let at = original.windows(5).position(|bytes| bytes == b"<mta ").unwrap() + 5;
        let with = |number: u64| {
            let attribute = format!("maxProcessMemoryAlertMb=\"{}\" ", 2_000 + number);
            [&original[..at], attribute.as_bytes(), &original[at..]].concat()
        };
        let mut number: u64 = 0;
        while self.bell.pause(Duration::from_secs(5)) {
            number += 1;
            let _turn = locked(&self.configuration);
            if number.is_multiple_of(4) {
                self.replace(file, &original[..at]);
                self.until("configuration that can't be read", |metrics| !is_read(metrics, file));
                signal_pid(self.exporter.pid(), "HUP");
                number += 1;
            }
            self.replace(file, &with(number));
            self.configurations.fetch_add(1, Ordering::Relaxed);
            self.until("configuration in force", |metrics| {
                let alert = Some((2_000 + number) as f64 * 1024.0 * 1024.0);
                let labels = [("module", "mta"), ("campaign_instance", "prod")];
                is_read(metrics, file) && sum(metrics, "campaign_module_memory_alert_bytes", &labels) == alert
            });
        }
    }

    /// Lines for many logs each second, and a module that dies each three.
    fn operate(&self) {
        for round in 0_usize.. {
            if !self.bell.pause(Duration::from_secs(1)) {
                return;
            }
            let _turn = locked(&self.configuration);
            let level = ["info", "warning", "error"][round % 3];
            for (module, log) in [("mta@prod", "mta"), ("web", "web"), ("wfserver@test", "runwf")] {
                let fault = ["log", module, level, "INT-150012 number {n} of many", "--count", "150", "--log", log];
                self.simulator.fault(&fault);
            }
            self.simulator.fault(&["tracking", "prod", "50"]);
            self.simulator.fault(&["spool", "test", &(round % 20).to_string()]);
            if round % 3 == 0 {
                let victim = VICTIMS[round / 3 % VICTIMS.len()];
                let name =
                    if victim.1 == "default" { victim.0.to_owned() } else { format!("{}@{}", victim.0, victim.1) };
                self.simulator.fault(&["die", &name]);
                self.simulator.fault(&["wait", &name, "up", "60000"]);
                *self.deaths.lock().unwrap().entry(victim).or_default() += 1;
            }
        }
    }

    /// Instances with a log of their own, and logs of another instance, that come, are counted and go: crowds first, until
    /// as much is kept of what is gone as ever is, then one at a time.
    fn come_and_go(&self) {
        let mut number = 0;
        for crowd in CROWDS.into_iter().chain(std::iter::repeat(1)) {
            if !self.bell.pause(Duration::from_secs(2)) {
                return;
            }
            let names: Vec<String> = (number..number + crowd).map(|number| format!("extra{number}")).collect();
            number += crowd;
            self.instances.fetch_add(crowd, Ordering::Relaxed);
            let conf = |name: &str| format!("conf/config-{name}.xml");
            let folder = |name: &str| self.path(&format!("var/{name}/log"));
            let log_of_prod = |name: &str| self.path(&format!("var/prod/log/{name}.log"));
            let turn = || locked(&self.configuration);
            let held = turn();
            for name in &names {
                fs::create_dir_all(folder(name)).unwrap();
                self.replace(&conf(name), b"<serverconf><mta autoStart='false'/></serverconf>");
            }
            drop(held);
            let line = "2021-05-31T08:42:18.124Z\t66462\t66501\t1\terror\tlog\tINT-150012 here for a moment\n";
            for name in &names {
                for file in [folder(name).join("mta.log"), log_of_prod(name)] {
                    fs::write(file, line.repeat(1_000)).unwrap();
                }
            }
            // Of the last one and the first all labels are asked for: the sum of many is as dear as a look at each.
            let labels: Vec<_> = [&names[0], &names[names.len() - 1]]
                .into_iter()
                .flat_map(|name| {
                    [[("campaign_instance", &**name), ("log", "mta")], [("campaign_instance", "prod"), ("log", name)]]
                })
                .collect();
            let errors = |metrics: &Metrics, of: &[(&str, &str)]| {
                sum(metrics, "campaign_log_messages_total", &[of, &[("level", "error")]].concat())
            };
            self.until("lines of a log that came", |metrics| {
                labels.iter().all(|of| errors(metrics, of) == Some(1_000.0))
            });
            let held = turn();
            for name in &names {
                fs::remove_file(self.path(&conf(name))).unwrap();
                fs::remove_file(log_of_prod(name)).unwrap();
                fs::remove_dir_all(self.path(&format!("var/{name}"))).unwrap();
            }
            drop(held);
            self.until("end of a log that went", |metrics| labels.iter().all(|of| errors(metrics, of).is_none()));
        }
    }

    /// Asks for everything and reads a byte each tenth of a second, again and again.
    fn read_slowly(&self) {
        while self.bell.pause(Duration::from_millis(100)) {
            let mut connection = self.exporter.connect();
            connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").ok();
            // A reader that is too slow is cut off; then the next one connects.
            while self.bell.pause(Duration::from_millis(100)) && matches!(connection.read(&mut [0]), Ok(1)) {}
        }
    }

    /// Asks for answers within a millisecond, which is impossible, and within five seconds, which is required.
    fn hurry(&self) {
        while self.bell.pause(Duration::from_millis(200)) {
            for _ in 0..5 {
                // Too many requests at once may be refused.
                self.scrape("0.001").ok();
            }
            let begin = Instant::now();
            self.scrape("5").ok();
            self.hurried.lock().unwrap().push(begin.elapsed());
        }
    }

    /// Sends a malformed request, a body that never ends, and nothing.
    fn talk_nonsense(&self) {
        let body = b"POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\nand so on";
        while self.bell.pause(Duration::from_millis(20)) {
            for words in [NO_REQUEST, body, b""] {
                self.exporter.connect().write_all(words).ok();
            }
        }
    }

    /// Reads nothing of the exporter's log for a tenth of the time, and has lines written to it until some are dropped.
    fn stall_log(&self) {
        if !self.bell.pause(self.total / 2) {
            return;
        }
        self.exporter.stall(true);
        self.bell.pause((self.total / 10).min(Duration::from_secs(60)));
        wait_for("lines of the log that are dropped", LIMIT, || {
            for _ in 0..200 {
                self.exporter.connect().write_all(NO_REQUEST).ok();
            }
            let dropped = self.scrape("10")?.value("campaign_exporter_log_lines_dropped_total");
            if dropped > Some(0.0) { Ok(()) } else { Err(format!("{dropped:?}")) }
        });
        self.exporter.stall(false);
    }
}

/// Whether the configuration file as it is now is in force.
fn is_read(metrics: &Metrics, file: &str) -> bool {
    let file = file.strip_prefix("conf/").unwrap();
    sum(metrics, "campaign_configuration_last_reload_successful", &[("file", file)]) == Some(1.0)
}

/// The sum of the series of `metric` with these labels among theirs; none where there is no such series.
fn sum(metrics: &Metrics, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let is_it = |series: &str| labels.iter().all(|label| series.split(['{', ',', '}']).any(|found| found == *label));
    let found = metrics.series(metric).into_iter().filter(|(series, _)| is_it(series)).map(|(_, value)| value);
    found.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// What the scrapes of Prometheus saw.
#[derive(Default)]
struct Scrapes {
    took: Vec<Duration>,
    /// Resident bytes, descriptors, threads, a scrape each, since the crowds were over.
    used: [Vec<f64>; 3],
}

const USED: [&str; 3] = ["process_resident_memory_bytes", "process_open_fds", "process_threads"];

/// How many such scrapes there are at least.
const CALM: usize = 20;

/// How much the last fifth may have more than the second: bytes, descriptors, threads.
const ROOM: [f64; 3] = [8e6, 40.0, 0.0];

impl Scrapes {
    /// A scrape a second until the bell rings: answered in time, whole, and no counter falls.
    fn make(stage: &Stage) -> Scrapes {
        let mut scrapes = Scrapes::default();
        let mut last = [0.0; 2];
        while stage.bell.pause(Duration::from_secs(1)) {
            let begin = Instant::now();
            let metrics = stage.scrape("10").unwrap_or_else(|error| panic!("after {:?}: {error}", begin.elapsed()));
            scrapes.took.push(begin.elapsed());
            let prod = [("campaign_instance", "prod"), ("log", "mta")];
            let now = ["campaign_log_messages_total", "campaign_log_read_bytes_total"]
                .map(|metric| sum(&metrics, metric, &prod).unwrap_or_default());
            assert!(now.iter().zip(last).all(|(now, last)| *now >= last), "a counter fell from {last:?} to {now:?}");
            last = now;
            if stage.instances.load(Ordering::Relaxed) <= CROWDS.into_iter().sum() {
                continue;
            }
            stage.calm.fetch_add(1, Ordering::Relaxed);
            for (seen, metric) in scrapes.used.iter_mut().zip(USED) {
                seen.push(metrics.value(metric).unwrap());
            }
        }
        scrapes
    }

    /// What is used in the end is what was used once everything had begun.
    fn assert_flat(&self) {
        for ((seen, metric), room) in self.used.iter().zip(USED).zip(ROOM) {
            let fifth = seen.len() / 5;
            let (early, late) = (median(&seen[fifth..fifth * 2]), median(&seen[seen.len() - fifth..]));
            eprintln!(
                "{metric}: {early} in the second fifth, {late} in the last, at most {}",
                seen.iter().copied().fold(0.0, f64::max)
            );
            assert!(late <= early * 1.05 + room, "{metric} rose from {early} to {late}: {seen:?}");
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Nine answers of ten are there within `limit`, and all of them at last.
fn assert_in_time(mut took: Vec<Duration>, limit: Duration) {
    took.sort();
    let (most, longest) = (took[took.len() * 9 / 10], took[took.len() - 1]);
    eprintln!("{} answers due in {limit:?}: nine of ten within {most:?}, the longest after {longest:?}", took.len());
    assert!(most < limit && longest < LONGEST, "{most:?} {longest:?} of {limit:?}");
}

/// How often each collector was late or busy.
fn late(metrics: &Metrics) -> BTreeMap<String, f64> {
    let errors = metrics.series("campaign_scrape_collector_errors_total").into_iter();
    let is_late = |series: &str| ["timeout", "busy"].iter().any(|kind| series.contains(&format!("kind=\"{kind}\"")));
    errors.filter(|(series, _)| is_late(series)).map(|(series, times)| (series.to_owned(), times)).collect()
}

/// No collector was late more than a few times since the exporter had read everything for the first time, or busy.
fn assert_prompt(before: &BTreeMap<String, f64>, metrics: &Metrics) {
    for (series, times) in late(metrics) {
        let more = times - before.get(&series).copied().unwrap_or_default();
        assert!(more <= if series.contains("timeout") { LATE } else { 0.0 }, "{series}: {more} more");
    }
}

/// Every counter is what was written, and nothing says that something was lost, or late more often than `before`.
fn assert_truth(stage: &Stage, before: &BTreeMap<String, f64>) {
    stage.simulator.nlserver(&["stop", "trackinglogd"]);
    wait_for("counters that are the truth", LIMIT, || {
        let written = stage.simulator.fault(&["written"]);
        let metrics = stage.scrape("10").map_err(|error| vec![error])?;
        let mut wrong = Vec::new();
        for row in written.lines() {
            let [instance, log, level, count] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let labels = [("campaign_instance", instance), ("log", log), ("level", level)];
            let counted = sum(&metrics, "campaign_log_messages_total", &labels);
            if counted != Some(count.parse().unwrap()) {
                wrong.push(format!("{row}: {counted:?}"));
            }
        }
        for instance in ["prod", "test"] {
            let files = fs::read_dir(stage.path(&format!("var/{instance}/redir/log"))).unwrap();
            let lines: usize =
                files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap().lines().count()).sum();
            let counted = sum(&metrics, "campaign_tracking_log_lines_total", &[("campaign_instance", instance)]);
            if counted != Some(lines as f64) {
                wrong.push(format!("{lines} tracking lines of {instance}: {counted:?}"));
            }
        }
        for ((module, instance), deaths) in stage.deaths.lock().unwrap().iter() {
            let labels = [("module", *module), ("campaign_instance", *instance)];
            let starts = sum(&metrics, "campaign_module_starts_total", &labels);
            if starts != Some((deaths + 1) as f64) {
                wrong.push(format!("{module}@{instance} died {deaths} times: {starts:?} starts"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    });
    let metrics = stage.scrape("10").unwrap();
    for (metric, labels) in [
        ("campaign_log_skipped_bytes_total", &[][..]),
        ("campaign_log_generations_missed_total", &[]),
        ("campaign_log_unparsed_lines_total", &[]),
        ("campaign_exporter_rejected_samples_total", &[]),
        ("campaign_scrape_collector_errors_total", &[("kind", "panic")]),
    ] {
        assert_eq!(sum(&metrics, metric, labels).unwrap_or_default(), 0.0, "{metric} {labels:?}");
    }
    assert_prompt(before, &metrics);
    let rotations = sum(&metrics, "campaign_log_rotations_total", &[]);
    let messages = sum(&metrics, "campaign_log_messages_total", &[]);
    let dropped = metrics.value("campaign_exporter_log_lines_dropped_total").filter(|lines| *lines > 0.0);
    assert!(dropped.is_some(), "nobody read the exporter's log for a while");
    eprintln!("{messages:?} messages, {rotations:?} rotations, {dropped:?} lines of the exporter's log dropped");
}

#[test]
fn everything_at_once_costs_no_answer_no_line_and_nothing_that_grows() {
    let _alone = locked(&ALONE);
    let minutes = std::env::var("CAMPAIGN_ENDURE_MINUTES").map_or(1.0, |minutes| minutes.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let options = ["--instances", "prod,test", "--set", "maxFileSizeBytes=200000", "--set", "trackingPeriodMs=100"];
    let simulator = Simulator::create(folder.path(), &options);
    let exporter = Piped::start(folder.path(), &simulator);
    let stage = Stage {
        simulator,
        exporter,
        bell: Bell::default(),
        configuration: Mutex::default(),
        deaths: Mutex::default(),
        configurations: AtomicU64::new(0),
        instances: AtomicU64::new(0),
        hurried: Mutex::default(),
        calm: AtomicUsize::new(0),
        total: Duration::from_secs_f64(60.0 * minutes),
    };
    let before = stage.until("first reading", |metrics| {
        let stored = metrics.series("campaign_exporter_storage_successful");
        stored.len() == 2 && stored.iter().all(|(_, value)| *value == 1.0)
    });
    let before = late(&before);
    stage.simulator.nlserver(&["start"]);
    let scrapes = std::thread::scope(|scope| {
        let stage = &stage;
        let spawn = |work: fn(&Stage)| {
            scope.spawn(move || {
                let _ring = RingAtEnd(&stage.bell);
                work(stage);
            });
        };
        let slow = [Stage::read_slowly as fn(&Stage); SLOW_READERS];
        let once = [Stage::configure, Stage::operate, Stage::come_and_go, Stage::hurry, Stage::talk_nonsense];
        slow.into_iter().chain(once).for_each(spawn);
        scope.spawn(|| stage.stall_log());
        let scraping = scope.spawn(|| {
            let _ring = RingAtEnd(&stage.bell);
            Scrapes::make(stage)
        });
        stage.bell.pause(stage.total);
        while stage.calm.load(Ordering::Relaxed) < CALM && stage.bell.pause(Duration::from_secs(1)) {}
        stage.bell.ring();
        scraping.join().unwrap()
    });
    assert_in_time(scrapes.took.clone(), DEADLINE);
    assert_in_time(stage.hurried.lock().unwrap().clone(), HURRY);
    let came = [&stage.configurations, &stage.instances].map(|number| number.load(Ordering::Relaxed));
    eprintln!("configurations and instances that came: {came:?}; deaths: {:?}", stage.deaths.lock().unwrap());
    assert_truth(&stage, &before);
    scrapes.assert_flat();
}
