//! What a log's lines come to: messages by level, by code, by problem, and when the last of them were.
//!
//! Every set of names is bounded, whatever a log holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::line::{Code, Level, Line, LineReader, Memory, Message, Problem, Problems};
use crate::runs::Runs;
use crate::tail::{Lines, RawLine};

/// The most levels that are counted by name besides the documented ones.
pub const MAX_OTHER_LEVELS: usize = 10;

/// The longest name of a level, in bytes.
pub const MAX_LEVEL_BYTES: usize = 32;

/// The most error codes of one log that are counted by name.
pub const MAX_CODES: usize = 100;

/// The most error codes and levels of all logs together that are counted by name.
pub const MAX_NAMES: usize = 20_000;

/// What stands for all names beyond the bounds.
pub const OTHER: &str = "other";

/// The general fault of a SOAP call: that it mentions a session means little by itself.
const SOAP_FAULT: &str = "SOP-330011";

/// Two messages of one process that are no further apart than this, in milliseconds, are of one fault.
const SAME_FAULT: i64 = 1_000;

/// What has been counted in one log; kept across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Messages of the documented levels, in the order of [`Level::KNOWN`].
    pub levels: [u64; Level::KNOWN.len()],
    /// Messages of other levels.
    pub other_levels: BTreeMap<String, u64>,
    /// Messages by error code.
    pub codes: BTreeMap<Code, u64>,
    /// Messages with codes beyond [`MAX_CODES`] and [`MAX_NAMES`].
    pub other_codes: u64,
    /// Messages that show a documented problem, in the order of [`Problem::ALL`].
    pub problems: [u64; Problem::ALL.len()],
    /// Lines that continue a message.
    pub continuations: u64,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// When the last message was written: milliseconds since 1970-01-01 UTC.
    pub last_message: Option<i64>,
    /// When the last error was written: milliseconds since 1970-01-01 UTC.
    pub last_error: Option<i64>,
    /// The runs of the module.
    pub runs: Runs,
    /// The process and time of a message that will be counted as a session's trouble unless the next message says that
    /// a login was refused.
    pub held: Option<(u64, i64)>,
    /// The process and time of the last login that was refused.
    pub refused: Option<(u64, i64)>,
}

/// How many more names may be counted in all logs together.
#[derive(Debug)]
pub struct NameBudget(AtomicUsize);

impl NameBudget {
    /// Room for so many names.
    #[must_use]
    pub fn new(names: usize) -> Arc<Self> {
        Arc::new(NameBudget(AtomicUsize::new(names)))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn give(&self, names: usize) {
        self.0.fetch_add(names, Ordering::Relaxed);
    }
}

/// Counts the lines of one log, in their order.
#[derive(Debug)]
pub struct Counter {
    /// What has been counted.
    pub counts: Counts,
    reader: LineReader,
    budget: Arc<NameBudget>,
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.budget.give(self.counts.codes.len() + self.counts.other_levels.len());
    }
}

impl Counter {
    /// A counter that goes on where another one stood. Names beyond the budget are other from now on.
    #[must_use]
    pub fn new(mut counts: Counts, memory: Memory, budget: Arc<NameBudget>) -> Self {
        for (code, times) in std::mem::take(&mut counts.codes) {
            if budget.take() {
                counts.codes.insert(code, times);
            } else {
                counts.other_codes += times;
            }
        }
        for (name, times) in std::mem::take(&mut counts.other_levels) {
            let name = if budget.take() { name } else { OTHER.to_owned() };
            *counts.other_levels.entry(name).or_default() += times;
        }
        Counter { counts, reader: LineReader::new(memory), budget }
    }

    /// What must be kept besides the counts.
    #[must_use]
    pub const fn memory(&self) -> Memory {
        self.reader.memory()
    }

    /// Counts a line, given without its line end.
    pub fn count(&mut self, line: &[u8]) {
        match self.reader.read(line) {
            Line::Message(message) => self.message(&message),
            Line::Continuation(problems) => {
                self.counts.continuations += 1;
                if problems.has(Problem::LoginRefused) {
                    self.counts.held = None;
                }
                self.problems(problems);
            }
            Line::Unreadable => self.counts.unreadable += 1,
        }
    }

