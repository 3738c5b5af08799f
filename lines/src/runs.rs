//! The runs of a module that starts when needed, distinguished by the process ids in its log.
//!
//! Runs of one module may overlap, and their messages are mixed. A log says neither where a run begins nor where it
//! ends: a run is what one process id writes, until it has been silent for [`SILENT`] and its process is gone, or
//! silent for [`SILENT_FOR_LONG`] whatever process has the id now. The same id after that is another run. A run fails
//! at its first error; one that ends without an error has succeeded.
//!
//! Times are those of the messages. One that lies ahead was written before the clock was set back: the silence is counted from
//! the moment at which that is noticed.

use serde::{Deserialize, Serialize};

use crate::line::{Code, Level, Message};

/// How long a run whose process is gone must be silent to have ended, in milliseconds.
pub const SILENT: i64 = 60_000;

/// How long a run must be silent to have ended in any case, in milliseconds.
pub const SILENT_FOR_LONG: i64 = 3_600_000;

/// The most runs of a log that are remembered at once.
const MAX_RUNS: usize = 16;

/// What one process has written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRun {
    /// Its process id.
    pub pid: u64,
    /// The numbers of its first and its last message among those of the log.
    pub first: u64,
    /// See `first`.
    pub last: u64,
    /// When it wrote last: milliseconds since 1970-01-01 UTC.
    pub last_time: i64,
    /// Its messages.
    pub messages: u64,
    /// Those of them that are errors.
    pub errors: u64,
    /// Whether a message of it was counted: else it is of the time before the log was followed.
    pub counted: bool,
    /// Whether it was counted as failed.
    pub failed: bool,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether a later run has shown that it goes on without this one's errors, or with errors of its own.
    pub superseded: bool,
}

/// The last run that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedRun {
    /// When it wrote its first error: milliseconds since 1970-01-01 UTC.
    pub time: i64,
    /// That error's code.
    pub code: Option<Code>,
}

/// The runs of one log; kept across restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// Runs that ended without an error.
    pub succeeded: u64,
    /// Runs that wrote an error.
    pub failed: u64,
    /// The last of these.
    pub last_failure: Option<FailedRun>,
    /// How many messages there were.
    messages: u64,
    runs: Vec<ProcessRun>,
}

impl Runs {
    /// As it was known before runs were distinguished: the process that wrote last, and its errors.
    #[must_use]
    pub fn of_last(pid: u64, errors: u64, last_time: i64) -> Self {
        let run = ProcessRun { pid, last_time, messages: 2, errors, failed: errors > 0, ..ProcessRun::default() };
        Runs { runs: vec![run], messages: 1, ..Runs::default() }
    }

    /// The errors of the last run; where several ran at the same time, of all these.
    #[must_use]
    pub fn last_errors(&self) -> u64 {
        self.runs.iter().filter(|run| !run.superseded).map(|run| run.errors).sum()
    }

    /// Takes note of a message; `counts` when it is not of the time before.
    pub fn message(&mut self, message: &Message<'_>, pid: u64, counts: bool) {
        self.messages += 1;
        let number = self.messages;
        let time = message.time;
        let is_it = |run: &ProcessRun| run.pid == pid && !run.ended && time - run.last_time < SILENT_FOR_LONG;
        let place = match self.runs.iter().rposition(is_it) {
            Some(place) => place,
            None => self.begin(ProcessRun { pid, first: number, ..ProcessRun::default() }),
        };
        let run = &mut self.runs[place];
        (run.last, run.last_time) = (number, time);
        run.messages += 1;
        run.counted |= counts;
        run.superseded = false;
        let is_error = message.level == Level::Error;
        if is_error {
            if run.errors == 0 {
                self.last_failure = Some(FailedRun { time, code: message.code() });
            }
            run.errors += 1;
            if counts && !run.failed {
                run.failed = true;
                self.failed += 1;
            }
        }
        // Once each: the runs before it that have been silent since it began write no more, or are not silent any more.
        if run.messages == 2 || is_error && run.errors == 1 {
            self.supersede(place);
        }
    }

    /// Ends the runs that are over at the time `now`, in milliseconds since 1970-01-01 UTC; `lives` tells whether a module's
    /// process has the id. Whether there was one.
    pub fn end(&mut self, now: i64, lives: impl Fn(u64) -> bool) -> bool {
        let mut ended = false;
        for place in 0..self.runs.len() {
            let run = &mut self.runs[place];
            run.last_time = run.last_time.min(now);
            let silent = now - run.last_time;
            if run.ended || silent < SILENT || silent < SILENT_FOR_LONG && lives(run.pid) {
                continue;
            }
            self.end_run(place);
            self.supersede(place);
            ended = true;
        }
        self.runs.retain(|run| !(run.ended && run.superseded));
        ended
    }

    fn begin(&mut self, run: ProcessRun) -> usize {
        if self.runs.len() >= MAX_RUNS {
            let oldest = |run: &&ProcessRun| (!run.superseded, run.last);
            let last = self.runs.iter().min_by_key(oldest).map(|run| run.last);
            if let Some(place) = self.runs.iter().position(|run| Some(run.last) == last) {
                self.end_run(place);
                self.runs.remove(place);
            }
        }
        self.runs.push(run);
        self.runs.len() - 1
    }

