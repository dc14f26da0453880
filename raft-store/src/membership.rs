//! Who votes and who learns, changed on the leader.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use autoradio_machine::NodeId;
use openraft::ChangeMembers;

use crate::{
    Consensus, ConsensusError,
    consensus::{within, write_error},
    types::Peer,
};

impl Consensus {
    /// On the leader: adds a learner (not blocking on its catching up), or changes a node's address.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn set_learner(&self, node: NodeId, addr: String, timeout: Duration) -> Result<(), ConsensusError> {
        self.check_space()?;
        let peer = Peer { addr };
        if self.status().addresses.contains_key(&node) {
            return self.change(ChangeMembers::SetNodes(BTreeMap::from([(node, peer)])), true, timeout).await;
        }
        within(timeout, self.raft.add_learner(node, peer, false)).await?.map_err(write_error)?;
        Ok(())
    }

    /// On the leader: makes exactly these the voters; voters that are left out are removed whole.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn set_voters(&self, voters: Vec<NodeId>, timeout: Duration) -> Result<(), ConsensusError> {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        self.change(ChangeMembers::ReplaceAllVoters(voters), false, timeout).await
    }

    /// On the leader: removes learners.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn remove_learners(&self, nodes: Vec<NodeId>, timeout: Duration) -> Result<(), ConsensusError> {
        self.change(ChangeMembers::RemoveNodes(nodes.into_iter().collect()), true, timeout).await
    }

    async fn change(
        &self,
        change: ChangeMembers<NodeId, Peer>,
        retain: bool,
        timeout: Duration,
    ) -> Result<(), ConsensusError> {
        self.check_space()?;
        within(timeout, self.raft.change_membership(change, retain)).await?.map_err(write_error)?;
        Ok(())
    }
}
