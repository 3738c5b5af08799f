//! The reader of the logs against what happens to log files: one test a hazard.
//!
//! Nothing here waits: [`Tailer::poll`] and [`Tailer::turn`] do one round when they are told to, at a time they are told.

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
use crate::source::tailer::follow::{Begin, LogFollower};
use crate::source::tailer::logs::{LogRecord, LogView, LogsKind, LogsView, Start};
use crate::source::tailer::watch::{Wake, Watch};
use crate::source::tailer::{LogKind, StorageAccess, Tailer, TailerThread, TurnRest};

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

#[test]
fn a_log_that_was_there_before_is_read_from_its_end_with_its_last_times() {
    let mut host = Host::new();
    host.write("x.log", errors(5));
    host.write("x.log", "2021-05-31T09:00:00.000Z\t1\t1\t1\tinfo\tlog\tfine\nand goes on\nhalf a li");
    host.poll();
    let log = host.log("x");
    assert_eq!((log.counts.levels, log.counts.continuations, log.tally.read_bytes), ([0; 3], 0, 0));
    assert_eq!(log.counts.last_error, Some(1_622_450_538_124));
    assert_eq!(log.counts.last_message, Some(1_622_451_600_000));
    host.write("x.log", format!("ne\n{}", errors(2)));
    host.poll();
    assert_eq!((host.errors(), host.log("x").counts.continuations), (2, 1));
    assert_eq!((host.log("x").counts.unreadable, host.skipped()), (0, 0));
}

#[test]
fn a_log_that_was_rotated_just_before_has_the_last_times_of_the_file_before() {
    let mut host = Host::new();
    host.write("x_2.log", errors(3));
    host.write("x.log", "");
    host.poll();
    let counts = host.log("x").counts;
    assert_eq!((counts.levels, counts.last_error), ([0; 3], Some(1_622_450_538_124)));
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (1, 0));
}

#[test]
fn a_log_that_was_there_before_is_read_from_its_beginning_when_asked_for() {
    let mut host = Host::with(Start::Beginning, Watch::Nobody);
    host.write("x_2.log", errors(3));
    host.write("x.log", errors(5));
    host.poll();
    assert_eq!(host.errors(), 8);
}

#[test]
fn the_file_before_a_log_that_was_there_is_not_counted() {
    let mut host = Host::new();
    host.write("x_2.log", errors(3));
    host.write("x.log", errors(5));
    host.poll();
    assert_eq!((host.errors(), host.log("x").tally.rotations), (0, 0));
    fs::remove_file(host.path("x.log")).unwrap();
    host.poll();
    host.write("x.log", errors(1));
    host.poll();
    host.surveys(4);
    assert_eq!(host.errors(), 1);
}

#[test]
fn a_new_log_is_read_from_its_beginning() {
    let mut host = Host::running();
    host.write("x.log", errors(5));
    host.poll();
    assert_eq!(host.errors(), 5);
    assert_eq!(host.log("x").lag, 0);
    assert_eq!(host.log("x").size, host.log("x").tally.read_bytes);
}

#[test]
fn a_new_instance_is_found_and_read_from_its_beginning() {
    let mut host = Host::running();
    let log = host.root.path().join("var/new/log");
    fs::create_dir_all(&log).unwrap();
    append(&log.join("x.log"), errors(5));
    host.surveys(1);
    assert_eq!(host.log_of("new", "x").unwrap().counts.levels[0], 5);
}

#[test]
fn a_rotated_log_loses_no_line() {
    let mut host = Host::running();
    for _ in 0..5 {
        host.write("x.log", errors(3));
        host.poll();
        host.write("x.log", errors(2));
        host.rotate("x");
        host.write("x.log", errors(4));
    }
    host.poll();
    assert_eq!(host.errors(), 45);
    assert_eq!((host.skipped(), host.log("x").tally.rotations), (0, 5));
}

#[test]
fn the_old_file_is_drained_before_the_new_one() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.poll();
    host.write("x.log", "2021-05-31T08:50:00.000Z\t1\t1\t1\tinfo\tlog\told\n");
    host.rotate("x");
    host.write("x.log", "continues the old\n2021-05-31T08:51:00.000Z\t1\t1\t1\tinfo\tlog\tnew\n");
    host.poll();
    let counts = host.log("x").counts;
    assert_eq!(counts.last_message, Some(1_622_451_060_000));
    assert_eq!((counts.continuations, counts.unreadable), (1, 0));
}

#[test]
fn a_log_that_is_rotated_and_not_there_again_yet_is_read_on() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.poll();
    host.write("x.log", errors(2));
    host.rotate("x");
    host.poll();
    assert_eq!(host.errors(), 3);
    // The writer has it open still.
    host.write("x_2.log", errors(1));
    host.poll();
    assert_eq!(host.errors(), 4);
    host.write("x.log", errors(1));
    host.write("x_2.log", errors(1));
    host.poll();
    assert_eq!(host.errors(), 6);
    assert_eq!(host.skipped(), 0);
}

#[test]
fn a_rotation_is_seen_without_reading_to_the_end_first() {
    // The reader sees every generation, but is far behind with reading.
    let mut host = Host::running();
    for round in 0..6 {
        host.write("x.log", errors(40_000));
        host.now += Duration::from_millis(200);
        if round == 0 {
            host.now += SURVEY;
        }
        host.turn();
        host.rotate("x");
    }
    assert!(host.errors() < 240_000, "the reader was to be behind");
    host.poll();
    assert_eq!(host.errors(), 240_000);
    assert_eq!(host.skipped(), 0);
}

#[test]
fn two_rotations_between_two_looks_lose_nothing_that_has_a_name() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.poll();
    host.write("x.log", errors(2));
    host.rotate("x");
    host.write("x.log", errors(3));
    host.rotate("x");
    host.write("x.log", errors(4));
    host.poll();
    assert_eq!(host.errors(), 10, "the oldest has no name any more, but was open");
    assert_eq!(host.skipped(), 0);
}

