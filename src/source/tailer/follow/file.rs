//! Reading a file at an offset, without waiting, and telling two files apart.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::SeekFrom;

use crate::parse::tail::{Lines, MAX_LINE_BYTES, Position};

/// How much of a file's end is read for what it last said, in bytes.
const TAIL_BYTES: u64 = 64 * 1024;

pub(super) fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

pub(super) fn modified(meta: &Metadata) -> (i64, i64) {
    (meta.mtime(), meta.mtime_nsec())
}

pub(super) fn changed(meta: &Metadata) -> i128 {
    i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec())
}

/// What is at `path`, symbolic links followed; none when nothing is.
///
/// # Errors
/// Also when there is a link to nothing.
pub(super) fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match path.metadata() {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let is_link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
            if is_link { Err(rustix::io::Errno::LOOP.into()) } else { Ok(None) }
        }
        Err(error) => Err(error),
    }
}

/// Opens without waiting, whatever it is.
pub(super) fn open(path: &Path) -> io::Result<File> {
    crate::source::without_waiting().read(true).open(path)
}

pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// How many bytes from `offset` on are a hole in the file, when `bytes`, which were read there, are all NUL: a sparse file
/// may have gigabytes of them. Zero when there is none, or the file system can't tell.
pub(super) fn hole_at(file: &File, offset: u64, bytes: &[u8]) -> u64 {
    if bytes.iter().any(|byte| *byte != 0) {
        return 0;
    }
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data.saturating_sub(offset),
        // There is nothing but a hole up to the end.
        Err(rustix::io::Errno::NXIO) => file.metadata().map_or(0, |meta| meta.len().saturating_sub(offset)),
        Err(_) => 0,
    }
}

/// Gives the lines before `end` to `lines`, as many as there is room for; the position behind the last complete one.
pub(super) fn peek_at(file: &File, end: u64, buffer: &mut [u8], lines: &mut impl Lines) -> io::Result<Position> {
    let begin = end.saturating_sub(TAIL_BYTES.min(buffer.len() as u64));
    let length = usize::try_from(end - begin).unwrap_or(0).min(buffer.len());
    let count = read_at(file, &mut buffer[..length], begin)?;
    // The first line is cut unless the file begins with it.
    let mut position = Position { offset: begin, skipping: begin > 0, after_nul: false };
    position.feed(&buffer[..count], MAX_LINE_BYTES, &mut |line| lines.line(line));
    Ok(position)
}
