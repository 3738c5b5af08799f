//! A connection that is patient only so far: it ends when a request does not arrive, or an answer is not taken, in
//! time. Knows bytes and moments, nothing of HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;

/// Nothing is asked: no request, or only a part of one.
const WAITING: u8 = 0;
/// A request is being answered.
const ANSWERING: u8 = 1;
/// The answer is being written.
const ANSWERED: u8 = 2;
/// The answer is being written, and the client has not read what was sent so far.
const UNREAD: u8 = 3;

/// What a connection is about, shared by its socket, its requests and the server.
#[derive(Debug)]
pub(super) struct Phase {
    now: AtomicU8,
    cut: Notify,
    /// Told whenever the connection begins to be one that may be cut off.
    idle: Arc<Notify>,
}

impl Phase {
    pub(super) fn new(idle: Arc<Notify>) -> Self {
        Self { now: AtomicU8::new(WAITING), cut: Notify::new(), idle }
    }

    /// A request has arrived; until it is answered, nobody cuts the connection off.
    pub(super) fn begin(&self) {
        self.now.store(ANSWERING, Ordering::Relaxed);
    }

    /// The answer is ready to be written.
    pub(super) fn answered(&self) {
        self.now.store(ANSWERED, Ordering::Relaxed);
    }

    /// Whether nothing is asked at the moment.
    pub(super) fn is_waiting(&self) -> bool {
        self.now.load(Ordering::Relaxed) == WAITING
    }

    /// Whether the client does not read its answer as fast as it is sent.
    pub(super) fn is_unread(&self) -> bool {
        self.now.load(Ordering::Relaxed) == UNREAD
    }

    /// Asks the connection to end at once.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Ends when the connection is to end at once.
    pub(super) async fn is_cut(&self) {
        self.cut.notified().await;
    }

    /// What was written so far has not been read.
    fn blocked(&self) {
        if self.now.compare_exchange(ANSWERED, UNREAD, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.idle.notify_one();
        }
    }

    /// All has been written out: whether that ended an exchange.
    fn written(&self) -> bool {
        let ended = matches!(self.now.load(Ordering::Relaxed), ANSWERED | UNREAD);
        if ended {
            self.now.store(WAITING, Ordering::Relaxed);
            self.idle.notify_one();
        }
        ended
    }
}

/// A socket with the limits of time that hold for a client.
#[derive(Debug)]
pub(super) struct Patient {
    stream: TcpStream,
    phase: Arc<Phase>,
    limits: Limits,
    /// When the request that is waited for is due.
    request_due: Instant,
    /// Whether a part of the request that is waited for has been read.
    begun: bool,
    /// When the answer that does not fit the socket's buffer has to be taken.
    answer_due: Option<Instant>,
    read_timer: Timer,
    write_timer: Timer,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, limits: Limits) -> Self {
        Self {
            stream,
            phase,
            limits,
            request_due: Instant::now() + limits.head,
            // A new connection has no time to be idle: it was opened to ask something.
            begun: true,
            answer_due: None,
            read_timer: Timer::default(),
            write_timer: Timer::default(),
        }
    }

    fn note_read(&mut self) {
        if !self.begun {
            self.begun = true;
            self.request_due = Instant::now() + self.limits.head;
        }
    }

    fn poll_overdue_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.phase.blocked();
        // Not moved by progress: a client that takes a byte now and then has no more time than one that takes none.
        let limit = self.limits.write;
        let due = *self.answer_due.get_or_insert_with(|| Instant::now() + limit);
        ready!(self.write_timer.poll(cx, due));
        // Or the system would go on offering to the client what is in its buffer.
        if let Err(error) = self.stream.set_zero_linger() {
            tracing::debug!(%error, "cannot drop what a client has not read");
        }
        Poll::Ready(overdue("the client does not read the answer", limit))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending if this.phase.is_waiting() => {
                ready!(this.read_timer.poll(cx, this.request_due));
                Poll::Ready(Err(overdue("no complete request arrived", this.limits.head)))
            }
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    this.note_read();
                }
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write(cx, buf) {
            Poll::Pending => this.poll_overdue_write(cx).map(Err),
            done => done,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write_vectored(cx, bufs) {
            Poll::Pending => this.poll_overdue_write(cx).map(Err),
            done => done,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Reached when all that was written is with the system: the end of an answer.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.answer_due = None;
        if this.phase.written() {
            this.begun = false;
            this.request_due = Instant::now() + this.limits.idle;
            // hyper may have found nothing to read before it wrote, and then waits for the socket alone.
            if this.read_timer.poll(cx, this.request_due).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A timer that is made when first needed and set anew when its moment changes.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}

fn overdue(what: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {limit:?}"))
}
