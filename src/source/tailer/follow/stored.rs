//! How far a file had been read, and how to know it again; kept across restarts.

use serde::{Deserialize, Serialize};

use crate::parse::tail::{FINGERPRINT_BYTES, Fingerprint, Position};

/// With so many first bytes alike, two files of a log are one content if nothing beyond them had been read: more than the
/// time of its first line.
const SHORT_FINGERPRINT_BYTES: u64 = 48;

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
    pub(super) const fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    pub(super) const fn position(&self) -> Position {
        Position { offset: self.offset, skipping: self.skipping, after_nul: self.after_nul }
    }

    pub(super) fn begins(&self, beginning: &[u8]) -> bool {
        Fingerprint { length: self.length, hash: self.hash }.matches(beginning)
    }

    /// Whether it is the file with this identity, size and beginning. With a whole fingerprint the file may end before
    /// what was read of it: its last writes were lost with the machine.
    pub(super) fn is_file(&self, identity: (u64, u64), size: u64, beginning: &[u8]) -> bool {
        self.identity() == identity
            && self.begins(beginning)
            && (self.length >= FINGERPRINT_BYTES || size >= self.offset)
    }

    /// Whether a file of the same log that begins so is a copy of it: nothing that was read of it is beyond what the
    /// beginnings have in common, or they have a whole fingerprint in common.
    pub(super) fn is_copied_in(&self, beginning: &[u8]) -> bool {
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
