//! The host process: what init is to a real machine. Parent and reaper of every module process of one simulated host,
//! and the end of the control socket that the commands talk to. It decides nothing that the product's watchdog decides:
//! the watchdog process requests starts and restarts as an administrator does. One thread: the modules' parent-death
//! signal is tied to the thread that starts them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, wait, waitid, waitpid};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};

use crate::catalogue::{self, Key, SYSLOGD, WATCHDOG};
use crate::conf::Conf;
use crate::error::{Error, Result};
use crate::home::{Home, Settings};
use crate::memory;
use crate::wire::{self, Lines};

/// How often it looks whether the installation is still there.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A module that was asked to end and still runs after this is killed.
const PATIENCE: Duration = Duration::from_secs(20);
/// A command is answered within this, well or badly: longer than [`PATIENCE`].
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// Size in bytes of the segment that all modules share. The product's is not documented.
const CONTEXT_SEGMENT: u64 = 4096;
/// With nothing to look after it ends by itself.
const IDLE: Duration = Duration::from_secs(3);

/// The role of a process that the host process starts, set in its environment: the arguments are the product's.
pub(crate) const ROLE: &str = "CAMPAIGN_SIM_ROLE";

#[derive(Debug)]
struct Task {
    key: Key,
    pid: Pid,
    lines: Lines,
    /// Started by this process; others have registered.
    own: bool,
    ready: bool,
    /// Asked to end: it is not restarted.
    ending: bool,
    hung: bool,
    /// Dead and left unreaped, because a zombie was asked for.
    zombie: bool,
}

/// What a command waits for.
#[derive(Debug)]
enum Until {
    /// These run; with `patient` they need not run yet.
    Up { keys: Vec<Key>, patient: bool, other_than: Option<Pid> },
    /// This process is ready.
    Ready(Pid),
    /// Nothing of these runs.
    Down(Vec<Key>),
    /// These processes are reaped; then the modules are started, when any are given.
    Gone { pids: Vec<Pid>, then: Vec<Key>, extra: Vec<String> },
    /// The watchdog has looked after everything.
    Ensured(u64),
    /// This process has done what it was told.
    Done(Pid),
    /// Everything has ended.
    Nothing,
}

#[derive(Debug)]
struct Waiter {
    conn: Lines,
    until: Until,
    deadline: Instant,
}

type Answer = std::result::Result<String, String>;

#[derive(Debug)]
enum Timer {
    Kill(Pid),
    FillChildren(Key),
}

#[derive(Debug)]
struct Host {
    home: Home,
    settings: Settings,
    conf: Conf,
    tasks: Vec<Task>,
    waiters: Vec<Waiter>,
    timers: Vec<(Instant, Timer)>,
    /// Stopped by an administrator: the watchdog leaves them alone.
    stopped: BTreeSet<Key>,
    /// Not restarted, whatever happens: module names with instance, or `*`.
    held: BTreeSet<String>,
    /// How many children a module keeps, where it was told otherwise.
    children: BTreeMap<Key, usize>,
    /// Shared memory segments to remove at the end; true for what was asked for by hand.
    segments: BTreeMap<String, bool>,
    token: u64,
    ensured: u64,
    shutting_down: bool,
    idle_since: Instant,
}

/// Runs the host process of `home` until everything is shut down.
///
/// # Errors
/// When the installation cannot be used. Another host process on the same installation is no error.
pub(crate) fn run(home: Home) -> Result<()> {
    let run = home.run();
    let lock_path = run.join("lock");
    let lock = File::create(&lock_path).map_err(|source| Error::io(&lock_path, source))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    let here = |source| Error::io(home.run(), source);
    let (signalled, for_children) = UnixStream::pair().map_err(here)?;
    let (asked_to_end, for_end) = UnixStream::pair().map_err(here)?;
    signal_hook::low_level::pipe::register(SIGCHLD, for_children).map_err(here)?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, for_end.try_clone().map_err(here)?).map_err(here)?;
    }
    rustix::process::setsid().ok();
    let me = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(me)).map_err(|source| Error::io("prctl", source))?;

    fs::remove_file(run.join("control")).ok();
    let listener = wire::listen(&run).map_err(here)?;
    listener.set_nonblocking(true).map_err(here)?;
    let mut host = Host::new(home)?;
    let mut output = std::io::stdout();
    output.write_all(b"ready\n").and_then(|()| output.flush()).ok();

    let signals = [Lines::new(signalled), Lines::new(asked_to_end)];
    let [signalled, asked_to_end] = signals.map(|lines| lines.map_err(|source| Error::io("pipe", source)));
    host.serve(&listener, signalled?, asked_to_end?);
    host.clean_up();
    drop(lock);
    Ok(())
}

