//! The kernel's list of sockets by netlink, `sock_diag(7)`: only listeners, whatever the number of connections.
//!
//! Covers the network namespace that the exporter is in, and no other.

use std::io;
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use socket2::SockRef;

use crate::catalog::Protocol;
use crate::parse::diag::{DiagError, DumpStatus, IpVersion, listeners, request};
use crate::parse::sockets::Listener;

/// How long the kernel is waited for; it answers within the call.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a kernel that has refused is not asked again: it may search for a kernel module each time.
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// Room for one datagram: the kernel writes no more than the reader has room for, up to this.
const DATAGRAM: usize = 32 * 1024;

/// The kernel's answers to questions about sockets.
#[derive(Default)]
pub(super) struct Diag {
    socket: Option<Socket>,
    sequence: u32,
    /// When each transport was refused: its module may be missing while the other is there.
    refused: [Option<Instant>; 2],
}

/// Why the kernel does not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It refused not long ago.
    #[error("it has refused before")]
    Resting,
    /// No netlink: a sandbox, or a kernel without it.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// It refuses, or answers something else.
    #[error("{0}")]
    Answer(#[from] DiagError),
}

impl Diag {
    /// What listens on `ports`, in either version of the internet protocol.
    ///
    /// # Errors
    /// When the kernel does not answer. It is then not asked for this transport again for ten minutes.
    pub(super) fn listeners(&mut self, protocol: Protocol, ports: &[u16]) -> Result<Vec<Listener>, AskError> {
        let now = Instant::now();
        if self.refused[protocol as usize].is_some_and(|at| now.saturating_duration_since(at) < ASK_AGAIN) {
            return Err(AskError::Resting);
        }
        let mut found = Vec::new();
        let asked = self
            .ask(protocol, IpVersion::V4, ports, &mut found)
            // A kernel without IPv6 has no such sockets, and says so by an error or by an empty list.
            .and_then(|()| match self.ask(protocol, IpVersion::V6, ports, &mut found) {
                Err(AskError::Answer(DiagError::Refused(_))) => Ok(()),
                asked => asked,
            });
        self.refused[protocol as usize] = asked.is_err().then_some(now);
        if asked.is_err() {
            // What is still to come on it is of no use.
            self.socket = None;
        }
        asked.map(|()| found)
    }

    fn ask(
        &mut self,
        protocol: Protocol,
        version: IpVersion,
        ports: &[u16],
        found: &mut Vec<Listener>,
    ) -> Result<(), AskError> {
        self.sequence = self.sequence.wrapping_add(1);
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(open()?),
        };
        socket.send(&request(protocol, version, self.sequence), 0)?;
        let mut buffer = [0; DATAGRAM];
        loop {
            let length = socket.recv(&mut buffer.as_mut_slice(), 0)?;
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if listeners(&buffer[..length], protocol, self.sequence, ports, found)? == DumpStatus::Done {
                return Ok(());
            }
        }
    }
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    SockRef::from(&socket).set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_that_is_refused_leaves_the_other_one_to_the_kernel() {
        let mut diag = Diag { refused: [None, Some(Instant::now())], ..Diag::default() };
        assert!(matches!(diag.listeners(Protocol::Udp, &[1]), Err(AskError::Resting)));
        assert!(!matches!(diag.listeners(Protocol::Tcp, &[1]), Err(AskError::Resting)));
        assert!(diag.refused[Protocol::Udp as usize].is_some());
    }
}
