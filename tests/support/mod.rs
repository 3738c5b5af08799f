//! Real processes for the tests and the demo: the simulated host, the exporter, Prometheus, Alertmanager and a
//! receiver of notifications. Each ends when its value is dropped.

#![allow(dead_code, reason = "the demo uses a part of what the tests do")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support: a failure ends the test")]

pub(crate) mod browser;
mod command;
pub(crate) mod mailbox;
mod ports;
pub(crate) mod receiver;
pub(crate) mod relay;
pub(crate) mod simulator;
pub(crate) mod stack;

use std::fmt::Debug;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) use command::{run, signal_pid, try_run};
pub(crate) use ports::{free_ports, ports_of_host};

/// How often [`wait_for`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long an answer may take.
const GET_LIMIT: Duration = Duration::from_secs(60);

/// How long a process may take to end: longer than the exporter itself waits, which is half a minute.
const END_LIMIT: Duration = Duration::from_secs(120);

/// Waits until `look` finds what is waited for.
///
/// # Panics
/// When that takes longer than `limit`; the message tells what the last look saw.
#[track_caller]
pub(crate) fn wait_for<T, E: Debug>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= deadline => panic!("no {what} within {limit:?}; last seen: {seen:?}"),
            Err(_) => sleep(LOOK_EVERY),
        }
    }
}

/// The folder that holds the binaries of this build.
pub(crate) fn build_folder() -> PathBuf {
    let mut folder = std::env::current_exe().expect("the path of this executable");
    folder.pop();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    folder
}

/// A binary of the workspace, built beside this one.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = build_folder().join(name);
    assert!(path.exists(), "{} is not there; build it first: cargo build --workspace", path.display());
    path
}

/// A program of a Debian package.
///
/// # Panics
/// When it is not installed: tests never skip what they need.
#[track_caller]
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed; `make test` installs it (Debian package {package})"))
}

/// One such port of the loopback interface that nobody listens at, for TCP and UDP.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| {
        let here = (Ipv4Addr::LOCALHOST, *port);
        TcpListener::bind(here).is_ok() && UdpSocket::bind(here).is_ok()
    };
    (0..10_000).map(|_| free_ports(1).start).find(is_free).expect("a free port")
}

/// The body of `GET url` with query `parameters`.
///
/// # Errors
/// Whatever kept it from being a 200, as text.
pub(crate) fn get(url: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(GET_LIMIT)).build().into();
    let mut response =
        agent.get(url).query_pairs(parameters.iter().copied()).call().map_err(|error| format!("{url}: {error}"))?;
    response.body_mut().with_config().limit(64 << 20).read_to_string().map_err(|error| format!("{url}: {error}"))
}

/// The same as JSON.
///
/// # Errors
/// Whatever kept it from being JSON, as text.
pub(crate) fn get_json(url: &str, parameters: &[(&str, &str)]) -> Result<serde_json::Value, String> {
    serde_json::from_str(&get(url, parameters)?).map_err(|error| format!("{url}: {error}"))
}

/// A process of ours whose output goes to a file; killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command`, with its output in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let errors = file.try_clone().expect("a second handle of the log");
        let command = command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub(crate) fn output(&self) -> String {
        let mut bytes = Vec::new();
        File::open(&self.log).and_then(|mut file| file.read_to_end(&mut bytes)).expect("the log of a process");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Sends `signal` (a name that kill(1) takes) to it.
    pub(crate) fn signal(&self, signal: &str) {
        signal_pid(self.pid(), signal);
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        wait_for("end of a terminated process", END_LIMIT, || self.ended().ok_or("it still runs"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
