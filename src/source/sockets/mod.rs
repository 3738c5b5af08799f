//! What listens where: the kernel's sockets, and the processes that hold them.
//!
//! Handles sockets, processes and descriptors; `collect::ports` assigns ports to modules.
//!
//! # What it costs
//! The kernel is asked by netlink for listeners alone (`diag`): 0.02 ms for each of tcp4, tcp6, udp4 and udp6, whatever the
//! number of connections. The text tables below `/proc` are read where there is no netlink, in a recorded `/proc`, and for
//! a process in another network namespace. One read of them that listeners do not fill walks the kernel's whole table of
//! connections; so reading stops where the listeners end, unless a wanted port has not been found by then.

mod diag;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use self::diag::{AskError, Diag};
use super::kit::{LogOnChange, Miss, ProcRoot, files};
use crate::catalog::Protocol;
use crate::parse::process::number;
use crate::parse::sockets::{Listener, Table};
use crate::sync::locked;

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

/// What the kernel says of the wanted ports in one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// The sockets that listen at one of them.
    pub sockets: Vec<Listener>,
    /// Tables that could not be read, with their transport.
    pub missing: Vec<(Protocol, Miss)>,
    /// Rows that were not understood.
    pub broken: u64,
}

impl Listeners {
    /// Whether the absence of a listener means that nothing listens.
    #[must_use]
    pub fn can_tell(&self, protocol: Protocol) -> bool {
        !self.missing.iter().any(|(missing, _)| *missing == protocol)
    }

    /// The inodes of the sockets that listen at one port; 0 for one that no process holds any longer.
    pub fn at(&self, protocol: Protocol, port: u16) -> impl Iterator<Item = u64> {
        self.sockets.iter().filter(move |one| one.protocol == protocol && one.port == port).map(|one| one.inode)
    }
}

/// A network namespace, as seen from the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    /// The exporter's own.
    Own,
    /// Another one, which this process is in; its number.
    Other {
        /// The number of the namespace: the same for all processes in it.
        number: u64,
        /// The process.
        pid: u32,
    },
}

/// A descriptor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The process id.
    pub pid: u32,
    /// Its number.
    pub number: u32,
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// The name of its program, as the kernel has it: at most 15 bytes, of any kind.
    pub name: Vec<u8>,
}

/// A request to find the process that holds one of these sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The sockets' inodes.
    pub inodes: Vec<u64>,
    /// The processes that should hold one of them.
    pub pids: Vec<u32>,
}

/// The holder of one of the sockets of a [`Claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOwner {
    /// One of the processes that should.
    Claimant {
        /// By this descriptor.
        descriptor: Descriptor,
        /// This socket.
        inode: u64,
    },
    /// Another process does, and none of those that should.
    Other(Holder),
    /// None of the processes that should, and none that the exporter may look at.
    Hidden,
    /// No process, though all could be looked at: the kernel itself, or one that can't be seen from here.
    Nobody,
    /// Not all of the processes that should could be looked at.
    Unknown(Miss),
}

/// The sockets of the machine below a `/proc`.
#[derive(Clone)]
pub struct Sockets {
    proc: Arc<ProcRoot>,
    /// None for a recorded `/proc`.
    kernel: Option<Arc<Kernel>>,
}

/// The running kernel, and where the exporter itself is in it.
struct Kernel {
    diag: Mutex<Diag>,
    own: Option<Marks>,
    log: LogOnChange,
}

/// What identifies a network namespace.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// The number in `/proc/PID/ns/net`, which only a process of the same user shows.
    namespace: Option<u64>,
    /// The inode of `/proc/PID/net/dev`, which every user may look at: the kernel makes these files anew for each
    /// namespace.
    devices: Option<u64>,
}

impl Marks {
    fn of(proc: &ProcRoot, pid: u32) -> Result<Marks, Miss> {
        let link = proc.link_of(pid, "ns/net");
        let namespace = link.as_deref().ok().and_then(|link| numbered(link.as_os_str().as_bytes(), b"net:["));
        match (namespace, proc.stat_of(pid, Path::new("net/dev"))) {
            (None, Err(miss)) => Err(miss),
            (namespace, stat) => Ok(Marks { namespace, devices: stat.ok().map(|stat| stat.st_ino) }),
        }
    }
}

impl Sockets {
    /// The sockets of the machine of `proc`.
    #[must_use]
    pub fn new(proc: &Arc<ProcRoot>) -> Self {
        let kernel = || {
            let own = proc.own_pid().and_then(|pid| Marks::of(proc, pid)).ok();
            Arc::new(Kernel { diag: Mutex::default(), own, log: LogOnChange::default() })
        };
        Self { proc: Arc::clone(proc), kernel: proc.is_kernels().then(kernel) }
    }

