//! The simulated host held to what its README promises. What it says of itself is compared with `/proc`, which it does
//! not write. Each test has its own host, with its own ports; nothing sleeps, everything waits for an event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../support/command.rs"]
mod command;
#[path = "../../support/ports.rs"]
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

use command::{run, try_run};
use ports::ports_of_host;

const SIMULATOR: &str = env!("CARGO_BIN_EXE_campaign-simulator");
const LIMIT: Duration = Duration::from_secs(120);

/// One simulated host; shut down when the test ends, however it ends.
struct Sim {
    home: PathBuf,
    ports: BTreeMap<String, u16>,
    _folder: TempDir,
}

/// What `/proc` shows of a process.
#[derive(Debug, Clone)]
struct Seen {
    pid: i32,
    comm: String,
    argv: Vec<String>,
    state: char,
}

impl Sim {
    fn new(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        // Longer than the path of a socket may be.
        let home = folder.path().join("a".repeat(120)).join("nl6");
        let quiet = ["logPeriodMs=0", "trackingPeriodMs=0", "restartDelayMs=20"];
        let mut create = Command::new(SIMULATOR);
        create
            .arg("create")
            .arg(&home)
            .args([
                "--instances",
                "prod,dev",
                "--ports",
                &ports_of_host(),
                "--owner-pid",
                &std::process::id().to_string(),
            ])
            .args(quiet.iter().flat_map(|setting| ["--set", setting]))
            .args(options);
        let text = text_of(&run(&mut create));
        let ports = text.lines().filter_map(|row| row.split_once('='));
        let ports = ports.map(|(name, port)| (name.to_owned(), port.parse().unwrap())).collect();
        Self { home, ports, _folder: folder }
    }

    fn started(options: &[&str]) -> Self {
        let sim = Self::new(options);
        sim.nlserver(&["watchdog", "-svc", "-noconsole"]);
        sim
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.home.join("bin/nlserver"));
        command.args(args);
        command
    }

    /// What a command prints.
    fn nlserver(&self, args: &[&str]) -> String {
        text_of(&run(&mut self.command(args)))
    }

    fn sim(&self, args: &[&str]) -> String {
        self.nlserver(&[&["sim"], args].concat())
    }

    /// The lines that `monitor -missing` lists.
    fn missing(&self) -> BTreeSet<String> {
        let text = self.nlserver(&["monitor", "-missing"]);
        text.lines().skip(1).map(str::to_owned).collect()
    }

    /// What pdump lists: module and pid. Its form is the documented one, or the test fails.
    fn pdump(&self) -> BTreeSet<(String, i32)> {
        let text = self.nlserver(&["pdump"]);
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first[8..].starts_with(" >   Application server for Adobe Campaign Classic (7."), "{first}");
        if rest == "No tasks\n" {
            return BTreeSet::new();
        }
        assert!(!rest.is_empty());
        let row = |row: &str| {
            let (name, rest) = row.split_once(" (").unwrap();
            let (pid, rest) = rest.split_once(") - ").unwrap();
            let megabytes: f64 = rest.strip_suffix(" MB").unwrap().parse().unwrap();
            assert!(megabytes > 0.0, "{row}");
            (name.to_owned(), pid.parse().unwrap())
        };
        rest.lines().map(row).collect()
    }

    /// The pid of a module of which one process runs.
    fn pid(&self, module: &str) -> i32 {
        let text = self.sim(&["pid", module]);
        text.trim().parse().unwrap_or_else(|_| panic!("{module}: {text}"))
    }

    /// This host's processes as `/proc` shows them: those whose executable is in its `bin/`, zombies left out.
    fn seen(&self) -> Vec<Seen> {
        let bin = self.home.join("bin");
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let ours = fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.starts_with(&bin));
            if ours {
                all.extend(see(pid));
            }
        }
        all
    }

    /// The modules that run according to `/proc`, as pdump would name them.
    fn seen_modules(&self) -> BTreeSet<(String, i32)> {
        let modules = self.seen().into_iter().filter(|seen| seen.comm == "nlserver");
        modules.map(|seen| (name_of(&seen.argv), seen.pid)).collect()
    }

    fn log(&self, instance: &str, name: &str) -> String {
        fs::read_to_string(self.home.join("var").join(instance).join("log").join(name)).unwrap()
    }

    fn get(&self, port: &str, target: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[port])).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: campaign.example\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Handles of everything that runs, the host process included.
    fn handles(&self) -> Vec<(i32, std::os::fd::OwnedFd)> {
        let open = |seen: Seen| (seen.pid, pidfd_open(Pid::from_raw(seen.pid).unwrap(), PidfdFlags::empty()).unwrap());
        let handles: Vec<_> = self.seen().into_iter().map(open).collect();
        assert!(handles.len() > 10, "too few processes run: {}", handles.len());
        handles
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = try_run(&mut self.command(&["shutdown"]));
    }
}

