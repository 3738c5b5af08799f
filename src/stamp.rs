//! How a file or folder looks: what shows that it was changed since it was read.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// Times of FAT are even seconds; most others are far finer. The clock that they come from may stand still for a while: the
/// kernel sets it at its ticks, and a virtual machine misses some.
const COARSEST_TICK_SECONDS: i64 = 2;

/// Which file or folder it is, and what changes when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// Of what is at `path`, through symbolic links.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub(crate) fn at(path: &Path) -> io::Result<FileStamp> {
        Ok(FileStamp::of(&rustix::fs::stat(path)?))
    }

    #[expect(clippy::cast_possible_wrap, reason = "the kernel's nanoseconds are below 10^9")]
    pub(crate) fn of(stat: &Stat) -> FileStamp {
        FileStamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    /// Device and inode.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether it was certainly written or put there after `seconds` since 1970-01-01 UTC: start times of processes are known
    /// to a second or two.
    pub(crate) fn is_after(&self, seconds: u64) -> bool {
        self.changed.0.max(self.modified.0) > seconds.cast_signed().saturating_add(COARSEST_TICK_SECONDS)
    }

    /// Whether the last change was so long before `now` that a later one has another time.
    fn is_settled_at(&self, now: SystemTime) -> bool {
        let since = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        since > self.changed.0.saturating_add(COARSEST_TICK_SECONDS)
    }
}

/// How something looked just before it was read, and whether every change since would show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadStamp {
    stamp: FileStamp,
    is_settled: bool,
}

impl ReadStamp {
    /// Of something that looks like `stamp`, to be read from `now` on.
    pub(crate) fn new(stamp: FileStamp, now: SystemTime) -> ReadStamp {
        ReadStamp { stamp, is_settled: stamp.is_settled_at(now) }
    }

    /// Of what is at `path`, to be read from now on.
    ///
    /// # Errors
    /// When it can't be looked at.
    pub(crate) fn at(path: &Path) -> io::Result<ReadStamp> {
        // The clock first: a change in between must not look like an old one.
        let now = SystemTime::now();
        Ok(ReadStamp::new(FileStamp::at(path)?, now))
    }

    /// Whether what was read is certainly what is there, which looks like `stamp`.
    pub(crate) fn holds_for(&self, stamp: &FileStamp) -> bool {
        self.is_settled && self.stamp == *stamp
    }

    /// Whether what was read is certainly what is at `path`.
    pub(crate) fn holds_at(&self, path: &Path) -> bool {
        self.is_settled && self.looks_the_same_at(path)
    }

    /// Whether what is at `path` looks as it did then.
    pub(crate) fn looks_the_same_at(&self, path: &Path) -> bool {
        FileStamp::at(path).is_ok_and(|stamp| stamp == self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_read_holds_until_it_looks_otherwise_and_only_where_every_change_would_show() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let stamp = FileStamp::at(&path).unwrap();
        let (fresh, later) = (SystemTime::now(), SystemTime::now() + Duration::from_secs(60));
        let (fresh, later) = (ReadStamp::new(stamp, fresh), ReadStamp::new(stamp, later));
        assert!(fresh.looks_the_same_at(&path) && !fresh.holds_at(&path) && !fresh.holds_for(&stamp));
        assert!(later.looks_the_same_at(&path) && later.holds_at(&path) && later.holds_for(&stamp));
        fs::write(&path, "three").unwrap();
        assert!(!later.looks_the_same_at(&path) && !later.holds_at(&path));
        fs::remove_file(&path).unwrap();
        assert!(!later.looks_the_same_at(&path) && !later.holds_at(&path) && ReadStamp::at(&path).is_err());
    }
}
