//! The reader of the tracking logs against what happens to their files: one test a hazard.
//!
//! Nothing here waits: [`Tailer::turn`] does one round per call, at the given time.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::parse::tail::MAX_LINE_BYTES;
use crate::source::kit::Miss;
use crate::source::tailer::tracking::{
    CorruptLine, FOLDER, InstanceTracking, MAX_INSTANCES, MAX_PLACES, TrackingKind, TrackingRecord, TrackingTotals,
    TrackingView,
};
use crate::source::tailer::watch::{Wake, Watch};
use crate::source::tailer::{LogKind, Tailer, TailerPhase, TurnRest};
use proptest::prelude::*;

/// How often the files are looked at.
const LOOK: Duration = TrackingKind::SURVEY;
const MAX_FILES: usize = TrackingKind::MAX_LOGS;

/// A line as the documentation shows one.
const GOOD: &str = "50x000000000FD7EC86\t2017-06-24T21:00:50.96\t1f506d71\t1aeab4b6\t1af77020\t0\t\
                    e5155671-4ab7-4ce4-a763-3b82dda6d881\th\t\tMozilla/5.0 (Macintosh)\t52.46.20.64\n";

const CORRUPT: &str = "50x000000000FD7EC86\t2017-06-24T21:00:50.96\t1f506d71\tMozilla/5.0\n";

/// An installation with the tracking logs of one instance, and a reader of them.
struct Host {
    root: tempfile::TempDir,
    tailer: Tailer<TrackingKind>,
    now: Instant,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/prod/redir/log")).unwrap();
        let tailer = tailer();
        Host { root, tailer, now: Instant::now() }
    }

    /// Another reader goes on where this one would after `kill -9`.
    fn restart(&mut self) {
        let text = serde_json::to_string(&self.tailer.records()).unwrap();
        self.tailer = tailer();
        self.tailer.restore(serde_json::from_str(&text).unwrap(), self.now);
    }

    /// Looks when it is time to, and reads all there is.
    fn look(&mut self) {
        self.now += LOOK;
        while self.turn().at_most == Duration::ZERO {}
    }

    fn turn(&mut self) -> TurnRest {
        let var = self.root.path().join("var");
        self.tailer.turn(self.now, Some(&var))
    }

    fn troubles(&mut self) -> Vec<(Miss, u64)> {
        self.view().troubles.into_iter().map(|((_, miss), times)| (miss, times)).collect()
    }

    /// So many looks as it takes to give a deleted file up.
    fn settle(&mut self) {
        (0..4).for_each(|_| self.look());
    }

    fn view(&mut self) -> TrackingView {
        self.look();
        self.tailer.view()
    }

    fn prod(&mut self) -> InstanceTracking {
        let view = self.view();
        view.instances.into_iter().find(|one| one.instance == "prod").unwrap_or_default()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join("var/prod/redir/log").join(file)
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(file)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    /// Puts another file in the place of `file`, as `sed -i` does.
    fn replace(&self, file: &str, text: impl AsRef<[u8]>) {
        let new = self.path("sedtmp");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(file)).unwrap();
    }
}

fn tailer() -> Tailer<TrackingKind> {
    Tailer::new(TrackingKind::default(), Watch::Nobody, Arc::new(Wake::default()))
}

fn totals(lines: u64, corrupt: u64) -> TrackingTotals {
    TrackingTotals { lines, corrupt, skipped_bytes: 0 }
}

fn place(file: &str, line: u64) -> CorruptLine {
    CorruptLine { file: file.into(), line }
}

#[test]
fn lines_of_all_files_are_counted_and_the_corrupt_ones_placed() {
    let mut host = Host::new();
    host.write("0x1.log", [GOOD, CORRUPT, GOOD].concat());
    host.write("0x2.log", GOOD);
    let view = host.prod();
    assert_eq!((view.files, view.totals, view.corrupt_files), (2, totals(4, 1), 1));
    assert_eq!(view.bytes, (3 * GOOD.len() + CORRUPT.len()) as u64);
    assert_eq!(view.places, [place("0x1.log", 2)]);
    let newest = fs::metadata(host.path("0x2.log")).unwrap().modified().unwrap();
    let newest = newest.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(view.newest, Some((newest.as_secs() as i64, i64::from(newest.subsec_nanos()))));
    host.write("0x2.log", [CORRUPT, GOOD].concat());
    let view = host.prod();
    assert_eq!((view.totals, view.corrupt_files), (totals(6, 2), 2));
    assert_eq!(view.places, [place("0x1.log", 2), place("0x2.log", 2)]);
}

