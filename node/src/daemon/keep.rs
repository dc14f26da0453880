//! The Keep service: who is a member, and what is kept. On the admin socket only, which is its owner's and his group's.

use std::time::Duration;

use autoradio_machine::{Command, Machine, Member, MemberUpdate, NodeId, Response as Answer, hex_id};
use autoradio_policy::{ClusterView, fitness, health::node_label, membership};
use autoradio_proto::keep::{
    BackupRequest, LeaveRequest, Piece, RecoverReply, RecoverRequest, RemoveNodeReply, RemoveNodeRequest, RestoreReply,
    Voter, keep_server::Keep,
};
use bytes::BytesMut;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Daemon, SetupError};
use crate::{admin, backup, caller::Asker, context::Context};

/// One piece of a backup.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that wait for a slow reader.
const PIECES_QUEUED: usize = 16;

/// How long a client may take over one piece.
const PIECE_LIMIT: Duration = Duration::from_secs(60);

/// The largest backup that is taken: the default quota and the state's own overhead, with room.
const BACKUP_BYTES_MAX: usize = 4 << 30;

/// How long a node that leaves waits for another to lead.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(2);

/// The service of one daemon.
pub(super) struct KeepService {
    pub(super) daemon: Daemon,
}

impl KeepService {
    fn context(&self) -> Result<Context, Status> {
        let context = self.daemon.watch_context().borrow().clone();
        context.ok_or_else(|| {
            Status::failed_precondition(
                "this node is not part of a cluster; run: autoradio-node init, or autoradio-node join HOST",
            )
        })
    }

    /// Removes a member that may go; how many vote without it.
    async fn remove(&self, context: &Context, asker: &Asker, id: NodeId) -> Result<RemoveNodeReply, Status> {
        let view = context.view.now();
        membership::check_removal(&view, id).map_err(|refused| Status::failed_precondition(refused.to_string()))?;
        let remove = Command::MemberRemove { id };
        let done = context.raft.propose_as(asker, remove).await.map_err(|error| admin::from_raft(&error))?;
        let Answer::Member(Member { id, name, .. }) = done.response else {
            return Err(Status::internal("the removal was answered with something else"));
        };
        let left = view.voters.iter().filter(|voter| **voter != id).count();
        Ok(RemoveNodeReply { id: hex_id(id), name, voters_left: u32::try_from(left).unwrap_or(u32::MAX) })
    }
}

fn find(view: &ClusterView, node: &str) -> Result<NodeId, Status> {
    let mut members = view.catalog.members.values();
    let found = members.find(|member| member.name == node || hex_id(member.id) == node).map(|member| member.id);
    found.ok_or_else(|| Status::not_found(format!("no node {node}; radioctl node list shows those there are")))
}

#[tonic::async_trait]
impl Keep for KeepService {
    type BackupStream = ReceiverStream<Result<Piece, Status>>;

    async fn remove_node(&self, request: Request<RemoveNodeRequest>) -> Result<Response<RemoveNodeReply>, Status> {
        let (asker, context) = (Asker::of(&request), self.context()?);
        let id = find(&context.view.now(), &request.into_inner().node)?;
        if id == context.raft.node_id() {
            let reason = "this is the node that you ask; to take it out of the cluster: radioctl node leave";
            return Err(Status::failed_precondition(reason));
        }
        Ok(Response::new(self.remove(&context, &asker, id).await?))
    }

    /// New listeners and sources are sent elsewhere first, then another leads, then this node is removed; it stops when
    /// the others have let go of it, which ends its sources' connections: their encoders come back at another node.
    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<RemoveNodeReply>, Status> {
        let (asker, context) = (Asker::of(&request), self.context()?);
        let (raft, id) = (&context.raft, context.raft.node_id());
        let refused = |refused: membership::UnsafeRemoval| Status::failed_precondition(refused.to_string());
        membership::check_removal(&context.view.now(), id).map_err(refused)?;
        let drained = MemberUpdate { id, drained: Some(true), ..MemberUpdate::default() };
        raft.propose_as(&asker, Command::MemberUpdate(drained)).await.map_err(|error| admin::from_raft(&error))?;
        if raft.leads()
            && let Err(error) = raft.hand_over(None, HAND_OVER_LIMIT).await
        {
            tracing::warn!(%error, "leadership could not be handed over before leaving");
        }
        Ok(Response::new(self.remove(&context, &asker, id).await?))
    }

