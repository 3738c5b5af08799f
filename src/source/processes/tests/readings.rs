//! What is read of each process, and what is reported where it can't be read.

use super::*;

#[test]
fn a_zombie_keeps_its_module_and_is_not_live() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver mta -instance:prod"));
    host.put(11, &Fake { state: 'Z', image: 0, line: Vec::new(), ..Fake::new("") });
    host.walk();
    host.put(10, &Fake { state: 'Z', image: 0, line: Vec::new(), ..Fake::new("") });
    let table = host.walk();
    assert_eq!(told(&table), "mta@prod 1/0 unknown@default 1/0");
    let now = &table.groups[0].now;
    assert_eq!((now.live(), now.oldest_start, now.states), (0, None, [0, 0, 0, 0, 1, 0]));
    assert_eq!(table.processes[0], Process { pid: 10, group: 0, state: ProcessState::Zombie });
}

#[test]
fn a_process_without_arguments_is_held_back_and_then_unknown() {
    let mut host = Host::new();
    host.walk();
    host.put(10, &Fake { line: Vec::new(), ..Fake::new("") });
    host.put(11, &Fake { line: Vec::new(), ..Fake::new("") });
    assert_eq!(told(&host.walk()), "");
    host.put(11, &Fake::new("nlserver export"));
    assert_eq!(told(&host.walk()), "export@default 1/1 unknown@default 1/1");
}

#[test]
fn states_memory_threads_and_start_are_summed_by_group() {
    let mut host = Host::new();
    let process = Fake::new("nlserver mtachild -instance:prod");
    for (pid, state) in (10..).zip("RSIDTtXP".chars()) {
        host.put(pid, &Fake { state, rss: u64::from(pid), start: u64::from(pid) * TICK_RATE, ..process.clone() });
    }
    let table = host.walk();
    let now = &table.groups[0].now;
    assert_eq!((now.processes, now.live(), now.threads), (8, 8, 16));
    assert_eq!(now.states, [1, 2, 1, 2, 0, 2]);
    let page = rustix::param::page_size() as u64;
    assert_eq!((now.resident_bytes, now.resident_bytes_max), ((10..18).sum::<u64>() * page, 17 * page));
    assert_eq!(now.virtual_bytes, 8_000_000);
    assert_eq!(now.oldest_start, Some(Duration::from_secs(1_700_000_010)));
}

#[test]
fn the_worst_process_makes_the_descriptor_ratio() {
    let mut host = Host::new();
    let process = Fake::new("nlserver web");
    host.put(10, &Fake { descriptors: 8, limit: "16", ..process.clone() });
    host.put(11, &Fake { descriptors: 6, limit: "8", ..process.clone() });
    host.put(12, &Fake { descriptors: 9, limit: "unlimited", ..process.clone() });
    let table = host.walk();
    assert_eq!((table.groups[0].now.open_descriptors, table.groups[0].now.descriptor_ratio), (Some(23), Some(0.75)));
    // The limit is read again, rarely.
    host.put(11, &Fake { descriptors: 6, limit: "600", ..process });
    assert_eq!(host.walk().groups[0].now.descriptor_ratio, Some(0.75));
    host.now += Duration::from_secs(400);
    assert_eq!(host.walk().groups[0].now.descriptor_ratio, Some(0.5));
}

#[test]
fn waiting_is_timed_while_the_process_uses_no_cpu() {
    let mut host = Host::new();
    let process = Fake { state: 'D', user: 5, ..Fake::new("nlserver stat") };
    let waiting = |host: &mut Host, process: &Fake| {
        host.put(10, process);
        host.walk().groups[0].now.waiting.as_secs()
    };
    assert_eq!(waiting(&mut host, &process), 0);
    host.now += SECOND * 14;
    assert_eq!(waiting(&mut host, &process), 15);
    assert_eq!(waiting(&mut host, &Fake { user: 6, ..process.clone() }), 0, "it got on in between");
    assert_eq!(waiting(&mut host, &Fake { user: 6, ..process.clone() }), 1);
    assert_eq!(waiting(&mut host, &Fake { state: 'S', user: 6, ..process }), 0);
}