/// Writes `text` in the place of a rotated `x.log` until the file system's clock has ticked: times of change have to differ
/// for the reader to tell.
fn rotate_slowly(host: &Host, text: &str) {
    let changed = |path: &Path| path.metadata().unwrap().modified().unwrap();
    host.rotate("x");
    host.write("x.log", text);
    let before = changed(&host.path("x_2.log"));
    while changed(&host.path("x.log")) < before + Duration::from_millis(60) {
        fs::write(host.path("x.log"), text).unwrap();
    }
}

#[test]
fn a_generation_that_passed_unseen_is_reported_in_bytes_where_all_are_of_one_size() {
    let mut host = Host::running();
    let generation = errors(10);
    host.write("x.log", &generation);
    host.poll();
    (0..3).for_each(|_| rotate_slowly(&host, &errors(10)));
    host.poll();
    assert_eq!(host.errors(), 30, "of four generations one was never seen");
    assert_eq!(host.skipped(), generation.len() as u64);
    assert_eq!((host.log("x").tally.rotations, host.log("x").tally.generations_missed), (3, 1));
}

#[test]
fn a_generation_that_passed_unseen_is_no_guess_in_bytes_where_sizes_differ() {
    let mut host = Host::running();
    host.write("x.log", errors(10));
    host.poll();
    for times in [2, 500, 1] {
        rotate_slowly(&host, &errors(times));
    }
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (511, 0));
    assert_eq!((host.log("x").tally.rotations, host.log("x").tally.generations_missed), (3, 1));
}

#[test]
fn nothing_is_missed_between_a_log_that_was_deleted_and_the_next_one() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.poll();
    fs::remove_file(host.path("x.log")).unwrap();
    host.poll();
    // The next one lives for a moment only, long after the last one was deleted.
    let clock = host.path("clock");
    let ticked = |path: &Path| {
        fs::write(path, "").unwrap();
        path.metadata().unwrap().modified().unwrap()
    };
    let began = ticked(&clock);
    while ticked(&clock) < began + Duration::from_millis(60) {}
    host.write("x.log", errors(1));
    host.rotate("x");
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (2, 0));
    assert_eq!(host.log("x").tally.generations_missed, 0);
}

#[test]
fn an_inode_number_that_is_used_again_is_no_known_file() {
    // File systems give the number of a deleted file to the next one.
    let mut host = Host::running();
    for round in 1..=20 {
        host.write("x.log", errors(2));
        host.poll();
        host.surveys(3);
        fs::remove_file(host.path("x.log")).unwrap();
        host.surveys(4);
        assert_eq!(host.errors(), 2 * round);
    }
    assert_eq!(host.skipped(), 0);
}

#[test]
fn copy_and_truncate_loses_nothing_that_was_read() {
    let mut host = Host::running();
    host.write("x.log", errors(5));
    host.poll();
    fs::copy(host.path("x.log"), host.path("x.log.1")).unwrap();
    OpenOptions::new().write(true).truncate(true).open(host.path("x.log")).unwrap();
    host.poll();
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (7, 0));
    // It grows beyond where it was before anybody looks.
    fs::write(host.path("x.log"), errors(20)).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (27, 0));
    // It is of the very size that it was.
    fs::write(host.path("x.log"), errors(20)).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (47, 0));
    assert_eq!(host.log("x").tally.rotations, 3);
}

#[test]
fn what_was_seen_and_truncated_before_it_was_read_is_reported() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.poll();
    let unfinished = "2021-05-31T08:50:00.000Z\t1\t1\t1\tinfo";
    host.write("x.log", unfinished);
    host.poll();
    fs::write(host.path("x.log"), "").unwrap();
    host.poll();
    assert_eq!(host.skipped(), unfinished.len() as u64);
}

#[test]
fn a_writer_that_keeps_its_place_after_a_truncation_leaves_nul_bytes() {
    let mut host = Host::running();
    let file = File::create(host.path("x.log")).unwrap();
    let first = errors(50);
    file.write_all_at(first.as_bytes(), 0).unwrap();
    host.poll();
    file.set_len(0).unwrap();
    file.write_all_at(errors(3).as_bytes(), first.len() as u64).unwrap();
    host.poll();
    assert_eq!(host.errors(), 53);
    assert_eq!(host.skipped(), first.len() as u64, "the NUL bytes");
    assert_eq!(host.log("x").counts.unreadable, 0);
}

#[test]
fn a_deleted_log_is_read_to_its_end_and_then_no_longer_shown() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.poll();
    host.write("x.log", errors(2));
    fs::remove_file(host.path("x.log")).unwrap();
    host.poll();
    assert_eq!(host.errors(), 3);
    assert!(host.log("x").present);
    host.surveys(3);
    assert!(!host.log("x").present);
    assert_eq!(host.skipped(), 0);
}

#[test]
fn a_log_that_was_deleted_and_made_again_goes_on() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.poll();
    fs::remove_file(host.path("x.log")).unwrap();
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!(host.errors(), 3);
    fs::remove_file(host.path("x.log")).unwrap();
    host.surveys(5);
    host.write("x.log", errors(4));
    host.poll();
    assert_eq!(host.errors(), 7);
    assert!(host.log("x").present);
}

#[test]
fn a_file_that_was_replaced_is_a_new_one() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    host.write("x.log", errors(1));
    host.write("other", errors(2));
    fs::rename(host.path("other"), host.path("x.log")).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (6, 0));
}

#[test]
fn a_file_that_was_moved_away_and_back_is_not_read_twice() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    fs::rename(host.path("x.log"), host.path("aside")).unwrap();
    host.write("x.log", errors(2));
    host.poll();
    fs::rename(host.path("aside"), host.path("x.log")).unwrap();
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (6, 0));
}

