//! The folder of the exporter's own files, `--storage.path`.
//!
//! It must belong to the exporter's user or to root, and no symbolic link in it is followed: another user who could write
//! there could make the exporter overwrite another file. A file is replaced whole: its successor is written beside it and
//! renamed into its place.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// How files here are opened: at once, and never through a symbolic link.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Why what is stored can't be kept, or was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// An operation on a file failed.
    #[error("{path}: {source}; check --storage.path")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The OS error.
        source: io::Error,
    },
    /// It belongs to another user.
    #[error(
        "{path} belongs to user {owner}, and the exporter runs as user {user}: run it as that user, or change the owner \
         (chown -R {user} {directory})"
    )]
    NotOurs {
        /// The file or directory.
        path: PathBuf,
        /// The directory of the state files.
        directory: PathBuf,
        /// Its owner.
        owner: u32,
        /// The exporter's user.
        user: u32,
    },
    /// Another exporter keeps its state here.
    #[error("{path}: another process holds the lock; give each exporter its own --storage.path")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("{path}: {reason}; it was set aside as {aside}, positions and counters start afresh")]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// What it is called now.
        aside: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The folder, open.
#[derive(Debug)]
pub(in crate::source) struct StorageFolder {
    path: PathBuf,
    handle: OwnedFd,
}

impl StorageFolder {
    /// Opens the folder at `path`. One that is to be written to is made when it is not there, and must be ours.
    ///
    /// # Errors
    /// It can't be opened or made, or belongs to another user.
    pub(in crate::source) fn open(path: &Path, writes: bool) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Io { path: path.to_owned(), source };
        if writes {
            match std::fs::create_dir_all(path) {
                // Of something else in its place, opening it tells what is wrong.
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => {}
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let owner = rustix::fs::fstat(&handle).map_err(|error| failed(error.into()))?.st_uid;
        let user = rustix::process::geteuid().as_raw();
        if writes && owner != user && owner != 0 {
            return Err(StorageError::NotOurs { directory: path.to_owned(), path: path.to_owned(), owner, user });
        }
        Ok(Self { path: path.to_owned(), handle })
    }

    /// Opens the file `name` in it, which only its owner may use where it is made.
    pub(in crate::source) fn open_file(&self, name: &str, flags: OFlags) -> Result<File, Errno> {
        rustix::fs::openat(&self.handle, name, PLAIN | flags, Mode::RUSR | Mode::WUSR).map(File::from)
    }

    /// The first `limit` bytes of the file `name`; none when it is not there.
    ///
    /// # Errors
    /// It can't be read.
    pub(in crate::source) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let read = || -> io::Result<Option<Vec<u8>>> {
            let file = match self.open_file(name, OFlags::RDONLY) {
                Err(Errno::NOENT) => return Ok(None),
                opened => opened?,
            };
            let mut bytes = Vec::new();
            file.take(limit).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        };
        read().map_err(|source| self.failed(name, source))
    }

    /// Makes `bytes` the content of the file `name`: after a crash of the machine either they are there or what was there
    /// before, whole. Until then they are in the file `temporary`.
    ///
    /// # Errors
    /// What the machine refused.
    pub(in crate::source) fn replace(&self, name: &str, temporary: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let remove = || rustix::fs::unlinkat(&self.handle, temporary, AtFlags::empty());
        let write = || -> io::Result<()> {
            // What an exporter left behind that ended while it wrote; or a link that was put there.
            match remove() {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let mut file = self.open_file(temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            rustix::fs::renameat(&self.handle, temporary, &self.handle, name)?;
            // Else a machine that loses its power may show what was there before.
            Ok(rustix::fs::fsync(&self.handle)?)
        };
        write().map_err(|source| {
            let error = self.failed(temporary, source);
            // On a full disk it would take room from others.
            let _ = remove();
            error
        })
    }

    /// Whether there is anything called `name`.
    pub(in crate::source) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Gives the file `from` the name `to`.
    ///
    /// # Errors
    /// What the machine refused.
    pub(in crate::source) fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let renamed = rustix::fs::renameat(&self.handle, from, &self.handle, to);
        renamed.map_err(|error| self.failed(from, error.into()))
    }

    /// An error about the file `name`; one of another user's is reported as such.
    pub(in crate::source) fn failed(&self, name: &str, source: io::Error) -> StorageError {
        let path = self.path.join(name);
        let owner = rustix::fs::lstat(&path).ok().map(|stat| stat.st_uid);
        let user = rustix::process::geteuid().as_raw();
        match owner {
            Some(owner) if source.kind() == io::ErrorKind::PermissionDenied && owner != user => {
                StorageError::NotOurs { path, directory: self.path.clone(), owner, user }
            }
            _ => StorageError::Io { path, source },
        }
    }
}