fn text_of(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn see(pid: i32) -> Option<Seen> {
    let folder = Path::new("/proc").join(pid.to_string());
    let comm = fs::read_to_string(folder.join("comm")).ok()?.trim_end().to_owned();
    let argv = fs::read(folder.join("cmdline")).ok()?;
    let argv = argv.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned());
    let argv: Vec<String> = argv.filter(|arg| !arg.is_empty()).collect();
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let state = stat.rsplit_once(") ")?.1.chars().next()?;
    Some(Seen { pid, comm, argv, state })
}

fn name_of(argv: &[String]) -> String {
    match argv[1].as_str() {
        "watchdog" => "watchdog".to_owned(),
        module => {
            let instance = argv.iter().find_map(|arg| arg.strip_prefix("-instance:")).unwrap_or("default");
            format!("{module}@{instance}")
        }
    }
}

fn all_end(handles: &[(i32, std::os::fd::OwnedFd)]) {
    let limit = Timespec { tv_sec: i64::try_from(LIMIT.as_secs()).unwrap(), tv_nsec: 0 };
    for (pid, handle) in handles {
        let ended = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(ended, 1, "{:?} still runs", see(*pid));
    }
}

const CONFIGURED: [&str; 11] = [
    "inMail@dev",
    "inMail@prod",
    "mta@dev",
    "mta@prod",
    "stat@dev",
    "stat@prod",
    "syslogd@default",
    "trackinglogd@default",
    "web@default",
    "wfserver@dev",
    "wfserver@prod",
];

#[test]
fn command_lines_and_names_are_the_documented_ones() {
    let sim = Sim::started(&["--autostart", "mta,stat,inMail,wfserver,sms"]);
    let lines: Vec<String> =
        sim.seen().iter().filter(|seen| seen.comm == "nlserver").map(|seen| seen.argv.join(" ")).collect();
    for documented in [
        "nlserver watchdog -svc -noconsole",
        "nlserver web -tracefile:web@default -instance:default -detach -tomcat -autorepair",
        "nlserver mta -tracefile:mta@prod -instance:prod -detach -tracefilter:nlmta",
        "nlserver mtachild -tracefile:mtachild@prod -instance:prod -detach",
        "nlserver runwf -tracefile:runwf@dev -instance:dev -detach",
        "nlserver sms -noconsole -tracefile:sms@prod -instance:prod -detach",
    ] {
        assert_eq!(lines.iter().filter(|line| *line == documented).count(), 1, "{documented}: {lines:#?}");
    }
    assert_eq!(sim.missing(), BTreeSet::new());
    // The product's encoding, with an accented comment.
    assert!(fs::read(sim.home.join("conf/config-prod.xml")).unwrap().windows(4).any(|bytes| bytes == b"R\xe9gl"));
}

#[test]
fn pdump_and_monitor_agree_with_proc_at_every_step() {
    let sim = Sim::started(&[]);
    // A fixed sequence: the same steps in each run.
    let mut state = 0x5eed_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for step in 0..100 {
        let module = CONFIGURED[random(CONFIGURED.len())];
        let verb = ["start", "stop", "restart"][random(3)];
        sim.nlserver(&[verb, module]);
        let pdump = sim.pdump();
        assert_eq!(pdump, sim.seen_modules(), "step {step}: {verb} {module}");
        let runs: BTreeSet<String> = pdump.into_iter().map(|(name, _)| name).collect();
        assert_eq!(runs.contains(module), verb != "stop", "step {step}: {verb} {module}");
        let absent = CONFIGURED.iter().map(|&name| name.to_owned()).filter(|name| !runs.contains(name));
        assert_eq!(sim.missing(), absent.collect(), "step {step}: {verb} {module}");
    }
}

