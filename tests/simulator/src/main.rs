//! The simulated Campaign host: the stand-in for the product in tests and in the demo, never installed. One executable:
//! under the file name `nlserver` it is the product's command and its modules, otherwise the tool that lays an
//! installation out. It shares no code with the exporter, so that each can be checked against the other.

#![forbid(unsafe_code)]

mod bench;
mod catalogue;
mod client;
mod clock;
mod command;
mod conf;
mod create;
mod error;
mod fault;
mod home;
mod host;
mod log;
mod memory;
mod module;
mod stranger;
mod texts;
mod wire;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use error::{Error, Result};
use home::Home;

const USAGE: &str = "campaign-simulator create HOME [--instances a,b] [--autostart mta,stat] [--ports 0|FIRST-END] [--web-port N] \
[--control-port N] [--stat-port N] [--syslog-port N] [--pipelined-port N] [--var-dir PATH] [--owner-pid PID] [--set KEY=VALUE]…
campaign-simulator fault HOME FAULT …
campaign-simulator stranger UID|- COMMAND_LINE…
campaign-simulator bench-host HOME [--processes N] [--other M] [--threads T] [--mappings K]
HOME/bin/nlserver watchdog -svc -noconsole | start | stop | restart | pdump | monitor -missing | config -reload | shutdown | sim FAULT …
";

fn main() -> ExitCode {
    // The first thing of all: an idle process is to stay as small as it can be.
    let role = std::env::var(host::ROLE).unwrap_or_default();
    match role.as_str() {
        "idle" => {
            bench::idle();
            return ExitCode::SUCCESS;
        }
        "end" => return ExitCode::SUCCESS,
        "stranger" => {
            stranger::live();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match dispatch(&role, args) {
        Ok(code) => code,
        Err(error) => {
            // The reader may be gone.
            use std::io::Write as _;
            writeln!(std::io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn dispatch(role: &str, args: Vec<String>) -> Result<ExitCode> {
    let exe = std::env::current_exe().map_err(|source| Error::io("/proc/self/exe", source))?;
    if exe.file_name().is_some_and(|name| name == "nlserver") {
        let home = Home::of_executable()?;
        if role == "module" {
            let input = std::io::stdin().as_fd().try_clone_to_owned().map_err(|source| Error::io("stdin", source))?;
            return module::run(home, args, Some(UnixStream::from(input)), true);
        }
        return command::nlserver(home, args);
    }
    let rest = args.get(3..).unwrap_or_default();
    match (args.get(1).map(String::as_str), args.get(2)) {
        (Some("create"), Some(home)) => {
            command::print(&create::create(&Home::at(Path::new(home))?, &create::plan(rest)?)?);
        }
        (Some("host"), Some(home)) => host::run(Home::at(Path::new(home))?)?,
        (Some("fault"), Some(home)) => {
            let words: Vec<&str> = rest.iter().map(String::as_str).collect();
            command::print(&fault::run(&Home::at(Path::new(home))?, &words)?);
        }
        (Some("stranger"), Some(uid)) => stranger::run(uid, rest)?,
        (Some("bench-host"), Some(home)) => bench::run(&Home::at(Path::new(home))?, bench_size(rest)?)?,
        _ => return Err(Error::Usage(USAGE.to_owned())),
    }
    Ok(ExitCode::SUCCESS)
}

fn bench_size(args: &[String]) -> Result<bench::Size> {
    let mut size = bench::Size { processes: 110, others: 0, threads: 1, mappings: 0 };
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().and_then(|text| text.parse().ok());
        let value = value.ok_or_else(|| Error::Usage(format!("{option} needs a number")))?;
        match option.as_str() {
            "--processes" => size.processes = value,
            "--other" => size.others = value,
            "--threads" => size.threads = value,
            "--mappings" => size.mappings = value,
            other => return Err(Error::Usage(format!("bench-host does not know {other}"))),
        }
    }
    Ok(size)
}