    /// The network namespace of a process. In a recorded `/proc`, all are in the exporter's own.
    ///
    /// # Errors
    /// When the process has ended, or it is unknown whether its namespace is the exporter's.
    pub fn network_of(&self, pid: u32) -> Result<Network, Miss> {
        let Some(kernel) = &self.kernel else { return Ok(Network::Own) };
        let own = kernel.own.ok_or(Miss::Denied)?;
        let theirs = Marks::of(&self.proc, pid)?;
        let by_number = own.namespace.zip(theirs.namespace);
        match by_number.or(own.devices.zip(theirs.devices)) {
            Some((own, theirs)) if own == theirs => Ok(Network::Own),
            Some((_, number)) => Ok(Network::Other { number, pid }),
            None => Err(Miss::Denied),
        }
    }

    /// What listens on `wanted` in one network namespace.
    #[must_use]
    pub fn listeners(&self, wanted: &[(Protocol, u16)], network: Network) -> Listeners {
        let mut found = Listeners::default();
        for (protocol, names) in TABLES {
            let ports: Vec<u16> = wanted.iter().filter(|(of, _)| *of == protocol).map(|(_, port)| *port).collect();
            if ports.is_empty() {
                continue;
            }
            match (network, &self.kernel) {
                (Network::Own, Some(kernel)) => match kernel.listeners(protocol, &ports) {
                    Some(sockets) => found.sockets.extend(sockets),
                    None => self.read_tables("", protocol, &names, &ports, &mut found),
                },
                (Network::Own, None) => self.read_tables("", protocol, &names, &ports, &mut found),
                (Network::Other { pid, .. }, _) => {
                    self.read_tables(&format!("{pid}/"), protocol, &names, &ports, &mut found);
                }
            }
        }
        found
    }

