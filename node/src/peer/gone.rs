//! A member that was removed, and calls all the same: it is told so, and nothing else.

use autoradio_machine::{ClusterId, NodeId, hex_id};
use tonic::{Code, Status};

use crate::raft::RaftHandle;

/// etcd's words for it (`rafthttp`).
const REMOVED: &str = "the member has been permanently removed from the cluster";

/// Refuses a member that was removed, once the consensus knows it no more.
pub(super) fn refuse(raft: &RaftHandle, node: NodeId) -> Result<(), Status> {
    if raft.is_gone(node) { Err(status(node, raft.cluster_id())) } else { Ok(()) }
}

/// What a removed member is told.
fn status(node: NodeId, cluster: ClusterId) -> Status {
    Status::failed_precondition(format!("{REMOVED}: node {}, cluster {}", hex_id(node), hex_id(cluster)))
}

/// Whether it is what this node was told.
pub(super) fn is_told(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().starts_with(REMOVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_from_other_refusals() {
        assert!(is_told(&status(1, 2)));
        assert!(!is_told(&Status::failed_precondition("etcdserver: cluster ID mismatch")));
        assert!(!is_told(&Status::unavailable(REMOVED)));
    }
}
