//! Sockets of one address: one TCP listener, and UDP sockets that share the port.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// UDP sockets an address: the kernel spreads clients over them, and each has its own loop.
pub(super) const UDP_SOCKETS: usize = 2;
/// Connections that wait to be accepted.
const TCP_BACKLOG: i32 = 128;
/// How often another port is tried where the system chose one that UDP does not have free.
const PORT_TRIES: usize = 16;

/// The sockets of one address.
pub(super) struct Sockets {
    /// With the port that the system chose where 0 was asked for.
    pub(super) address: SocketAddr,
    pub(super) tcp: TcpListener,
    pub(super) udp: Vec<UdpSocket>,
}

/// Binds all sockets of an address. Port 0 gives one free port for UDP and TCP.
pub(super) fn bind(address: SocketAddr) -> io::Result<Sockets> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries = tries.saturating_sub(1);
        match bind_once(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            other => return other,
        }
    }
}

fn bind_once(address: SocketAddr) -> io::Result<Sockets> {
    let tcp = bind_tcp(address)?;
    let address = tcp.local_addr()?;
    // The first without SO_REUSEPORT would refuse the second; a foreign server on the port is found by TCP's bind,
    // and by this probe where it only has UDP.
    drop(udp_socket(address, false)?);
    let udp = (0..UDP_SOCKETS).map(|_| bind_udp(address)).collect::<io::Result<_>>()?;
    Ok(Sockets { address, tcp, udp })
}

/// The TCP listener.
pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// One of the UDP sockets.
pub(super) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(udp_socket(address, true)?.into())
}

fn udp_socket(address: SocketAddr, share_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(share_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
