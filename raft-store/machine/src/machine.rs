//! The replicated state and its only way to change: [`Machine::apply`].

use crate::{
    Applied, Catalog, ClusterId, Command, Event, LeaseId, LogIndex, RangeRequest, RangeResponse, Refusal, Revision,
};

/// The whole replicated state. Deterministic: the same commands give the same state and answers everywhere.
#[derive(Debug, Default)]
pub struct Machine {}

/// A lease as the machine knows it; who counts its time is the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Its id.
    pub id: LeaseId,
    /// The time to live granted, in seconds.
    pub ttl_s: i64,
}

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

impl Machine {
    /// Applies the command of the entry at `index`. Never panics, whatever the command.
    pub fn apply(&mut self, _index: LogIndex, _command: &Command) -> Applied {
        unimplemented!()
    }

    /// Reads a range.
    ///
    /// # Errors
    /// `Compacted`, `FutureRevision`, `EmptyKey`.
    pub fn range(&self, _request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        unimplemented!()
    }

    /// The events of keys in `[key, range_end)` from `from` (a revision) on, oldest first, each with `prev_kv`
    /// where that is not compacted; at most `limit` revisions' worth, never cutting a revision in two.
    ///
    /// # Errors
    /// `Compacted` where `from` is older than what is kept.
    pub fn history(
        &self,
        _key: &[u8],
        _range_end: &[u8],
        _from: Revision,
        _limit: usize,
    ) -> Result<Vec<Event>, Refusal> {
        unimplemented!()
    }

    /// The newest revision; 1 for an empty store, as in etcd.
    #[must_use]
    pub fn revision(&self) -> Revision {
        unimplemented!()
    }

    /// The cluster's id, once `Init` was applied.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        unimplemented!()
    }

    /// All leases, by id.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseInfo> {
        unimplemented!()
    }

    /// The keys that hang on a lease, or `None` where there is no such lease.
    #[must_use]
    pub fn lease_keys(&self, _id: LeaseId) -> Option<Vec<bytes::Bytes>> {
        unimplemented!()
    }

    /// Mounts, members and origins as typed maps; cheap: shared, and made anew only where something changed.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        unimplemented!()
    }

    /// A checksum over the whole key-value history up to `revision`, equal on all members (etcd's HashKV).
    ///
    /// # Errors
    /// `Compacted`, `FutureRevision`.
    pub fn hash(&self, _revision: Revision) -> Result<u32, Refusal> {
        unimplemented!()
    }

    /// The state as bytes: a format version first, a checksum last.
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// The state from [`Machine::to_snapshot`]'s bytes.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn from_snapshot(_bytes: &[u8]) -> Result<Self, SnapshotError> {
        unimplemented!()
    }
}
