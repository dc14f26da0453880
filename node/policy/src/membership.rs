//! From the members in the store to the voters and learners of the consensus, one safe step at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use autoradio_machine::{LogIndex, Member, NodeId};

use crate::fitness::HEARD_LIMIT_MS;

mod removal;

pub use removal::{UnsafeRemoval, check_removal};

/// Most voters: with five two may die, and more make each write slower.
pub const MAX_VOTERS: usize = 5;
/// A learner with fewer entries to go has caught up.
pub const CAUGHT_UP_ENTRIES: u64 = 100;

/// A voter that is silent for so long is replaced, where somebody can take its place: longer than most reboots take. When it
/// comes back it learns, and may vote again.
pub const DEAD_AFTER_MS: u64 = 60_000;

/// The consensus as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftPicture {
    /// The leader: this node.
    pub me: NodeId,
    /// Who votes.
    pub voters: Vec<NodeId>,
    /// Who learns.
    pub learners: Vec<NodeId>,
    /// The last entry that each node is known to hold.
    pub matched: BTreeMap<NodeId, LogIndex>,
    /// The last entry in the log.
    pub last_log_index: LogIndex,
    /// The peer addresses in use.
    pub addresses: BTreeMap<NodeId, String>,
    /// Whether dead voters are replaced, and their number kept odd.
    pub autopilot: bool,
    /// How long this node has listened to the others: who was never heard is silent for so long.
    pub listened_ms: u64,
}

/// One change of the consensus' membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add a learner, or change a node's address.
    SetLearner {
        /// The node.
        id: NodeId,
        /// Its peer address.
        addr: String,
    },
    /// Make exactly these the voters, in order of id.
    SetVoters(Vec<NodeId>),
    /// Remove these learners.
    RemoveLearners(Vec<NodeId>),
}

/// What is to be done next; `None` when all is as it should be, or nothing can be done safely now. `heard_age_ms` has
/// each node that was ever heard.
#[must_use]
pub fn next_step(
    members: &BTreeMap<NodeId, Arc<Member>>,
    raft: &RaftPicture,
    heard_age_ms: &BTreeMap<NodeId, u64>,
) -> Option<Step> {
    let plan = Plan { members, raft, heard_age_ms };
    plan.readdress()
        .or_else(|| plan.remove_learners())
        .or_else(|| plan.remove_voters())
        .or_else(|| plan.add_learner())
        .or_else(|| plan.replace_dead())
        .or_else(|| plan.promote())
        .or_else(|| plan.demote())
}

struct Plan<'a> {
    members: &'a BTreeMap<NodeId, Arc<Member>>,
    raft: &'a RaftPicture,
    heard_age_ms: &'a BTreeMap<NodeId, u64>,
}

