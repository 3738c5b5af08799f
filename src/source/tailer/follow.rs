//! Follows one log through all its files: the one that is written, and those that were before it.
//!
//! A *generation* is one file's content from its first byte on: a rotation begins a new one under the same name, and so
//! does a truncation under the same inode. Every generation is opened when it is first seen and kept open until it has been
//! read to its end, whatever happens to its name: only a reader that never saw a name of it loses it, and then says so.
//!
//! Knows names, inodes and bytes; what a line means is for the caller. It never waits: anything but a regular file
//! is left alone.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::parse::tail::{FINGERPRINT_BYTES, Fingerprint, Lines, MAX_LINE_BYTES, Position, Step};

/// The most generations of one log that are kept open. A reader that has fallen so far behind gives up the oldest,
/// or deleted files would fill the disk.
const MAX_GENERATIONS: usize = 32;

/// How many files that were read to their end are remembered.
const MAX_FINISHED: usize = 4;

/// How often a file must have been looked at in vain, survey after survey, before its descriptor is given back.
const RESTED: u8 = 2;

/// How much of a file's end is read for what it last said, in bytes.
const TAIL_BYTES: u64 = 64 * 1024;

/// Two files' change times that are further apart than this, in nanoseconds, weren't set by the same rename.
const SAME_RENAME: i128 = 20_000_000;

/// Why a log can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The exporter's user may not read it.
    Permission,
    /// It is no regular file.
    NotAFile,
    /// There are more than may be followed, or the exporter has no descriptor left.
    Limit,
    /// The machine failed to read it.
    Failure,
}

impl Trouble {
    /// The label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Trouble::Permission => "permission",
            Trouble::NotAFile => "not_a_file",
            Trouble::Limit => "limit",
            Trouble::Failure => "failure",
        }
    }

    /// What an error of the machine means for the file.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Trouble::Permission,
            _ if matches!(
                rustix::io::Errno::from_io_error(error),
                Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
            ) =>
            {
                Trouble::Limit
            }
            _ => Trouble::Failure,
        }
    }
}

/// What was done with a log's bytes; kept across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Bytes that were read to their line's end, skipped ones included.
    pub read_bytes: u64,
    /// Bytes that are in no line that was counted: rests of lines without end, and what was lost, as far as known.
    pub skipped_bytes: u64,
    /// How often a new generation took the place of the one before.
    pub rotations: u64,
}

/// How far a file had been read, and how to know it again; kept across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The device number.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// How many of the first bytes the fingerprint covers.
    pub length: usize,
    /// The fingerprint's hash.
    pub hash: u64,
    /// How far it had been read.
    pub offset: u64,
    /// Whether that is within a line that was cut.
    pub skipping: bool,
    /// Whether NUL bytes right before that were skipped.
    #[serde(default)]
    pub after_nul: bool,
    /// How large it was.
    pub size: u64,
    /// Whether it was being written, as far as was seen: under the log's own name, not under that of the file before.
    pub current: bool,
    /// Whether it took the place of another and that is not counted yet.
    #[serde(default)]
    pub follows: bool,
}

impl Kept {
    const fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    const fn position(&self) -> Position {
        Position { offset: self.offset, skipping: self.skipping, after_nul: self.after_nul }
    }

    /// Whether a file with this inode, size and beginning is the one that was kept.
    ///
    /// A whole fingerprint is no other file's. Then the device may have another number since the machine was started, as
    /// it has on network file systems and volumes; and the file may end before what was read of it, its last writes lost
    /// with the machine.
    fn is(&self, identity: (u64, u64), size: u64, beginning: &[u8]) -> bool {
        let print = Fingerprint { length: self.length, hash: self.hash };
        let is_whole = self.length >= FINGERPRINT_BYTES && self.inode == identity.1;
        print.matches(beginning) && (is_whole || self.identity() == identity && size >= self.offset)
    }

    /// What had not been read of it, in bytes.
    #[must_use]
    pub const fn unread(&self) -> u64 {
        self.size.saturating_sub(self.offset)
    }
}

