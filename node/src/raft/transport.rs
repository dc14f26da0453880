//! The consensus' RPCs, over tonic.

use std::time::Duration;

use autoradio_machine::NodeId;
use autoradio_proto::peer::RaftRequest;
use autoradio_store::{BoxFuture, RpcKind, Transport, TransportError};
use bytes::Bytes;
use tonic::{Code, Status};

use crate::peer::{PeerError, Peers};

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
        let unreachable = |reason: String| TransportError::Unreachable { target, reason };
        let request = RaftRequest { kind: u32::from(kind as u8), payload };
        let call = async {
            // Pieces of snapshots are large: they must not stand in front of heartbeats.
            if matches!(kind, RpcKind::Snapshot | RpcKind::Fetch) {
                let mut client = self.peers.client_at(target, addr).map_err(|e| unusable(&e))?;
                return Ok(client.raft(request).await?.into_inner());
            }
            self.peers.urgent_at(target, addr).map_err(|e| unusable(&e))?.raft(request).await
        };
        match tokio::time::timeout(timeout, call).await {
            Ok(Ok(reply)) => Ok(reply.payload),
            Ok(Err(status)) if status.code() == Code::DeadlineExceeded => {
                Err(TransportError::Timeout { target, timeout })
            }
            Ok(Err(status)) => Err(unreachable(status.message().to_owned())),
            Err(_) => Err(TransportError::Timeout { target, timeout }),
        }
    }
}

fn unusable(error: &PeerError) -> Status {
    Status::unavailable(error.to_string())
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
