//! Queues of keys, as etcd's locks and elections are: each contender has the key `NAME/LEASE` (its lease in hex), and
//! the one that was created first is the owner (etcd's `client/v3/concurrency`;
//! <https://etcd.io/docs/v3.5/dev-guide/api_concurrency_reference_v3/>).
//!
//! Each wait is a task of the node's. It hears from the hub when the key before its own, or its own, is deleted.

use std::sync::Arc;

use autoradio_machine::{
    Access, Command, Compare, CompareResult, CompareTarget, DeleteRequest, Event, EventKind, KeyValue, LeaseId,
    Machine, Op, PutRequest, RangeRequest, Refusal, Response, Revision, SortOrder, SortTarget, TxnRequest,
};
use autoradio_store::{ConsensusError, Proposed};
use bytes::Bytes;
use tokio::sync::{Semaphore, broadcast, oneshot};
use tonic::{Code, Status};

use super::{
    answer::misfit,
    error::{EtcdError, from_raft, from_refusal},
    hub::News,
    limits::{QUEUE_LEASE_TTL_S, QUEUE_WAITS_MAX},
};
use crate::{caller::Asker, context::Context, raft::RaftError};

/// Who wants to own a name.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) asker: Asker,
    pub(super) name: Bytes,
    /// 0 for one of its own.
    pub(super) lease: LeaseId,
    /// What the key is to hold; `None` for nothing, and a key that is there already stays as it is.
    pub(super) value: Option<Bytes>,
    /// What is said when the key went away while it waited.
    pub(super) lost: EtcdError,
}

/// A contender's place in the queue.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: Bytes,
    pub(super) lease: LeaseId,
    /// The key's create revision: the order of the queue.
    pub(super) created: Revision,
    /// The revision at which the place was taken.
    pub(super) entered: Revision,
}

/// A place that has become the first.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) place: Place,
    /// A revision at which it was the first.
    pub(super) revision: Revision,
}

/// How a place stands.
enum Standing {
    First,
    Behind(Bytes),
    Lost,
}

/// The queues, and their waits on this node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Queues {
    pub(super) context: Context,
    waits: Arc<Semaphore>,
}

impl Queues {
    pub(super) fn new(context: Context) -> Self {
        Self { context, waits: Arc::new(Semaphore::new(QUEUE_WAITS_MAX)) }
    }

    /// Enters the queue and waits until the contender is the first. When the call is dropped, the key goes.
    pub(super) async fn own(&self, contender: Contender) -> Result<Turn, Status> {
        let permit = self.waits.clone().try_acquire_owned().map_err(|_| Status::from(EtcdError::TooManyRequests))?;
        let (answer, answered) = oneshot::channel();
        let (queues, stop) = (self.clone(), self.context.stop.clone());
        self.context.tasks.spawn(async move {
            let _permit = permit;
            // When the node stops the key stays: the client may go on waiting in its place by way of another node.
            tokio::select! {
                () = queues.contend(contender, answer) => {}
                () = stop.cancelled() => {}
            }
        });
        answered.await.unwrap_or_else(|_| Err(Status::unavailable("etcdserver: server stopped")))
    }

    async fn contend(&self, contender: Contender, mut answer: oneshot::Sender<Result<Turn, Status>>) {
        // Before the key is there: nothing after it is missed.
        let news = self.context.watch_hub.subscribe();
        let place = match self.enter(&contender).await {
            Ok(place) => place,
            Err(status) => {
                // Who has gone is told nothing.
                let _told = answer.send(Err(status));
                return;
            }
        };
        let turn = tokio::select! {
            turn = self.wait(&contender, &place, news) => turn,
            () = answer.closed() => Err(Status::cancelled("the client has gone")),
        };
        let first = turn.is_ok();
        if !first {
            self.leave(&place).await;
        }
        // A key on the client's own lease stays when it has become the first: the client may have asked again already,
        // and own it.
        if answer.send(turn).is_err() && first && contender.lease == 0 {
            self.leave(&place).await;
        }
    }

