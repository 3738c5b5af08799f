//! The exporter against a gigabyte of logs, written as fast as the machine does: what it counted is what was written,
//! log by log and level by level.
//!
//! Five runs: three plain ones, one that kills the exporter, one without hints of the kernel.
//!
//! Content whose last name goes before anybody has opened it is rightly lost. So no file is deleted before the exporter
//! has come as far as it has to, however slow the machine is.

mod endure;
mod piped;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::support::stack::{Exporter, Metrics};
use crate::support::{get, wait_for};

const LOGS: usize = 20;
const TOTAL: u64 = 1_000_000_000;
const ROTATE_AT: u64 = 10_000_000;
const LEVELS: [&str; 4] = ["error", "warning", "info", "debug"];

/// How long after the last byte the exporter may take to have counted it.
const LIMIT: Duration = Duration::from_secs(120);

/// How long the writer waits for the exporter, which may be restarted meanwhile.
const WRITER_LIMIT: Duration = Duration::from_secs(480);

/// What was written, by log.
#[derive(Clone, Debug, Default, PartialEq)]
struct Truth {
    levels: [u64; LEVELS.len()],
    continuations: u64,
    codes: u64,
    bytes: u64,
    rotations: u64,
}

/// One log, written as syslogd does: at [`ROTATE_AT`] the file is moved to `X_2.log` and a new one begins.
struct Writer {
    directory: PathBuf,
    name: String,
    file: File,
    size: u64,
    since: Instant,
    truth: Truth,
    random: Random,
    lines: Vec<(String, usize, bool)>,
    block: Vec<u8>,
}

/// A generator of numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

impl Writer {
    fn new(directory: &Path, number: usize) -> Self {
        let name = format!("log{number}");
        let file = File::create(directory.join(format!("{name}.log"))).unwrap();
        let mut random = Random(number as u64 * 7919 + 1);
        // What a line is apart from its time: text, level, whether it has a code.
        let lines = (0..200).map(|_| {
            let level = [0, 1, 2, 2, 2, 2, 2, 2, 2, 3][random.below(10)];
            let code = random.below(8) == 0;
            let text = "delivery of workflow to the recipients ".repeat(1 + random.below(3));
            let code_text = if code { "INT-150012 " } else { "" };
            let line = format!("\t{}\t66501\t1\t{}\tlog\t{code_text}{text}\n", 60_000 + number, LEVELS[level]);
            (line, level, code)
        });
        let lines = lines.collect();
        let directory = directory.to_owned();
        let truth = Truth::default();
        Writer { directory, name, file, size: 0, since: Instant::now(), truth, random, lines, block: Vec::new() }
    }

    /// Writes about 64 KiB: some hundred messages, some with lines that continue them, in two pieces that end anywhere.
    fn write(&mut self, number: u64, scene: &Scene) {
        if self.size >= ROTATE_AT {
            self.rotate(scene);
        }
        self.block.clear();
        let stamp = format!("2021-05-31T{:02}:{:02}:{:02}.", number / 3600 % 24, number / 60 % 60, number % 60);
        while self.block.len() < 64 * 1024 {
            let chosen = self.random.below(self.lines.len());
            let (line, level, code) = &self.lines[chosen];
            self.block.extend_from_slice(stamp.as_bytes());
            let milliseconds = self.random.below(1000) as u16;
            self.block.extend([100, 10, 1].map(|unit| b'0' + (milliseconds / unit % 10) as u8));
            self.block.push(b'Z');
            self.block.extend_from_slice(line.as_bytes());
            self.truth.levels[*level] += 1;
            self.truth.codes += u64::from(*code);
            if chosen.is_multiple_of(16) {
                self.block.extend_from_slice(b"    and what it has to say on a second line\n");
                self.truth.continuations += 1;
            }
        }
        let cut = self.random.below(self.block.len());
        self.file.write_all(&self.block[..cut]).unwrap();
        self.file.write_all(&self.block[cut..]).unwrap();
        self.size += self.block.len() as u64;
        self.truth.bytes += self.block.len() as u64;
    }

    /// The file that takes the name `X_2.log` deletes the one before. The exporter has begun with that one, and has it
    /// open; or, where it may be killed, with the next one, and has stored that.
    fn rotate(&mut self, scene: &Scene) {
        sleep(scene.least_age.saturating_sub(self.since.elapsed()));
        scene.await_rotations(&self.name, (self.truth.rotations + scene.ahead).saturating_sub(1));
        let _turn = locked(&scene.rotating);
        let path = self.directory.join(format!("{}.log", self.name));
        fs::rename(&path, self.directory.join(format!("{}_2.log", self.name))).unwrap();
        self.file = File::create(&path).unwrap();
        self.size = 0;
        self.since = Instant::now();
        self.truth.rotations += 1;
    }
}

/// What is special about a run.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// How often the exporter is killed and started again.
    kills: usize,
    /// Whether the kernel has no watches to give.
    without_watches: bool,
    /// How long a file exists at least before the next takes its place.
    least_age: Duration,
}

