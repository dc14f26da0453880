//! The KV service.

use autoradio_machine::{Access, Command};
use autoradio_proto::etcd::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, TxnRequest, TxnResponse, kv_server::Kv,
};
use autoradio_store::Proposed;
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    answer,
    convert::{self, Serializable},
    error::{EtcdError, from_raft, from_refusal},
    header,
    limits::REQUEST_MAX_BYTES,
};
use crate::{caller::Asker, raft::RaftHandle};

pub(super) struct KvService {
    pub(super) raft: RaftHandle,
}

/// Refuses what would make the log's entries too large.
pub(super) fn check_size(request: &impl Message) -> Result<(), Status> {
    if request.encoded_len() > REQUEST_MAX_BYTES {
        return Err(EtcdError::RequestTooLarge.into());
    }
    Ok(())
}

impl KvService {
    async fn propose(&self, asker: &Asker, command: Command) -> Result<Proposed, Status> {
        self.raft.propose_as(asker, command).await.map_err(|error| from_raft(&error))
    }

    /// Waits until what this node has may be read; serializable reads never leave it.
    async fn pass(&self, serializable: bool) -> Result<(), Status> {
        if serializable { Ok(()) } else { self.raft.barrier().await.map_err(|error| from_raft(&error)) }
    }
}

#[tonic::async_trait]
impl Kv for KvService {
    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        let serializable = request.serializable;
        let request = convert::range(request)?;
        if request.key.is_empty() {
            return Err(EtcdError::EmptyKey.into());
        }
        self.pass(serializable).await?;
        let read = self.raft.read_as(&asker, |machine, who| {
            machine.permit(who, Access::Read(&request.key, &request.range_end))?;
            Ok((machine.range(&request)?, machine.revision()))
        });
        let (found, revision) = read.await.map_err(|refusal| from_refusal(&refusal))?;
        Ok(Response::new(answer::range(header(&self.raft, revision), found)))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        check_size(&request)?;
        let done = self.propose(&asker, Command::Put(convert::put(request))).await?;
        Ok(Response::new(answer::put(header(&self.raft, done.revision), done.response)?))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        check_size(&request)?;
        let done = self.propose(&asker, Command::Delete(convert::delete(request))).await?;
        Ok(Response::new(answer::delete(header(&self.raft, done.revision), done.response)?))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        check_size(&request)?;
        let reads = convert::reads_only(&request);
        let request = convert::txn(request)?;
        let (revision, response) = match reads {
            Some(Serializable(serializable)) => {
                self.pass(serializable).await?;
                let read = self.raft.read_as(&asker, |machine, who| {
                    machine.permit(who, Access::Txn(&request))?;
                    Ok((machine.revision(), machine.read_txn(&request)?))
                });
                read.await.map_err(|refusal| from_refusal(&refusal))?
            }
            None => {
                let done = self.propose(&asker, Command::Txn(request)).await?;
                (done.revision, done.response)
            }
        };
        Ok(Response::new(answer::txn(header(&self.raft, revision), response)?))
    }

    /// `physical` asks to wait until what is compacted is gone from the store: here it is at once.
    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        let (asker, revision) = (Asker::of(&request), request.into_inner().revision);
        let done = self.propose(&asker, Command::Compact { revision }).await?;
        Ok(Response::new(CompactionResponse { header: Some(header(&self.raft, done.revision)) }))
    }
}
