//! What an administrator types: `nlserver start|stop|restart|pdump|monitor|config|shutdown`, in the documented output
//! forms (facts.md, Processes), and a module typed by hand. Asks the host process; touches no process itself.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::ExitCode;

use crate::catalogue::{self, Key};
use crate::client;
use crate::clock::Utc;
use crate::conf::Conf;
use crate::error::{Error, Result};
use crate::fault;
use crate::home::Home;
use crate::memory;
use crate::module;
use crate::wire;

/// The first line of every command.
pub(crate) fn banner() -> String {
    let time = Utc::now().time_of_day();
    format!("{time} >   Application server for Adobe Campaign Classic (7.3 22.1 build 9359@a1b2c3d) of 14/11/2022\n")
}

/// Writes to standard output; a reader that is gone is ignored.
pub(crate) fn print(text: &str) {
    let mut output = std::io::stdout();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).ok();
}

/// Runs `nlserver ARGS…`.
///
/// # Errors
/// What was refused, or is no command.
pub(crate) fn nlserver(home: Home, args: Vec<String>) -> Result<ExitCode> {
    let rest: Vec<&str> = args.iter().skip(2).map(String::as_str).collect();
    let output = match args.get(1).map_or("", String::as_str) {
        "" | "-?" | "-h" => {
            return Err(Error::Usage("nlserver start|stop|restart|pdump|monitor|config|shutdown|MODULE …".to_owned()));
        }
        "start" if rest.is_empty() => start_all(&home)?,
        verb @ ("start" | "stop" | "restart") => {
            client::ask(&home, &[&[verb], rest.as_slice()].concat())?;
            String::new()
        }
        "pdump" => pdump(&home)?,
        "monitor" if rest == ["-missing"] => missing(&home)?,
        "monitor" => {
            return Err(Error::Usage("only `monitor -missing` is known: the full format is not public".to_owned()));
        }
        "config" if rest == ["-reload"] => client::ask_if_running(&home, &["reload"])?.unwrap_or_default(),
        "shutdown" => {
            client::shut_down(&home)?;
            String::new()
        }
        "sim" => {
            return fault::run(&home, &rest).map(|text| {
                print(&text);
                ExitCode::SUCCESS
            });
        }
        _ if rest.iter().any(|arg| matches!(*arg, "-version" | "-?" | "-h" | "-reload")) => {
            // With a module, these start nothing; for a while there is a process with such arguments.
            let millis = std::env::var("CAMPAIGN_SIM_DURATION_MS").ok().and_then(|text| text.parse().ok());
            std::thread::sleep(std::time::Duration::from_millis(millis.unwrap_or(0)));
            String::new()
        }
        _ if rest.iter().any(|arg| matches!(*arg, "-detach" | "-svc")) => {
            let mut order = vec!["launch".to_owned()];
            order.extend(args);
            client::ask(&home, &order)?
        }
        _ => return by_hand(home, args),
    };
    print(&(banner() + &output));
    Ok(ExitCode::SUCCESS)
}

fn start_all(home: &Home) -> Result<String> {
    client::ask(home, &["start", catalogue::WATCHDOG])?;
    // It may have run already, with some module missing.
    client::ask(home, &["unstop"])
}

/// What runs: module, pid, and whether it is alive.
pub(crate) fn running(home: &Home) -> Result<Vec<(String, u32)>> {
    let text = client::ask_if_running(home, &["list"])?.unwrap_or_default();
    let rows = text.lines().filter_map(|row| {
        let mut fields = row.split('\t');
        let (name, pid, state) = (fields.next()?, fields.next()?, fields.next()?);
        (state != "zombie").then_some((name.to_owned(), pid.parse().ok()?))
    });
    Ok(rows.collect())
}

fn pdump(home: &Home) -> Result<String> {
    let mut output = String::new();
    for (name, pid) in running(home)? {
        // One that has ended since is left out.
        let Some(bytes) = memory::resident(pid) else {
            continue;
        };
        // Writing to a string cannot fail.
        writeln!(output, "{name} ({pid}) - {} MB", megabytes(bytes)).ok();
    }
    Ok(if output.is_empty() { "No tasks\n".to_owned() } else { output })
}

/// `15.6`: tenths of a mebibyte, rounded down.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn missing(home: &Home) -> Result<String> {
    let conf = Conf::read(&home.conf())?;
    let running = running(home)?;
    let configured = catalogue::configured(&conf).into_iter().map(|(_, key)| key.to_string());
    let absent = configured.filter(|name| !running.iter().any(|(other, _)| other == name));
    Ok(absent.map(|name| name + "\n").collect())
}

/// A module or a utility typed without `-detach`: this process becomes it, in the foreground.
fn by_hand(home: Home, args: Vec<String>) -> Result<ExitCode> {
    let key = Key::of_args(&args).ok_or_else(|| Error::Usage("which module?".to_owned()))?;
    let pid = std::process::id().to_string();
    let order = wire::join(&["register", &pid, &key.module, &key.instance]) + "\n";
    for _ in 0..3 {
        let mut stream = client::connect_or_start(&home)?;
        let mut word = [0; b"registered\n".len()];
        if stream.write_all(order.as_bytes()).and_then(|()| stream.read_exact(&mut word)).is_ok() {
            return module::run(home, args, Some(stream), false);
        }
    }
    Err(Error::Refused("the host process does not answer".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_documented_one() {
        let line = banner();
        let (time, rest) = line.split_at(8);
        assert!(time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'));
        assert!(rest.starts_with(" >   Application server for Adobe Campaign Classic (7."));
        assert!(rest.ends_with(") of 14/11/2022\n"));
    }

    #[test]
    fn memory_is_shown_in_tenths_of_a_megabyte() {
        assert_eq!(megabytes(16_357_786), "15.6");
        assert_eq!(megabytes(0), "0.0");
    }
}
