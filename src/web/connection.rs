//! One connection: TLS where it is configured, HTTP/1.1 or HTTP/2, requests and their answers, the end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::body::told_when_taken;
use super::exchange::{EncodedResponse, exchange};
use super::phase::Phase;
use super::server::Server;
use super::slots::ConnectionSlot;
use super::socket::Socket;
use super::{BoxFuture, tls};

/// How much of an unwanted body is read to be thrown away, in bytes, and for how long, so that the client may
/// finish sending and then reads the answer.
const LINGER_BYTES: usize = 64 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// The requests that a client may have under way on one connection of HTTP/2.
const STREAMS: u32 = 16;

/// How often a silent client of HTTP/2 is sent a PING, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// The first byte of every TLS connection: the content type of a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Serves the connection until it ends, is cut off, or the server ends and nothing is under way. `silent` is its place
/// until the client sends something.
///
/// A connection on which nothing is sent costs a timer and no buffer: there may be many.
pub(super) async fn run(stream: TcpStream, server: Arc<Server>, phase: Arc<Phase>, silent: ConnectionSlot) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before its first request");
        return;
    }
    let speaks = unless_closing(&server, timeout(server.limits.head, stream.readable()));
    tokio::select! {
        biased;
        () = phase.is_cut() => return,
        spoken = speaks => if !matches!(spoken, Some(Ok(Ok(())))) { return },
    }
    drop(silent);
    Box::pin(speaking(stream, &server, &phase)).await;
}

async fn speaking(stream: TcpStream, server: &Arc<Server>, phase: &Arc<Phase>) {
    let Some(_slot) = unless_closing(server, server.slots.take(phase)).await else { return };
    tokio::select! {
        biased;
        () = serve(stream, server, phase) => {}
        () = phase.is_cut() => {}
    }
}

async fn serve(stream: TcpStream, server: &Arc<Server>, phase: &Arc<Phase>) {
    let acceptor = match &server.config {
        None => None,
        Some(config) => match config.current() {
            Ok(active) => active.tls(),
            // Without TLS each request is answered with an error; with it the connection is closed without an answer.
            Err(_) if config.requires_tls() => return,
            Err(_) => None,
        },
    };
    let Some(config) = acceptor else {
        let socket = Socket::new(stream, Arc::clone(phase), Arc::clone(&server.slots), server.limits);
        return http1(socket, server, phase).await;
    };
    let mut first = [0];
    let peeked = unless_closing(server, timeout(server.limits.head, stream.peek(&mut first))).await;
    let Some(Ok(Ok(1))) = peeked else { return };
    let socket = Socket::new(stream, Arc::clone(phase), Arc::clone(&server.slots), server.limits);
    if first == [HANDSHAKE] {
        secured(socket, TlsAcceptor::from(config), server, phase).await;
    } else {
        refuse(socket, "This port speaks HTTPS alone.").await;
    }
}

/// What `work` gives, unless the server ends first.
async fn unless_closing<T>(server: &Server, work: impl Future<Output = T>) -> Option<T> {
    let mut closing = server.closing.clone();
    tokio::select! {
        biased;
        _ = closing.wait_for(|closing| *closing) => None,
        done = work => Some(done),
    }
}

async fn secured(socket: Socket, acceptor: TlsAcceptor, server: &Arc<Server>, phase: &Arc<Phase>) {
    match unless_closing(server, acceptor.accept(socket)).await {
        None => {}
        Some(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Some(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) => {
            http2(stream, server, phase).await;
        }
        Some(Ok(stream)) => http1(stream, server, phase).await,
    }
}

/// Answers a malformed request.
async fn refuse(mut io: impl AsyncWrite + AsyncRead + Unpin, reason: &str) {
    let length = reason.len() + 1;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{reason}\n"
    );
    if io.write_all(answer.as_bytes()).await.is_ok() {
        drain(&mut io).await;
    }
}

