//! Listen addresses: what may be typed, and the listeners they stand for.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, ToSocketAddrs};
use std::str::FromStr;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use socket2::{Domain, Protocol, Socket, Type};

use super::WebError;

/// How many connections the system may hold ready for us.
const BACKLOG: i32 = 4096;

/// Where to listen.
///
/// # Format
/// `:PORT` for every address of the machine, IPv6 and IPv4; `HOST:PORT` with a name or an IPv4 address;
/// `[IPV6]:PORT`, where the address may have a zone: `[fe80::1%eth0]:PORT`. Port 0 lets the system choose one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// Every address of the machine.
    All {
        /// The port.
        port: u16,
    },
    /// One address.
    Ip(SocketAddr),
    /// One IPv6 address on one link.
    Zoned {
        /// The address.
        ip: Ipv6Addr,
        /// The name of the link's interface, or its number.
        zone: String,
        /// The port.
        port: u16,
    },
    /// Every address that a name stands for.
    Name {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| "there is no port: write :PORT, HOST:PORT or [IPV6]:PORT, as in :10777".to_owned())?;
        // u16 alone would take "+80".
        let port = Some(port)
            .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| format!("{port:?} is not a port: write a number from 0 to 65535"))?;
        if host.is_empty() {
            return Ok(Self::All { port });
        }
        if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if let Some((ip, zone)) = inner.split_once('%') {
                let ip = ip.parse().map_err(|_| format!("{ip:?} is not an IPv6 address"))?;
                if zone.is_empty() || zone.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
                    return Err(format!("{zone:?} is not a network interface: write its name, as in %eth0"));
                }
                return Ok(Self::Zoned { ip, zone: zone.to_owned(), port });
            }
            return match inner.parse() {
                Ok(Ipv6Addr::UNSPECIFIED) => Ok(Self::All { port }),
                Ok(ip) => Ok(Self::Ip((ip, port).into())),
                Err(_) => Err(format!("{inner:?} is not an IPv6 address")),
            };
        }
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Ok(Self::Ip((ip, port).into()));
        }
        if host.contains(':') {
            return Err(format!("an IPv6 address goes in brackets: [{host}]:{port}"));
        }
        if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
            return Ok(Self::Name { host: host.to_owned(), port });
        }
        Err(format!("{host:?} is not a host name: write HOST:PORT, as in localhost:10777"))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { port } => write!(f, ":{port}"),
            Self::Ip(address) => write!(f, "{address}"),
            Self::Zoned { ip, zone, port } => write!(f, "[{ip}%{zone}]:{port}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Binds every address, ready to accept.
///
/// `:PORT` is one socket for IPv6 and IPv4, and one for IPv4 alone where the machine has no IPv6. Of a name's
/// addresses, those that the machine does not have are passed over as long as one is left.
///
/// # Errors
/// When an address cannot be resolved or bound; the message names it and the remedy.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<TcpListener>, WebError> {
    let mut listeners = Vec::new();
    for address in addresses {
        match address {
            ListenAddress::All { port } => listeners.push(bind_all(*port)?),
            ListenAddress::Ip(ip) => listeners.push(bind_one(*ip)?),
            ListenAddress::Zoned { ip, zone, port } => {
                let scope = scope_of(zone).map_err(|source| WebError::Resolve { address: address.clone(), source })?;
                listeners.push(bind_one(SocketAddrV6::new(*ip, *port, 0, scope).into())?);
            }
            ListenAddress::Name { host, port } => {
                let resolved = (host.as_str(), *port)
                    .to_socket_addrs()
                    .map_err(|source| WebError::Resolve { address: address.clone(), source })?;
                listeners.extend(bind_any(address, resolved)?);
            }
        }
    }
    Ok(listeners)
}

/// The number of a network interface, which may be given itself (RFC 4007, 11.2).
fn scope_of(zone: &str) -> io::Result<u32> {
    match zone.parse() {
        Ok(number) => Ok(number),
        Err(_) => Ok(netdevice::name_to_index(socket(AddressFamily::INET6, SocketType::DGRAM, None)?, zone)?),
    }
}