#[test]
fn nothing_runs_before_the_start_and_after_the_shutdown() {
    let sim = Sim::new(&[]);
    assert_eq!(sim.pdump(), BTreeSet::new());
    assert_eq!(sim.missing(), CONFIGURED.map(str::to_owned).into());
    sim.nlserver(&["start"]);
    assert_eq!(sim.missing(), BTreeSet::new());
    let handles = sim.handles();
    sim.nlserver(&["shutdown"]);
    // The command returns when they are gone, so nothing is waited for here.
    for (pid, _) in &handles {
        assert!(see(*pid).is_none_or(|seen| seen.state == 'Z' && seen.comm != "nlserver"), "{:?}", see(*pid));
    }
    assert_eq!(sim.pdump(), BTreeSet::new());
}

#[test]
fn a_killed_module_is_restarted_with_its_children() {
    let sim = Sim::started(&[]);
    let (mta, child) = (sim.pid("mta@prod"), sim.pid("mtachild@prod"));
    sim.sim(&["die", "mta@prod"]);
    assert!(see(mta).is_none() && see(child).is_none());
    sim.sim(&["wait", "mta@prod", "up"]);
    assert_ne!(sim.pid("mta@prod"), mta);
    assert_ne!(sim.pid("mtachild@prod"), child);
    // A child that dies alone comes back under the same parent.
    let (mta, child) = (sim.pid("mta@prod"), sim.pid("mtachild@prod"));
    sim.sim(&["die", "mtachild@prod"]);
    sim.sim(&["wait", "mta@prod", "up"]);
    assert_eq!(sim.pid("mta@prod"), mta);
    assert_ne!(sim.pid("mtachild@prod"), child);
}

#[test]
fn a_held_or_stopped_module_is_not_restarted() {
    let sim = Sim::started(&[]);
    sim.sim(&["hold", "mta@prod"]);
    sim.nlserver(&["stop", "stat@prod"]);
    sim.sim(&["die", "mta@prod"]);
    // This one dies later and comes back: by then the held one would have come back too.
    sim.sim(&["die", "web"]);
    sim.sim(&["wait", "web", "up"]);
    assert_eq!(sim.missing(), ["mta@prod", "stat@prod"].map(str::to_owned).into());
    // What is not held comes back at once.
    sim.sim(&["unhold"]);
    assert_eq!(sim.missing(), ["stat@prod".to_owned()].into());
    sim.nlserver(&["start", "stat@prod"]);
    assert_eq!(sim.missing(), BTreeSet::new());
}

#[test]
fn without_its_watchdog_nothing_is_restarted() {
    let sim = Sim::started(&[]);
    sim.nlserver(&["stop", "watchdog"]);
    sim.sim(&["die", "web"]);
    // Five times as long as a watchdog would wait.
    let comes_back = run(&mut sim.command(&["sim", "wait", "web", "up", "100"]));
    assert!(!comes_back.status.success());
    assert_eq!(sim.missing(), ["web@default".to_owned()].into());
    sim.nlserver(&["start", "watchdog"]);
    assert_eq!(sim.missing(), BTreeSet::new());
}

