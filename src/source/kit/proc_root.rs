//! Reading below a `/proc`, or below a tree of plain files that looks like one.
//!
//! The callers select the processes. Every read is bounded: by the caller's buffer, with nothing allocated, or by a
//! limit.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use super::Miss;
use crate::parse::process as parse;
use crate::sync::locked;

/// For reading, without waiting for the other end of a FIFO in a recorded tree.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Room for the machine's `stat`, where the interrupts of a large one come before the time of its start.
const STAT_BYTES: u64 = 1024 * 1024;

/// Room for the host's name, which the kernel limits to 64 bytes.
const HOST_NAME_BYTES: u64 = 256;

/// What the root can do beyond files in folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct Abilities {
    /// A descriptor kept open on a process's file answers for that process alone, and says when it is gone.
    pub(in crate::source) keeps: bool,
    /// The size of a process's folder `fd` is the number of its descriptors (Linux 6.2 and later).
    pub(in crate::source) counts_descriptors: bool,
    /// The last field of `loadavg` is the process id handed out last in the root's own namespace.
    pub(in crate::source) tells_last_pid: bool,
}

/// Called with the path before each read: where tests let a process vanish, or be denied.
#[cfg(test)]
pub(in crate::source) type BeforeRead = Box<dyn FnMut(&str) -> Result<(), Miss> + Send>;

/// A `/proc`: the one root for everything that is read there.
pub struct ProcRoot {
    dir: OwnedFd,
    path: PathBuf,
    /// Held while the root is listed: the descriptor has one position for all.
    listing: Mutex<()>,
    #[cfg(test)]
    pub(in crate::source) before_read: Mutex<Option<BeforeRead>>,
}

impl ProcRoot {
    /// Opens the root itself.
    ///
    /// # Errors
    /// When there is no such folder, or the exporter's user may not read it.
    pub fn open(path: &Path) -> std::io::Result<ProcRoot> {
        let dir = rustix::fs::open(path, READ | OFlags::DIRECTORY, Mode::empty())?;
        Ok(ProcRoot {
            dir,
            path: path.to_owned(),
            listing: Mutex::new(()),
            #[cfg(test)]
            before_read: Mutex::new(None),
        })
    }

