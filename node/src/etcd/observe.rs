//! Who observes an election: follows the leader's key through history, then the key that was first when it went.

use autoradio_machine::{EventKind, KeyValue, Machine, Refusal, Revision};
use autoradio_proto::etcd::v3electionpb::LeaderResponse;
use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};
use tonic::Status;

use super::{
    answer,
    error::{from_raft, from_refusal},
    header,
    hub::News,
    limits::HISTORY_WINDOW,
    queue::{Queues, prefix, prefix_end},
};

/// One observer of an election.
pub(super) struct Observer {
    queues: Queues,
    name: Bytes,
    prefix: Bytes,
    out: mpsc::Sender<Result<LeaderResponse, Status>>,
    /// The leader's key.
    leader: Option<Bytes>,
    /// The first revision that it has not seen.
    next: Revision,
}

impl Observer {
    pub(super) fn new(queues: Queues, name: Bytes, out: mpsc::Sender<Result<LeaderResponse, Status>>) -> Self {
        Self { queues, prefix: prefix(&name), name, out, leader: None, next: 0 }
    }

    /// Observes until something ends it, and says what.
    pub(super) async fn run(mut self) -> Status {
        // Before the state is read: nothing after it is missed.
        let mut news = self.queues.context.watch_hub.subscribe();
        match self.observe(&mut news).await {
            Ok(()) => Status::unavailable("etcdserver: server stopped"),
            Err(status) => status,
        }
    }

    async fn observe(&mut self, news: &mut broadcast::Receiver<News>) -> Result<(), Status> {
        self.queues.context.raft.barrier().await.map_err(|error| from_raft(&error))?;
        self.look_now().await?;
        loop {
            match news.recv().await {
                Ok(News::Events(events, through)) => {
                    if events.iter().any(|event| event.kv.key.starts_with(&self.prefix)) {
                        self.follow(through).await?;
                    } else {
                        // All news before were seen: there is nothing in between.
                        self.next = self.next.max(through + 1);
                    }
                }
                Ok(News::Look) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    let through = self.queues.context.raft.read(Machine::revision);
                    self.follow(through).await?;
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            }
        }
    }

    /// Sees all up to a revision, a window of history at a time.
    async fn follow(&mut self, through: Revision) -> Result<(), Status> {
        while self.next <= through {
            let window = through.min(self.next.saturating_add(HISTORY_WINDOW - 1));
            match self.step(window).await? {
                Ok(()) => tokio::task::yield_now().await,
                // What happened is forgotten: goes on with what is.
                Err(Refusal::Compacted { .. }) => self.look_now().await?,
                Err(other) => return Err(from_refusal(&other)),
            }
        }
        Ok(())
    }

    /// Sees what there is up to a revision, or a change of the lead before it.
    async fn step(&mut self, through: Revision) -> Result<Result<(), Refusal>, Status> {
        let (key, end) = match &self.leader {
            Some(key) => (key.clone(), Bytes::new()),
            None => (self.prefix.clone(), prefix_end(&self.name)),
        };
        let read = |machine: &Machine| machine.history_window(&key, &end, self.next, through);
        let events = match self.queues.context.raft.read(read) {
            Ok(events) => events,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for event in events {
            let revision = event.kv.mod_revision;
            match (event.kind, self.leader.is_some()) {
                (EventKind::Put, true) => self.tell(event.kv, revision).await?,
                // The first to come leads; its key is followed from here on.
                (EventKind::Put, false) => return self.tell(event.kv, revision).await.map(Ok),
                (EventKind::Delete, true) => {
                    self.leader = None;
                    let first = match self.queues.first(&self.name, revision) {
                        Ok((first, _)) => first,
                        Err(refusal) => return Ok(Err(refusal)),
                    };
                    self.next = revision + 1;
                    return match first {
                        Some(first) => self.tell(first, revision).await.map(Ok),
                        None => Ok(Ok(())),
                    };
                }
                (EventKind::Delete, false) => {}
            }
        }
        self.next = through + 1;
        Ok(Ok(()))
    }

    /// Goes on with the leader of this moment.
    async fn look_now(&mut self) -> Result<(), Status> {
        let (first, revision) = self.queues.first(&self.name, 0).map_err(|refusal| from_refusal(&refusal))?;
        self.leader = None;
        self.next = revision + 1;
        match first {
            Some(first) => self.tell(first, revision).await,
            None => Ok(()),
        }
    }

    /// Sends a leader as of a revision, all before which was seen, and follows its key.
    async fn tell(&mut self, kv: KeyValue, revision: Revision) -> Result<(), Status> {
        self.leader = Some(kv.key.clone());
        self.next = revision + 1;
        let header = Some(header(&self.queues.context.raft, revision));
        let answer = LeaderResponse { header, kv: Some(answer::pair(kv)) };
        // Waits for as long as the client reads nothing; meanwhile the hub's news run over, and history is read.
        self.out.send(Ok(answer)).await.map_err(|_| Status::cancelled("the client has gone"))
    }
}
