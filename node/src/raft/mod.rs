//! The replicated state as the daemon sees it: proposals and reads from any node, with forwarding to the leader.

use std::time::Duration;

use autoradio_machine::{ClusterId, Command, LeaseId, Machine, NodeId};
use autoradio_store::{Consensus, ConsensusError, Proposed, RaftStatus};

/// How long a proposal or read may take before its outcome is unknown (etcd: 5 s and an election).
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to the replicated state. Cheap to clone.
#[derive(Clone)]
pub struct RaftHandle {
    consensus: Consensus,
}

/// Why a proposal or read failed, on whatever node it was carried out.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The machine or the consensus said no.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// There is no leader within the time limit: no majority is in reach.
    #[error("no majority of the cluster can be reached; changes are refused until one is")]
    NoLeader,
    /// The leader could not be asked.
    #[error("the leader {leader:x} could not be asked: {reason}")]
    Forward {
        /// The leader.
        leader: NodeId,
        /// Why.
        reason: String,
    },
}

impl RaftHandle {
    /// Proposes a command from any node and waits until it is applied **here**.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn propose(&self, _command: Command) -> Result<Proposed, RaftError> {
        unimplemented!()
    }

    /// Waits until a read of this node's state is linearizable.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn barrier(&self) -> Result<(), RaftError> {
        unimplemented!()
    }

    /// Reads this node's state as it is; `f` must be short.
    pub fn read<R>(&self, f: impl FnOnce(&Machine) -> R) -> R {
        self.consensus.read(f)
    }

    /// The consensus' status now.
    #[must_use]
    pub fn status(&self) -> RaftStatus {
        self.consensus.status()
    }

    /// This node.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        unimplemented!()
    }

    /// The cluster.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        unimplemented!()
    }

    /// The lease that this node's origins hang on; kept alive for as long as the node can reach the leader.
    /// `None` while there is none (no leader yet, or it ran out and a new one is being granted).
    #[must_use]
    pub fn node_lease(&self) -> Option<LeaseId> {
        unimplemented!()
    }
}