#[test]
fn rotation_loses_no_line() {
    let sim = Sim::started(&["--set", "maxFileSizeBytes=30000"]);
    // About 90 bytes a line: the file is moved once, in the middle of a packet.
    sim.sim(&["log", "stat@prod", "error", "INT-150012 line {n} of some length to fill the file", "--count", "400"]);
    let (old, new) = (sim.log("prod", "stat_2.log"), sim.log("prod", "stat.log"));
    let whole = format!("{old}{new}");
    let numbers: Vec<u32> = whole
        .lines()
        .filter_map(|line| line.split('\t').nth(6)?.strip_prefix("INT-150012 line ")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(numbers, (1..=400).collect::<Vec<_>>());
    assert!(old.len() >= 30_000 && old.len() < 30_200, "{}", old.len());
    assert!(!new.is_empty());
    assert!(sim.sim(&["written"]).contains("prod stat error 400\n"));
}

#[test]
fn every_line_has_the_seven_documented_fields() {
    let sim = Sim::started(&[]);
    sim.sim(&["log", "web", "warning", "first line\nsecond\tline", "--domain", "xtk"]);
    sim.sim(&["xtk-session", "2"]);
    let log = sim.log("default", "web.log");
    let pid = sim.pid("web").to_string();
    let mut continued = 0;
    for line in log.lines() {
        let fields: Vec<&str> = line.splitn(7, '\t').collect();
        if line == "second\tline" {
            continued += 1;
            continue;
        }
        assert_eq!(fields.len(), 7, "{line}");
        assert!(fields[0].len() == 24 && fields[0].ends_with('Z'), "{line}");
        assert_eq!(fields[1], pid);
        assert!(["error", "warning", "info"].contains(&fields[4]), "{line}");
    }
    assert_eq!(continued, 1);
    assert_eq!(log.matches("xtk:session").count(), 2);
    assert!(log.contains("\twarning\txtk\tfirst line\n"));
}

#[test]
fn a_utility_logs_and_ends_with_its_outcome() {
    let sim = Sim::started(&[]);
    let run = |fail: bool| {
        let mut command = sim.command(&["import", "-instance:prod"]);
        command.env("CAMPAIGN_SIM_DURATION_MS", "1");
        if fail {
            command.env("CAMPAIGN_SIM_FAIL", "1");
        }
        run(&mut command).status.success()
    };
    assert!(run(false));
    assert!(!sim.log("prod", "import.log").contains("\terror\t"));
    assert!(!run(true));
    let log = sim.log("prod", "import.log");
    let last = log.lines().last().unwrap();
    assert!(last.contains("\terror\tlog\tINT-150012 ") && last.ends_with("(iRc=16384)"), "{last}");
}

#[test]
fn a_module_in_the_foreground_is_seen_and_logs_where_it_is_told() {
    let sim = Sim::started(&[]);
    let args = ["mta", "-instance:prod", "-tracefilter:*", "-tracefile:mta_debug@prod"];
    let mut debug: Child = sim.command(&args).spawn().unwrap();
    let pid = i32::try_from(debug.id()).unwrap();
    sim.sim(&["wait", "mta@prod", "up"]);
    assert!(sim.pdump().contains(&("mta@prod".to_owned(), pid)));
    assert_eq!(see(pid).unwrap().argv[1..], args);
    kill_process(Pid::from_child(&debug), Signal::TERM).unwrap();
    assert!(debug.wait().unwrap().success());
    // Packets are written in their order: when this one is in its file, the ones before are.
    sim.sim(&["log", "stat@prod", "info", "after it"]);
    assert!(sim.log("prod", "mta_debug.log").contains("Stopping module mta@prod"));
}

#[test]
fn a_corrupt_tracking_line_stops_the_tracking_job() {
    let sim = Sim::started(&[]);
    let track = || {
        let mut command = sim.command(&["tracking", "-instance:prod"]);
        run(command.env("CAMPAIGN_SIM_DURATION_MS", "1")).status.success()
    };
    sim.sim(&["tracking", "prod", "20"]);
    assert!(track());
    sim.sim(&["corrupt", "prod"]);
    assert!(!track());
    assert!(sim.log("prod", "tracking.log").contains("line 21"));
}

#[test]
fn a_lost_port_loses_lines_until_it_is_back() {
    let sim = Sim::started(&[]);
    let port = sim.ports["syslogd.port"];
    assert!(UdpSocket::bind(("127.0.0.1", port)).is_err());
    sim.sim(&["close-port", "syslogd"]);
    let stolen = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let refused = run(&mut sim.command(&["sim", "open-port", "syslogd"]));
    assert!(!refused.status.success());
    drop(stolen);
    let lost = run(&mut sim.command(&["sim", "log", "mta@prod", "error", "lost"]));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("syslogd has not written it"));
    sim.sim(&["open-port", "syslogd"]);
    sim.sim(&["log", "mta@prod", "error", "kept"]);
    let log = sim.log("prod", "mta.log");
    assert!(log.contains("kept") && !log.contains("lost"));
}

#[test]
fn every_configured_port_is_bound_where_the_files_say() {
    let sim = Sim::started(&["--autostart", "stat,pipelined"]);
    for name in
        ["web.httpPort", "web.controlPort", "stat@prod.port", "stat@dev.port", "pipelined@prod.monitorServerPort"]
    {
        TcpStream::connect(("127.0.0.1", sim.ports[name])).unwrap_or_else(|error| panic!("{name}: {error}"));
        let files = ["serverConf.xml", "config-prod.xml", "config-dev.xml"];
        let text: String = files
            .iter()
            .map(|file| String::from_utf8_lossy(&fs::read(sim.home.join("conf").join(file)).unwrap()).into_owned())
            .collect();
        let (_, attribute) = name.split_once('.').unwrap();
        assert!(text.contains(&format!("{attribute}=\"{}\"", sim.ports[name])), "{name}");
    }
    assert!(UdpSocket::bind(("127.0.0.1", sim.ports["stat@prod.port"])).is_err());
}