    async fn backup(&self, _request: Request<BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let context = self.context()?;
        let raft = context.raft.clone();
        let made = tokio::task::spawn_blocking(move || backup::make(&raft.read(Machine::to_snapshot)));
        let mut rest = made.await.map_err(|error| Status::internal(error.to_string()))?;
        let (sender, receiver) = mpsc::channel(PIECES_QUEUED);
        let stop = context.stop.clone();
        context.tasks.spawn(async move {
            while !rest.is_empty() {
                let data = rest.split_to(PIECE_BYTES.min(rest.len()));
                let piece = Piece { data, remaining_bytes: rest.len() as u64 };
                let sent = stop.run_until_cancelled(timeout(PIECE_LIMIT, sender.send(Ok(piece)))).await;
                if !matches!(sent, Some(Ok(Ok(())))) {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn restore(&self, request: Request<Streaming<Piece>>) -> Result<Response<RestoreReply>, Status> {
        let mut pieces = request.into_inner();
        let mut file = BytesMut::new();
        loop {
            let next = timeout(PIECE_LIMIT, pieces.message()).await;
            let next =
                next.map_err(|_| Status::deadline_exceeded(format!("no more of the file in {PIECE_LIMIT:?}")))?;
            let Some(piece) = next? else { break };
            if file.len() + piece.data.len() > BACKUP_BYTES_MAX {
                return Err(Status::invalid_argument(format!("a backup has at most {BACKUP_BYTES_MAX} bytes")));
            }
            file.extend_from_slice(&piece.data);
        }
        let read = tokio::task::spawn_blocking(move || backup::read(&file));
        let state = read.await.map_err(|error| Status::internal(error.to_string()))?;
        let state = state.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let made = self.daemon.restore(state).await.map_err(|error| not_set_up(&error))?;
        Ok(Response::new(RestoreReply {
            cluster_id: hex_id(made.identity.cluster_id),
            node_id: hex_id(made.identity.node_id),
            revision: made.revision,
            mounts: u32::try_from(made.mounts).unwrap_or(u32::MAX),
        }))
    }

    async fn recover(&self, request: Request<RecoverRequest>) -> Result<Response<RecoverReply>, Status> {
        let context = self.context()?;
        let confirm = request.into_inner().confirm;
        let own = hex_id(context.raft.cluster_id());
        if !confirm.is_empty() && confirm != own {
            return Err(Status::invalid_argument(format!("{confirm} is not this cluster: it is {own}")));
        }
        if context.raft.barrier().await.is_ok() {
            let reason = "a majority of the cluster answers: there is nothing to recover; a dead node is removed with \
                          radioctl node remove NAME";
            return Err(Status::failed_precondition(reason));
        }
        let mut reply = picture(&context);
        if confirm.is_empty() {
            return Ok(Response::new(reply));
        }
        drop(context);
        let (made, kept) = self.daemon.recover().await.map_err(|error| not_set_up(&error))?;
        reply.done = true;
        reply.new_cluster_id = hex_id(made.identity.cluster_id);
        reply.new_node_id = hex_id(made.identity.node_id);
        reply.revision = made.revision;
        reply.kept_in = kept.display().to_string();
        Ok(Response::new(reply))
    }
}

/// What would be given up, and what this node has.
fn picture(context: &Context) -> RecoverReply {
    let (view, status) = (context.view.now(), context.raft.status());
    let voter = |id: &NodeId| Voter {
        name: node_label(&view, *id),
        answers: fitness::is_alive(&view, *id),
        heard_ms: view.loads.get(id).map(|heard| heard.age_ms),
    };
    RecoverReply {
        cluster_id: hex_id(context.raft.cluster_id()),
        name: context.config.name.clone(),
        voters: status.voters.iter().map(voter).collect(),
        last_index: status.last_log_index,
        revision: context.raft.read(Machine::revision),
        ..RecoverReply::default()
    }
}

fn not_set_up(error: &SetupError) -> Status {
    match error {
        SetupError::NotSettled { .. } => Status::deadline_exceeded(error.to_string()),
        SetupError::Start(_) => Status::failed_precondition(error.to_string()),
    }
}
