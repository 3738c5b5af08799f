//! The kernel's `sock_diag` answers -> the sockets that listen, and the request for them.
//!
//! `source::sockets` sends the request and finds the owners.
//!
//! # Format
//! sock_diag(7): netlink messages, each a header and an `inet_diag_msg`, until one that says that the list is done.

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SockDiagMessage};

use super::sockets::Listener;
use crate::catalog::Protocol;

/// A version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6, sockets that serve both versions among them.
    V6,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpStatus {
    /// More datagrams follow.
    More,
    /// That was all.
    Done,
}

/// Why an answer is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiagError {
    /// The kernel refuses; its error number, as errno(3) has it.
    #[error("the kernel answers with error {0}")]
    Refused(i32),
    /// Bytes that are no such message.
    #[error("the kernel's answer is not understood: {0}")]
    Malformed(String),
}

/// The request for every socket that takes connections or datagrams from anyone, as numbered `sequence`.
#[must_use]
pub fn request(protocol: Protocol, family: IpVersion, sequence: u32) -> Vec<u8> {
    let (protocol, states) = match protocol {
        Protocol::Tcp => (IPPROTO_TCP, StateFlags::LISTEN),
        // A datagram socket that is bound and not connected.
        Protocol::Udp => (IPPROTO_UDP, StateFlags::CLOSE),
    };
    let (family, socket_id) = match family {
        IpVersion::V4 => (AF_INET, SocketId::new_v4()),
        IpVersion::V6 => (AF_INET6, SocketId::new_v6()),
    };
    let request = InetRequest { family, protocol, extensions: ExtensionFlags::empty(), states, socket_id };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Adds what one datagram of the answer to request `sequence` lists at `ports` to `found`.
///
/// # Errors
/// When the kernel refuses, or the datagram is not understood.
pub fn listeners(
    mut datagram: &[u8],
    protocol: Protocol,
    sequence: u32,
    ports: &[u16],
    found: &mut Vec<Listener>,
) -> Result<DumpStatus, DiagError> {
    while !datagram.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(datagram)
            .map_err(|error| DiagError::Malformed(error.to_string()))?;
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
        datagram = datagram.get(length.max(16)..).unwrap_or_default();
        // Left over from an abandoned request.
        if message.header.sequence_number != sequence {
            continue;
        }
        match message.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => {
                let port = socket.header.socket_id.source_port;
                if ports.contains(&port) {
                    found.push(Listener { protocol, port, inode: u64::from(socket.header.inode) });
                }
            }
            NetlinkPayload::Done(done) if done.code < 0 => return Err(DiagError::Refused(-done.code)),
            NetlinkPayload::Done(_) => return Ok(DumpStatus::Done),
            NetlinkPayload::Error(error) if error.raw_code() != 0 => {
                return Err(DiagError::Refused(error.raw_code().saturating_neg()));
            }
            _ => {}
        }
    }
    Ok(DumpStatus::More)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as the kernel writes it: a listener at `port`.
    fn socket(sequence: u32, port: u16, inode: u32) -> Vec<u8> {
        let mut body = vec![2, 10, 0, 0];
        body.extend(port.to_be_bytes());
        body.extend([0; 2 + 32 + 4 + 8 + 16]);
        body.extend(inode.to_ne_bytes());
        message(20, sequence, &body)
    }

    fn message(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(2_u16.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    fn read(datagram: &[u8]) -> (Vec<(u16, u64)>, Result<DumpStatus, DiagError>) {
        let mut found = Vec::new();
        let rest = listeners(datagram, Protocol::Tcp, 7, &[8080, 8005], &mut found);
        (found.iter().map(|one| (one.port, one.inode)).collect(), rest)
    }

    #[test]
    fn listeners_at_the_wanted_ports_are_kept_until_the_list_is_done() {
        let done = message(3, 7, &0_i32.to_ne_bytes());
        let datagram = [socket(7, 8080, 11), socket(7, 9000, 12), socket(6, 8005, 13), socket(7, 8005, 14)].concat();
        assert_eq!(read(&datagram), (vec![(8080, 11), (8005, 14)], Ok(DumpStatus::More)));
        assert_eq!(read(&[socket(7, 8080, 11), done.clone()].concat()), (vec![(8080, 11)], Ok(DumpStatus::Done)));
        assert_eq!(read(&done), (vec![], Ok(DumpStatus::Done)));
    }

    #[test]
    fn a_refusal_is_told_by_its_number() {
        let refused = message(2, 7, &[(-95_i32).to_ne_bytes().as_slice(), &[0; 16]].concat());
        assert_eq!(read(&refused).1, Err(DiagError::Refused(95)));
        assert_eq!(read(&message(3, 7, &(-2_i32).to_ne_bytes())).1, Err(DiagError::Refused(2)));
        assert!(matches!(read(&[1, 2, 3]).1, Err(DiagError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, head in 0_usize..80) {
            let _ = read(&bytes);
            let mut message = socket(7, 8080, 1);
            message.truncate(head);
            message.extend(bytes);
            let _ = read(&message);
        }
    }
}
