//! The Election service (<https://etcd.io/docs/v3.5/dev-guide/api_concurrency_reference_v3/>): an election is a queue
//! of keys whose first is the leader; its value is what it proclaims.

use autoradio_machine::{Op, PutRequest, Response as Answer};
use autoradio_proto::etcd::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ProclaimResponse,
    ResignRequest, ResignResponse, election_server::Election,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    answer,
    error::{EtcdError, from_raft, from_refusal},
    header,
    kv::check_size,
    limits::ANSWERS_QUEUED,
    observe::Observer,
    queue::{Contender, Queues},
    require_leader,
};
use crate::caller::Asker;

pub(super) struct ElectionService {
    pub(super) queues: Queues,
}

fn given(leader: Option<LeaderKey>) -> Result<LeaderKey, EtcdError> {
    leader.ok_or(EtcdError::MissingLeaderKey)
}

#[tonic::async_trait]
impl Election for ElectionService {
    type ObserveStream = ReceiverStream<Result<LeaderResponse, Status>>;

    /// Answers when the candidate leads. As in etcd, the header is of the moment when it entered.
    async fn campaign(&self, request: Request<CampaignRequest>) -> Result<Response<CampaignResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        check_size(&request)?;
        let CampaignRequest { name, lease, value } = request;
        let (value, lost) = (Some(value), EtcdError::ElectionNotLeader);
        let contender = Contender { asker, name: name.clone(), lease, value, lost };
        let place = self.queues.own(contender).await?.place;
        let header = Some(header(&self.queues.context.raft, place.entered));
        let leader = LeaderKey { name, key: place.key, rev: place.created, lease: place.lease };
        Ok(Response::new(CampaignResponse { header, leader: Some(leader) }))
    }

    /// Gives the leader's key another value.
    async fn proclaim(&self, request: Request<ProclaimRequest>) -> Result<Response<ProclaimResponse>, Status> {
        let (asker, request) = (Asker::of(&request), request.into_inner());
        check_size(&request)?;
        let ProclaimRequest { leader, value } = request;
        let LeaderKey { key, rev, lease, .. } = given(leader)?;
        let lease = self.queues.lease(&asker, lease).await?;
        let put = Op::Put(PutRequest { key: key.clone(), value, lease, ..PutRequest::default() });
        let done = self.queues.change(&asker, &key, rev, put).await?;
        if !matches!(done.response, Answer::Txn { succeeded: true, .. }) {
            return Err(EtcdError::ElectionNotLeader.into());
        }
        Ok(Response::new(ProclaimResponse { header: Some(header(&self.queues.context.raft, done.revision)) }))
    }

    async fn leader(&self, request: Request<LeaderRequest>) -> Result<Response<LeaderResponse>, Status> {
        let raft = &self.queues.context.raft;
        let (asker, name) = (Asker::of(&request), request.into_inner().name);
        raft.barrier().await.map_err(|error| from_raft(&error))?;
        self.queues.permit_look(&asker, &name).await?;
        let first = self.queues.first(&name, 0);
        let (leader, revision) = first.map_err(|refusal| from_refusal(&refusal))?;
        let kv = answer::pair(leader.ok_or(EtcdError::ElectionNoLeader)?);
        Ok(Response::new(LeaderResponse { header: Some(header(raft, revision)), kv: Some(kv) }))
    }

    /// Sends the leader, whatever it proclaims, and every leader after it, until the client or the node ends.
    async fn observe(&self, request: Request<LeaderRequest>) -> Result<Response<Self::ObserveStream>, Status> {
        let (sender, receiver) = mpsc::channel(ANSWERS_QUEUED);
        let led = require_leader::wanted(request.metadata());
        let (asker, name) = (Asker::of(&request), request.into_inner().name);
        self.queues.permit_look(&asker, &name).await?;
        let observer = Observer::new(self.queues.clone(), name, sender.clone());
        let context = self.queues.context.clone();
        self.queues.context.tasks.spawn(async move {
            let why = tokio::select! {
                why = observer.run() => why,
                () = sender.closed() => return,
                () = context.stop.cancelled() => Status::unavailable("etcdserver: server stopped"),
                () = require_leader::lost(&context.raft), if led => require_leader::no_leader(),
            };
            // Told without waiting: who reads nothing is not told why.
            let _told = sender.try_send(Err(why));
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    /// Gives the lead, or the candidacy, up. Who has neither any more is told nothing else.
    async fn resign(&self, request: Request<ResignRequest>) -> Result<Response<ResignResponse>, Status> {
        let asker = Asker::of(&request);
        let LeaderKey { key, rev, .. } = given(request.into_inner().leader)?;
        let revision = self.queues.remove(&asker, &key, rev).await?;
        Ok(Response::new(ResignResponse { header: Some(header(&self.queues.context.raft, revision)) }))
    }
}
