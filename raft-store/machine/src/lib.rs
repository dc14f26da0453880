//! The replicated state machine: etcd's MVCC with mounts, members and origins as keys in it.
//!
//! Pure: no clock, no randomness, no IO, no map order, no floats (ARCHITECTURE §5.6).

mod alarm;
mod audit;
mod auth;
mod catalog;
mod codec;
mod command;
mod ids;
mod kv;
mod machine;
mod member;
mod mount;
mod mvcc;
mod origin;
mod quota;
mod range;
mod reads;
mod reborn;
mod refusal;
mod response;
mod schema;
mod snapshot;
mod span;
mod trust;
mod txn;

pub use alarm::{Alarm, AlarmKind};
pub use audit::AuditEntry;
pub use auth::{
    Access, Asked, AuthCommand, AuthRefusal, AuthToken, Caller, Credentials, Permission, PermissionKind, ROOT,
    TOKEN_HASH_BYTES, TokenHash, User, Who,
};
pub use catalog::{Catalog, Claim};
pub use codec::{CodecError, hex_serde};
pub use command::{
    Command, Compare, CompareResult, CompareTarget, DeleteRequest, InitRequest, MemberAdd, MemberUpdate, Op,
    PutRequest, RangeRequest, RangeResponse, SortOrder, SortTarget, TxnRequest,
};
pub use ids::{ClusterId, LeaseId, LogIndex, NodeId, Revision, hex_id};
pub use kv::{Event, EventKind, KeyValue};
pub use machine::{LeaseInfo, Machine};
pub use member::{MEMBERS_PREFIX, Member, PublicFace};
pub use mount::{MOUNTS_PREFIX, Mount, MountName};
pub use origin::{ORIGINS_PREFIX, Origin, claim_origin, origin_key, release_origin};
pub use quota::{Admission, OWN_RESERVE_BYTES, QUOTA_DEFAULT_BYTES, StoreSize};
pub use refusal::Refusal;
pub use response::{Applied, Response};
pub use snapshot::SnapshotError;
pub use trust::{
    TOKEN_TTL_MAX_MS, TlsChange, Token, TokenId, TokenJoin, TokenState, Trust, TrustCommand, TrustRefusal,
};
