//! `/proc/net/tcp`, `tcp6`, `udp` and `udp6` -> the sockets that listen on given ports.
//!
//! The caller chooses the ports and finds the owners of the sockets.
//!
//! # Format
//! proc(5): a heading, then a line for each socket, its fields between blanks: the place in the table, the local
//! address as `HEX:PORT` with the port in four hexadecimal digits, the remote address, the state in two, two pairs of
//! queues and timers, a count, the user, a time-out, and the inode of the socket. The addresses have 8 digits for IPv4
//! and 32 for IPv6; they are ignored, because a listener on any address counts.
//!
//! A mail server has tens of thousands of connections, and all rows but a handful are of no interest: this reads port
//! and state in place and skips the rest of the row without allocating. Measured on one machine with 50,000 rows: 17
//! ms, where the parser of `procfs_core`, which makes a value of each field of each row and refuses the whole table for
//! one bad row, takes 72 ms.

use crate::catalog::Protocol;

/// The state of a TCP socket that listens: `TCP_LISTEN` of the kernel's `include/net/tcp_states.h`.
const LISTEN: u8 = 0x0a;

/// The state of a connection that is not made yet: kernels before 4.4 list them among the listeners.
const SYN_RECEIVED: u8 = 0x03;

/// The state of a UDP socket that takes datagrams from anyone: not connected, `TCP_CLOSE`.
const UNCONNECTED: u8 = 0x07;

/// The longest row that is understood; the kernel's have about 200 bytes.
const MAX_ROW: usize = 1024;

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// The transport.
    pub protocol: Protocol,
    /// The local port.
    pub port: u16,
    /// The inode, by which a process's descriptor names it; 0 where no process has it any more.
    pub inode: u64,
}

/// One table, read piece by piece.
#[derive(Debug)]
pub struct Table<'w> {
    protocol: Protocol,
    ports: &'w [u16],
    partial: Vec<u8>,
    too_long: bool,
    heading_is_read: bool,
    listeners: Vec<Listener>,
    is_past_listeners: bool,
    broken: u64,
}

impl<'w> Table<'w> {
    /// A table of `protocol` of which nothing has been read; only the listeners at `ports` are kept.
    #[must_use]
    pub fn new(protocol: Protocol, ports: &'w [u16]) -> Self {
        Self {
            protocol,
            ports,
            partial: Vec::new(),
            too_long: false,
            heading_is_read: false,
            listeners: Vec::new(),
            is_past_listeners: false,
            broken: 0,
        }
    }

    /// Reads the next piece of the file, which may end anywhere.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            piece = rest;
            if self.partial.is_empty() && !self.too_long && line.len() <= MAX_ROW {
                self.line(line);
            } else {
                self.keep(line);
                self.end();
            }
        }
        if !piece.is_empty() {
            self.keep(piece);
        }
    }

    /// Reads the last line, if it has no end of its own.
    pub fn end(&mut self) {
        let line = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.too_long) {
            self.heading_is_read = true;
            self.broken += 1;
        } else if !line.is_empty() {
            self.line(&line);
        }
        self.partial = line;
        self.partial.clear();
    }

    /// The listeners at the wanted ports so far.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Whether a row was there that, as Linux orders the table, only comes after all listeners. Never for UDP, which
    /// has no such order.
    #[must_use]
    pub fn is_past_listeners(&self) -> bool {
        self.is_past_listeners
    }

    /// How many rows were not understood.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.partial.len() + piece.len() > MAX_ROW {
            self.too_long = true;
        } else {
            self.partial.extend_from_slice(piece);
        }
    }

    fn line(&mut self, line: &[u8]) {
        let is_heading = !std::mem::replace(&mut self.heading_is_read, true);
        match Row::read(line) {
            Some(row) => {
                let listens = match self.protocol {
                    Protocol::Tcp => row.state == LISTEN,
                    Protocol::Udp => row.state == UNCONNECTED,
                };
                if listens && self.ports.contains(&row.port) {
                    match row.inode() {
                        Some(inode) => {
                            self.listeners.push(Listener { protocol: self.protocol, port: row.port, inode });
                        }
                        None => self.broken += 1,
                    }
                }
                let comes_last = self.protocol == Protocol::Tcp && !matches!(row.state, LISTEN | SYN_RECEIVED);
                self.is_past_listeners |= comes_last;
            }
            None if is_heading || line.trim_ascii().is_empty() => {}
            None => self.broken += 1,
        }
    }
}

/// What is read of every row.
struct Row<'a> {
    port: u16,
    state: u8,
    /// What follows the state.
    rest: &'a [u8],
}

impl Row<'_> {
    fn read(line: &[u8]) -> Option<Row<'_>> {
        let (_place, rest) = field(line)?;
        let (local, rest) = field(rest)?;
        let (_remote, rest) = field(rest)?;
        let (state, rest) = field(rest)?;
        let digits = local.len().checked_sub(4)?;
        if *local.get(digits.checked_sub(1)?)? != b':' || state.len() != 2 {
            return None;
        }
        Some(Row { port: hex(&local[digits..])?, state: u8::try_from(hex(state)?).ok()?, rest })
    }

    /// The tenth field: queues, timers, retransmissions, user and time-out come before it.
    fn inode(&self) -> Option<u64> {
        let mut rest = self.rest;
        for _ in 0..5 {
            rest = field(rest)?.1;
        }
        super::process::number(field(rest)?.0)
    }
}

/// The first field of `line`, and what follows it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = line.iter().position(|byte| *byte != b' ')?;
    let line = &line[start..];
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    Some(line.split_at(end))
}

