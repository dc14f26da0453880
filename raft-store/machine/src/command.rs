//! What can be asked of the machine: the commands of log entries, and reads.
//! Field for field these are etcd's `etcdserverpb` requests, so that the etcd API is a mapping and no more.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Alarm, ClusterId, KeyValue, LeaseId, Member, NodeId, Revision};

/// A command of one log entry.
///
/// New variants are added at the end only: entries are encoded by position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The first command of a cluster: its identity and its first members.
    Init(InitRequest),
    /// Put one key.
    Put(PutRequest),
    /// Delete a key or a range.
    Delete(DeleteRequest),
    /// Compare, then one of two lists of operations.
    Txn(TxnRequest),
    /// Forget history before a revision.
    Compact {
        /// The revision up to which history is dropped.
        revision: Revision,
    },
    /// Grant a lease; `id` 0 asks the machine to choose one.
    LeaseGrant {
        /// The wanted id, or 0.
        id: LeaseId,
        /// Time to live, in seconds.
        ttl_s: i64,
    },
    /// Revoke a lease and delete the keys that hang on it.
    LeaseRevoke {
        /// The lease.
        id: LeaseId,
    },
    /// Add a member; the machine gives it its id from the cluster id and the log index.
    MemberAdd(MemberAdd),
    /// Replace what a member says of itself.
    MemberUpdate(MemberUpdate),
    /// Remove a member; its id is never given again.
    MemberRemove {
        /// The member.
        id: NodeId,
    },
    /// Raise or disarm an alarm.
    Alarm {
        /// Which.
        alarm: Alarm,
        /// Whether it is raised.
        active: bool,
    },
    /// Grant a node's own lease, on which its source leases hang: also where the store is full.
    NodeLease {
        /// Time to live, in seconds.
        ttl_s: i64,
    },
    /// Join tokens, and the change to TLS.
    Trust(crate::TrustCommand),
}

/// The birth of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitRequest {
    /// The new cluster's id.
    pub cluster_id: ClusterId,
    /// Its first members, with their ids.
    pub members: Vec<Member>,
}

/// A member to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAdd {
    /// Name; empty for a member that was only announced by its peer URLs.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Whether it must stay a learner until promoted by hand.
    pub learner: bool,
}

/// What a member says of itself when it starts or changes. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberUpdate {
    /// The member.
    pub id: NodeId,
    /// Its name.
    pub name: Option<String>,
    /// Where its peers reach it.
    pub peer_urls: Option<Vec<String>>,
    /// Where etcd's clients reach it; not empty means that it has started.
    pub client_urls: Option<Vec<String>>,
    /// What it offers to the public.
    pub public: Option<crate::PublicFace>,
    /// Whether it is being drained.
    pub drained: Option<bool>,
    /// Whether it must stay a learner until promoted by hand.
    pub learner: Option<bool>,
}

/// etcd's `PutRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRequest {
    /// The key; not empty.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// Lease to hang the key on; 0 for none.
    pub lease: LeaseId,
    /// Return the pair before.
    pub prev_kv: bool,
    /// Keep the present value.
    pub ignore_value: bool,
    /// Keep the present lease.
    pub ignore_lease: bool,
}

/// etcd's `DeleteRangeRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRequest {
    /// The first key.
    pub key: Bytes,
    /// Empty: just `key`. A single zero byte: all keys from `key` on. Else the end, not included.
    pub range_end: Bytes,
    /// Return the pairs before.
    pub prev_kv: bool,
}

/// Order of a range's result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortOrder {
    /// As stored: by key.
    #[default]
    None,
    /// Ascending.
    Ascend,
    /// Descending.
    Descend,
}

/// What a range's result is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortTarget {
    /// The key.
    #[default]
    Key,
    /// The version.
    Version,
    /// The create revision.
    Create,
    /// The mod revision.
    Mod,
    /// The value.
    Value,
}

/// etcd's `RangeRequest`, less `serializable`, which is decided before the machine is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRequest {
    /// The first key.
    pub key: Bytes,
    /// As in [`DeleteRequest::range_end`].
    pub range_end: Bytes,
    /// At most so many pairs; 0 for all.
    pub limit: i64,
    /// Read at this revision; 0 or less for the newest.
    pub revision: Revision,
    /// Order.
    pub sort_order: SortOrder,
    /// What the order is of.
    pub sort_target: SortTarget,
    /// Leave values out.
    pub keys_only: bool,
    /// Only count.
    pub count_only: bool,
    /// Only pairs with at least this mod revision; 0 for no bound.
    pub min_mod_revision: Revision,
    /// Only pairs with at most this mod revision; 0 for no bound.
    pub max_mod_revision: Revision,
    /// Only pairs with at least this create revision; 0 for no bound.
    pub min_create_revision: Revision,
    /// Only pairs with at most this create revision; 0 for no bound.
    pub max_create_revision: Revision,
}

/// The result of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeResponse {
    /// The pairs.
    pub kvs: Vec<KeyValue>,
    /// Whether `limit` cut pairs off.
    pub more: bool,
    /// How many keys the range holds, whatever the limit.
    pub count: i64,
}

/// How a comparison compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareResult {
    /// `==`
    Equal,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `!=`
    NotEqual,
}

/// What a comparison compares, with the value to compare to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareTarget {
    /// The version.
    Version(i64),
    /// The create revision (0: the key does not exist).
    Create(Revision),
    /// The mod revision.
    Mod(Revision),
    /// The value.
    Value(Bytes),
    /// The lease.
    Lease(LeaseId),
}

/// etcd's `Compare`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// The first key.
    pub key: Bytes,
    /// As in [`DeleteRequest::range_end`]: the comparison must hold for every key of the range.
    pub range_end: Bytes,
    /// How.
    pub result: CompareResult,
    /// What.
    pub target: CompareTarget,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Read.
    Range(RangeRequest),
    /// Write.
    Put(PutRequest),
    /// Delete.
    Delete(DeleteRequest),
    /// A transaction inside.
    Txn(TxnRequest),
}

/// etcd's `TxnRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnRequest {
    /// All must hold for `success`, else `failure` is carried out.
    pub compare: Vec<Compare>,
    /// Carried out where all comparisons hold.
    pub success: Vec<Op>,
    /// Carried out where one does not.
    pub failure: Vec<Op>,
}