#[test]
fn end_points_answer_as_documented_and_as_told() {
    let sim = Sim::started(&["--autostart", "pipelined"]);
    let web = |target: &str| sim.get("web.httpPort", target);
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let token = "?__sessiontoken=simulated-session";
    let ping = format!("/nl/jsp/ping.jsp{token}");
    let queue = format!("/nl/jsp/mcPing.jsp{token}");

    assert!(body(&web("/r/test")).starts_with("<redir status='OK' date='"));
    assert!(web("/nl/jsp/ping.jsp").starts_with("HTTP/1.1 403 "));
    let lines = body(&web(&ping));
    assert!(lines.starts_with("OK\n") && lines.ends_with("Z\n"), "{lines}");
    let lines = body(&web(&queue));
    assert!(lines.starts_with("Ok\n") && lines.ends_with("\n7/400 pending events"), "{lines}");
    assert!(web("/elsewhere").starts_with("HTTP/1.1 404 "));

    sim.sim(&["answer", "redir", "error"]);
    assert!(body(&web("/r/test")).starts_with("<redir status='ERROR'"));
    sim.sim(&["answer", "mcping", "full:400/400"]);
    assert_eq!(body(&web(&queue)), "Error\nThe queue is full (400/400)");
    sim.sim(&["answer", "ping", "fail"]);
    assert!(web(&ping).starts_with("HTTP/1.1 500 "));
    sim.sim(&["answer", "ping", "close"]);
    assert_eq!(web(&ping), "");

    // One that hangs blocks no other.
    sim.sim(&["answer", "ping", "hang"]);
    let mut hanging = TcpStream::connect(("127.0.0.1", sim.ports["web.httpPort"])).unwrap();
    write!(hanging, "GET {ping} HTTP/1.1\r\n\r\n").unwrap();
    assert!(body(&web("/r/test")).starts_with("<redir "));
    sim.sim(&["clear"]);
    assert!(body(&web(&ping)).starts_with("OK\n"));

    sim.sim(&["pipelined", "trigger-failures=12"]);
    let status = sim.get("pipelined@prod.monitorServerPort", "/");
    assert!(status.contains("\"trigger-failures\": 12") && status.contains("\"current-messages\": 0"), "{status}");
}

#[test]
fn processes_hang_leak_open_files_and_leave_zombies_when_told() {
    let sim = Sim::started(&[]);
    let stat = sim.pid("stat@prod");
    sim.sim(&["hang", "stat@prod"]);
    assert_eq!(see(stat).unwrap().state, 'T');
    sim.sim(&["resume", "stat@prod"]);
    assert_ne!(see(stat).unwrap().state, 'T');
    // A hung module can be stopped, too.
    sim.sim(&["hang", "stat@prod"]);
    sim.nlserver(&["stop", "stat@prod"]);
    assert!(see(stat).is_none());

    let told: u64 = sim.sim(&["leak", "inMail@prod", "40"]).trim().parse().unwrap();
    let statm = fs::read_to_string(format!("/proc/{}/statm", sim.pid("inMail@prod"))).unwrap();
    let resident = statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096;
    assert!(told >= 40 << 20 && resident >= 40 << 20, "{told} {resident}");

    let mta = sim.pid("mta@prod");
    let open = || fs::read_dir(format!("/proc/{mta}/fd")).unwrap().count();
    let before = open();
    sim.sim(&["fds", "mta@prod", "50"]);
    assert_eq!(open(), before + 50);
    sim.sim(&["nofile", "mta@prod", "64"]);
    let limits = fs::read_to_string(format!("/proc/{mta}/limits")).unwrap();
    assert!(limits.lines().any(|line| line.starts_with("Max open files            64 ")), "{limits}");

    let zombies = sim.sim(&["zombie-child", "mta@prod", "2"]);
    for pid in zombies.split_whitespace() {
        let seen = see(pid.parse().unwrap()).unwrap();
        assert_eq!((seen.state, seen.comm.as_str(), seen.argv.len()), ('Z', "nlserver", 0));
    }
    assert_eq!(zombies.split_whitespace().count(), 2);
    sim.sim(&["zombie-child", "mta@prod", "0"]);
    assert!(zombies.split_whitespace().all(|pid| see(pid.parse().unwrap()).is_none()));

    let web = sim.pid("web");
    sim.sim(&["zombie", "web"]);
    assert_eq!(see(web).unwrap().state, 'Z');
    assert!(sim.missing().contains("web@default"));
    sim.sim(&["reap", "web"]);
    sim.sim(&["wait", "web", "up"]);
    assert!(see(web).is_none());

    sim.sim(&["children", "mta@prod", "3"]);
    assert_eq!(sim.pdump().iter().filter(|(name, _)| name == "mtachild@prod").count(), 3);
    sim.sim(&["children", "mta@prod", "0"]);
    assert_eq!(sim.pdump().iter().filter(|(name, _)| name == "mtachild@prod").count(), 0);
}

