//! The queue between the program and the reader of its log: logging never blocks, one thread writes.
//!
//! For a pipe without a reader, a journal that hangs or a stopped terminal, up to [`MAX_BYTES`] are queued; further
//! lines are dropped and counted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait to be written.
const MAX_BYTES: usize = 256 * 1024;

/// How soon a write that would block is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(super) struct LineQueue {
    waiting: Mutex<Waiting>,
    /// Notified when there is a line.
    filled: Condvar,
    /// Notified when everything has been written.
    drained: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether a line has been taken and is being written.
    writing: bool,
}

impl Waiting {
    fn is_drained(&self) -> bool {
        self.lines.is_empty() && !self.writing
    }
}

impl LineQueue {
    /// Adds a line, or drops it when the queue is full. Never waits for the reader.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes + line.len() > MAX_BYTES {
            self.count_dropped();
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line.to_vec());
        drop(waiting);
        self.filled.notify_one();
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything has been written, for `limit` at most.
    pub(super) fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut waiting = self.waiting();
        while !waiting.is_drained() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            waiting = self.drained.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes the lines to `output` for ever, and calls `caught_up` with their number when some were dropped and the
    /// queue is empty again.
    pub(super) fn write_to(&self, mut output: impl Write, caught_up: impl Fn(u64)) {
        let mut told = 0;
        loop {
            let line = self.next();
            if write_patiently(&mut output, &line).is_err() {
                self.count_dropped();
            }
            let is_drained = {
                let mut waiting = self.waiting();
                waiting.writing = false;
                waiting.is_drained()
            };
            let dropped = self.dropped();
            if is_drained && dropped > told {
                caught_up(dropped - told);
                told = dropped;
            }
            if is_drained {
                self.drained.notify_all();
            }
        }
    }

    fn next(&self) -> Vec<u8> {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.len();
                waiting.writing = true;
                return line;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all of `bytes`, also to a non-blocking descriptor.
fn write_patiently(output: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(TRY_AGAIN),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives each event its writer.
#[derive(Clone, Debug)]
pub(super) struct LineWriter(pub(super) Arc<LineQueue>);

impl MakeWriter<'_> for LineWriter {
    type Writer = LineWriter;

    fn make_writer(&self) -> LineWriter {
        self.clone()
    }
}

impl Write for LineWriter {
    /// An event comes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// An output that takes a line whenever the test lets it.
    struct Gate {
        may_write: Receiver<()>,
        written: SyncSender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.may_write.recv().map_err(io::Error::other)?;
            self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_hangs_costs_lines_and_nobodys_time() {
        let queue = Arc::new(LineQueue::default());
        let (open, may_write) = sync_channel(10_000);
        let (written, lines) = sync_channel(10_000);
        let writing = Arc::clone(&queue);
        let (tell, told) = sync_channel(10);
        std::thread::spawn(move || writing.write_to(Gate { may_write, written }, |lost| tell.send(lost).unwrap()));
        let line = [b'x'; 1024];
        // One line may have been taken and hang.
        for _ in 0..MAX_BYTES / 1024 + 3 {
            queue.push(&line);
        }
        let lost = queue.dropped();
        assert!((2..=3).contains(&lost), "{lost}");
        queue.flush(Duration::from_millis(1));
        assert_eq!(queue.dropped(), lost, "a flush that is given up loses nothing");

        for _ in 0..MAX_BYTES / 1024 + 3 {
            open.send(()).unwrap();
        }
        queue.flush(Duration::from_secs(60));
        assert_eq!(lines.try_iter().count() as u64 + lost, MAX_BYTES as u64 / 1024 + 3);
        assert_eq!(told.recv().unwrap(), lost);
        queue.push(b"y");
        queue.flush(Duration::from_secs(60));
        assert_eq!(lines.recv().unwrap(), b"y");
    }

    #[test]
    fn a_line_that_the_output_refuses_is_counted() {
        let queue = Arc::new(LineQueue::default());
        let writing = Arc::clone(&queue);
        std::thread::spawn(move || writing.write_to(io::Cursor::new([0_u8; 0].as_mut_slice()), |_| {}));
        queue.push(b"x");
        queue.flush(Duration::from_secs(60));
        assert_eq!(queue.dropped(), 1);
    }
}
