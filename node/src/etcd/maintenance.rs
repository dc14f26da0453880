//! The Maintenance service.

use std::path::{Path, PathBuf};

use autoradio_machine::Machine;
use autoradio_proto::etcd::etcdserverpb::{
    AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, DowngradeRequest, DowngradeResponse,
    HashKvRequest, HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest,
    SnapshotResponse, StatusRequest, StatusResponse, alarm_request::AlarmAction, maintenance_server::Maintenance,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    error::{EtcdError, from_refusal},
    header, header_now,
    limits::{SERVER_VERSION, SIZE_ENTRIES_MAX},
    snapshot,
};
use crate::context::Context;

pub(super) struct MaintenanceService {
    pub(super) context: Context,
}

/// Bytes of all files below a folder; what cannot be read counts nothing. Blocks.
pub(super) fn size_of(dir: &Path) -> u64 {
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    let (mut bytes, mut entries) = (0, 0);
    while let Some(folder) = folders.pop() {
        let Ok(listed) = std::fs::read_dir(folder) else { continue };
        for entry in listed.flatten().take(SIZE_ENTRIES_MAX - entries) {
            entries += 1;
            match entry.metadata() {
                Ok(data) if data.is_dir() => folders.push(entry.path()),
                Ok(data) => bytes += data.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

impl MaintenanceService {
    async fn db_size(&self) -> i64 {
        let dir = self.context.config.data_dir.clone();
        let size = tokio::task::spawn_blocking(move || size_of(&dir)).await.unwrap_or(0);
        i64::try_from(size).unwrap_or(i64::MAX)
    }

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

    /// There are no alarms here: none is listed, and disarming all is done at once.
    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        match AlarmAction::try_from(request.into_inner().action) {
            Ok(AlarmAction::Get | AlarmAction::Deactivate) => {
                let header = Some(header_now(&self.context.raft));
                Ok(Response::new(AlarmResponse { header, alarms: Vec::new() }))
            }
            Ok(AlarmAction::Activate) => Err(Status::unimplemented("autoradio raises no alarms by hand")),
            Err(_) => Err(EtcdError::UnknownOption.into()),
        }
    }

    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let db_size = self.db_size().await;
        let raft = &self.context.raft;
        let status = raft.status();
        let is_learner = raft.catalog().members.get(&raft.node_id()).is_some_and(|member| member.learner);
        let errors = if status.leader.is_none() { vec!["etcdserver: no leader".to_owned()] } else { vec![] };
        Ok(Response::new(StatusResponse {
            header: Some(header_now(raft)),
            version: SERVER_VERSION.into(),
            db_size,
            leader: status.leader.unwrap_or(0),
            raft_index: status.last_log_index,
            raft_term: status.term,
            raft_applied_index: status.applied_index,
            errors,
            db_size_in_use: db_size,
            is_learner,
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
        let status = self.context.raft.status();
        if status.leader != Some(status.node_id) {
            return Err(EtcdError::NotLeader.into());
        }
        if !status.voters.contains(&request.into_inner().target_id) {
            return Err(EtcdError::BadTransferee.into());
        }
        let text = "autoradio cannot hand leadership over; stop the leader, and another is elected within two seconds";
        Err(Status::unimplemented(text))
    }

    async fn downgrade(&self, _request: Request<DowngradeRequest>) -> Result<Response<DowngradeResponse>, Status> {
        Err(Status::unimplemented("autoradio is not downgraded by this; see its documentation"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_of_all_files_below() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        std::fs::write(dir.path().join("log/a"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("b"), [0; 5]).unwrap();
        assert_eq!(size_of(dir.path()), 15);
        assert_eq!(size_of(&dir.path().join("missing")), 0);
    }
}
