//! What happens to files: truncated, deleted, moved, unreadable, of other kinds, too many.

use super::*;
use crate::stamp::ReadStamp;

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
    // It grows beyond where it was before the next look.
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
    });
}

#[test]
fn a_file_that_was_deleted_before_it_could_ever_be_opened_is_missed_and_told_in_bytes() {
    as_plain_user(|| {
        let mut host = Host::running();
        host.write("z.log", errors(2));
        fs::set_permissions(host.path("z.log"), fs::Permissions::from_mode(0o200)).unwrap();
        host.poll();
        let size = host.path("z.log").metadata().unwrap().len();
        fs::remove_file(host.path("z.log")).unwrap();
        host.surveys(3);
        // It may have grown after it was seen last.
        let tally = host.log("z").tally;
        assert_eq!((tally.skipped_bytes, tally.generations_missed), (size, 1));
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

/// What has rested for long is looked at all the same when hints say so.
#[test]
fn what_rests_is_looked_at_when_hints_were_lost_or_its_folder_may_be_another() {
    let mut host = Host::with(Start::End, Watch::Test);
    host.write("x.log", errors(1));
    host.write("y.log", errors(1));
    // A folder that has changed within the tick of its clock is listed in every survey, and its logs are looked at.
    let begin = Instant::now();
    while !ReadStamp::at(&host.path("")).is_ok_and(|stamp| stamp.holds_at(&host.path(""))) {
        assert!(begin.elapsed() < Duration::from_secs(60), "the clock of the files stands still");
        std::thread::sleep(Duration::from_millis(20));
    }
    host.surveys(21);
    host.write("x.log", errors(1));
    host.write("y.log", errors(1));
    host.surveys(1);
    assert_eq!((host.errors(), host.log("y").counts.levels[0]), (0, 0), "they rest");
    host.wake.touch_everything();
    host.now += Duration::from_secs(2);
    host.turn();
    assert_eq!((host.errors(), host.log("y").counts.levels[0]), (1, 1), "the queue of hints has overflowed");

    for instances in 0..3 {
        let mut host = Host::with(Start::End, Watch::Test);
        for number in 0..instances {
            fs::create_dir_all(host.var().join(format!("a{number}/log"))).unwrap();
        }
        host.write("x.log", errors(1));
        host.surveys(20);
        let folder = host.path("");
        fs::rename(&folder, host.var().join("prod/aside")).unwrap();
        fs::create_dir(&folder).unwrap();
        host.write("x.log", errors(2));
        host.now += Duration::from_secs(2);
        host.wake.touch(&host.var().join("prod/log"), true);
        host.turn();
        assert_eq!(host.errors(), 2, "another folder has the name");

        let (one, two) = (host.root.path().join("one"), host.root.path().join("two"));
        fs::rename(host.var(), &one).unwrap();
        symlink(&one, host.var()).unwrap();
        host.surveys(20);
        fs::create_dir_all(two.join("prod/log")).unwrap();
        append(&two.join("prod/log/x.log"), errors(4));
        fs::remove_file(host.var()).unwrap();
        symlink(&two, host.var()).unwrap();
        host.surveys(1);
        assert_eq!(host.errors(), 6, "another volume has the name of var");
    }
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
fn logs_beside_var_are_followed_too_where_var_is_in_the_installations_folder() {
    let mut host = Host::new();
    let beside = host.root.path().join("log");
    fs::create_dir_all(beside.join("hosted")).unwrap();
    fs::create_dir_all(beside.join("prod")).unwrap();
    append(&beside.join("hosted/mta.log"), errors(1));
    host.surveys(1);
    assert!(host.tailer.view().logs.is_empty(), "there is no configuration beside: it may be anybody's");
    fs::create_dir(host.root.path().join("conf")).unwrap();
    host.surveys(2);
    for (log, times) in [("hosted/mta.log", 2), ("prod/x.log", 3), ("prod/y.log", 1)] {
        append(&beside.join(log), errors(times));
    }
    host.write("y.log", errors(4));
    host.surveys(2);
    assert_eq!(host.log_of("hosted", "mta").unwrap().counts.levels[0], 3);
    assert_eq!(host.errors(), 3);
    assert_eq!(host.log("y").counts.levels[0], 4, "of the same log in both the one in var is followed");
    fs::remove_dir_all(&beside).unwrap();
    host.surveys(8);
    assert!(host.log_of("hosted", "mta").is_none_or(|log| !log.present));
    assert_eq!(host.troubles(), []);
}
