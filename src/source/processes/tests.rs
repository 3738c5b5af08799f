//! One test a hazard: on trees of plain files, where time and every read are in the test's hand, and on real processes.

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

    /// What was read since this was asked last; an empty path is the list of everything.
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
    // What it did before the exporter came is not ours to count.
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
    let variable = |source: &ProcessSource| {
        let _ = source.walk();
        source.variable(b"XTK_VAR_DIR")
    };
    assert_eq!(variable(&source), Variable::Unknown);
    host.put(10, &Fake::new("nlserver web"));
    assert_eq!(variable(&source), Variable::Unknown, "it may not be read");
    fs::write(host.dir.path().join("10/environ"), "HOME=/x\0").unwrap();
    assert_eq!(variable(&source), Variable::Unset);
    host.put(11, &Fake::new("nlserver watchdog"));
    fs::write(host.dir.path().join("11/environ"), "HOME=/x\0XTK_VAR_DIR=/data/var\0").unwrap();
    let set = |value: &str| Variable::Set(value.into());
    assert_eq!(variable(&source), Variable::Unset, "one process told, and still lives");
    host.end(10);
    assert_eq!(variable(&source), set("/data/var"));
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
    // The patrol looks at init; loadavg is kept open.
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
fn a_shell_that_executes_campaign_late_is_noticed_by_the_patrol() {
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

/// A source of a fake `/proc`, as the collectors see it.
fn source_of(host: &Host) -> Arc<ProcessSource> {
    Arc::new(ProcessSource::new(host.dir.path()).unwrap())
}

#[test]
fn scrapes_at_the_same_time_share_one_walk_that_began_after_they_asked() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    let source = source_of(&host);
    let (reached, has_reached) = channel();
    let (go, may_go) = channel();
    let listings = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&listings);
    *source.root.before_read.lock().unwrap() = Some(Box::new(move |path| {
        if path.is_empty() && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            reached.send(()).unwrap();
            may_go.recv().unwrap();
        }
        Ok(())
    }));
    let scrape = || {
        let source = Arc::clone(&source);
        std::thread::spawn(move || source.walk())
    };
    let first = scrape();
    has_reached.recv().unwrap();
    let others: Vec<_> = (0..8).map(|_| scrape()).collect();
    until(|| source.waiting.load(Ordering::SeqCst) >= 8);
    go.send(()).unwrap();
    let first = first.join().unwrap();
    let tables: Vec<_> = others.into_iter().map(|scrape| scrape.join().unwrap()).collect();
    assert_eq!(listings.load(Ordering::SeqCst), 2, "the first's, and one for all others");
    assert!(tables.iter().all(|table| Arc::ptr_eq(table, &tables[0]) && !Arc::ptr_eq(table, &first)));
    assert_eq!(told(&tables[0]), "web@default 1/0");
}

#[test]
fn a_panic_in_a_walk_neither_poisons_nor_blocks_the_next() {
    let mut host = Host::new();
    host.put(10, &Fake::new("nlserver web"));
    let source = source_of(&host);
    *source.root.before_read.lock().unwrap() = Some(Box::new(|path| {
        assert_ne!(path, "10/cmdline", "on purpose");
        Ok(())
    }));
    let walker = Arc::clone(&source);
    assert!(std::thread::spawn(move || walker.walk()).join().is_err());
    *source.root.before_read.lock().unwrap_or_else(PoisonError::into_inner) = None;
    assert_eq!(source.walk().processes.len(), 1);
}

/// Waits for a condition, with a limit.
#[track_caller]
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// An installation whose `nlserver` is a shell.
struct Install(TempDir);

impl Install {
    fn new() -> Install {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::copy("/bin/sh", folder.path().join("bin/nlserver")).unwrap();
        Install(folder)
    }

    fn installation(&self) -> Arc<Installation> {
        Arc::new(Installation { home: Some(self.0.path().to_owned()), ..Installation::default() })
    }

    /// A source that knows the installation.
    fn source(&self) -> Arc<ProcessSource> {
        let source = ProcessSource::new(Path::new("/proc")).unwrap();
        source.set_installation(&self.installation());
        Arc::new(source)
    }

    fn start(&self, module: &str, instance: &str) -> Real {
        let executable = self.0.path().join("bin/nlserver");
        let arguments = ["-s", module, &format!("-instance:{instance}")];
        let start = || Command::new(&executable).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        // Another test may have forked while the copy was open for writing.
        let mut started = start();
        until(|| {
            let busy = started.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ExecutableFileBusy);
            if busy {
                started = start();
            }
            !busy
        });
        Real(started.unwrap())
    }
}

