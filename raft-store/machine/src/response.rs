//! What the machine answers.

use serde::{Deserialize, Serialize};

use crate::{Alarm, Event, KeyValue, LeaseId, Member, RangeResponse, Refusal, Revision};

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Done; nothing more to say (Init, Compact, LeaseRevoke).
    Done,
    /// A put's answer: the pair before, if asked for.
    Put {
        /// The pair before.
        prev_kv: Option<KeyValue>,
    },
    /// A delete's answer.
    Delete {
        /// How many keys were deleted.
        deleted: i64,
        /// The pairs before, if asked for.
        prev_kvs: Vec<KeyValue>,
    },
    /// A range inside a transaction.
    Range(RangeResponse),
    /// A transaction's answer.
    Txn {
        /// Whether the comparisons held.
        succeeded: bool,
        /// An answer for each operation carried out, in order.
        responses: Vec<Response>,
    },
    /// A lease was granted.
    Lease {
        /// Its id.
        id: LeaseId,
        /// Its time to live, in seconds.
        ttl_s: i64,
    },
    /// The member added, changed or removed.
    Member(Member),
    /// The alarm that was raised or disarmed; `None` where that changed nothing.
    Alarm(Option<Alarm>),
}

/// What applying one command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer; a refused command changed nothing.
    pub result: Result<Response, Refusal>,
    /// The store's revision after it.
    pub revision: Revision,
    /// What changed, in order. All events of one command have one mod revision.
    pub events: Vec<Event>,
}