    /// Takes note of the time and the process of a line, without counting it.
    pub fn glance(&mut self, line: &[u8]) {
        if let Line::Message(message) = self.reader.read(line) {
            self.last(&message, false);
        }
    }

    /// Assumes earlier lines that were not given: the next one may continue them.
    pub fn assume_lines_before(&mut self) {
        let memory = self.reader.memory();
        if !memory.begun {
            self.reader = LineReader::new(Memory { begun: true, ..memory });
        }
    }

    /// Draws conclusions from the silence of the log at the time `now`, in milliseconds since 1970-01-01 UTC; `lives`,
    /// where the log has runs that end, says whether a module's process has an id. Whether anything is different.
    pub fn settle(&mut self, now: i64, lives: Option<impl Fn(u64) -> bool>) -> bool {
        if let Some((_, time)) = &mut self.counts.held {
            // The clock was set back.
            *time = (*time).min(now);
        }
        let over = self.counts.held.take_if(|(_, time)| now - *time > SAME_FAULT).is_some();
        self.counts.problems[Problem::XtkSession as usize] += u64::from(over);
        let ended = lives.is_some_and(|lives| self.counts.runs.end(now, lives));
        ended || over
    }

    fn message(&mut self, message: &Message<'_>) {
        match (message.level.index(), message.level) {
            (Some(known), _) => self.counts.levels[known] += 1,
            (None, Level::Other(name)) => {
                let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_LEVEL_BYTES);
                self.other_level(name.unwrap_or(OTHER));
            }
            (None, _) => {}
        }
        let code = message.code();
        if let Some(code) = code {
            self.code(code);
        }
        let problems = self.session(message, code);
        self.problems(problems);
        self.last(message, true);
    }

    /// The problems of a message without a session's trouble that is only the echo of a login that was refused, or that may
    /// turn out to be.
    fn session(&mut self, message: &Message<'_>, code: Option<Code>) -> Problems {
        if message.problems.is_empty() && self.counts.held.is_none() {
            return message.problems;
        }
        let now = (number(message.pid), message.time);
        let is_same_fault =
            |(pid, time): (u64, i64)| now.0 == Some(pid) && now.1.abs_diff(time) <= SAME_FAULT.unsigned_abs();
        let refused = message.problems.has(Problem::LoginRefused);
        if let Some(held) = self.counts.held.take()
            && !(refused && is_same_fault(held))
        {
            self.counts.problems[Problem::XtkSession as usize] += 1;
        }
        let (Some(pid), time) = now else { return message.problems };
        if refused {
            self.counts.refused = Some((pid, time));
        }
        if !message.problems.has(Problem::XtkSession) {
            return message.problems;
        }
        if self.counts.refused.is_some_and(is_same_fault) {
            return message.problems.without(Problem::XtkSession);
        }
        if code.is_some_and(|code| code.as_str() == SOAP_FAULT) {
            self.counts.held = Some((pid, time));
            return message.problems.without(Problem::XtkSession);
        }
        message.problems
    }

    fn last(&mut self, message: &Message<'_>, counts: bool) {
        self.counts.last_message = Some(message.time);
        if message.level == Level::Error {
            self.counts.last_error = Some(message.time);
        }
        if let Some(pid) = number(message.pid) {
            self.counts.runs.message(message, pid, counts);
        }
    }

    fn other_level(&mut self, name: &str) {
        let levels = &mut self.counts.other_levels;
        if let Some(times) = levels.get_mut(name) {
            *times += 1;
            return;
        }
        let named = levels.len() - usize::from(levels.contains_key(OTHER));
        let name = if named < MAX_OTHER_LEVELS && self.budget.take() { name } else { OTHER };
        *levels.entry(name.to_owned()).or_default() += 1;
    }

    fn code(&mut self, code: Code) {
        if let Some(times) = self.counts.codes.get_mut(&code) {
            *times += 1;
        } else if self.counts.codes.len() < MAX_CODES && self.budget.take() {
            self.counts.codes.insert(code, 1);
        } else {
            self.counts.other_codes += 1;
        }
    }

    fn problems(&mut self, problems: Problems) {
        if problems.is_empty() {
            return;
        }
        for problem in Problem::ALL {
            self.counts.problems[problem as usize] += u64::from(problems.has(problem));
        }
    }
}

