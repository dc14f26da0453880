//! The machine's answers as etcd's.

use autoradio_machine::{KeyValue, Member, RangeResponse, Response, Revision};
use autoradio_proto::etcd::{
    etcdserverpb::{self as pb, ResponseHeader, response_op},
    mvccpb,
};
use tonic::Status;

/// One pair.
pub(super) fn pair(kv: KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: kv.key,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: kv.value,
        lease: kv.lease,
    }
}

/// A range's answer.
pub(super) fn range(header: ResponseHeader, found: RangeResponse) -> pb::RangeResponse {
    let kvs = found.kvs.into_iter().map(pair).collect();
    pb::RangeResponse { header: Some(header), kvs, more: found.more, count: found.count }
}

/// A put's answer.
pub(super) fn put(header: ResponseHeader, response: Response) -> Result<pb::PutResponse, Status> {
    match response {
        Response::Put { prev_kv } => Ok(pb::PutResponse { header: Some(header), prev_kv: prev_kv.map(pair) }),
        other => Err(misfit(&other)),
    }
}

/// A delete's answer.
pub(super) fn delete(header: ResponseHeader, response: Response) -> Result<pb::DeleteRangeResponse, Status> {
    match response {
        Response::Delete { deleted, prev_kvs } => {
            let prev_kvs = prev_kvs.into_iter().map(pair).collect();
            Ok(pb::DeleteRangeResponse { header: Some(header), deleted, prev_kvs })
        }
        other => Err(misfit(&other)),
    }
}

/// A transaction's answer. Inner headers hold the revision alone, as etcd's do.
pub(super) fn txn(header: ResponseHeader, response: Response) -> Result<pb::TxnResponse, Status> {
    let revision = header.revision;
    match response {
        Response::Txn { succeeded, responses } => {
            let responses = responses.into_iter().map(|r| one_op(revision, r)).collect::<Result<_, _>>()?;
            Ok(pb::TxnResponse { header: Some(header), succeeded, responses })
        }
        other => Err(misfit(&other)),
    }
}

fn one_op(revision: Revision, response: Response) -> Result<pb::ResponseOp, Status> {
    use response_op::Response as Op;
    let header = ResponseHeader { revision, ..ResponseHeader::default() };
    let response = match response {
        Response::Range(found) => Op::ResponseRange(range(header, found)),
        put_response @ Response::Put { .. } => Op::ResponsePut(put(header, put_response)?),
        deleted @ Response::Delete { .. } => Op::ResponseDeleteRange(delete(header, deleted)?),
        inner @ Response::Txn { .. } => Op::ResponseTxn(txn(header, inner)?),
        other => return Err(misfit(&other)),
    };
    Ok(pb::ResponseOp { response: Some(response) })
}

/// A member. A learner is one that the administrator made so: those that wait for their automatic promotion are not.
pub(super) fn member(member: &Member) -> pb::Member {
    pb::Member {
        id: member.id,
        // An empty name means to clients that it has not started.
        name: if member.started() { member.name.clone() } else { String::new() },
        peer_ur_ls: member.peer_urls.clone(),
        client_ur_ls: member.client_urls.clone(),
        is_learner: member.learner,
    }
}

/// The answer does not go with the command: a fault of ours.
pub(super) fn misfit(response: &Response) -> Status {
    Status::internal(format!("the command was answered with {response:?}"))
}
