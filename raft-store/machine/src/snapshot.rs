//! The state as bytes: a format version, a postcard body, a checksum.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Alarm, ClusterId, LeaseId, Machine, NodeId, Revision,
    mvcc::{Mvcc, Version},
};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u8 = 3;
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

/// What every format has.
#[derive(Serialize, Deserialize)]
struct Body {
    cluster_id: Option<ClusterId>,
    current: Revision,
    compacted: Revision,
    keys: BTreeMap<Bytes, Vec<Version>>,
    leases: Vec<(LeaseId, i64)>,
    removed: BTreeSet<NodeId>,
}

/// What follows it from format 2 on. Fields are added at the end only, and with a new format.
#[derive(Default, Serialize, Deserialize)]
struct Since2 {
    alarms: BTreeSet<Alarm>,
}

/// What came with format 3.
#[derive(Default, Serialize, Deserialize)]
struct Since3 {
    trust: crate::Trust,
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
        const PLAIN: &str = "the state is plain data, which postcard always encodes";
        let since2 = Since2 { alarms: self.alarms.clone() };
        let bytes = postcard::to_extend(&body, vec![FORMAT]).expect(PLAIN);
        let bytes = postcard::to_extend(&since2, bytes).expect(PLAIN);
        let since3 = Since3 { trust: self.trust.clone() };
        let mut bytes = postcard::to_extend(&since3, bytes).expect(PLAIN);
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
        let format = match rest.first() {
            Some(&found) if (1..=FORMAT).contains(&found) => found,
            Some(&found) if found > FORMAT => return Err(SnapshotError::Newer { found, known: FORMAT }),
            _ => return Err(damaged("it has no format version")),
        };
        if crc32c::crc32c(rest) != u32::from_be_bytes(*checksum) {
            return Err(damaged("its checksum is wrong"));
        }
        let unread = |e: postcard::Error| SnapshotError::Damaged(e.to_string());
        let (body, rest) = postcard::take_from_bytes::<Body>(&rest[1..]).map_err(unread)?;
        let (since2, rest) =
            if format >= 2 { postcard::take_from_bytes(rest).map_err(unread)? } else { (Since2::default(), rest) };
        let since3 = if format >= 3 { postcard::from_bytes(rest).map_err(unread)? } else { Since3::default() };
        let store = Mvcc::from_parts(body.keys, body.current, body.compacted);
        Ok(Self::from_parts(store, body.cluster_id, body.leases, body.removed, since2.alarms, since3.trust))
    }
}
