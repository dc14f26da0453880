//! The Lease service. Time is counted by the leader alone: keep-alives go there from any node.

use autoradio_machine::{Access, Command, LeaseId, Response as Answer};
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
    error::{from_raft, from_refusal},
    header, header_now,
    limits::{ANSWERS_QUEUED, SEND_TIMEOUT},
};
use crate::{caller::Asker, raft::RaftHandle};

/// A lease that there is not has this time to live.
const EXPIRED_S: i64 = -1;

#[derive(Clone)]
pub(super) struct LeaseService {
    pub(super) raft: RaftHandle,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl LeaseService {
    async fn permit(&self, asker: &Asker, access: Access<'_>) -> Result<(), Status> {
        let checked = self.raft.read_as(asker, |machine, who| machine.permit(who, access));
        checked.await.map_err(|refusal| from_refusal(&refusal))
    }

    /// Whoever might end it may keep it alive.
    async fn keep(&self, asker: &Asker, id: LeaseId) -> Result<LeaseKeepAliveResponse, Status> {
        self.permit(asker, Access::LeaseChange(id)).await?;
        let ttl = self.raft.keep_lease_anywhere(id).await.map_err(|error| from_raft(&error))?;
        Ok(LeaseKeepAliveResponse { header: Some(header_now(&self.raft)), id, ttl })
    }

    async fn keep_all(
        self,
        asker: Asker,
        mut requests: Streaming<LeaseKeepAliveRequest>,
        out: mpsc::Sender<Result<LeaseKeepAliveResponse, Status>>,
    ) {
        while let Ok(Some(request)) = requests.message().await {
            let answer = self.keep(&asker, request.id).await;
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
        let asker = Asker::of(&request);
        let LeaseGrantRequest { ttl, id } = request.into_inner();
        let grant = Command::LeaseGrant { id, ttl_s: ttl };
        let done = self.raft.propose_as(&asker, grant).await.map_err(|e| from_raft(&e))?;
        let Answer::Lease { id, ttl_s } = done.response else { return Err(misfit(&done.response)) };
        let header = Some(header(&self.raft, done.revision));
        Ok(Response::new(LeaseGrantResponse { header, id, ttl: ttl_s, error: String::new() }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let (asker, id) = (Asker::of(&request), request.into_inner().id);
        let revoke = Command::LeaseRevoke { id };
        let done = self.raft.propose_as(&asker, revoke).await.map_err(|error| from_raft(&error))?;
        Ok(Response::new(LeaseRevokeResponse { header: Some(header(&self.raft, done.revision)) }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let (sender, receiver) = mpsc::channel(ANSWERS_QUEUED);
        let (service, stop, asker) = (self.clone(), self.stop.clone(), Asker::of(&request));
        let closed = sender.clone();
        // Ends with the stream, the client, or the node.
        self.tasks.spawn(async move {
            tokio::select! {
                () = service.keep_all(asker, request.into_inner(), sender) => {}
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
        let asker = Asker::of(&request);
        let LeaseTimeToLiveRequest { id, keys: with_keys } = request.into_inner();
        // Before anybody is asked, and again with what is told, which may have changed.
        let access = if with_keys { Access::LeaseKeys(id) } else { Access::Known };
        self.permit(&asker, access).await?;
        let left_ms = self.raft.lease_left_anywhere(id).await.map_err(|error| from_raft(&error))?;
        self.raft.barrier().await.map_err(|error| from_raft(&error))?;
        let read = self.raft.read_as(&asker, |machine, who| {
            machine.permit(who, access)?;
            Ok((machine.lease(id), machine.lease_keys(id)))
        });
        let (lease, keys) = read.await.map_err(|refusal| from_refusal(&refusal))?;
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
        request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        self.raft.barrier().await.map_err(|error| from_raft(&error))?;
        let asker = Asker::of(&request);
        let read = self.raft.read_as(&asker, |machine, who| {
            machine.permit(who, Access::AllLeases)?;
            Ok(machine.leases())
        });
        let leases = read.await.map_err(|refusal| from_refusal(&refusal))?;
        let leases = leases.into_iter().map(|lease| LeaseStatus { id: lease.id }).collect();
        Ok(Response::new(LeaseLeasesResponse { header: Some(header_now(&self.raft)), leases }))
    }
}