#[test]
fn raised_log_precision_shows_in_the_arguments_until_the_next_start() {
    let sim = Sim::started(&[]);
    let argv = || see(sim.pid("mta@prod")).unwrap().argv;
    sim.nlserver(&["restart", "mta@prod", "-verbose"]);
    assert_eq!(argv().last().unwrap(), "-verbose");
    sim.nlserver(&["restart", "mta@prod"]);
    assert_eq!(argv().last().unwrap(), "-tracefilter:nlmta");
}

#[test]
fn a_file_is_made_and_taken_away() {
    let sim = Sim::new(&[]);
    sim.sim(&["file", "var/prod/folder/a", "text"]);
    let file = sim.home.join("var/prod/folder/a");
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    sim.sim(&["file", "var/prod/folder/a"]);
    assert!(!file.exists());
}

#[test]
fn files_that_a_fault_leaves_are_cleared() {
    let sim = Sim::started(&[]);
    sim.sim(&["core", "4711"]);
    sim.sim(&["spool", "prod", "25"]);
    let spool = sim.home.join("var/prod/mta");
    assert!(sim.home.join("core.4711").exists());
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 25);
    sim.sim(&["clear"]);
    assert!(!sim.home.join("core.4711").exists());
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 0);
}

#[test]
fn shared_memory_lives_as_long_as_trackinglogd() {
    let sim = Sim::new(&[]);
    let segments = || -> BTreeSet<String> {
        let named = fs::read_to_string(sim.home.join("var/run/shm")).unwrap_or_default();
        let exist = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        let exist: BTreeSet<&str> = exist.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        named.split_whitespace().filter(|id| exist.contains(id)).map(str::to_owned).collect()
    };
    sim.nlserver(&["start", "trackinglogd"]);
    assert_eq!(segments().len(), 1);
    sim.sim(&["shm", "2"]);
    let all = segments();
    assert_eq!(all.len(), 3);
    sim.nlserver(&["shutdown"]);
    let exist = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let left = exist.lines().filter_map(|line| line.split_whitespace().nth(1)).filter(|id| all.contains(*id)).count();
    assert_eq!(left, 0);
}

#[test]
fn a_changed_configuration_is_followed_and_a_broken_one_refused() {
    let sim = Sim::started(&[]);
    let path = sim.home.join("conf/config-dev.xml");
    let text = fs::read_to_string(&path).unwrap();
    let changed = text
        .replace("<sms autoStart=\"false\"", "<sms autoStart=\"true\"")
        .replace("<stat autoStart=\"true\"", "<stat autoStart=\"false\"");
    assert_ne!(text, changed);
    fs::write(&path, &changed).unwrap();
    sim.nlserver(&["config", "-reload"]);
    let runs: BTreeSet<String> = sim.pdump().into_iter().map(|(name, _)| name).collect();
    assert!(runs.contains("sms@dev") && !runs.contains("stat@dev"), "{runs:?}");
    assert!(runs.contains("stat@prod"));

    fs::write(&path, "<serverconf><mta").unwrap();
    let refused = run(&mut sim.command(&["config", "-reload"]));
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("config-dev.xml:1"));
    // The last good one stays in force.
    sim.sim(&["die", "sms@dev"]);
    sim.sim(&["wait", "sms@dev", "up"]);
}

#[test]
fn everything_ends_when_the_installation_is_removed() {
    let sim = Sim::started(&[]);
    let handles = sim.handles();
    fs::remove_dir_all(sim.home.join("var/run")).unwrap();
    all_end(&handles);
}

