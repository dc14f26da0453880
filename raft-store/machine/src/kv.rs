//! etcd's key-value pair and the events that changes to it cause (etcd's `mvccpb`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{LeaseId, Revision};

/// One version of one key (etcd's `mvccpb.KeyValue`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value; empty in delete events.
    pub value: Bytes,
    /// Revision at which the key was last created.
    pub create_revision: Revision,
    /// Revision of this version.
    pub mod_revision: Revision,
    /// 1 at creation, one more for each put since; 0 in delete events.
    pub version: i64,
    /// The lease the key hangs on; 0 for none.
    pub lease: LeaseId,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// Created or overwritten.
    Put,
    /// Deleted.
    Delete,
}

/// One change of one key, as watchers get it (etcd's `mvccpb.Event`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Put or delete.
    pub kind: EventKind,
    /// The pair after the change; for a delete only `key` and `mod_revision` are set.
    pub kv: KeyValue,
    /// The pair before the change, where there was one.
    pub prev_kv: Option<KeyValue>,
}
