//! A module process: what is common to all of them. It starts, says that it is ready, listens where its configuration
//! says, logs, does what the host process tells it, and ends when it is asked to or when its installation is gone.
//! What one module does beyond that is its [`Behaviour`].

mod http;
mod syslogd;
mod trackinglogd;
mod utility;
mod watchdog;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::catalogue::{self, Key};
use crate::conf::Conf;
use crate::error::{Error, Result};
use crate::home::{Home, Settings};
use crate::host::ROLE;
use crate::log::{Author, Logger};
use crate::memory;
use crate::texts::Language;
use crate::wire::{self, Lines};

pub(crate) use trackinglogd::{good_line, is_good_line, log_file as tracking_log_file};

/// How often a process looks whether its installation is still there.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Connections or packets taken in a row before anything else is looked at.
const BURST: usize = 256;
const MEBIBYTE: u64 = 1024 * 1024;

/// What an order came to: a text to tell, or why it failed.
type Outcome = std::result::Result<String, String>;

/// What a behaviour may use.
#[derive(Debug)]
struct Context {
    home: Home,
    settings: Settings,
    language: Language,
    conf: Conf,
    key: Key,
    args: Vec<String>,
    log: Logger,
    /// The line to the host process, where there is one.
    channel: Option<Lines>,
}

impl Context {
    fn tell(&mut self, fields: &[&str]) {
        if let Some(channel) = &mut self.channel {
            channel.send(&wire::join(fields));
        }
    }

    fn setting(&self, attribute: &str, default: i64) -> i64 {
        self.conf.number(&self.key.instance, &self.key.module, attribute, default)
    }

    fn port(&self, attribute: &str, default: u16) -> u16 {
        u16::try_from(self.setting(attribute, i64::from(default))).unwrap_or(default)
    }
}

/// What makes one module differ from the others.
trait Behaviour {
    /// Where it listens, in the order that `connection` and `packet` count them.
    fn ports(&self, _: &Context) -> Vec<(Protocol, u16)> {
        Vec::new()
    }
    fn start(&mut self, _: &mut Context) {}
    fn connection(&mut self, _: &Context, _port: usize, _: TcpStream) {}
    fn packet(&mut self, _: &Context, _packet: &[u8], _socket: &UdpSocket, _from: SocketAddr) {}
    /// When it wants to be called next.
    fn due(&self) -> Option<Instant> {
        None
    }
    fn tick(&mut self, _: &mut Context) {}
    /// What the host process says. `None` when it is nothing for this module.
    fn hear(&mut self, _: &mut Context, _fields: &[String]) -> Option<Outcome> {
        None
    }
    fn reloaded(&mut self, _: &Context) {}
    fn stop(&mut self, _: &mut Context) {}
    /// It has done its work; the exit code.
    fn finished(&self) -> Option<u8> {
        None
    }
}

/// A module of which nothing is known but that it runs.
struct Plain;
impl Behaviour for Plain {}

/// Keeps the connection statistics: takes what the mta sends and never answers.
struct Stat;
impl Behaviour for Stat {
    fn ports(&self, cx: &Context) -> Vec<(Protocol, u16)> {
        let port = cx.port("port", 7777);
        vec![(Protocol::Udp, port), (Protocol::Tcp, port)]
    }
}

/// Reads the bounce mailbox each `popMailPeriodSec` and says so.
struct InMail {
    due: Option<Instant>,
    period: Duration,
    silent: bool,
}

impl InMail {
    fn new(cx: &Context) -> Self {
        let seconds = u64::try_from(cx.setting("popMailPeriodSec", 300)).unwrap_or(300);
        let period = cx.settings.period("inMailPeriodMs", seconds * 1000).unwrap_or(Duration::MAX);
        Self { due: None, period, silent: cx.settings.lists("silent", "inMail") }
    }
}

