//! Accepts connections, bounds their number, and ends in an orderly way.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::compressor::Compressor;
use super::config::ConfigFile;
use super::connection;
use super::slots::Slots;
use super::{Handler, Limits, WebError, WebSettings};

/// The wait after a failed accept; it doubles with each failure up to the largest.
const SMALLEST_BACK_OFF: Duration = Duration::from_millis(10);
const LARGEST_BACK_OFF: Duration = Duration::from_secs(1);

/// How long a failing accept is not logged again.
const QUIET: Duration = Duration::from_secs(60);

/// Answers requests until `shutdown`, then ends: listens no more, cuts off idle connections, and gives the requests
/// under way [`Limits::drain`] to be answered.
///
/// Needs a Tokio runtime with I/O and time. Logs `listening` with the real address of each listener.
///
/// # Errors
/// When a listener cannot be used, or the system has no thread. An error of one client affects no other.
pub async fn serve(
    listeners: Vec<std::net::TcpListener>,
    answer: Handler,
    settings: impl Into<WebSettings>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), WebError> {
    let WebSettings { limits, config } = settings.into();
    let (close, closing) = watch::channel(false);
    let server = Arc::new(Server {
        answer,
        limits,
        silent: Slots::new(limits.silent, usize::MAX),
        slots: Slots::new(limits.connections, limits.unread_bytes),
        config,
        compressor: Compressor::start()?,
        closing,
    });
    if let Some(config) = &server.config {
        tracing::info!(tls = config.requires_tls(), "the web configuration is in force");
    }
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let (listener, address) = adopt(listener).map_err(|source| WebError::Listen { source })?;
        tracing::info!(%address, "listening");
        accepting.spawn(accept(listener, Arc::clone(&server)));
    }
    shutdown.await;
    close.send_replace(true);
    while accepting.join_next().await.is_some() {}
    Ok(())
}

fn adopt(listener: std::net::TcpListener) -> io::Result<(TcpListener, std::net::SocketAddr)> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

/// What all connections share.
pub(super) struct Server {
    pub(super) answer: Handler,
    pub(super) limits: Limits,
    /// The places of connections on which nothing has been sent.
    pub(super) silent: Arc<Slots>,
    /// The places of the others.
    pub(super) slots: Arc<Slots>,
    pub(super) config: Option<ConfigFile>,
    pub(super) compressor: Compressor,
    /// Becomes true when the server is told to end.
    pub(super) closing: watch::Receiver<bool>,
}

impl Server {
    /// Cuts off one connection for its descriptor: the oldest that has never sent a request, wherever it has its place,
    /// so that a new client can send one.
    fn make_room(&self) {
        let is_older = match (self.slots.first_silent(), self.silent.first_silent()) {
            (Some(one), Some(other)) => one < other,
            (one, None) => one.is_some(),
            (None, _) => false,
        };
        let [first, second] = if is_older { [&self.slots, &self.silent] } else { [&self.silent, &self.slots] };
        if !first.make_room() {
            second.make_room();
        }
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let mut closing = server.closing.clone();
    let mut connections = JoinSet::new();
    let mut failures = Failures::default();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                failures = Failures { warned: failures.warned, ..Failures::default() };
                let phase = server.slots.phase();
                let slot = tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => break,
                    slot = server.silent.take(&phase) => slot,
                };
                connections.spawn(connection::run(stream, Arc::clone(&server), phase, slot));
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                failures.warn(&error);
                server.make_room();
                tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => break,
                    () = sleep(failures.back_off()) => {}
                }
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(server.limits.drain, ended).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "shutting down: requests that took longer than the grace period were cut off"
        );
    }
    connections.shutdown().await;
}

/// Consecutive failures of accept.
#[derive(Default)]
struct Failures {
    number: u32,
    warned: Option<Instant>,
}

impl Failures {
    fn warn(&mut self, error: &io::Error) {
        if self.warned.is_none_or(|moment| moment.elapsed() >= QUIET) {
            tracing::warn!(
                %error,
                "cannot accept connections: retrying, and cutting off idle ones; if the error is about open files, raise \
                 their limit (LimitNOFILE)"
            );
            self.warned = Some(Instant::now());
        }
    }

    fn back_off(&mut self) -> Duration {
        let wait = SMALLEST_BACK_OFF.saturating_mul(1 << self.number.min(16)).min(LARGEST_BACK_OFF);
        self.number += 1;
        wait
    }
}

/// Whether an accept failed because the connection ended before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
