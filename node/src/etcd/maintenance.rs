//! The Maintenance service.

use std::time::Duration;

use autoradio_machine::Machine;
use autoradio_proto::etcd::etcdserverpb::{
    AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, DowngradeRequest, DowngradeResponse,
    HashKvRequest, HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest,
    SnapshotResponse, StatusRequest, StatusResponse, maintenance_server::Maintenance,
};
use autoradio_store::ConsensusError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    alarms,
    error::{EtcdError, from_raft, from_refusal},
    header, header_now,
    limits::SERVER_VERSION,
    snapshot,
};
use crate::{context::Context, raft::RaftError};

/// How long handing leadership over may take (etcd: as long as an election and a request).
const TRANSFER_LIMIT: Duration = Duration::from_secs(5);

pub(super) struct MaintenanceService {
    pub(super) context: Context,
}

impl MaintenanceService {
    /// The hash up to a revision (0: the newest), with the revision that it is of and what is compacted.
    async fn hash(&self, revision: i64) -> Result<(u32, HashKvResponse), Status> {
        let raft = self.context.raft.clone();
        let read = move |machine: &Machine| {
            let of = if revision > 0 { revision } else { machine.revision() };
            machine.hash(of).map(|hash| (hash, of, machine.revision(), machine.compacted_revision()))
        };
        // The whole store is read: not on a thread that serves others.
        let hashed = tokio::task::spawn_blocking(move || raft.read(read));
        let hashed = hashed.await.map_err(|error| Status::internal(error.to_string()))?;
        let (hash, hash_revision, now, compact_revision) = hashed.map_err(|refusal| from_refusal(&refusal))?;
        let header = Some(header(&self.context.raft, now));
        Ok((hash, HashKvResponse { header, hash, compact_revision, hash_revision }))
    }
}

#[tonic::async_trait]
impl Maintenance for MaintenanceService {
    type SnapshotStream = ReceiverStream<Result<SnapshotResponse, Status>>;

    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        Ok(Response::new(alarms::serve(&self.context.raft, request.into_inner()).await?))
    }

    /// `dbSize` is what counts for the quota, `dbSizeInUse` what would be left of it after a compaction.
    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let raft = &self.context.raft;
        let status = raft.status();
        let (size, alarms) = raft.read(|machine| (machine.size(), machine.alarms()));
        let is_learner = raft.catalog().members.get(&raft.node_id()).is_some_and(|member| member.learner);
        let leader = status.leader.filter(|_| raft.consensus().is_led(&status));
        let mut errors = if leader.is_none() { vec!["etcdserver: no leader".to_owned()] } else { vec![] };
        errors.extend(alarms.iter().map(alarms::text));
        let bytes = |count| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Response::new(StatusResponse {
            header: Some(header_now(raft)),
            version: SERVER_VERSION.into(),
            db_size: bytes(size.bytes),
            leader: leader.unwrap_or(0),
            raft_index: status.last_log_index,
            raft_term: status.term,
            raft_applied_index: status.applied_index,
            errors,
            db_size_in_use: bytes(size.live_bytes),
            is_learner,
            storage_version: String::new(),
            db_size_quota: bytes(self.context.config.keeping.quota_bytes),
        }))
    }

    /// Nothing to do: the log's store gives space back by itself.
    async fn defragment(&self, _request: Request<DefragmentRequest>) -> Result<Response<DefragmentResponse>, Status> {
        Ok(Response::new(DefragmentResponse { header: Some(header_now(&self.context.raft)) }))
    }

    async fn hash(&self, _request: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        let (hash, answer) = self.hash(0).await?;
        Ok(Response::new(HashResponse { header: answer.header, hash }))
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        Ok(Response::new(self.hash(request.into_inner().revision).await?.1))
    }

    async fn snapshot(&self, _request: Request<SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        Ok(Response::new(snapshot::stream(&self.context).await?))
    }

    async fn move_leader(&self, request: Request<MoveLeaderRequest>) -> Result<Response<MoveLeaderResponse>, Status> {
        let raft = &self.context.raft;
        let status = raft.status();
        if status.leader != Some(status.node_id) {
            return Err(EtcdError::NotLeader.into());
        }
        let target = request.into_inner().target_id;
        if !status.voters.contains(&target) {
            return Err(EtcdError::BadTransferee.into());
        }
        match raft.hand_over(Some(target), TRANSFER_LIMIT).await {
            Ok(_) => Ok(Response::new(MoveLeaderResponse { header: Some(header_now(raft)) })),
            Err(RaftError::Consensus(ConsensusError::Timeout(_) | ConsensusError::Membership(_))) => {
                Err(EtcdError::TransferTooLong.into())
            }
            Err(error) => Err(from_raft(&error)),
        }
    }

    async fn downgrade(&self, _request: Request<DowngradeRequest>) -> Result<Response<DowngradeResponse>, Status> {
        Err(Status::unimplemented("autoradio is not downgraded by this; see its documentation"))
    }
}
