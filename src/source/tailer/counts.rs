//! What a log's lines come to: messages by level, by code, by problem, and when the last of them were.
//!
//! Knows lines, not files. Every set of names is bounded, whatever a log holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::parse::line::{Code, Level, Line, Memory, Message, Problem, Problems, Reader};
use crate::parse::tail::{Lines, RawLine};

/// The most levels that are told apart besides the documented ones.
pub const MAX_OTHER_LEVELS: usize = 10;

/// The longest name of a level, in bytes.
pub const MAX_LEVEL_BYTES: usize = 32;

/// The most error codes of one log that are told apart.
pub const MAX_CODES: usize = 100;

/// What stands for all names beyond the bounds.
pub const OTHER: &str = "other";

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
    /// Messages with codes beyond [`MAX_CODES`].
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
    /// The pid of the process that wrote last, as far as it is a number.
    pub last_pid: Option<u64>,
    /// The errors that this process has written since it began to.
    pub last_pid_errors: u64,
}

/// Counts the lines of one log, in their order.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    /// What has been counted.
    pub counts: Counts,
    reader: Reader,
}

impl Counter {
    /// A counter that goes on where another one stood.
    #[must_use]
    pub fn new(counts: Counts, memory: Memory) -> Self {
        Counter { counts, reader: Reader::new(memory) }
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
                self.problems(problems);
            }
            Line::Unreadable => self.counts.unreadable += 1,
        }
    }

    /// Takes note of when a line was written and by whom, without counting it.
    pub fn glance(&mut self, line: &[u8]) {
        if let Line::Message(message) = self.reader.read(line) {
            self.last(&message);
        }
    }

    /// Lines have been there that were not given: the next one may continue them.
    pub fn assume_lines_before(&mut self) {
        let memory = self.reader.memory();
        if !memory.begun {
            self.reader = Reader::new(Memory { begun: true, ..memory });
        }
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
        if let Some(code) = message.code() {
            self.code(code);
        }
        self.problems(message.problems);
        self.last(message);
    }

    fn last(&mut self, message: &Message<'_>) {
        self.counts.last_message = Some(message.time);
        let pid = number(message.pid);
        if pid != self.counts.last_pid {
            self.counts.last_pid = pid;
            self.counts.last_pid_errors = 0;
        }
        if message.level == Level::Error {
            self.counts.last_error = Some(message.time);
            self.counts.last_pid_errors += 1;
        }
    }

    fn other_level(&mut self, name: &str) {
        let levels = &mut self.counts.other_levels;
        if let Some(times) = levels.get_mut(name) {
            *times += 1;
            return;
        }
        let named = levels.len() - usize::from(levels.contains_key(OTHER));
        let name = if named < MAX_OTHER_LEVELS { name } else { OTHER };
        *levels.entry(name.to_owned()).or_default() += 1;
    }

    fn code(&mut self, code: Code) {
        if let Some(times) = self.counts.codes.get_mut(&code) {
            *times += 1;
        } else if self.counts.codes.len() < MAX_CODES {
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

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::tail::Position;

    fn line(level: &str, pid: u32, text: &str) -> Vec<u8> {
        format!("2021-05-31T08:42:18.124Z\t{pid}\t66501\t1\t{level}\tlog\t{text}").into_bytes()
    }

    fn code(text: &str) -> Code {
        Code::at_start_of(text.as_bytes()).unwrap()
    }

    #[test]
    fn messages_are_counted_by_level_code_and_problem() {
        let mut counter = Counter::default();
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
        assert_eq!(counts.problems, [1, 0]);
        assert_eq!((counts.continuations, counts.unreadable), (1, 1));
        assert_eq!((counts.last_message, counts.last_error), (Some(1_622_450_538_124), Some(1_622_450_538_124)));
    }

    #[test]
    fn names_beyond_the_bounds_are_counted_as_other() {
        let mut counter = Counter::default();
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
    fn the_errors_of_the_last_run_are_those_of_its_process() {
        let mut counter = Counter::default();
        counter.count(&line("error", 1, "failed"));
        counter.count(&line("info", 1, "the end"));
        assert_eq!(counter.counts.last_pid_errors, 1);
        counter.count(&line("info", 2, "started"));
        assert_eq!(counter.counts.last_pid_errors, 0);
        counter.count(&line("error", 2, "failed"));
        counter.count(&line("error", 2, "failed"));
        assert_eq!(counter.counts.last_pid_errors, 2);
    }

    #[test]
    fn a_glance_counts_nothing() {
        let mut counter = Counter::default();
        counter.glance(&line("error", 1, "ABC-000001"));
        counter.count(b"continues what was only glanced at");
        let counts = &counter.counts;
        assert_eq!((counts.levels, counts.codes.len(), counts.continuations), ([0; 3], 0, 1));
        assert!(counts.last_error.is_some());
        let mut counter = Counter::default();
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
                let (mut counter, mut position, mut known, mut skipped) = (Counter::default(), Position::default(), 0, 0);
                let mut sizes = sizes.iter().copied().chain(std::iter::repeat(text.len().max(1)));
                while known < text.len() {
                    known = (known + sizes.next().unwrap_or(1)).min(text.len());
                    let from = usize::try_from(position.offset).unwrap();
                    skipped += position.feed(&text[from..known], max_line, |line| counter.line(line)).skipped;
                }
                (counter.counts.clone(), counter.memory(), position, skipped)
            };
            prop_assert_eq!(count_in(&sizes), count_in(&[]));
        }
    }
}
