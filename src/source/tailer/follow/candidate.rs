//! Files under one of the log's names that are not being followed: which of them is new, which is known under another name or
//! inode number, and where each is read from.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::file::{identity, look, modified, open, read_at};
use super::generation::{Generation, Handle, ReadProgress};
use super::stored::StoredFile;
use super::{Begin, LogFollower, MAX_GENERATIONS};
use crate::parse::tail::{FINGERPRINT_BYTES, Fingerprint, MAX_LINE_BYTES, Position};
use crate::source::kit::Miss;

/// A file under one of the log's names that is not being followed.
pub(super) struct FileCandidate {
    pub(super) handle: Handle,
    pub(super) meta: Metadata,
    pub(super) beginning: Vec<u8>,
    pub(super) is_current: bool,
    pub(super) known: Option<StoredFile>,
}

impl FileCandidate {
    pub(super) fn identity(&self) -> (u64, u64) {
        identity(&self.meta)
    }

    pub(super) fn is(&self, stored: &StoredFile) -> bool {
        match self.handle {
            // It can't be seen how it begins.
            Handle::Denied => stored.identity() == self.identity() && self.meta.len() >= stored.offset,
            Handle::Open(_) | Handle::Parked => stored.is_file(self.identity(), self.meta.len(), &self.beginning),
        }
    }

    pub(super) fn copies(&self, stored: &StoredFile) -> bool {
        !matches!(self.handle, Handle::Denied) && stored.is_copied_in(&self.beginning)
    }

    /// Whether it holds no more than the beginning of a file that is being read.
    fn begins_as(&self, open: &Generation) -> bool {
        let Some(file) = open.handle.file().filter(|_| self.beginning.len() < FINGERPRINT_BYTES) else { return false };
        let mut beginning = [0; FINGERPRINT_BYTES];
        read_at(file, &mut beginning, 0).is_ok_and(|count| beginning[..count].starts_with(&self.beginning))
    }

    /// As it is, with nothing of it left to be read.
    pub(super) fn as_read(&self) -> StoredFile {
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
    pub(super) fn into_generation(self, begin: Begin, follows: bool) -> Generation {
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
            was_removed: false,
            goes_on: true,
            before: None,
            is_replaced: false,
            handle: self.handle,
        }
    }

    /// The place where `known` was left. In a file that was written anew that may be within a line: its rest is no line. In one
    /// that was being written, and was cut and has grown since, that line is new.
    pub(super) fn resume(&self, known: &StoredFile) -> Position {
        let position = known.position();
        let is_same = known.identity() == self.identity();
        let Some(file) = self.handle.file().filter(|_| !is_same || known.current) else { return position };
        if position.offset == 0 || position.skipping || position.after_nul {
            return position;
        }
        let begin = position.offset.saturating_sub(MAX_LINE_BYTES as u64);
        let mut before = vec![0; usize::try_from(position.offset - begin).unwrap_or(0)];
        let count = read_at(file, &mut before, begin).unwrap_or(0);
        let line = before[..count].iter().rposition(|byte| *byte == b'\n').map_or(begin, |end| begin + end as u64 + 1);
        match is_same {
            true => Position { offset: line, ..position },
            false => Position { skipping: line != position.offset, ..position },
        }
    }
}

impl LogFollower {
    /// Opens every file that isn't known yet and puts it in its order. Whether there was one.
    pub(super) fn advance(&mut self) -> bool {
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
            let generation = Generation { goes_on: !self.is_alone, ..candidate.into_generation(self.begin, follows) };
            follows = true;
            // What was before the current file stands before it.
            let before_current = (!is_current).then(|| self.generations.iter().position(|open| open.current)).flatten();
            // Mostly it is the only one.
            self.generations.reserve_exact(1);
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
        if !candidate.is_current && self.generations.iter().any(|open| candidate.begins_as(open)) {
            // It is being copied: what is left of the one that is read is found in it when that is truncated.
            return None;
        }
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
        let mut before = self.generations.iter().filter_map(|open| open.before);
        if let Some((_, offset)) = before.rfind(|(print, _)| print.matches(&candidate.beginning)) {
            candidate.known = Some(StoredFile { offset, ..candidate.as_read() });
            return Some(candidate);
        }
        self.unless_finished(candidate, |candidate, stored| candidate.copies(stored))
    }

    fn note<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result.map_err(|error| self.trouble = Some(Miss::from(&error))).ok()
    }
}
