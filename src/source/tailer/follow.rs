//! Follows one log through all its files: the one that is written, and those that were before it.
//!
//! A *generation* is one file's content from its first byte on: a rotation begins a new one under the same name, and so
//! does a truncation under the same inode. Every generation is opened when it is first seen and kept open until it has been
//! read to its end, whatever happens to its name; where descriptors are scarce, one that was read is closed ("parked") and
//! opened again when it has grown.
//!
//! # When is a file the one that was read before?
//! When it has the same inode and begins with the same bytes. Another inode is the same content too when its beginning is
//! the same and names nothing new: it was copied to another disk, or an editor has written it anew. Then what was counted is
//! not counted again. A log's lines begin with the time in milliseconds, so that no two generations begin alike; where they
//! do all the same, the name decides: what takes the current name while the file before still has one is a new generation.
//!
//! # What was lost
//! Content that was seen and can't be read any more is counted in bytes. Of a generation that was still being written when
//! it was last seen nobody knows how far it went: it is counted as missed, and in bytes only where the log's other files
//! show that all of them grow to one size.
//!
//! Knows names, inodes and bytes; what a line means is for the caller. It never waits: anything but a regular file
//! is left alone.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use serde::{Deserialize, Serialize};

use crate::parse::tail::{FINGERPRINT_BYTES, Fingerprint, Lines, MAX_LINE_BYTES, Position, Step};
use crate::source::kit::Miss;

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

/// With so many first bytes alike, two files of a log are one content if nothing beyond them had been read: more than the
/// time of its first line.
const SHORT_FINGERPRINT_BYTES: u64 = 48;

/// Two files whose sizes differ by less than one part in so many were rotated for their size.
const REGULAR_SIZE_PARTS: u64 = 10;

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
    /// Generations that were gone before their end could be seen.
    #[serde(default)]
    pub generations_missed: u64,
}

/// How far a file had been read, and how to know it again; kept across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
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

impl StoredFile {
    const fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    const fn position(&self) -> Position {
        Position { offset: self.offset, skipping: self.skipping, after_nul: self.after_nul }
    }

    fn begins(&self, beginning: &[u8]) -> bool {
        Fingerprint { length: self.length, hash: self.hash }.matches(beginning)
    }

    /// Whether it is the file with this identity, size and beginning. With a whole fingerprint the file may end before
    /// what was read of it: its last writes were lost with the machine.
    fn is_file(&self, identity: (u64, u64), size: u64, beginning: &[u8]) -> bool {
        self.identity() == identity
            && self.begins(beginning)
            && (self.length >= FINGERPRINT_BYTES || size >= self.offset)
    }

    /// Whether a file of the same log that begins so is a copy of it: nothing that was read of it is beyond what the
    /// beginnings have in common, or they have a whole fingerprint in common.
    fn is_copied_in(&self, beginning: &[u8]) -> bool {
        let is_whole = self.length >= FINGERPRINT_BYTES;
        let is_short = self.offset >= SHORT_FINGERPRINT_BYTES && self.length as u64 >= self.offset;
        (is_whole || is_short) && self.begins(beginning)
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

/// How a generation's file is held.
#[derive(Debug)]
enum Handle {
    Open(File),
    /// Closed to spare the descriptor: opened again when it has grown.
    Parked,
    /// It may not be opened; it is tried again.
    Denied,
}

impl Handle {
    const fn file(&self) -> Option<&File> {
        match self {
            Handle::Open(file) => Some(file),
            Handle::Parked | Handle::Denied => None,
        }
    }
}

/// What is to be done with a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadProgress {
    /// There may be something to read.
    Behind,
    /// Read to its end as far as was seen; nothing is to be done until size or time change.
    Quiet,
    /// It could not be read the last time; it is tried again at the next look.
    Failed(Miss),
}

struct Generation {
    identity: (u64, u64),
    handle: Handle,
    progress: ReadProgress,
    print: Fingerprint,
    position: Position,
    /// Size and time of the last change, when last looked at.
    size: u64,
    modified: (i64, i64),
    /// How large it is known to have been with the content that the fingerprint is of.
    grown_to: u64,
    rested: u8,
    /// Whether the log's own name was its name when last looked.
    current: bool,
    /// Whether it took the place of another and that is to be counted when its first bytes are there: until then it
    /// can't be known again after a restart, and would be counted again.
    follows: bool,
}

impl Generation {
    /// Takes note of how the file looks now. What was in it before, when it was truncated.
    fn saw(&mut self, meta: &Metadata) -> Option<StoredFile> {
        let mut before = None;
        if meta.len() < self.size {
            self.grown_to = self.grown_to.max(self.size);
            before = Some(self.restart());
        } else if meta.len() != self.size || modified(meta) != self.modified {
            self.progress = ReadProgress::Behind;
        }
        self.size = meta.len();
        self.modified = modified(meta);
        before
    }

