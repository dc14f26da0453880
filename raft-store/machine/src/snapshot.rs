//! The state as bytes: a format version, a postcard body, a checksum.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    ClusterId, LeaseId, Machine, NodeId, Revision,
    mvcc::{Mvcc, Version},
};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u8 = 2;
/// Before there was anything about trust.
const FORMAT_WITHOUT_TRUST: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// A snapshot that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Written by a newer program.
    #[error("the snapshot has format {found}, this program reads up to {known}; upgrade autoradio first")]
    Newer {
        /// The format found.
        found: u8,
        /// The newest format known.
        known: u8,
    },
    /// Damaged.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
}

/// Fields are added at the end only, and with a new format.
#[derive(Serialize, Deserialize)]
struct Body {
    cluster_id: Option<ClusterId>,
    current: Revision,
    compacted: Revision,
    keys: BTreeMap<Bytes, Vec<Version>>,
    leases: Vec<(LeaseId, i64)>,
    removed: BTreeSet<NodeId>,
}

impl Machine {
    /// The state as bytes: a format version first, a checksum last.
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        let body = Body {
            cluster_id: self.cluster_id,
            current: self.store.current(),
            compacted: self.store.compacted(),
            keys: self.store.keys().clone(),
            leases: self.leases.iter().map(|(id, lease)| (*id, lease.ttl_s)).collect(),
            removed: self.removed.clone(),
        };
        let plain = "the state is plain data, which postcard always encodes";
        let bytes = postcard::to_extend(&body, vec![FORMAT]).expect(plain);
        let mut bytes = postcard::to_extend(&self.trust, bytes).expect(plain);
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        bytes
    }

    /// The state from [`Machine::to_snapshot`]'s bytes.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let damaged = |what: &str| SnapshotError::Damaged(what.to_owned());
        let (rest, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("it is cut off"))?;
        match rest.first() {
            Some(&(FORMAT | FORMAT_WITHOUT_TRUST)) => {}
            Some(&found) if found > FORMAT => return Err(SnapshotError::Newer { found, known: FORMAT }),
            _ => return Err(damaged("it has no format version")),
        }
        if crc32c::crc32c(rest) != u32::from_be_bytes(*checksum) {
            return Err(damaged("its checksum is wrong"));
        }
        let unreadable = |e: postcard::Error| SnapshotError::Damaged(e.to_string());
        let (body, more): (Body, _) = postcard::take_from_bytes(&rest[1..]).map_err(unreadable)?;
        let has_trust = rest[0] >= FORMAT;
        let trust = if has_trust { postcard::from_bytes(more).map_err(unreadable)? } else { crate::Trust::default() };
        let store = Mvcc::from_parts(body.keys, body.current, body.compacted);
        Ok(Self::from_parts(store, body.cluster_id, body.leases, body.removed, trust))
    }
}