#[test]
fn a_process_that_vanishes_before_any_read_is_no_error() {
    for file in ["stat", "cmdline", "io", "limits", "fd"] {
        let mut host = Host::new();
        host.put(10, &Fake::new("nlserver web"));
        if file != "cmdline" {
            host.walk();
        }
        let (folder, path) = (host.dir.path().join("10"), format!("10/{file}"));
        host.now += Duration::from_secs(400);
        host.before_read(move |read| {
            if read == path && folder.exists() {
                fs::remove_dir_all(&folder).unwrap();
            }
            Ok(())
        });
        let table = host.walk();
        assert!(!host.dir.path().join("10").exists(), "{file} was not read");
        assert_eq!(table.losses, ReadLosses::default(), "{file}");
        assert_eq!(host.walk().processes, [], "{file}");
    }
}

#[test]
fn what_may_not_be_read_is_left_out_and_counted() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    host.before_read(|path| if path.ends_with("/io") || path.ends_with("/fd") { Err(Miss::Denied) } else { Ok(()) });
    for _ in 0..3 {
        let table = host.walk();
        assert_eq!(told(&table), "web@default 1/0");
        let group = &table.groups[0];
        assert_eq!((group.totals.io, group.now.open_descriptors, group.now.descriptor_ratio), (None, None, None));
        assert_eq!(group.now.resident_bytes, 10 * rustix::param::page_size() as u64);
        assert_eq!(table.losses, ReadLosses { permission: 2, broken: 0 });
    }
    // It is tried again, rarely.
    host.before_read(|_| Ok(()));
    assert_eq!(host.walk().groups[0].now.open_descriptors, None);
    host.now += Duration::from_secs(400);
    assert_eq!(host.walk().groups[0].now.open_descriptors, Some(3));
}

#[test]
fn files_that_make_no_sense_are_counted() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    host.put(11, &Fake::new("nlserver web"));
    fs::write(host.dir.path().join("10/io"), "nonsense\n").unwrap();
    fs::write(host.dir.path().join("11/stat"), "nonsense\n").unwrap();
    fs::write(host.dir.path().join("10/limits"), "nonsense\n").unwrap();
    let table = host.walk();
    assert_eq!(told(&table), "web@default 1/0");
    assert_eq!(table.losses, ReadLosses { permission: 0, broken: 3 });
}

#[test]
fn a_proc_that_hides_processes_is_told_from_a_host_where_nothing_runs() {
    let mut host = Host::new();
    let table = host.walk();
    assert!(!table.hidden && table.can_tell());
    for miss in [Miss::Denied, Miss::Gone] {
        host.before_read(move |path| if path == "1/stat" { Err(miss) } else { Ok(()) });
        let table = host.walk();
        assert!(table.hidden && !table.can_tell());
    }
    // A user who is shown Campaign's processes can tell when they are gone.
    host.put(10, &Fake::new("nlserver web"));
    let table = host.walk();
    assert!(table.hidden && table.can_tell());
    host.end(10);
    assert!(host.walk().can_tell());
}

#[test]
fn a_proc_that_cannot_be_listed_is_a_failure_and_not_an_empty_host() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    host.walk();
    host.before_read(|path| if path.is_empty() { Err(Miss::Denied) } else { Ok(()) });
    let table = host.walk();
    let failure = table.failure.clone().unwrap();
    assert!(failure.denied && failure.message.contains("--path.procfs"), "{}", failure.message);
    assert!(!table.can_tell());
    assert_eq!(told(&table), "web@default 1/0");
    host.before_read(|_| Ok(()));
    assert_eq!(host.walk().failure, None);
}

#[test]
fn a_root_that_is_not_there_is_a_clear_error() {
    let Err(error) = ProcessSource::new(Path::new("/no/such/proc")) else { panic!("it opened") };
    assert!(error.to_string().contains("/no/such/proc") && error.to_string().contains("--path.procfs"), "{error}");
}

