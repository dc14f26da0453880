//! The Lease service. Time is counted by the leader alone: keep-alives go there from any node.

use autoradio_machine::{Command, LeaseId, Machine, Response as Answer};
use autoradio_proto::etcd::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse, lease_server::Lease,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, Streaming};

use super::{
    answer::misfit,
    error::from_raft,
    header, header_now,
    limits::{ANSWERS_QUEUED, SEND_TIMEOUT},
};
use crate::raft::RaftHandle;

/// A lease that there is not has this time to live.
const EXPIRED_S: i64 = -1;

#[derive(Clone)]
pub(super) struct LeaseService {
    pub(super) raft: RaftHandle,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl LeaseService {
    async fn keep(&self, id: LeaseId) -> Result<LeaseKeepAliveResponse, Status> {
        let ttl = self.raft.keep_lease_anywhere(id).await.map_err(|error| from_raft(&error))?;
        Ok(LeaseKeepAliveResponse { header: Some(header_now(&self.raft)), id, ttl })
    }

    async fn keep_all(
        self,
        mut requests: Streaming<LeaseKeepAliveRequest>,
        out: mpsc::Sender<Result<LeaseKeepAliveResponse, Status>>,
    ) {
        while let Ok(Some(request)) = requests.message().await {
            let answer = self.keep(request.id).await;
            let failed = answer.is_err();
            let sent = timeout(SEND_TIMEOUT, out.send(answer)).await;
            if failed || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl Lease for LeaseService {
    type LeaseKeepAliveStream = ReceiverStream<Result<LeaseKeepAliveResponse, Status>>;

    async fn lease_grant(&self, request: Request<LeaseGrantRequest>) -> Result<Response<LeaseGrantResponse>, Status> {
        let LeaseGrantRequest { ttl, id } = request.into_inner();
        let done = self.raft.propose(Command::LeaseGrant { id, ttl_s: ttl }).await.map_err(|e| from_raft(&e))?;
        let Answer::Lease { id, ttl_s } = done.response else { return Err(misfit(&done.response)) };
        let header = Some(header(&self.raft, done.revision));
        Ok(Response::new(LeaseGrantResponse { header, id, ttl: ttl_s, error: String::new() }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let id = request.into_inner().id;
        let done = self.raft.propose(Command::LeaseRevoke { id }).await.map_err(|error| from_raft(&error))?;
        Ok(Response::new(LeaseRevokeResponse { header: Some(header(&self.raft, done.revision)) }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let (sender, receiver) = mpsc::channel(ANSWERS_QUEUED);
        let (service, stop) = (self.clone(), self.stop.clone());
        let closed = sender.clone();
        // Ends with the stream, the client, or the node.
        self.tasks.spawn(async move {
            tokio::select! {
                () = service.keep_all(request.into_inner(), sender) => {}
                () = closed.closed() => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let LeaseTimeToLiveRequest { id, keys: with_keys } = request.into_inner();
        let left_ms = self.raft.lease_left_anywhere(id).await.map_err(|error| from_raft(&error))?;
        self.raft.barrier().await.map_err(|error| from_raft(&error))?;
        let (lease, keys) = self.raft.read(|machine| (machine.lease(id), machine.lease_keys(id)));
        let mut response = LeaseTimeToLiveResponse {
            header: Some(header_now(&self.raft)),
            id,
            ttl: EXPIRED_S,
            granted_ttl: 0,
            keys: Vec::new(),
        };
        if let (Some(lease), Some(left_ms)) = (lease, left_ms) {
            response.ttl = i64::try_from(left_ms / 1_000).unwrap_or(i64::MAX);
            response.granted_ttl = lease.ttl_s;
            response.keys = keys.filter(|_| with_keys).unwrap_or_default();
        }
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        _request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        self.raft.barrier().await.map_err(|error| from_raft(&error))?;
        let leases = self.raft.read(Machine::leases).into_iter().map(|lease| LeaseStatus { id: lease.id }).collect();
        Ok(Response::new(LeaseLeasesResponse { header: Some(header_now(&self.raft)), leases }))
    }
}