    fn end_run(&mut self, place: usize) {
        let run = &mut self.runs[place];
        if !run.ended && run.counted && run.errors == 0 {
            self.succeeded += 1;
        }
        run.ended = true;
    }

    /// A run that has written an error, or a second message without one, or that has ended, takes the place of those that
    /// were silent before it began: until then it may fail for the same reason.
    fn supersede(&mut self, place: usize) {
        let run = &self.runs[place];
        if run.messages < 2 && run.errors == 0 && !run.ended {
            return;
        }
        let first = run.first;
        for (other, before) in self.runs.iter_mut().enumerate() {
            before.superseded |= other != place && before.last < first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Line, LineReader};

    /// Messages at the given second: `error` or `info`, with a process id.
    fn tell(runs: &mut Runs, messages: &[(i64, u64, &str)]) {
        for (second, pid, text) in messages {
            let level = if text.contains("fail") { "error" } else { "info" };
            let time = format!("2021-05-31T{:02}:{:02}:{:02}.000Z", second / 3600, second / 60 % 60, second % 60);
            let line = format!("{time}\t{pid}\t1\t1\t{level}\tlog\t{text}");
            let Line::Message(message) = LineReader::default().read(line.as_bytes()) else { panic!("{line}") };
            runs.message(&message, *pid, true);
        }
    }

    fn at(second: i64) -> i64 {
        1_622_419_200_000 + second * 1000
    }

    #[test]
    fn runs_at_the_same_time_are_told_apart() {
        let mut runs = Runs::default();
        tell(&mut runs, &[(0, 1, "begins"), (0, 2, "begins"), (1, 1, "BAS-010007 fails"), (2, 2, "on"), (3, 1, "end")]);
        assert_eq!((runs.last_errors(), runs.failed), (1, 1));
        tell(&mut runs, &[(4, 2, "end")]);
        assert_eq!(runs.last_errors(), 1, "the one that wrote last is not the one that failed");
        let failure = runs.last_failure.unwrap();
        assert_eq!((failure.time, failure.code.unwrap().as_str()), (at(1), "BAS-010007"));
        tell(&mut runs, &[(5, 3, "begins")]);
        assert_eq!(runs.last_errors(), 1, "a run that has just begun puts nothing right");
        tell(&mut runs, &[(6, 3, "goes on")]);
        assert_eq!(runs.last_errors(), 0);
        assert!(runs.end(at(100), |_| false));
        assert_eq!((runs.succeeded, runs.failed), (2, 1));
        assert!(runs.runs.iter().all(|run| run.ended));
    }

    #[test]
    fn a_run_counts_once_and_ends_when_it_is_silent_and_its_process_is_gone() {
        let mut runs = Runs::default();
        tell(&mut runs, &[(0, 1, "fails"), (1, 1, "fails"), (2, 2, "well")]);
        assert_eq!((runs.failed, runs.succeeded), (1, 0));
        assert!(!runs.end(at(61), |_| true));
        assert!(runs.end(at(62), |pid| pid == 1));
        assert_eq!((runs.failed, runs.succeeded), (1, 1));
        assert_eq!(runs.last_errors(), 0, "a run of one message that has ended");
        runs.end(at(3602), |_| true);
        assert!(runs.runs.iter().all(|run| run.ended));
    }

    #[test]
    fn a_process_id_that_is_used_again_is_another_run() {
        let mut runs = Runs::default();
        tell(&mut runs, &[(0, 1, "fails"), (7200, 1, "begins"), (7201, 1, "ends")]);
        assert_eq!((runs.failed, runs.last_errors()), (1, 0));
        runs.end(at(7300), |_| false);
        assert_eq!((runs.succeeded, runs.failed), (1, 1));
        tell(&mut runs, &[(7301, 1, "fails")]);
        assert_eq!((runs.failed, runs.last_errors()), (2, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_a_run_from_ending() {
        let mut runs = Runs::default();
        tell(&mut runs, &[(4000, 1, "well")]);
        assert!(!runs.end(at(400), |_| false) && !runs.end(at(459), |_| false));
        assert!(runs.end(at(460), |_| false));
        assert_eq!((runs.succeeded, runs.failed), (1, 0));
        tell(&mut runs, &[(4000, 2, "well")]);
        assert!(!runs.end(at(400), |_| false));
        tell(&mut runs, &[(401, 2, "fails")]);
        runs.end(at(500), |_| false);
        assert_eq!((runs.succeeded, runs.failed), (1, 1), "one run, however the clock was set");
    }

    #[test]
    fn what_was_only_glanced_at_is_not_counted() {
        let mut runs = Runs::default();
        let line = b"2021-05-31T00:00:00.000Z\t1\t1\t1\terror\tlog\tfails";
        let Line::Message(message) = LineReader::default().read(line) else { panic!() };
        runs.message(&message, 1, false);
        runs.end(at(100), |_| false);
        assert_eq!((runs.failed, runs.succeeded, runs.last_errors()), (0, 0, 1));
        assert!(runs.last_failure.is_some());
    }

    #[test]
    fn many_runs_are_bounded() {
        let mut runs = Runs::default();
        for pid in 0..1000 {
            tell(&mut runs, &[(pid, pid.unsigned_abs(), "one"), (pid, pid.unsigned_abs(), "two")]);
        }
        assert!(runs.runs.len() <= MAX_RUNS);
        runs.end(at(2000), |_| false);
        assert_eq!(runs.succeeded, 1000);
    }
}