#[test]
fn a_line_without_its_end_waits_for_it() {
    let mut host = Host::new();
    host.write("0x1.log", &GOOD[..40]);
    assert_eq!(host.prod().totals, totals(0, 0));
    host.write("0x1.log", &GOOD[40..]);
    assert_eq!(host.prod().totals, totals(1, 0));
}

#[test]
fn bytes_that_are_no_part_of_a_good_line_make_it_corrupt() {
    let good = GOOD.trim_end();
    for bad in [
        format!("\0\0{good}\n"),
        format!("{good}\r\n"),
        format!("{good}\0\n"),
        "\n".to_owned(),
        format!("{good}\t{}\n", "x".repeat(MAX_LINE_BYTES)),
    ] {
        let mut host = Host::new();
        host.write("0x1.log", GOOD);
        // However it comes in.
        for byte in bad.as_bytes().chunks(bad.len().div_ceil(3)) {
            host.write("0x1.log", byte);
            host.look();
        }
        host.write("0x1.log", GOOD);
        let view = host.prod();
        assert_eq!((view.totals.lines, view.totals.corrupt), (3, 1), "{:?}", &bad[..bad.len().min(200)]);
        assert_eq!(view.places, [place("0x1.log", 2)]);
    }
}

#[test]
fn a_file_that_was_collected_is_gone_and_no_count_falls() {
    let mut host = Host::new();
    host.write("0x1.log", [GOOD, CORRUPT].concat());
    host.write("0x2.log", GOOD);
    assert_eq!(host.prod().corrupt_files, 1);
    // What was written right before it went is counted too.
    host.write("0x1.log", [GOOD, GOOD].concat());
    fs::remove_file(host.path("0x1.log")).unwrap();
    let view = host.prod();
    assert_eq!((view.files, view.totals, view.corrupt_files), (1, totals(5, 1), 0));
    assert_eq!((view.bytes, view.places), (GOOD.len() as u64, vec![]));
    host.settle();
    assert_eq!(host.prod(), InstanceTracking { places: vec![], ..host.prod() });
    assert_eq!(host.prod().totals, totals(5, 1));
    host.write("0x1.log", GOOD);
    assert_eq!(host.prod().totals, totals(6, 1), "the same name again is another file");
}

#[test]
fn totals_of_instances_that_are_gone_are_kept_in_bounds() {
    let mut host = Host::new();
    host.write("0x1.log", GOOD);
    let var = host.root.path().join("var");
    for round in 0..=MAX_INSTANCES / 100 {
        for number in 0..100 {
            let folder = var.join(format!("extra{}", round * 100 + number)).join(FOLDER);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("0x1.log"), GOOD).unwrap();
        }
        host.look();
        (0..100).for_each(|number| fs::remove_dir_all(var.join(format!("extra{}", round * 100 + number))).unwrap());
        host.settle();
    }
    fs::remove_file(host.path("0x1.log")).unwrap();
    host.settle();
    assert_eq!(host.prod().totals, totals(1, 0), "what is there keeps its totals");
    assert!(host.tailer.records().len() <= MAX_INSTANCES, "{}", host.tailer.records().len());
}

#[test]
fn a_mended_file_is_judged_anew() {
    let mut host = Host::new();
    host.write("0x1.log", [CORRUPT, GOOD].concat());
    assert_eq!(host.prod().corrupt_files, 1);
    host.replace("0x1.log", [GOOD, GOOD].concat());
    let view = host.prod();
    assert_eq!((view.files, view.corrupt_files, view.totals), (1, 0, totals(4, 1)));
    host.write("0x1.log", CORRUPT);
    assert_eq!(host.prod().places, [place("0x1.log", 3)]);
    // In place: the file is the same, its content is not.
    fs::write(host.path("0x1.log"), GOOD).unwrap();
    let view = host.prod();
    assert_eq!((view.corrupt_files, view.places.len(), view.totals), (0, 0, totals(6, 2)));
    host.write("0x1.log", CORRUPT);
    assert_eq!(host.prod().corrupt_files, 1);
    fs::write(host.path("0x1.log"), "").unwrap();
    assert_eq!(host.prod().corrupt_files, 0, "an empty file has no corrupt line");
    host.write("0x1.log", [&GOOD.repeat(9), CORRUPT].concat());
    assert_eq!(host.prod().corrupt_files, 1);
    fs::write(host.path("0x1.log"), GOOD.repeat(5)).unwrap();
    assert_eq!(host.prod().corrupt_files, 0, "it begins as before, and all of it is judged");
}

