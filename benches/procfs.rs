//! What the exporter's own readers of `/proc` save against the crate `procfs`: `stat`, `io` and the number of descriptors,
//! which a scrape reads of each process; `limits` and `status`, which are read now and then; the time of the machine's start.
//!
//!     cargo run --release --example procfs
//!
//! Ours keep the files open where a scrape does, and parse the fields they need from a buffer of their own; the crate
//! opens each file anew and parses all of it. The times are medians over the rounds, so that other programs do not
//! matter.

#![expect(clippy::print_stdout, reason = "a bench tells what it measured")]

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::time::Instant;

use campaign_exporter::parse::process as parse;
use procfs::process::{LimitValue, Process};
use procfs::{CurrentSI, KernelStats};
use rustix::fs::{Mode, OFlags};

const PROCESSES: usize = 110;
const ROUNDS: usize = 200;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    println!("one round over {PROCESSES} processes");
    let mut children: Vec<Child> = Vec::new();
    for _ in 0..PROCESSES {
        children.push(Command::new("sleep").arg("600").spawn()?);
    }
    let pids: Vec<u32> = children.iter().map(Child::id).collect();
    let result = measure(&pids);
    for child in &mut children {
        child.kill()?;
        child.wait()?;
    }
    result
}

/// Compares each reader.
fn measure(pids: &[u32]) -> Outcome<()> {
    let mut kept: Vec<(File, File, OwnedFd)> = Vec::new();
    for pid in pids {
        let folder = rustix::fs::open(format!("/proc/{pid}/fd"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        kept.push((File::open(format!("/proc/{pid}/stat"))?, File::open(format!("/proc/{pid}/io"))?, folder));
    }
    let ours = || {
        let mut sum = 0;
        for (stat, io, descriptors) in &kept {
            let mut buffer = [0; 2048];
            let length = rustix::io::pread(stat, &mut buffer, 0)?;
            sum += parse::stat(&buffer[..length]).ok_or("no stat")?.resident_pages;
            let length = rustix::io::pread(io, &mut buffer, 0)?;
            sum += parse::io(&buffer[..length]).ok_or("no io")?.read_bytes;
            sum += u64::try_from(rustix::fs::fstat(descriptors)?.st_size)?;
        }
        Ok(sum)
    };
    let theirs = |process: &Process| Ok(process.stat()?.rss + process.io()?.read_bytes + process.fd_count()? as u64);
    compare("stat, io, descriptors", ours, || of_crate(pids, theirs))?;
    let limit = |bytes: &[u8]| parse::open_files_limit(bytes).flatten();
    let theirs = |process: &Process| match process.limits()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Ok(limit),
        LimitValue::Unlimited => Err("no limit of descriptors".into()),
    };
    compare("limits", || of_file(pids, "limits", limit), || of_crate(pids, theirs))?;
    let user = |bytes: &[u8]| parse::credentials(bytes).map(|credentials| u64::from(credentials.real));
    let theirs = |process: &Process| Ok(u64::from(process.status()?.ruid));
    compare("status", || of_file(pids, "status", user), || of_crate(pids, theirs))?;
    let ours = || Ok(parse::boot_time(&std::fs::read("/proc/stat")?).ok_or("no btime")?);
    compare("boot time", ours, || Ok(KernelStats::current()?.btime))
}

/// The sum of what `parse` finds in a file of each process.
fn of_file(pids: &[u32], name: &str, parse: impl Fn(&[u8]) -> Option<u64>) -> Outcome<u64> {
    let mut sum = 0;
    let mut buffer = [0; 4096];
    for pid in pids {
        let length = File::open(format!("/proc/{pid}/{name}"))?.read(&mut buffer)?;
        sum += parse(&buffer[..length]).ok_or_else(|| format!("nothing in {name}"))?;
    }
    Ok(sum)
}

/// The sum of what `read` finds of each process by the crate.
fn of_crate(pids: &[u32], read: impl Fn(&Process) -> Outcome<u64>) -> Outcome<u64> {
    let mut sum = 0;
    for pid in pids {
        sum += read(&Process::new(i32::try_from(*pid)?)?)?;
    }
    Ok(sum)
}

/// Prints the time that each takes for one round; both must see the same.
fn compare(what: &str, ours: impl Fn() -> Outcome<u64>, theirs: impl Fn() -> Outcome<u64>) -> Outcome<()> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let sum = ours()?;
        times[0].push(began.elapsed());
        let began = Instant::now();
        let same = theirs()?;
        times[1].push(began.elapsed());
        if sum != same {
            return Err(format!("{what}: they did not see the same: {sum} and {same}").into());
        }
    }
    let [ours, theirs] = times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2]
    });
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("{what}: ours {ours:?}, the crate {theirs:?}: {ratio:.1} times");
    Ok(())
}
