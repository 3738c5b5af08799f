//! Commands that are expected to end by themselves, each within a limit.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

/// Runs `command` until it ends.
///
/// # Panics
/// When it can't be run, or takes longer than five minutes.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Output {
    try_run(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs `command` until it ends.
///
/// # Errors
/// What kept it from being run, or that it took longer than five minutes, as text.
pub(crate) fn try_run(command: &mut Command) -> Result<Output, String> {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = piped.spawn().map_err(|error| error.to_string())?;
    let pid = child.id();
    let (tell, ended) = mpsc::channel();
    // The receiver is gone when the limit has passed.
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let output = ended.recv_timeout(LIMIT).map_err(|_| {
        signal_pid(pid, "KILL");
        format!("it has not ended within {LIMIT:?}")
    })?;
    output.map_err(|error| error.to_string())
}

/// Sends `signal` (a name that kill(1) takes) to the process `pid`.
#[track_caller]
pub(crate) fn signal_pid(pid: u32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().expect("kill(1)");
    assert!(status.success(), "no signal {signal} to {pid}");
}
