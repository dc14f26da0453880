//! Leadership is handed over: the leader lets what is under way end, and tells a voter that has all it has to stand for
//! election at once (the Raft thesis, 3.10).
//!
//! openraft 0.9 has no such thing, and its voters refuse a candidate while they hear a leader. Votes of a candidate that
//! the leader chose are sent as [`RpcKind::HandedVote`]: the voter takes over the candidate's vote first, as an append of
//! nothing would bring it, after which it heeds no lease; the vote that follows is checked as any other is (whether the
//! candidate's log is long enough), so that nothing can be lost by it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use autoradio_machine::NodeId;
use bytes::Bytes;
use openraft::{
    CommittedLeaderId,
    raft::{AppendEntriesRequest, VoteRequest},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    Consensus, ConsensusError, RaftStatus, Role, RpcKind, TransportError,
    consensus::{read, stopped, within},
    network,
    types::{LogId, TypeConfig, Vote},
};

/// How long the election of a chosen successor may take.
const ELECTION_LIMIT: Duration = Duration::from_millis(500);

/// Whether this node stands for election by its leader's wish.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen(Arc<AtomicBool>);

impl Chosen {
    /// How the votes of this moment are sent.
    pub(crate) fn vote_kind(&self) -> RpcKind {
        if self.0.load(Ordering::Relaxed) { RpcKind::HandedVote } else { RpcKind::Vote }
    }
}

/// Chosen for as long as this lives, however its task ends.
struct ChosenNow(Chosen);

impl ChosenNow {
    fn begin(chosen: &Chosen) -> Self {
        chosen.0.store(true, Ordering::Relaxed);
        Self(chosen.clone())
    }
}

impl Drop for ChosenNow {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

impl Consensus {
    /// On the leader: hands leadership to `target`, or to the voter that has most of the log; who leads then.
    ///
    /// Proposals wait meanwhile, and are told who leads when it is over. An attempt that fails changes nothing, or ends in
    /// an ordinary election.
    ///
    /// # Errors
    /// `NotLeader`; `Membership` where `target` is no other voter; `Timeout`.
    pub async fn hand_over(&self, target: Option<NodeId>, limit: Duration) -> Result<NodeId, ConsensusError> {
        let deadline = Instant::now() + limit;
        let status = self.status();
        if status.role != Role::Leader {
            return Err(ConsensusError::NotLeader { leader: status.leader });
        }
        if target == Some(status.node_id) {
            return Ok(status.node_id);
        }
        let target = successor(&status, target)?;
        let addr = status.addresses.get(&target).cloned().unwrap_or_default();
        let late = || ConsensusError::Timeout(limit);
        let _gate = timeout_at(deadline, self.proposals.hold()).await.map_err(|_| late())?;
        let caught_up = self.wait_for_status(|status| {
            let matched = status.matched.get(&target).copied().unwrap_or_default();
            status.role != Role::Leader || matched >= status.last_log_index
        });
        timeout_at(deadline, caught_up).await.map_err(|_| late())??;
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = self.transport.call(target, addr, RpcKind::TakeOver, Bytes::new(), left).await;
        asked.map_err(|error| match error {
            TransportError::Timeout { .. } => late(),
            TransportError::Unreachable { .. } => ConsensusError::Membership(error.to_string()),
        })?;
        let replaced = self.wait_for_status(|status| status.leader.is_some_and(|leader| leader != status.node_id));
        let status = timeout_at(deadline, replaced).await.map_err(|_| late())??;
        status.leader.ok_or_else(late)
    }

    /// Stands for election by the leader's wish, until it leads or another does.
    pub(crate) async fn take_over(&self) -> Result<(), ConsensusError> {
        let status = self.status();
        if !status.voters.contains(&status.node_id) {
            return Err(ConsensusError::Membership("a node that does not vote cannot lead".into()));
        }
        let _chosen = ChosenNow::begin(&self.chosen);
        self.elect().await?;
        let (term, me) = (status.term, status.node_id);
        let over = self.wait_for_status(|now| {
            now.term > term && (now.role == Role::Leader || now.leader.is_some_and(|leader| leader != me))
        });
        within(ELECTION_LIMIT, over).await?.map(drop)
    }

    /// Answers a vote of a candidate that the leader chose.
    pub(crate) async fn handed_vote(&self, payload: &[u8]) -> Result<Bytes, ConsensusError> {
        let request: VoteRequest<NodeId> = read(payload)?;
        if !request.vote.is_committed() {
            self.adopt(request.vote).await?;
        }
        network::encode(&self.raft.vote(request).await).map_err(stopped)
    }

    /// Takes over a vote that is not committed, as an append would bring it: it continues an entry that nobody has, so that
    /// the vote is all that is taken. Where this node has seen a later one, not even that.
    pub(crate) async fn adopt(&self, vote: Vote) -> Result<(), ConsensusError> {
        let nowhere = LogId::new(CommittedLeaderId::new(vote.leader_id().term, 0), u64::MAX - 1);
        let nothing = AppendEntriesRequest::<TypeConfig> {
            vote,
            prev_log_id: Some(nowhere),
            entries: Vec::new(),
            leader_commit: None,
        };
        self.raft.append_entries(nothing).await.map(drop).map_err(stopped)
    }
}

/// Who is to lead next.
fn successor(status: &RaftStatus, wanted: Option<NodeId>) -> Result<NodeId, ConsensusError> {
    let mut others = status.voters.iter().copied().filter(|id| *id != status.node_id);
    let found = match wanted {
        Some(target) => others.find(|id| *id == target),
        None => others.max_by_key(|id| status.matched.get(id).copied().unwrap_or_default()),
    };
    let nobody = || match wanted {
        Some(target) => format!("{target:x} is no voter that could lead"),
        None => "there is no other voter that could lead".into(),
    };
    found.ok_or_else(|| ConsensusError::Membership(nobody()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_is_another_voter_with_most_of_the_log() {
        let status = RaftStatus {
            node_id: 1,
            voters: vec![1, 2, 3],
            learners: vec![4],
            matched: [(1, 9), (2, 7), (3, 8), (4, 9)].into(),
            ..RaftStatus::default()
        };
        assert_eq!(successor(&status, None).unwrap(), 3);
        assert_eq!(successor(&status, Some(2)).unwrap(), 2);
        assert!(successor(&status, Some(4)).is_err());
        assert!(successor(&RaftStatus { voters: vec![1], ..status }, None).is_err());
    }
}
