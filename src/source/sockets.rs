//! Who listens where: the kernel's socket tables, and the descriptors of processes that name a socket.
//!
//! Knows sockets, processes and descriptors; which port belongs to which module is for others.
//!
//! # What it costs
//! The kernel takes some microseconds to write each row (measured: 80 ms for 18,000), which at 50,000 connections is more
//! than all else the exporter does. But Linux tells the listeners of TCP first: reading stops where they end, unless a
//! wanted port has not been found by then; so the cost of a host where all is well does not grow with its connections,
//! and no answer depends on the order.
//!
//! Only the tables of the network namespace that the exporter itself is in can be seen.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;

use super::kit::{Miss, ProcRoot, files};
use crate::catalog::Protocol;
use crate::parse::process::number;
use crate::parse::sockets::{Listener, Table};

/// The tables of each transport, by name below `net/`. IPv6 first: a Java server listens there for both.
const TABLES: [(Protocol, [&str; 2]); 2] = [(Protocol::Tcp, ["tcp6", "tcp"]), (Protocol::Udp, ["udp6", "udp"])];

/// How much is read at once; the kernel gives about a page.
const PIECE: usize = 32 * 1024;

/// The most of one table that is read: a million sockets.
const MAX_TABLE: u64 = 256 << 20;

/// The most descriptors that a search for a holder looks at.
const MAX_DESCRIPTORS: u64 = 2_000_000;

/// The most bytes of a program's name.
const MAX_NAME: usize = 64;

/// What the tables say of the wanted ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// The sockets that listen at one of them.
    pub sockets: Vec<Listener>,
    /// Tables that could not be read, with the transport that they speak of.
    pub missing: Vec<(Protocol, Miss)>,
    /// Rows that were not understood.
    pub broken: u64,
}

impl Listeners {
    /// Whether the absence of a listener means that nobody listens.
    #[must_use]
    pub fn can_tell(&self, protocol: Protocol) -> bool {
        !self.missing.iter().any(|(missing, _)| *missing == protocol)
    }

    /// The inodes of the sockets that listen at one port.
    pub fn at(&self, protocol: Protocol, port: u16) -> impl Iterator<Item = u64> {
        self.sockets.iter().filter(move |one| one.protocol == protocol && one.port == port).map(|one| one.inode)
    }
}

/// A descriptor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The process id.
    pub pid: u32,
    /// Its number.
    pub number: u32,
}

/// What a look for a socket among some processes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// One of them has one.
    Found {
        /// By this descriptor.
        descriptor: Descriptor,
        /// This one.
        inode: u64,
    },
    /// None of them has any.
    NotThere,
    /// Not all of them could be asked, and the others have none.
    Unknown(Miss),
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// The name of its program, as the kernel has it: at most 15 bytes, of any kind.
    pub name: Vec<u8>,
}

/// The sockets of the machine below a `/proc`.
#[derive(Clone)]
pub struct Sockets {
    proc: Arc<ProcRoot>,
}

impl Sockets {
    /// The sockets of the machine of `proc`.
    #[must_use]
    pub fn new(proc: &Arc<ProcRoot>) -> Self {
        Self { proc: Arc::clone(proc) }
    }

    /// Who listens at `wanted`.
    #[must_use]
    pub fn listeners(&self, wanted: &[(Protocol, u16)]) -> Listeners {
        let mut found = Listeners::default();
        for (protocol, names) in TABLES {
            let ports: Vec<u16> = wanted.iter().filter(|(of, _)| *of == protocol).map(|(_, port)| *port).collect();
            if !ports.is_empty() {
                self.listeners_of(protocol, &names, &ports, &mut found);
            }
        }
        found
    }