    /// The file was truncated: what is in it now is new. What was in it before, as far as that was seen.
    fn restart(&mut self) -> StoredFile {
        let before = StoredFile { size: self.grown_to, current: false, ..self.stored() };
        self.follows = true;
        self.position = Position::default();
        self.print = Fingerprint::default();
        self.grown_to = 0;
        self.size = 0;
        self.progress = ReadProgress::Behind;
        before
    }

    const fn unread(&self) -> u64 {
        self.size.saturating_sub(self.position.offset)
    }

    const fn stored(&self) -> StoredFile {
        StoredFile {
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

    /// Reads once.
    fn read(&mut self, buffer: &mut [u8], tally: &mut Tally, lines: &mut impl Lines) -> io::Result<ReadOnce> {
        if self.progress != ReadProgress::Behind {
            return Ok(ReadOnce::Nothing);
        }
        let Handle::Open(file) = &self.handle else { return Ok(ReadOnce::Nothing) };
        let count = read_at(file, buffer, self.position.offset)?;
        let bytes = &buffer[..count];
        // Bytes are only taken when the beginning is still the same *after* they were read: else they may be of
        // what was written after a truncation.
        let mut beginning = [0; FINGERPRINT_BYTES];
        let beginning = if self.position.offset == 0 {
            bytes
        } else {
            let length = read_at(file, &mut beginning, 0)?;
            &beginning[..length]
        };
        if !self.print.matches(beginning) {
            return Ok(ReadOnce::Truncated(self.restart()));
        }
        if self.print.length < FINGERPRINT_BYTES {
            self.print = Fingerprint::of(beginning);
        }
        if self.follows && count > 0 {
            self.follows = false;
            tally.rotations += 1;
        }
        if self.position.offset == 0 && count > 0 {
            lines.begin();
        }
        let hole = if count == buffer.len() { hole_at(file, self.position.offset, bytes) } else { 0 };
        self.grown_to = self.grown_to.max(self.size).max(self.position.offset + hole.max(count as u64));
        let (consumed, skipped) = if hole > 0 {
            self.position.skip_nul(hole);
            (hole, hole)
        } else {
            let Step { consumed, skipped } = self.position.feed(bytes, MAX_LINE_BYTES, |line| lines.line(line));
            (consumed as u64, skipped)
        };
        tally.read_bytes += consumed;
        tally.skipped_bytes += skipped;
        if count < buffer.len() {
            self.progress = ReadProgress::Quiet;
        }
        Ok(ReadOnce::Consumed(usize::try_from(consumed).unwrap_or(usize::MAX)))
    }

    /// The end of a file that is left behind: a last line without an end counts now.
    fn finish(mut self, buffer: &mut [u8], tally: &mut Tally, lines: &mut impl Lines) -> StoredFile {
        self.progress = ReadProgress::Behind;
        while matches!(self.read(buffer, tally, lines), Ok(ReadOnce::Consumed(consumed)) if consumed > 0) {
            self.progress = ReadProgress::Behind;
        }
        if let Some(file) = self.handle.file()
            && let Ok(count) = read_at(file, &mut buffer[..MAX_LINE_BYTES], self.position.offset)
        {
            self.position.finish(&buffer[..count], |line| lines.line(line));
            tally.read_bytes += count as u64;
            self.size = self.size.max(self.position.offset);
        }
        tally.skipped_bytes += self.unread();
        // It may have grown since it could be read.
        tally.generations_missed += u64::from(self.handle.file().is_none());
        self.stored()
    }
}

/// What one reading of a generation came to.
enum ReadOnce {
    /// There is nothing to do.
    Nothing,
    /// So many bytes were read and given away.
    Consumed(usize),
    /// It begins otherwise now; what it was before.
    Truncated(StoredFile),
}

/// A file under one of the log's names that is not being followed.
struct FileCandidate {
    handle: Handle,
    meta: Metadata,
    beginning: Vec<u8>,
    is_current: bool,
    known: Option<StoredFile>,
}

impl FileCandidate {
    fn identity(&self) -> (u64, u64) {
        identity(&self.meta)
    }

    fn is(&self, stored: &StoredFile) -> bool {
        match self.handle {
            // It can't be seen how it begins.
            Handle::Denied => stored.identity() == self.identity() && self.meta.len() >= stored.offset,
            Handle::Open(_) | Handle::Parked => stored.is_file(self.identity(), self.meta.len(), &self.beginning),
        }
    }

    fn copies(&self, stored: &StoredFile) -> bool {
        !matches!(self.handle, Handle::Denied) && stored.is_copied_in(&self.beginning)
    }

    /// As it is, with nothing of it left to be read.
    fn as_read(&self) -> StoredFile {
        let print = Fingerprint::of(&self.beginning);
        StoredFile {
            device: self.meta.dev(),
            inode: self.meta.ino(),
            length: print.length,
            hash: print.hash,
            offset: self.meta.len(),
            skipping: false,
            after_nul: false,
            size: self.meta.len(),
            current: false,
            follows: false,
        }
    }

    /// The generation that begins where this file was left, or where `begin` says.
    fn into_generation(self, begin: Begin, follows: bool) -> Generation {
        let size = self.meta.len();
        let end = Position { offset: size, ..Position::default() };
        let position = match (&self.known, begin) {
            (Some(known), _) if known.offset > size => end,
            (Some(known), _) => self.resume(known),
            (None, Begin::End) => end,
            (None, Begin::Beginning) => Position::default(),
        };
        let print = match (&self.handle, &self.known) {
            (Handle::Denied, Some(known)) => Fingerprint { length: known.length, hash: known.hash },
            _ => Fingerprint::of(&self.beginning),
        };
        Generation {
            identity: self.identity(),
            print,
            position,
            size,
            modified: modified(&self.meta),
            grown_to: position.offset,
            progress: ReadProgress::Behind,
            rested: 0,
            current: self.is_current,
            follows: self.known.map_or(follows, |known| known.follows),
            handle: self.handle,
        }
    }

    /// The place where `known` was left. In a file that was written anew that may be within a line: its rest is no line.
    fn resume(&self, known: &StoredFile) -> Position {
        let position = known.position();
        let is_same = known.identity() == self.identity() || position.offset == 0 || position.skipping;
        let is_line = |file: &File| {
            let mut before = [0];
            position.after_nul || matches!(read_at(file, &mut before, position.offset - 1), Ok(1) if before[0] == b'\n')
        };
        let within = !is_same && self.handle.file().is_some_and(|file| !is_line(file));
        Position { skipping: position.skipping || within, ..position }
    }
}

/// One log and its files.
pub struct LogFollower {
    current: PathBuf,
    /// Where the files before the current one may be found, the oldest first.
    earlier: Vec<PathBuf>,
    begin: Begin,
    /// Whether no other file can be one of its generations.
    is_alone: bool,
    generations: VecDeque<Generation>,
    /// The last files that were read to their end and closed: a name of theirs may stay, and they must not be taken for
    /// new ones.
    finished: Vec<StoredFile>,
    /// Content that was being read, before a restart or a truncation, and has not been found again.
    missing: Vec<StoredFile>,
    /// What was done so far.
    pub tally: Tally,
    trouble: Option<Miss>,
}

impl LogFollower {
    /// Follows the file `current`; the files that were before it are to be found at `earlier`, the oldest first.
    #[must_use]
    pub fn new(current: PathBuf, earlier: Vec<PathBuf>, begin: Begin) -> Self {
        LogFollower {
            current,
            earlier,
            begin,
            is_alone: false,
            generations: VecDeque::new(),
            finished: Vec::new(),
            missing: Vec::new(),
            tally: Tally::default(),
            trouble: None,
        }
    }

    /// Follows the file `path`, from its first byte on, which is a log of its own: none is ever moved away, and what is
    /// put in its place is new, whatever it holds and also where it has the inode number of a file before.
    #[must_use]
    pub fn alone(path: PathBuf) -> Self {
        LogFollower { is_alone: true, ..LogFollower::new(path, Vec::new(), Begin::Beginning) }
    }

    /// Goes on where [`LogFollower::stored`] was taken.
    pub fn restore(&mut self, files: Vec<StoredFile>, finished: Vec<StoredFile>, tally: Tally) {
        self.begin = Begin::Beginning;
        // A file without a beginning can't be known again: its inode number may be another one's now. Nothing was read
        // of it either.
        self.missing = files.into_iter().filter(|kept| kept.length > 0 || kept.offset > 0).collect();
        self.finished = finished;
        self.tally = tally;
    }

    /// How far every file has been read, the oldest first, and the last ones that were finished.
    #[must_use]
    pub fn stored(&self) -> (Vec<StoredFile>, Vec<StoredFile>) {
        let missing = self.missing.iter().copied();
        (missing.chain(self.generations.iter().map(Generation::stored)).collect(), self.finished.clone())
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
    pub fn trouble(&self) -> Option<Miss> {
        self.trouble
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
        let waits =
            |generation: &Generation| generation.progress == ReadProgress::Behind && generation.handle.file().is_some();
        self.generations.iter().any(waits) || self.generations.len() > 2
    }

    /// How many descriptors it holds.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.generations.iter().filter(|generation| generation.handle.file().is_some()).count()
    }

    /// Closes what has been read to its end and still has the log's name. How many descriptors that gave back.
    pub fn park(&mut self) -> usize {
        let mut parked = 0;
        for generation in &mut self.generations {
            if generation.current && generation.progress == ReadProgress::Quiet && generation.handle.file().is_some() {
                generation.handle = Handle::Parked;
                parked += 1;
            }
        }
        parked
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
                    self.trouble = Some(Miss::NotAFile);
                    break;
                }
                Ok(Some(meta)) => {
                    if let Some(place) = self.generations.iter().position(|open| open.identity == identity(&meta)) {
                        looked_at = Some(identity(&meta));
                        self.has_current_name(place, &meta);
                        break;
                    }
                    if !self.advance() {
                        break;
                    }
                }
                Ok(None) => {
                    // Deleted; or rotated and not there again yet, maybe not for the first time.
                    if self.generations.is_empty() || !self.missing.is_empty() || self.is_last_unlinked() {
                        self.advance();
                    }
                    break;
                }
                Err(error) => {
                    self.trouble = Some(Miss::from(&error));
                    break;
                }
            }
        }
        self.open_what_is_closed();
        for generation in self.generations.iter_mut().filter(|generation| Some(generation.identity) != looked_at) {
            if let Some(Ok(meta)) = generation.handle.file().map(File::metadata) {
                self.missing.extend(generation.saw(&meta));
            }
        }
        for generation in &mut self.generations {
            if let ReadProgress::Failed(failed) = generation.progress {
                self.trouble = Some(failed);
                generation.progress = ReadProgress::Behind;
            }
        }
        if !self.missing.is_empty() && !self.generations.is_empty() {
            // What was truncated may have been copied before.
            self.advance();
        }
        self.has_more()
    }

