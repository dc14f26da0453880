//! The Lock service (<https://etcd.io/docs/v3.5/dev-guide/api_concurrency_reference_v3/>): a lock is a queue of keys,
//! and is held by the first for as long as its lease lives.

use autoradio_machine::{Command, DeleteRequest};
use autoradio_proto::etcd::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse, lock_server::Lock};
use tonic::{Request, Response, Status};

use super::{
    error::EtcdError,
    header,
    kv::check_size,
    queue::{Contender, Queues},
};
use crate::caller::Asker;

pub(super) struct LockService {
    pub(super) queues: Queues,
}

#[tonic::async_trait]
impl Lock for LockService {
    /// Answers when the lock is held. Without a lease it gets one, which the client learns from the key.
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        check_size(&request)?;
        let LockRequest { name, lease } = request;
        let contender = Contender { asker, name, lease, value: None, lost: EtcdError::LockLost };
        let turn = self.queues.own(contender).await?;
        let header = Some(header(&self.queues.context.raft, turn.revision));
        Ok(Response::new(LockResponse { header, key: turn.place.key }))
    }

    /// Deletes the key, whoever asks. A key that there is not is no failure.
    async fn unlock(&self, request: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        check_size(&request)?;
        let delete = DeleteRequest { key: request.key, ..DeleteRequest::default() };
        let done = self.queues.propose(&asker, Command::Delete(delete)).await?;
        Ok(Response::new(UnlockResponse { header: Some(header(&self.queues.context.raft, done.revision)) }))
    }
}
