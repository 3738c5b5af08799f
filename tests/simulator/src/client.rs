//! The commands' side of the control socket: finds the host process, starts it where it does not run, asks and waits.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Error, Result};
use crate::home::Home;
use crate::wire;

/// How long the host process may take to appear.
const APPEARS_WITHIN: Duration = Duration::from_secs(60);

/// A connection to the host process; `None` when none runs.
pub(crate) fn connect(home: &Home) -> Option<UnixStream> {
    wire::connect(&home.run()).ok()
}

/// A connection to the host process, which is started where it does not run.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn connect_or_start(home: &Home) -> Result<UnixStream> {
    let deadline = Instant::now() + APPEARS_WITHIN;
    loop {
        match wire::connect(&home.run()) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => return Err(Error::io(home.run(), error)),
            Err(_) => start_host(home)?,
        }
    }
}

// The host process says "ready" on its standard output when it listens; it ends without a word when another one was
// quicker, and then there is one to connect to.
fn start_host(home: &Home) -> Result<()> {
    let errors = home.run().join("errors");
    let file =
        OpenOptions::new().create(true).append(true).open(&errors).map_err(|source| Error::io(&errors, source))?;
    let program = home.simulator();
    let mut child = Command::new(&program)
        .arg0("campaign-simulator")
        .args(["host".as_ref(), home.root().as_os_str()])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .map_err(|source| Error::io(&program, source))?;
    let mut word = String::new();
    if let Some(output) = child.stdout.take() {
        output.take(6).read_to_string(&mut word).map_err(|source| Error::io(&program, source))?;
    }
    if word != "ready\n" {
        let status = child.wait().map_err(|source| Error::io(&program, source))?;
        if !status.success() {
            return Err(Error::Refused(format!("the host process ended with {status}: see {}", errors.display())));
        }
        // The quicker one holds the lock already but may not listen yet.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Asks the host process, starting it where it does not run, and returns its answer.
///
/// # Errors
/// What it refused, or that it could not be reached.
pub(crate) fn ask<T: AsRef<str>>(home: &Home, fields: &[T]) -> Result<String> {
    for _ in 0..3 {
        if let Some(answer) = exchange(home, connect_or_start(home)?, fields)? {
            return Ok(answer);
        }
        // No answer: it ended for lack of work meanwhile.
    }
    Err(Error::Refused("the host process does not answer".to_owned()))
}

/// Asks the host process if one runs.
///
/// # Errors
/// What it refused.
pub(crate) fn ask_if_running<T: AsRef<str>>(home: &Home, fields: &[T]) -> Result<Option<String>> {
    match connect(home) {
        Some(stream) => exchange(home, stream, fields),
        None => Ok(None),
    }
}

fn exchange<T: AsRef<str>>(home: &Home, mut stream: UnixStream, fields: &[T]) -> Result<Option<String>> {
    let mut answer = String::new();
    let sent = stream.write_all(format!("{}\n", wire::join(fields)).as_bytes());
    match sent.and_then(|()| stream.read_to_string(&mut answer)) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::io(home.run(), error)),
    }
    match answer.split_once('\n') {
        Some(("ok", text)) => Ok(Some(text.to_owned())),
        Some(("error", text)) => Err(Error::Refused(text.trim_end().to_owned())),
        _ => Ok(None),
    }
}

/// Stops everything and returns when the host process too is gone. False when none ran.
///
/// # Errors
/// When it could not be reached.
pub(crate) fn shut_down(home: &Home) -> Result<bool> {
    let Some(text) = ask_if_running(home, &["pid"])? else {
        return Ok(false);
    };
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Error::Refused(format!("the host process calls itself {text}")))?;
    // Opened before it is asked to end: the number cannot come to mean another process.
    let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|source| Error::io("pidfd", source))?;
    ask_if_running(home, &["shutdown"])?;
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&limit)) {
        Ok(0) => Err(Error::Refused(format!("the host process {text} has not ended within 60 s"))),
        Ok(_) => Ok(true),
        Err(source) => Err(Error::io("pidfd", source)),
    }
}
