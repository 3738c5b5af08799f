//! The reader of the logs against what happens to log files: one test a hazard.
//!
//! Nothing here waits: [`Tailer::poll`] and [`Tailer::turn`] do one round per call, at the given time.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::parse::tail::{MAX_LINE_BYTES, RawLine};
use crate::source::as_plain_user;
use crate::source::kit::Miss;
use crate::source::positions::Storage;
use crate::source::tailer::folders::GONE_SHARE;
use crate::source::tailer::follow::{Begin, LogFollower};
use crate::source::tailer::logs::{LogRecord, LogView, LogsKind, LogsView, Start};
use crate::source::tailer::watch::{Wake, Watch};
use crate::source::tailer::{LogKind, Scope, StorageAccess, Tailer, TailerThread, TurnRest};

mod files;
mod restarts;
mod rotations;
mod thread;

/// How often everything is looked at.
const SURVEY: Duration = LogsKind::SURVEY;

/// Where the state is kept below the storage directory.
const STATE_FILE: &str = "logs.json";

/// An installation with one log directory, and a reader of it.
struct Host {
    root: tempfile::TempDir,
    wake: Arc<Wake>,
    tailer: Tailer<LogsKind>,
    now: Instant,
}

fn tailer(start: Start, watch: Watch) -> (Tailer<LogsKind>, Arc<Wake>) {
    let wake = Arc::new(Wake::default());
    let kind = LogsKind::new(start, "/proc".into(), |log| log == "import");
    (Tailer::new(kind, watch, Arc::clone(&wake)), wake)
}

impl Host {
    /// A host whose logs are read from their end on; nothing is read yet.
    fn new() -> Self {
        Self::with(Start::End, Watch::Nobody)
    }

    /// A host whose reader has looked around before there was any log.
    fn running() -> Self {
        let mut host = Self::new();
        host.poll();
        host
    }

    fn with(start: Start, watch: Watch) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/prod/log")).unwrap();
        let (tailer, wake) = tailer(start, watch);
        Host { root, wake, tailer, now: Instant::now() }
    }

    /// Another reader goes on where this one would after `kill -9`.
    fn restart(&mut self) {
        let text = self.state();
        self.start_from(&text);
    }

    /// What would be stored now.
    fn state(&self) -> String {
        serde_json::to_string(&self.tailer.records()).unwrap()
    }

    /// Another reader goes on from what was stored.
    fn start_from(&mut self, text: &str) {
        (self.tailer, self.wake) = tailer(Start::End, Watch::Nobody);
        self.tailer.restore(serde_json::from_str(text).unwrap(), self.now);
    }

    fn var(&self) -> PathBuf {
        self.root.path().join("var")
    }

    fn poll(&mut self) {
        let var = self.var();
        self.tailer.poll(self.now, Some(&var));
    }

    fn turn(&mut self) -> TurnRest {
        let var = self.var();
        self.tailer.turn(self.now, Some(&var))
    }

    fn troubles(&mut self) -> Vec<(Miss, u64)> {
        self.tailer.view().troubles.into_iter().map(|((_, miss), times)| (miss, times)).collect()
    }

    /// So many surveys, each when it is due.
    fn surveys(&mut self, times: u32) {
        for _ in 0..times {
            self.now += SURVEY;
            self.turn();
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join("var/prod/log").join(file)
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        append(&self.path(file), text);
    }

    fn rotate(&self, log: &str) {
        fs::rename(self.path(&format!("{log}.log")), self.path(&format!("{log}_2.log"))).unwrap();
    }

    /// Leaves the folder of the logs empty, as when the volume that has them is not mounted.
    fn unmount(&self) {
        fs::rename(self.path(""), self.root.path().join("away")).unwrap();
        fs::create_dir(self.path("")).unwrap();
    }

    /// Puts the folder back.
    fn mount(&self) {
        fs::remove_dir(self.path("")).unwrap();
        fs::rename(self.root.path().join("away"), self.path("")).unwrap();
    }

    fn log(&mut self, name: &str) -> LogView {
        self.log_of("prod", name).unwrap_or_else(|| panic!("no log {name}"))
    }

    fn log_of(&mut self, instance: &str, name: &str) -> Option<LogView> {
        let logs = self.tailer.view().logs;
        logs.iter().find(|log| log.instance == instance && log.log == name).map(|log| LogView::clone(log))
    }

    /// Errors counted in the log `x`.
    fn errors(&mut self) -> u64 {
        self.log("x").counts.levels[0]
    }

    fn skipped(&mut self) -> u64 {
        self.log("x").tally.skipped_bytes
    }
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_ref()).unwrap();
}

