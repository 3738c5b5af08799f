//! Content that was there and can't be read any more: how much it was, as far as known.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use super::LogFollower;
use super::candidate::FileCandidate;
use super::file::changed;

/// Two files' change times that are further apart than this, in nanoseconds, weren't set by the same rename.
const SAME_RENAME: i128 = 20_000_000;

/// Two files whose sizes differ by less than one part in so many were rotated for their size.
const REGULAR_SIZE_PARTS: u64 = 10;

impl LogFollower {
    /// Content that was being read and is no more. Called with the files that were found, of which those that go on are
    /// known.
    pub(super) fn account_for_missing(&mut self, found: &mut Vec<FileCandidate>, oldest: Option<&Metadata>) {
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

    /// Counts generations that came and went between the last that is known and `oldest`, the one that is found under
    /// the earlier name.
    ///
    /// The rename that put a file under the earlier name unlinked the file that was there before, and both have the
    /// time of it as their change time. When the last that is known was unlinked at another time, others were in
    /// between; how many, and how large they were, is estimated by the one that is there.
    pub(super) fn account_for_unseen(&mut self, oldest: Option<&Metadata>) {
        let Some(oldest) = oldest else { return };
        let Some(last) = self.generations.back().filter(|last| !last.was_removed) else { return };
        let Some(Ok(last)) = last.handle.file().map(File::metadata) else { return };
        if last.nlink() > 0 {
            return;
        }
        let gap = changed(oldest) - changed(&last);
        let lived = oldest.created().ok().and_then(|created| created.duration_since(UNIX_EPOCH).ok());
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
