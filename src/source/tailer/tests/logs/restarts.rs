//! What is reported after a restart, and what the stored state goes on with.

use super::*;

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
fn a_log_that_is_cut_at_its_end_or_written_anew_under_its_inode_goes_on() {
    let mut host = Host::running();
    host.write("x.log", errors(20));
    host.poll();
    let cut = |host: &Host, bytes: u64| {
        let file = fs::File::options().write(true).open(host.path("x.log")).unwrap();
        file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
    };
    cut(&host, 1);
    host.poll();
    host.write("x.log", "\n");
    host.write("x.log", errors(1));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (21, 0), "its last line feed was taken");
    let text = fs::read_to_string(host.path("x.log")).unwrap();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    cut(&host, (text.len() - last) as u64);
    host.poll();
    host.surveys(2);
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!((host.errors(), host.skipped()), (23, 0), "its last line was taken");
    for sees_it_empty in [true, false] {
        let before = host.errors();
        let text = fs::read_to_string(host.path("x.log")).unwrap();
        fs::write(host.path("x.log"), "").unwrap();
        if sees_it_empty {
            host.poll();
        }
        host.write("x.log", text + &errors(1));
        host.poll();
        assert_eq!((host.errors(), host.skipped()), (before + 1, 0), "{sees_it_empty}");
    }
    // While the exporter is down: the last line is taken, and a longer one is written.
    let rests = host.log("x").counts.continuations;
    host.restart();
    let text = fs::read_to_string(host.path("x.log")).unwrap();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    let longer = errors(1).replace("Number", "A longer Number");
    fs::write(host.path("x.log"), text[..last].to_owned() + &longer).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.skipped(), host.log("x").counts.continuations), (26, 0, rests));
    assert_eq!(host.log("x").tally.rotations, 0);
    fs::write(host.path("x.log"), errors(2)).unwrap();
    host.poll();
    assert_eq!((host.errors(), host.log("x").tally.rotations), (28, 1), "what begins otherwise is new");
}

#[test]
fn a_log_that_is_copied_and_truncated_again_and_again_is_counted_once() {
    let mut host = Host::running();
    host.write("x.log", errors(20));
    host.poll();
    let mut written = 20;
    for round in 0..6 {
        let text = fs::read(host.path("x.log")).unwrap();
        for part in [0, 100, text.len()] {
            fs::write(host.path("x_2.log"), &text[..part]).unwrap();
            if round % 2 == 0 {
                host.poll();
            }
        }
        fs::write(host.path("x.log"), "").unwrap();
        if round % 3 == 0 {
            host.poll();
        }
        host.write("x.log", errors(20));
        written += 20;
        host.poll();
        host.surveys(if round < 3 { 1 } else { 4 });
        assert_eq!((host.errors(), host.skipped()), (written, 0), "{round}");
    }
    assert_eq!((host.log("x").tally.rotations, host.log("x").tally.generations_missed), (6, 0));
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
fn what_is_in_the_place_of_a_folder_and_is_none_is_told() {
    for (place, is_link) in [("prod/log", true), ("prod/log", false), ("prod", true), ("", true)] {
        let mut host = Host::new();
        let place = if place.is_empty() { host.var() } else { host.var().join(place) };
        let away = host.root.path().join("away");
        let put = |host: &Host| {
            fs::rename(&place, &away).unwrap();
            if is_link { symlink(host.root.path().join("nothing"), &place) } else { fs::write(&place, "") }.unwrap();
        };
        put(&host);
        host.surveys(2);
        assert_eq!(host.troubles(), [(Miss::NotAFile, 1)], "at the start: {place:?}");
        fs::remove_file(&place).unwrap();
        fs::rename(&away, &place).unwrap();
        host.surveys(8);
        host.write("x.log", errors(2));
        host.surveys(8);
        assert_eq!((host.errors(), host.troubles()), (2, vec![]), "{place:?}");
        put(&host);
        host.surveys(8);
        assert!(host.troubles().contains(&(Miss::NotAFile, 1)), "later: {place:?}: {:?}", host.troubles());
    }
}

#[test]
fn links_to_nothing_that_are_locks_are_no_instances() {
    let mut host = Host::new();
    symlink("user@host.1:2", host.var().join(".#x")).unwrap();
    host.surveys(2);
    assert_eq!(host.troubles(), []);
}

#[test]
fn a_folder_that_comes_back_is_shown_again_before_something_is_written() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    host.unmount();
    host.surveys(2);
    assert!(!host.log("x").present);
    host.mount();
    host.surveys(2);
    let log = host.log("x");
    assert_eq!((log.present, log.counts.levels[0]), (true, 3));
    assert_eq!((log.size, log.lag), (host.path("x.log").metadata().unwrap().len(), 0));
    host.write("x.log", errors(2));
    host.poll();
    assert_eq!(host.errors(), 5);
}

#[test]
fn of_a_log_that_is_not_there_yet_is_shown_what_is_stored() {
    let mut host = Host::running();
    host.write("x.log", errors(3));
    host.poll();
    host.unmount();
    host.restart();
    host.surveys(2);
    let view = host.tailer.view();
    assert!(view.logs.is_empty());
    assert_eq!(view.stored.iter().map(|log| log.counts.levels[0]).collect::<Vec<_>>(), [3]);
    host.mount();
    host.surveys(2);
    assert_eq!((host.errors(), host.tailer.view().stored.len()), (3, 0));
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
    let root = host.root.path().to_owned();
    let is_ours = |link: &fs::DirEntry| fs::read_link(link.path()).is_ok_and(|path| path.starts_with(&root));
    let open = || fs::read_dir("/proc/self/fd").unwrap().flatten().filter(is_ours).count();
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
    assert!(open() <= 5, "{}", open());
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

/// However many logs and instances come and go, only so many are remembered.
#[test]
fn of_thousands_of_logs_that_came_and_went_no_more_is_kept_than_is_bounded() {
    let mut host = Host::new();
    host.tailer = tailer(Start::End, Watch::Nobody).0.with_max_logs(100);
    let (gone, at_once) = (100 / GONE_SHARE, 21);
    host.poll();
    host.write("x.log", errors(3));
    host.tailer.take_update(Scope::All);
    for round in 0..8 {
        let names: Vec<String> = (0..20).map(|number| format!("extra{}", round * 20 + number)).collect();
        for name in &names {
            let folder = host.var().join(name).join("log");
            fs::create_dir_all(&folder).unwrap();
            append(&folder.join("x.log"), errors(1));
        }
        host.surveys(2);
        host.poll();
        assert_eq!(host.log_of(&names[19], "x").unwrap().counts.levels[0], 1);
        host.tailer.take_update(Scope::Changed);
        for name in &names {
            fs::remove_dir_all(host.var().join(name)).unwrap();
        }
        host.surveys(8);
        host.tailer.take_update(Scope::Changed);
        let [logs, folders, stored] = host.tailer.kept();
        assert!(logs <= gone + 1 && folders <= 2 * (gone + 1), "{round}: {logs} {folders}");
        assert!(stored <= at_once + gone, "{round}: {stored}");
    }
    let [logs, _, stored] = host.tailer.kept();
    assert_eq!((stored, host.tailer.records().len()), (at_once + gone, logs + at_once + gone + 1));
    assert_eq!(host.errors(), 3);
}
