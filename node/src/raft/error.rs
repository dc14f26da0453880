//! Why a proposal or a read failed.

use autoradio_machine::NodeId;
use autoradio_store::ConsensusError;

/// Why a proposal or read failed, on whatever node it was carried out.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The machine or the consensus said no.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// There is no leader within the time limit: no majority is in reach.
    #[error("no majority of the cluster can be reached; changes are refused until one is")]
    NoLeader,
    /// The leader was cut off, and another leads now.
    #[error("the leader was replaced before it answered; the change may or may not have been made")]
    LeaderReplaced,
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked now; try again in a moment")]
    Busy,
    /// The leader could not be asked, or broke off: a proposal may have been carried out all the same.
    #[error("the leader {leader:x} could not be asked: {reason}")]
    Forward {
        /// The leader.
        leader: NodeId,
        /// Why.
        reason: String,
    },
}

impl RaftError {
    /// The same for another who shared what failed.
    #[must_use]
    pub fn copy(&self) -> Self {
        match self {
            Self::Consensus(error) => Self::Consensus(error.copy()),
            Self::NoLeader => Self::NoLeader,
            Self::LeaderReplaced => Self::LeaderReplaced,
            Self::Busy => Self::Busy,
            Self::Forward { leader, reason } => Self::Forward { leader: *leader, reason: reason.clone() },
        }
    }

    /// The machine's refusal, if that is what this is.
    #[must_use]
    pub fn refusal(&self) -> Option<&autoradio_machine::Refusal> {
        match self {
            Self::Consensus(ConsensusError::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }
}