    /// Where the root is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the kernel's own, and no recorded tree of plain files.
    pub(in crate::source) fn is_kernels(&self) -> bool {
        rustix::fs::fstatfs(&self.dir).is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC)
    }

    /// Finds out what the root can do, by trying it.
    pub(in crate::source) fn abilities(&self) -> Abilities {
        if !self.is_kernels() {
            return Abilities::default();
        }
        Abilities { keeps: true, counts_descriptors: self.counts_descriptors(), tells_last_pid: self.tells_last_pid() }
    }

    /// Opens one descriptor more and looks whether the size of `self/fd` grows by one.
    fn counts_descriptors(&self) -> bool {
        let size = || rustix::fs::statat(&self.dir, "self/fd", AtFlags::empty()).map(|stat| stat.st_size);
        // Another thread may open or close one in between: two of five tries must agree.
        let grows = || {
            let before = size().ok()?;
            let _more = self.dir.try_clone().ok()?;
            Some(before > 0 && size().ok()? == before + 1)
        };
        (0..5).filter(|_| grows() == Some(true)).count() >= 2
    }

    /// Whether `loadavg` is the kernel's own, of the root's own process namespace, and moves with a new thread.
    ///
    /// The kernel answers for the reader's namespace, whichever `/proc` is mounted; the two are the same when the
    /// exporter has one process id only as seen from there. LXC lays a file of its own over `loadavg`.
    fn tells_last_pid(&self) -> bool {
        let mut buffer = [0; 4096];
        let Ok(status) = self.read("self/status", &mut buffer) else { return false };
        let mut lines = status.split(|byte| *byte == b'\n');
        let own = lines.find_map(|line| line.strip_prefix(b"NSpid:")).map(<[u8]>::trim_ascii);
        if own != Some(std::process::id().to_string().as_bytes()) {
            return false;
        }
        let Ok(loadavg) = self.open_file("loadavg") else { return false };
        if !rustix::fs::fstatfs(&loadavg).is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC) {
            return false;
        }
        let before = last_pid(&loadavg);
        let moved = std::thread::spawn(|| ()).join().is_ok() && last_pid(&loadavg) != before;
        before.is_some() && moved
    }

    /// Opens a file of the root for reading.
    pub(in crate::source) fn open_file(&self, path: &str) -> Result<OwnedFd, Miss> {
        self.announce(path)?;
        Ok(rustix::fs::openat(&self.dir, path, READ, Mode::empty())?)
    }

    /// Opens a file of a process for reading.
    pub(in crate::source) fn open_of(&self, pid: u32, name: &str) -> Result<OwnedFd, Miss> {
        of(pid, name, |path| self.open_file(path))
    }

    /// Takes a handle of a process's file or folder that answers questions about it but reads nothing.
    pub(in crate::source) fn handle_of(&self, pid: u32, name: &str) -> Result<OwnedFd, Miss> {
        of(pid, name, |path| {
            self.announce(path)?;
            Ok(rustix::fs::openat(&self.dir, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
        })
    }

    /// Reads a file of the root until the buffer is full or the file ends.
    pub(in crate::source) fn read<'b>(&self, path: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Miss> {
        read_whole(&self.open_file(path)?, buffer)
    }

    /// Opens a folder of a process.
    pub(in crate::source) fn folder_of(&self, pid: u32, name: &str) -> Result<OwnedFd, Miss> {
        of(pid, name, |path| {
            self.announce(path)?;
            Ok(rustix::fs::openat(&self.dir, path, READ | OFlags::DIRECTORY, Mode::empty())?)
        })
    }

    /// Reads a file of a process until the buffer is full or the file ends.
    pub(in crate::source) fn read_of<'b>(&self, pid: u32, name: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Miss> {
        read_whole(&self.open_of(pid, name)?, buffer)
    }

    /// Reads a file of the root, at most `limit` bytes of it.
    ///
    /// # Errors
    /// The system's own, for texts.
    pub(in crate::source) fn read_up_to(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = File::from(rustix::fs::openat(&self.dir, path, READ, Mode::empty())?);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Where a process's symbolic link points.
    pub(in crate::source) fn link_of(&self, pid: u32, name: &str) -> Result<PathBuf, Miss> {
        of(pid, name, |path| self.link(path))
    }

    /// Where a symbolic link points.
    pub(in crate::source) fn link(&self, path: &str) -> Result<PathBuf, Miss> {
        self.announce(path)?;
        let target = rustix::fs::readlinkat(&self.dir, path, Vec::new())?;
        Ok(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())))
    }

    /// What kind of file is behind a process's file, or below its root directory: through symbolic links.
    pub(in crate::source) fn stat_of(&self, pid: u32, name: &Path) -> Result<rustix::fs::Stat, Miss> {
        let path = Path::new(&pid.to_string()).join(name);
        self.announce(&path.to_string_lossy())?;
        Ok(rustix::fs::statat(&self.dir, &path, AtFlags::empty())?)
    }

    /// When the machine started, since 1970-01-01 UTC by its own clock.
    pub(in crate::source) fn boot_time(&self) -> Option<Duration> {
        let stat = self.read_up_to("stat", STAT_BYTES).ok()?;
        parse::boot_time(&stat).map(Duration::from_secs)
    }

    /// The host's name, as the kernel has it; empty where it can't be read.
    #[must_use]
    pub fn host_name(&self) -> String {
        let name = self.read_up_to("sys/kernel/hostname", HOST_NAME_BYTES).unwrap_or_default();
        String::from_utf8_lossy(name.trim_ascii()).chars().filter(|letter| !letter.is_control()).collect()
    }

    /// The exporter's own process id, as this `/proc` counts it.
    pub(in crate::source) fn own_pid(&self) -> Result<u32, Miss> {
        let target = rustix::fs::readlinkat(&self.dir, "self", Vec::new())?;
        parse::number(target.to_bytes()).ok_or(Miss::Failed)
    }

    /// Whether the user may look at a process's file.
    pub(in crate::source) fn check_of(&self, pid: u32, name: &str) -> Result<(), Miss> {
        self.stat_of(pid, Path::new(name)).map(|_| ())
    }

    /// How many entries a process's folder has, by listing it.
    pub(in crate::source) fn entries_of(
        &self,
        pid: u32,
        name: &str,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Result<u64, Miss> {
        let dir = self.folder_of(pid, name)?;
        let mut entries = 0;
        for_each_name(&dir, buffer, |name| entries += u64::from(name != b"." && name != b".."))?;
        Ok(entries)
    }

    /// Every number that a process's folder has as an entry, into `numbers`.
    pub(in crate::source) fn numbers_of(
        &self,
        pid: u32,
        name: &str,
        numbers: &mut Vec<u32>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> Result<(), Miss> {
        let dir = self.folder_of(pid, name)?;
        for_each_name(&dir, buffer, |name| numbers.extend(parse::number::<u32>(name)))
    }

    /// Every process id of the root, in ascending order, into `pids`.
    pub(in crate::source) fn list(&self, pids: &mut Vec<u32>, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Miss> {
        self.announce("")?;
        pids.clear();
        let _listing = locked(&self.listing);
        rustix::fs::seek(&self.dir, SeekFrom::Start(0))?;
        for_each_name(&self.dir, buffer, |name| pids.extend(parse::number::<u32>(name)))?;
        // The kernel lists them in order, a plain folder does not.
        if !pids.is_sorted() {
            pids.sort_unstable();
        }
        Ok(())
    }

    #[cfg(test)]
    fn announce(&self, path: &str) -> Result<(), Miss> {
        locked(&self.before_read).as_mut().map_or(Ok(()), |hook| hook(path))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests listen here, and refuse")]
    fn announce(&self, _path: &str) -> Result<(), Miss> {
        Ok(())
    }
}

/// The process id handed out last, of a descriptor kept open on `loadavg`.
pub(in crate::source) fn last_pid(loadavg: impl AsFd) -> Option<u32> {
    let mut buffer = [0; 128];
    parse::last_pid(read_again(loadavg, &mut buffer).ok()?)
}

/// Reads a file kept open again from its start, in one call: the kernel's small files come whole.
pub(in crate::source) fn read_again(file: impl AsFd, buffer: &mut [u8]) -> Result<&[u8], Miss> {
    let length = loop {
        match rustix::io::pread(file.as_fd(), &mut *buffer, 0) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    Ok(&buffer[..length])
}

/// The number that the kernel gives as the size of a process's folder `fd`.
pub(in crate::source) fn size(handle: impl AsFd) -> Result<u64, Miss> {
    Ok(u64::try_from(rustix::fs::fstat(handle)?.st_size).unwrap_or_default())
}

fn read_whole(file: impl AsFd, buffer: &mut [u8]) -> Result<&[u8], Miss> {
    let mut length = 0;
    while length < buffer.len() {
        match rustix::io::read(file.as_fd(), &mut buffer[length..]) {
            Ok(more) => {
                // A file that gives less than there is room for has ended: one call less for each small file.
                let ended = more < buffer.len() - length;
                length += more;
                if ended {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(&buffer[..length])
}

fn for_each_name(dir: impl AsFd, buffer: &mut [MaybeUninit<u8>], mut each: impl FnMut(&[u8])) -> Result<(), Miss> {
    let mut entries = RawDir::new(dir.as_fd(), buffer);
    while let Some(entry) = entries.next() {
        each(entry?.file_name().to_bytes());
    }
    Ok(())
}

/// Calls `then` with `PID/name`, put together without allocating.
fn of<T>(pid: u32, name: &str, then: impl FnOnce(&str) -> Result<T, Miss>) -> Result<T, Miss> {
    let mut path = [0; 32];
    let mut free = path.as_mut_slice();
    let written = write!(free, "{pid}/{name}").map_err(|_| Miss::Failed).map(|()| free.len());
    let length = path.len() - written?;
    then(str::from_utf8(&path[..length]).map_err(|_| Miss::Failed)?)
}