#[test]
fn symbolic_links_are_followed_wherever_they_are() {
    let mut host = Host::running();
    let elsewhere = tempfile::tempdir().unwrap();
    append(&elsewhere.path().join("target"), errors(2));
    symlink(elsewhere.path().join("target"), host.path("x.log")).unwrap();
    symlink(elsewhere.path().join("nothing"), host.path("dangling.log")).unwrap();
    host.poll();
    append(&elsewhere.path().join("target"), errors(2));
    host.poll();
    assert_eq!(host.errors(), 4);
    // The link itself is what the rotation renames.
    host.rotate("x");
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (5, 0));

    // `var` may be a link, and so may be an instance.
    let home = tempfile::tempdir().unwrap();
    symlink(host.root.path().join("var"), home.path().join("var")).unwrap();
    symlink(host.root.path().join("var/prod"), host.root.path().join("var/alias")).unwrap();
    let (mut tailer, _) = tailer(Start::Beginning, Watch::Nobody);
    tailer.poll(host.now, Some(&home.path().join("var")));
    let view = tailer.view();
    let of = |instance: &str| view.logs.iter().find(|log| log.instance == instance && log.log == "x").unwrap();
    assert_eq!((of("prod").counts.levels[0], of("alias").counts.levels[0]), (5, 5));
}

#[test]
fn anything_but_a_regular_file_is_left_alone_and_counted() {
    let mut host = Host::running();
    fs::create_dir(host.path("directory.log")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(host.path("socket.log")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, host.path("x.log"), rustix::fs::Mode::RUSR).unwrap();
    host.poll();
    assert_eq!(host.troubles(), [(Miss::NotAFile, 3)]);
    fs::remove_file(host.path("x.log")).unwrap();
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!(host.errors(), 2);
    assert_eq!(host.troubles(), [(Miss::NotAFile, 2)]);
}

#[test]
fn lines_of_every_kind_are_counted() {
    let mut host = Host::running();
    let long = format!("2021-05-31T08:42:18.124Z\t1\t1\t1\terror\tlog\t{}", "x".repeat(3 * MAX_LINE_BYTES));
    host.write("x.log", "2021-05-31T08:42:18.124Z\t1\t1\t1\tinfo\tlog\tCRLF\r\n");
    host.write("x.log", b"2021-05-31T08:42:18.124Z\t1\t1\t1\tinfo\tlog\tna\xefve \0 \xa4\n  at line 3\n\n");
    host.write("x.log", &long);
    host.poll();
    assert_eq!(host.errors(), 1, "a line without end is cut and counted");
    host.write("x.log", format!("more\n{}", errors(1)));
    host.write("x.log", "2021-05-31T08:42:18.124Z no fields\n");
    host.write("x.log", "2021-05-31T08:42:18.124Z\t1\t1\t1\twarn");
    host.poll();
    let log = host.log("x");
    assert_eq!(log.counts.levels, [2, 0, 2]);
    assert_eq!((log.counts.continuations, log.counts.unreadable), (2, 1));
    assert_eq!(log.tally.skipped_bytes, (long.len() + 4 - MAX_LINE_BYTES) as u64);
    assert_eq!(log.lag, 35, "a partial last line waits");
    host.write("x.log", "ing\tlog\tx\n");
    host.poll();
    assert_eq!((host.log("x").counts.levels, host.log("x").lag), ([2, 1, 2], 0));
}

#[test]
fn the_last_line_of_a_file_that_is_left_behind_needs_no_end() {
    let mut host = Host::running();
    host.write("x.log", errors(3).trim_end());
    host.poll();
    assert_eq!(host.errors(), 2);
    host.rotate("x");
    host.write("x.log", errors(1));
    host.surveys(4);
    assert_eq!((host.errors(), host.skipped(), host.log("x").lag), (4, 0, 0));
}

#[test]
fn old_files_are_no_logs_of_their_own_and_others_are() {
    let mut host = Host::running();
    for file in ["x.log", "x_2.log", "y_2.log", "x_3.log", "x.log.1", "core", ".log", "_2.log", "x_2"] {
        host.write(file, errors(1));
    }
    host.poll();
    let mut names: Vec<_> = host.tailer.view().logs.iter().map(|log| log.log.clone().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["_2", "x", "x_3", "y"]);
    assert_eq!(host.log("y").counts.levels[0], 1);
}

#[test]
fn a_log_split_by_day_is_one_log() {
    let mut host = Host::new();
    host.write("logins.21-05-29.log", errors(7));
    host.write("logins.21-05-30.log", errors(7));
    host.poll();
    assert_eq!(host.log("logins").counts.levels[0], 0);
    host.write("logins.21-05-30.log", errors(1));
    host.write("logins.21-05-31.log", errors(2));
    host.poll();
    assert_eq!(host.log("logins").counts.levels[0], 3);
    assert_eq!(host.tailer.view().logs.len(), 1);
    host.write("logins.21-05-31.log", errors(1));
    host.restart();
    host.write("logins.21-06-01.log", errors(4));
    host.write("logins.21-06-02.log", errors(5));
    host.poll();
    assert_eq!(host.log("logins").counts.levels[0], 13, "two days passed while the exporter was down");
    assert_eq!(host.log("logins").tally.skipped_bytes, 0);
}

#[test]
fn a_file_that_is_unreadable_now_is_read_later() {
    as_plain_user(|| {
        let mut host = Host::new();
        let rights = |host: &Host, file: &str, mode| {
            fs::set_permissions(host.path(file), fs::Permissions::from_mode(mode)).unwrap();
        };
        host.write("x.log", errors(3));
        rights(&host, "x.log", 0o200);
        host.poll();
        host.write("new.log", errors(1));
        rights(&host, "new.log", 0o200);
        host.write("x.log", errors(1));
        host.poll();
        assert_eq!(host.troubles(), [(Miss::Denied, 2)]);
        assert_eq!((host.errors(), host.log("new").counts.levels[0]), (0, 0));
        rights(&host, "x.log", 0o600);
        rights(&host, "new.log", 0o600);
        host.write("x.log", errors(1));
        host.poll();
        assert!(host.tailer.view().troubles.is_empty());
        assert_eq!(host.errors(), 2, "what was there at the start is not counted, what came since is");
        assert_eq!(host.log("new").counts.levels[0], 1);

        // What a file said last is known once it can be read, also when nothing comes.
        let mut later = Host::new();
        later.write("x.log", errors(3));
        rights(&later, "x.log", 0o200);
        later.poll();
        assert_eq!(later.log("x").counts.last_error, None);
        rights(&later, "x.log", 0o600);
        later.poll();
        assert_eq!((later.errors(), later.log("x").counts.last_error), (0, Some(1_622_450_538_124)));

        // It is rotated while it can't be read: it is found under its other name.
        host.write("y.log", errors(2));
        rights(&host, "y.log", 0o200);
        host.poll();
        host.rotate("y");
        host.write("y.log", errors(3));
        host.poll();
        assert_eq!(host.log("y").counts.levels[0], 3);
        rights(&host, "y_2.log", 0o600);
        host.poll();
        assert_eq!((host.log("y").counts.levels[0], host.log("y").tally.skipped_bytes), (5, 0));

        // It is deleted before it could be read: that is told.
        host.write("z.log", errors(2));
        rights(&host, "z.log", 0o200);
        host.poll();
        let size = host.path("z.log").metadata().unwrap().len();
        fs::remove_file(host.path("z.log")).unwrap();
        host.surveys(3);
        assert_eq!(host.log("z").tally.skipped_bytes, size);
    });
}

#[test]
fn a_directory_that_is_unreadable_now_is_read_later() {
    as_plain_user(|| {
        let mut host = Host::new();
        host.write("x.log", errors(3));
        let directory = host.root.path().join("var/prod/log");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o000)).unwrap();
        host.poll();
        assert_eq!(host.troubles(), [(Miss::Denied, 1)]);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        host.poll();
        assert_eq!(host.errors(), 0, "it had been there before the reader");
        host.write("x.log", errors(2));
        host.poll();
        assert_eq!(host.errors(), 2);
        assert!(host.tailer.view().troubles.is_empty());
    });
}

