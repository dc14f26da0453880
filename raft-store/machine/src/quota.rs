//! How large the store is, and what may still be added (etcd's `storage/quota.go`). Pure: the quota is each node's own,
//! so that it is asked of before a command is proposed; what all nodes must agree on is the alarm.

use crate::{AlarmKind, Command, Machine, Op, PutRequest, TxnRequest, alarm};

/// What each version of a key counts besides its bytes (etcd's `kvOverhead`): near what it takes in memory.
pub(crate) const VERSION_BYTES: u64 = 256;
/// What a lease counts (etcd's `leaseOverhead`).
pub(crate) const LEASE_BYTES: u64 = 64;

/// etcd's default quota: 2 GiB.
pub const QUOTA_DEFAULT_BYTES: u64 = 2 << 30;

/// What the cluster's own keys (mounts, members, source leases) may take beyond the quota, which others have filled:
/// fifty nodes and a thousand mounts take less than a hundredth of it.
pub const OWN_RESERVE_BYTES: u64 = 64 << 20;

/// How large the store is, as counted for the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// All versions that are kept, and leases.
    pub bytes: u64,
    /// What would be left if all history were compacted.
    pub live_bytes: u64,
}

/// Whether a command may be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admitted,
    /// It is refused for want of space.
    Refused,
    /// It is refused, and is the first: NOSPACE is to be raised.
    RaiseAlarm,
}

impl Machine {
    /// How large the store is.
    #[must_use]
    pub fn size(&self) -> StoreSize {
        let leases = LEASE_BYTES * self.leases.len() as u64;
        StoreSize { bytes: self.store.bytes() + leases, live_bytes: self.store.live_bytes() + leases }
    }

    /// Whether `command` may be proposed at a node with this quota.
    #[must_use]
    pub fn admit(&self, command: &Command, quota_bytes: u64) -> Admission {
        let cost = cost(command);
        // What adds nothing is let through however full the store is: it may be what makes space.
        if cost == 0 {
            return Admission::Admitted;
        }
        let own = alarm::is_own(command);
        let most = if own { quota_bytes.saturating_add(OWN_RESERVE_BYTES) } else { quota_bytes };
        match (self.size().bytes.saturating_add(cost) < most, own) {
            (true, _) => Admission::Admitted,
            (false, true) => Admission::Refused,
            (false, false) if self.is_alarmed(AlarmKind::NoSpace) => Admission::Refused,
            (false, false) => Admission::RaiseAlarm,
        }
    }
}

/// What a command adds at most.
pub(crate) fn cost(command: &Command) -> u64 {
    match command {
        Command::Put(put) => of_put(put),
        Command::Txn(txn) => of_txn(txn),
        Command::LeaseGrant { .. } | Command::NodeLease { .. } => LEASE_BYTES,
        _ => 0,
    }
}

fn of_put(put: &PutRequest) -> u64 {
    VERSION_BYTES + (put.key.len() + put.value.len()) as u64
}

fn of_txn(txn: &TxnRequest) -> u64 {
    let sum = |ops: &[Op]| -> u64 {
        let cost = |op: &Op| match op {
            Op::Put(put) => of_put(put),
            Op::Txn(inner) => of_txn(inner),
            Op::Range(_) | Op::Delete(_) => 0,
        };
        ops.iter().map(cost).sum()
    };
    sum(&txn.success).max(sum(&txn.failure))
}