#[test]
fn a_restart_counts_every_line_once_and_keeps_the_places() {
    let mut host = Host::new();
    host.write("0x1.log", [GOOD, CORRUPT].concat());
    host.write("0x2.log", GOOD);
    host.look();
    host.restart();
    host.write("0x1.log", GOOD);
    host.write("0x3.log", CORRUPT);
    let view = host.prod();
    assert_eq!((view.files, view.totals, view.corrupt_files), (3, totals(5, 2), 2));
    assert_eq!(view.places, [place("0x1.log", 2), place("0x3.log", 1)]);
    // Gone while the exporter was down, with something unread.
    host.write("0x3.log", GOOD);
    fs::remove_file(host.path("0x2.log")).unwrap();
    host.restart();
    fs::remove_file(host.path("0x3.log")).unwrap();
    let view = host.prod();
    assert_eq!((view.files, view.totals.lines, view.totals.corrupt), (1, 5, 2), "what was counted stays counted");
    host.restart();
    assert_eq!(host.prod().totals.lines, 5);
}

#[test]
fn what_was_deleted_before_it_could_be_read_is_told() {
    let mut host = Host::new();
    host.write("0x1.log", GOOD);
    host.look();
    let mut state = serde_json::to_value(host.tailer.records()).unwrap();
    // As if the last look had seen more than it could read.
    state[0]["file"]["files"][0]["size"] = (GOOD.len() + 100).into();
    fs::remove_file(host.path("0x1.log")).unwrap();
    host.tailer = tailer();
    host.tailer.restore(serde_json::from_value(state).unwrap(), host.now);
    assert_eq!(host.prod().totals, TrackingTotals { skipped_bytes: 100, ..totals(1, 0) });
}

#[test]
fn each_instance_is_counted_by_itself_and_a_host_without_tracking_logs_has_none() {
    let mut host = Host::new();
    fs::remove_dir_all(host.root.path().join("var/prod/redir")).unwrap();
    fs::create_dir_all(host.root.path().join("var/prod/log")).unwrap();
    let view = host.view();
    assert!(host.tailer.phase() == TailerPhase::CaughtUp && view.instances.is_empty());
    for (instance, times) in [("one", 1), ("two", 2)] {
        let folder = host.root.path().join("var").join(instance).join("redir/log");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0xA.log"), GOOD.repeat(times)).unwrap();
    }
    let lines = |view: TrackingView| -> Vec<_> {
        view.instances.into_iter().map(|one| (one.instance.into_string().unwrap(), one.totals.lines)).collect()
    };
    assert_eq!(lines(host.view()), [("one".to_owned(), 1), ("two".to_owned(), 2)]);
    fs::remove_dir_all(host.root.path().join("var/two")).unwrap();
    assert_eq!(lines(host.view()), [("one".to_owned(), 1)]);
}

#[test]
fn the_installation_may_be_elsewhere_later() {
    let mut host = Host::new();
    host.write("0x1.log", GOOD);
    assert_eq!(host.prod().totals.lines, 1);
    let other = Host::new();
    other.write("0x1.log", GOOD.repeat(3));
    let mut tailer = tailer();
    for (root, expected) in [(&host.root, 1), (&other.root, 4), (&host.root, 5)] {
        while tailer.turn(host.now, Some(&root.path().join("var"))).at_most == Duration::ZERO {}
        assert_eq!(tailer.view().instances[0].totals.lines, expected);
    }
    tailer.turn(host.now, None);
    assert!(tailer.phase() == TailerPhase::NoInstallation && tailer.view().instances.is_empty());
}

