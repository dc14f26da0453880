//! What can go wrong, and what to do about it.

use std::{path::PathBuf, time::Duration};

use autoradio_machine::{ClusterId, LogIndex, NodeId, Refusal};

/// Why a proposal or read was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The machine refused the command.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another node leads: ask there.
    #[error("this node does not lead")]
    NotLeader {
        /// Who leads, where known.
        leader: Option<NodeId>,
    },
    /// This node led, and no majority of the voters answers it: surely not carried out.
    #[error("no majority of the cluster can be reached; changes are refused until one is")]
    NoQuorum,
    /// No answer in time. A proposal may still be carried out later.
    #[error("not done within {0:?} (is a majority of the cluster in reach?); a change may or may not have been made")]
    Timeout(Duration),
    /// A command that no entry may carry.
    #[error("the change is {bytes} bytes long; at most {max} are possible")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// What is possible.
        max: usize,
    },
    /// There is no room on a disk that the change needs: surely not carried out.
    #[error("a disk is full: {0}; changes are refused until there is room, and go on by themselves then")]
    NoSpace(String),
    /// The membership change asked for cannot be made now.
    #[error("membership cannot be changed now: {0}")]
    Membership(String),
    /// Stopped.
    #[error("the consensus has stopped: {0}")]
    Stopped(String),
}

impl ConsensusError {
    /// The same for another who shared what failed. (Refusals are answered one by one and never shared.)
    #[must_use]
    pub fn copy(&self) -> Self {
        match self {
            Self::NotLeader { leader } => Self::NotLeader { leader: *leader },
            Self::NoQuorum => Self::NoQuorum,
            Self::Timeout(limit) => Self::Timeout(*limit),
            Self::NoSpace(why) => Self::NoSpace(why.clone()),
            other => Self::Stopped(other.to_string()),
        }
    }
}

/// Log, snapshots or identity could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{dir} is in use: another autoradio-node is running on it")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// Damaged: must not be rebuilt silently.
    #[error("{dir} is damaged ({reason}); remove this node from the cluster, move the folder away, and join anew")]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Damaged, and moved aside: what is left in its place is for another node.
    #[error(
        "{dir} was damaged ({reason}) and has been moved to {moved_to}; it must not run again as node {node_id:x}, which \
         may have forgotten what it promised. Remove that node from the cluster, on another node: radioctl node remove \
         {node_id:x} (or etcdctl member remove {node_id:x}); then join anew, here: autoradio-node join HOST"
    )]
    MovedAside {
        /// The folder.
        dir: PathBuf,
        /// Where what was in it is now.
        moved_to: PathBuf,
        /// What was found.
        reason: String,
        /// The node that it was.
        node_id: NodeId,
    },
    /// No snapshot can be read that the log follows; log and vote are whole.
    #[error(
        "{dir}: {reason}; other nodes were asked for a new one: {asked}. Start this node again when others run, and it is \
         fetched; a cluster that has no other node is restored from a backup"
    )]
    SnapshotLost {
        /// The folder.
        dir: PathBuf,
        /// What is wrong with those that are there.
        reason: String,
        /// From where on the log follows.
        at_least: LogIndex,
        /// What came of asking.
        asked: String,
    },
    /// Another node's.
    #[error("{dir} belongs to node {node_id:x} of cluster {cluster_id:x}, which is not this one; see --data-dir")]
    Foreign {
        /// The folder.
        dir: PathBuf,
        /// Whose it is.
        node_id: NodeId,
        /// Of which cluster.
        cluster_id: ClusterId,
    },
    /// Written by a newer program.
    #[error("{dir} has format {found}, this program reads up to {known}; upgrade autoradio")]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// The format found.
        found: u8,
        /// The newest known.
        known: u8,
    },
    /// The system's error.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}
