//! etcd's requests as the machine's.

use autoradio_machine::{
    Compare, CompareResult, CompareTarget, DeleteRequest, Op, PutRequest, RangeRequest, SortOrder, SortTarget,
    TxnRequest,
};
use autoradio_proto::etcd::etcdserverpb::{
    self as pb, compare, compare::TargetUnion, range_request, request_op::Request,
};

use super::{error::EtcdError, limits::TXN_DEPTH_MAX};

/// A range. Real etcd crashes on targets it does not know; they are refused here.
pub(super) fn range(request: pb::RangeRequest) -> Result<RangeRequest, EtcdError> {
    use range_request::{SortOrder as Order, SortTarget as Target};
    let sort_order = match Order::try_from(request.sort_order) {
        Ok(Order::None) => SortOrder::None,
        Ok(Order::Ascend) => SortOrder::Ascend,
        Ok(Order::Descend) => SortOrder::Descend,
        Err(_) => return Err(EtcdError::InvalidSortOption),
    };
    let sort_target = match Target::try_from(request.sort_target) {
        Ok(Target::Key) => SortTarget::Key,
        Ok(Target::Version) => SortTarget::Version,
        Ok(Target::Create) => SortTarget::Create,
        Ok(Target::Mod) => SortTarget::Mod,
        Ok(Target::Value) => SortTarget::Value,
        Err(_) => return Err(EtcdError::InvalidSortOption),
    };
    Ok(RangeRequest {
        key: request.key,
        range_end: request.range_end,
        limit: request.limit,
        revision: request.revision,
        sort_order,
        sort_target,
        keys_only: request.keys_only,
        count_only: request.count_only,
        min_mod_revision: request.min_mod_revision,
        max_mod_revision: request.max_mod_revision,
        min_create_revision: request.min_create_revision,
        max_create_revision: request.max_create_revision,
    })
}

/// A put.
pub(super) fn put(request: pb::PutRequest) -> PutRequest {
    PutRequest {
        key: request.key,
        value: request.value,
        lease: request.lease,
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

/// A delete.
pub(super) fn delete(request: pb::DeleteRangeRequest) -> DeleteRequest {
    DeleteRequest { key: request.key, range_end: request.range_end, prev_kv: request.prev_kv }
}

/// A transaction.
pub(super) fn txn(request: pb::TxnRequest) -> Result<TxnRequest, EtcdError> {
    txn_within(request, TXN_DEPTH_MAX)
}

fn txn_within(request: pb::TxnRequest, depth: usize) -> Result<TxnRequest, EtcdError> {
    let depth = depth.checked_sub(1).ok_or(EtcdError::TxnTooDeep)?;
    let branch = |ops: Vec<pb::RequestOp>| ops.into_iter().map(|op| one_op(op, depth)).collect::<Result<Vec<_>, _>>();
    Ok(TxnRequest {
        compare: request.compare.into_iter().map(comparison).collect::<Result<_, _>>()?,
        success: branch(request.success)?,
        failure: branch(request.failure)?,
    })
}

fn one_op(op: pb::RequestOp, depth: usize) -> Result<Op, EtcdError> {
    Ok(match op.request {
        Some(Request::RequestRange(request)) => Op::Range(range(request)?),
        Some(Request::RequestPut(request)) => Op::Put(put(request)),
        Some(Request::RequestDeleteRange(request)) => Op::Delete(delete(request)),
        Some(Request::RequestTxn(request)) => Op::Txn(txn_within(request, depth)?),
        // etcd's `checkRequestOp`: nothing asked for is a key not given.
        None => return Err(EtcdError::EmptyKey),
    })
}

fn comparison(request: pb::Compare) -> Result<Compare, EtcdError> {
    use compare::{CompareResult as Res, CompareTarget as Target};
    let result = match Res::try_from(request.result) {
        Ok(Res::Equal) => CompareResult::Equal,
        Ok(Res::Greater) => CompareResult::Greater,
        Ok(Res::Less) => CompareResult::Less,
        Ok(Res::NotEqual) => CompareResult::NotEqual,
        Err(_) => return Err(EtcdError::UnknownOption),
    };
    // As in etcd, the target says what is compared, and a union that does not go with it counts as zero.
    let union = request.target_union;
    let number = |wanted: Target| match (wanted, &union) {
        (Target::Version, Some(TargetUnion::Version(n)))
        | (Target::Create, Some(TargetUnion::CreateRevision(n)))
        | (Target::Mod, Some(TargetUnion::ModRevision(n)))
        | (Target::Lease, Some(TargetUnion::Lease(n))) => *n,
        _ => 0,
    };
    let target = match Target::try_from(request.target) {
        Ok(Target::Version) => CompareTarget::Version(number(Target::Version)),
        Ok(Target::Create) => CompareTarget::Create(number(Target::Create)),
        Ok(Target::Mod) => CompareTarget::Mod(number(Target::Mod)),
        Ok(Target::Lease) => CompareTarget::Lease(number(Target::Lease)),
        Ok(Target::Value) => match union {
            Some(TargetUnion::Value(value)) => CompareTarget::Value(value),
            _ => CompareTarget::Value(bytes::Bytes::new()),
        },
        Err(_) => return Err(EtcdError::UnknownOption),
    };
    Ok(Compare { key: request.key, range_end: request.range_end, result, target })
}

/// Whether a transaction cannot write, whichever way it goes, and whether it may read what this node has as it is.
pub(super) fn reads_only(request: &pb::TxnRequest) -> Option<Serializable> {
    let mut serializable = true;
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) => serializable &= range.serializable,
            Some(Request::RequestTxn(inner)) => serializable &= reads_only(inner)?.0,
            _ => return None,
        }
    }
    Some(Serializable(serializable))
}

/// Whether a read may be answered without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serializable(pub(super) bool);
