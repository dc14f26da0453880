//! Source leases, kept under `autoradio/origins/PATH` and hung on the holder's lease.

use serde::{Deserialize, Serialize};

use bytes::Bytes;

use crate::{
    Compare, CompareResult, CompareTarget, DeleteRequest, LeaseId, MountName, NodeId, Op, PutRequest, RangeRequest,
    Revision, TxnRequest,
};

/// Who holds a mount's source lease. Its epoch is the mod revision of its key, and not in the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The node that the source is connected to, hex in JSON.
    #[serde(with = "crate::hex_serde")]
    pub node: NodeId,
    /// The source's MIME type.
    pub content_type: String,
    /// The source's address.
    pub source: String,
    /// The source's `User-Agent`.
    #[serde(default)]
    pub user_agent: String,
    /// What the source says of itself (`ice-name` and the like), lower-case names without the prefix.
    #[serde(default)]
    pub ice: std::collections::BTreeMap<String, String>,
}

/// Keys of source leases are this and the mount's name.
pub const ORIGINS_PREFIX: &str = "autoradio/origins";

/// What a source says of itself is kept for status pages and headers, not for its own sake.
const ORIGIN_BYTES_MAX: usize = 8_192;

/// The key of a mount's source lease.
#[must_use]
pub fn origin_key(mount: &MountName) -> Bytes {
    Bytes::from(format!("{ORIGINS_PREFIX}{mount}"))
}

impl Origin {
    /// The origin as it is stored.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("an origin is plain data").into()
    }

    /// A stored origin.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        if json.len() > ORIGIN_BYTES_MAX {
            return Err(format!("is {} bytes long; at most {ORIGIN_BYTES_MAX} are possible", json.len()));
        }
        serde_json::from_slice(json).map_err(|e| format!("is not an origin's JSON: {e}"))
    }
}

/// Claims a mount's source lease if its key still has the revision that the claimant saw (0: no claim).
/// The revision of the put is the epoch. Where the key has another revision, the answer holds the present claim.
#[must_use]
pub fn claim_origin(mount: &MountName, expected_mod_revision: Revision, origin: &Origin, lease: LeaseId) -> TxnRequest {
    let key = origin_key(mount);
    TxnRequest {
        compare: vec![unchanged(key.clone(), expected_mod_revision)],
        success: vec![Op::Put(PutRequest {
            key: key.clone(),
            value: origin.to_json(),
            lease,
            ..PutRequest::default()
        })],
        failure: vec![Op::Range(RangeRequest { key, ..RangeRequest::default() })],
    }
}

/// Gives a source lease back, if it is still the one of this epoch.
#[must_use]
pub fn release_origin(mount: &MountName, epoch: u64) -> TxnRequest {
    let key = origin_key(mount);
    let revision = Revision::try_from(epoch).unwrap_or(Revision::MAX);
    TxnRequest {
        compare: vec![unchanged(key.clone(), revision)],
        success: vec![Op::Delete(DeleteRequest { key, ..DeleteRequest::default() })],
        failure: Vec::new(),
    }
}

fn unchanged(key: Bytes, revision: Revision) -> Compare {
    Compare { key, range_end: Bytes::new(), result: CompareResult::Equal, target: CompareTarget::Mod(revision) }
}
