//! `/metrics` answers by its deadline whatever stalls: a FIFO without a writer stands in for every file and folder that
//! the exporter reads, one at a time.
//!
//! Below `/proc` there are no FIFOs: there one stands for a read that the kernel does not end, as of the arguments of a
//! process whose memory is locked, or of a file system that has gone away.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use campaign_exporter::source::probes;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::committed::project;
use crate::support::stack::{Exporter, Metrics, concat_os};
use crate::support::{free_port, run, wait_for};

/// When Prometheus would give up.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long before that the answer is due: soon after the question where something stalls and the rest of the time is the
/// machine's, late where nothing may.
const DUE_SOON: &str = "--web.timeout-offset=29";
const DUE_LATE: &str = "--web.timeout-offset=1";

/// How long anything may take that is no scrape.
const LIMIT: Duration = Duration::from_secs(120);

/// How many exporters are tried at once: they wait more than they work.
const AT_ONCE: usize = 8;

/// A copy of the host that never changes, with everything in it that an exporter can be configured to read.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Host {
        let host = Host(tempfile::tempdir().unwrap());
        let from = ["nl6", "proc"].map(|name| project("tests/fixtures/host").join(name));
        let copied = run(Command::new("cp").arg("-a").args(from).arg(host.path("")));
        assert!(copied.status.success(), "{copied:?}");
        // What is a folder in the place of a file there fails by itself.
        fs::remove_dir_all(host.path("nl6/var/stage")).unwrap();
        host.write("nl6/var/prod/log/mta.log", "");
        host.write("nl6/var/prod/redir/log/redir.log", "");
        let indicators = project("tests/fixtures/indicators/cust_indicators.xml");
        host.write("indicators/cust.xml", fs::read(indicators).unwrap());
        host.write("token", "secret");
        fs::set_permissions(host.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        host.write(
            "probes.yml",
            format!(
                "targets:\n  - name: nobody\n    url: http://127.0.0.1:{}\n    probes: [ping]\n    \
                 session_token_file: {}\n    session_token_header: X-Token\n",
                free_port(),
                host.path("token").display()
            ),
        );
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), content).unwrap();
    }

    /// Puts a FIFO in the place of what is at `path`, which is kept aside.
    fn stall(&self, path: &str) {
        fs::rename(self.path(path), self.path("aside")).unwrap();
        mkfifoat(CWD, self.path(path), Mode::RUSR | Mode::WUSR).unwrap();
    }

    /// Puts back what was there before the FIFO, and releases its readers.
    fn mend(&self, path: &str) {
        let mut fifo = fs::OpenOptions::new().read(true).write(true).open(self.path(path)).unwrap();
        fs::rename(self.path("aside"), self.path(path)).unwrap();
        fifo.write_all(b"\n").unwrap();
    }

    fn start(&self, due: &str) -> Exporter {
        let flags: [OsString; 4] = [
            concat_os("--path.procfs=", &self.path("proc")),
            concat_os("--config.file=", &self.path("probes.yml")),
            concat_os("--collector.indicators.directory=", &self.path("indicators")),
            due.into(),
        ];
        Exporter::start(self.0.path(), &self.path("nl6"), &flags)
    }

    /// Everything below `folder`, itself among it: files, and folders that hold some; a link is its target's.
    fn everything_below(&self, folder: &str) -> Vec<String> {
        let mut found = vec![folder.to_owned()];
        let mut at = 0;
        while at < found.len() {
            let folder = found[at].clone();
            at += 1;
            if !fs::symlink_metadata(self.path(&folder)).unwrap().is_dir() {
                continue;
            }
            let entries = fs::read_dir(self.path(&folder)).unwrap().map(|entry| entry.unwrap());
            let entries = entries.filter(|entry| !entry.file_type().unwrap().is_symlink());
            found.extend(entries.map(|entry| format!("{folder}/{}", entry.file_name().into_string().unwrap())));
        }
        found
    }
}

/// One scrape as Prometheus makes it, answered in time.
#[track_caller]
fn scrape(exporter: &Exporter, place: &str) -> Metrics {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(LIMIT)).build().into();
    let begin = Instant::now();
    let seconds = SCRAPE_TIMEOUT.as_secs().to_string();
    let request = agent.get(exporter.url("/metrics")).header("X-Prometheus-Scrape-Timeout-Seconds", seconds);
    let answer = request.call().and_then(|mut answer| answer.body_mut().read_to_string());
    let text = answer.unwrap_or_else(|error| panic!("{place}: {error}\n{}", exporter.process.output()));
    assert!(begin.elapsed() < SCRAPE_TIMEOUT, "{place}: {:?}", begin.elapsed());
    Metrics(text)
}