#[test]
fn an_instance_that_may_not_be_looked_into_is_told_and_read_later() {
    as_plain_user(|| {
        let mut host = Host::new();
        host.write("x.log", errors(3));
        let rights = |host: &Host, mode| {
            fs::set_permissions(host.root.path().join("var/prod"), fs::Permissions::from_mode(mode)).unwrap();
        };
        rights(&host, 0o000);
        host.poll();
        assert_eq!(host.troubles(), [(Miss::Denied, 1)]);
        rights(&host, 0o700);
        host.poll();
        assert!(host.tailer.view().troubles.is_empty());
        assert_eq!(host.errors(), 0, "it had been there before the reader");
        assert!(host.log("x").counts.last_error.is_some());
    });
}

#[test]
fn a_read_that_fails_is_told_until_it_is_done() {
    let mut host = Host::running();
    // Nothing is mapped at its first address.
    symlink("/proc/self/mem", host.path("x.log")).unwrap();
    for _ in 0..2 {
        host.poll();
        assert_eq!(host.troubles(), [(Miss::Failed, 1)]);
    }
    fs::remove_file(host.path("x.log")).unwrap();
    host.write("x.log", errors(2));
    host.poll();
    host.poll();
    assert_eq!(host.errors(), 2);
    host.surveys(4);
    assert!(host.tailer.view().troubles.is_empty());
}