    async fn enter(&self, contender: &Contender) -> Result<Place, Status> {
        // etcd's contenders look at the whole queue in the transaction that enters it.
        self.permit_look(&contender.asker, &contender.name).await?;
        let lease = self.lease(&contender.asker, contender.lease).await?;
        let key = key(&contender.name, lease);
        let value = contender.value.clone().unwrap_or_default();
        let put = Op::Put(PutRequest { key: key.clone(), value: value.clone(), lease, ..PutRequest::default() });
        let mut failure = vec![Op::Range(RangeRequest { key: key.clone(), ..RangeRequest::default() })];
        if contender.value.is_some() {
            let compare = vec![compare(&key, CompareResult::NotEqual, CompareTarget::Value(value))];
            failure.push(Op::Txn(TxnRequest { compare, success: vec![put.clone()], failure: vec![] }));
        }
        let compare = vec![compare(&key, CompareResult::Equal, CompareTarget::Create(0))];
        let enter = Command::Txn(TxnRequest { compare, success: vec![put], failure });
        let done = self.propose(&contender.asker, enter).await?;
        let created = match &done.response {
            Response::Txn { succeeded: true, .. } => Some(done.revision),
            Response::Txn { responses, .. } => match responses.first() {
                Some(Response::Range(found)) => found.kvs.first().map(|kv| kv.create_revision),
                _ => None,
            },
            _ => None,
        };
        let created = created.ok_or_else(|| misfit(&done.response))?;
        Ok(Place { key, lease, created, entered: done.revision })
    }

    async fn wait(
        &self,
        contender: &Contender,
        place: &Place,
        mut news: broadcast::Receiver<News>,
    ) -> Result<Turn, Status> {
        let mut waited = false;
        loop {
            let (standing, revision) = self.standing(&contender.name, place)?;
            let before = match standing {
                Standing::Lost => return Err(contender.lost.into()),
                Standing::First if waited => {
                    // The key may be gone by now where this node has not heard of it yet.
                    self.context.raft.barrier().await.map_err(|error| from_raft(&error))?;
                    return match self.standing(&contender.name, place)? {
                        (Standing::First, revision) => Ok(Turn { place: place.clone(), revision }),
                        _ => Err(contender.lost.into()),
                    };
                }
                Standing::First => return Ok(Turn { place: place.clone(), revision }),
                Standing::Behind(before) => before,
            };
            waited = true;
            let matters = |event: &Event| {
                event.kind == EventKind::Delete && (event.kv.key == before || event.kv.key == place.key)
            };
            loop {
                match news.recv().await {
                    Ok(News::Events(events, _)) if !events.iter().any(|event| matters(event)) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => {
                        return Err(Status::unavailable("etcdserver: server stopped"));
                    }
                }
            }
        }
    }

    /// How a place stands here, and at which revision.
    fn standing(&self, name: &[u8], place: &Place) -> Result<(Standing, Revision), Status> {
        let own = RangeRequest { key: place.key.clone(), ..RangeRequest::default() };
        let before = RangeRequest {
            max_create_revision: place.created - 1,
            sort_order: SortOrder::Descend,
            keys_only: true,
            ..by_creation(name)
        };
        let read = |machine: &Machine| -> Result<_, Refusal> {
            let own = machine.range(&own)?.kvs.into_iter().next();
            // The first of the store has nobody before it, and 0 would mean no bound.
            let before = if place.created > 1 { machine.range(&before)?.kvs.into_iter().next() } else { None };
            Ok((own, before, machine.revision()))
        };
        let (own, before, revision) = self.context.raft.read(read).map_err(|refusal| from_refusal(&refusal))?;
        let standing = match (own, before) {
            (Some(own), Some(before)) if own.create_revision == place.created => Standing::Behind(before.key),
            (Some(own), None) if own.create_revision == place.created => Standing::First,
            _ => Standing::Lost,
        };
        Ok((standing, revision))
    }

