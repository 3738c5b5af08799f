//! When each log is looked at and read, and how long the reader may rest: surveys of everything, looks where a hint came or
//! where none will, and a little of each log in turn.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::folders::{Hints, remedy};
use super::kind::LogKind;
use super::log::{Log, Stage};
use super::{BUFFER, Difference, FirstSurvey, GATHER, Tailer, TurnRest, Unsure};
use crate::parse::tail::RawLine;
use crate::source::kit::Miss;

/// A log that was not written to for so long is not looked at in every survey where hints come.
const IDLE: Duration = Duration::from_secs(30);

/// After so many surveys that is known.
const IDLE_SURVEYS: usize = 2;

/// One survey in so many looks at it all the same: with hints and without.
const IDLE_ROUNDS: (usize, usize) = (12, 3);

/// One survey in so many looks at a folder that hints come of: nothing hints that another volume was mounted there.
const FOLDER_ROUND: usize = 3;

/// One survey in so many lists every folder, whatever it looks like.
const FULL_ROUND: usize = 6;

/// How often a folder without hints is looked at, and every log in it that was written to lately.
const POLL: Duration = Duration::from_millis(100);

/// How often a folder without hints is looked at when no log in it is being written.
const IDLE_POLL: Duration = Duration::from_millis(250);

/// How often every log in a folder without hints is looked at.
const SWEEP: Duration = Duration::from_secs(2);

/// The same, while much is being written.
const GATHER_BUSY: Duration = Duration::from_millis(5);

/// A turn that read more bytes than this found much being written.
const BUSY_BYTES: usize = 1024 * 1024;

/// What is read of one log in its turn, in bytes.
const LOG_TURN: usize = 2 * BUFFER;

/// How long a turn may read before it is time to look for rotations again.
const TURN: Duration = Duration::from_millis(20);

/// How often conclusions are drawn from the silence of a log.
const SETTLE: Duration = Duration::from_secs(1);

/// How many logs are closed at once when descriptors are scarce.
const PARK: usize = 32;

impl<K: LogKind> Tailer<K> {
    pub(super) fn rest(&self, now: Instant, hinted: bool, read: usize) -> TurnRest {
        let zero = Duration::ZERO;
        if self.logs.iter().any(|log| log.follower.has_more()) {
            return TurnRest { at_least: zero, at_most: zero };
        }
        let until = |at: Option<Instant>| at.map_or(zero, |at| at.saturating_duration_since(now));
        let until_survey = until(self.next_survey);
        if read > BUSY_BYTES {
            return TurnRest { at_least: GATHER_BUSY, at_most: GATHER.min(until_survey).max(GATHER_BUSY) };
        }
        let mut at_most = until_survey;
        if K::HAS_HINTS {
            for folder in self.folders.iter().filter(|folder| folder.is_polled() && !folder.logs.is_empty()) {
                let hot = folder.logs.values().any(|log| self.logs[*log].is_hot(now));
                at_most = at_most.min(if hot { POLL } else { IDLE_POLL });
            }
            if self.folders.iter().any(|folder| folder.is_polled() && !folder.is_instance)
                || self.logs.iter().any(|log| log.link)
            {
                at_most = at_most.min(IDLE_POLL);
            }
        }
        if self.next_settle.is_some() {
            at_most = at_most.min(until(self.next_settle));
        }
        if self.logs.iter().any(|log| log.dirty) {
            // Descriptors were scarce.
            at_most = at_most.min(POLL);
        }
        let at_least = if hinted || read > 0 { GATHER } else { zero };
        TurnRest { at_least, at_most: at_most.max(Duration::from_millis(1)) }
    }

    /// Whether a log need not be looked at in this survey: it was silent for long, and a hint would come if there are any.
    pub(super) fn rests(&self, place: usize, now: Instant) -> bool {
        let log = &self.logs[place];
        let hints = !K::HAS_HINTS || !log.link && !self.folders[log.folder].is_polled();
        let silent =
            log.grew.is_none_or(|grew| now.saturating_duration_since(grew) > IDLE) && self.surveys > IDLE_SURVEYS;
        let is_there = log.is_listed && log.gone_since.is_none();
        let settled = log.stage == Stage::Followed && !log.dirty && is_there && log.told.is_none();
        let round = if K::HAS_HINTS { IDLE_ROUNDS.0 } else { IDLE_ROUNDS.1 };
        hints && silent && settled && place % round != self.surveys % round
    }

