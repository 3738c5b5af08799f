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
//! it was last seen it is unknown how far it went: it is counted as missed, and in bytes only where the log's other files
//! show that all of them grow to one size.
//!
//! The caller interprets the lines. Never blocks: anything but a regular file is left alone.

mod candidate;
mod file;
mod generation;
mod lost;
mod stored;

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::file::{identity, look, open, peek_at};
use self::generation::{Generation, Handle, ReadOnce, ReadProgress};
pub use self::stored::StoredFile;
use crate::parse::tail::Lines;
use crate::source::kit::Miss;

/// The most generations of one log that are kept open. A reader that has fallen so far behind gives up the oldest,
/// or deleted files would fill the disk.
const MAX_GENERATIONS: usize = 32;

/// How many files that were read to their end are remembered.
const MAX_FINISHED: usize = 4;

/// How often a file must have been looked at in vain, survey after survey, before its descriptor is given back.
const RESTED: u8 = 2;

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

/// Where the reading of a log's files begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the first byte.
    Beginning,
    /// Behind the last: what is there now is not counted.
    End,
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
    /// The last files that were read to their end and closed: a name of theirs may stay, and they must not be treated
    /// as new.
    finished: Vec<StoredFile>,
    /// The size of the file with the log's own name, where that is one of those: moved away, and back.
    rests: Option<u64>,
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
            rests: None,
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
        self.generations.is_empty() && self.rests.is_none()
    }

    /// The current file's size and what is not read yet of all files, in bytes, as of the last look at them.
    #[must_use]
    pub fn size_and_lag(&self) -> (u64, u64) {
        let size = self.generations.back().map(|last| last.size).or(self.rests).unwrap_or_default();
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
        (self.trouble, self.rests) = (None, None);
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
                        let is_finished = self.finished.iter().any(|file| file.identity() == identity(&meta));
                        self.rests = is_finished.then_some(meta.len());
                        break;
                    }
                }
                Ok(None) => {
                    // Deleted; or rotated and not there again yet, maybe not for the first time.
                    if self.generations.is_empty() || !self.missing.is_empty() || self.is_last_unlinked() {
                        self.advance();
                        self.note_removal();
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
        self.release_replaced();
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

    /// A file under an earlier name that was written anew is looked at like one that was not there before: it may be a copy.
    fn release_replaced(&mut self) {
        let has_another = self.generations.iter().any(|generation| generation.current);
        self.generations.retain_mut(|generation| !std::mem::take(&mut generation.is_replaced) || !has_another);
    }

    /// The last file has no name any more and there is no other: it was deleted, not rotated.
    fn note_removal(&mut self) {
        let is_unlinked = self.is_last_unlinked();
        if let Some(last) = self.generations.back_mut() {
            last.was_removed = is_unlinked;
        }
    }

    /// The generation at `place` has the log's own name: it is the last, also when it was moved away and back.
    fn has_current_name(&mut self, place: usize, meta: &Metadata) {
        let generation = &mut self.generations[place];
        generation.current = true;
        self.missing.extend(generation.saw(meta));
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
            // An error is ignored: this file is not followed.
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
                    self.release_replaced();
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

    /// Whether a file can still be found under one of the log's names, as far as is known.
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
}
