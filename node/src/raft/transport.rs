//! The consensus' RPCs, over tonic.

use std::time::Duration;

use autoradio_machine::NodeId;
use autoradio_proto::peer::RaftRequest;
use autoradio_store::{BoxFuture, RpcKind, Transport, TransportError};
use bytes::Bytes;
use tonic::Code;

use crate::peer::{Lane, Peers};

/// Sends the consensus' RPCs by `Peer.Raft`.
pub struct PeerTransport {
    peers: Peers,
}

impl PeerTransport {
    /// Over these connections.
    #[must_use]
    pub fn new(peers: Peers) -> Self {
        Self { peers }
    }

    async fn send(
        &self,
        target: NodeId,
        addr: &str,
        kind: RpcKind,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, TransportError> {
        // Pieces of snapshots are large: they must not stand in front of heartbeats.
        let lane = if matches!(kind, RpcKind::Snapshot | RpcKind::Fetch) { Lane::Data } else { Lane::Control };
        let unreachable = |reason: String| TransportError::Unreachable { target, reason };
        let mut client = self.peers.client_at(target, addr, lane).map_err(|e| unreachable(e.to_string()))?;
        let request = RaftRequest { kind: u32::from(kind as u8), payload };
        match tokio::time::timeout(timeout, client.raft(request)).await {
            Ok(Ok(reply)) => Ok(reply.into_inner().payload),
            Ok(Err(status)) if status.code() == Code::DeadlineExceeded => {
                Err(TransportError::Timeout { target, timeout })
            }
            Ok(Err(status)) => Err(unreachable(status.message().to_owned())),
            Err(_) => Err(TransportError::Timeout { target, timeout }),
        }
    }
}

impl Transport for PeerTransport {
    fn call(
        &self,
        target: NodeId,
        addr: String,
        kind: RpcKind,
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        Box::pin(async move { self.send(target, &addr, kind, payload, timeout).await })
    }
}
