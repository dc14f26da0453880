//! Lets other nodes in. The only place: TLS, and whether a node may join, enter here.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use autoradio_proto::peer::{join_server::JoinServer, peer_server::PeerServer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::{
    FabricService, Loads, MESSAGE_MAX_BYTES, accept::accept, envelope::CheckEnvelope, gate::Gate, join::JoinService,
    service::PeerService,
};
use crate::{gathered::Gathered, raft::RaftHandle};

/// As on the calling side (`connect`).
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Streams of one connection: a copy of each of 1,000 mounts, with room.
const STREAMS_MAX: u32 = 4_096;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// What one stream, and a connection, may have in flight (snapshots come in pieces of 3 MiB).
const WINDOW_BYTES: (u32, u32) = (4 << 20, 16 << 20);

/// Binds a listener. IPv6 wildcards leave IPv4 alone, so that both can be bound.
///
/// # Errors
/// The system's, for a port in use or an address that is not here.
pub fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the last process' connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves other nodes on `listener` until `stop`.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    raft: RaftHandle,
    loads: Loads,
    fabric: Arc<dyn FabricService>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let check = CheckEnvelope { cluster_id: raft.cluster_id(), node_id: raft.node_id() };
    let service = PeerService { raft: raft.clone(), loads, fabric, stop: stop.clone() };
    let peer = PeerServer::new(service)
        .max_decoding_message_size(MESSAGE_MAX_BYTES)
        .max_encoding_message_size(MESSAGE_MAX_BYTES);
    let peer = tonic::service::interceptor::InterceptedService::new(peer, check);
    let incoming = ReceiverStream::new(accept(listener, raft.peers().keyring().clone(), stop.clone()));
    let incoming = incoming.map(|accepted| accepted.map(Gathered::new));
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES.0)
        .initial_connection_window_size(WINDOW_BYTES.1)
        .add_service(peer)
        .add_service(JoinServer::new(JoinService { raft, gate: Gate::default() }))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}
