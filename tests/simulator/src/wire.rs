//! Lines over the simulator's own Unix socket: between a command and the host process, and between the host process and
//! each module. Fields of a line are separated by the unit separator.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// What separates the fields of a line.
const SEPARATOR: char = '\u{1f}';

/// Puts fields into one line, without its end.
pub(crate) fn join<T: AsRef<str>>(fields: &[T]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| field.as_ref().replace(['\n', SEPARATOR], " ")).collect();
    fields.join(&SEPARATOR.to_string())
}

/// Takes a line apart again.
pub(crate) fn split(line: &str) -> Vec<String> {
    line.split(SEPARATOR).map(str::to_owned).collect()
}

/// A stream of lines that never blocks its reader.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: UnixStream,
    pending: Vec<u8>,
    /// The other end is gone.
    pub(crate) closed: bool,
}

impl Lines {
    /// # Errors
    /// When the stream cannot be made non-blocking.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, pending: Vec::new(), closed: false })
    }

    /// The whole lines that have come by now.
    pub(crate) fn receive(&mut self) -> Vec<String> {
        let mut buffer = [0; 4096];
        while !self.closed {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(length) => self.pending.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.closed = true,
            }
        }
        let mut lines = Vec::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let rest = self.pending.split_off(end + 1);
            let line = std::mem::replace(&mut self.pending, rest);
            lines.push(String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned());
        }
        lines
    }

    /// Throws away what has come and returns whether anything has: for a pipe that only wakes.
    pub(crate) fn drain(&mut self) -> bool {
        let lines = self.receive();
        let any = !lines.is_empty() || !self.pending.is_empty();
        self.pending.clear();
        any
    }

    /// Sends one line. A reader that hangs, its buffer full, does not get it: a hung module must not block others.
    pub(crate) fn send(&mut self, line: &str) {
        let written = self.stream.write_all(format!("{line}\n").as_bytes());
        self.closed |= written.is_err_and(|error| error.kind() != ErrorKind::WouldBlock);
    }

    /// Back to a plain, blocking stream.
    ///
    /// # Errors
    /// When the stream cannot be made blocking.
    pub(crate) fn into_blocking(self) -> io::Result<UnixStream> {
        self.stream.set_nonblocking(false)?;
        Ok(self.stream)
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

// A socket's path has room for about a hundred bytes, the path of a test's folder is often longer: the folder is
// opened and named by its descriptor.
fn short(folder: &Path) -> io::Result<(File, String)> {
    let folder = File::open(folder)?;
    let path = format!("/proc/self/fd/{}/control", folder.as_raw_fd());
    Ok((folder, path))
}

/// Listens in `folder`.
///
/// # Errors
/// When the folder is missing or another process listens already.
pub(crate) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let (_folder, path) = short(folder)?;
    UnixListener::bind(path)
}

/// Connects to the listener in `folder`.
///
/// # Errors
/// When the folder is missing or nothing listens.
pub(crate) fn connect(folder: &Path) -> io::Result<UnixStream> {
    let (_folder, path) = short(folder)?;
    UnixStream::connect(path)
}