    /// Takes a place's key away. Where that fails, it ends with its lease.
    async fn leave(&self, place: &Place) {
        // The node's own doing: the client has gone, and its token with it perhaps.
        let node = Asker::trusted("the node", "");
        if let Err(status) = self.remove(&node, &place.key, place.created).await {
            tracing::warn!(key = ?place.key, %status, "a contender's key was not deleted");
        }
    }

    /// Deletes a key if it is still the one that was created at that revision.
    pub(super) async fn remove(&self, asker: &Asker, key: &Bytes, created: Revision) -> Result<Revision, Status> {
        let delete = Op::Delete(DeleteRequest { key: key.clone(), ..DeleteRequest::default() });
        Ok(self.change(asker, key, created, delete).await?.revision)
    }

    /// Carries out `op` if the key is still the one that was created at that revision.
    pub(super) async fn change(
        &self,
        asker: &Asker,
        key: &Bytes,
        created: Revision,
        op: Op,
    ) -> Result<Proposed, Status> {
        let compare = vec![compare(key, CompareResult::Equal, CompareTarget::Create(created))];
        self.propose(asker, Command::Txn(TxnRequest { compare, success: vec![op], failure: vec![] })).await
    }

    /// The lease, or one of its own for 0: nobody keeps it alive but who learns its id from the key.
    pub(super) async fn lease(&self, asker: &Asker, id: LeaseId) -> Result<LeaseId, Status> {
        if id != 0 {
            return Ok(id);
        }
        let done = self.propose(asker, Command::LeaseGrant { id, ttl_s: QUEUE_LEASE_TTL_S }).await?;
        match done.response {
            Response::Lease { id, .. } => Ok(id),
            other => Err(misfit(&other)),
        }
    }

    /// Proposes. etcd's server has these services from its own client, which is why what is refused has no code there.
    pub(super) async fn propose(&self, asker: &Asker, command: Command) -> Result<Proposed, Status> {
        self.context.raft.propose_as(asker, command).await.map_err(|error| match &error {
            RaftError::Consensus(ConsensusError::Refused(refusal)) => Status::new(Code::Unknown, refusal.to_string()),
            other => from_raft(other),
        })
    }

    /// Refuses who may not read a queue.
    pub(super) async fn permit_look(&self, asker: &Asker, name: &[u8]) -> Result<(), Status> {
        let (start, end) = (prefix(name), prefix_end(name));
        let access = Access::Read(&start, &end);
        let checked = self.context.raft.read_as(asker, |machine, who| machine.permit(who, access)).await;
        checked.map_err(|refusal| Status::new(Code::Unknown, refusal.to_string()))
    }

    /// The first of a queue at a revision (0: now), as this node has it.
    pub(super) fn first(&self, name: &[u8], revision: Revision) -> Result<(Option<KeyValue>, Revision), Refusal> {
        let request = RangeRequest { revision, ..by_creation(name) };
        self.context.raft.read(|machine| Ok((machine.range(&request)?.kvs.into_iter().next(), machine.revision())))
    }
}

/// What all keys of a queue begin with.
pub(super) fn prefix(name: &[u8]) -> Bytes {
    [name, b"/"].concat().into()
}

/// What is behind all of them: `0` comes after `/`.
pub(super) fn prefix_end(name: &[u8]) -> Bytes {
    [name, b"0"].concat().into()
}

fn key(name: &[u8], lease: LeaseId) -> Bytes {
    // As Go writes it: a sign, no padding.
    let sign = if lease < 0 { "-" } else { "" };
    [name, format!("/{sign}{:x}", lease.unsigned_abs()).as_bytes()].concat().into()
}

fn by_creation(name: &[u8]) -> RangeRequest {
    RangeRequest {
        key: prefix(name),
        range_end: prefix_end(name),
        limit: 1,
        sort_order: SortOrder::Ascend,
        sort_target: SortTarget::Create,
        ..RangeRequest::default()
    }
}

fn compare(key: &Bytes, result: CompareResult, target: CompareTarget) -> Compare {
    Compare { key: key.clone(), range_end: Bytes::new(), result, target }
}
