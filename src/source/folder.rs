//! Listing folders without following what only looks like one: nothing here opens a FIFO, a device or a symbolic link
//! unless it is told to.
//!
//! Knows names and kinds; what the files mean is for others.

use std::ffi::CStr;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

/// A folder, and nothing else, without waiting for anything.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The exporter's user may not.
    Denied,
    /// It is not there.
    Gone,
    /// Anything else: not a folder, a failing disk, too many open files.
    Failed,
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM => Miss::Denied,
            // ESRCH: the process whose file it is has ended.
            Errno::NOENT | Errno::SRCH => Miss::Gone,
            _ => Miss::Failed,
        }
    }
}

impl From<&io::Error> for Miss {
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(errno) => Miss::from(errno),
            None if error.kind() == ErrorKind::NotFound => Miss::Gone,
            None => Miss::Failed,
        }
    }
}

/// Opens the folder at `path`, through symbolic links.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, FOLDER, Mode::empty())
}

/// Opens the folder `name` in `parent`, but not through a symbolic link.
pub(super) fn open_in(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
}

/// What `name` in `parent` is, itself and not what it links to.
pub(super) fn stat_in(parent: &OwnedFd, name: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// The kind of a file, asked for where the file system does not tell it with the name.
pub(super) fn kind_in(parent: &OwnedFd, name: &CStr, told: FileType) -> Result<FileType, Errno> {
    match told {
        FileType::Unknown => Ok(FileType::from_raw_mode(stat_in(parent, name)?.st_mode)),
        told => Ok(told),
    }
}

/// When a file was last written, in seconds since 1970-01-01 UTC.
pub(super) fn modified(stat: &Stat) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age of the world stay far below 2^53")]
    let (seconds, nanoseconds) = (stat.st_mtime as f64, stat.st_mtime_nsec as f64);
    seconds + nanoseconds / 1e9
}

/// Calls `each` with the name and kind of everything in a folder until that says no.
pub(super) fn for_each(folder: impl AsFd, each: &mut dyn FnMut(&CStr, FileType) -> bool) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
    let mut entries = RawDir::new(folder.as_fd(), &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." && !each(name, entry.file_type()) {
            break;
        }
    }
    Ok(())
}