fn bind_all(port: u16) -> Result<TcpListener, WebError> {
    match bind_one((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(WebError::Bind { source, .. }) if is_missing(&source) => bind_one((Ipv4Addr::UNSPECIFIED, port).into()),
        bound => bound,
    }
}

fn bind_any(address: &ListenAddress, resolved: impl Iterator<Item = SocketAddr>) -> Result<Vec<TcpListener>, WebError> {
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut bound = Vec::new();
    let mut missing = None;
    for mut ip in resolved {
        if tried.contains(&ip) {
            continue;
        }
        tried.push(ip);
        // One port for all addresses of a name, also when the system chose it.
        if let (0, Some(first)) = (ip.port(), bound.first().and_then(|first: &TcpListener| first.local_addr().ok())) {
            ip.set_port(first.port());
        }
        match bind_one(ip) {
            Ok(listener) => bound.push(listener),
            Err(WebError::Bind { address, source }) if is_missing(&source) => {
                missing = Some(WebError::Bind { address, source });
            }
            Err(error) => return Err(error),
        }
    }
    if !bound.is_empty() {
        return Ok(bound);
    }
    Err(missing.unwrap_or_else(|| WebError::Resolve {
        address: address.clone(),
        source: io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
    }))
}

fn bind_one(address: SocketAddr) -> Result<TcpListener, WebError> {
    let attempt = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if let IpAddr::V6(ip) = address.ip() {
            // The system's default for this is an administrator's setting; ours is not.
            socket.set_only_v6(!ip.is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    attempt().map_err(|source| WebError::Bind { address, source })
}

/// Whether the machine lacks the address or its whole family.
fn is_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no stable kind.
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// What to do about a failed bind.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has this port: end it, or choose another port with --web.listen-address"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are reserved: choose a higher one with --web.listen-address"
        }
        _ if is_missing(error) => {
            "this machine does not have the address: name one that `ip address` shows with --web.listen-address"
        }
        _ => "choose another address with --web.listen-address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_listen_address_is_understood() {
        for (text, expected) in [
            (":10777", ListenAddress::All { port: 10777 }),
            ("[::]:1", ListenAddress::All { port: 1 }),
            ("127.0.0.1:0", ListenAddress::Ip(([127, 0, 0, 1], 0).into())),
            ("0.0.0.0:8", ListenAddress::Ip(([0, 0, 0, 0], 8).into())),
            ("[::1]:65535", ListenAddress::Ip((Ipv6Addr::LOCALHOST, 65535).into())),
            (
                "[fe80::1%eth0]:80",
                ListenAddress::Zoned { ip: "fe80::1".parse().unwrap(), zone: "eth0".into(), port: 80 },
            ),
            ("app-1.example:80", ListenAddress::Name { host: "app-1.example".into(), port: 80 }),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address, expected, "{text}");
            assert_eq!(address.to_string().parse(), Ok(address), "{text} survives being written");
        }
    }

    #[test]
    fn a_wrong_listen_address_is_told_what_is_wrong() {
        for (text, word) in [
            ("", "no port"),
            ("10777", "no port"),
            (":", "is not a port"),
            (":+80", "is not a port"),
            (":65536", "is not a port"),
            ("localhost:http", "is not a port"),
            ("::1:80", "brackets"),
            ("[::1:80", "brackets"),
            ("[localhost]:80", "not an IPv6 address"),
            ("[fe80::1%]:80", "is not a network interface"),
            ("[fe80::1%a b]:80", "is not a network interface"),
            ("[fe80%lo]:80", "not an IPv6 address"),
            ("http://localhost:80", "brackets"),
            ("a b:80", "not a host name"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_the_remedy() {
        let taken = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = taken[0].local_addr().unwrap();
        let error = bind(&[address.to_string().parse().unwrap()]).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("another program has this port"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_named_with_the_remedy() {
        // 192.0.2.0/24 is reserved for documentation (RFC 5737).
        let error = bind(&["192.0.2.1:0".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:0") && error.contains("does not have the address"), "{error}");
    }

    #[test]
    fn a_port_alone_is_reached_over_ipv4_and_over_ipv6_where_there_is_one() {
        let listeners = bind(&[":0".parse().unwrap()]).unwrap();
        let bound = listeners[0].local_addr().unwrap();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, bound.port())).unwrap();
        if bound.is_ipv6() {
            std::net::TcpStream::connect((Ipv6Addr::LOCALHOST, bound.port())).unwrap();
        }
    }

    #[test]
    fn a_zone_names_an_interface_of_this_machine() {
        assert_eq!(bind(&["[::1%lo]:0".parse().unwrap()]).map(|bound| bound.len()).unwrap(), 1);
        let error = bind(&["[fe80::1%none0]:0".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("[fe80::1%none0]:0"), "{error}");
    }

    #[test]
    fn a_name_without_any_address_of_this_machine_is_an_error() {
        let name = ListenAddress::Name { host: "elsewhere".into(), port: 1 };
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert!(matches!(bind_any(&name, [elsewhere].into_iter()), Err(WebError::Bind { .. })));
        assert!(matches!(bind_any(&name, std::iter::empty()), Err(WebError::Resolve { .. })));
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        assert_eq!(bind_any(&name, [elsewhere, here, here].into_iter()).unwrap().len(), 1);
    }
}
