//! What the exporter's own readers of `/proc` save against the crate `procfs`, for what a scrape reads of a process: `stat`,
//! `io` and the number of descriptors.
//!
//!     cargo run --release --example procfs
//!
//! Ours keep the files open and parse the fields they need from a buffer of their own; those of the crate open each file
//! anew and parse all of it. The times are those of the round in the middle, so that what else runs does not matter.

#![expect(clippy::print_stdout, reason = "a bench tells what it measured")]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use campaign_exporter::parse::process as parse;
use procfs::process::Process;
use rustix::fs::{Mode, OFlags};

const PROCESSES: usize = 110;
const ROUNDS: usize = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
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
    let (ours, theirs) = result?;
    println!(
        "{PROCESSES} processes: ours {ours:?}, the crate {theirs:?}: {:.1} times",
        theirs.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

/// The time that each takes for one round.
fn measure(pids: &[u32]) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let mut kept: Vec<(File, File, OwnedFd)> = Vec::new();
    for pid in pids {
        let folder = rustix::fs::open(format!("/proc/{pid}/fd"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        kept.push((File::open(format!("/proc/{pid}/stat"))?, File::open(format!("/proc/{pid}/io"))?, folder));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut sum = 0;
        for (stat, io, descriptors) in &kept {
            let mut buffer = [0; 2048];
            let length = rustix::io::pread(stat, &mut buffer, 0)?;
            sum += parse::stat(&buffer[..length]).ok_or("no stat")?.resident_pages;
            let length = rustix::io::pread(io, &mut buffer, 0)?;
            sum += parse::io(&buffer[..length]).ok_or("no io")?.read_bytes;
            sum += u64::try_from(rustix::fs::fstat(descriptors)?.st_size)?;
        }
        ours.push(began.elapsed());
        let began = Instant::now();
        let mut same = 0;
        for pid in pids {
            let process = Process::new(i32::try_from(*pid)?)?;
            same += process.stat()?.rss + process.io()?.read_bytes + process.fd_count()? as u64;
        }
        theirs.push(began.elapsed());
        if sum != same {
            return Err(format!("they did not see the same: {sum} and {same}").into());
        }
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    Ok((ours[ROUNDS / 2], theirs[ROUNDS / 2]))
}
