//! Answers other nodes' calls.

use std::{sync::Arc, time::Duration};

use autoradio_machine::{Command, NodeId};
use autoradio_proto::peer::{
    Call, CertifyReply, CertifyRequest, CertifyServerRequest, HandOverReply, HandOverRequest, HeadReply, HeadRequest,
    KeepAliveReply, KeepAliveRequest, LeaseLeftReply, LeaseLeftRequest, LoadReport, ProposeReply, ProposeRequest,
    RaftReply, RaftRequest, ReadIndexReply, ReadIndexRequest, SetTitleReply, SetTitleRequest, SubscribeRequest,
    peer_server::Peer,
};
use autoradio_store::{ConsensusError, Proposed, RpcKind};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{BatchStream, CallFrom, Caller, FabricService, Loads, calls::Calls, certify, gone, report_in::Reports};
use crate::raft::{PROPOSE_TIMEOUT, RaftHandle, wire};

/// What another node is given at most, whatever it asks for.
fn limit(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into()).min(PROPOSE_TIMEOUT)
}

/// Who called.
fn call_from<T>(request: &Request<T>) -> Result<NodeId, Status> {
    let from = request.extensions().get::<CallFrom>().copied();
    from.map(|CallFrom(node)| node).ok_or_else(|| Status::internal("the envelope was not checked"))
}

/// The peer service of one node.
#[derive(Clone)]
pub(super) struct PeerService {
    pub(super) raft: RaftHandle,
    pub(super) loads: Loads,
    pub(super) fabric: Arc<dyn FabricService>,
    pub(super) stop: CancellationToken,
}

impl PeerService {
    /// Who calls; a member that was removed is told so, once the consensus knows it no more.
    fn let_in<T>(&self, request: &Request<T>) -> Result<NodeId, Status> {
        let from = call_from(request)?;
        gone::refuse(&self.raft, from)?;
        Ok(from)
    }

    pub(super) async fn answer_raft(&self, request: RaftRequest) -> Result<RaftReply, Status> {
        let RaftRequest { kind, payload } = request;
        let kind = match kind {
            1 => RpcKind::Append,
            2 => RpcKind::Vote,
            3 => RpcKind::Snapshot,
            4 => RpcKind::HandedVote,
            5 => RpcKind::TakeOver,
            6 => RpcKind::Fetch,
            other => return Err(Status::invalid_argument(format!("no kind {other} of consensus call is known here"))),
        };
        let payload = self.raft.consensus().handle(kind, payload).await.map_err(|e| wire::to_status(&e))?;
        Ok(RaftReply { payload })
    }

    pub(super) async fn answer_propose(&self, request: ProposeRequest) -> Result<ProposeReply, Status> {
        let command = Command::decode(&request.command).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let proposed = self.raft.consensus().propose(&command, limit(request.timeout_ms)).await;
        match proposed {
            Ok(proposed) => {
                let commit = self.raft.consensus().commit_notice(&proposed).map_err(|error| wire::to_status(&error))?;
                let Proposed { index, term, revision, response } = proposed;
                let result = wire::encode_result(&Ok(response)).into();
                Ok(ProposeReply { index, term, revision, result, commit })
            }
            // The refusal was applied somewhere up to here.
            Err(ConsensusError::Refused(refusal)) => {
                let (index, revision) = (self.raft.consensus().applied_index(), self.raft.read(|m| m.revision()));
                let result = wire::encode_result(&Err(refusal)).into();
                Ok(ProposeReply { index, revision, result, ..ProposeReply::default() })
            }
            Err(error) => Err(wire::to_status(&error)),
        }
    }

    pub(super) async fn answer_read_index(&self, request: ReadIndexRequest) -> Result<ReadIndexReply, Status> {
        let limit = limit(request.timeout_ms);
        let index = self.raft.consensus().read_index(limit).await.map_err(|error| wire::to_status(&error))?;
        Ok(ReadIndexReply { index })
    }
}

#[tonic::async_trait]
impl Peer for PeerService {
    type CallsStream = Calls;
    type SubscribeStream = BatchStream;
    type ReportStream = Reports;

    async fn calls(&self, request: Request<Streaming<Call>>) -> Result<Response<Calls>, Status> {
        let from = self.let_in(&request)?;
        Ok(Response::new(Calls::new(from, request.into_inner(), self.clone())))
    }

    async fn raft(&self, request: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        self.let_in(&request)?;
        self.answer_raft(request.into_inner()).await.map(Response::new)
    }

    async fn propose(&self, request: Request<ProposeRequest>) -> Result<Response<ProposeReply>, Status> {
        self.let_in(&request)?;
        self.answer_propose(request.into_inner()).await.map(Response::new)
    }

    async fn read_index(&self, request: Request<ReadIndexRequest>) -> Result<Response<ReadIndexReply>, Status> {
        self.let_in(&request)?;
        self.answer_read_index(request.into_inner()).await.map(Response::new)
    }

    async fn keep_alive(&self, request: Request<KeepAliveRequest>) -> Result<Response<KeepAliveReply>, Status> {
        self.let_in(&request)?;
        let ttl_s = self.raft.keep_lease(request.into_inner().lease_id).map_err(|error| wire::to_status(&error))?;
        Ok(Response::new(KeepAliveReply { ttl_s }))
    }

    async fn lease_left(&self, request: Request<LeaseLeftRequest>) -> Result<Response<LeaseLeftReply>, Status> {
        self.let_in(&request)?;
        let left_ms = self.raft.lease_left(request.into_inner().lease_id).map_err(|error| wire::to_status(&error))?;
        Ok(Response::new(LeaseLeftReply { left_ms }))
    }

    async fn report(&self, request: Request<Streaming<LoadReport>>) -> Result<Response<Reports>, Status> {
        let from = self.let_in(&request)?;
        Ok(Response::new(Reports::new(
            from,
            request.into_inner(),
            self.raft.clone(),
            self.loads.clone(),
            self.stop.clone(),
        )))
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<BatchStream>, Status> {
        self.let_in(&request)?;
        Ok(Response::new(self.fabric.subscribe(request.into_inner()).await?))
    }

    async fn head(&self, request: Request<HeadRequest>) -> Result<Response<HeadReply>, Status> {
        self.let_in(&request)?;
        Ok(Response::new(self.fabric.head(request.into_inner()).await?))
    }

    async fn certify(&self, request: Request<CertifyRequest>) -> Result<Response<CertifyReply>, Status> {
        let from = self.let_in(&request)?;
        certify::answer(&self.raft, from, &request.into_inner()).map(Response::new)
    }

    async fn certify_server(&self, request: Request<CertifyServerRequest>) -> Result<Response<CertifyReply>, Status> {
        let from = self.let_in(&request)?;
        certify::answer_server(&self.raft, from, &request.into_inner()).map(Response::new)
    }

    async fn hand_over(&self, request: Request<HandOverRequest>) -> Result<Response<HandOverReply>, Status> {
        let caller = request.extensions().get::<Caller>().copied();
        let is_tls = caller.is_some_and(|caller| caller.tls.is_some());
        certify::answer_hand_over(&self.raft, self.let_in(&request)?, is_tls).map(Response::new)
    }

    async fn set_title(&self, request: Request<SetTitleRequest>) -> Result<Response<SetTitleReply>, Status> {
        self.let_in(&request)?;
        Ok(Response::new(self.fabric.set_title(request.into_inner()).await?))
    }
}