/// Where the reading of a log's files begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the first byte.
    Beginning,
    /// Behind the last: what is there now is not counted.
    End,
}

struct Generation {
    identity: (u64, u64),
    /// None while the file may not be opened.
    file: Option<File>,
    print: Fingerprint,
    position: Position,
    /// Size and time of the last change, when last looked at.
    size: u64,
    modified: (i64, i64),
    /// How large it is known to have been with the content that the fingerprint is of.
    grown_to: u64,
    /// Read to its end as far as was seen; nothing is to be done until size or time change.
    quiet: bool,
    /// Why it could not be read the last time.
    failed: Option<Trouble>,
    rested: u8,
    /// Whether its place was kept from before a restart.
    restored: bool,
    /// Whether the log's own name was its name when last looked.
    current: bool,
    /// Whether it took the place of another and that is to be counted when its first bytes are there: until then it
    /// can't be known again after a restart, and would be counted again.
    follows: bool,
}

impl Generation {
    fn new(file: Option<File>, meta: &Metadata, beginning: &[u8], position: Position) -> Self {
        Generation {
            identity: identity(meta),
            file,
            print: Fingerprint::of(beginning),
            position,
            size: meta.len(),
            modified: modified(meta),
            grown_to: position.offset,
            quiet: false,
            failed: None,
            rested: 0,
            restored: false,
            current: false,
            follows: false,
        }
    }

    /// Takes note of how the file looks now.
    fn saw(&mut self, meta: &Metadata, tally: &mut Tally) {
        if meta.len() < self.size {
            self.grown_to = self.grown_to.max(self.size);
            self.restart(tally);
        } else if meta.len() != self.size || modified(meta) != self.modified {
            self.quiet = false;
        }
        self.size = meta.len();
        self.modified = modified(meta);
    }

    /// The file was truncated: what is in it now is new. What had been seen in it and not read is lost.
    fn restart(&mut self, tally: &mut Tally) {
        tally.skipped_bytes += self.grown_to.saturating_sub(self.position.offset);
        self.follows = true;
        self.position = Position::default();
        self.print = Fingerprint::default();
        self.grown_to = 0;
        self.size = 0;
        self.quiet = false;
    }

    const fn unread(&self) -> u64 {
        self.size.saturating_sub(self.position.offset)
    }

    const fn kept(&self) -> Kept {
        Kept {
            device: self.identity.0,
            inode: self.identity.1,
            length: self.print.length,
            hash: self.print.hash,
            offset: self.position.offset,
            skipping: self.position.skipping,
            after_nul: self.position.after_nul,
            size: self.size,
            current: self.current,
            follows: self.follows,
        }
    }

    /// Reads once. Whether there may be more; how many bytes it was.
    fn read(&mut self, buffer: &mut [u8], tally: &mut Tally, lines: &mut impl Lines) -> io::Result<Option<usize>> {
        if self.quiet {
            return Ok(None);
        }
        let Some(file) = &self.file else { return Ok(None) };
        let count = read_at(file, buffer, self.position.offset)?;
        let bytes = &buffer[..count];
        // Bytes are only taken when the beginning is still the same *after* they were read: else they may be of
        // what was written after a truncation.
        let from_start = self.position.offset == 0;
        if from_start {
            if !self.print.matches(bytes) {
                self.restart(tally);
            }
            self.print = Fingerprint::of(bytes);
        } else {
            let mut beginning = [0; FINGERPRINT_BYTES];
            let length = read_at(file, &mut beginning, 0)?;
            if !self.print.matches(&beginning[..length]) {
                self.restart(tally);
                return Ok(Some(0));
            }
            if self.print.length < FINGERPRINT_BYTES {
                self.print = Fingerprint::of(&beginning[..length]);
            }
        }
        if self.follows && count > 0 {
            self.follows = false;
            tally.rotations += 1;
        }
        if self.position.offset == 0 && count > 0 {
            lines.begin();
        }
        self.grown_to = self.grown_to.max(self.size).max(self.position.offset + count as u64);
        let Step { consumed, skipped } = self.position.feed(bytes, MAX_LINE_BYTES, |line| lines.line(line));
        tally.read_bytes += consumed as u64;
        tally.skipped_bytes += skipped;
        self.quiet = count < buffer.len();
        Ok(Some(consumed))
    }

