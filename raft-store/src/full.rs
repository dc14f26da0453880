//! What a full disk changes: proposals are refused, and a full follower gets heartbeats only.
//!
//! openraft takes a write that fails for the end. So a follower that has no room takes nothing but the heartbeat out of an
//! append, and says that it has what came before; the leader notes it, and asks again with one entry at a time until that
//! is taken. A leader without room hands on to a voter that has some, if a majority has, and refuses changes meanwhile.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use autoradio_machine::NodeId;
use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest};
use tokio::time::Instant;

use crate::{
    Consensus, ConsensusError, RaftStatus, Role, Space,
    consensus::{read, stopped},
    network,
    types::TypeConfig,
};

/// How often a leader without room tries to hand on, and how long it waits for it.
const HAND_ON_EVERY: Duration = Duration::from_secs(3);
const HAND_ON_LIMIT: Duration = Duration::from_secs(2);

/// The nodes that said that they have no room, as far as this leader knows. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FullPeers(Arc<Mutex<BTreeSet<NodeId>>>);

impl FullPeers {
    pub(crate) fn set(&self, node: NodeId, full: bool) {
        let mut peers = self.0.lock().expect("nothing panics while it holds the set");
        if full {
            peers.insert(node)
        } else {
            peers.remove(&node)
        };
    }

    fn now(&self) -> BTreeSet<NodeId> {
        self.0.lock().expect("nothing panics while it holds the set").clone()
    }
}

/// Why a leader takes no changes for want of room; `None` where it takes them.
fn refusal(status: &RaftStatus, own: Space, full: &BTreeSet<NodeId>) -> Option<ConsensusError> {
    if status.role != Role::Leader {
        return None;
    }
    if own.full {
        let (left, needed) = (own.available_bytes >> 20, own.needed_bytes >> 20);
        return Some(ConsensusError::NoSpace(format!("the leader has {left} MiB left and needs {needed}")));
    }
    let with_room = status.voters.iter().filter(|id| !full.contains(id)).count();
    let majority = status.voters.len() / 2 + 1;
    (with_room < majority && !status.voters.is_empty()).then(|| {
        let voters = status.voters.len();
        ConsensusError::NoSpace(format!("only {with_room} of {voters} voters have room, and {majority} must have"))
    })
}

/// Whom a leader without room hands on to. Nobody, where a majority would have none all the same: a new leader serves reads
/// only after an entry of its own is committed, which could not be; the old one goes on serving them.
fn successor(status: &RaftStatus, full: &BTreeSet<NodeId>) -> Option<NodeId> {
    let with_room = status.voters.iter().copied().filter(|id| *id != status.node_id && !full.contains(id));
    let majority = status.voters.len() / 2 + 1;
    if with_room.clone().count() < majority {
        return None;
    }
    with_room.max_by_key(|id| status.matched.get(id).copied())
}

impl Consensus {
    /// The room on this node's disk.
    #[must_use]
    pub fn space(&self) -> Space {
        self.space.now()
    }

    /// Refuses a change where there is no room for it.
    pub(crate) fn check_space(&self) -> Result<(), ConsensusError> {
        self.with_status(|status| refusal(status, self.space(), &self.full_peers.now())).map_or(Ok(()), Err)
    }

    /// Answers an append.
    pub(crate) async fn append(&self, payload: &[u8]) -> Result<Bytes, ConsensusError> {
        let mut request: AppendEntriesRequest<TypeConfig> = read(payload)?;
        let refused = self.space().full && !request.entries.is_empty();
        let before = request.prev_log_id;
        if refused {
            request.entries.clear();
        }
        let mut answer = self.raft.append_entries(request).await;
        if !matches!(answer, Ok(AppendEntriesResponse::HigherVote(_)) | Err(_)) {
            self.heard.note();
        }
        if refused && matches!(answer, Ok(AppendEntriesResponse::Success)) {
            answer = Ok(AppendEntriesResponse::PartialSuccess(before));
        }
        network::encode(&answer).map_err(stopped)
    }

    /// Answers a piece of a snapshot. It is written when its last piece has come.
    pub(crate) async fn install(&self, payload: &[u8]) -> Result<Bytes, ConsensusError> {
        let request: InstallSnapshotRequest<TypeConfig> = read(payload)?;
        if self.space().full && request.done {
            return Err(ConsensusError::NoSpace("there is no room for a snapshot".into()));
        }
        let answer = self.raft.install_snapshot(request).await;
        if answer.is_ok() {
            self.heard.note();
        }
        network::encode(&answer).map_err(stopped)
    }

    /// Hands leadership on while this node leads and has no room, until the consensus stops.
    pub(crate) fn hand_on_when_full(&self) {
        let consensus = self.clone();
        let mut status = self.watch_status();
        tokio::spawn(async move {
            let mut tried: Option<Instant> = None;
            // Something is heard of the status at each heartbeat of a leader.
            while status.changed().await.is_ok() {
                let now = status.borrow_and_update().clone();
                let soon = tried.is_some_and(|at| at.elapsed() < HAND_ON_EVERY);
                if now.role != Role::Leader || !consensus.space().full || soon || now.fatal.is_some() {
                    continue;
                }
                let Some(target) = successor(&now, &consensus.full_peers.now()) else { continue };
                tried = Some(Instant::now());
                match consensus.hand_over(Some(target), HAND_ON_LIMIT).await {
                    Ok(leader) => tracing::info!("the disk is full; {leader:x} leads now"),
                    Err(error) => tracing::warn!(%error, "the disk is full, and leadership could not be handed on"),
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_refuses_where_it_or_a_majority_has_no_room() {
        let status = RaftStatus { node_id: 1, role: Role::Leader, voters: vec![1, 2, 3], ..RaftStatus::default() };
        let (room, full) = (Space::default(), Space { full: true, ..Space::default() });
        assert!(refusal(&status, room, &BTreeSet::new()).is_none());
        assert!(refusal(&status, room, &[2, 9].into()).is_none());
        assert!(refusal(&status, room, &[2, 3].into()).is_some());
        assert!(refusal(&status, full, &BTreeSet::new()).is_some());
        let follower = RaftStatus { role: Role::Follower, ..status };
        assert!(refusal(&follower, full, &[2, 3].into()).is_none());
    }

    #[test]
    fn a_full_leader_hands_on_only_where_changes_can_be_taken_then() {
        let matched = [(2, 7), (3, 9), (4, 8)].into();
        let status = |voters: Vec<NodeId>| RaftStatus { node_id: 1, voters, matched, ..RaftStatus::default() };
        let three = status(vec![1, 2, 3]);
        assert_eq!(successor(&three, &BTreeSet::new()), Some(3), "who has most");
        assert_eq!(successor(&three, &[2].into()), None, "reads would stop, and no change would be taken");
        let five = RaftStatus { voters: vec![1, 2, 3, 4, 5], ..three };
        assert_eq!(successor(&five, &[3].into()), Some(4));
        assert_eq!(successor(&RaftStatus { voters: vec![1], ..five }, &BTreeSet::new()), None);
    }
}