#[test]
fn what_is_no_tracking_log_is_left_alone_and_what_cannot_be_read_is_told() {
    let mut host = Host::new();
    host.write("notes.log", CORRUPT);
    host.write("0x1.txt", CORRUPT);
    let fifo = host.path("0xF.log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    fs::create_dir(host.path("0xD.log")).unwrap();
    host.write("0x1.log", GOOD);
    let view = host.prod();
    assert_eq!((view.totals, view.corrupt_files), (totals(1, 0), 0));
    assert_eq!(host.troubles(), [(Miss::NotAFile, 2)]);
    fs::remove_file(fifo).unwrap();
    fs::remove_dir(host.path("0xD.log")).unwrap();
    assert_eq!(host.troubles(), []);
}

#[test]
fn a_file_in_place_of_the_directory_is_told() {
    let mut host = Host::new();
    host.write("0x1.log", GOOD);
    host.look();
    let folder = host.root.path().join("var/prod/redir/log");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    assert_eq!(host.troubles(), [(Miss::NotAFile, 1)]);
}

#[test]
fn only_so_many_files_are_followed_and_places_told() {
    let mut host = Host::new();
    for number in 0..MAX_FILES + 2 {
        fs::write(host.path(&format!("0x{number:06}.log")), CORRUPT).unwrap();
    }
    // Under a low limit of descriptors they are read in turns.
    while host.tailer.phase() != TailerPhase::CaughtUp {
        host.look();
    }
    let view = host.prod();
    assert_eq!(view.files, MAX_FILES as u64 + 2);
    assert_eq!((view.corrupt_files, view.places.len()), (MAX_FILES as u64, MAX_PLACES));
    assert_eq!(host.troubles(), [(Miss::Limit, 2)]);
    for number in 0..10 {
        let _ = fs::remove_file(host.path(&format!("0x{number:06}.log")));
    }
    host.settle();
    let view = host.prod();
    assert_eq!((view.files, host.troubles().len()), (MAX_FILES as u64 - 8, 0), "there is room again");
    assert_eq!(view.totals.lines, MAX_FILES as u64 + 2);
}

#[test]
fn a_deleted_file_is_given_up_however_long_it_was_silent() {
    let mut host = Host::new();
    let names = ["0x1.log", "0x2.log", "0x3.log"];
    names.iter().for_each(|name| host.write(name, GOOD));
    (0..20).for_each(|_| host.look());
    for (deleted, name) in names.iter().enumerate() {
        fs::remove_file(host.path(name)).unwrap();
        host.settle();
        let stored = host.tailer.records().into_iter();
        let files = stored.filter(|record| matches!(record, TrackingRecord::File(_))).count();
        // Else one that is made under its name later, and happens to get its inode, is taken for it after a restart.
        assert_eq!(files, names.len() - deleted - 1, "{name}");
    }
    assert_eq!(host.prod().totals, totals(3, 0));
}

#[test]
fn a_large_file_keeps_no_other_waiting_and_a_look_in_time() {
    let mut host = Host::new();
    host.write("0x1.log", GOOD.repeat(200_000));
    host.write("0x2.log", GOOD);
    host.now += LOOK;
    let mut turns = 0;
    while host.turn().at_most == Duration::ZERO {
        turns += 1;
        let lines = host.tailer.view().instances[0].totals.lines;
        assert!(turns < 3 || lines > 0, "every turn reads");
    }
    assert!(turns > 5, "it took {turns} turns");
    assert_eq!(host.prod().totals, totals(200_001, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8, bool),
    Purge(u8),
    Mend(u8),
    MendUnseen(u8),
    Look,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..4, any::<bool>()).prop_map(|(file, good)| Step::Write(file, good)),
        1 => (0_u8..4).prop_map(Step::Purge),
        1 => (0_u8..4).prop_map(Step::Mend),
        1 => (0_u8..4).prop_map(Step::MendUnseen),
        3 => Just(Step::Look),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever happens to the files, each line that a reader could see is counted once, and the corrupt ones that are
    /// there now are known.
    #[test]
    fn any_history_is_counted_to_the_line(steps in steps()) {
        let mut host = Host::new();
        // Of each file: whether its lines are good. And what must have been counted altogether.
        let mut files: [Option<Vec<bool>>; 4] = Default::default();
        let (mut lines, mut corrupt) = (0, 0);
        for step in steps {
            let name = |file: u8| format!("0x{file}.log");
            match step {
                Step::Write(file, good) => {
                    host.write(&name(file), if good { GOOD } else { CORRUPT });
                    files[usize::from(file)].get_or_insert_default().push(good);
                    (lines, corrupt) = (lines + 1, corrupt + u64::from(!good));
                }
                Step::Purge(file) => {
                    // A reader that never saw the file can't count it; one that did reads it to its end.
                    host.look();
                    if files[usize::from(file)].take().is_some() {
                        fs::remove_file(host.path(&name(file))).unwrap();
                        host.settle();
                    }
                }
                Step::Mend(file) => {
                    host.look();
                    if let Some(content) = &mut files[usize::from(file)] {
                        content.retain(|good| *good);
                        host.replace(&name(file), GOOD.repeat(content.len()));
                        lines += content.len() as u64;
                        host.settle();
                    }
                }
                Step::MendUnseen(file) => {
                    host.look();
                    if let Some(content) = &mut files[usize::from(file)] {
                        let records = host.tailer.records();
                        content.retain(|good| *good);
                        host.replace(&name(file), GOOD.repeat(content.len()));
                        lines += content.len() as u64;
                        host.tailer = self::tailer();
                        host.tailer.restore(records, host.now);
                    }
                }
                Step::Look => host.look(),
                Step::Restart => host.restart(),
            }
        }
        let view = host.prod();
        prop_assert_eq!(view.totals, totals(lines, corrupt));
        let bad = |content: &&Vec<bool>| content.contains(&false);
        prop_assert_eq!(view.corrupt_files, files.iter().flatten().filter(bad).count() as u64);
        prop_assert_eq!(view.files, files.iter().flatten().count() as u64);
    }
}
