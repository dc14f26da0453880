//! Source leases, kept under `autoradio/origins/PATH` and hung on the holder's lease.

use serde::{Deserialize, Serialize};

use crate::NodeId;

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
