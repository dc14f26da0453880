//! What can be read of the machine; nothing here changes it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::{
    Alarm, Catalog, ClusterId, Event, LeaseId, LeaseInfo, Machine, NodeId, Op, RangeRequest, RangeResponse, Refusal,
    Response, Revision, TxnRequest,
    machine::{Lease, branch},
    mvcc::Mvcc,
    span::Span,
    txn,
};

impl Machine {
    pub(crate) fn from_parts(
        store: Mvcc,
        cluster_id: Option<ClusterId>,
        ttls: Vec<(LeaseId, i64)>,
        removed: BTreeSet<NodeId>,
        alarms: BTreeSet<Alarm>,
        trust: crate::Trust,
    ) -> Self {
        let mut leases: BTreeMap<_, _> =
            ttls.into_iter().map(|(id, ttl_s)| (id, Lease { ttl_s, keys: BTreeSet::new() })).collect();
        for kv in store.newest(Span { start: b"", end: b"\0" }) {
            if let Some(lease) = leases.get_mut(&kv.lease) {
                lease.keys.insert(kv.key);
            }
        }
        let mut catalog = Catalog::default();
        catalog.read(&store);
        Self { store, cluster_id, leases, removed, catalog, alarms, trust }
    }

    /// Reads a range.
    ///
    /// # Errors
    /// `Compacted`, `FutureRevision`, `EmptyKey`.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        self.store.range(request)
    }

    /// The events of keys in `[key, range_end)` from `from` (a revision) on, oldest first, each with `prev_kv`
    /// where that is not compacted; at most `limit` revisions' worth (0: all), never cutting a revision in two.
    ///
    /// # Errors
    /// `Compacted` where `from` is older than what is kept.
    pub fn history(&self, key: &[u8], range_end: &[u8], from: Revision, limit: usize) -> Result<Vec<Event>, Refusal> {
        self.store.history(Span { start: key, end: range_end }, from, Revision::MAX, limit)
    }

    /// The events of keys in `[key, range_end)` from revision `from` up to `through`, oldest first: a bounded piece
    /// of [`Machine::history`] for who must not hold the machine long.
    ///
    /// # Errors
    /// `Compacted` where `from` is older than what is kept.
    pub fn history_window(
        &self,
        key: &[u8],
        range_end: &[u8],
        from: Revision,
        through: Revision,
    ) -> Result<Vec<Event>, Refusal> {
        self.store.history(Span { start: key, end: range_end }, from, through, 0)
    }

    /// Carries out a transaction that only reads, on the state as it is; it needs no entry in the log (as etcd's
    /// `isTxnReadonly`). A transaction that writes on the path taken is refused.
    ///
    /// # Errors
    /// As for the command.
    pub fn read_txn(&self, request: &TxnRequest) -> Result<Response, Refusal> {
        txn::check(request)?;
        let paths = self.paths(request);
        self.check_ranges(request, &mut paths.iter().copied())?;
        self.read_path(request, &mut paths.into_iter())
    }

    fn read_path(&self, request: &TxnRequest, paths: &mut dyn Iterator<Item = bool>) -> Result<Response, Refusal> {
        let succeeded = paths.next().unwrap_or(false);
        let mut responses = Vec::new();
        for op in branch(request, succeeded) {
            responses.push(match op {
                Op::Range(range) => Response::Range(self.store.range(range)?),
                Op::Txn(inner) => self.read_path(inner, paths)?,
                Op::Put(_) | Op::Delete(_) => return Err(Refusal::NotReadOnly),
            });
        }
        Ok(Response::Txn { succeeded, responses })
    }

    /// One lease, or `None` where there is no such lease.
    #[must_use]
    pub fn lease(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.leases.get(&id).map(|lease| LeaseInfo { id, ttl_s: lease.ttl_s })
    }

    /// The newest revision; 1 for an empty store, as in etcd.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.store.current()
    }

    /// The revision up to which history was compacted; -1 for never.
    #[must_use]
    pub fn compacted_revision(&self) -> Revision {
        self.store.compacted()
    }

    /// The cluster's id, once `Init` was applied.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// All leases, by id.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseInfo> {
        self.leases.iter().map(|(id, lease)| LeaseInfo { id: *id, ttl_s: lease.ttl_s }).collect()
    }

    /// The keys that hang on a lease, or `None` where there is no such lease.
    #[must_use]
    pub fn lease_keys(&self, id: LeaseId) -> Option<Vec<Bytes>> {
        self.leases.get(&id).map(|lease| lease.keys.iter().cloned().collect())
    }

    /// Whether a node was a member once and was removed.
    #[must_use]
    pub fn was_removed(&self, id: NodeId) -> bool {
        self.removed.contains(&id)
    }

    /// Mounts, members and origins as typed maps; cheap: shared, and made anew only where something changed.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        self.catalog.clone()
    }

    /// A checksum over the whole key-value history up to `revision` (0: the newest), equal on all members
    /// (etcd's HashKV).
    ///
    /// # Errors
    /// `Compacted`, `FutureRevision`.
    pub fn hash(&self, revision: Revision) -> Result<u32, Refusal> {
        self.store.hash(revision)
    }
}
