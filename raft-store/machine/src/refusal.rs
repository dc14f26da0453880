//! Why a command was refused. The texts are etcd's where etcd has one (clients compare them).

use serde::{Deserialize, Serialize};

use crate::Revision;

/// A refused command: it changed nothing. See etcd's `rpctypes/error.go` for the texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// INVALID_ARGUMENT
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// INVALID_ARGUMENT
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// INVALID_ARGUMENT
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// INVALID_ARGUMENT
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// INVALID_ARGUMENT
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// INVALID_ARGUMENT
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// OUT_OF_RANGE
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The oldest revision that can still be read.
        compact_revision: Revision,
    },
    /// OUT_OF_RANGE
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// NOT_FOUND
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// FAILED_PRECONDITION
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// OUT_OF_RANGE
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// NOT_FOUND
    #[error("etcdserver: member not found")]
    MemberNotFound,
    /// FAILED_PRECONDITION
    #[error("etcdserver: Peer URLs already exists")]
    PeerUrlsExist,
    /// INVALID_ARGUMENT
    #[error("etcdserver: given member URLs are invalid")]
    BadPeerUrls,
    /// FAILED_PRECONDITION; ours: etcd allows equal names.
    #[error("a member named {name} exists already; choose another --name")]
    MemberNameExists {
        /// The name.
        name: String,
    },
    /// INVALID_ARGUMENT; a write below `autoradio/` that the validator refused.
    #[error("{key}: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// What is wrong and what is right.
        reason: String,
    },
    /// FAILED_PRECONDITION
    #[error("the cluster has been initialised already")]
    AlreadyInitialised,
    /// RESOURCE_EXHAUSTED
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// FAILED_PRECONDITION; etcd's `--experimental-max-learners` is 1.
    #[error("etcdserver: too many learner members in cluster")]
    TooManyLearners,
    /// UNKNOWN, as etcd sends it; also where no member would be left that has started.
    #[error("etcdserver: re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// INTERNAL: who asked for a read-only transaction looked wrongly.
    #[error("the transaction writes, and was to be read only")]
    NotReadOnly,
    /// DATA_LOSS; while a CORRUPT alarm stands.
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
    /// FAILED_PRECONDITION, ours.
    #[error(transparent)]
    Trust(crate::TrustRefusal),
}
