//! What the machine says of itself, for options that were not given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use socket2::{Domain, Socket, Type};

use super::{args::Options, client_tls::OwnFiles};

/// Addresses that stand for “elsewhere”; nothing is ever sent to them (RFC 5737, RFC 3849).
const ELSEWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// What the machine says of itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The host name.
    pub host_name: String,
    /// Addresses that the host name stands for, without loopback ones.
    pub host_ips: Vec<IpAddr>,
    /// Addresses that packets to elsewhere leave from, on `--interface` where one is given.
    pub route_ips: Vec<IpAddr>,
    /// Those of the public addresses that a socket can be bound to (others are translated by a router).
    pub local_ips: Vec<IpAddr>,
    /// Whether there is IPv6.
    pub ipv6: bool,
    /// Certificates and keys where they have always been looked for.
    pub own_files: OwnFiles,
}

impl Facts {
    /// Asks the system, once, before the node starts: may wait for the resolver.
    #[must_use]
    pub fn gather(options: &Options) -> Self {
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host_ips = (host_name.as_str(), 0).to_socket_addrs().map(Iterator::collect).unwrap_or_else(|error| {
            tracing::debug!(%error, host_name, "the host name has no address");
            Vec::<SocketAddr>::new()
        });
        let mut host_ips: Vec<IpAddr> = host_ips.iter().map(SocketAddr::ip).filter(|ip| !ip.is_loopback()).collect();
        host_ips.dedup();
        let route_ips: Vec<IpAddr> =
            ELSEWHERE.into_iter().filter_map(|to| route_to(to, options.interface.as_deref())).collect();
        let candidates = options.public_ip.iter().chain(&host_ips).chain(&route_ips);
        let mut local_ips: Vec<IpAddr> = candidates.copied().filter(|ip| UdpSocket::bind((*ip, 0)).is_ok()).collect();
        local_ips.sort();
        local_ips.dedup();
        let ipv6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
        Self { host_name, host_ips, route_ips, local_ips, ipv6, own_files: OwnFiles::look() }
    }
}

/// The address that packets to `to` leave from.
fn route_to(to: IpAddr, interface: Option<&str>) -> Option<IpAddr> {
    let to = SocketAddr::new(to, 53);
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None).ok()?;
    if let Some(interface) = interface {
        socket.bind_device(Some(interface.as_bytes())).ok()?;
    }
    // Connecting a UDP socket sends nothing; it only looks the route up.
    socket.connect(&to.into()).ok()?;
    let from = socket.local_addr().ok()?.as_socket()?.ip();
    let usable = !from.is_loopback() && !from.is_unspecified();
    usable.then_some(from)
}