#[test]
fn generations_beyond_what_may_be_kept_open_are_reported_in_bytes() {
    const GENERATIONS: usize = 40;
    const MOST_OPEN: usize = 32;
    let host = Host::new();
    let mut follower = LogFollower::new(host.path("x.log"), vec![host.path("x_2.log")], Begin::Beginning);
    let mut sizes = Vec::new();
    for generation in 0..GENERATIONS {
        if generation > 0 {
            host.rotate("x");
        }
        let text = errors(1);
        host.write("x.log", &text);
        sizes.push(text.len() as u64);
        follower.observe();
    }
    let (lost, kept) = sizes.split_at(GENERATIONS - MOST_OPEN);
    let lost: u64 = lost.iter().sum();
    assert_eq!(follower.tally.skipped_bytes, lost);
    let (mut lines, mut buffer) = (0, vec![0; 2 * MAX_LINE_BYTES]);
    while follower.read(&mut buffer, usize::MAX, &mut |_: RawLine<'_>| lines += 1) > 0 {}
    assert_eq!(lines, MOST_OPEN);
    assert_eq!((follower.tally.read_bytes, follower.tally.rotations), (kept.iter().sum(), GENERATIONS as u64 - 1));
    assert_eq!(follower.tally.skipped_bytes, lost);
}

#[test]
fn no_more_logs_are_followed_than_allowed_and_the_others_counted() {
    const { assert!(LogsKind::MAX_LOGS >= 5_000) };
    let mut host = Host::with(Start::Beginning, Watch::Nobody);
    host.tailer = tailer(Start::Beginning, Watch::Nobody).0.with_max_logs(3);
    for name in ["a.log", "b.log", "c.log", "d.log", "e.log"] {
        host.write(name, errors(1));
    }
    host.poll();
    assert_eq!(host.tailer.view().logs.len(), 3);
    assert_eq!(host.troubles(), [(Miss::Limit, 2)]);
    // The place of a log that is gone is taken.
    fs::remove_file(host.path("a.log")).unwrap();
    host.surveys(5);
    assert_eq!(host.tailer.view().logs.len(), 3);
    assert_eq!(host.troubles(), [(Miss::Limit, 1)]);
}

#[test]
fn a_busy_log_does_not_keep_the_others_waiting() {
    let mut host = Host::running();
    let large = errors(200_000);
    host.write("a.log", &large);
    host.write("b.log", errors(1));
    host.write("c.log", errors(1));
    host.now += SURVEY;
    for _ in 0..3 {
        // A turn may be used up by one log, but the next begins with another.
        assert_eq!(host.turn(), TurnRest { at_least: Duration::ZERO, at_most: Duration::ZERO });
    }
    assert!(host.log("a").lag > 0, "three turns were not to be enough");
    assert_eq!((host.log("b").lag, host.log("c").lag), (0, 0));
    host.poll();
    assert_eq!(host.log("a").counts.levels[0], 200_000);
}

#[test]
fn a_hint_is_followed_at_once_and_without_hints_watched_logs_rest() {
    let mut host = Host::with(Start::End, Watch::Test);
    host.write("x.log", errors(1));
    let settle = |host: &mut Host| {
        for _ in 0..3 {
            host.now += Duration::from_millis(300);
            host.turn();
        }
    };
    settle(&mut host);
    host.write("x.log", errors(2));
    host.now += Duration::from_millis(300);
    let rest = host.turn();
    assert_eq!(host.errors(), 0, "nothing was hinted");
    assert!(rest.at_least.is_zero() && rest.at_most > SURVEY / 2, "{rest:?}");
    host.wake.touch(&host.path("x.log"), false);
    let rest = host.turn();
    assert_eq!(host.errors(), 2);
    assert!(!rest.at_least.is_zero(), "hints of a busy writer gather");

    settle(&mut host);
    host.write("new.log", errors(3));
    host.wake.touch(&host.path("new.log"), true);
    host.turn();
    assert_eq!(host.log("new").counts.levels[0], 3);

    // A hint that never came costs time, no lines.
    host.write("x.log", errors(4));
    host.surveys(1);
    assert_eq!(host.errors(), 6);
}

#[test]
fn lost_hints_and_floods_of_hints_lose_no_line() {
    let mut host = Host::with(Start::End, Watch::Test);
    host.poll();
    host.write("x.log", errors(1));
    host.now += Duration::from_secs(2);
    host.wake.touch_everything();
    host.turn();
    assert_eq!(host.errors(), 1, "the queue of hints has overflowed: everything is looked at");

    for _ in 0..1000 {
        host.wake.touch(&host.path("x.log"), false);
    }
    host.turn();
    // Now the directory is polled.
    host.write("x.log", errors(1));
    host.now += Duration::from_millis(100);
    let rest = host.turn();
    assert_eq!(host.errors(), 2);
    assert!(rest.at_most < Duration::from_millis(300), "{rest:?}");
    // And later watched again; what was written meanwhile is not missed.
    host.now += Duration::from_secs(60);
    host.turn();
    host.write("x.log", errors(1));
    host.wake.touch(&host.path("x.log"), false);
    host.now += Duration::from_secs(1);
    let rest = host.turn();
    assert_eq!(host.errors(), 3);
    host.now += Duration::from_secs(1);
    assert!(host.turn().at_most > Duration::from_secs(3), "{rest:?}");
}

#[test]
fn without_watches_directories_are_polled() {
    let mut host = Host::running();
    host.write("x.log", errors(1));
    host.now += Duration::from_millis(250);
    let rest = host.turn();
    assert_eq!(host.errors(), 1, "a new name shows in the directory's time");
    assert!(rest.at_most <= Duration::from_millis(250), "{rest:?}");
    host.write("x.log", errors(1));
    host.now += Duration::from_millis(100);
    host.turn();
    assert_eq!(host.errors(), 2, "a log that is being written is looked at each time");
    host.now += Duration::from_secs(60);
    host.turn();
    host.write("x.log", errors(1));
    host.now += Duration::from_secs(3);
    host.turn();
    assert_eq!(host.errors(), 3, "and one that was silent every few seconds");
}

#[test]
fn lines_written_while_nobody_was_there_are_counted_once() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.write("x.log", "2021-05-31T08:42:18.124Z\t1\t1\t1\terror\tlog\tUnable to rename file\nhalf");
    host.poll();
    host.restart();
    host.write("x.log", " a line, Invalid cross-device link\n");
    host.write("x.log", errors(2));
    host.write("new.log", errors(4));
    host.poll();
    assert_eq!((host.errors(), host.log("x").counts.continuations), (6, 1));
    assert_eq!(host.log("x").counts.problems, [0, 1, 0, 0], "what a line continues is remembered");
    assert_eq!(host.log("new").counts.levels[0], 4, "a log that came meanwhile is new");
    host.restart();
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (6, 0));
}

#[test]
fn a_rotation_while_nobody_was_there_loses_nothing() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    host.write("x.log", errors(2));
    host.restart();
    host.rotate("x");
    host.write("x.log", errors(4));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (9, 0));
    // With both files known.
    host.write("x.log", errors(1));
    host.restart();
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (11, 0));
    // Settled: the old file is closed, and known all the same.
    host.surveys(4);
    host.restart();
    host.poll();
    assert_eq!((host.errors(), host.log("x").tally.rotations), (11, 1));
}

#[test]
fn two_rotations_while_nobody_was_there_are_told() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    host.restart();
    host.write("x.log", errors(7));
    host.rotate("x");
    host.write("x.log", errors(500));
    host.rotate("x");
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (504, 0));
    let tally = host.log("x").tally;
    assert_eq!((tally.rotations, tally.generations_missed), (2, 1), "how much of it is unknown");
}

#[test]
fn two_rotations_while_nobody_was_there_are_reported_in_bytes_where_all_are_of_one_size() {
    let mut host = Host::running();
    host.write("x.log", errors(10));
    host.poll();
    host.rotate("x");
    host.write("x.log", errors(3));
    host.surveys(4);
    host.restart();
    let text = errors(7);
    host.write("x.log", &text);
    host.rotate("x");
    host.write("x.log", errors(10));
    host.rotate("x");
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (24, text.len() as u64));
    assert_eq!((host.log("x").tally.rotations, host.log("x").tally.generations_missed), (3, 1));
}

#[test]
fn a_rotation_to_a_foreign_name_and_a_truncation_while_nobody_was_there_are_told() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    let told = |host: &mut Host| {
        let log = host.log("x");
        (log.counts.levels[0], log.tally.rotations, log.tally.generations_missed, log.tally.skipped_bytes)
    };
    host.restart();
    fs::rename(host.path("x.log"), host.path("x.log.20240101")).unwrap();
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!(told(&mut host), (5, 1, 1, 0));
    host.restart();
    fs::write(host.path("x.log"), errors(50)).unwrap();
    host.poll();
    assert_eq!(told(&mut host), (55, 2, 2, 0), "it grew beyond where it was");
    host.restart();
    fs::write(host.path("x.log"), "").unwrap();
    host.poll();
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!(told(&mut host), (56, 3, 3, 0));
}

#[test]
fn what_was_seen_and_is_gone_with_its_file_is_told_in_bytes() {
    let mut host = Host::running();
    let unfinished = "2021-05-31T08:50:00.000Z\t1\t1\t1\tinfo";
    host.write("x.log", errors(5) + unfinished);
    host.poll();
    host.restart();
    fs::remove_file(host.path("x.log")).unwrap();
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (7, unfinished.len() as u64));
}