    fn read_tables(&self, of: &str, protocol: Protocol, names: &[&str], ports: &[u16], found: &mut Listeners) {
        let mut tables: Vec<TableReading> = Vec::new();
        for name in names {
            match self.proc.open_file(&format!("{of}net/{name}")) {
                Ok(table) => tables.push(TableReading::new(table, protocol, ports)),
                // A kernel without IPv6 has one of the two tables.
                Err(Miss::Gone) => {}
                Err(miss) => found.missing.push((protocol, miss)),
            }
        }
        if tables.is_empty() && found.can_tell(protocol) {
            found.missing.push((protocol, Miss::Gone));
        }
        let mut failures = Vec::new();
        let mut read = |tables: &mut Vec<TableReading>, to_the_end| {
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
    /// When the descriptor can't be looked at; [`Miss::Gone`] when there is none.
    pub fn is_socket(&self, descriptor: Descriptor, inode: u64) -> Result<bool, Miss> {
        let target = self.proc.link_of(descriptor.pid, &format!("fd/{}", descriptor.number))?;
        Ok(numbered(target.as_os_str().as_bytes(), SOCKET) == Some(inode))
    }

    /// Finds the holders of the sockets of `claims`: looks at the processes that should, and at every other process of
    /// the machine for what they do not hold. For the background.
    #[must_use]
    pub fn owners(&self, claims: &[Claim]) -> Vec<SocketOwner> {
        let mut owners: Vec<Option<SocketOwner>> = claims.iter().map(|claim| self.claimant(claim)).collect();
        let open: Vec<usize> = (0..claims.len()).filter(|place| owners[*place].is_none()).collect();
        if !open.is_empty() {
            let sought: Vec<&Claim> = open.iter().map(|place| &claims[*place]).collect();
            for (place, owner) in open.into_iter().zip(self.others(&sought)) {
                owners[place] = Some(owner);
            }
        }
        owners.into_iter().map(|owner| owner.unwrap_or(SocketOwner::Nobody)).collect()
    }

    /// Looks at the processes that should hold one of the sockets; none when all could be looked at and none does.
    fn claimant(&self, claim: &Claim) -> Option<SocketOwner> {
        let mut unknown = None;
        for pid in claim.pids.iter().copied() {
            let mut found = None;
            let result = self.for_each_socket(pid, &mut |number, inode| {
                if claim.inodes.contains(&inode) {
                    found = Some((Descriptor { pid, number }, inode));
                }
                found.is_none()
            });
            match (found, result) {
                (Some((descriptor, inode)), _) => return Some(SocketOwner::Claimant { descriptor, inode }),
                // It has ended: it holds nothing.
                (None, Ok(()) | Err(Miss::Gone)) => {}
                (None, Err(miss)) => unknown = Some(miss),
            }
        }
        // A socket without an owner says nothing about the others.
        let is_ownerless = claim.inodes.contains(&0);
        unknown.map(SocketOwner::Unknown).or(is_ownerless.then_some(SocketOwner::Nobody))
    }

    /// Looks at every process of the machine for one that holds a socket of each claim.
    fn others(&self, claims: &[&Claim]) -> Vec<SocketOwner> {
        let mut pids = Vec::new();
        let listed = self.proc.list(&mut pids, &mut vec![MaybeUninit::uninit(); PIECE]);
        let mut was_denied = listed.is_err() || self.proc.check_of(1, "stat").is_err();
        let mut found: Vec<Option<Holder>> = vec![None; claims.len()];
        let mut looked_at = 0;
        for pid in pids {
            let result = self.for_each_socket(pid, &mut |_, inode| {
                looked_at += 1;
                for (claim, holder) in claims.iter().zip(&mut found) {
                    if holder.is_none() && claim.inodes.contains(&inode) {
                        *holder = Some(Holder { pid, name: self.name_of(pid) });
                    }
                }
                looked_at < MAX_DESCRIPTORS
            });
            was_denied |= matches!(result, Err(miss) if miss != Miss::Gone) || looked_at >= MAX_DESCRIPTORS;
            if found.iter().all(Option::is_some) || looked_at >= MAX_DESCRIPTORS {
                break;
            }
        }
        let unseen = if was_denied { SocketOwner::Hidden } else { SocketOwner::Nobody };
        found.into_iter().map(|holder| holder.map_or(unseen.clone(), SocketOwner::Other)).collect()
    }

    fn name_of(&self, pid: u32) -> Vec<u8> {
        let mut buffer = [0; MAX_NAME];
        // Without a name there is only the process id.
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
                Ok((target, _)) => numbered(target, SOCKET).is_none_or(|inode| each(descriptor, inode)),
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

/// Room for `socket:[` and the longest number: a longer target is no socket.
const LINK: usize = 64;

/// What a link of `/proc` that names a socket starts with.
const SOCKET: &[u8] = b"socket:[";

/// The number in a link like `socket:[123]`.
fn numbered(target: &[u8], start: &[u8]) -> Option<u64> {
    number(target.strip_prefix(start)?.strip_suffix(b"]")?)
}

impl Kernel {
    /// What the kernel itself says of listeners; none, logged once, where it does not answer.
    fn listeners(&self, protocol: Protocol, ports: &[u16]) -> Option<Vec<Listener>> {
        match locked(&self.diag).listeners(protocol, ports) {
            Ok(sockets) => {
                self.log.is_news(protocol.label(), None);
                Some(sockets)
            }
            Err(AskError::Resting) => None,
            Err(error) => {
                let protocol = protocol.label();
                if self.log.is_news(protocol, Some(&error.to_string())) {
                    tracing::info!(
                        protocol,
                        %error,
                        "the kernel does not list sockets by netlink; the tables of /proc/net are read instead, which \
                         takes longer the more connections there are"
                    );
                }
                None
            }
        }
    }
}

/// A table that is being read.
struct TableReading<'w> {
    file: File,
    table: Table<'w>,
    read: u64,
    has_ended: bool,
}

impl<'w> TableReading<'w> {
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
        numbered(target.as_os_str().as_encoded_bytes(), SOCKET).unwrap()
    }

    /// The kernel by netlink, and by its text tables.
    fn both_ways() -> [Sockets; 2] {
        let by_netlink = own();
        assert!(by_netlink.kernel.is_some());
        let by_text = Sockets { kernel: None, ..by_netlink.clone() };
        [by_netlink, by_text]
    }

    #[test]
    fn listeners_of_both_transports_and_both_versions_are_seen_by_netlink_and_in_the_tables() {
        let addresses =
            if Path::new("/proc/net/tcp6").exists() { &["127.0.0.1:0", "[::]:0"][..] } else { &["127.0.0.1:0"] };
        for address in addresses {
            let (tcp, udp) = (TcpListener::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
            let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
            for sockets in both_ways() {
                let wanted = [(Protocol::Tcp, tcp_port), (Protocol::Udp, udp_port)];
                let found = sockets.listeners(&wanted, Network::Own);
                assert!(found.at(Protocol::Tcp, tcp_port).eq([inode_of(&tcp)]), "{address} {found:?}");
                assert!(found.at(Protocol::Udp, udp_port).eq([inode_of(&udp)]), "{address} {found:?}");
                assert!(found.can_tell(Protocol::Tcp) && found.can_tell(Protocol::Udp));
            }
        }
    }

    #[test]
    fn several_sockets_at_one_port_are_all_seen() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        let other = UdpSocket::bind(("127.0.0.2", port)).unwrap();
        let mut expected = [inode_of(&one), inode_of(&other)];
        expected.sort_unstable();
        for sockets in both_ways() {
            let mut found: Vec<u64> =
                sockets.listeners(&[(Protocol::Udp, port)], Network::Own).at(Protocol::Udp, port).collect();
            found.sort_unstable();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_connected_datagram_socket_does_not_listen() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect("127.0.0.1:9").unwrap();
        let port = socket.local_addr().unwrap().port();
        for sockets in both_ways() {
            assert_eq!(sockets.listeners(&[(Protocol::Udp, port)], Network::Own).sockets, []);
        }
    }

    #[test]
    fn the_tables_of_a_process_tell_of_its_own_network_namespace() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = [(Protocol::Tcp, listener.local_addr().unwrap().port())];
        let here = Network::Other { number: 1, pid: std::process::id() };
        assert!(own().listeners(&wanted, here).at(Protocol::Tcp, wanted[0].1).eq([inode_of(&listener)]));
        let mut elsewhere = Elsewhere::start();
        let network = own().network_of(elsewhere.0.id()).unwrap();
        assert!(matches!(network, Network::Other { pid, .. } if pid == elsewhere.0.id()), "{network:?}");
        let found = own().listeners(&wanted, network);
        assert_eq!((found.sockets.len(), found.can_tell(Protocol::Tcp)), (0, true));
        elsewhere.0.kill().unwrap();
        elsewhere.0.wait().unwrap();
        assert!(!own().listeners(&wanted, network).can_tell(Protocol::Tcp), "nobody is left to ask");
    }

    #[test]
    fn a_namespace_that_may_not_be_read_is_told_by_its_files() {
        let elsewhere = Elsewhere::start();
        let own = own();
        let marks = Marks::of(&own.proc, elsewhere.0.id()).unwrap();
        let ours = Marks::of(&own.proc, std::process::id()).unwrap();
        assert!(marks.namespace.is_some() && marks.devices.is_some());
        assert_ne!(marks.namespace, ours.namespace);
        assert_ne!(marks.devices, ours.devices);
        assert_eq!(Marks::of(&own.proc, std::process::id()).unwrap().devices, ours.devices);
    }

    /// A process in a network namespace of its own.
    struct Elsewhere(std::process::Child);

    impl Elsewhere {
        fn start() -> Elsewhere {
            let script = "echo; exec sleep 600";
            let mut command = std::process::Command::new("unshare");
            command.args(["--net", "sh", "-c", script]).stdout(std::process::Stdio::piped());
            let mut child = command.spawn().unwrap();
            // Once it says something it is there.
            let mut line = [0];
            child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
            Elsewhere(child)
        }
    }

    impl Drop for Elsewhere {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_exporter_is_in_its_own_network_namespace() {
        assert_eq!(own().network_of(std::process::id()), Ok(Network::Own));
        assert_eq!(own().network_of(u32::MAX), Err(Miss::Gone));
        let root = tempfile::tempdir().unwrap();
        assert_eq!(sockets(root.path()).network_of(1), Ok(Network::Own), "a recorded /proc");
    }

    #[test]
    fn a_connection_to_a_port_is_no_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap();
        let port = listener.local_addr().unwrap().port();
        let client_port = client.local_addr().unwrap().port();
        drop(listener);
        for sockets in both_ways() {
            let found = sockets.listeners(&[(Protocol::Tcp, port), (Protocol::Tcp, client_port)], Network::Own);
            assert_eq!(found.sockets, []);
        }
        drop(server);
    }

    #[test]
    fn the_process_that_holds_a_socket_is_found_and_named() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = inode_of(&socket);
        let pid = std::process::id();
        let claim = |inode: u64, pids: &[u32]| Claim { inodes: vec![inode], pids: pids.to_vec() };
        let owners = own().owners(&[claim(inode, &[pid]), claim(inode, &[])]);
        let descriptor = Descriptor { pid, number: u32::try_from(socket.as_raw_fd()).unwrap() };
        assert_eq!(owners[0], SocketOwner::Claimant { descriptor, inode });
        assert!(
            matches!(&owners[1], SocketOwner::Other(holder) if holder.pid == pid && !holder.name.is_empty()),
            "{owners:?}"
        );
        assert_eq!(own().is_socket(descriptor, inode), Ok(true));
        assert_eq!(own().is_socket(descriptor, inode + 1), Ok(false));
        drop(socket);
        assert!(matches!(own().is_socket(descriptor, inode), Err(Miss::Gone) | Ok(false)));
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
        let mut reading =
            TableReading::new(File::open(root.path().join("net/tcp")).unwrap().into(), Protocol::Tcp, &[8080]);
        reading.read(false).unwrap();
        assert!(reading.read <= PIECE as u64, "{} bytes", reading.read);
        assert_eq!(reading.table.listeners().len(), 1);
    }

    #[test]
    fn a_table_in_another_order_loses_no_listener() {
        let connections = row(1, 1, 2).repeat(5_000);
        let root = tree(&(connections.clone() + &row(8080, 0x0a, 7) + &connections));
        let found = sockets(root.path()).listeners(&[(Protocol::Tcp, 8080)], Network::Own);
        assert!(found.at(Protocol::Tcp, 8080).eq([7]));
    }

    #[test]
    fn one_missing_table_is_a_kernel_without_that_version_and_two_are_a_loss() {
        let root = tree(&row(8080, 0x0a, 7));
        let found = sockets(root.path()).listeners(&[(Protocol::Tcp, 8080), (Protocol::Udp, 6666)], Network::Own);
        assert!(found.can_tell(Protocol::Tcp) && !found.can_tell(Protocol::Udp));
        assert_eq!(found.missing, [(Protocol::Udp, Miss::Gone)]);
        assert!(found.at(Protocol::Tcp, 8080).eq([7]));
    }

    #[test]
    fn a_table_that_is_a_folder_is_told() {
        let root = tree("");
        create_dir_all(root.path().join("net/tcp6")).unwrap();
        let found = sockets(root.path()).listeners(&[(Protocol::Tcp, 1)], Network::Own);
        assert_eq!(found.missing, [(Protocol::Tcp, Miss::NotAFile)]);
    }

    #[test]
    fn whose_a_socket_is_is_told_only_as_far_as_it_can_be() {
        let root = tempfile::tempdir().unwrap();
        write(root.path().join("stat"), "").unwrap();
        for (pid, target) in [(1, "socket:[5]"), (2, "/dev/null")] {
            create_dir_all(root.path().join(format!("{pid}/fd"))).unwrap();
            write(root.path().join(format!("{pid}/stat")), "").unwrap();
            write(root.path().join(format!("{pid}/comm")), "socat\n").unwrap();
            symlink(target, root.path().join(format!("{pid}/fd/3"))).unwrap();
        }
        write(root.path().join("1/fd/4"), "no link").unwrap();
        let sockets = sockets(root.path());
        let owner = |inodes: &[u64], pids: &[u32]| {
            sockets.owners(&[Claim { inodes: inodes.to_vec(), pids: pids.to_vec() }]).remove(0)
        };
        let mine = SocketOwner::Claimant { descriptor: Descriptor { pid: 1, number: 3 }, inode: 5 };
        assert_eq!(owner(&[5], &[2, 1]), mine);
        assert_eq!(owner(&[0, 5], &[2, 1]), mine);
        assert_eq!(owner(&[5], &[2]), SocketOwner::Other(Holder { pid: 1, name: b"socat".to_vec() }));
        assert_eq!(owner(&[5], &[2, 7]), SocketOwner::Other(Holder { pid: 1, name: b"socat".to_vec() }), "7 has ended");
        assert_eq!(owner(&[6], &[2]), SocketOwner::Nobody, "everything was looked at");
        assert_eq!(owner(&[0], &[2]), SocketOwner::Nobody);
        assert_eq!(owner(&[0, 5], &[2]), SocketOwner::Nobody, "the module may be the one that is closing its socket");

        set_permissions(root.path().join("2/fd"), PermissionsExt::from_mode(0o000)).unwrap();
        assert_eq!(as_plain_user(|| owner(&[6], &[2])), SocketOwner::Unknown(Miss::Denied));
        assert_eq!(as_plain_user(|| owner(&[6], &[1])), SocketOwner::Hidden);
        create_dir_all(root.path().join("3")).unwrap();
        write(root.path().join("3/fd"), "no folder").unwrap();
        assert_eq!(owner(&[6], &[3]), SocketOwner::Unknown(Miss::NotAFile));
    }
}