impl Behaviour for InMail {
    fn start(&mut self, _: &mut Context) {
        self.due = (!self.silent).then(|| Instant::now().checked_add(self.period)).flatten();
    }
    fn due(&self) -> Option<Instant> {
        self.due
    }
    fn tick(&mut self, cx: &mut Context) {
        cx.log.write("info", "log", "Bounce mailbox read: 0 messages");
        self.due = Instant::now().checked_add(self.period);
    }
}

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// A place to listen at. It is tried again each second while it is in use.
#[derive(Debug)]
struct Port {
    protocol: Protocol,
    address: SocketAddr,
    socket: Option<Socket>,
    /// Told to lose it.
    closed: bool,
}

impl Port {
    fn open(&mut self) -> io::Result<()> {
        if self.closed || self.socket.is_some() {
            return Ok(());
        }
        self.socket = Some(match self.protocol {
            Protocol::Tcp => {
                let listener = TcpListener::bind(self.address)?;
                listener.set_nonblocking(true)?;
                Socket::Tcp(listener)
            }
            Protocol::Udp => {
                let socket = UdpSocket::bind(self.address)?;
                socket.set_nonblocking(true)?;
                // As much as one may have: a burst of log packets must not be dropped by the kernel.
                if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 16 << 20).is_err() {
                    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 16 << 20).ok();
                }
                Socket::Udp(socket)
            }
        });
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(|socket| match socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Udp(socket) => socket.as_fd(),
        })
    }
}

/// What a fault keeps.
#[derive(Debug, Default)]
struct Ballast {
    memory: Vec<Vec<u8>>,
    descriptors: Vec<File>,
    zombies: Vec<Child>,
}

/// Runs the module that `args` name, as the product's command lines do.
///
/// # Errors
/// When the settings cannot be read or the machine has no socket or signal to give.
pub(crate) fn run(home: Home, args: Vec<String>, channel: Option<UnixStream>, managed: bool) -> Result<ExitCode> {
    let key = Key::of_args(&args).ok_or_else(|| Error::Usage("which module?".to_owned()))?;
    let here = |source: io::Error| Error::io("signals", source);
    if managed {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|source| Error::io("prctl", source))?;
        rustix::process::setsid().ok();
    }
    let (asked_to_end, signals) = UnixStream::pair().map_err(here)?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, signals.try_clone().map_err(here)?).map_err(here)?;
    }
    let mut asked_to_end = Lines::new(asked_to_end).map_err(here)?;

    let settings = Settings::read(&home)?;
    let conf = Conf::read(&home.conf());
    let pid = std::process::id();
    let trace =
        args.iter().find_map(|arg| arg.strip_prefix("-tracefile:")).map(|name| name.split('@').next().unwrap_or(name));
    let log = trace.filter(|name| !name.is_empty()).unwrap_or(&key.module).to_owned();
    let author = Author { instance: key.instance.clone(), log, pid, tid: pid, form: settings.log_form() };
    let log = Logger::new(author, settings.syslogd_port()).map_err(|source| Error::io("UDP", source))?;
    let channel = channel.map(Lines::new).transpose().map_err(here)?;
    let problem = conf.as_ref().err().map(ToString::to_string);
    let language = settings.language();
    let mut cx = Context { home, settings, language, conf: conf.unwrap_or_default(), key, args, log, channel };

    let mut behaviour = behaviour(&cx);
    let mut ports = listen(&cx, behaviour.as_ref());
    if let Some(problem) = problem {
        cx.log.write("error", "log", &problem);
    }
    cx.log.write("info", "log", &cx.language.starting(&cx.key.to_string(), pid));
    behaviour.start(&mut cx);
    if cx.key.module != catalogue::WATCHDOG {
        cx.tell(&["ready"]);
    }
    let code = serve(&mut cx, behaviour.as_mut(), &mut ports, &mut asked_to_end);
    behaviour.stop(&mut cx);
    if code.is_none() {
        cx.log.write("info", "log", &cx.language.stopping(&cx.key.to_string(), pid));
        drain(&cx, behaviour.as_mut(), &ports, usize::MAX);
    }
    Ok(ExitCode::from(code.unwrap_or(0)))
}