/// Ends the answer, and throws away what the client still sends, so that it reads the answer.
async fn drain(io: &mut (impl AsyncWrite + AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    let read = async {
        io.shutdown().await?;
        let mut total = 0;
        while total < LINGER_BYTES {
            match io.read(&mut buffer).await? {
                0 => break,
                length => total += length,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // Too large, too slow, broken off: the connection ends.
    let _ = timeout(LINGER, read).await;
}

async fn http1<I>(io: I, server: &Arc<Server>, phase: &Arc<Phase>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let left_a_body = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        left_a_body.store(!request.body().is_end_stream(), Ordering::Relaxed);
        phase.begin();
        let (server, phase) = (Arc::clone(server), Arc::clone(phase));
        let answer: BoxFuture<'static, _> = Box::pin(async move {
            let EncodedResponse { mut response, body } = exchange(&server, request).await;
            if *server.closing.borrow() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            phase.answered(body.len());
            Ok::<_, Infallible>(response.map(|()| Full::new(body)))
        });
        answer
    });
    // The times are kept by `Socket`, which distinguishes an idle connection from a slow request.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(server.limits.head_bytes)
        .max_buf_size(server.limits.head_bytes.max(8 * 1024) * 2)
        .serve_connection(TokioIo::new(io), service);
    let mut closing = server.closing.clone();
    let mut is_leaving = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            _ = closing.wait_for(|closing| *closing), if !is_leaving => {
                is_leaving = true;
                if phase.is_waiting() {
                    return;
                }
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let mut io = parts.io.into_inner();
    match ended {
        Err(error) if error.is_parse_version_h2() => {
            refuse(io, "HTTP/2 is spoken over TLS alone, when both sides have agreed on it.").await;
        }
        Err(error) => tracing::debug!(%error, "a connection broke off"),
        Ok(()) if left_a_body.load(Ordering::Relaxed) => {
            phase.linger();
            unless_closing(server, drain(&mut io)).await;
        }
        Ok(()) => {
            let _ = timeout(LINGER, io.shutdown()).await;
        }
    }
}

async fn http2<I>(io: I, server: &Arc<Server>, phase: &Arc<Phase>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    phase.multiplex();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        phase.begin();
        let (server, phase) = (Arc::clone(server), Arc::clone(phase));
        async move {
            // A stream that the client resets is dropped anywhere below.
            let answering = Answering(Some(Arc::clone(&phase)));
            let EncodedResponse { response, body } = exchange(&server, request).await;
            answering.answered(body.len());
            Ok::<_, Infallible>(response.map(|()| Full::new(told_when_taken(body, phase))))
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(server.limits.head_bytes).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let mut closing = server.closing.clone();
    let mut is_leaving = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                return;
            }
            _ = closing.wait_for(|closing| *closing), if !is_leaving => {
                is_leaving = true;
                if phase.is_waiting() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
            () = overdue(server, phase) => return,
        }
    }
}

/// A request on a connection of HTTP/2, for as long as it is being answered.
struct Answering(Option<Arc<Phase>>);

impl Answering {
    fn answered(mut self, bytes: usize) {
        if let Some(phase) = self.0.take() {
            phase.answered(bytes);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(phase) = self.0.take() {
            phase.answered(0);
            phase.taken(0);
        }
    }
}

/// Ends when a connection of HTTP/2 has been idle, or the client has left answers unread, for longer than it may.
async fn overdue(server: &Server, phase: &Phase) {
    loop {
        let limit = match (phase.is_waiting(), phase.is_unread()) {
            (true, _) => server.limits.idle,
            (_, true) => server.limits.write,
            // A request is being answered, which has no limit here.
            _ => {
                sleep(server.limits.write).await;
                continue;
            }
        };
        let due = phase.since() + limit;
        if due <= tokio::time::Instant::now() {
            return;
        }
        tokio::time::sleep_until(due).await;
    }
}