    fn listeners_of(&self, protocol: Protocol, names: &[&str], ports: &[u16], found: &mut Listeners) {
        let mut tables: Vec<Reading> = Vec::new();
        for name in names {
            match self.proc.open_file(&format!("net/{name}")) {
                Ok(table) => tables.push(Reading::new(table, protocol, ports)),
                // A kernel without IPv6 has one of the two tables.
                Err(Miss::Gone) => {}
                Err(miss) => found.missing.push((protocol, miss)),
            }
        }
        if tables.is_empty() && found.can_tell(protocol) {
            found.missing.push((protocol, Miss::Gone));
        }
        let mut failures = Vec::new();
        let mut read = |tables: &mut Vec<Reading>, to_the_end| {
            for table in tables {
                if let Err(error) = table.read(to_the_end) {
                    failures.push((protocol, Miss::from(&error)));
                    table.has_ended = true;
                }
            }
        };
        read(&mut tables, false);
        let is_found = |port| tables.iter().any(|one| one.table.listeners().iter().any(|at| at.port == port));
        if !ports.iter().all(|port| is_found(*port)) {
            read(&mut tables, true);
        }
        found.missing.extend(failures);
        for mut reading in tables {
            reading.table.end();
            found.sockets.extend(reading.table.listeners());
            found.broken += reading.table.broken();
        }
    }

    /// Whether a descriptor still is the socket: one question to the kernel.
    ///
    /// # Errors
    /// When the descriptor can't be asked; [`Miss::Gone`] when there is none.
    pub fn is_socket(&self, descriptor: Descriptor, inode: u64) -> Result<bool, Miss> {
        let target = self.proc.link_of(descriptor.pid, &format!("fd/{}", descriptor.number))?;
        Ok(socket_inode(target.as_os_str().as_encoded_bytes()) == Some(inode))
    }

    /// Looks for one of the sockets `inodes` among the descriptors of `pids`.
    #[must_use]
    pub fn search(&self, pids: impl IntoIterator<Item = u32>, inodes: &[u64]) -> Search {
        let mut unknown = None;
        for pid in pids {
            let mut found = None;
            let result = self.for_each_socket(pid, &mut |number, inode| {
                if inodes.contains(&inode) {
                    found = Some((Descriptor { pid, number }, inode));
                }
                found.is_none()
            });
            match (found, result) {
                (Some((descriptor, inode)), _) => return Search::Found { descriptor, inode },
                // It has ended: it holds nothing.
                (None, Ok(_) | Err(Miss::Gone)) => {}
                (None, Err(miss)) => unknown = Some(miss),
            }
        }
        unknown.map_or(Search::NotThere, Search::Unknown)
    }

    /// Which process holds each of `inodes`, looking at every process of the machine: for the background. Tells nothing
    /// of a socket whose holder can't be found.
    ///
    /// # Errors
    /// When the processes can't be listed.
    pub fn holders(&self, inodes: &[u64]) -> Result<Vec<(u64, Holder)>, Miss> {
        let mut pids = Vec::new();
        self.proc.list(&mut pids, &mut vec![MaybeUninit::uninit(); PIECE])?;
        let mut found: Vec<(u64, Holder)> = Vec::new();
        let mut looked_at = 0;
        for pid in pids {
            let _ = self.for_each_socket(pid, &mut |_, inode| {
                looked_at += 1;
                if inodes.contains(&inode) && !found.iter().any(|(known, _)| *known == inode) {
                    found.push((inode, Holder { pid, name: self.name_of(pid) }));
                }
                found.len() < inodes.len() && looked_at < MAX_DESCRIPTORS
            });
            if found.len() >= inodes.len() || looked_at >= MAX_DESCRIPTORS {
                break;
            }
        }
        Ok(found)
    }

    fn name_of(&self, pid: u32) -> Vec<u8> {
        let mut buffer = [0; MAX_NAME];
        // Without a name the process id alone is told.
        self.proc.read_of(pid, "comm", &mut buffer).unwrap_or_default().trim_ascii_end().to_owned()
    }

    /// Calls `each` with every descriptor that is a socket, and its inode, until that says no.
    fn for_each_socket(&self, pid: u32, each: &mut dyn FnMut(u32, u64) -> bool) -> Result<(), Miss> {
        let descriptors = self.proc.folder_of(pid, "fd")?;
        let mut denied = None;
        files::for_each(&descriptors, &mut |name, _| {
            let Some(descriptor) = number::<u32>(name.to_bytes()) else { return true };
            let mut buffer = [MaybeUninit::uninit(); LINK];
            match rustix::fs::readlinkat_raw(&descriptors, name, &mut buffer) {
                Ok((target, _)) => socket_inode(target).is_none_or(|inode| each(descriptor, inode)),
                // No link, as in a tree of plain files: it names no socket.
                Err(Errno::INVAL) => true,
                Err(errno) => {
                    // A descriptor that was closed meanwhile is none.
                    denied = Some(Miss::from(errno)).filter(|miss| *miss != Miss::Gone).or(denied);
                    true
                }
            }
        })?;
        denied.map_or(Ok(()), Err)
    }
}