    /// Whether a folder need not be looked at in this survey.
    fn folder_rests(&self, place: usize) -> bool {
        let folder = &self.folders[place];
        let unsure = folder.stale || folder.is_polled() || folder.trouble.is_some() || folder.beyond > 0;
        K::HAS_HINTS && !unsure && self.surveys > IDLE_SURVEYS && place % FOLDER_ROUND != self.surveys % FOLDER_ROUND
    }

    /// Looks at what is hinted, and at what gives no hints.
    pub(super) fn look_where_due(&mut self, now: Instant) {
        for place in 0..self.folders.len() {
            if !K::HAS_HINTS {
                break;
            }
            if matches!(self.folders[place].hints, Hints::Flood(until) if now >= until) {
                self.renew_watch(place, self.folders[place].stamp().as_ref(), now);
                self.folders[place].stale = true;
                self.folders[place].next_sweep = now;
            }
            let folder = &mut self.folders[place];
            if !folder.stale && folder.is_polled() && folder.has_changed(folder.stamp().as_ref()) {
                folder.stale = true;
            }
            if folder.stale {
                self.list(place);
            }
            let folder = &mut self.folders[place];
            if now >= folder.next_sweep {
                folder.next_sweep = now + SWEEP;
                let polled = folder.is_polled();
                for log in folder.logs.values() {
                    let log = &mut self.logs[*log];
                    log.dirty |= polled || log.link;
                }
            }
        }
        for place in 0..self.logs.len() {
            let log = &self.logs[place];
            let polled = K::HAS_HINTS && (self.folders[log.folder].is_polled() || log.link);
            if log.dirty || log.stage == Stage::New || polled && log.is_hot(now) || K::HAS_HINTS && log.is_busy(now) {
                self.look(place, now);
            }
        }
    }

    /// Looks at everything there is.
    pub(super) fn survey(&mut self, now: Instant) {
        self.next_survey = Some(now + K::SURVEY);
        self.surveyed_at = Some(now);
        self.surveys += 1;
        let Some(var) = self.var.clone() else { return };
        let lists_all = self.surveys.is_multiple_of(FULL_ROUND);
        match self.instances.look(&var, lists_all) {
            Ok(()) => {
                self.var_trouble = None;
                self.watch_var(&var);
                for instance in self.instances.found.clone() {
                    self.add_folders(&instance, &var.join(&instance), now);
                }
                self.add_beside(&var, lists_all, now);
                self.first_survey_is_over(now);
            }
            Err(error) => match Miss::at(&var, &error) {
                Miss::Gone => {
                    self.var_trouble = None;
                    self.add_beside(&var, lists_all, now);
                    self.first_survey_is_over(now);
                }
                trouble => {
                    if self.var_trouble.replace(trouble) != Some(trouble) {
                        self.differs(Difference::Some);
                        tracing::warn!(path = %var.display(), %error, kind = K::NAME, "can't list the folders of the instances, so new ones go unseen; {}", remedy(trouble));
                    }
                }
            },
        }
        let unsure = std::mem::replace(&mut self.unsure, Unsure::Nothing);
        for place in 0..self.folders.len() {
            if unsure == Unsure::Nothing && self.folder_rests(place) {
                continue;
            }
            let stamp = self.folders[place].stamp();
            self.renew_watch(place, stamp.as_ref(), now);
            let folder = &self.folders[place];
            let unsure = folder.trouble.is_some() || folder.beyond > 0 || folder.remote || lists_all && !K::HAS_HINTS;
            if folder.stale || unsure || folder.has_changed(stamp.as_ref()) {
                self.list(place);
            }
        }
        // From now on few are new.
        self.logs.shrink_to_fit();
        for place in 0..self.logs.len() {
            if unsure < Unsure::Everything && self.rests(place, now) {
                continue;
            }
            self.look(place, now);
            let log = &mut self.logs[place];
            let before = (log.follower.tally, log.follower.open_files());
            log.follower.settle(&mut self.buffer, &mut log.reading);
            K::was_read(log);
            let is_over = before.1 > log.follower.open_files();
            self.open = self.open + log.follower.open_files() - before.1;
            let gone = log.stage != Stage::New && log.follower.is_gone();
            let was_gone = log.gone_since.is_some();
            log.gone_since = log.gone_since.or(Some(now)).filter(|_| gone);
            if before.0 != log.follower.tally || is_over || gone != was_gone {
                self.log_differs(place, if is_over { Difference::Final } else { Difference::Some });
            }
        }
        self.forget(now);
        if self.first_survey == FirstSurvey::Done && self.var_trouble.is_none() {
            self.kind.surveyed(&self.instances.found);
        }
    }