/// Copies `var` to other inodes in its place, as to another disk.
fn copy_var(host: &Host) {
    let old = host.root.path().join("var.old");
    fs::rename(host.var(), &old).unwrap();
    let status = std::process::Command::new("cp").arg("-a").args([&old, &host.var()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn logs_that_were_copied_to_another_disk_go_on() {
    let mut host = Host::running();
    host.write("y.log", errors(2));
    host.write("x.log", errors(20));
    host.poll();
    host.rotate("x");
    host.write("x.log", errors(20));
    host.surveys(4);
    host.restart();
    copy_var(&host);
    host.write("x.log", errors(1));
    host.write("y.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.log("y").counts.levels[0]), (41, 3), "nothing is counted twice");
    let tally = host.log("x").tally;
    assert_eq!((tally.rotations, tally.generations_missed, tally.skipped_bytes), (1, 0, 0));
}

#[test]
fn a_log_that_is_written_anew_in_place_goes_on() {
    let mut host = Host::running();
    host.write("x.log", errors(20));
    host.poll();
    let rewrite = |host: &Host, text: &str| {
        fs::write(host.path("sedtmp"), text).unwrap();
        fs::rename(host.path("sedtmp"), host.path("x.log")).unwrap();
    };
    let text = fs::read_to_string(host.path("x.log")).unwrap();
    let shouted = text.replacen("00000019\n", "00000019!\n", 1) + &errors(1);
    rewrite(&host, &shouted);
    host.poll();
    assert_eq!(host.errors(), 21);
    // A line is taken out: what is left was counted.
    let end = shouted.trim_end().rfind('\n').unwrap() + 1;
    rewrite(&host, &shouted[..end]);
    host.poll();
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (22, 0));
    // While the exporter was down.
    host.restart();
    let text = fs::read_to_string(host.path("x.log")).unwrap();
    rewrite(&host, &(text + &errors(2)));
    host.poll();
    assert_eq!((host.errors(), host.log("x").tally.rotations), (24, 0));
}

#[test]
fn a_log_that_is_copied_and_truncated_is_counted_once() {
    let mut host = Host::running();
    host.write("x.log", errors(20));
    host.poll();
    for restarts in [false, true] {
        let before = host.errors();
        // What was not read yet is in the copy.
        host.write("x.log", errors(3));
        fs::copy(host.path("x.log"), host.path("x_2.log")).unwrap();
        if restarts {
            host.restart();
        }
        fs::write(host.path("x.log"), errors(20)).unwrap();
        host.poll();
        host.surveys(4);
        assert_eq!(host.errors(), before + 23, "{restarts}");
        assert_eq!((host.skipped(), host.log("x").tally.generations_missed), (0, 0), "{restarts}");
    }
    assert_eq!(host.log("x").tally.rotations, 2);
    // A copy alone is no news, also after a restart.
    let before = host.errors();
    fs::copy(host.path("x.log"), host.path("x_2.log")).unwrap();
    host.poll();
    host.restart();
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.log("x").tally.rotations), (before + 1, 2));
}

#[test]
fn a_file_that_is_renamed_back_is_the_current_one_again() {
    let mut host = Host::running();
    host.write("x.log", errors(30));
    host.poll();
    fs::rename(host.path("x.log"), host.path("aside")).unwrap();
    host.write("x.log", errors(2));
    host.poll();
    fs::rename(host.path("aside"), host.path("x.log")).unwrap();
    host.poll();
    assert_eq!(host.log("x").size, host.path("x.log").metadata().unwrap().len(), "the size of what is written");
    host.surveys(5);
    host.write("x.log", errors(1));
    host.poll();
    host.restart();
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (33, 0));
}

#[test]
fn a_file_that_could_not_be_opened_after_a_restart_is_known_by_its_beginning() {
    as_plain_user(|| {
        let mut host = Host::running();
        let rights = |host: &Host, mode| {
            fs::set_permissions(host.path("x.log"), fs::Permissions::from_mode(mode)).unwrap();
        };
        host.write("x.log", errors(20));
        host.poll();
        rights(&host, 0o200);
        host.restart();
        host.poll();
        assert_eq!(host.troubles(), [(Miss::Denied, 1)]);
        // Its content is another one when it can be read again: that shows by its beginning alone.
        rights(&host, 0o600);
        fs::write(host.path("x.log"), errors(30)).unwrap();
        host.poll();
        assert_eq!((host.errors(), host.log("x").tally.rotations), (50, 1));
    });
}

#[test]
fn a_hole_in_a_log_costs_no_reading() {
    let mut host = Host::running();
    let file = File::create(host.path("x.log")).unwrap();
    let hole = 8_u64 << 30;
    file.write_all_at(errors(2).as_bytes(), 0).unwrap();
    let begin = file.metadata().unwrap().len();
    file.write_all_at(errors(3).as_bytes(), begin + hole).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (5, hole));
    // One that ends in a hole; and one within a line.
    let end = file.metadata().unwrap().len();
    file.set_len(end + hole).unwrap();
    host.poll();
    assert_eq!(host.log("x").lag, 0);
    file.write_all_at(&[b"\n", errors(1).as_bytes(), b"half a line"].concat(), end + hole).unwrap();
    file.set_len(end + 3 * hole).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.log("x").lag), (6, 0));
}

#[test]
fn a_link_to_nothing_is_told() {
    let mut host = Host::running();
    symlink(host.path("nothing"), host.path("x.log")).unwrap();
    host.poll();
    assert_eq!(host.troubles(), [(Miss::NotAFile, 1)]);
    host.write("nothing", errors(2));
    host.poll();
    assert_eq!((host.errors(), host.troubles()), (2, vec![]));
}

#[test]
fn a_log_beside_the_folder_is_followed_unless_one_in_it_has_its_name() {
    let mut host = Host::running();
    append(&host.var().join("prod/mta_debug.log"), errors(2));
    append(&host.var().join("prod/x.log"), errors(7));
    host.write("x.log", errors(1));
    host.surveys(1);
    host.poll();
    assert_eq!((host.log("mta_debug").counts.levels[0], host.errors()), (2, 1));
    append(&host.var().join("prod/mta_debug.log"), errors(2));
    host.poll();
    host.restart();
    host.poll();
    assert_eq!((host.log("mta_debug").counts.levels[0], host.errors()), (4, 1));
    assert_eq!(host.tailer.view().logs.len(), 2);
}

