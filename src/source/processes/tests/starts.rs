//! Births and starts: what is counted as a process of a module, and when.

use super::*;

#[test]
fn processes_that_were_there_before_are_seen_but_did_not_start() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    assert_eq!(told(&host.walk()), "web@default 1/0");
    host.put(11, &Fake::new("nlserver mta -instance:prod"));
    assert_eq!(told(&host.walk()), "mta@prod 1/1 web@default 1/0");
}

#[test]
fn a_process_that_lives_between_two_scrapes_is_counted() {
    let mut host = Host::new();
    host.walk();
    host.put(10, &Fake { user: 70, system: 30, io: Some((4096, 8192)), ..Fake::new("nlserver import -instance:prod") });
    host.sample();
    host.end(10);
    let table = host.walk();
    assert_eq!(told(&table), "import@prod 0/1");
    let totals = table.groups[0].totals;
    assert_eq!((totals.user_cpu.as_millis(), totals.system_cpu.as_millis()), (700, 300));
    assert_eq!(totals.io, Some(Io { read_bytes: 4096, written_bytes: 8192 }));
    assert_eq!(table.losses, ReadLosses::default());
}

#[test]
fn counters_never_fall_when_processes_end() {
    let mut host = Host::new();
    let process = Fake { user: 1000, io: Some((500, 600)), ..Fake::new("nlserver mtachild -instance:prod") };
    host.put(10, &process);
    // What it did before the exporter started is not counted.
    assert_eq!(host.walk().groups[0].totals.user_cpu, Duration::ZERO);
    host.put(10, &Fake { user: 1250, io: Some((510, 620)), ..process.clone() });
    let first = host.walk().groups[0].totals;
    assert_eq!((first.user_cpu.as_millis(), first.io), (2500, Some(Io { read_bytes: 10, written_bytes: 20 })));
    host.end(10);
    assert_eq!(host.walk().groups[0].totals, first);
    host.put(11, &Fake { start: 900, user: 50, io: Some((1, 2)), ..process });
    let last = host.walk().groups[0].totals;
    assert_eq!((last.user_cpu.as_millis(), last.io), (3000, Some(Io { read_bytes: 11, written_bytes: 22 })));
    assert_eq!(last.starts, 1);
}

#[test]
fn what_a_process_used_before_it_ended_is_counted_by_what_its_parent_got() {
    let mut host = Host::new();
    let watchdog = Fake { children: 1000, ..Fake::new("nlserver watchdog") };
    let mta = Fake { parent: 10, user: 100, ..Fake::new("nlserver mta -instance:prod") };
    host.put(10, &watchdog);
    host.put(11, &mta);
    host.walk();
    let user_cpu = |table: &ProcessTable| table.group("mta", "prod").unwrap().totals.user_cpu.as_millis();
    host.put(11, &Fake { user: 150, ..mta.clone() });
    assert_eq!(user_cpu(&host.walk()), 500);
    // It used 230 ticks in all when it ended; that of others is not its own.
    host.end(11);
    host.put(10, &Fake { children: 1230, ..watchdog.clone() });
    assert_eq!(user_cpu(&host.walk()), 1300);
    host.put(10, &Fake { children: 1900, ..watchdog.clone() });
    assert_eq!(user_cpu(&host.walk()), 1300);
    // A process that the watchdog waits for only later.
    host.put(12, &Fake { start: 900, ..mta });
    host.walk();
    host.end(12);
    host.walk();
    host.put(10, &Fake { children: 1910, ..watchdog });
    assert!(user_cpu(&host.walk()) >= 1300, "counters never fall");
}

#[test]
fn when_a_live_process_was_seen_last_is_remembered() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver mta -instance:prod"));
    let seen = host.walk().groups[0].last_seen.unwrap();
    host.put(10, &Fake { state: 'Z', image: 0, line: Vec::new(), ..Fake::new("") });
    let now = host.walk().groups[0].last_seen.unwrap();
    assert_eq!(now, seen, "a zombie is not alive");
    host.end(10);
    assert_eq!(host.walk().groups[0].last_seen, Some(seen));
    host.put(11, &Fake::new("nlserver mta -instance:prod"));
    assert!(host.walk().groups[0].last_seen > Some(seen));
}

