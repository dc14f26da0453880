//! The consensus at one moment, in our own words.

use std::collections::BTreeMap;

use autoradio_machine::{LogIndex, NodeId};
use openraft::{ServerState, error::Fatal};

use crate::types::Metrics;

/// The role of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Not voting.
    #[default]
    Learner,
    /// Voting, following.
    Follower,
    /// Asking for votes.
    Candidate,
    /// Leading.
    Leader,
}

/// A picture of the consensus on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftStatus {
    /// This node.
    pub node_id: NodeId,
    /// Its role.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// The leader it knows of.
    pub leader: Option<NodeId>,
    /// Last entry in the log.
    pub last_log_index: LogIndex,
    /// Last entry applied.
    pub applied_index: LogIndex,
    /// Last entry in a snapshot.
    pub snapshot_index: LogIndex,
    /// Who votes (the newest configuration; both sets while it is joint).
    pub voters: Vec<NodeId>,
    /// Who learns.
    pub learners: Vec<NodeId>,
    /// Peer addresses that the consensus uses, by node.
    pub addresses: BTreeMap<NodeId, String>,
    /// On the leader: the last entry that each node is known to hold.
    pub matched: BTreeMap<NodeId, LogIndex>,
    /// On the leader: milliseconds since a majority last answered.
    pub millis_since_quorum_ack: Option<u64>,
    /// Set when the consensus stopped for good: the process must end.
    pub fatal: Option<String>,
    /// Whether it stopped since log or snapshots could not be written or read.
    pub storage_failed: bool,
}

impl RaftStatus {
    /// Whether there is a leader; one that no majority has answered for so long is none.
    pub(crate) fn is_led(&self, unheard_max_ms: u64) -> bool {
        let heard = self.millis_since_quorum_ack.is_none_or(|ms| ms <= unheard_max_ms);
        self.leader.is_some() && (self.role != Role::Leader || heard)
    }

    pub(crate) fn of(metrics: &Metrics) -> Self {
        let membership = metrics.membership_config.membership();
        let index = |id: &Option<openraft::LogId<NodeId>>| id.map_or(0, |id| id.index);
        let voters: Vec<NodeId> = membership.voter_ids().collect();
        Self {
            node_id: metrics.id,
            role: match metrics.state {
                ServerState::Leader => Role::Leader,
                ServerState::Candidate => Role::Candidate,
                ServerState::Follower => Role::Follower,
                _ => Role::Learner,
            },
            term: metrics.current_term,
            leader: metrics.current_leader,
            last_log_index: metrics.last_log_index.unwrap_or_default(),
            applied_index: index(&metrics.last_applied),
            snapshot_index: index(&metrics.snapshot),
            learners: membership.learner_ids().filter(|id| !voters.contains(id)).collect(),
            addresses: membership.nodes().map(|(id, peer)| (*id, peer.addr.clone())).collect(),
            voters,
            matched: metrics.replication.iter().flatten().map(|(id, matched)| (*id, index(matched))).collect(),
            millis_since_quorum_ack: metrics.millis_since_quorum_ack,
            fatal: metrics.running_state.as_ref().err().map(ToString::to_string),
            storage_failed: matches!(metrics.running_state, Err(Fatal::StorageError(_))),
        }
    }
}