/// So many errors, each with another text.
fn errors(times: u32) -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let first = NEXT.fetch_add(times, std::sync::atomic::Ordering::Relaxed);
    let line = |number| format!("2021-05-31T08:42:18.124Z\t66462\t66501\t1\terror\tlog\tNumber {number:08}\n");
    (first..first + times).map(line).collect()
}

/// What happens to a log, at random but the same in every run.
#[test]
fn any_history_of_a_log_that_physics_allows_to_be_read_is_counted_to_the_line() {
    for seed in 0..150_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        let mut host = Host::running();
        let (mut written, mut rotations, mut open, mut history) = (0, 0, false, String::new());
        for _ in 0..40 {
            let action = below(12);
            history.push_str(&format!("{action}/{times} ", times = written));
            match action {
                // It may be in pieces, and looked at in between.
                0..=3 => {
                    let times = 1 + below(4) as u32;
                    let text = errors(times);
                    let cut = below(text.len() as u64) as usize;
                    host.write("x.log", &text[..cut]);
                    if below(2) == 0 && (open || rotations == 0) {
                        history.push_str("(polled) ");
                        host.poll();
                        (rotations, open) = (0, host.path("x.log").exists());
                    }
                    host.write("x.log", &text[cut..]);
                    written += u64::from(times);
                }
                // When the reader holds the current file open, two rotations leave every other file a name; else one does.
                4..=6 if host.path("x.log").exists() && rotations < if open { 2 } else { 1 } => {
                    host.rotate("x");
                    rotations += 1;
                    if below(2) == 0 {
                        history.push_str("(made again) ");
                        host.write("x.log", "");
                    }
                }
                7 => {
                    host.poll();
                    (rotations, open) = (0, host.path("x.log").exists());
                }
                8 => {
                    host.surveys(1 + below(4) as u32);
                    host.poll();
                    (rotations, open) = (0, host.path("x.log").exists());
                }
                9 if rotations < 2 => {
                    host.restart();
                    open = false;
                }
                10 if host.path("x.log").exists() => {
                    host.poll();
                    fs::write(host.path("x.log"), "").unwrap();
                    host.poll();
                    (rotations, open) = (0, host.path("x.log").exists());
                }
                11 if host.path("x.log").exists() => {
                    host.poll();
                    fs::remove_file(host.path("x.log")).unwrap();
                    // Unseen, it might have grown before: that is what would be reported after a restart.
                    host.poll();
                    (rotations, open) = (0, host.path("x.log").exists());
                }
                _ => {}
            }
            // After a restart nothing is shown of a log without a file.
            let log = host.log_of("prod", "x").filter(|_| matches!(action, 7 | 8));
            if let Some(log) = log {
                let counted = (log.counts.levels[0], log.tally.skipped_bytes);
                assert_eq!(counted, (written, 0), "seed {seed}: {history}");
            }
        }
        host.write("x.log", errors(1));
        host.poll();
        host.surveys(4);
        let log = host.log("x");
        assert_eq!(log.counts.levels[0], written + 1, "seed {seed}: {history}");
        assert_eq!((log.tally.skipped_bytes, log.lag), (0, 0), "seed {seed}: {history}");
        assert_eq!((log.counts.unreadable, log.counts.continuations), (0, 0), "seed {seed}: {history}");
    }
}