/// A real process named `nlserver`: a shell that reads its commands, so that it ends when the test does.
struct Real(Child);

impl Real {
    fn tell(&mut self, command: &str) {
        let input = self.0.stdin.as_mut().unwrap();
        input.write_all(command.as_bytes()).and_then(|()| input.flush()).unwrap();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[test]
fn a_real_process_is_followed_from_its_start_to_its_end() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let source = install.source();
    let _ = source.walk();
    let mut process = install.start("import", &instance);
    let group = || source.walk().group("import", &instance).cloned().unwrap_or_default();
    until(|| group().now.processes == 1);
    process.tell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done\n");
    until(|| group().totals.user_cpu > Duration::ZERO);
    let now = group().now;
    assert_eq!((now.threads, now.live()), (1, 1));
    assert!(now.resident_bytes > 100_000 && now.virtual_bytes > now.resident_bytes);
    let reference = procfs::process::Process::new(process.0.id().cast_signed()).unwrap();
    assert_eq!(now.open_descriptors, Some(reference.fd_count().unwrap() as u64));
    let limit = procfs::process::Process::limits(&reference).unwrap().max_open_files.soft_limit;
    let procfs::process::LimitValue::Value(limit) = limit else { panic!("no limit") };
    let ratio = now.descriptor_ratio.unwrap() * limit as f64;
    assert!((ratio - now.open_descriptors.unwrap() as f64).abs() < 0.001);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().saturating_sub(now.oldest_start.unwrap());
    assert!(since < Duration::from_secs(60), "{since:?}");
    drop(process);
    until(|| group().now.processes == 0);
    let totals = group().totals;
    assert_eq!(totals.starts, 1);
    assert!(totals.user_cpu > Duration::ZERO && totals.io.is_some());
}

#[test]
fn a_process_of_a_moment_is_counted_by_the_sampler() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let source = install.source();
    let sampler = Sampler::start(Arc::clone(&source), Duration::from_millis(20)).unwrap();
    for starts in 1..=3 {
        let process = install.start("import", &instance);
        // Nothing asks for a walk while it lives.
        until(|| {
            let tracker = locked(&source.tracker);
            tracker.starts("import", &instance) == starts
        });
        drop(process);
    }
    drop(sampler);
    let table = source.walk();
    let group = table.group("import", &instance).unwrap();
    assert_eq!((group.totals.starts, group.now.processes), (3, 0));
}

#[test]
fn a_real_zombie_and_a_stopped_process_are_told() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let source = install.source();
    let mut process = install.start("mta", &instance);
    let states = || source.walk().group("mta", &instance).map(|group| group.now.states);
    until(|| states().is_some_and(|states| states[ProcessState::Sleeping as usize] == 1));
    process.tell("kill -STOP $$\n");
    until(|| states() == Some([0, 0, 0, 1, 0, 0]));
    let pid = rustix::process::Pid::from_child(&process.0);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // Nobody has asked how it ended.
    until(|| states() == Some([0, 0, 0, 0, 1, 0]));
    process.0.wait().unwrap();
    until(|| states() == Some([0; 6]));
}

#[test]
fn without_descriptors_to_keep_everything_is_still_read() {
    let install = Install::new();
    let instance = "prod".to_owned();
    let root = ProcRoot::open(Path::new("/proc")).unwrap();
    let _process = install.start("stat", &instance);
    for abilities in [root.abilities(), Abilities::default()] {
        let mut tracker = Tracker::new(&root, abilities, 0);
        tracker.set_installation(&install.installation());
        until(|| {
            let table = tracker.walk(&root, Instant::now());
            table.group("stat", &instance).is_some_and(|group| {
                group.now.open_descriptors.is_some() && group.totals.io.is_some() && group.now.processes == 1
            })
        });
        assert_eq!(tracker.walk(&root, Instant::now()).losses.broken, 0);
    }
}

#[test]
fn what_this_kernel_can_do_is_found_out() {
    let root = ProcRoot::open(Path::new("/proc")).unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(root.abilities().keeps);
    if version >= (6, 3) {
        until(|| root.abilities().counts_descriptors);
    }
    assert_eq!(ProcRoot::open(Path::new("/")).unwrap().abilities(), Abilities::default());
}