#[test]
fn more_logs_than_descriptors_are_followed_in_turns() {
    let mut host = Host::running();
    host.tailer = tailer(Start::Beginning, Watch::Nobody).0.with_max_open(5);
    let names: Vec<String> = (0..40).map(|number| format!("log{number}.log")).collect();
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for round in 1..=3 {
        for name in &names {
            host.write(name, errors(1));
        }
        for _ in 0..60 {
            host.now += Duration::from_secs(1);
            host.turn();
        }
        let logs = host.tailer.view().logs;
        let counted: u64 = logs.iter().map(|log| log.counts.levels[0]).sum();
        assert_eq!((counted, logs.len()), (40 * round, 40));
        assert_eq!(host.troubles(), []);
    }
    // Other tests hold descriptors, too: far fewer than forty.
    assert!(open() < before + 36, "{} and {}", open(), before);
    // Rotated while it was closed.
    host.rotate("log0");
    host.write("log0_2.log", errors(1));
    host.write("log0.log", errors(1));
    for _ in 0..30 {
        host.now += Duration::from_secs(1);
        host.turn();
    }
    let log = host.log("log0");
    assert_eq!((log.counts.levels[0], log.tally.rotations, log.tally.skipped_bytes), (5, 1, 0));
}

#[test]
fn what_version_1_stored_goes_on_in_the_same_places() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state/v1");
    let mut host = Host::new();
    fs::remove_dir_all(host.var()).unwrap();
    let copied = std::process::Command::new("cp").arg("-r").args([&fixture.join("var"), &host.var()]).status().unwrap();
    assert!(copied.success());
    let records = crate::source::positions::parse(&fs::read(fixture.join("logs.json")).unwrap(), "logs").unwrap();
    host.tailer.restore(records, host.now);
    host.poll();
    let counts = |host: &mut Host, log: &str| {
        let log = host.log(log);
        (log.counts.levels, log.tally.read_bytes, log.tally.rotations, log.lag)
    };
    assert_eq!(counts(&mut host, "mta"), ([3, 1, 17], 1415, 1, 34));
    assert_eq!(counts(&mut host, "import"), ([1, 0, 6], 422, 0, 0));
    assert_eq!(counts(&mut host, "mtachild"), ([1, 0, 6], 454, 0, 0));
    host.write("mta.log", "o\tlog\tthe other half\n");
    host.poll();
    assert_eq!(counts(&mut host, "mta"), ([3, 1, 18], 1415 + 55, 1, 0));
    assert_eq!(host.log("mta").tally.generations_missed, 0);
}

#[test]
fn a_file_truncated_or_replaced_while_nobody_was_there_is_a_new_one() {
    let mut host = Host::running();
    host.write("x.log", errors(30));
    host.poll();
    host.restart();
    fs::write(host.path("x.log"), errors(2)).unwrap();
    host.poll();
    assert_eq!(host.errors(), 32, "it shrank");
    host.restart();
    fs::write(host.path("x.log"), errors(50)).unwrap();
    host.poll();
    assert_eq!(host.errors(), 82, "it begins otherwise");
    host.restart();
    fs::remove_file(host.path("x.log")).unwrap();
    host.write("x.log", errors(60));
    host.poll();
    assert_eq!(host.errors(), 142);
    assert_eq!(host.skipped(), 0);
}

#[test]
fn a_file_whose_last_writes_were_lost_with_the_machine_is_not_read_twice() {
    let mut host = Host::running();
    host.write("x.log", errors(20));
    host.poll();
    host.restart();
    let file = File::options().write(true).open(host.path("x.log")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 100).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (20, 0));
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (22, 0));
}

#[test]
fn a_device_may_have_another_number_after_the_machine_was_started() {
    let mut host = Host::running();
    host.write("x.log", errors(20));
    host.poll();
    host.write("x.log", errors(1));
    host.rotate("x");
    host.write("x.log", errors(20));
    host.poll();
    let device = host.path("x.log").metadata().unwrap().dev();
    let state = host.state();
    let other = state.replace(&format!("\"device\":{device}"), "\"device\":4711");
    assert_ne!(other, state);
    host.start_from(&other);
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (43, 0));
}

#[test]
fn a_kill_between_two_states_counts_no_line_twice_and_none_less() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    let before = host.state();
    host.write("x.log", errors(4));
    host.rotate("x");
    host.write("x.log", errors(5));
    host.poll();
    assert_eq!(host.errors(), 12);
    // The last state never reached the disk.
    host.start_from(&before);
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (12, 0));
}

#[test]
fn a_log_whose_files_are_away_keeps_its_counts_for_a_while() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    fs::rename(host.root.path().join("var/prod"), host.root.path().join("var-prod")).unwrap();
    host.surveys(5);
    host.restart();
    host.surveys(5);
    fs::rename(host.root.path().join("var-prod"), host.root.path().join("var/prod")).unwrap();
    host.write("x.log", errors(2));
    host.surveys(2);
    assert_eq!(host.errors(), 5);
    let log = host.root.path().join("var/prod/log");
    fs::remove_dir_all(&log).unwrap();
    host.surveys(400);
    assert!(host.tailer.view().logs.is_empty());
    fs::create_dir(&log).unwrap();
    host.write("x.log", errors(1));
    host.surveys(2);
    assert_eq!(host.errors(), 6, "as after a volume was not mounted for hours");
    fs::remove_dir_all(&log).unwrap();
    host.surveys(400);
    assert!(host.state().contains("x.log"));
    host.now += Duration::from_secs(31 * 24 * 3600);
    host.surveys(1);
    assert!(!host.state().contains("x.log"));
}

#[test]
fn a_home_that_moves_takes_its_logs_along() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    let elsewhere = tempfile::tempdir().unwrap();
    host.tailer.poll(host.now, Some(&elsewhere.path().join("var")));
    assert!(host.tailer.view().logs.is_empty());
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!(host.errors(), 4);
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

