//! Candidates that cannot win.
//!
//! When a leader dies, its followers stand for election at times of their own, and the first may have less of the log than
//! another: who has more refuses it, and openraft 0.9 then waits for that one's own time, and often for another turn, since
//! two candidates of one term refuse each other. So who refuses a candidate for its log, and misses the leader itself,
//! stands at once, with a later term than the candidate's.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use autoradio_machine::NodeId;
use bytes::Bytes;
use openraft::raft::{VoteRequest, VoteResponse};
use tokio::time::Instant;

use crate::{
    Consensus, ConsensusError,
    consensus::{read, stopped},
    network,
    types::{LogId, Vote},
};

/// When a leader was heard last. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    at: Arc<Mutex<Instant>>,
    lease: Duration,
}

impl Heard {
    /// A node that starts now, and takes a leader for alive for so long after it was heard.
    pub(crate) fn new(lease: Duration) -> Self {
        Self { at: Arc::new(Mutex::new(Instant::now())), lease }
    }

    /// A leader was heard.
    pub(crate) fn note(&self) {
        *self.at.lock().expect("nothing panics while it holds the time") = Instant::now();
    }

    /// Whether no leader was heard for longer than its lease.
    fn missed(&self) -> bool {
        self.at.lock().expect("nothing panics while it holds the time").elapsed() > self.lease
    }
}

/// Whether a candidate was refused for having less of the log, by its vote and the last entry that it has.
fn has_less(vote: &Vote, last: Option<&LogId>, answer: &VoteResponse<NodeId>) -> bool {
    !answer.vote_granted && *vote > answer.vote && answer.last_log_id.as_ref() > last
}

impl Consensus {
    /// Answers a candidate's request for this node's vote.
    pub(crate) async fn vote(&self, payload: &[u8]) -> Result<Bytes, ConsensusError> {
        let request: VoteRequest<NodeId> = read(payload)?;
        let (vote, last) = (request.vote, request.last_log_id);
        let answer = self.raft.vote(request).await;
        let refused = answer.as_ref().is_ok_and(|answer| has_less(&vote, last.as_ref(), answer));
        let status = self.status();
        if refused && self.heard.missed() && status.voters.contains(&status.node_id) {
            self.adopt(vote).await?;
            self.elect().await?;
        }
        network::encode(&answer).map_err(stopped)
    }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    #[test]
    fn only_a_later_vote_with_less_of_the_log_is_refused_for_it() {
        let id = |index| LogId::new(CommittedLeaderId::new(1, 1), index);
        let answer = |vote, granted| VoteResponse::new(vote, Some(id(7)), granted);
        let (mine, theirs) = (Vote::new_committed(1, 1), Vote::new(2, 2));
        assert!(has_less(&theirs, Some(&id(6)), &answer(mine, false)));
        assert!(has_less(&theirs, None, &answer(mine, false)));
        assert!(!has_less(&theirs, Some(&id(7)), &answer(mine, false)), "it has as much: the leader is heard");
        assert!(!has_less(&theirs, Some(&id(6)), &answer(Vote::new(2, 3), false)), "another was voted for");
        assert!(!has_less(&theirs, Some(&id(6)), &answer(theirs, true)));
    }
}
