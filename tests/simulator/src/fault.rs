//! The simulated host's misbehaviour: `nlserver sim FAULT …`, the same as `campaign-simulator fault HOME FAULT …`.
//! The README lists the faults. What belongs to a process goes to the host process; what is a file is made here.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::catalogue::{self, Key};
use crate::client;
use crate::command;
use crate::conf::Conf;
use crate::error::{Error, Result};
use crate::home::{Home, Settings};
use crate::log::{Author, Logger, Message};
use crate::memory;
use crate::module;

/// Size in bytes of a segment that `sim shm` makes.
const SEGMENT: u64 = 4096;

/// Carries out one fault and returns what there is to tell.
///
/// # Errors
/// When it is not known, or could not be carried out.
pub(crate) fn run(home: &Home, args: &[&str]) -> Result<String> {
    let (name, rest) = args.split_first().ok_or_else(|| Error::Usage("which fault? See the README".to_owned()))?;
    let first = rest.first().copied().unwrap_or_default();
    let second = rest.get(1).copied().unwrap_or_default();
    match *name {
        "die" | "hang" | "resume" | "zombie" | "reap" | "hold" | "unhold" | "wait" | "children" => {
            client::ask(home, args)
        }
        "leak" | "fds" | "nofile" | "zombie-child" | "close-port" | "open-port" => {
            let order = [&["fault", first, *name], rest.get(1..).unwrap_or_default()].concat();
            client::ask(home, &order).map(|text| if text.is_empty() { text } else { text + "\n" })
        }
        "written" => {
            let text = client::ask(home, &["fault", catalogue::SYSLOGD, "written"])?;
            Ok(text.split(';').filter(|row| !row.is_empty()).map(|row| row.to_owned() + "\n").collect())
        }
        "pid" => {
            let name = key(home, first)?.to_string();
            let pids = command::running(home)?.into_iter().filter(|(other, _)| *other == name);
            Ok(pids.map(|(_, pid)| format!("{pid}\n")).collect())
        }
        "log" => log(home, rest),
        "xtk-session" => {
            let text = Settings::read(home)?.language().session_error();
            log(home, &["web", "error", &text, "--count", if first.is_empty() { "1" } else { first }])
        }
        "cross-device" => {
            let text = Settings::read(home)?.language().cross_device();
            log(home, &[if first.is_empty() { "web" } else { first }, "error", &text])
        }
        "login-faults" => {
            let count = if first.is_empty() { "1" } else { first };
            for text in Settings::read(home)?.language().login_faults() {
                log(home, &["web", "error", &text, "--count", count])?;
            }
            Ok(String::new())
        }
        "daily-restart" => {
            let configured = catalogue::configured(&Conf::read(&home.conf())?);
            let names: Vec<String> = configured.into_iter().map(|(_, key)| key.to_string()).collect();
            client::ask(home, &[&["restart"], names.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat())
        }
        "tracking" => {
            let count: u64 = number(second, "how many lines")?;
            append_tracking(home, first, &(0..count).map(module::good_line).collect::<String>())
        }
        "corrupt" => append_tracking(home, first, "4dx3f2a\tnot a time\tzz\ttruncated\n"),
        "spool" => spool(home, first, number(second, "how many files")?),
        "core" => {
            let number = if first.is_empty() { std::process::id().to_string() } else { first.to_owned() };
            let path = home.root().join(format!("core.{number}"));
            fs::write(&path, b"\x7fELF").map_err(|source| Error::io(&path, source))?;
            Ok(format!("{}\n", path.display()))
        }
        "file" => file(home, first, second),
        "shm" => {
            for _ in 0..number::<u32>(first, "how many segments")? {
                let segment = memory::create_segment(SEGMENT);
                let segment = segment.ok_or_else(|| Error::Refused("no segment was to be had".to_owned()))?;
                client::ask(home, &["shm", &segment])?;
            }
            Ok(String::new())
        }
        "answer" => answer(home, first, second),
        "pipelined" => {
            put(home, "pipelined-values", &rest.join("\n"))?;
            Ok(String::new())
        }
        "indicator" => indicator(home, first, number(second, "which value")?),
        "clear" => clear(home),
        other => Err(Error::Usage(format!("no fault is called '{other}': see the README"))),
    }
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T> {
    text.parse().map_err(|_| Error::Usage(format!("{what}? '{text}' is not a number")))
}

fn key(home: &Home, typed: &str) -> Result<Key> {
    let instances = Conf::read(&home.conf())?.instances();
    Key::parse(typed, &instances)?.into_iter().next().ok_or_else(|| Error::Usage(format!("'{typed}' is not a module")))
}

/// `log MODULE LEVEL TEXT [--count N] [--domain D] [--log NAME]`; `{n}` in the text is the line's number.
/// Returns when syslogd has written the lines.
fn log(home: &Home, args: &[&str]) -> Result<String> {
    let mut plain = Vec::new();
    let (mut count, mut domain, mut file) = (1, "log", None);
    let mut rest = args.iter().copied();
    while let Some(arg) = rest.next() {
        match arg {
            "--count" => count = number(rest.next().unwrap_or_default(), "how many lines")?,
            "--domain" => domain = rest.next().unwrap_or_default(),
            "--log" => file = rest.next(),
            other => plain.push(other),
        }
    }
    let [module, level, text] = plain.as_slice() else {
        return Err(Error::Usage("log MODULE LEVEL TEXT [--count N] [--domain D] [--log NAME]".to_owned()));
    };
    let key = key(home, module)?;
    let name = key.to_string();
    let running = command::running(home)?.into_iter().find(|(other, _)| *other == name);
    let pid = running.map_or_else(std::process::id, |(_, pid)| pid);
    let settings = Settings::read(home)?;
    let form = settings.log_form();
    let author = Author { instance: key.instance, log: file.unwrap_or(&key.module).to_owned(), pid, tid: pid, form };
    let record =
        |number: u64| Message { level, domain, text: &text.replace("{n}", &number.to_string()) }.record(&author, 1);
    let records: Vec<String> = (1..=count).map(record).collect();
    let port = settings.syslogd_port();
    let logger = Logger::new(author.clone(), port).map_err(|source| Error::io("UDP", source))?;
    let sent = logger.write_surely(&records);
    sent.map_err(|error| Error::Refused(format!("syslogd has not written it (127.0.0.1:{port}): {error}")))?;
    Ok(String::new())
}

fn append_tracking(home: &Home, instance: &str, lines: &str) -> Result<String> {
    let path = module::tracking_log_file(home, instance);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(|source| Error::io(&path, source))?;
    Ok(format!("{}\n", path.display()))
}

/// Makes a file below HOME hold `text`; without a text there is no such file any more.
fn file(home: &Home, path: &str, text: &str) -> Result<String> {
    let path = home.root().join(path);
    let here = |source| Error::io(&path, source);
    if text.is_empty() {
        fs::remove_file(&path).map_err(here)?;
    } else {
        fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(here)?;
        fs::write(&path, text).map_err(here)?;
    }
    Ok(format!("{}\n", path.display()))
}

/// Makes the spool hold exactly `count` files.
fn spool(home: &Home, instance: &str, count: usize) -> Result<String> {
    let folder = home.spool(&Conf::read(&home.conf())?, instance);
    let here = |source| Error::io(&folder, source);
    fs::create_dir_all(&folder).map_err(here)?;
    for entry in fs::read_dir(&folder).map_err(here)? {
        let path = entry.map_err(here)?.path();
        fs::remove_file(&path).map_err(|source| Error::io(&path, source))?;
    }
    for index in 0..count {
        fs::write(folder.join(format!("{index:08x}.xml")), b"<deliveryPart/>\n").map_err(here)?;
    }
    Ok(String::new())
}

fn answer(home: &Home, end_point: &str, mode: &str) -> Result<String> {
    const END_POINTS: [&str; 4] = ["redir", "ping", "mcping", "pipelined"];
    const MODES: [&str; 10] = ["ok", "error", "fail", "hang", "close", "slow", "garbage", "raw", "full", "pending"];
    let word = mode.split(':').next().unwrap_or_default();
    if !MODES.contains(&word) {
        return Err(Error::Usage(format!("answer how? One of {}", MODES.join(" "))));
    }
    let chosen: Vec<&str> = END_POINTS.into_iter().filter(|name| end_point == "all" || end_point == *name).collect();
    if chosen.is_empty() {
        return Err(Error::Usage(format!("which end point? all or one of {}", END_POINTS.join(" "))));
    }
    for name in chosen {
        put(home, name, mode)?;
    }
    Ok(String::new())
}

/// Whole or not at all: a request may come at any moment.
fn put(home: &Home, name: &str, text: &str) -> Result<()> {
    let (path, new) = (home.answer_file(name), home.answer_file(&format!("{name}.new")));
    fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(|source| Error::io(&path, source))
}

/// What a scheduled job that runs `cust_indicators.sh` leaves behind: the documented indicator, with a value of its own.
fn indicator(home: &Home, name: &str, value: u32) -> Result<String> {
    let folder = home.root().join("var/indicators");
    let (path, new) = (folder.join("cust_indicators.xml"), folder.join("cust_indicators.new"));
    let text = format!(
        "<indicator name='{name}'><current label='Current Value' value='{value}' display=''/><warning value='2'/>\
         <alert value='2'/><max label='Max Value' value='2'/></indicator>\n"
    );
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&new, text))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|source| Error::io(&path, source))?;
    Ok(format!("{}\n", folder.display()))
}

/// Undoes what outlives a restart: answers, holds, spools, core files, shared memory.
fn clear(home: &Home) -> Result<String> {
    let here = |source| Error::io(home.root(), source);
    for name in ["redir", "ping", "mcping", "pipelined", "pipelined-values"] {
        fs::remove_file(home.answer_file(name)).ok();
    }
    for entry in fs::read_dir(home.root()).map_err(here)? {
        let entry = entry.map_err(here)?;
        if entry.file_name().to_string_lossy().starts_with("core.") {
            fs::remove_file(entry.path()).map_err(|source| Error::io(entry.path(), source))?;
        }
    }
    for instance in Conf::read(&home.conf())?.instances() {
        spool(home, &instance, 0)?;
    }
    client::ask_if_running(home, &["forget-segments"])?;
    client::ask_if_running(home, &["unhold"])?;
    Ok(String::new())
}
