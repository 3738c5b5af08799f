//! Beginnings and rotations: which file is read from where, and what a rotation loses.

use super::*;

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
