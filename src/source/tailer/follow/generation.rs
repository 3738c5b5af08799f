//! One generation of a log: a file's content from its first byte on, and how far it has been read.

use std::fs::{File, Metadata};
use std::io;

use super::Tally;
use super::file::{hole_at, modified, read_at};
use super::stored::StoredFile;
use crate::parse::tail::{FINGERPRINT_BYTES, Fingerprint, Lines, MAX_LINE_BYTES, Position, Step};
use crate::source::kit::Miss;

/// How a generation's file is held.
#[derive(Debug)]
pub(super) enum Handle {
    Open(File),
    /// Closed to spare the descriptor: opened again when it has grown.
    Parked,
    /// It may not be opened; it is tried again.
    Denied,
}

impl Handle {
    pub(super) const fn file(&self) -> Option<&File> {
        match self {
            Handle::Open(file) => Some(file),
            Handle::Parked | Handle::Denied => None,
        }
    }
}

/// What is to be done with a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadProgress {
    /// There may be something to read.
    Behind,
    /// Read to its end as far as was seen; nothing is to be done until size or time change.
    Quiet,
    /// It could not be read the last time; it is tried again at the next look.
    Failed(Miss),
}

pub(super) struct Generation {
    pub(super) identity: (u64, u64),
    pub(super) handle: Handle,
    pub(super) progress: ReadProgress,
    pub(super) print: Fingerprint,
    pub(super) position: Position,
    /// Size and time of the last change, when last looked at.
    pub(super) size: u64,
    pub(super) modified: (i64, i64),
    /// How large it is known to have been with the content that the fingerprint is of.
    pub(super) grown_to: u64,
    pub(super) rested: u8,
    /// Whether the log's own name was its name when last looked.
    pub(super) current: bool,
    /// Whether it took the place of another and that is to be counted when its first bytes are there: until then it
    /// can't be known again after a restart, and would be counted again.
    pub(super) follows: bool,
    /// Whether it was deleted while nothing took its place: the time of that says nothing about what comes after it.
    pub(super) was_removed: bool,
    /// Whether what begins like it did before it was truncated is the same.
    pub(super) goes_on: bool,
    /// The whole fingerprint of what was in it before it was truncated, and how far that was read: a file that is cut at its
    /// end, or written anew in place, begins with the same again.
    pub(super) before: Option<(Fingerprint, u64)>,
    /// Whether it was truncated while another file had the log's own name.
    pub(super) is_replaced: bool,
}

impl Generation {
    /// Takes note of how the file looks now. What was in it before, when it was truncated.
    pub(super) fn saw(&mut self, meta: &Metadata) -> Option<StoredFile> {
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
    pub(super) fn restart(&mut self) -> StoredFile {
        let before = StoredFile { size: self.grown_to, current: false, ..self.stored() };
        if self.goes_on && self.print.length == FINGERPRINT_BYTES {
            self.before = Some((self.print, self.position.offset));
        }
        self.follows = true;
        self.is_replaced = !self.current;
        self.position = Position::default();
        self.print = Fingerprint::default();
        self.grown_to = 0;
        self.size = 0;
        self.progress = ReadProgress::Behind;
        before
    }

    pub(super) const fn unread(&self) -> u64 {
        self.size.saturating_sub(self.position.offset)
    }

    pub(super) const fn stored(&self) -> StoredFile {
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
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        tally: &mut Tally,
        lines: &mut impl Lines,
    ) -> io::Result<ReadOnce> {
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
            if let Some((_, offset)) = self.before.take_if(|(print, _)| *print == self.print) {
                self.position = resume(file, offset, self.position)?;
                self.follows = false;
                return Ok(ReadOnce::Consumed(0));
            }
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
            let Step { consumed, skipped } = self.position.feed(bytes, MAX_LINE_BYTES, &mut |line| lines.line(line));
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
    pub(super) fn finish(mut self, buffer: &mut [u8], tally: &mut Tally, lines: &mut impl Lines) -> StoredFile {
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

/// The place in a file that begins with what was read up to `offset`, and has been read up to `position` again. It may end
/// before that; where no line begins there it was written anew, and the rest of the line is none.
fn resume(file: &File, offset: u64, position: Position) -> io::Result<Position> {
    let size = file.metadata()?.len();
    let mut last = [b'\n'];
    if offset <= size {
        read_at(file, &mut last, offset.saturating_sub(1))?;
    }
    let resumed = Position { offset: offset.min(size), skipping: last != [b'\n'], after_nul: false };
    Ok(if resumed.offset > position.offset { resumed } else { position })
}

/// What one reading of a generation came to.
pub(super) enum ReadOnce {
    /// There is nothing to do.
    Nothing,
    /// So many bytes were read and given away.
    Consumed(usize),
    /// It begins otherwise now; what it was before.
    Truncated(StoredFile),
}