    /// The end of a file that is left behind: a last line without an end counts now.
    fn finish(mut self, buffer: &mut [u8], tally: &mut Tally, lines: &mut impl Lines) -> Kept {
        self.quiet = false;
        while matches!(self.read(buffer, tally, lines), Ok(Some(consumed)) if consumed > 0) {
            self.quiet = false;
        }
        if let Some(file) = &self.file
            && let Ok(count) = read_at(file, &mut buffer[..MAX_LINE_BYTES], self.position.offset)
        {
            self.position.finish(&buffer[..count], |line| lines.line(line));
            tally.read_bytes += count as u64;
            self.size = self.size.max(self.position.offset);
        }
        tally.skipped_bytes += self.unread();
        self.kept()
    }
}

/// One log and its files.
pub struct Follower {
    current: PathBuf,
    /// Where the files before the current one may be found, the oldest first.
    earlier: Vec<PathBuf>,
    begin: Begin,
    /// Whether no other name can be one of its files'.
    is_alone: bool,
    generations: VecDeque<Generation>,
    /// The last files that were read to their end and closed: a name of theirs may stay, and they must not be taken for
    /// new ones.
    finished: Vec<Kept>,
    /// Files that were being read before a restart, and have not been found again yet.
    restore: Vec<Kept>,
    /// What was done so far.
    pub tally: Tally,
    trouble: Option<Trouble>,
    /// The trouble that was told last.
    told: Option<Trouble>,
}

impl Follower {
    /// Follows the file `current`; the files that were before it are to be found at `earlier`, the oldest first.
    #[must_use]
    pub fn new(current: PathBuf, earlier: Vec<PathBuf>, begin: Begin) -> Self {
        Follower {
            current,
            earlier,
            begin,
            is_alone: false,
            generations: VecDeque::new(),
            finished: Vec::new(),
            restore: Vec::new(),
            tally: Tally::default(),
            trouble: None,
            told: None,
        }
    }

    /// Follows the file `path`, from its first byte on, which is a log of its own: none is ever moved away, and what is
    /// put in its place is new, also where it has the inode number of a file before.
    #[must_use]
    pub fn alone(path: PathBuf) -> Self {
        Follower { is_alone: true, ..Follower::new(path, Vec::new(), Begin::Beginning) }
    }

    /// Goes on where [`Follower::kept`] was taken.
    pub fn restore(&mut self, files: Vec<Kept>, finished: Vec<Kept>, tally: Tally) {
        self.begin = Begin::Beginning;
        // A file without a beginning can't be known again: its inode number may be another one's now. Nothing was read
        // of it either.
        self.restore = files.into_iter().filter(|kept| kept.length > 0 || kept.offset > 0).collect();
        self.finished = finished;
        self.tally = tally;
    }

    /// How far every file has been read, the oldest first, and the last ones that were finished.
    #[must_use]
    pub fn kept(&self) -> (Vec<Kept>, Vec<Kept>) {
        let restore = self.restore.iter().copied();
        (restore.chain(self.generations.iter().map(Generation::kept)).collect(), self.finished.clone())
    }

    /// The name of the file that is being written.
    #[must_use]
    pub fn current(&self) -> &Path {
        &self.current
    }

    /// The log goes on under another name.
    pub fn rename(&mut self, current: PathBuf, earlier: Vec<PathBuf>) {
        self.current = current;
        self.earlier = earlier;
    }

    /// Whether nothing of what is there at the first look is to be counted.
    #[must_use]
    pub fn begins_at_end(&self) -> bool {
        self.begin == Begin::End
    }

