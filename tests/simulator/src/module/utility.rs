//! A utility: `import`, `export`, `tracking`, `cleanup`, …: starts, logs, works as long as told, ends by itself.
//! It is told by arguments (`--duration MS`, `--fail`) or, so that the command line stays the product's, by the
//! environment (`CAMPAIGN_SIM_DURATION_MS`, `CAMPAIGN_SIM_FAIL`).

use std::fs;
use std::time::{Duration, Instant};

use super::{Behaviour, Context};
use crate::log::Message;

/// A command that ends by itself.
#[derive(Debug)]
pub(super) struct Utility {
    due: Option<Instant>,
    duration: Duration,
    fail: bool,
    code: Option<u8>,
}

impl Utility {
    pub(super) fn new(cx: &Context) -> Self {
        let after = |name: &str| cx.args.iter().position(|arg| arg == name).and_then(|at| cx.args.get(at + 1)).cloned();
        let told = after("--duration").or_else(|| std::env::var("CAMPAIGN_SIM_DURATION_MS").ok());
        let millis = told.and_then(|text| text.parse().ok()).unwrap_or(1000);
        let fail = cx.args.iter().any(|arg| arg == "--fail") || std::env::var_os("CAMPAIGN_SIM_FAIL").is_some();
        Self { due: None, duration: Duration::from_millis(millis), fail, code: None }
    }
}

/// Its lines are in the file when it ends, unless syslogd does not write: then they are lost, as the product's are.
fn say(cx: &Context, level: &str, text: &str) {
    let record = Message { level, domain: "log", text }.record(cx.log.author(), 1);
    cx.log.write_surely(&[record]).ok();
}

/// The first line of the tracking logs of this instance that is not as documented: such a line stops the job.
fn corrupt_tracking_line(cx: &Context) -> Option<String> {
    for entry in fs::read_dir(cx.home.tracking_logs(&cx.key.instance)).ok()?.flatten() {
        let bytes = fs::read(entry.path()).ok()?;
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            if !super::is_good_line(line.strip_suffix(b"\n").unwrap_or(line)) {
                return Some(format!("{}, line {number}", entry.file_name().to_string_lossy()));
            }
        }
    }
    None
}

impl Behaviour for Utility {
    fn start(&mut self, _: &mut Context) {
        self.due = Some(Instant::now() + self.duration);
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn tick(&mut self, cx: &mut Context) {
        self.due = None;
        let corrupt = (cx.key.module == "tracking").then(|| corrupt_tracking_line(cx)).flatten();
        if let Some(place) = &corrupt {
            say(cx, "error", &format!("BAS-010007 Invalid tracking log entry: {place}"));
        }
        if self.fail || corrupt.is_some() {
            say(cx, "error", &cx.language.failed(&cx.key.module));
            self.code = Some(1);
        } else {
            say(cx, "info", &cx.language.succeeded(&cx.key.module));
            self.code = Some(0);
        }
    }

    fn finished(&self) -> Option<u8> {
        self.code
    }
}