impl Lines for Counter {
    fn line(&mut self, line: RawLine<'_>) {
        self.count(line.text());
    }
}

/// A process id, in decimal or, as the older form has it, in hexadecimal digits.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut number = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return hexadecimal(digits);
        }
        number = number * 10 + u64::from(digit);
    }
    if digits[0] == b'0' { hexadecimal(digits) } else { Some(number) }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, byte| Some(number * 16 + u64::from(char::from(*byte).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tail::Position;

    fn counter() -> Counter {
        Counter::new(Counts::default(), Memory::default(), NameBudget::new(MAX_NAMES))
    }

    fn line(level: &str, pid: u32, text: &str) -> Vec<u8> {
        format!("2021-05-31T08:42:18.124Z\t{pid}\t66501\t1\t{level}\tlog\t{text}").into_bytes()
    }

    fn code(text: &str) -> Code {
        Code::at_start_of(text.as_bytes()).unwrap()
    }

    #[test]
    fn messages_are_counted_by_level_code_and_problem() {
        let mut counter = counter();
        counter.count(&line("info", 1, "fine"));
        counter.count(&line("error", 1, "INT-150012 xtk:session"));
        counter.count(b"more of it, xtk:session");
        counter.count(&line("error", 1, "INT-150012 again"));
        counter.count(&line("fatal", 1, "BAS-010007"));
        counter.count(b"2021-05-31T08:42:18.124Z no fields");
        let counts = &counter.counts;
        assert_eq!(counts.levels, [2, 0, 1]);
        assert_eq!(counts.other_levels["fatal"], 1);
        assert_eq!((counts.codes[&code("INT-150012")], counts.codes[&code("BAS-010007")]), (2, 1));
        assert_eq!(counts.problems, [1, 0, 0, 0]);
        assert_eq!((counts.continuations, counts.unreadable), (1, 1));
        assert_eq!((counts.last_message, counts.last_error), (Some(1_622_450_538_124), Some(1_622_450_538_124)));
    }

    #[test]
    fn names_beyond_the_bounds_are_counted_as_other() {
        let mut counter = counter();
        for round in 0..3 {
            for number in 0..MAX_CODES + 50 {
                counter.count(&line("error", 1, &format!("ABC-{number:06}")));
                counter.count(&line(&format!("level{number}"), 1, ""));
            }
            counter.count(&line(&"x".repeat(1000), 1, ""));
            let counts = &counter.counts;
            assert_eq!(counts.codes.len(), MAX_CODES);
            assert_eq!(counts.codes[&code("ABC-000000")], round + 1);
            assert_eq!(counts.other_codes, (round + 1) * 50);
            assert_eq!(counts.other_levels.len(), MAX_OTHER_LEVELS + 1);
            assert_eq!(counts.other_levels.values().sum::<u64>(), (round + 1) * (MAX_CODES as u64 + 51));
        }
    }

    #[test]
    fn all_logs_together_have_so_many_names() {
        let budget = NameBudget::new(3);
        let new = || Counter::new(Counts::default(), Memory::default(), Arc::clone(&budget));
        let (mut one, mut other) = (new(), new());
        for number in 0..2 {
            one.count(&line("error", 1, &format!("ABC-{number:06}")));
            other.count(&line("error", 1, &format!("ABC-{number:06}")));
        }
        other.count(&line("odd", 1, ""));
        assert_eq!((one.counts.codes.len(), other.counts.codes.len()), (2, 1));
        assert_eq!((other.counts.other_codes, other.counts.other_levels[OTHER]), (1, 1));
        drop(one);
        other.count(&line("error", 1, "ABC-000007"));
        assert_eq!(other.counts.codes.len(), 2, "a log that is gone makes room");
    }

    #[test]
    fn a_login_that_was_refused_is_no_trouble_of_sessions_whichever_is_told_first() {
        let soap = "SOP-330011 Error while executing the method 'Logon' of service 'xtk:session'";
        let refused = "XSV-350012 Login or password incorrect";
        let sessions = |lines: &[&[u8]]| {
            let mut counter = counter();
            lines.iter().for_each(|line| counter.count(line));
            counter.settle(i64::MAX / 2, None::<fn(u64) -> bool>);
            counter.counts.problems
        };
        assert_eq!(sessions(&[&line("error", 1, soap)]), [1, 0, 0, 0]);
        assert_eq!(sessions(&[&line("error", 1, soap), &line("error", 1, soap)]), [2, 0, 0, 0]);
        assert_eq!(sessions(&[&line("error", 1, soap), &line("error", 1, refused)]), [0, 0, 1, 0]);
        assert_eq!(sessions(&[&line("error", 1, refused), &line("error", 1, soap)]), [0, 0, 1, 0]);
        assert_eq!(sessions(&[&line("error", 1, soap), refused.as_bytes()]), [0, 0, 1, 0]);
        assert_eq!(sessions(&[&line("error", 1, &format!("{soap} {refused}"))]), [0, 0, 1, 0]);
        assert_eq!(
            sessions(&[&line("error", 1, soap), &line("error", 2, refused)]),
            [1, 0, 1, 0],
            "of another process"
        );
        assert_eq!(
            sessions(&[&line("error", 1, "PGS-220000 broken"), &line("error", 1, "XSV-350063 none")]),
            [0, 0, 0, 2]
        );
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_a_fault_from_being_counted() {
        let mut counter = counter();
        counter.count(&line(
            "error",
            1,
            "SOP-330011 Error while executing the method 'Write' of service 'xtk:session'",
        ));
        let written = counter.counts.last_message.unwrap();
        let mut settled = |now| counter.settle(now, None::<fn(u64) -> bool>);
        assert!(!settled(written - 3_600_000) && !settled(written - 3_599_500));
        assert!(settled(written - 3_598_000));
    }

    #[test]
    fn a_process_id_may_be_hexadecimal() {
        assert_eq!((number(b"00002E7A"), number(b"B67B28C0")), (Some(0x2e7a), Some(0xb67b_28c0)));
        assert_eq!((number(b"66462"), number(b"0"), number(b"-5"), number(b"")), (Some(66_462), Some(0), None, None));
    }

    #[test]
    fn a_glance_counts_nothing() {
        let new = counter;
        let mut counter = new();
        counter.glance(&line("error", 1, "ABC-000001"));
        counter.count(b"continues what was only glanced at");
        let counts = &counter.counts;
        assert_eq!((counts.levels, counts.codes.len(), counts.continuations), ([0; 3], 0, 1));
        assert!(counts.last_error.is_some());
        let mut counter = new();
        counter.assume_lines_before();
        counter.count(b"continues what was not given");
        assert_eq!(counter.counts.continuations, 1);
    }

    proptest! {
        #[test]
        fn any_split_into_reads_gives_the_same_counts(
            choices in proptest::collection::vec((0_usize..9, 0_u8..3), 0..60),
            sizes in proptest::collection::vec(1_usize..90, 0..80),
            max_line in 60_usize..120,
        ) {
            let mut text = Vec::new();
            for (choice, end) in choices {
                text.extend(match choice {
                    0 => line("info", 7, "fine"),
                    1 => line("error", 7, "INT-150012 failed (iRc=1)"),
                    2 => line("warning", 7, &"long ".repeat(30)),
                    3 => line("notice", 8, "xtk:session"),
                    4 => line("error", 9, "Unable to rename file"),
                    5 => b"Invalid cross-device link, xtk:session".to_vec(),
                    6 => b"2021-05-31T08:42:18.124Z\t".to_vec(),
                    7 => vec![0; 5],
                    _ => vec![b'y'; 300],
                });
                text.extend([&b"\n"[..], b"\r\n", b"\n\n"][usize::from(end)]);
            }
            let count_in = |sizes: &[usize]| {
                let (mut counter, mut position, mut known, mut skipped) = (counter(), Position::default(), 0, 0);
                let mut sizes = sizes.iter().copied().chain(std::iter::repeat(text.len().max(1)));
                while known < text.len() {
                    known = (known + sizes.next().unwrap_or(1)).min(text.len());
                    let from = usize::try_from(position.offset).unwrap();
                    skipped += position.feed(&text[from..known], max_line, &mut |line| counter.line(line)).skipped;
                }
                (counter.counts.clone(), counter.memory(), position, skipped)
            };
            prop_assert_eq!(count_in(&sizes), count_in(&[]));
        }
    }
}
