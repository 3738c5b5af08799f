//! One test a hazard: on trees of plain files, where the test controls time and every read, and on real processes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use tempfile::TempDir;

use super::*;
use crate::source::kit::proc_root::Abilities;
use crate::source::kit::{Miss, ProcRoot};

mod readings;
mod real;
mod starts;

const SECOND: Duration = Duration::from_secs(1);
const TICK_RATE: u64 = 100;

/// A process of a fake `/proc`, as its files show it.
#[derive(Clone)]
struct Fake {
    comm: &'static [u8],
    state: char,
    parent: u32,
    user: u64,
    system: u64,
    children: u64,
    start: u64,
    image: u64,
    rss: u64,
    line: Vec<u8>,
    io: Option<(u64, u64)>,
    descriptors: usize,
    limit: &'static str,
    exit_signal: i64,
}

impl Fake {
    fn new(line: &str) -> Fake {
        Fake {
            comm: b"nlserver",
            state: 'S',
            parent: 1,
            user: 0,
            system: 0,
            children: 0,
            start: 500,
            image: 7,
            rss: 10,
            line: line.replace(' ', "\0").into_bytes(),
            io: Some((0, 0)),
            descriptors: 3,
            limit: "1024",
            exit_signal: 17,
        }
    }

    fn other(comm: &'static [u8]) -> Fake {
        Fake { comm, ..Fake::new("something else") }
    }
}

/// A fake `/proc`, a tracker of it and its clock.
struct Host {
    dir: TempDir,
    root: ProcRoot,
    tracker: Tracker,
    now: Instant,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Host {
    fn new() -> Host {
        Host::with(false)
    }

    /// One that tells the process id handed out last.
    fn telling() -> Host {
        Host::with(true)
    }

    fn with(tells_last_pid: bool) -> Host {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("stat"), "cpu 0\nbtime 1700000000\n").unwrap();
        fs::write(dir.path().join("loadavg"), "0.00 0.00 0.00 1/1 1\n").unwrap();
        let root = ProcRoot::open(dir.path()).unwrap();
        let tracker = Tracker::new(&root, Abilities { tells_last_pid, ..Abilities::default() }, 0);
        let mut host = Host { dir, root, tracker, now: Instant::now(), paths: Arc::default() };
        host.put(1, &Fake::other(b"init"));
        host
    }

    fn put(&mut self, pid: u32, process: &Fake) {
        let folder = self.dir.path().join(pid.to_string());
        fs::create_dir_all(folder.join("fd")).unwrap();
        // Numbered as in proc(5); the state is the third.
        let mut fields = [0_i64; 53];
        let set = [
            (4, u64::from(process.parent)),
            (14, process.user),
            (15, process.system),
            (16, process.children),
            (20, 2),
            (22, process.start),
            (23, 1_000_000),
            (24, process.rss),
            (26, process.image),
            (28, process.image),
            (48, process.image),
        ];
        for (field, value) in set {
            fields[field] = i64::try_from(value).unwrap();
        }
        fields[38] = process.exit_signal;
        let mut stat = format!("{pid} (").into_bytes();
        stat.extend(process.comm);
        stat.extend(format!(") {}", process.state).into_bytes());
        stat.extend(fields[4..].iter().flat_map(|value| format!(" {value}").into_bytes()));
        stat.push(b'\n');
        fs::write(folder.join("stat"), stat).unwrap();
        fs::write(folder.join("cmdline"), &process.line).unwrap();
        let limits = format!("Max open files            {:<20} 4096  files\n", process.limit);
        fs::write(folder.join("limits"), limits).unwrap();
        if let Some((read, written)) = process.io {
            fs::write(folder.join("io"), format!("read_bytes: {read}\nwrite_bytes: {written}\n")).unwrap();
        }
        for number in 0..process.descriptors {
            fs::write(folder.join("fd").join(number.to_string()), "").unwrap();
        }
    }

    fn end(&mut self, pid: u32) {
        fs::remove_dir_all(self.dir.path().join(pid.to_string())).unwrap();
    }

    fn hand_out(&mut self, last: u32) {
        fs::write(self.dir.path().join("loadavg"), format!("0.00 0.00 0.00 1/1 {last}\n")).unwrap();
    }

    fn sample(&mut self) {
        self.now += SECOND;
        self.tracker.sample(&self.root, self.now);
    }

    fn walk(&mut self) -> ProcessTable {
        self.now += SECOND;
        self.tracker.walk(&self.root, self.now)
    }

    fn install(&mut self, home: Option<PathBuf>) {
        self.tracker.set_installation(&Arc::new(Installation { home, ..Installation::default() }));
    }

    fn samples(&mut self, times: usize) {
        for _ in 0..times {
            self.sample();
        }
    }

    /// From now on, what is read is noted.
    fn listen(&mut self) {
        let paths = Arc::clone(&self.paths);
        self.before_read(move |path| {
            paths.lock().unwrap().push(path.to_owned());
            Ok(())
        });
    }

    /// What was read since the last call; an empty path is the list of everything.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.paths.lock().unwrap())
    }

    fn before_read(&mut self, hook: impl FnMut(&str) -> Result<(), Miss> + Send + 'static) {
        *self.root.before_read.lock().unwrap() = Some(Box::new(hook));
    }
}

/// Every group as `module@instance processes/starts`.
fn told(table: &ProcessTable) -> String {
    let mut text = String::new();
    for group in &table.groups {
        let Group { module, instance, now, totals, .. } = group;
        write!(text, "{module}@{instance} {}/{} ", now.processes, totals.starts).unwrap();
    }
    text.trim_end().to_owned()
}

#[test]
fn the_fake_stat_has_every_field_where_it_belongs() {
    let mut host = Host::new();
    let process = Fake { user: 11, system: 12, exit_signal: 17, image: 77, ..Fake::new("nlserver web") };
    host.put(50, &process);
    let bytes = fs::read(host.dir.path().join("50/stat")).unwrap();
    let stat = crate::parse::process::stat(&bytes).unwrap();
    assert_eq!((stat.user_ticks, stat.system_ticks, stat.start_ticks, stat.exit_signal), (11, 12, 500, 17));
    assert_eq!((stat.image.start_code, stat.image.start_stack, stat.image.arg_start), (77, 77, 77));
}

/// A source of a fake `/proc`, as the collectors see it.
fn source_of(host: &Host) -> Arc<ProcessSource> {
    Arc::new(ProcessSource::new(host.dir.path()).unwrap())
}