    /// Looks at one log's files, unless there is no descriptor left to open one.
    pub(super) fn look(&mut self, place: usize, now: Instant) {
        let held = self.logs[place].follower.open_files();
        if held == 0 && self.open >= self.max_open && !self.make_room(place) {
            self.logs[place].dirty = true;
            return;
        }
        let log = &mut self.logs[place];
        log.dirty = false;
        let seen = |log: &Log<K>| {
            let follower = &log.follower;
            (follower.tally, follower.size_and_lag(), follower.modified(), follower.trouble(), follower.is_gone())
        };
        let before = seen(log);
        let stage = log.stage;
        let begins_at_end = log.follower.begins_at_end();
        let grew = log.follower.observe();
        if stage == Stage::New {
            log.stage = if begins_at_end { Stage::Glance } else { Stage::Followed };
        } else if grew {
            log.grew = Some(now);
        }
        if log.stage == Stage::Glance {
            let reading = &mut log.reading;
            let glanced = log.follower.peek(&mut self.buffer, &mut |line: RawLine<'_>| {
                K::glance(reading, line.text());
            });
            if glanced == Some(true) {
                K::glanced(reading);
            }
            if glanced.is_some() {
                log.stage = Stage::Followed;
            }
        }
        log.tell_trouble();
        let after = seen(log);
        let changed = before != after || stage != log.stage;
        if before.0.skipped_bytes != after.0.skipped_bytes || before.0.generations_missed != after.0.generations_missed
        {
            let bytes = after.0.skipped_bytes - before.0.skipped_bytes;
            let generations = after.0.generations_missed - before.0.generations_missed;
            tracing::warn!(path = %log.follower.current().display(), bytes, generations, "some of the log was gone before it could be read");
        }
        let is_final = before.0.rotations != after.0.rotations
            || before.0.skipped_bytes != after.0.skipped_bytes
            || before.4 != after.4
            || after.1.0 < before.1.0;
        self.open = self.open + log.follower.open_files() - held;
        if changed {
            self.log_differs(place, if is_final { Difference::Final } else { Difference::Some });
        }
    }

    /// Closes logs that were read to their end, those first that were silent for longest. Whether there were any.
    fn make_room(&mut self, besides: usize) -> bool {
        let mut places: Vec<usize> = (0..self.logs.len())
            .filter(|place| *place != besides && self.logs[*place].follower.open_files() > 0)
            .collect();
        places.sort_by_key(|place| self.logs[*place].grew);
        let before = self.open;
        for place in places {
            self.open -= self.logs[place].follower.park();
            if before - self.open >= PARK.min(self.max_open / 2) {
                break;
            }
        }
        self.open < before
    }

    /// Reads a little of each log that has more, beginning behind the one that was last. How many bytes.
    pub(super) fn read(&mut self, now: Instant) -> usize {
        let count = self.logs.len();
        let mut read = 0;
        let begin = Instant::now();
        for step in 0..count {
            let place = (self.cursor + step) % count;
            let log = &mut self.logs[place];
            if !log.follower.has_more() {
                continue;
            }
            let before = (log.follower.tally, log.follower.trouble(), log.follower.open_files());
            let bytes = log.follower.read(&mut self.buffer, LOG_TURN, &mut log.reading);
            log.grew = Some(now);
            K::was_read(log);
            self.open = self.open + log.follower.open_files() - before.2;
            let rotated = before.0.rotations != log.follower.tally.rotations;
            if bytes > 0 || (before.0, before.1) != (log.follower.tally, log.follower.trouble()) {
                self.log_differs(place, if rotated { Difference::Final } else { Difference::Some });
            }
            read += bytes;
            if begin.elapsed() >= TURN {
                self.cursor = (place + 1) % count;
                break;
            }
        }
        read
    }

    /// Draws conclusions from the silence of the logs: of those that wait for it, or of all.
    pub(super) fn settle(&mut self, now: Instant, all: bool) {
        if !all && self.next_settle.is_none_or(|next| now < next) && self.difference == Difference::None {
            return;
        }
        let milliseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
        let is_time = all || self.next_settle.is_some_and(|next| now >= next);
        let mut waits = false;
        for place in 0..self.logs.len() {
            let log = &mut self.logs[place];
            let asks = is_time && (all || K::is_unsettled(&log.reading)) && !log.follower.has_more();
            if asks && self.kind.settle(&mut log.reading, milliseconds) {
                self.log_differs(place, Difference::Some);
            }
            waits |= K::is_unsettled(&self.logs[place].reading);
        }
        self.next_settle = waits.then(|| self.next_settle.filter(|next| *next > now).unwrap_or(now + SETTLE));
    }
}