/// Waits until `condition` holds for what the reader publishes.
fn wait_for(reader: &TailerThread<LogsView>, what: &str, condition: impl Fn(&[Arc<LogView>], Option<bool>) -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        let published = reader.readings().published();
        if condition(&published.view.logs, published.stored) {
            return;
        }
        assert!(Instant::now() < limit, "{what}: {published:?}");
        std::thread::yield_now();
    }
}

fn start(host: &Host, start: Start, storage: &Path) -> TailerThread<LogsView> {
    let var = host.var();
    let make = move |wake: Arc<Wake>| {
        let kind = LogsKind::new(start, "/proc".into(), |_| false);
        Tailer::new(kind, Watch::kernel(Arc::clone(&wake)), wake)
    };
    TailerThread::start(move || Some(var.clone()), StorageAccess::ReadWrite(storage.to_owned()), make).unwrap()
}

fn total(logs: &[Arc<LogView>]) -> u64 {
    logs.iter().map(|log| log.counts.levels[0]).sum()
}

/// What is stored in `directory`, seen as by another exporter.
fn stored(directory: &Path) -> Vec<LogRecord> {
    Storage::new(directory.to_owned(), LogsKind::NAME).look().unwrap()
}

fn stored_logs(directory: &Path) -> (u64, u64) {
    let logs = stored(directory);
    let of = |record: &LogRecord| match record {
        LogRecord::Log(log) => (log.counts.levels[0], log.tally.rotations),
        LogRecord::Surveyed {} => (0, 0),
    };
    logs.iter().map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[test]
fn a_reader_goes_on_where_the_last_one_ended_and_stores_a_rotation_before_it_shows_it() {
    let host = Host::new();
    let storage = host.root.path().join("state");
    let start = || start(&host, Start::End, &storage);
    let reader = start();
    wait_for(&reader, "a first look", |_, stored| stored == Some(true));
    host.write("x.log", errors(10));
    wait_for(&reader, "ten", |logs, _| total(logs) == 10);
    for round in 1..=5 {
        host.rotate("x");
        host.write("x.log", errors(10));
        let rotations = |logs: &[Arc<LogView>]| logs.iter().map(|log| log.tally.rotations).sum::<u64>();
        wait_for(&reader, "a rotation", |logs, _| rotations(logs) == round);
        assert!(stored_logs(&storage).1 >= round, "it was shown before it was stored");
        wait_for(&reader, "ten more", |logs, _| total(logs) == 10 + 10 * round);
    }
    host.write("x.log", errors(1));
    reader.stop();
    assert!(stored_logs(&storage).0 >= 60, "everything is stored at the end");
    let reader = start();
    wait_for(&reader, "all", |logs, _| total(logs) == 61);
    assert!(reader.readings().is_alive());
}

#[test]
fn a_storage_that_is_removed_is_made_again() {
    let host = Host::new();
    let storage = host.root.path().join("state");
    host.write("x.log", errors(3));
    let reader = start(&host, Start::Beginning, &storage);
    wait_for(&reader, "a first state", |logs, stored| total(logs) == 3 && stored == Some(true));
    fs::remove_dir_all(&storage).unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    let mut written = 3;
    while !storage.join(STATE_FILE).exists() {
        assert!(Instant::now() < limit);
        // A rotation is stored at once.
        host.rotate("x");
        host.write("x.log", errors(1));
        written += 1;
        wait_for(&reader, "one more", |logs, _| total(logs) == written);
    }
    wait_for(&reader, "it is stored again", |_, stored| stored == Some(true));
    assert!(stored_logs(&storage).0 > 3);
}

#[test]
fn a_reader_that_may_only_look_writes_nothing() {
    let host = Host::new();
    let storage = host.root.path().join("state");
    let reader = start(&host, Start::End, &storage);
    wait_for(&reader, "a first look", |_, stored| stored == Some(true));
    host.write("x.log", errors(2));
    wait_for(&reader, "two", |logs, _| total(logs) == 2);
    reader.stop();
    let before = fs::read(storage.join(STATE_FILE)).unwrap();
    host.write("x.log", errors(1));
    let var = host.var();
    let access = StorageAccess::ReadOnly(storage.clone());
    let looks = TailerThread::start(move || Some(var.clone()), access, tailer_with).unwrap();
    wait_for(&looks, "three", |logs, stored| total(logs) == 3 && stored.is_none());
    looks.stop();
    assert_eq!(fs::read(storage.join(STATE_FILE)).unwrap(), before);
}

#[test]
fn a_storage_that_cannot_be_written_is_reported_and_done_without() {
    let host = Host::new();
    let storage = host.root.path().join("file");
    fs::write(&storage, "").unwrap();
    host.write("x.log", errors(10));
    let reader = start(&host, Start::Beginning, &storage);
    wait_for(&reader, "what is not stored", |logs, stored| total(logs) == 10 && stored == Some(false));
}

#[test]
fn a_reader_whose_disk_does_not_answer_can_be_ended() {
    let hangs = Arc::new(std::sync::Barrier::new(2));
    let theirs = Arc::clone(&hangs);
    let var = move || {
        theirs.wait();
        loop {
            std::thread::park();
        }
    };
    let reader = TailerThread::start(var, StorageAccess::None, tailer_with).unwrap();
    hangs.wait();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        reader.stop();
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(60)).expect("the reader is left behind");
}

fn tailer_with(wake: Arc<Wake>) -> Tailer<LogsKind> {
    Tailer::new(LogsKind::new(Start::End, "/proc".into(), |_| false), Watch::Nobody, wake)
}

#[test]
fn a_damaged_state_is_set_aside_and_done_without() {
    let host = Host::new();
    host.write("x.log", errors(3));
    let storage = host.root.path().join("state");
    fs::create_dir_all(&storage).unwrap();
    fs::write(storage.join(STATE_FILE), "{\"format\":\"something else\"}\n{}\n").unwrap();
    let reader = start(&host, Start::Beginning, &storage);
    wait_for(&reader, "what is there", |logs, stored| total(logs) == 3 && stored == Some(true));
    assert!(storage.join("logs.json.damaged").exists());
}
