//! `node`, `restore` and `raft`.

use autoradio_proto::keep as wire;
use serde::Serialize;

use super::Node;

/// `node list`.
#[derive(Debug, Serialize)]
pub(crate) struct Nodes {
    /// All nodes.
    pub(crate) nodes: Vec<Node>,
}

/// `node remove` and `node leave`.
#[derive(Debug, Serialize)]
pub(crate) struct Removed {
    /// Hexadecimal.
    removed_id: String,
    /// Its name.
    removed_name: String,
    /// How many vote without it.
    voters_left: u32,
}

impl From<wire::RemoveNodeReply> for Removed {
    fn from(reply: wire::RemoveNodeReply) -> Self {
        Self { removed_id: reply.id, removed_name: reply.name, voters_left: reply.voters_left }
    }
}

/// `restore`.
#[derive(Debug, Serialize)]
pub(crate) struct Restored {
    /// The new cluster's id, hexadecimal.
    cluster_id: String,
    /// This node's new id, hexadecimal.
    node_id: String,
    /// The store's revision.
    revision: i64,
    /// How many mounts there are.
    mounts: u32,
}

impl From<wire::RestoreReply> for Restored {
    fn from(reply: wire::RestoreReply) -> Self {
        let wire::RestoreReply { cluster_id, node_id, revision, mounts } = reply;
        Self { cluster_id, node_id, revision, mounts }
    }
}

/// `raft recover`.
#[derive(Debug, Serialize)]
pub(crate) struct Recovery {
    /// Whether it was done, and not only told.
    done: bool,
    /// The cluster that is given up, hexadecimal.
    cluster_id: String,
    /// This node's name.
    name: String,
    /// Who votes there.
    voters: Vec<Voter>,
    /// The last entry that this node has.
    last_index: u64,
    /// The store's revision here.
    revision: i64,
    /// Once it is done, hexadecimal.
    new_cluster_id: Option<String>,
    /// Once it is done, hexadecimal.
    new_node_id: Option<String>,
    /// Where what was there is kept.
    kept_in: Option<String>,
}

#[derive(Debug, Serialize)]
struct Voter {
    name: String,
    answers: bool,
    heard_ms: Option<u64>,
}

impl From<wire::RecoverReply> for Recovery {
    fn from(reply: wire::RecoverReply) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let voter = |voter: wire::Voter| Voter { name: voter.name, answers: voter.answers, heard_ms: voter.heard_ms };
        Self {
            done: reply.done,
            cluster_id: reply.cluster_id,
            name: reply.name,
            voters: reply.voters.into_iter().map(voter).collect(),
            last_index: reply.last_index,
            revision: reply.revision,
            new_cluster_id: some(reply.new_cluster_id),
            new_node_id: some(reply.new_node_id),
            kept_in: some(reply.kept_in),
        }
    }
}
