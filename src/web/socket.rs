//! A client's socket with time limits: it ends when a request does not arrive, or an answer is not taken, in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;
use super::phase::Phase;
use super::slots::Slots;

/// A socket with the limits of time that hold for a client.
pub(super) struct Socket {
    stream: TcpStream,
    phase: Arc<Phase>,
    slots: Arc<Slots>,
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

impl Socket {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, slots: Arc<Slots>, limits: Limits) -> Self {
        Self {
            request_due: phase.opened() + limits.head,
            stream,
            phase,
            slots,
            limits,
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

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => self.poll_overdue_write(cx).map(Err),
            Poll::Ready(result) => {
                self.phase.progressed();
                Poll::Ready(result)
            }
        }
    }

    fn poll_overdue_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // Not moved by progress: a client that takes a byte now and then has no more time than one that takes none.
        let limit = self.limits.write;
        if self.answer_due.is_none() {
            self.answer_due = Some(Instant::now() + limit);
            self.slots.bound_unread();
        }
        let due = self.answer_due.unwrap_or_else(Instant::now);
        ready!(self.write_timer.poll(cx, due));
        Poll::Ready(overdue("the client does not read the answer", limit))
    }
}

impl Drop for Socket {
    /// Drops what the client has not read: the system would go on offering it.
    fn drop(&mut self) {
        if self.phase.is_unread()
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "cannot drop what a client has not read");
        }
    }
}

impl AsyncRead for Socket {
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

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Reached when all that was written is with the system: the end of an answer.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.answer_due = None;
        if this.phase.flushed() {
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
