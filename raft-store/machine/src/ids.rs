//! Numbers that name things in the cluster.

/// A node's number, 64 random-looking bits, never reused (a function of cluster id and log index).
/// Shown to people as 16 hex digits, as etcd does.
pub type NodeId = u64;

/// The number of a cluster; fixed for its life. Shown as 16 hex digits.
pub type ClusterId = u64;

/// etcd's store revision: 1 for an empty store, one more for each change that took effect.
pub type Revision = i64;

/// A lease's number, as in etcd: positive.
pub type LeaseId = i64;

/// The index of an entry in the replicated log.
pub type LogIndex = u64;

/// Shows a node or cluster id as people see it: lower-case hex without padding, as etcdctl prints it.
#[must_use]
pub fn hex_id(id: u64) -> String {
    format!("{id:x}")
}