/// At most four hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADING: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// A row as the kernel writes it.
    fn row(local: &str, port: u16, state: u8, inode: u64) -> String {
        format!(
            "  12: {local}:{port:04X} {local}:0000 {state:02X} 00000000:00000000 00:00000000 00000000  1000        0 \
             {inode} 1 000000002db73d9c 100 0 0 10 0                      \n"
        )
    }

    fn read(protocol: Protocol, ports: &[u16], text: &[u8]) -> (Vec<u64>, bool, u64) {
        let mut table = Table::new(protocol, ports);
        table.feed(text);
        table.end();
        (table.listeners().iter().map(|one| one.inode).collect(), table.is_past_listeners(), table.broken())
    }

    const ANY4: &str = "00000000";
    const ANY6: &str = "00000000000000000000000000000000";

    #[test]
    fn only_listeners_at_the_wanted_ports_are_kept() {
        let text = [
            HEADING.to_owned(),
            row("0100007F", 8080, 0x0a, 1),
            row(ANY4, 8005, 0x0a, 2),
            row(ANY4, 9000, 0x0a, 3),
            row("0100007F", 8080, 0x01, 4),
        ];
        assert_eq!(read(Protocol::Tcp, &[8080, 8005], text.concat().as_bytes()), (vec![1, 2], true, 0));
        assert_eq!(read(Protocol::Tcp, &[8080], text[..4].concat().as_bytes()), (vec![1], false, 0));
    }

    #[test]
    fn any_address_of_ip_version_6_counts_too() {
        let text = [HEADING.to_owned(), row(ANY6, 8080, 0x0a, 9), row(ANY6, 8080, 0x06, 0)].concat();
        assert_eq!(read(Protocol::Tcp, &[8080], text.as_bytes()), (vec![9], true, 0));
    }

    #[test]
    fn a_datagram_socket_listens_unless_it_is_connected() {
        let text = [HEADING.to_owned(), row(ANY4, 6666, 0x01, 1), row(ANY4, 6666, 0x07, 2)].concat();
        assert_eq!(read(Protocol::Udp, &[6666], text.as_bytes()), (vec![2], false, 0));
    }

    #[test]
    fn a_connection_that_is_not_made_yet_may_stand_among_the_listeners() {
        let text = [row(ANY4, 80, 0x0a, 1), row(ANY4, 80, 0x03, 2), row(ANY4, 81, 0x0a, 3)].concat();
        assert_eq!(read(Protocol::Tcp, &[81], text.as_bytes()), (vec![3], false, 0));
    }

    #[test]
    fn a_bad_row_costs_no_other_row() {
        let bad = ["   1: nonsense\n", "\0\0\0\n", "  3: 00000000:1F90 00000000:0000 0A\n"].concat();
        let long = format!("  4: {}\n", "0".repeat(5000));
        let text = [HEADING, &bad, &long, &row(ANY4, 8080, 0x0a, 7)].concat();
        assert_eq!(read(Protocol::Tcp, &[8080], text.as_bytes()), (vec![7], false, 4));
    }

    #[test]
    fn a_row_that_is_too_long_is_broken_however_it_was_read() {
        let long = |bytes: usize| row(ANY4, 8080, 0x0a, 7).replace('\n', &" ".repeat(bytes)) + "\n";
        for (text, expected) in
            [(long(10), (1, 0)), (long(MAX_ROW), (0, 1)), (HEADING.to_owned() + &long(MAX_ROW), (0, 1))]
        {
            for size in [1, 7, 1000, text.len()] {
                let mut table = Table::new(Protocol::Tcp, &[8080]);
                text.as_bytes().chunks(size).for_each(|piece| table.feed(piece));
                table.end();
                assert_eq!((table.listeners().len(), table.broken()), expected, "pieces of {size}");
            }
        }
    }

    #[test]
    fn the_kernel_and_this_parser_agree() {
        use std::os::fd::AsRawFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let (inodes, _, broken) = read(Protocol::Tcp, &[port], &std::fs::read("/proc/self/net/tcp").unwrap());
        assert_eq!(inodes.len(), 1);
        assert_eq!(link.to_str().unwrap(), format!("socket:[{}]", inodes[0]));
        assert_eq!(broken, 0);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_survived(text: Vec<u8>, ports: Vec<u16>, cut: usize) {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                read(protocol, &ports, &text);
            }
            let mut table = Table::new(Protocol::Tcp, &ports);
            let (one, other) = text.split_at(cut % (text.len() + 1));
            table.feed(one);
            table.feed(other);
            table.end();
        }

        #[test]
        fn where_a_piece_ends_makes_no_difference(
            rows in proptest::collection::vec((any::<bool>(), any::<u16>(), any::<u8>(), any::<u64>()), 0..20),
            size in 1_usize..300,
        ) {
            let lines = rows.iter().map(|(v6, port, state, inode)| row(if *v6 { ANY6 } else { ANY4 }, *port, *state, *inode));
            let text = HEADING.to_owned() + &lines.collect::<String>();
            let ports: Vec<u16> = rows.iter().map(|row| row.1).step_by(2).collect();
            let mut table = Table::new(Protocol::Tcp, &ports);
            text.as_bytes().chunks(size).for_each(|piece| table.feed(piece));
            table.end();
            let found: Vec<u64> = table.listeners().iter().map(|one| one.inode).collect();
            let expected: Vec<u64> =
                rows.iter().filter(|row| row.2 == LISTEN && ports.contains(&row.1)).map(|row| row.3).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(table.broken(), 0);
        }
    }
}
