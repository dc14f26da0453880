//! The calls that a write waits for, over the line to a node where there is one.

use std::sync::Arc;

use autoradio_machine::NodeId;
use autoradio_proto::peer::{
    ProposeReply, ProposeRequest, RaftReply, RaftRequest, ReadIndexReply, ReadIndexRequest, answer, call,
};
use tonic::Status;

use super::{
    Client, PeerError, Peers,
    line::{Line, Pending},
    pool::Lanes,
};

/// A node that may be called urgently.
pub struct Urgent<'a> {
    peers: &'a Peers,
    node: NodeId,
    lanes: Arc<Lanes>,
}

fn mixed_up() -> Status {
    Status::internal("the node answered another call than this one")
}

impl Peers {
    /// For urgent calls to `node`.
    ///
    /// # Errors
    /// As [`Peers::client`].
    pub fn urgent(&self, node: NodeId) -> Result<Urgent<'_>, PeerError> {
        Ok(Urgent { peers: self, node, lanes: self.lanes(node)? })
    }

    /// For urgent calls to `node` at `url`, whatever the catalog says.
    ///
    /// # Errors
    /// The URL is unusable.
    pub fn urgent_at(&self, node: NodeId, url: &str) -> Result<Urgent<'_>, PeerError> {
        Ok(Urgent { peers: self, node, lanes: self.lanes_at(node, url)? })
    }
}

impl Urgent<'_> {
    fn client(&self) -> Client {
        self.peers.client_over(self.lanes.control.clone(), self.node)
    }

    fn line(&self) -> Option<Line> {
        self.lanes.line.line(|| self.client())
    }

    /// Whether there is a line to the node; one is opened for later calls where there is none.
    #[must_use]
    pub fn has_line(&self) -> bool {
        self.line().is_some()
    }

    /// The call on its way, or what is to be called on its own.
    fn call(&self, what: call::What) -> Result<Pending, call::What> {
        match self.line() {
            Some(line) => line.call(what),
            None => Err(what),
        }
    }

    /// An RPC of the consensus.
    ///
    /// # Errors
    /// The other side's, or the connection's.
    pub async fn raft(&self, request: RaftRequest) -> Result<RaftReply, Status> {
        match self.call(call::What::Raft(request)) {
            Ok(pending) => match pending.answer().await? {
                answer::What::Raft(reply) => Ok(reply),
                _ => Err(mixed_up()),
            },
            Err(call::What::Raft(request)) => Ok(self.client().raft(request).await?.into_inner()),
            Err(_) => Err(mixed_up()),
        }
    }

    /// Proposes a command to the leader.
    ///
    /// # Errors
    /// As [`Urgent::raft`].
    pub async fn propose(&self, request: ProposeRequest) -> Result<ProposeReply, Status> {
        match self.call(call::What::Propose(request)) {
            Ok(pending) => match pending.answer().await? {
                answer::What::Propose(reply) => Ok(reply),
                _ => Err(mixed_up()),
            },
            Err(call::What::Propose(request)) => Ok(self.client().propose(request).await?.into_inner()),
            Err(_) => Err(mixed_up()),
        }
    }

    /// Asks the leader for a read index.
    ///
    /// # Errors
    /// As [`Urgent::raft`].
    pub async fn read_index(&self, request: ReadIndexRequest) -> Result<ReadIndexReply, Status> {
        match self.call(call::What::ReadIndex(request)) {
            Ok(pending) => match pending.answer().await? {
                answer::What::ReadIndex(reply) => Ok(reply),
                _ => Err(mixed_up()),
            },
            Err(call::What::ReadIndex(request)) => Ok(self.client().read_index(request).await?.into_inner()),
            Err(_) => Err(mixed_up()),
        }
    }
}