impl Host {
    fn new(home: Home) -> Result<Self> {
        let settings = Settings::read(&home)?;
        let conf = Conf::read(&home.conf()).unwrap_or_default();
        let words = |file: &str| -> BTreeSet<String> {
            let text = fs::read_to_string(home.run().join(file)).unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect()
        };
        let (held, stale) = (words("hold"), words("shm"));
        for segment in &stale {
            memory::remove_segment(segment);
        }
        Ok(Self {
            home,
            settings,
            conf,
            tasks: Vec::new(),
            waiters: Vec::new(),
            timers: Vec::new(),
            stopped: BTreeSet::new(),
            held,
            children: BTreeMap::new(),
            segments: BTreeMap::new(),
            token: 0,
            ensured: 0,
            shutting_down: false,
            idle_since: Instant::now(),
        })
    }

    fn serve(&mut self, listener: &UnixListener, mut signalled: Lines, mut asked_to_end: Lines) {
        let mut asking: Vec<Lines> = Vec::new();
        let mut heartbeat = Instant::now() + HEARTBEAT;
        loop {
            self.wait(listener, &signalled, &asked_to_end, &asking, heartbeat);
            signalled.drain();
            self.reap();
            if asked_to_end.drain() {
                self.shut_down();
            }
            self.hear_tasks();
            self.accept(listener, &mut asking);
            for mut conn in std::mem::take(&mut asking) {
                match conn.receive().into_iter().next() {
                    Some(line) => self.request(conn, &wire::split(&line)),
                    None if conn.closed => {}
                    None => asking.push(conn),
                }
            }
            self.fire_timers();
            if Instant::now() >= heartbeat {
                heartbeat = Instant::now() + HEARTBEAT;
                if !self.home.alive() || self.owner_is_gone() {
                    return;
                }
            }
            self.settle();
            if !self.tasks.is_empty() || !self.waiters.is_empty() || !asking.is_empty() {
                self.idle_since = Instant::now();
            }
            let idle = self.idle_since.elapsed() > IDLE;
            if self.tasks.is_empty() && (self.shutting_down || idle) {
                // From here on a command that connects starts a new host process. Clients that wait get their answers.
                fs::remove_file(self.home.run().join("control")).ok();
                self.remove_segments();
                self.settle();
                return;
            }
        }
    }