    /// The generation at `place` has the log's own name: it is the last, also when it was moved away and back.
    fn has_current_name(&mut self, place: usize, meta: &Metadata) {
        let generation = &mut self.generations[place];
        self.missing.extend(generation.saw(meta));
        generation.current = true;
        if place + 1 < self.generations.len()
            && let Some(back_again) = self.generations.remove(place)
        {
            self.generations.push_back(back_again);
        }
    }

    /// Gives the lines of the file's end to `lines` without counting them, and begins behind the last complete one; where
    /// there is none, those of the file before it.
    ///
    /// For the first look at a log that is followed from its end. Whether the end is within what has lines before; none
    /// while the file may not be opened.
    pub fn peek(&mut self, buffer: &mut [u8], lines: &mut impl Lines) -> Option<bool> {
        let Some(last) = self.generations.back_mut() else { return Some(false) };
        let file = last.handle.file()?;
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
    /// Returns how many bytes were consumed; [`LogFollower::has_more`] tells whether to come again.
    pub fn read(&mut self, buffer: &mut [u8], budget: usize, lines: &mut impl Lines) -> usize {
        let mut consumed: usize = 0;
        let mut place = 0;
        while place < self.generations.len() && consumed < budget {
            match self.generations[place].read(buffer, &mut self.tally, lines) {
                Ok(ReadOnce::Consumed(bytes)) => {
                    consumed = consumed.saturating_add(bytes);
                    continue;
                }
                Ok(ReadOnce::Truncated(before)) => {
                    self.missing.push(before);
                    self.advance();
                    // A copy of it may come first now.
                    place = 0;
                    continue;
                }
                Ok(ReadOnce::Nothing) => {}
                Err(error) => {
                    // It is tried again at the next look.
                    let trouble = Miss::from(&error);
                    self.trouble = Some(trouble);
                    self.generations[place].progress = ReadProgress::Failed(trouble);
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

    /// To be called from time to time, after [`LogFollower::observe`]: gives back the descriptors of files that are read
    /// to their end and left behind.
    pub fn settle(&mut self, buffer: &mut [u8], lines: &mut impl Lines) {
        let is_alone_and_current = self.generations.len() == 1 && self.generations[0].current;
        if is_alone_and_current {
            self.generations[0].rested = 0;
            return;
        }
        for place in 0..self.generations.len() {
            let generation = &self.generations[place];
            let rests = generation.progress == ReadProgress::Quiet
                || generation.handle.file().is_none() && !self.has_a_name(generation.identity);
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

    fn remember(&mut self, finished: StoredFile) {
        if self.is_alone {
            return;
        }
        let mut known = std::mem::take(&mut self.finished);
        known.retain(|file| file.identity() != finished.identity());
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
            let finished = first.finish(buffer, &mut self.tally, lines);
            self.remember(finished);
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
        let last = self.generations.back().and_then(|last| last.handle.file());
        last.and_then(|file| file.metadata().ok()).is_some_and(|meta| meta.nlink() == 0)
    }

    /// Opens every file that isn't known yet and puts it in its order. Whether there was one.
    fn advance(&mut self) -> bool {
        let mut found = self.candidates();
        if found.is_empty() && self.generations.is_empty() {
            return false;
        }
        let oldest = found.iter().find(|candidate| !candidate.is_current).map(|candidate| candidate.meta.clone());
        let had_a_past = !self.generations.is_empty() || !self.finished.is_empty() || !self.missing.is_empty();
        if !self.is_alone {
            self.match_copies(&mut found);
        }
        self.account_for_missing(&mut found, oldest.as_ref());
        self.account_for_unseen(oldest.as_ref());
        let found_one = !found.is_empty();
        let mut follows = had_a_past;
        if self.begin == Begin::End && found_one {
            // What is before the current file belongs to the time before us.
            let newest = found.pop_if(|candidate| candidate.is_current);
            if let Some(older) = found.pop() {
                let begin = older.into_generation(Begin::End, false);
                self.remember(begin.stored());
            }
            found = newest.into_iter().collect();
            follows = false;
        }
        for candidate in found {
            let is_current = candidate.is_current;
            let generation = candidate.into_generation(self.begin, follows);
            follows = true;
            // What was before the current file stands before it.
            let before_current = (!is_current).then(|| self.generations.iter().position(|open| open.current)).flatten();
            self.generations.insert(before_current.unwrap_or(self.generations.len()), generation);
        }
        if found_one {
            self.begin = Begin::Beginning;
        }
        while self.generations.len() > MAX_GENERATIONS {
            if let Some(first) = self.generations.pop_front() {
                self.tally.skipped_bytes += first.unread();
                self.tally.rotations += u64::from(first.follows);
                self.remember(first.stored());
            }
        }
        found_one
    }

    /// The files under the log's names that are not known, the oldest first; those that were being read with what is
    /// known of them.
    ///
    /// The order of looking matters: the earlier files, the current, the earlier again. A rotation in between shows
    /// itself the second time, so that nothing that has a name is missed.
    fn candidates(&mut self) -> Vec<FileCandidate> {
        let mut found: Vec<FileCandidate> = Vec::new();
        let earlier = std::mem::take(&mut self.earlier);
        for path in &earlier {
            found.extend(self.candidate(path, false, &found));
        }
        let current = std::mem::take(&mut self.current);
        if let Some(newest) = self.candidate(&current, true, &found) {
            for path in &earlier {
                let unseen = self.candidate(path, false, &found).filter(|it| it.identity() != newest.identity());
                found.extend(unseen);
            }
            found.push(newest);
        }
        self.current = current;
        self.earlier = earlier;
        found
    }

    fn candidate(&mut self, path: &Path, is_current: bool, found: &[FileCandidate]) -> Option<FileCandidate> {
        let is_known = |meta: &Metadata, this: &Self| {
            this.generations.iter().any(|open| open.identity == identity(meta))
                || found.iter().any(|candidate| candidate.identity() == identity(meta))
        };
        let meta = self.note(look(path))??;
        if !meta.is_file() {
            self.trouble = Some(Miss::NotAFile);
            return None;
        }
        if is_known(&meta, self) {
            return None;
        }
        let mut candidate = match open(path) {
            Ok(file) => {
                let meta = self.note(file.metadata())?;
                if !meta.is_file() || is_known(&meta, self) {
                    return None;
                }
                let mut beginning = vec![0; FINGERPRINT_BYTES];
                let length = self.note(read_at(&file, &mut beginning, 0))?;
                beginning.truncate(length);
                FileCandidate { handle: Handle::Open(file), meta, beginning, is_current, known: None }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                let trouble = Miss::from(&error);
                self.trouble = Some(trouble);
                if trouble != Miss::Denied {
                    return None;
                }
                // Its name may be gone when it can be read: remember where to begin, or what is lost.
                FileCandidate { handle: Handle::Denied, meta, beginning: Vec::new(), is_current, known: None }
            }
        };
        if let Some(place) = self.missing.iter().position(|stored| candidate.is(stored)) {
            candidate.known = Some(self.missing.remove(place));
            return Some(candidate);
        }
        self.unless_finished(candidate, |candidate, stored| stored.length > 0 && candidate.is(stored))
    }

    /// None of a file that was read to its end; one that was and has grown since goes on there.
    fn unless_finished(
        &mut self,
        mut candidate: FileCandidate,
        is: impl Fn(&FileCandidate, &StoredFile) -> bool,
    ) -> Option<FileCandidate> {
        let Some(place) = self.finished.iter().position(|stored| is(&candidate, stored)) else {
            return Some(candidate);
        };
        if self.finished[place].offset >= candidate.meta.len() {
            return None;
        }
        candidate.known = Some(self.finished.remove(place));
        Some(candidate)
    }

    /// Finds content that is known under other inode numbers: `var` was copied to another disk, a log was written anew in
    /// place, or copied before it was truncated.
    fn match_copies(&mut self, found: &mut Vec<FileCandidate>) {
        // A file under the name that it had comes first: a copy of it may have another name.
        for same_name in [true, false] {
            for candidate in found.iter_mut().filter(|candidate| candidate.known.is_none()) {
                let is_it = |stored: &StoredFile| {
                    (stored.current == candidate.is_current) == same_name && candidate.copies(stored)
                };
                if let Some(place) = self.missing.iter().position(is_it) {
                    candidate.known = Some(self.missing.remove(place));
                }
            }
        }
        let resumed: Vec<StoredFile> = found.iter().filter_map(|candidate| candidate.known).collect();
        for candidate in std::mem::take(found) {
            let is_known = candidate.known.is_some();
            found.extend(if is_known { Some(candidate) } else { self.unless_copy(candidate, &resumed) });
        }
    }

    /// None of a file that holds what another one does that is being read: that one is read on.
    fn unless_copy(&mut self, mut candidate: FileCandidate, resumed: &[StoredFile]) -> Option<FileCandidate> {
        let twin = self.generations.iter().position(|open| candidate.copies(&open.stored()));
        if candidate.is_current {
            // It has taken the other one's place.
            if let Some(place) = twin.filter(|place| !self.has_a_name(self.generations[*place].identity)) {
                candidate.known = self.generations.remove(place).map(|replaced| replaced.stored());
            }
            return Some(candidate);
        }
        if twin.is_some() || resumed.iter().any(|stored| candidate.copies(stored)) {
            self.remember(candidate.as_read());
            return None;
        }
        self.unless_finished(candidate, |candidate, stored| candidate.copies(stored))
    }

    fn note<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result.map_err(|error| self.trouble = Some(Miss::from(&error))).ok()
    }

    /// Opens what could not be opened before, and what was parked and has something new.
    fn open_what_is_closed(&mut self) {
        for place in 0..self.generations.len() {
            let generation = &self.generations[place];
            let waits = match generation.handle {
                Handle::Open(_) => false,
                Handle::Parked => generation.progress != ReadProgress::Quiet || !generation.current,
                Handle::Denied => true,
            };
            if !waits {
                continue;
            }
            let generation = &mut self.generations[place];
            for path in self.earlier.iter().chain([&self.current]) {
                match open(path).and_then(|file| Ok((file.metadata()?, file))) {
                    Ok((meta, file)) if meta.is_file() && identity(&meta) == generation.identity => {
                        generation.handle = Handle::Open(file);
                        self.missing.extend(generation.saw(&meta));
                        generation.progress = ReadProgress::Behind;
                        break;
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => self.trouble = Some(Miss::from(&error)),
                }
            }
        }
    }

    /// Content that was being read and is no more. Called with the files that were found, of which those that go on are
    /// known.
    fn account_for_missing(&mut self, found: &mut Vec<FileCandidate>, oldest: Option<&Metadata>) {
        if let Some(first) = found.iter().position(|candidate| candidate.known.is_some()) {
            // What is older than a file that was being read had been read before it.
            for older in found.drain(..first).collect::<Vec<_>>() {
                self.remember(older.as_read());
            }
        }
        let typical = self.typical_size(oldest);
        for lost in std::mem::take(&mut self.missing) {
            let mut bytes = lost.unread();
            if lost.current {
                self.tally.generations_missed += 1;
                bytes = bytes.max(typical.map_or(0, |size| size.saturating_sub(lost.offset)));
            }
            self.tally.skipped_bytes += bytes;
        }
    }

    /// The size that all generations of this log have, when the last two that are known show one.
    fn typical_size(&self, oldest: Option<&Metadata>) -> Option<u64> {
        let (one, other) = (oldest?.len(), self.finished.last()?.size);
        (one.abs_diff(other) <= one / REGULAR_SIZE_PARTS).then_some(one)
    }

    /// Tells whether generations came and went between the last that is known and `oldest`, the one that is found
    /// under the earlier name.
    ///
    /// The rename that put a file under the earlier name unlinked the file that was there before, and both have the time of it as
    /// their change time. When the last that is known was unlinked at another time, others were in between; how many,
    /// and how large they were, is told by the one that is there.
    fn account_for_unseen(&mut self, oldest: Option<&Metadata>) {
        let Some(oldest) = oldest else { return };
        let Some(last) = self.generations.back() else { return };
        let Some(Ok(last)) = last.handle.file().map(File::metadata) else { return };
        if last.nlink() > 0 {
            return;
        }
        let gap = changed(oldest) - changed(&last);
        let lived = oldest.created().ok().and_then(|created| created.duration_since(std::time::UNIX_EPOCH).ok());
        let lived = lived.map_or(gap, |created| changed(oldest) - i128::try_from(created.as_nanos()).unwrap_or(0));
        if gap > SAME_RENAME && gap > lived / 2 {
            let missed = u64::try_from((gap + lived / 2) / lived.max(1)).unwrap_or(1).max(1);
            self.tally.rotations += missed;
            self.tally.generations_missed += missed;
            if last.len().abs_diff(oldest.len()) <= last.len() / REGULAR_SIZE_PARTS {
                self.tally.skipped_bytes += missed.saturating_mul(oldest.len());
            }
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
///
/// # Errors
/// Also when there is a link to nothing.
fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match path.metadata() {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let is_link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
            if is_link { Err(rustix::io::Errno::LOOP.into()) } else { Ok(None) }
        }
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

/// How many bytes from `offset` on are a hole in the file, when `bytes`, which were read there, are all NUL: a sparse file
/// may have gigabytes of them. Zero when there is none, or the file system can't tell.
fn hole_at(file: &File, offset: u64, bytes: &[u8]) -> u64 {
    if bytes.iter().any(|byte| *byte != 0) {
        return 0;
    }
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data.saturating_sub(offset),
        // There is nothing but a hole up to the end.
        Err(rustix::io::Errno::NXIO) => file.metadata().map_or(0, |meta| meta.len().saturating_sub(offset)),
        Err(_) => 0,
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
