//! What can go wrong in the simulator, and where.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the simulator: every variant names the place and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file, a directory or a socket could not be used.
    #[error("{path}: {source}")]
    Io {
        /// The file, or what stands for it (an address, "fork").
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A configuration file cannot be understood.
    #[error("{path}:{line}: {message}")]
    Conf {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// What is wrong with it.
        message: String,
    },
    /// The caller asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// The simulated host refused, or could not do it in time.
    #[error("{0}")]
    Refused(String),
}

/// The simulator's result.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Names the place where `source` happened.
    pub(crate) fn io(path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), source: source.into() }
    }
}