    fn wait(&self, listener: &UnixListener, signalled: &Lines, ending: &Lines, asking: &[Lines], heartbeat: Instant) {
        let mut fds: Vec<PollFd<'_>> = [listener.as_fd(), signalled.as_fd(), ending.as_fd()]
            .into_iter()
            .chain(asking.iter().map(AsFd::as_fd))
            .chain(self.tasks.iter().filter(|task| !task.lines.closed).map(|task| task.lines.as_fd()))
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let next = self.timers.iter().map(|(at, _)| *at).chain(self.waiters.iter().map(|waiter| waiter.deadline));
        let until = next.chain([heartbeat]).min().unwrap_or(heartbeat).saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(until.as_secs()).unwrap_or(1),
            // A little late rather than a little early: an early wake-up would spin.
            tv_nsec: i64::from(until.subsec_nanos()),
        };
        // Interrupted or not: what is ready is found by looking.
        poll(&mut fds, Some(&timeout)).ok();
    }

    fn accept(&self, listener: &UnixListener, asking: &mut Vec<Lines>) {
        loop {
            match listener.accept() {
                Ok((stream, _)) => asking.extend(Lines::new(stream)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// The test that owns this host, when `create --owner-pid` named one, has ended.
    fn owner_is_gone(&self) -> bool {
        let Some((pid, start)) = self.settings.text("owner").and_then(|owner| owner.split_once(':')) else {
            return false;
        };
        memory::start_time(pid).is_none_or(|now| now != start)
    }

    // --- Processes ---

    fn spawn(&mut self, key: Key, argv: &[String]) -> std::result::Result<Pid, String> {
        let failed = |error: std::io::Error| format!("{key}: {error}");
        let program = self.home.nlserver();
        let argv0 = match self.settings.text("argv0") {
            Some("path") => program.to_string_lossy().into_owned(),
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => "nlserver".to_owned(),
        };
        let mut tries = 0;
        let (ours, child) = loop {
            let (ours, theirs) = UnixStream::pair().map_err(failed)?;
            let errors = OpenOptions::new().create(true).append(true).open(self.home.run().join("errors"));
            let spawned = Command::new(&program)
                .arg0(&argv0)
                .args(argv.get(1..).unwrap_or_default())
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .env("XTK_INSTALL_DIR", self.home.root())
                .envs(self.home.moved())
                .env(ROLE, "module")
                .current_dir("/")
                .stdin(OwnedFd::from(theirs))
                .stdout(Stdio::null())
                .stderr(errors.map_or_else(|_| Stdio::null(), Stdio::from))
                .spawn();
            match spawned {
                Ok(child) => break (ours, child),
                // Where the executable is a copy, another thread's fork can hold it open for writing for a moment.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < 100 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(failed(error)),
            }
        };
        let pid = Pid::from_child(&child);
        let lines = Lines::new(ours).map_err(failed)?;
        self.tasks.push(Task { key, pid, lines, own: true, ready: false, ending: false, hung: false, zombie: false });
        Ok(pid)
    }

    /// Starts a module unless it runs.
    fn start(&mut self, key: &Key, extra: &[String]) -> std::result::Result<(), String> {
        if self.running(key).next().is_some() {
            return Ok(());
        }
        // A file that is half written at the moment leaves the last good configuration in force.
        if let Ok(conf) = Conf::read(&self.home.conf()) {
            self.conf = conf;
        }
        self.stopped.remove(key);
        if key.module == WATCHDOG {
            self.stopped.clear();
        }
        if self.settings.text("contextSegment") == Some("true") && self.segments.is_empty() {
            let segment = memory::create_segment(CONTEXT_SEGMENT);
            self.remember_segment(&segment.ok_or("no shared memory segment is to be had")?, Some(false));
        }
        let argv = catalogue::argv(&self.conf, key, extra);
        self.spawn(key.clone(), &argv).map(|_| ())
    }

    fn running(&self, key: &Key) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(move |task| task.key == *key && !task.zombie)
    }

    fn task(&mut self, pid: Pid) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.pid == pid)
    }

    /// The processes of a module and of its children.
    fn family(&self, key: &Key) -> Vec<Pid> {
        let child = key.child();
        let of = |task: &&Task| task.key == *key || Some(&task.key) == child.as_ref();
        self.tasks.iter().filter(of).map(|task| task.pid).collect()
    }

    /// Asks a process to end. A hung one can't react and is killed; a zombie is reaped.
    fn end(&mut self, pid: Pid) {
        let Some(task) = self.task(pid) else { return };
        task.ending = true;
        if task.zombie {
            task.zombie = false;
            self.reap();
            return;
        }
        let signal = if task.hung { Signal::KILL } else { Signal::TERM };
        kill_process(pid, signal).ok();
        self.timers.push((Instant::now() + PATIENCE, Timer::Kill(pid)));
    }

    fn reap(&mut self) {
        if self.tasks.iter().any(|task| task.zombie) {
            // Only the known ones, so that the zombies stay what they are.
            let pids: Vec<Pid> =
                self.tasks.iter().filter(|task| task.own && !task.zombie).map(|task| task.pid).collect();
            for pid in pids {
                if matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))) {
                    self.ended(pid);
                }
            }
        } else {
            while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
                self.ended(pid);
            }
        }
    }

    fn ended(&mut self, pid: Pid) {
        let Some(index) = self.tasks.iter().position(|task| task.pid == pid) else {
            return;
        };
        let mut task = self.tasks.remove(index);
        // What it said last: the number of a segment that it has created, for instance.
        for line in task.lines.receive() {
            self.hear(pid, &task.key, &wire::split(&line));
        }
        self.timers.retain(|(_, timer)| !matches!(timer, Timer::Kill(other) if *other == pid));
        if let Some(parent) = task.key.parent() {
            if !task.ending {
                self.timers.push((Instant::now() + self.settings.restart_delay(), Timer::FillChildren(parent)));
            }
        } else if self.running(&task.key).next().is_none() {
            for child in self.family(&task.key) {
                self.end(child);
            }
            self.tell_watchdog(&["settled", &task.key.to_string()]);
            if !task.ending {
                self.tell_watchdog(&["died", &task.key.to_string()]);
            }
        }
    }

    fn child_target(&self, key: &Key) -> usize {
        let Some(child) = key.child() else { return 0 };
        let setting = format!("{}Processes", child.module);
        self.children
            .get(key)
            .copied()
            .unwrap_or_else(|| usize::try_from(self.settings.number(&setting, 1)).unwrap_or(1))
    }

    /// Gives a module as many children as it has to have.
    fn fill_children(&mut self, key: &Key) -> std::result::Result<(), String> {
        let Some(child) = key.child() else {
            return Ok(());
        };
        let target = self.child_target(key);
        let pids: Vec<Pid> = self.running(&child).filter(|task| !task.ending).map(|task| task.pid).collect();
        for pid in pids.iter().skip(target) {
            self.end(*pid);
        }
        for _ in pids.len()..target {
            let argv = catalogue::argv(&self.conf, &child, &[]);
            self.spawn(child.clone(), &argv)?;
        }
        Ok(())
    }

    fn is_up(&self, key: &Key, other_than: Option<Pid>) -> bool {
        let ready = |key: &Key| {
            self.running(key).filter(|task| task.ready && !task.ending && Some(task.pid) != other_than).count()
        };
        ready(key) > 0 && key.child().is_none_or(|child| self.is_held(key) || ready(&child) == self.child_target(key))
    }

    fn is_held(&self, key: &Key) -> bool {
        let named = |key: &Key| self.held.contains(&key.to_string());
        self.held.contains("*") || named(key) || key.parent().is_some_and(|parent| named(&parent))
    }

    fn tell_watchdog(&mut self, fields: &[&str]) {
        for task in self.tasks.iter_mut().filter(|task| task.key.module == WATCHDOG && !task.zombie) {
            task.lines.send(&wire::join(fields));
        }
    }

    fn fire_timers(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.timers).into_iter().partition(|(at, _)| *at <= now);
        self.timers = later;
        let due: Vec<(Instant, Timer)> = due;
        for (_, timer) in due {
            match timer {
                Timer::Kill(pid) => {
                    if self.task(pid).is_some() {
                        kill_process(pid, Signal::KILL).ok();
                    }
                }
                Timer::FillChildren(key) => {
                    let able = self.running(&key).any(|task| task.ready && !task.hung && !task.ending);
                    if able && !self.is_held(&key) {
                        self.fill_children(&key).ok();
                    }
                }
            }
        }
    }

    // --- What the modules say ---

    fn hear_tasks(&mut self) {
        let mut heard = Vec::new();
        let mut left = Vec::new();
        for task in self.tasks.iter_mut().filter(|task| !task.lines.closed) {
            for line in task.lines.receive() {
                heard.push((task.pid, task.key.clone(), wire::split(&line)));
            }
            if task.lines.closed && !task.own {
                left.push(task.pid);
            }
        }
        for (pid, key, fields) in heard {
            self.hear(pid, &key, &fields);
        }
        for pid in left {
            self.ended(pid);
        }
    }

    fn hear(&mut self, pid: Pid, key: &Key, fields: &[String]) {
        let argument = fields.get(1).map_or("", String::as_str);
        match fields.first().map_or("", String::as_str) {
            "ready" => {
                if let Some(task) = self.task(pid) {
                    task.ready = true;
                }
                if !self.is_held(key) {
                    self.fill_children(key).ok();
                }
                self.tell_watchdog(&["settled", &key.to_string()]);
            }
            "start" => {
                for wanted in Key::parse(argument, &[]).unwrap_or_default() {
                    let leave = self.shutting_down || self.stopped.contains(&wanted) || self.is_held(&wanted);
                    let runs = self.running(&wanted).any(|task| task.ready);
                    if leave || runs || self.start(&wanted, &[]).is_err() {
                        self.tell_watchdog(&["settled", argument]);
                    }
                }
            }
            "stop" => {
                for wanted in Key::parse(argument, &[]).unwrap_or_default() {
                    let family = self.family(&wanted);
                    if family.is_empty() {
                        self.tell_watchdog(&["settled", argument]);
                    }
                    for pid in family {
                        self.end(pid);
                    }
                }
            }
            "ensured" => self.ensured = argument.parse().unwrap_or(self.ensured).max(self.ensured),
            "shm" => self.remember_segment(argument, Some(false)),
            "unshm" => self.remember_segment(argument, None),
            // The watchdog has done it when what it has started is ready, children included.
            "done" if key.module == WATCHDOG => {
                let up = || Until::Up { keys: vec![Key::watchdog()], patient: false, other_than: None };
                let waits = |waiter: &&mut Waiter| matches!(waiter.until, Until::Done(other) if other == pid);
                for waiter in self.waiters.iter_mut().filter(waits) {
                    waiter.until = up();
                }
            }
            "done" => self.answer_for(pid, Ok(argument.to_owned())),
            "failed" => self.answer_for(pid, Err(argument.to_owned())),
            _ => {}
        }
    }

    fn answer_for(&mut self, pid: Pid, answer: Answer) {
        let waits = |waiter: &Waiter| matches!(waiter.until, Until::Done(other) if other == pid);
        if let Some(index) = self.waiters.iter().position(waits) {
            reply(self.waiters.remove(index).conn, &answer);
        }
    }

    // --- What the commands ask ---

    fn request(&mut self, conn: Lines, fields: &[String]) {
        let verb = fields.first().map_or("", String::as_str);
        let rest = fields.get(1..).unwrap_or_default();
        if verb == "register" {
            return self.register(conn, rest);
        }
        match self.obey(verb, rest) {
            Ok((until, patience)) => self.waiters.push(Waiter { conn, until, deadline: Instant::now() + patience }),
            Err(answer) => reply(conn, &answer),
        }
    }

    /// A process that was started by hand and stays in the foreground.
    fn register(&mut self, mut conn: Lines, rest: &[String]) {
        let [pid, module, instance] = rest else {
            return;
        };
        let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) else {
            return;
        };
        let key = Key::new(module, instance);
        conn.send("registered");
        self.tasks.push(Task {
            key,
            pid,
            lines: conn,
            own: false,
            ready: false,
            ending: false,
            hung: false,
            zombie: false,
        });
    }

    /// What to wait for; or, as "error", the answer that is known at once.
    fn obey(&mut self, verb: &str, rest: &[String]) -> std::result::Result<(Until, Duration), Answer> {
        let first = rest.first().map_or("", String::as_str);
        let soon = |until| Ok((until, ANSWERED_WITHIN));
        match verb {
            "pid" => Err(Ok(std::process::id().to_string())),
            "list" => Err(Ok(self.list())),
            "shutdown" => {
                self.shut_down();
                soon(Until::Nothing)
            }
            "start" | "restart" | "stop" => {
                let (names, extra) = match rest.iter().position(|arg| arg.starts_with('-')) {
                    Some(at) => rest.split_at(at),
                    None => (rest, &[][..]),
                };
                let keys = self.keys(names)?;
                match verb {
                    "start" => self.start_by_hand(keys, extra),
                    "stop" => {
                        self.stopped.extend(keys.iter().filter(|key| key.module != WATCHDOG).cloned());
                        soon(self.end_all(&keys, Vec::new(), &[]))
                    }
                    _ => soon(self.end_all(&keys, keys.clone(), extra)),
                }
            }
            "launch" => {
                let key = Key::of_args(rest).ok_or_else(|| Err("launch what?".to_owned()))?;
                self.stopped.remove(&key);
                if key.module == WATCHDOG {
                    return self.start_by_hand(vec![key], &[]);
                }
                soon(Until::Ready(self.spawn(key, rest).map_err(Err)?))
            }
            "unstop" => {
                self.stopped.clear();
                self.ask_watchdog("check")
            }
            "reload" => self.ask_watchdog("reload"),
            "hold" => {
                self.held.extend(if rest.is_empty() { vec!["*".to_owned()] } else { self.names(rest)? });
                self.save_held();
                Err(Ok(String::new()))
            }
            "unhold" => {
                let names = if rest.is_empty() { Vec::new() } else { self.names(rest)? };
                self.held.retain(|name| !names.is_empty() && !names.contains(name));
                self.save_held();
                let parents: BTreeSet<Key> = self.tasks.iter().map(|task| task.key.clone()).collect();
                for key in
                    parents.iter().filter(|key| self.running(key).any(|task| task.ready)).cloned().collect::<Vec<_>>()
                {
                    self.fill_children(&key).map_err(Err)?;
                }
                self.ask_watchdog("check")
            }
            "shm" => {
                self.remember_segment(first, Some(true));
                Err(Ok(String::new()))
            }
            "forget-segments" => {
                let by_hand = self.segments.iter().filter(|(_, by_hand)| **by_hand);
                for segment in by_hand.map(|(segment, _)| segment.clone()).collect::<Vec<_>>() {
                    memory::remove_segment(&segment);
                    self.remember_segment(&segment, None);
                }
                Err(Ok(String::new()))
            }
            "wait" => {
                let keys = self.keys(rest.get(..1).unwrap_or_default())?;
                let number = |index: usize| rest.get(index).and_then(|text| text.parse::<i32>().ok());
                let patience = number(2).and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
                let until = match rest.get(1).map_or("up", String::as_str) {
                    "up" => Until::Up { keys, patient: true, other_than: number(3).and_then(Pid::from_raw) },
                    "down" => Until::Down(keys),
                    other => return Err(Err(format!("wait for what: up or down, not {other}"))),
                };
                Ok((until, patience.unwrap_or(ANSWERED_WITHIN)))
            }
            "children" => {
                let keys = self.keys(rest.get(..1).unwrap_or_default())?;
                let count =
                    rest.get(1).and_then(|text| text.parse().ok()).ok_or_else(|| Err("how many?".to_owned()))?;
                let mut going = Vec::new();
                for key in &keys {
                    let child = key.child().ok_or_else(|| Err(format!("{key} has no children")))?;
                    self.children.insert(key.clone(), count);
                    self.fill_children(key).map_err(Err)?;
                    going.extend(self.running(&child).filter(|task| task.ending).map(|task| task.pid));
                }
                soon(Until::Gone { pids: going, then: keys, extra: Vec::new() })
            }
            "die" | "hang" | "resume" | "zombie" | "reap" => {
                let keys = self.keys(rest)?;
                self.strike(verb, &keys)
            }
            "fault" => {
                let keys = self.keys(rest.get(..1).unwrap_or_default())?;
                let order = wire::join(&[&["fault".to_owned()], rest.get(1..).unwrap_or_default()].concat());
                let pid = keys.first().and_then(|key| self.running(key).next()).map(|task| task.pid);
                let task = pid.and_then(|pid| self.task(pid)).ok_or_else(|| Err(format!("{first} does not run")))?;
                task.lines.send(&order);
                soon(Until::Done(task.pid))
            }
            other => Err(Err(format!("the host process does not know '{other}'"))),
        }
    }

    fn keys(&self, names: &[String]) -> std::result::Result<Vec<Key>, Answer> {
        let instances = Conf::read(&self.home.conf()).map_or_else(|_| self.conf.instances(), |conf| conf.instances());
        let mut keys = Vec::new();
        for name in names {
            keys.extend(Key::parse(name, &instances).map_err(|error| Err(error.to_string()))?);
        }
        if keys.is_empty() { Err(Err("which module?".to_owned())) } else { Ok(keys) }
    }

    fn names(&self, typed: &[String]) -> std::result::Result<Vec<String>, Answer> {
        Ok(self.keys(typed)?.iter().map(ToString::to_string).collect())
    }

    fn start_by_hand(&mut self, keys: Vec<Key>, extra: &[String]) -> std::result::Result<(Until, Duration), Answer> {
        for key in &keys {
            self.start(key, extra).map_err(Err)?;
        }
        Ok((Until::Up { keys, patient: false, other_than: None }, ANSWERED_WITHIN))
    }

    fn end_all(&mut self, keys: &[Key], then: Vec<Key>, extra: &[String]) -> Until {
        let pids: Vec<Pid> = keys.iter().flat_map(|key| self.family(key)).collect();
        for pid in &pids {
            self.end(*pid);
        }
        Until::Gone { pids, then, extra: extra.to_vec() }
    }

    fn ask_watchdog(&mut self, order: &str) -> std::result::Result<(Until, Duration), Answer> {
        self.token += 1;
        let token = self.token.to_string();
        for task in &mut self.tasks {
            if task.key.module != WATCHDOG && order == "reload" {
                task.lines.send(order);
            }
        }
        let listens = |task: &&Task| task.key.module == WATCHDOG && !task.zombie && !task.hung;
        let Some(watchdog) = self.tasks.iter().find(listens).map(|task| task.pid) else {
            return Err(Ok("watchdog does not run".to_owned()));
        };
        self.tell_watchdog(&[order, &token]);
        // Whether it refused the files it tells as "failed", which is answered like a fault.
        let until = if order == "reload" { Until::Done(watchdog) } else { Until::Ensured(self.token) };
        Ok((until, ANSWERED_WITHIN))
    }

    fn strike(&mut self, verb: &str, keys: &[Key]) -> std::result::Result<(Until, Duration), Answer> {
        let mut pids = Vec::new();
        for key in keys {
            pids.extend(
                self.tasks
                    .iter()
                    .filter(|task| task.key == *key && task.zombie == (verb == "reap"))
                    .map(|task| task.pid),
            );
        }
        if pids.is_empty() {
            return Err(Err("it does not run".to_owned()));
        }
        let mut gone = Vec::new();
        for pid in pids {
            let Some(task) = self.task(pid) else { continue };
            match verb {
                "die" => {
                    let key = task.key.clone();
                    kill_process(pid, Signal::KILL).ok();
                    gone.extend(self.family(&key));
                }
                "hang" => {
                    task.hung = true;
                    kill_process(pid, Signal::STOP).ok();
                    // Returns as soon as the kernel has stopped it, or at once when it has ended.
                    waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                        .ok();
                }
                "resume" => {
                    task.hung = false;
                    kill_process(pid, Signal::CONT).ok();
                }
                "zombie" => {
                    task.zombie = true;
                    kill_process(pid, Signal::KILL).ok();
                    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok();
                }
                _ => {
                    task.zombie = false;
                    gone.push(pid);
                }
            }
        }
        self.reap();
        Ok((Until::Gone { pids: gone, then: Vec::new(), extra: Vec::new() }, ANSWERED_WITHIN))
    }

    /// `module@instance`, pid, state: one process a line.
    fn list(&self) -> String {
        let mut rows: Vec<String> = Vec::new();
        for task in &self.tasks {
            let state = match (task.zombie, task.ready) {
                (true, _) => "zombie",
                (false, true) => "running",
                (false, false) => "starting",
            };
            rows.push(format!("{}\t{}\t{state}\n", task.key, task.pid.as_raw_nonzero()));
        }
        rows.sort();
        rows.concat()
    }

    fn save_held(&self) {
        let names: Vec<&str> = self.held.iter().map(String::as_str).collect();
        fs::write(self.home.run().join("hold"), names.join("\n")).ok();
    }

    fn remember_segment(&mut self, segment: &str, exists: Option<bool>) {
        match exists {
            Some(by_hand) => self.segments.insert(segment.to_owned(), by_hand),
            None => self.segments.remove(segment),
        };
        let names: Vec<&str> = self.segments.keys().map(String::as_str).collect();
        fs::write(self.home.run().join("shm"), names.join("\n")).ok();
    }

    fn remove_segments(&mut self) {
        for segment in std::mem::take(&mut self.segments).keys() {
            memory::remove_segment(segment);
        }
        fs::remove_file(self.home.run().join("shm")).ok();
    }

    // --- Answers ---

    fn settle(&mut self) {
        if self.shutting_down {
            self.end_in_order();
        }
        let now = Instant::now();
        for mut waiter in std::mem::take(&mut self.waiters) {
            if let Until::Gone { pids, then, extra } = &mut waiter.until {
                let gone = !pids.iter().any(|pid| self.tasks.iter().any(|task| task.pid == *pid && !task.zombie));
                if gone && !then.is_empty() {
                    let (keys, extra) = (std::mem::take(then), std::mem::take(extra));
                    match self.start_by_hand(keys, &extra) {
                        Ok((until, _)) => waiter.until = until,
                        Err(answer) => {
                            reply(waiter.conn, &answer);
                            continue;
                        }
                    }
                }
            }
            match self.met(&waiter.until) {
                Some(answer) => reply(waiter.conn, &answer),
                None if now >= waiter.deadline => reply(waiter.conn, &Err("it took too long".to_owned())),
                None => self.waiters.push(waiter),
            }
        }
    }

    fn met(&self, until: &Until) -> Option<Answer> {
        let done = |met: bool| met.then(|| Ok(String::new()));
        let all_ready = || self.tasks.iter().all(|task| task.zombie || task.ready);
        match until {
            Until::Up { keys, patient, other_than } => {
                let lost = keys.iter().find(|key| self.running(key).next().is_none());
                match lost {
                    Some(key) if !patient => Some(Err(format!("{key} ended before it was ready"))),
                    // The watchdog is up when all that it has started is.
                    _ => done(
                        keys.iter().all(|key| self.is_up(key, *other_than) && (key.module != WATCHDOG || all_ready())),
                    ),
                }
            }
            Until::Ready(pid) => match self.tasks.iter().find(|task| task.pid == *pid) {
                Some(task) => done(task.ready),
                None => done(true),
            },
            Until::Down(keys) => done(keys.iter().all(|key| self.running(key).next().is_none())),
            Until::Gone { pids, .. } => {
                done(!pids.iter().any(|pid| self.tasks.iter().any(|task| task.pid == *pid && !task.zombie)))
            }
            Until::Ensured(token) => done(self.ensured >= *token && all_ready()),
            Until::Done(pid) => {
                let gone = !self.tasks.iter().any(|task| task.pid == *pid);
                gone.then(|| Err("it ended meanwhile".to_owned()))
            }
            Until::Nothing => done(self.tasks.is_empty() && !self.home.run().join("control").exists()),
        }
    }

    fn shut_down(&mut self) {
        self.shutting_down = true;
    }

    /// The watchdog first, so that it starts nothing; the log writer last, so that it writes what the others say.
    fn end_in_order(&mut self) {
        let rank = |task: &Task| match task.key.module.as_str() {
            WATCHDOG => 0,
            SYSLOGD => 2,
            _ => 1,
        };
        let Some(now) = self.tasks.iter().map(rank).min() else {
            return;
        };
        let pids: Vec<Pid> =
            self.tasks.iter().filter(|task| rank(task) == now && !task.ending).map(|task| task.pid).collect();
        for pid in pids {
            self.end(pid);
        }
    }

    /// Leaves nothing behind, however the end came.
    fn clean_up(&mut self) {
        for task in &self.tasks {
            kill_process(task.pid, Signal::KILL).ok();
        }
        for task in std::mem::take(&mut self.tasks).into_iter().filter(|task| task.own) {
            waitpid(Some(task.pid), WaitOptions::empty()).ok();
        }
        self.remove_segments();
    }
}

fn reply(conn: Lines, answer: &Answer) {
    let text = match answer {
        Ok(text) => format!("ok\n{text}"),
        Err(text) => format!("error\n{text}"),
    };
    // The client may be gone.
    if let Ok(mut stream) = conn.into_blocking() {
        stream.write_all(text.as_bytes()).ok();
    }
}