#[test]
fn a_variable_is_the_watchdogs_else_another_processs() {
    let mut host = Host::new();
    let source = source_of(&host);
    let all = |source: &ProcessSource| {
        let _ = source.walk();
        source.variable(b"XTK_VAR_DIR")
    };
    let variable = |source: &ProcessSource| all(source).first;
    assert_eq!(variable(&source), Variable::Unknown);
    host.put(10, &Fake::new("nlserver web"));
    assert_eq!(variable(&source), Variable::Unknown, "it may not be read");
    fs::write(host.dir.path().join("10/environ"), "HOME=/x\0").unwrap();
    assert_eq!(variable(&source), Variable::Unset);
    host.put(11, &Fake::new("nlserver watchdog"));
    fs::write(host.dir.path().join("11/environ"), "HOME=/x\0XTK_VAR_DIR=/data/var\0").unwrap();
    let set = |value: &str| Variable::Set(value.into());
    let differing = VariableValues { first: set("/data/var"), others: vec![Variable::Unset] };
    assert_eq!(all(&source), differing, "what others have is told too");
    host.put(12, &Fake::new("nlserver import -instance:prod"));
    fs::write(host.dir.path().join("12/environ"), "XTK_VAR_DIR=/tmp\0").unwrap();
    assert_eq!(all(&source), differing, "a utility that somebody has started says nothing of the modules");
    host.end(10);
    assert_eq!(all(&source), VariableValues { first: set("/data/var"), others: Vec::new() });
    fs::write(host.dir.path().join("11/environ"), "XTK_VAR_DIR=/elsewhere\0").unwrap();
    assert_eq!(variable(&source), set("/data/var"), "an environment is read once a process");
    host.put(11, &Fake { start: 900, ..Fake::new("nlserver watchdog") });
    assert_eq!(variable(&source), set("/elsewhere"));
}

#[test]
fn a_process_id_used_again_is_another_process() {
    let mut host = Host::new();
    host.put(10, &Fake { user: 300, ..Fake::new("nlserver import -instance:a") });
    host.walk();
    host.put(10, &Fake { start: 800, user: 100, ..Fake::new("nlserver import -instance:b") });
    let table = host.walk();
    assert_eq!(told(&table), "import@a 0/0 import@b 1/1");
    assert_eq!(table.group("import", "b").unwrap().totals.user_cpu, SECOND);
    // The same module again: one start more.
    host.put(10, &Fake { start: 900, ..Fake::new("nlserver import -instance:b") });
    assert_eq!(told(&host.walk()), "import@a 0/0 import@b 1/2");
}

#[test]
fn the_id_of_another_program_used_again_is_noticed_at_once() {
    let mut host = Host::telling();
    for pid in 2..100 {
        host.put(pid, &Fake::other(b"postgres"));
    }
    host.hand_out(99);
    host.sample();
    host.samples(5);
    // All ids were handed out once more, and 40 is Campaign's now.
    host.put(40, &Fake { start: 700, ..Fake::new("nlserver export") });
    host.hand_out(40);
    host.sample();
    assert_eq!(told(&host.walk()), "export@default 1/1");
}

#[test]
fn nothing_is_listed_while_no_process_is_born() {
    let mut host = Host::telling();
    host.put(10, &Fake::new("nlserver web"));
    host.hand_out(10);
    host.sample();
    host.samples(5);
    host.listen();
    host.samples(16);
    // init is rechecked; loadavg is kept open.
    assert_eq!(host.heard(), ["1/stat", "1/cmdline"].repeat(2));
}

#[test]
fn few_new_ids_are_tried_without_a_listing() {
    let mut host = Host::telling();
    for pid in 2..200 {
        host.put(pid, &Fake::other(b"postgres"));
    }
    host.hand_out(199);
    host.sample();
    host.samples(5);
    host.listen();
    host.put(203, &Fake::new("nlserver import"));
    host.hand_out(204);
    host.sample();
    let heard = host.heard();
    assert!(!heard.iter().any(String::is_empty), "{heard:?}");
    assert_eq!(told(&host.walk()), "import@default 1/1");
    // Many are listed, and found as well.
    host.put(900, &Fake::new("nlserver export"));
    host.hand_out(1000);
    host.heard();
    host.sample();
    assert!(host.heard().iter().any(String::is_empty));
    assert_eq!(told(&host.walk()), "export@default 1/1 import@default 1/1");
}

#[test]
fn a_process_that_has_its_id_but_is_not_there_yet_is_found_at_the_next_sample() {
    let mut host = Host::telling();
    for pid in 2..100 {
        host.put(pid, &Fake::other(b"postgres"));
    }
    host.hand_out(99);
    host.sample();
    host.hand_out(100);
    host.sample();
    host.put(100, &Fake::new("nlserver import"));
    host.sample();
    assert_eq!(told(&host.walk()), "import@default 1/1");
}

#[test]
fn a_process_born_during_the_first_listing_is_found() {
    let mut host = Host::telling();
    host.hand_out(30);
    host.sample();
    host.put(30, &Fake::new("nlserver import"));
    host.sample();
    assert_eq!(told(&host.walk()), "import@default 1/1");
}

#[test]
fn threads_are_no_processes_although_they_have_ids() {
    let mut host = Host::telling();
    for pid in 2..100 {
        host.put(pid, &Fake::other(b"postgres"));
    }
    host.hand_out(99);
    host.sample();
    host.put(100, &Fake { exit_signal: -1, ..Fake::new("nlserver web") });
    host.hand_out(100);
    host.samples(3);
    assert_eq!(told(&host.walk()), "");
}

#[test]
fn everything_is_listed_now_and_then_whatever_the_kernel_tells() {
    let mut host = Host::telling();
    host.hand_out(30);
    host.sample();
    host.put(20, &Fake::new("nlserver import"));
    host.samples(31);
    assert_eq!(told(&host.walk()), "import@default 1/1");
}