#[test]
fn names_and_arguments_of_any_bytes_and_length_are_read() {
    let mut host = Host::new();
    host.put(10, &Fake { line: b"nlserver\0caf\xe9\0-instance:\xff\0".to_vec(), ..Fake::new("") });
    let long = [b"nlserver\0javascript\0-arg:".as_slice(), &[b'x'; 100_000], b"\0-instance:prod\0"].concat();
    host.put(11, &Fake { line: long, ..Fake::new("") });
    host.put(12, &Fake { comm: b"nlserver) S 1 (", ..Fake::new("nlserver web") });
    host.put(13, &Fake { comm: b"nl server\xe9", ..Fake::new("nlserver web") });
    // Whatever the name is, the first argument tells.
    assert_eq!(told(&host.walk()), "caf\u{e9}@\u{ff} 1/0 javascript@prod 1/0 web@default 2/0");
}

#[test]
fn processes_of_another_installation_are_not_ours() {
    let mut host = Host::new();
    let homes = tempfile::tempdir().unwrap();
    let home = |name: &str| {
        let home = homes.path().join(name);
        fs::create_dir_all(home.join("conf")).unwrap();
        fs::create_dir_all(home.join("bin")).unwrap();
        fs::write(home.join("conf/serverConf.xml"), "<serverconf/>").unwrap();
        home
    };
    let (ours, theirs) = (home("ours"), home("theirs"));
    symlink(&ours, homes.path().join("link")).unwrap();
    let executables: [(u32, &str, PathBuf); 5] = [
        (10, "web", ours.join("bin/nlserver")),
        (11, "mta", theirs.join("bin/nlserver")),
        (12, "stat", ours.join("bin/nlserver (deleted)")),
        (13, "wfserver", PathBuf::from("/opt/elsewhere/bin/nlserver")),
        (14, "inMail", theirs.join("bin/nlserver (deleted)")),
    ];
    for (pid, module, executable) in executables {
        host.put(pid, &Fake::new(&format!("nlserver {module}")));
        symlink(executable, host.dir.path().join(format!("{pid}/exe"))).unwrap();
    }
    host.put(15, &Fake::new("nlserver syslogd"));
    assert_eq!(host.walk().groups.len(), 6, "of a recorded /proc without a home, all are ours");
    host.install(Some(homes.path().join("link")));
    let table = host.walk();
    assert_eq!(told(&table), "stat@default 1/0 syslogd@default 1/0 web@default 1/0");
    assert_eq!(table.ignored, [0, 3, 0, 0]);
    // None is not another home, and the same is no change.
    host.install(None);
    host.install(Some(homes.path().join("link")));
    host.put(16, &Fake::new("nlserver import"));
    host.end(11);
    let table = host.walk();
    assert!(told(&table).starts_with("import@default 1/1 stat@default 1/0"));
    assert_eq!(table.ignored, [0, 2, 0, 0]);
    // Whose it is, is decided anew when it executes another program.
    fs::remove_file(host.dir.path().join("10/exe")).unwrap();
    symlink(theirs.join("bin/nlserver"), host.dir.path().join("10/exe")).unwrap();
    host.put(10, &Fake { image: 8, ..Fake::new("nlserver web") });
    let table = host.walk();
    assert_eq!((table.group("web", "default").unwrap().now.processes, table.ignored[1]), (0, 3));
    fs::remove_file(host.dir.path().join("10/exe")).unwrap();
    symlink(ours.join("bin/nlserver"), host.dir.path().join("10/exe")).unwrap();
    host.put(10, &Fake { image: 9, ..Fake::new("nlserver web") });
    let table = host.walk();
    assert_eq!((table.group("web", "default").unwrap().now.processes, table.ignored[1]), (1, 2));
}