/// Room for `socket:[` and the longest number, and then some: a longer target is no socket.
const LINK: usize = 64;

fn socket_inode(target: &[u8]) -> Option<u64> {
    number(target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)
}

/// A table that is being read.
struct Reading<'w> {
    file: File,
    table: Table<'w>,
    read: u64,
    has_ended: bool,
}

impl<'w> Reading<'w> {
    fn new(file: OwnedFd, protocol: Protocol, ports: &'w [u16]) -> Self {
        Self { file: file.into(), table: Table::new(protocol, ports), read: 0, has_ended: false }
    }

    /// Reads on until the listeners end, or to the end of the file.
    fn read(&mut self, to_the_end: bool) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        while !self.has_ended && (to_the_end || !self.table.is_past_listeners()) {
            match self.file.read(&mut piece) {
                Ok(length) => {
                    self.table.feed(&piece[..length]);
                    self.read += length as u64;
                    self.has_ended = length == 0 || self.read > MAX_TABLE;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, set_permissions, write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::source::as_plain_user;

    fn sockets(root: &Path) -> Sockets {
        Sockets::new(&Arc::new(ProcRoot::open(root).unwrap()))
    }

    fn own() -> Sockets {
        sockets(Path::new("/proc"))
    }

    fn inode_of(socket: &impl AsRawFd) -> u64 {
        let target = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        socket_inode(target.as_os_str().as_encoded_bytes()).unwrap()
    }

    #[test]
    fn listeners_of_both_transports_and_both_versions_are_seen() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp_port = tcp.local_addr().unwrap().port();
        let udp_port = udp.local_addr().unwrap().port();
        let found = own().listeners(&[(Protocol::Tcp, tcp_port), (Protocol::Udp, udp_port)]);
        assert!(found.at(Protocol::Tcp, tcp_port).eq([inode_of(&tcp)]));
        assert!(found.at(Protocol::Udp, udp_port).eq([inode_of(&udp)]));
        assert!(found.can_tell(Protocol::Tcp) && found.can_tell(Protocol::Udp));
        if Path::new("/proc/net/tcp6").exists() {
            let tcp6 = TcpListener::bind("[::]:0").unwrap();
            let udp6 = UdpSocket::bind("[::]:0").unwrap();
            let ports = (tcp6.local_addr().unwrap().port(), udp6.local_addr().unwrap().port());
            let found = own().listeners(&[(Protocol::Tcp, ports.0), (Protocol::Udp, ports.1)]);
            assert!(found.at(Protocol::Tcp, ports.0).eq([inode_of(&tcp6)]));
            assert!(found.at(Protocol::Udp, ports.1).eq([inode_of(&udp6)]));
        }
    }

    #[test]
    fn a_connection_to_a_port_is_no_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap();
        let port = listener.local_addr().unwrap().port();
        let client_port = client.local_addr().unwrap().port();
        drop(listener);
        let found = own().listeners(&[(Protocol::Tcp, port), (Protocol::Tcp, client_port)]);
        assert_eq!(found.sockets, []);
        drop(server);
    }

    #[test]
    fn the_process_that_holds_a_socket_is_found_and_named() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = inode_of(&socket);
        let pid = std::process::id();
        let Search::Found { descriptor, .. } = own().search([pid], &[inode]) else { panic!("not found") };
        assert_eq!(descriptor, Descriptor { pid, number: u32::try_from(socket.as_raw_fd()).unwrap() });
        assert_eq!(own().is_socket(descriptor, inode), Ok(true));
        assert_eq!(own().is_socket(descriptor, inode + 1), Ok(false));
        let holders = own().holders(&[inode]).unwrap();
        assert_eq!(holders.len(), 1);
        assert_eq!((holders[0].0, holders[0].1.pid), (inode, pid));
        assert!(!holders[0].1.name.is_empty());
        drop(socket);
        assert!(matches!(own().is_socket(descriptor, inode), Err(Miss::Gone) | Ok(false)));
    }

