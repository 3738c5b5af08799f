//! The phase of a connection, by which the server chooses one to cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The phase of a connection, shared by its socket, its requests and the server.
///
/// A connection is *waiting* for a request, *answering* one, or has an answer that is *unread*. After an answer to a
/// request whose body is not read it is *lingering*: the answer has been sent, and what the client still sends is
/// thrown away so that it reads the answer.
#[derive(Debug)]
pub(super) struct Phase {
    opened: Instant,
    /// Requests that are being answered.
    answering: AtomicUsize,
    /// Answers of which a part has not been taken by the client's socket.
    unread: AtomicUsize,
    /// The bytes of those answers.
    unread_bytes: AtomicUsize,
    lingers: AtomicBool,
    has_asked: AtomicBool,
    is_multiplexed: AtomicBool,
    /// When the connection began to wait, or its oldest answer was ready: milliseconds since it was opened.
    since: AtomicU64,
    /// When the client last took bytes of an answer: milliseconds since it was opened.
    progress: AtomicU64,
    cut: Notify,
    /// Notified whenever the connection becomes one that may be cut off.
    idle: Arc<Notify>,
}

impl Phase {
    pub(super) fn new(idle: Arc<Notify>) -> Self {
        Self {
            opened: Instant::now(),
            answering: AtomicUsize::new(0),
            unread: AtomicUsize::new(0),
            unread_bytes: AtomicUsize::new(0),
            lingers: AtomicBool::new(false),
            has_asked: AtomicBool::new(false),
            is_multiplexed: AtomicBool::new(false),
            since: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            cut: Notify::new(),
            idle,
        }
    }

    /// A request has arrived; until it is answered, the connection is not cut off.
    pub(super) fn begin(&self) {
        self.has_asked.store(true, Ordering::Relaxed);
        self.answering.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer of `bytes` bytes is ready to be written.
    pub(super) fn answered(&self, bytes: usize) {
        if self.unread.fetch_add(1, Ordering::Relaxed) == 0 {
            self.mark(&self.since);
        }
        self.unread_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.answering.fetch_sub(1, Ordering::Relaxed);
        self.mark(&self.progress);
        self.idle.notify_one();
    }

    /// An answer of `bytes` bytes has been taken, or is no longer wanted.
    pub(super) fn taken(&self, bytes: usize) {
        self.unread_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.unread.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.mark(&self.since);
            self.idle.notify_one();
        }
    }

    /// The connection carries several exchanges at a time (HTTP/2): each reports by itself when its answer was taken.
    pub(super) fn multiplex(&self) {
        self.is_multiplexed.store(true, Ordering::Relaxed);
    }

    /// All that was written is with the system: whether that ended an exchange.
    pub(super) fn flushed(&self) -> bool {
        if self.is_multiplexed.load(Ordering::Relaxed) {
            return false;
        }
        let had_any = self.unread.swap(0, Ordering::Relaxed) > 0;
        if had_any {
            self.unread_bytes.store(0, Ordering::Relaxed);
            self.mark(&self.since);
            self.idle.notify_one();
        }
        had_any
    }

    /// The client took bytes.
    pub(super) fn progressed(&self) {
        self.mark(&self.progress);
    }

    /// The answer has been sent, and what comes now is thrown away.
    pub(super) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
        self.idle.notify_one();
    }

    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// Whether no request is under way, or only a part of one has arrived.
    pub(super) fn is_waiting(&self) -> bool {
        self.answering.load(Ordering::Relaxed) == 0 && self.unread.load(Ordering::Relaxed) == 0
    }

    /// Whether no request has arrived since it was opened.
    pub(super) fn has_never_asked(&self) -> bool {
        !self.has_asked.load(Ordering::Relaxed)
    }

    /// When the connection was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether the client has not taken its answer yet.
    pub(super) fn is_unread(&self) -> bool {
        self.answering.load(Ordering::Relaxed) == 0 && self.unread.load(Ordering::Relaxed) > 0
    }

    /// The bytes of the answers that the client has not taken.
    pub(super) fn unread_bytes(&self) -> usize {
        self.unread_bytes.load(Ordering::Relaxed)
    }

    /// When the client last took bytes.
    pub(super) fn last_progress(&self) -> Instant {
        self.opened + Duration::from_millis(self.progress.load(Ordering::Relaxed))
    }

    /// Since when it waits, or since when an answer is ready.
    pub(super) fn since(&self) -> Instant {
        self.opened + Duration::from_millis(self.since.load(Ordering::Relaxed))
    }

    /// Asks the connection to end at once.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Ends when the connection is to end at once.
    pub(super) async fn is_cut(&self) {
        self.cut.notified().await;
    }

    fn mark(&self, moment: &AtomicU64) {
        let elapsed = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        moment.store(elapsed, Ordering::Relaxed);
    }
}
