//! The service manager: notifies it of the exporter's state (`sd_notify(3)`), and takes over its sockets
//! (`sd_listen_fds(3)`).

use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// What the exporter is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It serves.
    Ready,
    /// It reads everything again.
    Reloading,
    /// It ends.
    Stopping,
    /// It is alive.
    Alive,
}

/// Tells the service manager, if there is one. A manager that can't be reached is logged: nothing depends on it here.
pub fn tell(state: ServiceState) {
    if let Err(error) = try_to_tell(state) {
        tracing::warn!(%error, ?state, "the service manager can't be notified");
    }
}

fn try_to_tell(state: ServiceState) -> io::Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(()) };
    let message = match state {
        ServiceState::Ready => NotifyState::Ready.to_string(),
        ServiceState::Reloading => format!("{}\n{}", NotifyState::Reloading, NotifyState::monotonic_usec_now()?),
        ServiceState::Stopping => NotifyState::Stopping.to_string(),
        ServiceState::Alive => NotifyState::Watchdog.to_string(),
    };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that hangs must not hang its services.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

/// The interval of the watchdog's notifications: half of what the service manager allows; none where it expects none.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The listening TCP sockets that the service manager has passed on.
///
/// # Errors
/// When there are none, or one of them is no such socket.
pub fn sockets() -> io::Result<Vec<TcpListener>> {
    let mut passed = ListenFd::from_env();
    let taken: io::Result<Vec<_>> = (0..passed.len()).map(|number| passed.take_tcp_listener(number)).collect();
    let sockets: Vec<_> = taken?.into_iter().flatten().collect();
    if sockets.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the service manager has passed no socket on"));
    }
    Ok(sockets)
}