#[test]
fn a_fork_that_has_not_executed_its_program_yet_is_no_start() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver watchdog -svc -noconsole"));
    host.walk();
    let copy = Fake { parent: 10, start: 600, ..Fake::new("nlserver watchdog -svc -noconsole") };
    host.put(11, &copy);
    host.put(12, &copy);
    assert_eq!(told(&host.walk()), "watchdog@default 1/0");
    // One executes its program, the other fails to and ends.
    host.put(11, &Fake { image: 8, line: b"nlserver\0mta\0-instance:prod\0".to_vec(), ..copy });
    host.end(12);
    assert_eq!(told(&host.walk()), "mta@prod 1/1 watchdog@default 1/0");
}

#[test]
fn a_fork_that_runs_a_command_never_was_a_module() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    host.walk();
    host.put(11, &Fake { parent: 10, ..Fake::new("nlserver web") });
    host.sample();
    host.put(11, &Fake { parent: 10, image: 9, ..Fake::other(b"sh") });
    assert_eq!(told(&host.walk()), "web@default 1/0");
}

#[test]
fn a_fork_that_stays_what_its_parent_is_counts_at_the_next_sample() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    host.walk();
    host.put(11, &Fake { parent: 10, ..Fake::new("nlserver web") });
    assert_eq!(told(&host.walk()), "web@default 1/0");
    assert_eq!(told(&host.walk()), "web@default 2/1");
}

#[test]
fn a_scrape_right_after_a_sample_does_not_end_the_holding_back() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver watchdog"));
    host.walk();
    host.put(11, &Fake { parent: 10, ..Fake::new("nlserver watchdog") });
    host.sample();
    let table = host.tracker.walk(&host.root, host.now + Duration::from_millis(1));
    assert_eq!(told(&table), "watchdog@default 1/0");
}

#[test]
fn a_shell_that_executes_campaign_is_noticed() {
    let mut host = Host::new();
    host.walk();
    host.put(10, &Fake::other(b"sh"));
    host.samples(2);
    host.put(10, &Fake { image: 8, ..Fake::new("nlserver web") });
    host.sample();
    assert_eq!(told(&host.walk()), "web@default 1/1");
}

#[test]
fn a_shell_that_executes_campaign_late_is_noticed_when_it_is_rechecked() {
    let mut host = Host::telling();
    for pid in 2..400 {
        host.put(pid, &Fake::other(b"postgres"));
    }
    host.put(400, &Fake::other(b"sh"));
    host.hand_out(400);
    host.samples(10);
    host.put(400, &Fake { image: 8, ..Fake::new("nlserver web") });
    host.samples(320);
    assert_eq!(told(&host.walk()), "web@default 1/1");
}

#[test]
fn another_program_in_the_same_process_is_another_module() {
    let mut host = Host::new();
    host.put(10, &Fake { user: 100, ..Fake::new("nlserver web") });
    host.walk();
    host.samples(10);
    host.put(10, &Fake { user: 350, image: 8, ..Fake::new("nlserver stat -instance:prod") });
    let table = host.walk();
    assert_eq!(told(&table), "stat@prod 1/1 web@default 0/0");
    assert_eq!(table.group("stat", "prod").unwrap().totals.user_cpu.as_millis(), 2500);
    host.put(10, &Fake { image: 9, ..Fake::other(b"bash") });
    assert_eq!(told(&host.walk()), "stat@prod 0/1 web@default 0/0");
}

#[test]
fn rewritten_arguments_and_names_change_nothing() {
    let mut host = Host::new();
    let process = Fake::new("nlserver mta -instance:prod");
    host.put(10, &process);
    host.walk();
    host.put(10, &Fake { line: b"mta: 17 messages a second".to_vec(), comm: b"mta-main", ..process.clone() });
    assert_eq!(told(&host.walk()), "mta@prod 1/0");
    host.put(10, &Fake { line: Vec::new(), ..process });
    host.samples(5);
    assert_eq!(told(&host.walk()), "mta@prod 1/0");
}

#[test]
fn arguments_rewritten_with_spaces_are_read() {
    let mut host = Host::new();
    host.put(10, &Fake { line: b"nlserver mta -instance:prod -detach".to_vec(), ..Fake::new("") });
    assert_eq!(told(&host.walk()), "mta@prod 1/0");
}

#[test]
fn without_the_image_other_arguments_of_a_young_process_are_another_program() {
    let mut host = Host::new();
    host.put(10, &Fake { image: 0, ..Fake::new("nlserver watchdog") });
    host.walk();
    host.put(10, &Fake { image: 0, ..Fake::new("nlserver mta -instance:prod") });
    host.sample();
    assert_eq!(told(&host.walk()), "mta@prod 1/0 watchdog@default 0/0");
    host.samples(5);
    host.put(10, &Fake { image: 0, ..Fake::new("nlserver title") });
    host.samples(5);
    assert_eq!(told(&host.walk()), "mta@prod 1/0 watchdog@default 0/0");
}
