//! HTTP: listens, limits, authenticates, encrypts, compresses. One function answers every path; collectors are handled
//! elsewhere.
//!
//! What a client can do to others is bounded here: a request has to arrive, and an answer has to be taken, within
//! [`Limits`]; when all connections are taken, the one that has been idle for longest is closed.

mod auth;
mod bind;
mod body;
mod compressor;
mod config;
mod connection;
mod exchange;
mod phase;
mod server;
mod slots;
mod socket;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use bind::{ListenAddress, bind};
pub use body::{Body, WriteBody};
pub use config::{ConfigError, ConfigFile};
pub use server::serve;

use crate::pool::PoolError;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The one function that answers every request.
///
/// A panic in it is answered with 500, and the server goes on.
pub type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// A request, as far as an answer may depend on it.
///
/// Requests with other methods than GET and HEAD never get here, nor do bodies. A HEAD request is answered like
/// a GET; its body is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path, percent-decoded.
    pub path: String,
    /// The query's names and values, decoded, in their order; what is not UTF-8 holds U+FFFD.
    pub query: Vec<(String, String)>,
    /// `X-Prometheus-Scrape-Timeout-Seconds`; `None` when absent or no positive number.
    pub scrape_timeout: Option<Duration>,
    /// `Accept-Language`; empty when absent.
    pub accept_language: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The body; compressed on its way out when the client asks for it.
    pub body: Body,
    /// Further header fields: names in lower case, and values.
    pub headers: Vec<(&'static str, &'static str)>,
}

impl Response {
    /// A page of HTML.
    #[must_use]
    pub fn html(status: u16, page: impl Into<Body>) -> Self {
        Self { status, content_type: "text/html; charset=utf-8", body: page.into(), headers: Vec::new() }
    }

    /// A line of text; the line break is added.
    #[must_use]
    pub fn text(status: u16, line: impl Into<String>) -> Self {
        let mut text = line.into();
        text.push('\n');
        Self { status, content_type: "text/plain; charset=utf-8", body: text.into(), headers: Vec::new() }
    }

    /// The answer with one more header field; `name` in lower case.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What a client may take, of time and of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the head of a request may take to arrive: from the connection's start, then from its first byte.
    pub head: Duration,
    /// How long a connection may stay open after an answer, until the next request begins.
    pub idle: Duration,
    /// How long an answer may take to be read by the client, once it no longer fits the socket's buffer.
    pub write: Duration,
    /// How long requests under way may take when the server is told to end.
    pub drain: Duration,
    /// How many bytes of answers may wait for clients that do not read them: beyond it the slowest of them are cut off.
    pub unread_bytes: usize,
    /// How many connections there may be at once on which the client has begun to send a request; at least 1.
    pub connections: usize,
    /// How many more there may be on which nothing has been sent yet; at least 1.
    pub silent: usize,
    /// The size of a request's head in bytes; a larger one is answered with 431.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            write: Duration::from_secs(30),
            drain: Duration::from_secs(5),
            unread_bytes: 16 << 20,
            connections: 2048,
            silent: 4096,
            head_bytes: 16 * 1024,
        }
    }
}

/// How the server treats clients.
#[derive(Default)]
pub struct WebSettings {
    /// What a client may take.
    pub limits: Limits,
    /// TLS, users, headers, rate: `--web.config.file`.
    pub config: Option<ConfigFile>,
}

impl From<Limits> for WebSettings {
    fn from(limits: Limits) -> Self {
        Self { limits, config: None }
    }
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The host's name can't be resolved.
    #[error(
        "cannot resolve the listen address {address}: {source}; name a host or a network interface that this machine knows, or an IP address"
    )]
    Resolve {
        /// The address as it was asked for.
        address: ListenAddress,
        /// The OS error.
        source: io::Error,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}; {}", bind::remedy(source))]
    Bind {
        /// The address that was tried.
        address: SocketAddr,
        /// The OS error.
        source: io::Error,
    },
    /// The system has no thread for the server.
    #[error(transparent)]
    Threads(#[from] PoolError),
    /// The listener cannot be used.
    #[error("cannot wait for connections: {source}; raise the limit of open descriptors (ulimit -n, LimitNOFILE)")]
    Listen {
        /// The OS error.
        source: io::Error,
    },
}