/// How often a collector did not end by the deadline, or still had not at the next scrape. Those of the logs and of the
/// tracking logs are busy too while their first reading is not stored, which is up to the disk.
fn stalled(metrics: &Metrics) -> BTreeMap<String, f64> {
    let of_reader = |series: &str| ["\"logs\"", "\"tracking\""].iter().any(|reader| series.contains(reader));
    let errors = metrics.series("campaign_scrape_collector_errors_total").into_iter();
    let errors = errors.filter(|(series, times)| {
        let is_busy = series.contains("kind=\"busy\"") && !of_reader(series);
        *times > 0.0 && (series.contains("kind=\"timeout\"") || is_busy)
    });
    errors.map(|(series, times)| (series.to_owned(), times)).collect()
}

/// Calls `try_one` with each place and a host of its own.
fn at_each(places: Vec<String>, try_one: impl Fn(&Host, &str) + Sync) {
    assert!(places.len() > 10, "{places:?}");
    let places = Mutex::new(places.into_iter());
    let next = || places.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(place) = next() {
                    try_one(&Host::new(), &place);
                }
            });
        }
    });
}

#[test]
fn a_fifo_anywhere_on_the_disk_stalls_no_collector() {
    let host = Host::new();
    let mut places = host.everything_below("nl6");
    places.extend(host.everything_below("indicators"));
    places.push("token".to_owned());
    at_each(places, |host, place| {
        host.stall(place);
        let mut exporter = host.start(DUE_LATE);
        // What works in the background does work: the reader of the logs, the search for core files, the probes.
        // Without an installation there are no logs.
        let is_found = !["nl6", "nl6/conf"].contains(&place);
        wait_for(&format!("work in the background with a FIFO at {place}"), LIMIT, || {
            let metrics = scrape(&exporter, place);
            assert_eq!(stalled(&metrics), BTreeMap::new(), "{place}");
            let stored = metrics.series("campaign_exporter_storage_successful");
            let works = metrics.series("campaign_installation_info").len() == usize::from(is_found)
                && (!is_found || stored.len() == 2 && stored.iter().all(|(_, value)| *value == 1.0))
                && metrics.value("campaign_core_files").is_some()
                && metrics.value("campaign_probe_runs_total{probe=\"ping\",target=\"nobody\"}") == Some(1.0);
            if works { Ok(()) } else { Err(metrics.0) }
        });
        assert!(exporter.process.terminate().success(), "{place}");
    });
}

#[test]
fn a_fifo_in_place_of_the_configuration_file_is_refused_at_once() {
    let host = Host::new();
    host.stall("probes.yml");
    let error = probes::check(&host.path("probes.yml")).unwrap_err().to_string();
    assert!(error.contains("probes.yml"), "{error}");
}

#[test]
fn a_read_of_proc_that_never_ends_costs_no_scrape_its_deadline() {
    let host = Host::new();
    let of_a_process = |place: &String| place.split('/').nth(1).is_some_and(|name| name.parse::<u32>().is_ok());
    let mut places = host.everything_below("proc");
    places.retain(|place| place != "proc" && (!of_a_process(place) || place.starts_with("proc/1000")));
    at_each(places, |host, place| {
        for before in [true, false] {
            let host = if before { host } else { &Host::new() };
            if before {
                host.stall(place);
            }
            let mut exporter = host.start(DUE_SOON);
            if !before {
                scrape(&exporter, place);
                host.stall(place);
            }
            for _ in 0..2 {
                let metrics = scrape(&exporter, place);
                assert_eq!(metrics.series("campaign_exporter_build_info").len(), 1, "{place}");
            }
            assert!(exporter.process.terminate().success(), "{place}");
        }
    });
}

#[test]
fn a_fifo_in_place_of_a_table_fails_its_collector_alone_until_the_table_is_back() {
    let host = Host::new();
    let table = "proc/sysvipc/shm";
    host.stall(table);
    let exporter = host.start(DUE_LATE);
    let success = "campaign_scrape_collector_success";
    let errors = "campaign_scrape_collector_errors_total{collector=\"crash\",kind=\"parse\"}";
    let before = wait_for("first reading of the logs", LIMIT, || {
        let metrics = scrape(&exporter, table);
        let reads = |reader: &str| metrics.value(&format!("{success}{{collector=\"{reader}\"}}")) == Some(1.0);
        if reads("logs") && reads("tracking") { Ok(metrics.value(errors).unwrap()) } else { Err(metrics.0) }
    });
    assert!(before >= 1.0, "{before}");
    for times in [1.0, 2.0] {
        let metrics = scrape(&exporter, table);
        assert_eq!(metrics.value(errors), Some(before + times));
        assert_eq!(stalled(&metrics), BTreeMap::new());
        let failing: Vec<_> = metrics.series(success).into_iter().filter(|(_, value)| *value == 0.0).collect();
        assert_eq!(failing, [(&*format!("{success}{{collector=\"crash\"}}"), 0.0)]);
        assert!(metrics.value("campaign_module_up{module=\"mta\",campaign_instance=\"prod\"}").is_some());
    }
    host.mend(table);
    wait_for("collector that is well again", LIMIT, || {
        let metrics = scrape(&exporter, table);
        match metrics.value(&format!("{success}{{collector=\"crash\"}}")) {
            Some(1.0) => Ok(()),
            _ => Err(metrics.0),
        }
    });
}