fn behaviour(cx: &Context) -> Box<dyn Behaviour> {
    match cx.key.module.as_str() {
        catalogue::WATCHDOG => Box::new(watchdog::Watchdog::new()),
        catalogue::SYSLOGD => Box::new(syslogd::Syslogd::new(cx)),
        "web" => Box::new(http::Web::new(cx)),
        "pipelined" => Box::new(http::Pipelined::new(cx)),
        "stat" => Box::new(Stat),
        "inMail" => Box::new(InMail::new(cx)),
        "trackinglogd" => Box::new(trackinglogd::Trackinglogd::new(cx)),
        name if catalogue::find(name).is_some() || catalogue::parent_of(name).is_some() => Box::new(Plain),
        _ => Box::new(utility::Utility::new(cx)),
    }
}

fn listen(cx: &Context, behaviour: &dyn Behaviour) -> Vec<Port> {
    let mut ports = Vec::new();
    for (protocol, number) in behaviour.ports(cx) {
        let mut port = Port { protocol, address: (Ipv4Addr::LOCALHOST, number).into(), socket: None, closed: false };
        if let Err(error) = port.open() {
            cx.log.write("error", "log", &format!("Unable to listen on port {number}: {error}"));
        }
        ports.push(port);
    }
    ports
}

/// Returns when it has to end: with the exit code of its own, or without one when it was asked to.
fn serve(cx: &mut Context, behaviour: &mut dyn Behaviour, ports: &mut [Port], asked_to_end: &mut Lines) -> Option<u8> {
    let silent = cx.settings.lists("silent", &cx.key.module);
    let period = cx.settings.period("logPeriodMs", 10_000).filter(|_| !silent);
    let mut next_log = period.map(|period| Instant::now() + period);
    let mut heartbeat = Instant::now() + HEARTBEAT;
    let mut ballast = Ballast::default();
    loop {
        if let Some(code) = behaviour.finished() {
            return Some(code);
        }
        wait(cx, ports, asked_to_end, [Some(heartbeat), next_log, behaviour.due()].into_iter().flatten().min());
        if asked_to_end.drain() {
            return None;
        }
        drain(cx, behaviour, ports, BURST);
        for line in cx.channel.as_mut().map(Lines::receive).unwrap_or_default() {
            hear(cx, behaviour, ports, &mut ballast, &wire::split(&line));
        }
        if cx.channel.as_ref().is_some_and(|channel| channel.closed) {
            // The host process is gone, and this machine with it.
            return None;
        }
        let now = Instant::now();
        if behaviour.due().is_some_and(|due| due <= now) {
            behaviour.tick(cx);
        }
        if next_log.is_some_and(|due| due <= now) {
            next_log = period.map(|period| now + period);
            cx.log.write("info", "log", &cx.language.running());
            if cx.args.iter().any(|arg| arg == "-verbose" || arg == "-tracefilter:*") {
                cx.log.write("info", "log", "Running (trace)");
            }
        }
        if now >= heartbeat {
            heartbeat = now + HEARTBEAT;
            if !cx.home.alive() {
                return Some(0);
            }
            for port in ports.iter_mut() {
                port.open().ok();
            }
        }
    }
}

fn wait(cx: &Context, ports: &[Port], asked_to_end: &Lines, until: Option<Instant>) {
    let channel = cx.channel.as_ref().map(AsFd::as_fd);
    let mut fds: Vec<PollFd<'_>> = ports
        .iter()
        .filter_map(Port::as_fd)
        .chain(channel)
        .chain([asked_to_end.as_fd()])
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = rest.map(|rest| Timespec {
        tv_sec: i64::try_from(rest.as_secs()).unwrap_or(1),
        tv_nsec: i64::from(rest.subsec_nanos()),
    });
    // What is ready is found by looking.
    poll(&mut fds, timeout.as_ref()).ok();
}

/// Takes what waits at the ports.
fn drain(cx: &Context, behaviour: &mut dyn Behaviour, ports: &[Port], burst: usize) {
    let mut buffer = vec![0; 65_536];
    for (index, port) in ports.iter().enumerate() {
        for _ in 0..burst {
            match &port.socket {
                Some(Socket::Tcp(listener)) => match listener.accept() {
                    Ok((stream, _)) => behaviour.connection(cx, index, stream),
                    Err(_) => break,
                },
                Some(Socket::Udp(socket)) => match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => behaviour.packet(cx, buffer.get(..length).unwrap_or_default(), socket, from),
                    Err(_) => break,
                },
                None => break,
            }
        }
    }
}

