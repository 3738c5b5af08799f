//! `bench-host`: many idle processes with the product's names and arguments beside others, for measurements. They cost
//! no processor time: each waits for the end of one shared pipe. No host process is involved.

use std::io::{PipeReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use memmap2::{Mmap, MmapMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::catalogue::{self, Key, RESIDENTS, Scope};
use crate::command::print;
use crate::conf::Conf;
use crate::create::{Plan, create, link_or_copy};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::host::ROLE;
use crate::wire::Lines;

/// Threads and extra mappings of an idle process, set in its environment.
const SIZE: &str = "CAMPAIGN_SIM_IDLE";
/// Processes an instance has on such a host, about.
const PER_INSTANCE: usize = 55;
/// What else runs on the machine: name and arguments.
const OTHERS: &[(&str, &[&str])] = &[
    ("postgres", &["-D", "/var/lib/postgresql/data"]),
    ("httpd", &["-k", "start", "-DFOREGROUND"]),
    ("java", &["-Xmx512m", "-jar", "/opt/agent/agent.jar"]),
    ("sshd", &["-D"]),
    ("crond", &["-n"]),
    ("kworker-like", &[]),
];

/// How large the host is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) processes: usize,
    pub(crate) others: usize,
    pub(crate) threads: usize,
    pub(crate) mappings: usize,
}

/// The life of an idle process. Says one byte when it has its threads and mappings, and waits for the end of its input.
pub(crate) fn idle() {
    let size = std::env::var(SIZE).unwrap_or_default();
    let mut numbers = size.split(',').map(|text| text.parse::<usize>().unwrap_or(0));
    let (threads, mappings) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(0));
    for _ in 1..threads {
        let sleep = || loop {
            std::thread::park();
        };
        std::thread::Builder::new().stack_size(16 * 1024).spawn(sleep).ok();
    }
    // Neighbours with the same rights would become one mapping: they take turns.
    let mut writable: Vec<MmapMut> = Vec::new();
    let mut readable: Vec<Mmap> = Vec::new();
    for index in 0..mappings {
        let Ok(mapping) = MmapMut::map_anon(4096) else {
            continue;
        };
        if index % 2 == 0 {
            writable.push(mapping);
        } else {
            readable.extend(mapping.make_read_only());
        }
    }
    let mut output = std::io::stdout();
    output.write_all(b".").and_then(|()| output.flush()).ok();
    std::io::stdin().read_exact(&mut [0; 1]).ok();
}

/// Starts the host, says so, and ends it when standard input ends, at SIGTERM, or when the installation is gone.
///
/// # Errors
/// When the installation cannot be made or a process cannot be started.
pub(crate) fn run(home: &Home, size: Size) -> Result<()> {
    let here = |source| Error::io(home.root(), source);
    if !home.conf().is_dir() {
        let instances = (1..=size.processes.div_ceil(PER_INSTANCE)).map(|number| format!("inst{number:02}")).collect();
        let ports = Plan { web: 0, control: 0, stat: 0, syslog: 0, pipelined: 0, ..Plan::default() };
        create(home, &Plan { instances, ..ports })?;
    }
    let (asked_to_end, signals) = UnixStream::pair().map_err(here)?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, signals.try_clone().map_err(here)?).map_err(here)?;
    }
    let asked_to_end = Lines::new(asked_to_end).map_err(here)?;

    let (stay, end) = std::io::pipe().map_err(here)?;
    let (mut ready, tell) = std::io::pipe().map_err(here)?;
    let mut children = Vec::new();
    let conf = Conf::read(&home.conf())?;
    let load = Load { stay, tell, size };
    for key in modules(&conf, size.processes) {
        let argv = catalogue::argv(&conf, &key, &[]);
        children.push(load.start(&home.nlserver(), "nlserver", argv.get(1..).unwrap_or_default())?);
    }
    if size.others > 0 {
        let folder = home.root().join("other");
        std::fs::create_dir_all(&folder).map_err(here)?;
        for (name, _) in OTHERS {
            link_or_copy(&home.simulator(), &folder.join(name))?;
        }
        for (name, args) in OTHERS.iter().cycle().take(size.others) {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            children.push(load.start(&folder.join(name), name, &args)?);
        }
    }
    drop(load);
    // All have said so, or have ended.
    let mut said = vec![0; children.len()];
    ready.read_exact(&mut said).map_err(here)?;
    print(&format!("ready processes={} others={}\n", size.processes, size.others));
    stay_until_told(home, &asked_to_end);
    drop(end);
    for mut child in children {
        child.wait().map_err(here)?;
    }
    Ok(())
}

struct Load {
    stay: PipeReader,
    tell: std::io::PipeWriter,
    size: Size,
}

impl Load {
    fn start(&self, program: &Path, argv0: &str, args: &[String]) -> Result<Child> {
        let here = |source| Error::io(program, source);
        Command::new(program)
            .arg0(argv0)
            .args(args)
            .env_clear()
            // One arena: threads that never allocate need none of their own.
            .env("MALLOC_ARENA_MAX", "1")
            .env(ROLE, "idle")
            .env(SIZE, format!("{},{}", self.size.threads, self.size.mappings))
            .current_dir("/")
            .stdin(self.stay.try_clone().map_err(here)?)
            .stdout(self.tell.try_clone().map_err(here)?)
            .stderr(Stdio::null())
            .spawn()
            .map_err(here)
    }
}

fn stay_until_told(home: &Home, asked_to_end: &Lines) {
    let input = std::io::stdin();
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    loop {
        let mut fds = [PollFd::new(&input, PollFlags::IN), PollFd::new(asked_to_end, PollFlags::IN)];
        let told = poll(&mut fds, Some(&second));
        let [stdin, signal] = fds;
        if !signal.revents().is_empty() || !home.alive() {
            return;
        }
        // What is written there means nothing; its end does.
        if told.is_ok() && !stdin.revents().is_empty() && matches!((&input).read(&mut [0; 64]), Ok(0) | Err(_)) {
            return;
        }
    }
}

/// Which modules run on a host of `count` processes: the shared ones, each instance's, and children for the rest.
fn modules(conf: &Conf, count: usize) -> Vec<Key> {
    let instances = conf.instances();
    let mut keys = Vec::new();
    for resident in RESIDENTS.iter().filter(|resident| resident.scope != Scope::Instance) {
        keys.push(Key::new(resident.name, "default"));
    }
    for instance in &instances {
        let own = RESIDENTS.iter().filter(|resident| resident.scope == Scope::Instance);
        keys.extend(own.map(|resident| Key::new(resident.name, instance)));
    }
    let children = RESIDENTS.iter().filter_map(|resident| resident.child);
    let rest: Vec<Key> =
        instances.iter().flat_map(|instance| children.clone().map(move |child| Key::new(child, instance))).collect();
    let missing = count.saturating_sub(keys.len());
    keys.extend(rest.iter().cycle().take(missing).cloned());
    keys.truncate(count);
    keys
}
