//! That an entry is committed, told with the answer to who proposed it.
//!
//! A follower that forwarded a proposal answers when it has applied it itself, and hears of the commit in an append that the
//! leader sends after its answer. So the answer carries such an append: without entries, from the leader of the entry's term,
//! with the entry as what comes before and as what is committed. Like any append it may come late, twice or never.

use autoradio_machine::LogIndex;
use bytes::Bytes;
use openraft::{CommittedLeaderId, raft::AppendEntriesRequest};

use crate::{
    Consensus, ConsensusError, Proposed, RpcKind,
    consensus::stopped,
    network,
    types::{LogId, TypeConfig, Vote},
};

impl Consensus {
    /// What a follower is sent that forwarded this proposal here, to the leader that wrote it.
    ///
    /// # Errors
    /// `Stopped` where it cannot be encoded.
    pub fn commit_notice(&self, proposed: &Proposed) -> Result<Bytes, ConsensusError> {
        let (node_id, Proposed { index, term, .. }) = (self.with_status(|status| status.node_id), proposed);
        let entry = LogId::new(CommittedLeaderId::new(*term, node_id), *index);
        let append = AppendEntriesRequest::<TypeConfig> {
            vote: Vote::new_committed(*term, node_id),
            prev_log_id: Some(entry),
            entries: Vec::new(),
            leader_commit: Some(entry),
        };
        network::encode(&append).map_err(|error| stopped(error.to_string()))
    }

    /// Takes it in, unless it is known already that the entry at `index` is committed.
    ///
    /// # Errors
    /// As [`Consensus::handle`].
    pub async fn take_commit_notice(&self, index: LogIndex, notice: Bytes) -> Result<(), ConsensusError> {
        // Many proposals share an entry: one notice of it is enough.
        if self.noticed.fetch_max(index, std::sync::atomic::Ordering::Relaxed) >= index || self.applied_index() >= index
        {
            return Ok(());
        }
        self.handle(RpcKind::Append, notice).await.map(drop)
    }
}