fn hear(cx: &mut Context, behaviour: &mut dyn Behaviour, ports: &mut [Port], ballast: &mut Ballast, fields: &[String]) {
    let outcome = match fields.first().map_or("", String::as_str) {
        "reload" if cx.key.module != catalogue::WATCHDOG => {
            // A broken file leaves the last good one in force; the watchdog logs it.
            if let Ok(conf) = Conf::read(&cx.home.conf()) {
                cx.conf = conf;
            }
            behaviour.reloaded(cx);
            None
        }
        "fault" => {
            let rest = fields.get(1..).unwrap_or_default();
            let outcome = behaviour.hear(cx, rest);
            Some(outcome.unwrap_or_else(|| suffer(cx, ports, ballast, rest)))
        }
        _ => behaviour.hear(cx, fields),
    };
    match outcome {
        Some(Ok(text)) => cx.tell(&["done", &text]),
        Some(Err(text)) => cx.tell(&["failed", &text]),
        None => {}
    }
}

/// The faults that every module can be told to have.
fn suffer(cx: &Context, ports: &mut [Port], ballast: &mut Ballast, fields: &[String]) -> Outcome {
    let failed = |error: io::Error| error.to_string();
    let name = fields.first().map_or("", String::as_str);
    let number = || -> std::result::Result<u64, String> {
        fields.get(1).and_then(|text| text.parse().ok()).ok_or_else(|| format!("{name} needs a number"))
    };
    match name {
        "leak" => {
            let target = number()? * MEBIBYTE;
            ballast.memory.clear();
            let now = || memory::resident(std::process::id()).unwrap_or(u64::MAX);
            while now() < target {
                // Not zero: the pages have to be there.
                ballast.memory.push(vec![1; usize::try_from(MEBIBYTE).unwrap_or_default()]);
            }
            Ok(now().to_string())
        }
        "fds" => {
            let count = usize::try_from(number()?).map_err(|error| error.to_string())?;
            ballast.descriptors.truncate(count);
            while ballast.descriptors.len() < count {
                ballast.descriptors.push(File::open("/dev/null").map_err(failed)?);
            }
            Ok(String::new())
        }
        "nofile" => {
            let current = Some(number()?);
            let maximum = getrlimit(Resource::Nofile).maximum;
            setrlimit(Resource::Nofile, Rlimit { current, maximum }).map_err(|error| error.to_string())?;
            Ok(String::new())
        }
        "zombie-child" => {
            let count = usize::try_from(number()?).map_err(|error| error.to_string())?;
            while let Some(mut child) = (ballast.zombies.len() > count).then(|| ballast.zombies.pop()).flatten() {
                child.wait().map_err(failed)?;
            }
            while ballast.zombies.len() < count {
                ballast.zombies.push(zombie(cx).map_err(failed)?);
            }
            let pids: Vec<String> = ballast.zombies.iter().map(|child| child.id().to_string()).collect();
            Ok(pids.join(" "))
        }
        "close-port" => {
            for port in ports.iter_mut() {
                port.closed = true;
                port.socket = None;
            }
            Ok(String::new())
        }
        "open-port" => {
            for port in ports.iter_mut() {
                port.closed = false;
                port.open().map_err(|error| format!("{}: {error}", port.address))?;
            }
            Ok(String::new())
        }
        other => Err(format!("{} cannot '{other}'", cx.key)),
    }
}

/// A child that has ended and is not waited for.
fn zombie(cx: &Context) -> io::Result<Child> {
    let key = cx.key.child().unwrap_or_else(|| cx.key.clone());
    let child = Command::new(cx.home.nlserver())
        .arg0("nlserver")
        .args(catalogue::argv(&cx.conf, &key, &[]).into_iter().skip(1))
        .env(ROLE, "end")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let pid = rustix::process::Pid::from_child(&child);
    let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended)?;
    Ok(child)
}
