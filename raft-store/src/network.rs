//! openraft's RPCs over our [`Transport`].

use std::{sync::Arc, time::Duration};

use autoradio_machine::NodeId;
use bytes::Bytes;
use openraft::{
    RaftNetwork, RaftNetworkFactory,
    error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable},
    network::{Backoff, RPCOption},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
        VoteResponse,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    RpcKind, Transport, TransportError,
    full::FullPeers,
    handover::Chosen,
    types::{LogId, Peer, TypeConfig},
    unsynced::Unsynced,
};

/// The format of payloads between nodes.
const FORMAT: u8 = 1;
/// How long a node that could not be reached is left alone.
const BACKOFF: Duration = Duration::from_millis(200);

type RpcError<E> = RPCError<NodeId, Peer, RaftError<NodeId, E>>;

/// Makes connections; they are cheap, since the transport pools.
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) chosen: Chosen,
    pub(crate) full_peers: FullPeers,
    pub(crate) unsynced: Unsynced,
}

/// The way to one node.
pub(crate) struct Connection {
    target: NodeId,
    peer: Peer,
    transport: Arc<dyn Transport>,
    chosen: Chosen,
    full_peers: FullPeers,
    unsynced: Unsynced,
    /// Whether the node said of late that it has no room.
    full: bool,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: NodeId, node: &Peer) -> Connection {
        Connection {
            target,
            peer: node.clone(),
            transport: self.transport.clone(),
            chosen: self.chosen.clone(),
            full_peers: self.full_peers.clone(),
            unsynced: self.unsynced.clone(),
            full: false,
        }
    }
}

/// A payload from one node's consensus to another's.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes, postcard::Error> {
    postcard::to_extend(value, vec![FORMAT]).map(Bytes::from)
}

/// Reads what [`encode`] made.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|e| e.to_string()),
        Some((&found, _)) if found > FORMAT => {
            Err(format!("the payload has format {found}, this program reads up to {FORMAT}; upgrade autoradio"))
        }
        _ => Err("the payload has no format".into()),
    }
}

impl Connection {
    fn set_full(&mut self, full: bool) {
        if self.full != full {
            let node = self.target;
            tracing::warn!(full, "node {node:x} says whether it has room on its disk");
        }
        self.full = full;
        self.full_peers.set(self.target, full);
    }

    /// What a follower may take for committed, of what openraft does: this node's disk is waited for, and where it is too
    /// slow the follower is told with a later message.
    async fn committed(&self, committed: Option<LogId>, limit: Duration) -> Option<LogId> {
        let durable = tokio::time::timeout(limit, self.unsynced.settled(committed?.index)).await;
        committed.filter(|_| matches!(durable, Ok(Ok(()))))
    }

    async fn call<Q, A, E>(&self, kind: RpcKind, request: &Q, option: &RPCOption) -> Result<A, RpcError<E>>
    where
        Q: Serialize,
        A: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let network = |text: String| RPCError::Network(NetworkError::new(&std::io::Error::other(text)));
        let payload = encode(request).map_err(|e| network(e.to_string()))?;
        let answer =
            self.transport.call(self.target, self.peer.addr.clone(), kind, payload, option.hard_ttl()).await.map_err(
                |error| match error {
                    TransportError::Unreachable { .. } => RPCError::Unreachable(Unreachable::new(&error)),
                    TransportError::Timeout { .. } => RPCError::Network(NetworkError::new(&error)),
                },
            )?;
        let result: Result<A, RaftError<NodeId, E>> = decode(&answer).map_err(network)?;
        result.map_err(|error| RPCError::RemoteError(RemoteError::new_with_node(self.target, self.peer.clone(), error)))
    }
}

impl RaftNetwork<TypeConfig> for Connection {
    async fn append_entries(
        &mut self,
        mut rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RPCError<NodeId, Peer, RaftError<NodeId>>> {
        let offered = rpc.entries.len();
        if self.full {
            // Whether it has room again is asked with little.
            rpc.entries.truncate(1);
        }
        rpc.leader_commit = self.committed(rpc.leader_commit, option.hard_ttl() / 4).await;
        let answer = self.call(RpcKind::Append, &rpc, &option).await?;
        let Some(last) = rpc.entries.last().map(|entry| entry.log_id) else { return Ok(answer) };
        match answer {
            AppendEntriesResponse::PartialSuccess(matching) if matching == rpc.prev_log_id => {
                self.set_full(true);
                // openraft would ask again at once. Within the call's limit, which is the heartbeat.
                tokio::time::sleep(option.hard_ttl() / 4).await;
                if matching.is_none() {
                    // What it has is not known yet, and openraft cannot be told so.
                    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                    return Err(RPCError::Unreachable(Unreachable::new(&full)));
                }
                Ok(AppendEntriesResponse::PartialSuccess(matching))
            }
            AppendEntriesResponse::Success => {
                self.set_full(false);
                let all = rpc.entries.len() == offered;
                Ok(if all { answer } else { AppendEntriesResponse::PartialSuccess(Some(last)) })
            }
            answer => Ok(answer),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<NodeId>, RPCError<NodeId, Peer, RaftError<NodeId, InstallSnapshotError>>> {
        self.call(RpcKind::Snapshot, &rpc, &option).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, RPCError<NodeId, Peer, RaftError<NodeId>>> {
        self.call(self.chosen.vote_kind(), &rpc, &option).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;
    use crate::BoxFuture;

    struct Nowhere;

    impl Transport for Nowhere {
        fn call(
            &self,
            target: NodeId,
            _: String,
            _: RpcKind,
            _: Bytes,
            timeout: Duration,
        ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
            Box::pin(async move { Err(TransportError::Timeout { target, timeout }) })
        }
    }

    #[tokio::test]
    async fn no_follower_hears_that_something_is_committed_before_it_is_on_the_leaders_disk() {
        let unsynced = Unsynced::default();
        let (transport, chosen, full_peers) = (Arc::new(Nowhere), Chosen::default(), FullPeers::default());
        let mut network = Network { transport, chosen, full_peers, unsynced: unsynced.clone() };
        let connection = network.new_client(2, &Peer::default()).await;
        let id = |index| Some(LogId::new(CommittedLeaderId::new(1, 1), index));
        let limit = Duration::from_millis(5);
        unsynced.begin(5);
        assert_eq!(connection.committed(id(4), limit).await, id(4));
        assert_eq!(connection.committed(id(5), limit).await, None);
        unsynced.end(5, Ok(()));
        assert_eq!(connection.committed(id(5), limit).await, id(5));
        assert_eq!(connection.committed(None, limit).await, None);
    }
}
