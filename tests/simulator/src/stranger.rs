//! A process that only looks like a module: `nlserver mta -instance:prod` of another user, out of another folder, with
//! nothing of Campaign behind it. It ends with its starter's standard input.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::command::print;
use crate::create::link_or_copy;
use crate::error::{Error, Result};
use crate::host::ROLE;

/// Starts `args` (`nlserver mta -instance:prod`) as the user number `uid`, or as this one for `-`, from an executable of
/// that name in a folder of its own, prints its pid, and returns when standard input has ended and with it the process.
///
/// # Errors
/// When the process can't be started; another user than one's own needs root.
pub(crate) fn run(uid: &str, args: &[String]) -> Result<()> {
    let (name, rest) = args.split_first().ok_or_else(|| Error::Usage("which command line?".to_owned()))?;
    let exe = std::env::current_exe().map_err(|source| Error::io("/proc/self/exe", source))?;
    let folder = std::env::temp_dir().join(format!("stranger-{}", std::process::id()));
    let program = folder.join(name);
    let here = |source| Error::io(&folder, source);
    std::fs::create_dir(&folder).map_err(here)?;
    link_or_copy(&exe, &program)?;
    let mut command = Command::new(&program);
    command.arg0(name).args(rest).env(ROLE, "stranger").current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    if uid != "-" {
        command.uid(uid.parse().map_err(|_| Error::Usage(format!("'{uid}' is not a user id")))?);
    }
    let started = command.spawn().map_err(|source| Error::io(&program, source)).and_then(|mut child| {
        // It says one byte when it has its arguments.
        let output = child.stdout.as_mut();
        output.map(|output| output.read_exact(&mut [0])).transpose().map_err(|source| Error::io(&program, source))?;
        Ok(child)
    });
    std::fs::remove_dir_all(&folder).map_err(here)?;
    let mut child = started?;
    print(&format!("{}\n", child.id()));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map_err(|source| Error::io("stdin", source))?;
    drop(child.stdin.take());
    child.wait().map_err(|source| Error::io(&program, source))?;
    Ok(())
}

/// The life of such a process: it waits for the end of its input.
pub(crate) fn live() {
    print("r");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
}
