//! Bounded reading of regular files and directories. Nothing here waits for the other end of a FIFO, opens a device, or
//! follows a symbolic link inside a directory.

use std::ffi::CStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

/// A directory only, without waiting.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Options that open at once, even a FIFO without another end, and that never make a terminal the exporter's own.
pub(in crate::source) fn without_waiting() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    options
}

/// Opens the regular file at `path` for reading, through symbolic links.
///
/// # Errors
/// What the system says; [`ErrorKind::InvalidInput`] for anything but a regular file.
pub(in crate::source) fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    // Opening a device can have effects: it is not opened to find out that it is one.
    regular(&path.metadata()?)?;
    let file = without_waiting().read(true).open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata))
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// Reads the regular file at `path`, of at most `limit` bytes.
///
/// # Errors
/// As [`open_regular`] and [`read_at_most`].
pub(in crate::source) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open_regular(path)?;
    read_at_most(file, metadata.len(), limit)
}

/// Reads to the end of what is reported to have `size` bytes, 0 where that is unknown.
///
/// # Errors
/// What the system says; [`ErrorKind::FileTooLarge`] for more than `limit` bytes.
pub(in crate::source) fn read_at_most(reader: impl Read, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, format!("larger than {limit} bytes"));
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    let length = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if length as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Opens the folder at `path`, through symbolic links.
pub(in crate::source) fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, FOLDER, Mode::empty())
}

/// Opens the folder `name` in `parent`, but not through a symbolic link.
pub(in crate::source) fn open_in(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
}

/// What `name` in `parent` is, itself and not what it links to.
pub(in crate::source) fn stat_in(parent: &OwnedFd, name: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// The kind of a file, looked up where the file system does not give it with the name.
pub(in crate::source) fn kind_in(parent: &OwnedFd, name: &CStr, told: FileType) -> Result<FileType, Errno> {
    match told {
        FileType::Unknown => Ok(FileType::from_raw_mode(stat_in(parent, name)?.st_mode)),
        told => Ok(told),
    }
}

/// When a file was last written, in seconds since 1970-01-01 UTC.
pub(in crate::source) fn modified(stat: &Stat) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age of the world stay far below 2^53")]
    let (seconds, nanoseconds) = (stat.st_mtime as f64, stat.st_mtime_nsec as f64);
    seconds + nanoseconds / 1e9
}

/// Calls `each` with the name and kind of everything in a folder until that says no.
pub(in crate::source) fn for_each(
    folder: impl AsFd,
    each: &mut dyn FnMut(&CStr, FileType) -> bool,
) -> Result<(), Errno> {
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use rustix::fs::{CWD, mkfifoat};

    use super::*;
    use crate::source::kit::Miss;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mkfifoat(CWD, &fifo, 0o600.into()).unwrap();
        let (sender, refused) = channel();
        let paths = [fifo, folder.path().to_owned(), "/dev/null".into()];
        let read = move || paths.map(|path| Miss::from(&read_regular(&path, 10).unwrap_err()));
        std::thread::spawn(move || sender.send(read()));
        let refused = refused.recv_timeout(Duration::from_secs(20)).expect("it waits for a writer");
        assert_eq!(refused, [Miss::NotAFile; 3]);
    }

    #[test]
    fn a_file_is_read_to_its_limit_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read_regular(&path, 10).unwrap(), b"0123456789");
        assert_eq!(Miss::from(&read_regular(&path, 9).unwrap_err()), Miss::Limit);
        // It grows while it is read, or tells no size, as the kernel's files do.
        assert_eq!(read_at_most(io::repeat(b'x').take(10), 0, 10).unwrap().len(), 10);
        assert_eq!(Miss::from(&read_at_most(io::repeat(b'x'), 3, 10).unwrap_err()), Miss::Limit);
        assert_eq!(Miss::from(&read_regular(&folder.path().join("none"), 10).unwrap_err()), Miss::Gone);
    }
}
