//! Reading below a `/proc`, or below a tree of plain files that looks like one.
//!
//! Knows paths, descriptors and the kernel's errors; which processes matter is for `tracker`. Every read is bounded by
//! the caller's buffer, and nothing is allocated for one.

use std::ffi::OsStr;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use crate::parse::process as parse;

/// Why something below the root could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// It is not there, or no more.
    Gone,
    /// The exporter's user may not.
    Denied,
    /// Anything else: too many descriptors, a failing disk below a fixture tree.
    Failed,
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::SRCH | Errno::NOTDIR => Miss::Gone,
            Errno::ACCESS | Errno::PERM => Miss::Denied,
            _ => Miss::Failed,
        }
    }
}

/// What the root can do beyond files in folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    /// A descriptor kept open on a process's file answers for that process alone, and says when it is gone.
    pub(super) keeps: bool,
    /// The size of a process's folder `fd` is the number of its descriptors (Linux 6.2 and later).
    pub(super) counts_descriptors: bool,
    /// The last field of `loadavg` is the process id handed out last in the root's own namespace.
    pub(super) tells_last_pid: bool,
}

/// Called with the path before each read: where tests let a process vanish, or be denied.
#[cfg(test)]
pub(super) type BeforeRead = Box<dyn FnMut(&str) -> Result<(), Miss> + Send>;

/// A `/proc`.
pub(super) struct Root {
    dir: OwnedFd,
    path: PathBuf,
    #[cfg(test)]
    pub(super) before_read: std::sync::Mutex<Option<BeforeRead>>,
}

impl Root {
    /// Opens the root itself.
    pub(super) fn open(path: &Path) -> Result<Root, Errno> {
        let dir = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Root {
            dir,
            path: path.to_owned(),
            #[cfg(test)]
            before_read: std::sync::Mutex::new(None),
        })
    }

    /// Where the root is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Finds out what the root can do, by trying it.
    pub(super) fn abilities(&self) -> Abilities {
        let keeps = rustix::fs::fstatfs(&self.dir).is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC);
        if !keeps {
            return Abilities::default();
        }
        Abilities { keeps, counts_descriptors: self.counts_descriptors(), tells_last_pid: self.tells_last_pid() }
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
    pub(super) fn open_file(&self, path: &str) -> Result<OwnedFd, Miss> {
        self.announce(path)?;
        Ok(rustix::fs::openat(&self.dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Opens a file of a process for reading.
    pub(super) fn open_of(&self, pid: u32, name: &str) -> Result<OwnedFd, Miss> {
        of(pid, name, |path| self.open_file(path))
    }

    /// Takes a handle of a process's file or folder that answers questions about it but reads nothing.
    pub(super) fn handle_of(&self, pid: u32, name: &str) -> Result<OwnedFd, Miss> {
        of(pid, name, |path| {
            self.announce(path)?;
            Ok(rustix::fs::openat(&self.dir, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
        })
    }

    /// Reads a file of the root until the buffer is full or the file ends.
    pub(super) fn read<'b>(&self, path: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Miss> {
        read_whole(&self.open_file(path)?, buffer)
    }

    /// Reads a file of a process until the buffer is full or the file ends.
    pub(super) fn read_of<'b>(&self, pid: u32, name: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Miss> {
        read_whole(&self.open_of(pid, name)?, buffer)
    }

    /// Where a process's symbolic link points.
    pub(super) fn link_of(&self, pid: u32, name: &str) -> Result<PathBuf, Miss> {
        of(pid, name, |path| {
            self.announce(path)?;
            let target = rustix::fs::readlinkat(&self.dir, path, Vec::new())?;
            Ok(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())))
        })
    }

    /// Whether the user may look at a process's file.
    pub(super) fn check_of(&self, pid: u32, name: &str) -> Result<(), Miss> {
        of(pid, name, |path| {
            self.announce(path)?;
            Ok(rustix::fs::statat(&self.dir, path, AtFlags::empty()).map(|_| ())?)
        })
    }

    /// How many entries a process's folder has, by listing it.
    pub(super) fn entries_of(&self, pid: u32, name: &str, buffer: &mut [MaybeUninit<u8>]) -> Result<u64, Miss> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = of(pid, name, |path| {
            self.announce(path)?;
            Ok::<_, Miss>(rustix::fs::openat(&self.dir, path, flags, Mode::empty())?)
        })?;
        let mut entries = 0;
        for_each_name(&dir, buffer, |name| entries += u64::from(name != b"." && name != b".."))?;
        Ok(entries)
    }

    /// Every process id of the root, in ascending order, into `pids`.
    pub(super) fn list(&self, pids: &mut Vec<u32>, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Miss> {
        self.announce("")?;
        pids.clear();
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
        self.before_read
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .as_mut()
            .map_or(Ok(()), |hook| hook(path))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests listen here, and refuse")]
    fn announce(&self, _path: &str) -> Result<(), Miss> {
        Ok(())
    }
}

/// The process id handed out last, of a descriptor kept open on `loadavg`.
pub(super) fn last_pid(loadavg: impl AsFd) -> Option<u32> {
    let mut buffer = [0; 128];
    parse::last_pid(read_again(loadavg, &mut buffer).ok()?)
}

/// Reads a file kept open again from its start, in one call: the kernel's small files come whole.
pub(super) fn read_again(file: impl AsFd, buffer: &mut [u8]) -> Result<&[u8], Miss> {
    let length = loop {
        match rustix::io::pread(file.as_fd(), &mut *buffer, 0) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    Ok(&buffer[..length])
}

/// The number that the kernel gives as the size of a process's folder `fd`.
pub(super) fn size(handle: impl AsFd) -> Result<u64, Miss> {
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

/// The folder of the installation that an executable belongs to: `X` of `X/bin/nlserver` where
/// `X/conf/serverConf.xml` is, without symbolic links. None when it belongs to none.
pub(super) fn installation_of(executable: &Path) -> Option<PathBuf> {
    let bytes = executable.as_os_str().as_bytes();
    let executable = Path::new(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)));
    let folder = executable.parent().filter(|folder| folder.ends_with("bin"))?.parent()?;
    folder.join("conf/serverConf.xml").exists().then(|| folder.canonicalize().ok()).flatten()
}
