//! Changes to mounts: transactions on their keys, so that two administrators never overwrite each other unseen.

use autoradio_machine::{
    Command, Compare, CompareResult, CompareTarget, DeleteRequest, Mount, MountName, Op, PutRequest, RangeRequest,
    Response as Answer, Revision, TxnRequest,
};
use bytes::Bytes;
use tonic::Status;

use super::error::{from_raft, no_mount};
use crate::{caller::Asker, raft::RaftHandle};

/// How often a change is made anew when another one came between.
const TRIES: usize = 5;

fn compare(key: Bytes, result: CompareResult, target: CompareTarget) -> Compare {
    Compare { key, range_end: Bytes::new(), result, target }
}

fn put(name: &MountName, mount: &Mount) -> Op {
    Op::Put(PutRequest { key: name.key(), value: mount.to_json(), ..PutRequest::default() })
}

/// Whether the transaction's comparisons held.
async fn transact(raft: &RaftHandle, asker: &Asker, txn: TxnRequest) -> Result<bool, Status> {
    let proposed = raft.propose_as(asker, Command::Txn(txn)).await.map_err(|error| from_raft(&error))?;
    match proposed.response {
        Answer::Txn { succeeded, .. } => Ok(succeeded),
        other => Err(Status::internal(format!("a transaction was answered with {other:?}"))),
    }
}

/// Creates a mount that is not there.
pub(super) async fn create(raft: &RaftHandle, asker: &Asker, name: &MountName, mount: &Mount) -> Result<(), Status> {
    let txn = TxnRequest {
        compare: vec![compare(name.key(), CompareResult::Equal, CompareTarget::Create(0))],
        success: vec![put(name, mount)],
        failure: vec![],
    };
    if transact(raft, asker, txn).await? {
        return Ok(());
    }
    Err(Status::already_exists(format!("{name} exists already; radioctl show-mount {name} shows it")))
}

/// Deletes a mount; its source's lease goes with it.
pub(super) async fn delete(raft: &RaftHandle, asker: &Asker, name: &MountName) -> Result<(), Status> {
    let delete = Op::Delete(DeleteRequest { key: name.key(), ..DeleteRequest::default() });
    let txn = TxnRequest {
        compare: vec![compare(name.key(), CompareResult::Greater, CompareTarget::Create(0))],
        success: vec![delete],
        failure: vec![],
    };
    if transact(raft, asker, txn).await? { Ok(()) } else { Err(no_mount(name.as_str())) }
}

/// A mount as it is, linearizably, with the revision of its last change.
pub(super) async fn get(raft: &RaftHandle, name: &MountName) -> Result<(Mount, Revision), Status> {
    raft.barrier().await.map_err(|error| from_raft(&error))?;
    let request = RangeRequest { key: name.key(), ..RangeRequest::default() };
    let found =
        raft.read(|machine| machine.range(&request)).map_err(|refusal| Status::internal(refusal.to_string()))?;
    let pair = found.kvs.into_iter().next().ok_or_else(|| no_mount(name.as_str()))?;
    let mount = serde_json::from_slice(&pair.value)
        .map_err(|error| Status::data_loss(format!("{name} is stored in a form that cannot be read: {error}")))?;
    Ok((mount, pair.mod_revision))
}

/// Changes a mount by `change`, anew if another change came between.
pub(super) async fn change(
    raft: &RaftHandle,
    asker: &Asker,
    name: &MountName,
    change: impl Fn(&mut Mount) -> Result<(), String>,
) -> Result<Mount, Status> {
    for _ in 0..TRIES {
        let (mut mount, revision) = get(raft, name).await?;
        change(&mut mount).map_err(Status::invalid_argument)?;
        let txn = TxnRequest {
            compare: vec![compare(name.key(), CompareResult::Equal, CompareTarget::Mod(revision))],
            success: vec![put(name, &mount)],
            failure: vec![],
        };
        if transact(raft, asker, txn).await? {
            return Ok(mount);
        }
    }
    Err(Status::aborted(format!("{name} was changed by others at the same time, {TRIES} times; try again")))
}
