//! What the simulator itself reads of `/proc`, and the shared memory segments it makes.

use std::fs;
use std::process::{Command, Stdio};

/// The fields of `/proc/PID/stat` after the name: the first is the state.
pub(crate) fn stat_fields(pid: &str) -> Option<Vec<String>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// When a process started, in clock ticks since the machine did; `None` when there is none, or a dead one.
pub(crate) fn start_time(pid: &str) -> Option<String> {
    let fields = stat_fields(pid)?;
    (fields.first()? != "Z").then(|| fields.get(19).cloned()).flatten()
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

/// Makes a System V shared memory segment and returns its number. util-linux does it, as the call has no safe form.
pub(crate) fn create_segment(bytes: u64) -> Option<String> {
    let output = Command::new("ipcmk").args(["--shmem", &bytes.to_string()]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let id: String = text.chars().filter(char::is_ascii_digit).collect();
    (output.status.success() && !id.is_empty()).then_some(id)
}

/// Removes a segment; one that is gone already is ignored.
pub(crate) fn remove_segment(id: &str) {
    Command::new("ipcrm")
        .args(["--shmem-id", id])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok();
}
