//! The time of leases, asked of whichever node leads.

use autoradio_machine::{LeaseId, Machine};
use autoradio_store::ConsensusError;

use super::{RaftError, RaftHandle, forward, handle::Attempt};

impl RaftHandle {
    /// Gives a lease its full time anew; its time to live in seconds, 0 where there is no such lease.
    ///
    /// # Errors
    /// `NotLeader` where this node does not lead for sure.
    pub fn keep_lease(&self, id: LeaseId) -> Result<i64, ConsensusError> {
        if !self.leads() {
            let leader = self.status().leader.filter(|&leader| leader != self.node_id());
            return Err(ConsensusError::NotLeader { leader });
        }
        // A lease granted a moment ago may not have been seen by the keeper's task yet.
        self.sync_leases();
        let now_ms = self.now_ms();
        Ok(self.leases().keep(now_ms, id).unwrap_or(0))
    }

    /// What is left of a lease's time, in milliseconds; `None` where it is not known or this node does not lead.
    #[must_use]
    pub fn lease_remaining_ms(&self, id: LeaseId) -> Option<u64> {
        let now_ms = self.now_ms();
        self.leases().remaining_ms(now_ms, id)
    }

    /// Brings the keeper up to date; the leases that have run out.
    pub(super) fn sync_leases(&self) -> Vec<LeaseId> {
        let (leading, leases) = (self.leads(), self.read(Machine::leases));
        let now_ms = self.now_ms();
        let mut keeper = self.leases();
        keeper.sync(now_ms, leading, &leases);
        keeper.expired(now_ms)
    }

    /// What is left of a lease's time, in milliseconds, by this node's clock; `None` where there is no such lease.
    ///
    /// # Errors
    /// `NotLeader` where this node does not lead for sure.
    pub fn lease_left(&self, id: LeaseId) -> Result<Option<u64>, ConsensusError> {
        if !self.leads() {
            let leader = self.status().leader.filter(|&leader| leader != self.node_id());
            return Err(ConsensusError::NotLeader { leader });
        }
        self.sync_leases();
        Ok(self.lease_remaining_ms(id))
    }

    /// [`RaftHandle::keep_lease`], from any node.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn keep_lease_anywhere(&self, id: LeaseId) -> Result<i64, RaftError> {
        self.with_leader(again, |leader, left| async move {
            if leader != self.node_id() {
                return forward::keep_alive_once(self.peers(), leader, id, left).await;
            }
            here(self.keep_lease(id))
        })
        .await
    }

    /// [`RaftHandle::lease_left`], from any node.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn lease_left_anywhere(&self, id: LeaseId) -> Result<Option<u64>, RaftError> {
        self.with_leader(again, |leader, left| async move {
            if leader != self.node_id() {
                return forward::lease_left(self.peers(), leader, id, left).await;
            }
            here(self.lease_left(id))
        })
        .await
    }
}

/// A lease's time can always be asked of the next leader.
fn again<T>() -> Result<Attempt<T>, RaftError> {
    Ok(Attempt::Again)
}

fn here<T>(answer: Result<T, ConsensusError>) -> Result<Attempt<T>, RaftError> {
    match answer {
        Ok(done) => Ok(Attempt::Done(done)),
        Err(ConsensusError::NotLeader { .. } | ConsensusError::NoQuorum) => Ok(Attempt::Again),
        Err(error) => Err(error.into()),
    }
}
