//! The Cluster service. It changes the member list; the leader's steward brings the consensus in line with it, so
//! that a member that has not started never costs the quorum.

use autoradio_machine::{Access, Command, Member, MemberAdd, MemberUpdate, NodeId, Response as Answer};
use autoradio_policy::membership::{self, UnsafeRemoval};
use autoradio_proto::etcd::etcdserverpb::{
    self as pb, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest, MemberUpdateResponse,
    ResponseHeader, cluster_server::Cluster,
};
use tonic::{Request, Response, Status};

use super::{
    answer::{self, misfit},
    error::{EtcdError, from_raft, from_refusal},
    header,
};
use crate::{caller::Asker, context::Context};

/// A learner is in sync when it has this share of the leader's log (etcd's `readyPercent`), in percent.
const READY_PERCENT: u64 = 90;

pub(super) struct ClusterService {
    pub(super) context: Context,
}

impl ClusterService {
    async fn propose(&self, asker: &Asker, command: Command) -> Result<Member, Status> {
        let done = self.context.raft.propose_as(asker, command).await.map_err(|error| from_raft(&error))?;
        match done.response {
            Answer::Member(member) => Ok(member),
            other => Err(misfit(&other)),
        }
    }

    async fn permit(&self, asker: &Asker, access: Access<'_>) -> Result<(), Status> {
        let checked = self.context.raft.read_as(asker, |machine, who| machine.permit(who, access));
        checked.await.map_err(|refusal| from_refusal(&refusal))
    }

    /// As etcd's: without a revision.
    fn header(&self) -> Option<ResponseHeader> {
        Some(header(&self.context.raft, 0))
    }

    /// All members by id, as they are here: whoever proposed has applied it.
    fn members(&self) -> Vec<pb::Member> {
        let catalog = self.context.raft.read(autoradio_machine::Machine::catalog);
        catalog.members.values().map(|member| answer::member(member)).collect()
    }

    /// Whether a learner has most of what there is, as it said of itself last.
    fn in_sync(&self, id: NodeId) -> bool {
        let (view, status) = (self.context.view.now(), self.context.raft.status());
        let applied = view.loads.get(&id).map_or(0, |heard| heard.load.applied_index);
        applied.saturating_mul(100) >= status.last_log_index.saturating_mul(READY_PERCENT)
    }
}

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn member_add(&self, request: Request<MemberAddRequest>) -> Result<Response<MemberAddResponse>, Status> {
        let asker = Asker::of(&request);
        let MemberAddRequest { peer_ur_ls: peer_urls, is_learner: learner } = request.into_inner();
        let add = MemberAdd { name: String::new(), peer_urls, learner };
        let member = self.propose(&asker, Command::MemberAdd(add)).await?;
        let (header, members) = (self.header(), self.members());
        Ok(Response::new(MemberAddResponse { header, member: Some(answer::member(&member)), members }))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        let asker = Asker::of(&request);
        let id = request.into_inner().id;
        // Before anything is told of the cluster.
        self.permit(&asker, Access::Root).await?;
        // As etcd's strict reconfiguration check: who lives is not taken from those who could not do without it.
        match membership::check_removal(&self.context.view.now(), id) {
            Err(refused @ UnsafeRemoval::Quorum { .. }) => {
                tracing::warn!(%refused, "a member is not removed");
                return Err(EtcdError::UnhealthyCluster.into());
            }
            Err(UnsafeRemoval::Only { .. }) | Ok(()) => {}
        }
        self.propose(&asker, Command::MemberRemove { id }).await?;
        Ok(Response::new(MemberRemoveResponse { header: self.header(), members: self.members() }))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        let asker = Asker::of(&request);
        self.permit(&asker, Access::Root).await?;
        let MemberUpdateRequest { id, peer_ur_ls: peer_urls } = request.into_inner();
        if peer_urls.is_empty() {
            return Err(EtcdError::BadPeerUrls.into());
        }
        let update = MemberUpdate { id, peer_urls: Some(peer_urls), ..MemberUpdate::default() };
        self.propose(&asker, Command::MemberUpdate(update)).await?;
        Ok(Response::new(MemberUpdateResponse { header: self.header(), members: self.members() }))
    }

    async fn member_list(&self, request: Request<MemberListRequest>) -> Result<Response<MemberListResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        if request.linearizable {
            self.context.raft.barrier().await.map_err(|error| from_raft(&error))?;
        }
        self.permit(&asker, Access::Known).await?;
        Ok(Response::new(MemberListResponse { header: self.header(), members: self.members() }))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        let (asker, id) = (Asker::of(&request), request.into_inner().id);
        self.context.raft.barrier().await.map_err(|error| from_raft(&error))?;
        self.permit(&asker, Access::Root).await?;
        let catalog = self.context.raft.catalog();
        let member = catalog.members.get(&id).ok_or(EtcdError::MemberNotFound)?;
        // In etcd's order: how far it is, is asked of a voter, too.
        if !member.started() {
            return Err(EtcdError::LearnerNotReady.into());
        }
        if !member.learner {
            return Err(EtcdError::NotLearner.into());
        }
        if !self.in_sync(id) {
            return Err(EtcdError::LearnerNotReady.into());
        }
        let update = MemberUpdate { id, learner: Some(false), ..MemberUpdate::default() };
        self.propose(&asker, Command::MemberUpdate(update)).await?;
        Ok(Response::new(MemberPromoteResponse { header: self.header(), members: self.members() }))
    }
}
