//! trackinglogd: one System V shared memory segment, and good tracking lines into `var/<instance>/redir/log/0x….log`
//! (facts.md, Tracking logs).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Behaviour, Context};
use crate::clock::Utc;
use crate::home::Home;
use crate::memory;

/// The segment's size in bytes. The product's is not documented; small, as many simulated hosts share a machine.
const SEGMENT: u64 = 1 << 20;

/// The tracking log writer.
#[derive(Debug)]
pub(super) struct Trackinglogd {
    period: Option<Duration>,
    due: Option<Instant>,
    segment: Option<String>,
    serial: u64,
}

impl Trackinglogd {
    pub(super) fn new(cx: &Context) -> Self {
        Self { period: cx.settings.period("trackingPeriodMs", 1000), due: None, segment: None, serial: 0 }
    }
}

impl Behaviour for Trackinglogd {
    fn start(&mut self, cx: &mut Context) {
        self.segment = memory::create_segment(SEGMENT);
        match self.segment.clone() {
            Some(segment) => cx.tell(&["shm", &segment]),
            None => cx.log.write("error", "log", "Unable to create the shared memory segment"),
        }
        self.due = self.period.map(|period| Instant::now() + period);
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn tick(&mut self, cx: &mut Context) {
        self.due = self.period.map(|period| Instant::now() + period);
        for instance in cx.conf.instances() {
            self.serial += 1;
            if let Err(error) = append(&cx.home, &instance, good_line(self.serial).as_bytes()) {
                cx.log.write("error", "log", &format!("Unable to write the tracking log of {instance}: {error}"));
            }
        }
    }

    fn stop(&mut self, cx: &mut Context) {
        if let Some(segment) = self.segment.take() {
            memory::remove_segment(&segment);
            cx.tell(&["unshm", &segment]);
        }
    }
}

/// The file of this hour: the product's names are hexadecimal numbers; which, is not public.
pub(crate) fn log_file(home: &Home, instance: &str) -> PathBuf {
    let hours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 3600;
    home.tracking_logs(instance).join(format!("0x{hours:016x}.log"))
}

fn append(home: &Home, instance: &str, line: &[u8]) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(log_file(home, instance))?.write_all(line)
}

/// A line as documented, with its end.
pub(crate) fn good_line(serial: u64) -> String {
    let stamp = Utc::now().log_stamp();
    let time = stamp.strip_suffix('Z').unwrap_or(&stamp);
    let delivery = 0x2000 + serial % 16;
    format!(
        "{:02x}x{serial:x}\t{time}\t{delivery:x}\t{:x}\t{serial:x}\tr{serial}\t5f2b1c3e-{serial:04x}-4a7d-9c1e-0123456789ab\topen\t/r/?id=h{delivery:x}\tMozilla/5.0 (X11; Linux x86_64)\t192.0.2.{}\n",
        serial % 256,
        0x100 + serial,
        serial % 254 + 1,
    )
}

/// Whether a line, without its end, is as the documented expression says.
pub(crate) fn is_good_line(line: &[u8]) -> bool {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
    let all = |field: &[u8], test: fn(u8) -> bool| field.iter().all(|byte| test(*byte));
    let alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
    let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let [id, time, first, second, third, word, dashed, kind, url, agent, address, rest @ ..] = fields.as_slice() else {
        return false;
    };
    let id_is_good = all(id, alphanumeric) && id.get(2) == Some(&b'x');
    // After the address there may be one more field, separated by a tab or, within the same field, by a comma.
    let comma = address.iter().position(|byte| *byte == b',');
    let (bare, more) = address.split_at(comma.unwrap_or(address.len()));
    let last_is_good = match rest {
        [] => all(more, printable),
        [last] => more.is_empty() && all(last, printable),
        _ => false,
    };
    id_is_good
        && all(time, |byte| byte.is_ascii_digit() || b"T:.-".contains(&byte))
        && [first, second, third].into_iter().all(|field| all(field, |byte| byte.is_ascii_hexdigit()))
        && all(word, alphanumeric)
        && all(dashed, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && [kind, url, agent].into_iter().all(|field| all(field, printable))
        && all(bare, |byte| byte.is_ascii_hexdigit() || b".:".contains(&byte))
        && last_is_good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_it_writes_are_good_ones() {
        for serial in [0, 1, 255, 256, 70_000, u64::from(u32::MAX)] {
            let line = good_line(serial);
            assert!(is_good_line(line.trim_end_matches('\n').as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_corrupt_line_is_recognised() {
        let good = good_line(7).trim_end().to_owned();
        assert!(is_good_line(format!("{good}\tmore").as_bytes()));
        assert!(is_good_line(format!("{good},10.0.0.1").as_bytes()));
        for bad in
            [format!("{good}\ta\tb"), good.replace('x', "-"), good[10..].to_owned(), format!("{good}!"), String::new()]
        {
            assert!(!is_good_line(bad.as_bytes()), "{bad}");
        }
    }
}