    /// Why the log can't be read, as of the last look at it.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Says in the exporter's log that the log can't be read, or can again; each once.
    pub fn tell_trouble(&mut self) {
        if std::mem::replace(&mut self.told, self.trouble) == self.trouble {
            return;
        }
        let path = self.current.display();
        match self.trouble {
            Some(trouble) => tracing::warn!(%path, reason = trouble.label(), "can't follow the log; it is tried again"),
            None => tracing::info!(%path, "the log can be followed again"),
        }
    }

    /// Whether no file of the log is there or left to be read.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.generations.is_empty()
    }

    /// The current file's size and what is not read yet of all files, in bytes, as of the last look at them.
    #[must_use]
    pub fn size_and_lag(&self) -> (u64, u64) {
        let size = self.generations.back().map_or(0, |last| last.size);
        (size, self.generations.iter().map(Generation::unread).sum())
    }

    /// When the current file was last written, in seconds and nanoseconds since 1970-01-01 UTC, as of the last look at
    /// it; none while no file has the log's name.
    #[must_use]
    pub fn modified(&self) -> Option<(i64, i64)> {
        self.generations.back().filter(|last| last.current).map(|last| last.modified)
    }

    /// Whether something may be read.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let waits = |generation: &Generation| !generation.quiet && generation.file.is_some();
        self.generations.iter().any(waits) || self.generations.len() > 2
    }

    /// Looks at the log's files and opens those that are new. Whether something may be read.
    pub fn observe(&mut self) -> bool {
        self.trouble = None;
        let mut looked_at = None;
        for generation in &mut self.generations {
            generation.current = false;
        }
        // A rotation while we look is seen by looking again.
        for _ in 0..3 {
            match look(&self.current) {
                Ok(Some(meta)) if !meta.is_file() => {
                    self.trouble = Some(Trouble::NotAFile);
                    break;
                }
                Ok(Some(meta)) => {
                    let known = self.generations.iter().position(|open| open.identity == identity(&meta));
                    if let Some(place) = known {
                        looked_at = Some(identity(&meta));
                        self.generations[place].saw(&meta, &mut self.tally);
                        self.generations[place].current = true;
                        if place + 1 < self.generations.len()
                            && let Some(back_again) = self.generations.remove(place)
                        {
                            self.generations.push_back(back_again);
                        }
                        break;
                    }
                    if !self.advance() {
                        break;
                    }
                }
                Ok(None) => {
                    // Deleted; or rotated and not there again yet, maybe not for the first time.
                    if self.generations.is_empty() || !self.restore.is_empty() || self.is_last_unlinked() {
                        self.advance();
                    }
                    break;
                }
                Err(error) => {
                    self.trouble = Some(Trouble::of(&error));
                    break;
                }
            }
        }
        self.open_what_could_not_be_opened();
        for generation in self.generations.iter_mut().filter(|generation| Some(generation.identity) != looked_at) {
            if let Some(Ok(meta)) = generation.file.as_ref().map(File::metadata) {
                generation.saw(&meta, &mut self.tally);
            }
        }
        for generation in &mut self.generations {
            if let Some(failed) = generation.failed.take() {
                self.trouble = Some(failed);
                generation.quiet = false;
            }
        }
        self.has_more()
    }

    /// Gives the lines of the file's end to `lines` without counting them, and begins behind the last complete one; where
    /// there is none, those of the file before it.
    ///
    /// For the first look at a log that is followed from its end. Whether the end is within what has lines before; none
    /// while the file may not be opened.
    pub fn peek(&mut self, buffer: &mut [u8], lines: &mut impl Lines) -> Option<bool> {
        let Some(last) = self.generations.back_mut() else { return Some(false) };
        let file = last.file.as_ref()?;
        let end = last.position.offset;
        let Ok(position) = peek_at(file, end, buffer, lines) else { return Some(end > 0) };
        last.position = position;
        if position.offset == 0
            && let Some(Ok(file)) = self.earlier.last().map(|path| open(path))
            && let Ok(meta) = file.metadata()
            && meta.is_file()
        {
            // What can't be read here tells nothing, and is told by nothing else either: it is not followed.
            let _ = peek_at(&file, meta.len(), buffer, lines);
        }
        Some(end > 0)
    }

    /// Reads about `budget` bytes, older files first, and gives every line to `lines`.
    ///
    /// Returns how many bytes were consumed; [`Follower::has_more`] tells whether to come again.
    pub fn read(&mut self, buffer: &mut [u8], budget: usize, lines: &mut impl Lines) -> usize {
        let mut consumed = 0;
        let mut place = 0;
        while place < self.generations.len() && consumed < budget {
            match self.generations[place].read(buffer, &mut self.tally, lines) {
                Ok(Some(bytes)) => {
                    consumed += bytes;
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    // It is tried again at the next look.
                    let trouble = Some(Trouble::of(&error));
                    self.trouble = trouble;
                    self.generations[place].failed = trouble;
                    self.generations[place].quiet = true;
                }
            }
            // The last two stay: their writer may not have closed the one that it renamed.
            if place == 0 && self.generations.len() > 2 {
                self.let_go(buffer, lines);
            } else {
                place += 1;
            }
        }
        consumed
    }

    /// To be called from time to time, after [`Follower::observe`]: gives back the descriptors of files that are read to
    /// their end and left behind.
    pub fn settle(&mut self, buffer: &mut [u8], lines: &mut impl Lines) {
        for place in 0..self.generations.len() {
            let rests = self.generations[place].quiet
                || self.generations[place].file.is_none() && !self.has_a_name(self.generations[place].identity);
            let generation = &mut self.generations[place];
            generation.rested = if rests { generation.rested.saturating_add(1) } else { 0 };
        }
        while self.generations.len() > 1 && self.generations[0].rested >= RESTED {
            self.let_go(buffer, lines);
        }
        if self.generations.len() == 1
            && self.generations[0].rested >= RESTED
            && !self.generations[0].current
            && !self.has_a_name(self.generations[0].identity)
        {
            self.let_go(buffer, lines);
        }
    }

    fn remember(&mut self, finished: Kept) {
        if self.is_alone {
            return;
        }
        let mut known = std::mem::take(&mut self.finished);
        if known.len() >= MAX_FINISHED {
            // One that has lost its names is the one to forget.
            let nameless = known.iter().position(|kept| !self.has_a_name(kept.identity()));
            known.remove(nameless.unwrap_or(0));
        }
        known.push(finished);
        self.finished = known;
    }

    fn let_go(&mut self, buffer: &mut [u8], lines: &mut impl Lines) {
        if let Some(first) = self.generations.pop_front() {
            let kept = first.finish(buffer, &mut self.tally, lines);
            self.remember(kept);
        }
    }

    /// Whether a file can still be found under one of the log's names, as far as can be told.
    fn has_a_name(&self, wanted: (u64, u64)) -> bool {
        self.earlier.iter().chain([&self.current]).any(|path| match look(path) {
            Ok(Some(meta)) => identity(&meta) == wanted,
            Ok(None) => false,
            Err(_) => true,
        })
    }

    fn is_last_unlinked(&self) -> bool {
        let last = self.generations.back().and_then(|last| last.file.as_ref());
        last.and_then(|file| file.metadata().ok()).is_some_and(|meta| meta.nlink() == 0)
    }

    /// Opens every file that isn't known yet and puts it in its order. Whether there was one.
    ///
    /// The order of looking matters: the earlier file, the current, the earlier again. A rotation in between shows
    /// itself the second time, so that nothing that has a name is missed.
    fn advance(&mut self) -> bool {
        let mut found: Vec<Generation> = Vec::new();
        let mut oldest: Option<Metadata> = None;
        let earlier = std::mem::take(&mut self.earlier);
        for path in &earlier {
            if let Some((generation, meta)) = self.open_if_new(path, &found) {
                oldest = oldest.or(Some(meta));
                found.push(generation);
            }
        }
        let current = std::mem::take(&mut self.current);
        let newest = self.open_if_new(&current, &found).map(|(generation, _)| generation);
        let had_newest = newest.is_some();
        found.extend(newest);
        if had_newest {
            for path in &earlier {
                if let Some((generation, _)) = self.open_if_new(path, &found) {
                    found.insert(found.len() - 1, generation);
                }
            }
        }
        self.current = current;
        self.earlier = earlier;
        if found.is_empty() {
            return false;
        }
        self.account_for_what_was_kept(&mut found, oldest.as_ref());
        self.account_for_what_was_missed(oldest.as_ref());
        let mut follows = !self.generations.is_empty() || !self.finished.is_empty();
        if self.begin == Begin::End {
            // What is before the current file belongs to the time before us.
            let newest = if had_newest { found.pop() } else { None };
            if let Some(older) = found.pop() {
                self.remember(older.kept());
            }
            found = newest.into_iter().collect();
            follows = false;
        }
        self.begin = Begin::Beginning;
        for mut generation in found {
            if !generation.restored {
                generation.follows = follows;
            }
            follows = true;
            self.generations.push_back(generation);
        }
        while self.generations.len() > MAX_GENERATIONS {
            if let Some(first) = self.generations.pop_front() {
                self.tally.skipped_bytes += first.unread();
                self.tally.rotations += u64::from(first.follows);
                self.remember(first.kept());
            }
        }
        true
    }

    fn open_if_new(&mut self, path: &Path, found: &[Generation]) -> Option<(Generation, Metadata)> {
        let is_open = |meta: &Metadata, this: &Self| {
            this.generations.iter().chain(found).any(|open| open.identity == identity(meta))
        };
        let meta = self.note(look(path))??;
        if !meta.is_file() {
            self.trouble = Some(Trouble::NotAFile);
            return None;
        }
        if is_open(&meta, self) {
            return None;
        }
        match open(path) {
            Ok(file) => {
                let meta = self.note(file.metadata())?;
                if !meta.is_file() || is_open(&meta, self) {
                    return None;
                }
                let mut beginning = [0; FINGERPRINT_BYTES];
                let length = self.note(read_at(&file, &mut beginning, 0))?;
                let beginning = &beginning[..length];
                let same = |kept: &Kept| kept.is(identity(&meta), meta.len(), beginning);
                let finished = self.finished.iter().position(|kept| kept.length > 0 && same(kept));
                if finished.is_some_and(|place| self.finished[place].offset == meta.len()) {
                    return None;
                }
                let restored = self.restore.iter().position(same).map(|place| self.restore.remove(place));
                // One that was finished and has grown since goes on.
                let restored = restored.or_else(|| finished.map(|place| self.finished.remove(place)));
                Some((self.take_up(Some(file), &meta, beginning, restored), meta))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                let trouble = Trouble::of(&error);
                self.trouble = Some(trouble);
                if trouble != Trouble::Permission {
                    return None;
                }
                // Its name may be gone when it can be read: remember where to begin, or what is lost.
                let same = |kept: &Kept| kept.identity() == identity(&meta) && meta.len() >= kept.offset;
                let restored = self.restore.iter().position(same).map(|place| self.restore.remove(place));
                let mut generation = self.take_up(None, &meta, &[], restored);
                if let Some(kept) = restored {
                    generation.print = Fingerprint { length: kept.length, hash: kept.hash };
                }
                Some((generation, meta))
            }
        }
    }

    /// A file where it was left, or where new ones begin.
    fn take_up(&self, file: Option<File>, meta: &Metadata, beginning: &[u8], restored: Option<Kept>) -> Generation {
        let start = match (restored, self.begin) {
            (Some(kept), _) if kept.offset > meta.len() => Position { offset: meta.len(), ..Position::default() },
            (Some(kept), _) => kept.position(),
            (None, Begin::End) => Position { offset: meta.len(), ..Position::default() },
            (None, Begin::Beginning) => Position::default(),
        };
        let mut generation = Generation::new(file, meta, beginning, start);
        if let Some(kept) = restored {
            generation.restored = true;
            generation.follows = kept.follows;
        }
        generation
    }

    fn note<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result.map_err(|error| self.trouble = Some(Trouble::of(&error))).ok()
    }

    fn open_what_could_not_be_opened(&mut self) {
        for generation in self.generations.iter_mut().filter(|generation| generation.file.is_none()) {
            for path in self.earlier.iter().chain([&self.current]) {
                match open(path).and_then(|file| Ok((file.metadata()?, file))) {
                    Ok((meta, file)) if meta.is_file() && identity(&meta) == generation.identity => {
                        generation.file = Some(file);
                        generation.saw(&meta, &mut self.tally);
                        generation.quiet = false;
                        break;
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => self.trouble = Some(Trouble::of(&error)),
                }
            }
        }
    }

    /// After a restart: what was being read and is no more.
    fn account_for_what_was_kept(&mut self, found: &mut Vec<Generation>, oldest: Option<&Metadata>) {
        if self.restore.is_empty() && !found.iter().any(|generation| generation.restored) {
            return;
        }
        match found.iter().position(|generation| generation.restored) {
            // What is older than a file that was being read had been read before it.
            Some(first) => {
                if let Some(older) = found.drain(..first).next_back() {
                    self.remember(older.kept());
                }
                self.tally.skipped_bytes += self.restore.iter().map(Kept::unread).sum::<u64>();
            }
            // Two generations or more have passed. The one that was being written grew on, by all appearances until
            // it was as large as its successor.
            None => {
                let grown_to = oldest.map_or(0, Metadata::len);
                let lost = |kept: &Kept| {
                    let size = if kept.current { kept.size.max(grown_to) } else { kept.size };
                    size.saturating_sub(kept.offset)
                };
                self.tally.skipped_bytes += self.restore.iter().map(lost).sum::<u64>();
            }
        }
        self.restore.clear();
    }

    /// Tells whether generations came and went between the last that is known and `oldest`, the one that is found
    /// under the earlier name.
    ///
    /// The rename that put a file under the earlier name unlinked the file that was there before, and both have the time of it as
    /// their change time. When the last that is known was unlinked at another time, others were in between; how many,
    /// and how large they were, is told by the one that is there.
    fn account_for_what_was_missed(&mut self, oldest: Option<&Metadata>) {
        let Some(oldest) = oldest else { return };
        let Some(last) = self.generations.back() else { return };
        let Some(Ok(last)) = last.file.as_ref().map(File::metadata) else { return };
        if last.nlink() > 0 {
            return;
        }
        let gap = changed(oldest) - changed(&last);
        let lived = oldest.created().ok().and_then(|created| created.duration_since(std::time::UNIX_EPOCH).ok());
        let lived = lived.map_or(gap, |created| changed(oldest) - i128::try_from(created.as_nanos()).unwrap_or(0));
        if gap > SAME_RENAME && gap > lived / 2 {
            let missed = u64::try_from((gap + lived / 2) / lived.max(1)).unwrap_or(1).max(1);
            self.tally.skipped_bytes += missed.saturating_mul(oldest.len());
            self.tally.rotations += missed;
        }
    }
}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn modified(meta: &Metadata) -> (i64, i64) {
    (meta.mtime(), meta.mtime_nsec())
}

fn changed(meta: &Metadata) -> i128 {
    i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec())
}

/// What is at `path`, symbolic links followed; none when nothing is.
fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match path.metadata() {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens without waiting, whatever it is.
fn open(path: &Path) -> io::Result<File> {
    crate::source::without_waiting().read(true).open(path)
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Gives the lines before `end` to `lines`, as many as there is room for; the position behind the last complete one.
fn peek_at(file: &File, end: u64, buffer: &mut [u8], lines: &mut impl Lines) -> io::Result<Position> {
    let begin = end.saturating_sub(TAIL_BYTES.min(buffer.len() as u64));
    let length = usize::try_from(end - begin).unwrap_or(0).min(buffer.len());
    let count = read_at(file, &mut buffer[..length], begin)?;
    // The first line is cut unless the file begins with it.
    let mut position = Position { offset: begin, skipping: begin > 0, after_nul: false };
    position.feed(&buffer[..count], MAX_LINE_BYTES, |line| lines.line(line));
    Ok(position)
}