#[test]
fn everything_ends_when_the_host_process_is_killed() {
    let sim = Sim::started(&[]);
    // A hung one, too: it could not notice anything by itself.
    sim.sim(&["hang", "stat@prod"]);
    let handles = sim.handles();
    let host = sim.seen().into_iter().find(|seen| seen.comm != "nlserver").unwrap();
    kill_process(Pid::from_raw(host.pid).unwrap(), Signal::KILL).unwrap();
    all_end(&handles);
    // And a new one can be started in its place.
    sim.nlserver(&["start"]);
    assert_eq!(sim.missing(), BTreeSet::new());
}

#[test]
fn everything_ends_when_the_owner_has_ended() {
    let mut owner = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let sim = Sim::started(&["--owner-pid", &owner.id().to_string()]);
    let handles = sim.handles();
    drop(owner.stdin.take());
    owner.wait().unwrap();
    all_end(&handles);
}

#[test]
fn hosts_side_by_side_leave_each_other_alone() {
    let (one, other) = (Sim::started(&[]), Sim::started(&[]));
    let before = other.pdump();
    one.sim(&["die", "mta@prod"]);
    one.nlserver(&["shutdown"]);
    assert_eq!(other.pdump(), before);
    assert_eq!(other.pdump(), other.seen_modules());
}

#[test]
fn older_log_lines_have_six_fields() {
    let sim = Sim::started(&["--set", "logForm=older"]);
    sim.sim(&["log", "mta@prod", "warning", "INT-150012 text"]);
    let log = sim.log("prod", "mta.log");
    for line in log.lines() {
        let fields: Vec<&str> = line.splitn(6, '\t').collect();
        assert_eq!(fields.len(), 6, "{line}");
        assert!(fields[0].len() == 24 && fields[0].contains(' '), "{line}");
        assert!(fields[1].len() == 8 && u32::from_str_radix(fields[1], 16).is_ok(), "{line}");
    }
    assert!(log.ends_with("\t1\twarning\tlog\tINT-150012 text\n"), "{log}");
    assert!(sim.sim(&["written"]).contains("prod mta warning 1\n"));
}

#[test]
fn a_french_server_logs_in_french_with_the_same_codes() {
    let sim = Sim::started(&["--set", "logLanguage=fr"]);
    sim.sim(&["cross-device"]);
    sim.sim(&["login-faults", "2"]);
    let log = sim.log("default", "web.log");
    assert!(log.contains("Démarrage du module web@default"), "{log}");
    assert!(log.contains("errno=18") && !log.contains("Unable"), "{log}");
    for code in ["XSV-350008", "XSV-350012", "XSV-350013"] {
        assert_eq!(log.matches(code).count(), 2, "{code}: {log}");
    }
}

#[test]
fn a_moved_var_holds_logs_tracking_logs_and_spool() {
    let folder = TempDir::new().unwrap();
    let var = folder.path().to_str().unwrap();
    let sim = Sim::started(&["--var-dir", var]);
    let script = fs::read_to_string(sim.home.join("customer.sh")).unwrap();
    assert!(script.ends_with(&format!("export XTK_VAR_DIR={var}\n")), "{script}");
    let environment = fs::read(format!("/proc/{}/environ", sim.pid("mta@prod"))).unwrap();
    let variable = format!("XTK_VAR_DIR={var}");
    assert!(environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes()));
    sim.sim(&["log", "mta@prod", "info", "text"]);
    sim.sim(&["tracking", "prod", "1"]);
    sim.sim(&["spool", "prod", "3"]);
    assert!(fs::read_to_string(folder.path().join("prod/log/mta.log")).unwrap().contains("\ttext\n"));
    assert_eq!(fs::read_dir(folder.path().join("prod/redir/log")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(folder.path().join("prod/mta")).unwrap().count(), 3);
    assert!(!sim.home.join("var/prod").exists());
}

#[test]
fn asking_a_module_for_its_version_starts_nothing() {
    let sim = Sim::started(&[]);
    let before = sim.pdump();
    for argument in ["-version", "-?", "-h", "-reload"] {
        assert!(sim.nlserver(&["web", argument]).contains("Application server for Adobe Campaign Classic"));
    }
    assert_eq!(sim.pdump(), before);
    assert_eq!(sim.seen_modules(), before);
}