/// What the writer and the test tell each other.
struct Scene {
    written: AtomicU64,
    /// How much may be written as yet.
    allowed: AtomicU64,
    /// Where the exporter answers.
    url: Mutex<String>,
    /// The last scrape that somebody made.
    seen: Mutex<Metrics>,
    /// How many files ahead of one that is deleted the exporter has to be.
    ahead: u64,
    /// Held while no file may be moved.
    rotating: Mutex<()>,
    least_age: Duration,
}

impl Scene {
    /// One scrape, which the writer sees too.
    fn scrape(&self) -> Result<Metrics, String> {
        let url = locked(&self.url).clone();
        let metrics = Metrics(get(&url, &[])?);
        *locked(&self.seen) = metrics.clone();
        Ok(metrics)
    }

    /// Waits until the exporter has counted so many rotations of the log: it has begun with the file after the last one.
    fn await_rotations(&self, log: &str, count: u64) {
        let counted = |metrics: &Metrics| value(metrics, "campaign_log_rotations_total", log, "");
        if counted(&locked(&self.seen)) >= count {
            return;
        }
        wait_for(&format!("{count} rotations of {log}"), WRITER_LIMIT, || {
            let counted = counted(&self.scrape()?);
            if counted >= count { Ok(()) } else { Err(format!("{counted}")) }
        });
    }