#[test]
fn a_command_that_only_answers_is_no_start_of_its_module() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web -version"));
    host.walk();
    host.put(11, &Fake::new("nlserver stat -reload"));
    host.put(12, &Fake::new("nlserver mta -?"));
    host.put(13, &Fake::new("nlserver watchdog"));
    let table = host.walk();
    assert_eq!(told(&table), "watchdog@default 1/1");
    assert_eq!(table.ignored, [0; 4]);
    // A fork of the watchdog becomes one.
    host.put(14, &Fake { parent: 13, ..Fake::new("nlserver watchdog") });
    host.sample();
    host.put(14, &Fake { parent: 13, image: 8, ..Fake::new("nlserver web -version") });
    assert_eq!(told(&host.walk()), "watchdog@default 1/1");
}

#[test]
fn a_process_is_campaigns_by_its_first_argument_when_its_name_is_another() {
    let mut host = Host::new();
    host.put(10, &Fake { comm: b"a b", ..Fake::new("nlserver mta -instance:prod") });
    assert_eq!(told(&host.walk()), "mta@prod 1/0");
    host.put(11, &Fake { comm: b") S 1 (", ..Fake::new("/opt/nl6/bin/nlserver stat -instance:prod") });
    host.samples(2);
    assert_eq!(told(&host.walk()), "mta@prod 1/0 stat@prod 1/1");
    host.put(12, &Fake { comm: b"vi", ..Fake::new("vi nlserver mta") });
    host.samples(2);
    assert_eq!(host.walk().processes.len(), 2);
}

/// The files of a process whose first thread has ended, and of a thread that lives on.
fn lose_first_thread(host: &mut Host, pid: u32, process: &Fake) {
    host.put(pid, &Fake { state: 'Z', image: 0, rss: 0, line: Vec::new(), ..process.clone() });
    host.put(pid + 1, process);
    let task = host.dir.path().join(format!("{pid}/task"));
    fs::create_dir_all(&task).unwrap();
    fs::create_dir_all(task.join(pid.to_string())).unwrap();
    fs::copy(host.dir.path().join(format!("{pid}/stat")), task.join(format!("{pid}/stat"))).unwrap();
    let thread = task.join((pid + 1).to_string());
    if thread.exists() {
        fs::remove_dir_all(&thread).unwrap();
    }
    fs::rename(host.dir.path().join((pid + 1).to_string()), thread).unwrap();
}

#[test]
fn a_process_whose_first_thread_has_ended_lives_on_as_the_module_it_is() {
    let process = Fake::new("nlserver mta -instance:prod");
    for is_known in [true, false] {
        let mut host = Host::new();
        if is_known {
            host.put(10, &process);
            host.walk();
        }
        lose_first_thread(&mut host, 10, &process);
        let table = host.walk();
        assert_eq!(told(&table), "mta@prod 1/0");
        let now = &table.groups[0].now;
        assert_eq!((now.live(), now.states, now.open_descriptors), (1, [0, 1, 0, 0, 0, 0], Some(3)));
        assert_eq!(now.resident_bytes, 10 * rustix::param::page_size() as u64);
        // Its last threads end too.
        fs::remove_dir_all(host.dir.path().join("10/task/11")).unwrap();
        assert_eq!(host.walk().groups[0].now.states, [0, 0, 0, 0, 1, 0]);
    }
}

#[test]
fn only_arguments_that_speak_of_precision_are_kept() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver mta -instance:prod -tracefilter:nlmta"));
    host.put(11, &Fake::new("nlserver mta -instance:prod -tracefilter:nlmta"));
    host.put(12, &Fake::new("nlserver web -verbose"));
    host.put(13, &Fake::new("nlserver stat -noconsole"));
    let table = host.walk();
    let lines = |module: &str, instance: &str| table.group(module, instance).unwrap().now.command_lines.clone();
    assert_eq!(lines("mta", "prod").len(), 1);
    assert!(!lines("mta", "prod")[0].raised_precision("-tracefilter:nlmta"));
    assert!(lines("web", "default")[0].raised_precision(""));
    assert!(lines("stat", "default").is_empty());
}
