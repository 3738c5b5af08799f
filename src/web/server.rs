//! Accepts connections, bounds their number, and ends in an orderly way. Knows nothing of what is asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Patient, Phase};
use super::exchange::exchange;
use super::{Answer, Limits, WebError};

/// The wait after a failed accept; it doubles with each failure up to the largest.
const SMALLEST_BACK_OFF: Duration = Duration::from_millis(10);
const LARGEST_BACK_OFF: Duration = Duration::from_secs(1);

/// How long a failing accept is not mentioned again.
const QUIET: Duration = Duration::from_secs(60);

/// Answers requests until `shutdown`, then ends: listens no more, cuts off who is asking nothing, and gives the
/// requests under way [`Limits::drain`] to be answered.
///
/// Needs a Tokio runtime with I/O and time. Logs `listening` with the real address of each listener.
///
/// # Errors
/// When a listener cannot be used. What goes wrong with a client is that client's alone.
pub async fn serve(
    listeners: Vec<std::net::TcpListener>,
    answer: Answer,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), WebError> {
    let (close, closing) = watch::channel(false);
    let house = Arc::new(House { answer, limits, slots: Slots::new(limits.connections) });
    let mut doors = JoinSet::new();
    for listener in listeners {
        let (listener, address) = adopt(listener).map_err(|source| WebError::Listen { source })?;
        tracing::info!(%address, "listening");
        doors.spawn(accept(listener, Arc::clone(&house), closing.clone()));
    }
    shutdown.await;
    close.send_replace(true);
    while doors.join_next().await.is_some() {}
    Ok(())
}

fn adopt(listener: std::net::TcpListener) -> io::Result<(TcpListener, std::net::SocketAddr)> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

/// What all connections share.
struct House {
    answer: Answer,
    limits: Limits,
    slots: Arc<Slots>,
}

async fn accept(listener: TcpListener, house: Arc<House>, mut closing: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut back_off = SMALLEST_BACK_OFF;
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                back_off = SMALLEST_BACK_OFF;
                let phase = Arc::new(Phase::new(Arc::clone(&house.slots.freed)));
                let slot = tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => break,
                    slot = house.slots.take(&phase) => slot,
                };
                connections.spawn(converse(stream, Arc::clone(&house), phase, slot, closing.clone()));
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if warned.is_none_or(|moment| moment.elapsed() >= QUIET) {
                    tracing::warn!(
                        %error,
                        "cannot accept connections: retrying, and cutting off idle ones; raise the limit of open \
                         descriptors if that is it"
                    );
                    warned = Some(Instant::now());
                }
                house.slots.make_room();
                tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => break,
                    () = sleep(back_off) => {}
                }
                back_off = (back_off * 2).min(LARGEST_BACK_OFF);
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(house.limits.drain, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests are cut off: they took longer than the end may");
    }
    connections.shutdown().await;
}

/// Whether an accept failed because the connection ended before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn converse(
    stream: TcpStream,
    house: Arc<House>,
    phase: Arc<Phase>,
    _slot: Slot,
    closing: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before its first request");
        return;
    }
    let mut told_to_end = closing.clone();
    let service = service_fn(|request| {
        phase.begin();
        let exchange = exchange(Arc::clone(&house.answer), request);
        let phase = Arc::clone(&phase);
        let closing = closing.clone();
        async move {
            let mut response = exchange.await?;
            if *closing.borrow() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            phase.answered();
            Ok::<_, Infallible>(response)
        }
    });
    let limits = house.limits;
    let io = TokioIo::new(Patient::new(stream, Arc::clone(&phase), limits));
    // The times are kept by `Patient`, which tells an idle connection from a slow request.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(8 * 1024) * 2)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                return;
            }
            () = phase.is_cut() => return,
            _ = told_to_end.wait_for(|closing| *closing), if !leaving => {
                leaving = true;
                if phase.is_waiting() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The places for connections.
struct Slots {
    most: usize,
    taken: Mutex<Taken>,
    /// Told when a place is given back, or could be taken from its connection.
    freed: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    /// In the order of arrival.
    phases: BTreeMap<u64, Arc<Phase>>,
}

impl Taken {
    /// Cuts off the oldest of the connections that ask nothing, or else of those that do not read their answer;
    /// false when there is none.
    fn cut_oldest_idle(&mut self) -> bool {
        let oldest = |is_idle: fn(&Phase) -> bool| {
            self.phases.iter().find(|(_, phase)| is_idle(phase)).map(|(number, _)| *number)
        };
        let oldest = oldest(Phase::is_waiting).or_else(|| oldest(Phase::is_unread));
        let Some(phase) = oldest.and_then(|number| self.phases.remove(&number)) else { return false };
        phase.cut();
        true
    }
}

impl Slots {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), taken: Mutex::default(), freed: Arc::new(Notify::new()) })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection: in a full house that of the oldest idle one, and where all are being answered,
    /// the first that becomes free.
    async fn take(self: &Arc<Self>, phase: &Arc<Phase>) -> Slot {
        loop {
            {
                let mut taken = self.taken();
                if taken.phases.len() < self.most || taken.cut_oldest_idle() {
                    let number = taken.next;
                    taken.next += 1;
                    taken.phases.insert(number, Arc::clone(phase));
                    return Slot { number, slots: Arc::clone(self) };
                }
            }
            self.freed.notified().await;
        }
    }

    /// Ends one connection where that can be done, for its descriptor.
    fn make_room(&self) {
        self.taken().cut_oldest_idle();
    }
}

/// A place taken; given back when dropped.
struct Slot {
    number: u64,
    slots: Arc<Slots>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().phases.remove(&self.number);
        // A permit is kept for who has looked and not yet begun to wait.
        self.slots.freed.notify_one();
    }
}