    #[test]
    fn a_socket_of_nobody_here_is_not_there() {
        assert_eq!(own().search([std::process::id()], &[0]), Search::NotThere);
        assert_eq!(own().search([u32::MAX], &[0]), Search::NotThere, "a process that has ended holds nothing");
        assert_eq!(own().holders(&[0]), Ok(vec![]));
    }

    /// A tree with a table of TCP of one listener, and connections behind it.
    fn tree(rows: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        create_dir_all(root.path().join("net")).unwrap();
        write(root.path().join("net/tcp"), format!("  sl  local_address rem_address   st\n{rows}")).unwrap();
        root
    }

    fn row(port: u16, state: u8, inode: u64) -> String {
        format!("   0: 00000000:{port:04X} 00000000:0000 {state:02X} 0:0 0:0 0 0 0 {inode} 1\n")
    }

    #[test]
    fn reading_stops_where_the_listeners_end() {
        let connections = row(1, 1, 2).repeat(50_000);
        let root = tree(&(row(8080, 0x0a, 7) + &connections));
        let mut reading = Reading::new(File::open(root.path().join("net/tcp")).unwrap().into(), Protocol::Tcp, &[8080]);
        reading.read(false).unwrap();
        assert!(reading.read <= PIECE as u64, "{} bytes", reading.read);
        assert_eq!(reading.table.listeners().len(), 1);
    }

    #[test]
    fn a_table_in_another_order_loses_no_listener() {
        let connections = row(1, 1, 2).repeat(5_000);
        let root = tree(&(connections.clone() + &row(8080, 0x0a, 7) + &connections));
        let found = sockets(root.path()).listeners(&[(Protocol::Tcp, 8080)]);
        assert!(found.at(Protocol::Tcp, 8080).eq([7]));
    }

    #[test]
    fn one_missing_table_is_a_kernel_without_that_version_and_two_are_a_loss() {
        let root = tree(&row(8080, 0x0a, 7));
        let found = sockets(root.path()).listeners(&[(Protocol::Tcp, 8080), (Protocol::Udp, 6666)]);
        assert!(found.can_tell(Protocol::Tcp) && !found.can_tell(Protocol::Udp));
        assert_eq!(found.missing, [(Protocol::Udp, Miss::Gone)]);
        assert!(found.at(Protocol::Tcp, 8080).eq([7]));
    }

    #[test]
    fn a_table_that_is_a_folder_is_told() {
        let root = tree("");
        create_dir_all(root.path().join("net/tcp6")).unwrap();
        let found = sockets(root.path()).listeners(&[(Protocol::Tcp, 1)]);
        assert_eq!(found.missing, [(Protocol::Tcp, Miss::NotAFile)]);
    }

    #[test]
    fn descriptors_that_may_not_be_read_leave_the_owner_unknown() {
        let root = tempfile::tempdir().unwrap();
        for (pid, target) in [(1, "socket:[5]"), (2, "/dev/null")] {
            create_dir_all(root.path().join(format!("{pid}/fd"))).unwrap();
            symlink(target, root.path().join(format!("{pid}/fd/3"))).unwrap();
        }
        let sockets = sockets(root.path());
        assert_eq!(
            sockets.search([2, 1], &[5]),
            Search::Found { descriptor: Descriptor { pid: 1, number: 3 }, inode: 5 }
        );
        assert_eq!(sockets.search([2, 1], &[6]), Search::NotThere);
        set_permissions(root.path().join("2/fd"), PermissionsExt::from_mode(0o000)).unwrap();
        assert_eq!(as_plain_user(|| sockets.search([2, 1], &[6])), Search::Unknown(Miss::Denied));
        write(root.path().join("1/fd/4"), "no link").unwrap();
        assert_eq!(sockets.search([1], &[6]), Search::NotThere);
        create_dir_all(root.path().join("3")).unwrap();
        write(root.path().join("3/fd"), "no folder").unwrap();
        assert_eq!(sockets.search([3], &[6]), Search::Unknown(Miss::NotAFile));
    }
}