impl Plan<'_> {
    fn is_live(&self, id: NodeId) -> bool {
        id == self.raft.me || self.heard_age_ms.get(&id).is_some_and(|age| *age < HEARD_LIMIT_MS)
    }

    fn in_raft(&self, id: NodeId) -> bool {
        self.raft.voters.contains(&id) || self.raft.learners.contains(&id)
    }

    /// A set of voters is safe if a majority of it lives.
    fn is_safe(&self, voters: &BTreeSet<NodeId>) -> bool {
        let live = voters.iter().filter(|id| self.is_live(**id)).count();
        live >= survival(voters.len(), live).quorum
    }

    fn readdress(&self) -> Option<Step> {
        self.members.values().filter(|m| self.in_raft(m.id)).find_map(|member| {
            let addr = member.peer_urls.first()?;
            (self.raft.addresses.get(&member.id) != Some(addr))
                .then(|| Step::SetLearner { id: member.id, addr: addr.clone() })
        })
    }

    fn remove_learners(&self) -> Option<Step> {
        let is_gone = |id: &NodeId| !self.members.contains_key(id) && !self.raft.voters.contains(id);
        let gone: Vec<NodeId> = self.raft.learners.iter().copied().filter(is_gone).collect();
        (!gone.is_empty()).then_some(Step::RemoveLearners(gone))
    }

    /// Removes one voter that is no member any more: the dead first, this node last.
    fn remove_voters(&self) -> Option<Step> {
        let mut gone: Vec<NodeId> =
            self.raft.voters.iter().copied().filter(|id| !self.members.contains_key(id)).collect();
        gone.sort_by_key(|id| (*id == self.raft.me, self.is_live(*id), *id));
        gone.into_iter().find_map(|id| {
            let rest: BTreeSet<NodeId> = self.raft.voters.iter().copied().filter(|v| *v != id).collect();
            (!rest.is_empty() && self.is_safe(&rest)).then(|| Step::SetVoters(rest.into_iter().collect()))
        })
    }

    /// Members count once they have started: one that was only announced must not cost the quorum.
    fn add_learner(&self) -> Option<Step> {
        self.members
            .values()
            .filter(|m| !self.in_raft(m.id))
            .filter(|m| !m.client_urls.is_empty() || self.heard_age_ms.contains_key(&m.id))
            .find_map(|m| Some(Step::SetLearner { id: m.id, addr: m.peer_urls.first()?.clone() }))
    }

    /// Learners that are to vote some day.
    fn candidates(&self) -> impl Iterator<Item = NodeId> {
        // Until it is known to have started it could be let in again under its id after its disk was lost, and a voter that
        // forgets what it acknowledged can cost a majority its memory.
        let may_vote = move |id: &NodeId| self.members.get(id).is_some_and(|m| !m.learner && m.started());
        let learners = self.raft.learners.iter().copied().filter(move |id| !self.raft.voters.contains(id));
        learners.filter(move |id| may_vote(id) && self.is_live(*id))
    }

    /// Those of them that have caught up.
    fn fit(&self) -> impl Iterator<Item = NodeId> {
        let caught_up = move |id: &NodeId| {
            let matched = self.raft.matched.get(id);
            matched.is_some_and(|m| self.raft.last_log_index.saturating_sub(*m) < CAUGHT_UP_ENTRIES)
        };
        self.candidates().filter(caught_up)
    }

    /// A change needs a majority of the voters before it, and of those after it.
    fn voters_if_safe(&self, voters: BTreeSet<NodeId>) -> Option<Step> {
        (self.is_safe(&self.voters()) && self.is_safe(&voters)).then(|| Step::SetVoters(voters.into_iter().collect()))
    }

    fn voters(&self) -> BTreeSet<NodeId> {
        self.raft.voters.iter().copied().collect()
    }

    /// Lets a learner vote in the place of a voter that is dead.
    fn replace_dead(&self) -> Option<Step> {
        let silent_ms = |id: &NodeId| self.heard_age_ms.get(id).copied().unwrap_or(self.raft.listened_ms);
        let is_dead = |id: &&NodeId| **id != self.raft.me && silent_ms(id) >= DEAD_AFTER_MS;
        let dead = self.raft.voters.iter().filter(|_| self.raft.autopilot).find(is_dead)?;
        let mut voters = self.voters();
        voters.insert(self.fit().next()?);
        voters.remove(dead);
        self.voters_if_safe(voters)
    }

    fn promote(&self) -> Option<Step> {
        let (count, fit) = (self.raft.voters.len(), self.fit().count());
        // Four bear no more deaths than three, and write more slowly: the fourth waits for the fifth.
        let together = if self.raft.autopilot && count > 2 && count % 2 == 1 { 2 } else { 1 };
        if count + together > MAX_VOTERS || fit < together {
            return None;
        }
        let mut voters = self.voters();
        voters.insert(self.fit().next()?);
        self.voters_if_safe(voters)
    }

    /// Lets one of an even number learn only: a silent one, or the last by id, unless another is on its way to vote.
    fn demote(&self) -> Option<Step> {
        let count = self.raft.voters.len();
        if !self.raft.autopilot || count <= 2 || count % 2 == 1 || self.candidates().next().is_some() {
            return None;
        }
        let others = self.raft.voters.iter().copied().filter(|id| *id != self.raft.me);
        let last = others.max_by_key(|id| (!self.is_live(*id), *id))?;
        let mut voters = self.voters();
        voters.remove(&last);
        self.voters_if_safe(voters)
    }
}

/// What a cluster can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survival {
    /// How many voters must be in reach.
    pub quorum: usize,
    /// How many more voters may be lost; 0 also where the quorum is lost already.
    pub can_lose: usize,
}

/// What a cluster of so many voters, so many of them in reach, can bear.
#[must_use]
pub fn survival(voters: usize, reachable: usize) -> Survival {
    let quorum = voters / 2 + 1;
    Survival { quorum, can_lose: reachable.min(voters).saturating_sub(quorum) }
}

/// [`survival`] of these voters with those nodes in reach.
#[must_use]
pub fn survives(voters: &[NodeId], reachable: &BTreeSet<NodeId>) -> Survival {
    survival(voters.len(), voters.iter().filter(|id| reachable.contains(id)).count())
}

#[cfg(test)]
mod tests;
