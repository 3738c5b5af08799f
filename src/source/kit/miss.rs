//! Why something could not be read: one vocabulary for every source.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::io::Errno;

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Miss {
    /// The exporter's user may not read it.
    Denied,
    /// It is not there, or no longer.
    Gone,
    /// It is there, but is not a regular file or a directory as expected.
    NotAFile,
    /// A limit was reached: too large, or no descriptor or memory left.
    Limit,
    /// Any other failure: a bad disk, a file system that went away.
    Failed,
}

impl Miss {
    /// Why what is at `path` could not be opened. A link to nothing in its place is not gone: it is there, and is not what
    /// was expected.
    #[must_use]
    pub fn at(path: &Path, why: impl Into<Miss>) -> Self {
        match why.into() {
            // With a slash at its end the path would be what the link leads to.
            Miss::Gone if path.components().as_path().symlink_metadata().is_ok() => Miss::NotAFile,
            miss => miss,
        }
    }
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM => Miss::Denied,
            // ESRCH: the process whose file it is has ended.
            Errno::NOENT | Errno::SRCH => Miss::Gone,
            // ELOOP: a symbolic link where O_NOFOLLOW forbids one. ENXIO: a socket or a FIFO without its other end.
            Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV => Miss::NotAFile,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::FBIG | Errno::OVERFLOW => Miss::Limit,
            _ => Miss::Failed,
        }
    }
}

impl From<&io::Error> for Miss {
    fn from(error: &io::Error) -> Self {
        match (Errno::from_io_error(error), error.kind()) {
            (Some(errno), _) => Miss::from(errno),
            (None, ErrorKind::PermissionDenied) => Miss::Denied,
            (None, ErrorKind::NotFound) => Miss::Gone,
            // What `files` says of anything but a regular file.
            (None, ErrorKind::InvalidInput) => Miss::NotAFile,
            (None, ErrorKind::FileTooLarge | ErrorKind::OutOfMemory) => Miss::Limit,
            (None, _) => Miss::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_is_one_miss() {
        for (errno, miss) in [
            (Errno::ACCESS, Miss::Denied),
            (Errno::PERM, Miss::Denied),
            (Errno::NOENT, Miss::Gone),
            (Errno::SRCH, Miss::Gone),
            (Errno::NOTDIR, Miss::NotAFile),
            (Errno::LOOP, Miss::NotAFile),
            (Errno::MFILE, Miss::Limit),
            (Errno::NFILE, Miss::Limit),
            (Errno::IO, Miss::Failed),
            (Errno::STALE, Miss::Failed),
        ] {
            assert_eq!(Miss::from(errno), miss, "{errno}");
            assert_eq!(Miss::from(&io::Error::from(errno)), miss, "{errno}");
        }
        for (kind, miss) in [
            (ErrorKind::PermissionDenied, Miss::Denied),
            (ErrorKind::NotFound, Miss::Gone),
            (ErrorKind::InvalidInput, Miss::NotAFile),
            (ErrorKind::FileTooLarge, Miss::Limit),
            (ErrorKind::UnexpectedEof, Miss::Failed),
        ] {
            assert_eq!(Miss::from(&io::Error::from(kind)), miss, "{kind}");
        }
    }
}