#[test]
fn a_silent_module_runs_and_logs_nothing() {
    let options = ["--set", "logPeriodMs=10", "--set", "inMailPeriodMs=10", "--set", "silent=inMail"];
    let sim = Sim::started(&options);
    // What the others log meanwhile shows that time has passed.
    let others = |sim: &Sim| sim.log("prod", "stat.log").matches("Running").count() >= 20;
    let deadline = std::time::Instant::now() + LIMIT;
    while !others(&sim) {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert_eq!(sim.log("prod", "inMail.log").lines().count(), 1);
    assert!(sim.pdump().iter().any(|(name, _)| name == "inMail@prod"));
}

#[test]
fn the_daily_restart_leaves_the_watchdog_alone() {
    let sim = Sim::started(&[]);
    let before = sim.pdump();
    sim.sim(&["daily-restart"]);
    let same: BTreeSet<_> = before.intersection(&sim.pdump()).map(|(name, _)| name.clone()).collect();
    assert_eq!(same, ["watchdog".to_owned()].into());
    assert_eq!(sim.missing(), BTreeSet::new());
}

#[test]
fn a_shared_segment_of_all_modules_outlives_trackinglogd() {
    let sim = Sim::started(&["--set", "contextSegment=true", "--set", "trackingPeriodMs=0"]);
    let segments = || fs::read_to_string(sim.home.join("var/run/shm")).unwrap().lines().count();
    assert_eq!(segments(), 2);
    sim.nlserver(&["stop", "trackinglogd"]);
    assert_eq!(segments(), 1);
}

#[test]
fn a_debugging_log_can_lie_beside_the_log_folder() {
    let sim = Sim::started(&["--set", "logsBeside=mta_debug"]);
    sim.sim(&["log", "mta@prod", "info", "text", "--log", "mta_debug"]);
    assert!(fs::read_to_string(sim.home.join("var/prod/mta_debug.log")).unwrap().contains("text"));
    assert!(!sim.home.join("var/prod/log/mta_debug.log").exists());
}

#[test]
fn a_stranger_looks_like_a_module_and_belongs_to_no_host() {
    let sim = Sim::started(&[]);
    let before = sim.pdump();
    let mut starter = Command::new(SIMULATOR)
        .args(["stranger", "65534", "nlserver", "mta", "-instance:prod"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    let output = starter.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut pid).unwrap();
    let pid: i32 = pid.trim().parse().unwrap();
    let seen = see(pid).unwrap();
    assert_eq!((seen.comm.as_str(), seen.argv.join(" ").as_str()), ("nlserver", "nlserver mta -instance:prod"));
    assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 65534);
    assert_eq!(sim.pdump(), before);
    drop(starter.stdin.take());
    assert!(starter.wait().unwrap().success());
    assert!(see(pid).is_none());
}

#[test]
fn a_bench_host_has_the_size_it_is_told_and_ends_with_its_input() {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("nl6");
    let mut host = Command::new(SIMULATOR)
        .arg("bench-host")
        .arg(&home)
        .args(["--processes", "60", "--other", "7", "--threads", "4", "--mappings", "50"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; b"ready processes=60 others=7\n".len()];
    host.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"ready processes=60 others=7\n");

    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", host.id())).unwrap();
    let children: Vec<Seen> = children.split_whitespace().filter_map(|pid| see(pid.parse().unwrap())).collect();
    let (modules, others): (Vec<_>, Vec<_>) = children.iter().partition(|seen| seen.comm == "nlserver");
    assert_eq!((modules.len(), others.len()), (60, 7));
    for seen in &modules {
        let folder = Path::new("/proc").join(seen.pid.to_string());
        assert_eq!(seen.argv[0], "nlserver");
        assert_eq!(fs::read_dir(folder.join("task")).unwrap().count(), 4, "{seen:?}");
        assert!(fs::read_to_string(folder.join("maps")).unwrap().lines().count() > 50, "{seen:?}");
    }
    let names: BTreeSet<String> = modules.iter().map(|seen| name_of(&seen.argv)).collect();
    for module in ["watchdog", "syslogd@default", "mta@inst01", "mtachild@inst02", "wfserver@inst02"] {
        assert!(names.contains(module), "{module}: {names:?}");
    }

    drop(host.stdin.take());
    assert!(host.wait().unwrap().success());
    assert!(children.iter().all(|seen| see(seen.pid).is_none()));
}