    /// Waits until that much may be written.
    fn await_leave(&self, bytes: u64) {
        wait_for("leave to write", WRITER_LIMIT, || {
            let allowed = self.allowed.load(Ordering::Relaxed);
            if bytes < allowed { Ok(()) } else { Err(allowed) }
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir_all(home.path().join("nl6/conf")).unwrap();
    fs::create_dir_all(home.path().join("nl6/var/prod/log")).unwrap();
    let conf = home.path().join("nl6/conf/serverConf.xml");
    fs::write(conf, "<?xml version='1.0'?>\n<serverconf><shared/></serverconf>\n").unwrap();
    home
}

fn start(home: &Path, run: Run) -> Exporter {
    let arguments: &[&str] = &[];
    if run.without_watches {
        let limited = home.join("limited");
        // In a namespace of its own the exporter gets one watch and no more.
        let script = "#!/bin/sh\necho 1 > /proc/sys/user/max_inotify_watches || exit 1\nexec \"$@\"\n";
        fs::write(&limited, script).unwrap();
        let program = format!(
            "#!/bin/sh\nexec unshare --user --map-root-user /bin/sh {} {} \"$@\"\n",
            limited.display(),
            crate::support::built("campaign_exporter").display()
        );
        let wrapper = home.join("exporter");
        fs::write(&wrapper, program).unwrap();
        fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        return Exporter::start_binary(&wrapper, home, &home.join("nl6"), arguments);
    }
    Exporter::start(home, &home.join("nl6"), arguments)
}

/// Writes everything in the background; how many bytes it has written can be seen meanwhile.
fn write_all(directory: PathBuf, scene: Arc<Scene>) -> JoinHandle<BTreeMap<String, Truth>> {
    std::thread::spawn(move || {
        let mut writers: Vec<_> = (0..LOGS).map(|number| Writer::new(&directory, number)).collect();
        let mut bytes = 0;
        for round in 0.. {
            if bytes >= TOTAL {
                break;
            }
            scene.await_leave(bytes);
            bytes = 0;
            for writer in &mut writers {
                writer.write(round, &scene);
                bytes += writer.truth.bytes;
            }
            scene.written.store(bytes, Ordering::Relaxed);
        }
        writers.into_iter().map(|writer| (writer.name, writer.truth)).collect()
    })
}

fn value(metrics: &Metrics, name: &str, log: &str, more: &str) -> u64 {
    let series = format!("{name}{{campaign_instance=\"prod\",log=\"{log}\",module=\"{log}\"{more}}}");
    let alternatives = metrics.series(name).into_iter().find(|(found, _)| same_labels(found, &series));
    alternatives.map_or(0, |(_, value)| value as u64)
}

/// Whether two series are written with the same labels, in whatever order.
fn same_labels(one: &str, other: &str) -> bool {
    let labels = |series: &str| {
        let mut labels: Vec<_> = series.trim_end_matches('}').split(['{', ',']).map(str::to_owned).collect();
        labels.sort();
        labels
    };
    labels(one) == labels(other)
}

fn counted(metrics: &Metrics, log: &str) -> Truth {
    let of = |name: &str, more: &str| value(metrics, name, log, more);
    Truth {
        levels: LEVELS.map(|level| of("campaign_log_messages_total", &format!(",level=\"{level}\""))),
        continuations: of("campaign_log_continuation_lines_total", ""),
        codes: of("campaign_log_error_codes_total", ",code=\"INT-150012\""),
        bytes: of("campaign_log_read_bytes_total", ""),
        rotations: of("campaign_log_rotations_total", ""),
    }
}

/// One at a time: each run wants the machine for itself.
static ALONE: Mutex<()> = Mutex::new(());

fn soak(run: Run) {
    let _alone = locked(&ALONE);
    let home = home();
    let directory = home.path().join("nl6/var/prod/log");
    let mut exporter = start(home.path(), run);
    let share = TOTAL / (run.kills as u64 + 1);
    let scene = Arc::new(Scene {
        written: AtomicU64::new(0),
        allowed: AtomicU64::new(share),
        url: Mutex::new(exporter.url("/metrics")),
        seen: Mutex::new(Metrics(String::new())),
        ahead: u64::from(run.kills > 0),
        rotating: Mutex::default(),
        least_age: run.least_age,
    });
    // The logs are new when they come: the exporter has to be there first.
    wait_for("exporter at work", LIMIT, || {
        let metrics = scene.scrape()?;
        let stored = metrics.value("campaign_exporter_storage_successful{collector=\"logs\"}");
        if stored == Some(1.0) { Ok(()) } else { Err(metrics.0) }
    });
    let begin = Instant::now();
    let writing = write_all(directory, Arc::clone(&scene));
    let mut random = Random(0x5eed);
    let mut seen = 0;
    for kill in 1..=run.kills as u64 {
        let at = share * (kill - 1) + random.below(share as usize) as u64;
        wait_for("bytes to be killed at", LIMIT, || {
            let written = scene.written.load(Ordering::Relaxed);
            if written >= at || writing.is_finished() { Ok(()) } else { Err(written) }
        });
        assert!(!writing.is_finished(), "no more was written before kill {kill}: it shows nothing");
        let bytes = || {
            let metrics = scene.scrape()?;
            let bytes = metrics.series("campaign_log_read_bytes_total");
            match bytes.iter().map(|(_, value)| *value as u64).sum::<u64>() {
                0 => Err(metrics.0),
                bytes => Ok(bytes),
            }
        };
        let held = locked(&scene.rotating);
        let before = wait_for("counters before the end", LIMIT, bytes);
        assert!(before >= seen, "a counter fell from {seen} to {before}");
        drop(exporter);
        exporter = start(home.path(), run);
        *locked(&scene.url) = exporter.url("/metrics");
        seen = wait_for("counters after the restart", LIMIT, bytes);
        assert!(seen >= before, "after a restart a counter fell from {before} to {seen}");
        drop(held);
        scene.allowed.store(share * (kill + 1), Ordering::Relaxed);
    }
    scene.allowed.store(u64::MAX, Ordering::Relaxed);
    let truth = writing.join().unwrap();
    let took = begin.elapsed();
    let total: u64 = truth.values().map(|log| log.bytes).sum();
    let last = wait_for("counted bytes", LIMIT, || {
        let metrics = exporter.metrics();
        for lost in ["campaign_log_skipped_bytes_total", "campaign_log_generations_missed_total"] {
            let lost: Vec<_> = metrics.series(lost).into_iter().filter(|(_, count)| *count > 0.0).collect();
            assert!(lost.is_empty(), "{run:?} lost some, and says so: {lost:?}\n{}", exporter.process.output());
        }
        let read = |log: &String| value(&metrics, "campaign_log_read_bytes_total", log, "");
        let missing = truth.iter().map(|(log, truth)| (log.clone(), read(log), truth.bytes));
        let missing: Vec<_> = missing.filter(|(_, read, written)| read != written).collect();
        if missing.is_empty() { Ok(metrics) } else { Err(missing) }
    });
    let all = begin.elapsed();
    for (log, truth) in &truth {
        assert_eq!(&counted(&last, log), truth, "{log} in {run:?}");
        assert_eq!(value(&last, "campaign_log_skipped_bytes_total", log, ""), 0, "{log} in {run:?}");
        assert_eq!(value(&last, "campaign_log_unparsed_lines_total", log, ""), 0, "{log} in {run:?}");
    }
    let rate = |took: Duration| total as f64 / 1e6 / took.as_secs_f64();
    let cpu = last.value("process_cpu_seconds_total").unwrap();
    let memory = last.value("process_resident_memory_bytes").unwrap() / 1e6;
    eprintln!(
        "{run:?}: written at {:.0} MB/s, counted at {:.0} MB/s, {cpu:.2} CPU s, {memory:.1} MB resident",
        rate(took),
        rate(all)
    );
}

#[test]
fn a_gigabyte_as_fast_as_it_can_be_written_is_counted_to_the_line() {
    for _ in 0..3 {
        soak(Run::default());
    }
}

/// A descriptor that is open outlives the deletion of its file, but not the process: what a killed reader had not read
/// is on the disk only while its file is there. So here a file exists long enough for the next reader to find it.
#[test]
fn a_gigabyte_is_counted_to_the_line_although_the_exporter_is_killed_ten_times() {
    soak(Run { kills: 10, least_age: Duration::from_secs(3), ..Run::default() });
}

#[test]
fn a_gigabyte_is_counted_to_the_line_without_a_watch_of_the_kernel() {
    soak(Run { without_watches: true, ..Run::default() });
}
