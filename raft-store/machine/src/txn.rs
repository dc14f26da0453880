//! What can be said of a transaction before it is carried out (etcd's `v3rpc/key.go` and `apply/txn`).

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{Compare, CompareResult, CompareTarget, KeyValue, Op, Refusal, TxnRequest, mvcc::Mvcc, span::Span};

/// Operations that a transaction may hold at each level (etcd's `--max-txn-ops`).
pub(crate) const MAX_OPS: usize = 128;

/// Refuses what etcd refuses before it looks at the store.
pub(crate) fn check(txn: &TxnRequest) -> Result<(), Refusal> {
    check_sizes(txn, MAX_OPS)?;
    check_intervals(&txn.success)?;
    check_intervals(&txn.failure)?;
    Ok(())
}

fn check_sizes(txn: &TxnRequest, left: usize) -> Result<(), Refusal> {
    let most = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    let left = left.checked_sub(most).ok_or(Refusal::TooManyOps)?;
    if txn.compare.iter().any(|c| c.key.is_empty()) {
        return Err(Refusal::EmptyKey);
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Range(r) if r.key.is_empty() => return Err(Refusal::EmptyKey),
            Op::Put(p) => check_put(p)?,
            Op::Delete(d) if d.key.is_empty() => return Err(Refusal::EmptyKey),
            Op::Txn(inner) => check_sizes(inner, left)?,
            Op::Range(_) | Op::Delete(_) => {}
        }
    }
    Ok(())
}

/// Refuses puts that contradict themselves.
pub(crate) fn check_put(put: &crate::PutRequest) -> Result<(), Refusal> {
    if put.key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    if put.ignore_value && !put.value.is_empty() {
        return Err(Refusal::ValueProvided);
    }
    if put.ignore_lease && put.lease != 0 {
        return Err(Refusal::LeaseProvided);
    }
    Ok(())
}

type Written<'a> = (BTreeSet<&'a Bytes>, Vec<Span<'a>>);

/// No key may be changed twice on one path (etcd's `checkIntervals`).
fn check_intervals(ops: &[Op]) -> Result<Written<'_>, Refusal> {
    let mut deletes: Vec<Span<'_>> = ops
        .iter()
        .filter_map(|op| match op {
            Op::Delete(d) => Some(Span { start: &d.key, end: &d.range_end }),
            _ => None,
        })
        .collect();
    let mut puts: BTreeSet<&Bytes> = BTreeSet::new();
    for op in ops {
        let Op::Txn(inner) = op else { continue };
        let (then_puts, then_deletes) = check_intervals(&inner.success)?;
        let (else_puts, else_deletes) = check_intervals(&inner.failure)?;
        // Only one of both branches is carried out: they may write the same keys.
        for key in then_puts.union(&else_puts) {
            if puts.contains(*key) || deletes.iter().any(|d| d.contains(key)) {
                return Err(Refusal::DuplicateKey);
            }
        }
        puts.extend(then_puts);
        puts.extend(else_puts);
        deletes.extend(then_deletes);
        deletes.extend(else_deletes);
    }
    for op in ops {
        let Op::Put(put) = op else { continue };
        if deletes.iter().any(|d| d.contains(&put.key)) || !puts.insert(&put.key) {
            return Err(Refusal::DuplicateKey);
        }
    }
    Ok((puts, deletes))
}

/// Whether a comparison holds for every key of its range.
pub(crate) fn holds(store: &Mvcc, compare: &Compare) -> bool {
    let span = Span { start: &compare.key, end: &compare.range_end };
    let mut any = false;
    for kv in store.newest(span) {
        any = true;
        if !holds_for(&kv, compare) {
            return false;
        }
    }
    // A key that does not exist compares as zeros, but never by value (etcd's `applyCompare`).
    any || (!matches!(compare.target, CompareTarget::Value(_)) && holds_for(&KeyValue::default(), compare))
}

fn holds_for(kv: &KeyValue, compare: &Compare) -> bool {
    let order = match &compare.target {
        CompareTarget::Version(n) => kv.version.cmp(n),
        CompareTarget::Create(n) => kv.create_revision.cmp(n),
        CompareTarget::Mod(n) => kv.mod_revision.cmp(n),
        CompareTarget::Lease(n) => kv.lease.cmp(n),
        CompareTarget::Value(value) => kv.value.cmp(value),
    };
    match compare.result {
        CompareResult::Equal => order.is_eq(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
        CompareResult::NotEqual => order.is_ne(),
    }
}
