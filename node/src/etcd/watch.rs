//! The Watch service: each stream has a task that holds its watches.
//!
//! Events come from the hub. Who is behind (a watch from the past, a slow client, a state that was replaced) reads
//! the store's history up to the revision of the moment and takes the hub's news from there on: each watch knows the
//! next revision that it has to see, so that every event is sent once and in order, wherever it comes from.

use std::{collections::BTreeMap, sync::Arc};

use autoradio_machine::{Machine, Refusal, Revision};
use autoradio_proto::etcd::etcdserverpb::{
    WatchCreateRequest, WatchRequest, WatchResponse, watch_request::RequestUnion, watch_server::Watch,
};
use tokio::{
    sync::{broadcast, mpsc},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    header,
    hub::News,
    limits::{ANSWERS_QUEUED, HISTORY_WINDOW, PROGRESS_EVERY, WATCHES_MAX, WATCHES_NODE_MAX},
    require_leader,
    room::{Room, Taken},
    watcher::Watcher,
    words,
};
use crate::{context::Context, raft::RaftHandle};

/// What etcd's clients know as an id that no watch has.
const NO_WATCH: i64 = -1;

/// The client has gone: the stream's task ends.
struct Gone;

type Answer = Result<WatchResponse, Status>;

pub(super) struct WatchService {
    pub(super) context: Context,
}

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = ReceiverStream<Answer>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = mpsc::channel(ANSWERS_QUEUED);
        let watches = Watches {
            raft: self.context.raft.clone(),
            news: self.context.watch_hub.subscribe(),
            out: sender,
            watchers: BTreeMap::new(),
            next_id: 0,
            room: self.context.watch_hub.room().clone(),
            _place: self.context.watch_hub.room().stream(),
        };
        let led = require_leader::wanted(request.metadata());
        let (raft, stop, requests) = (self.context.raft.clone(), self.context.stop.clone(), request.into_inner());
        self.context.tasks.spawn(async move {
            let out = watches.out.clone();
            let why = tokio::select! {
                () = watches.run(requests) => return,
                () = stop.cancelled() => Status::unavailable("etcdserver: server stopped"),
                () = require_leader::lost(&raft), if led => require_leader::no_leader(),
            };
            // Told without waiting: who reads nothing is not told why.
            let _told = out.try_send(Err(why));
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// The watches of one stream.
struct Watches {
    raft: RaftHandle,
    news: broadcast::Receiver<News>,
    out: mpsc::Sender<Answer>,
    watchers: BTreeMap<i64, Watcher>,
    next_id: i64,
    room: Arc<Room>,
    _place: Taken,
}

impl Watches {
    async fn run(mut self, mut requests: Streaming<WatchRequest>) {
        let mut tick = interval(PROGRESS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (out, mut more) = (self.out.clone(), true);
        loop {
            let done = tokio::select! {
                () = out.closed() => Err(Gone),
                request = requests.message(), if more => match request {
                    Ok(Some(request)) => self.answer(request).await,
                    // A client that has asked for all it wants still listens.
                    Ok(None) => { more = false; Ok(()) }
                    Err(status) => {
                        // Told without waiting, for a request that is too large; of those that are gone nobody reads it.
                        let _told = self.out.try_send(Err(words::in_etcds(status)));
                        Err(Gone)
                    }
                },
                news = self.news.recv() => match news {
                    Ok(News::Events(events, through)) => self.deliver(&events, through).await,
                    Ok(News::Look) | Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up().await.map(drop),
                    Err(broadcast::error::RecvError::Closed) => Err(Gone),
                },
                _ = tick.tick() => self.tell_progress().await,
            };
            if done.is_err() {
                return;
            }
        }
    }

    async fn answer(&mut self, request: WatchRequest) -> Result<(), Gone> {
        match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => self.create(&request).await,
            Some(RequestUnion::CancelRequest(request)) => {
                if self.watchers.remove(&request.watch_id).is_none() {
                    return Ok(());
                }
                let answer = WatchResponse { watch_id: request.watch_id, canceled: true, ..WatchResponse::default() };
                self.send(answer, self.revision()).await
            }
            Some(RequestUnion::ProgressRequest(_)) => {
                // All that happened before must have been sent before.
                let revision = self.catch_up().await?;
                // A client goes on after what it was told last: one that waits for a later revision must not be told an
                // earlier one (etcd #20221, which does not answer either).
                if self.watchers.values().any(|watcher| watcher.next > revision + 1) {
                    return Ok(());
                }
                self.send(WatchResponse { watch_id: NO_WATCH, ..WatchResponse::default() }, revision).await
            }
            None => Ok(()),
        }
    }

    async fn create(&mut self, request: &WatchCreateRequest) -> Result<(), Gone> {
        let current = self.revision();
        let watcher = self.place(request.watch_id).and_then(|(id, place)| Watcher::new(id, place, request, current));
        let watcher = match watcher {
            Ok(watcher) => watcher,
            Err(reason) => {
                let (watch_id, cancel_reason) = (NO_WATCH, reason);
                let answer = WatchResponse {
                    watch_id,
                    created: true,
                    canceled: true,
                    cancel_reason,
                    ..WatchResponse::default()
                };
                return self.send(answer, current).await;
            }
        };
        let id = watcher.id;
        self.watchers.insert(id, watcher);
        let created = WatchResponse { watch_id: id, created: true, ..WatchResponse::default() };
        self.send(created, current).await?;
        self.catch_up_one(id, current).await
    }

    /// An id, and room for it.
    fn place(&mut self, wanted: i64) -> Result<(i64, Taken), String> {
        let place = self
            .room
            .watch()
            .ok_or_else(|| format!("etcdserver: too many watches on this node ({WATCHES_NODE_MAX}); use another"))?;
        Ok((self.free_id(wanted)?, place))
    }

    /// The id asked for, or the next free one for 0.
    fn free_id(&mut self, wanted: i64) -> Result<i64, &'static str> {
        if self.watchers.len() >= WATCHES_MAX {
            return Err("etcdserver: too many watches on one stream");
        }
        if wanted != 0 {
            let taken = self.watchers.contains_key(&wanted);
            return if taken { Err("mvcc: duplicate watch ID provided on the WatchStream") } else { Ok(wanted) };
        }
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Ok(self.next_id - 1)
    }

    async fn deliver(&mut self, events: &[autoradio_machine::Event], through: Revision) -> Result<(), Gone> {
        let mut answers = Vec::new();
        for watcher in self.watchers.values_mut() {
            let more = watcher.take(events, through);
            if !more.is_empty() {
                watcher.told = Instant::now();
                answers.extend(more);
            }
        }
        self.send_all(answers).await
    }

    /// Brings all watches up to the revision of this moment, which is returned.
    async fn catch_up(&mut self) -> Result<Revision, Gone> {
        let target = self.revision();
        for id in self.watchers.keys().copied().collect::<Vec<_>>() {
            self.catch_up_one(id, target).await?;
        }
        Ok(target)
    }

    /// Brings one watch up to a revision, a window of history at a time.
    async fn catch_up_one(&mut self, id: i64, target: Revision) -> Result<(), Gone> {
        while let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| watcher.next <= target) {
            let (from, through) = (watcher.next, target.min(watcher.next.saturating_add(HISTORY_WINDOW - 1)));
            let read = |machine: &Machine| machine.history_window(&watcher.key, &watcher.end, from, through);
            match self.raft.read(read) {
                Ok(events) => {
                    let answers = watcher.take(&events, through);
                    if !answers.is_empty() {
                        watcher.told = Instant::now();
                    }
                    self.send_all(answers).await?;
                    // Between windows others have their turn.
                    tokio::task::yield_now().await;
                }
                Err(Refusal::Compacted { compact_revision }) => {
                    self.watchers.remove(&id);
                    let answer =
                        WatchResponse { watch_id: id, canceled: true, compact_revision, ..WatchResponse::default() };
                    return self.send(answer, self.revision()).await;
                }
                Err(other) => {
                    self.watchers.remove(&id);
                    let cancel_reason = other.to_string();
                    let answer =
                        WatchResponse { watch_id: id, canceled: true, cancel_reason, ..WatchResponse::default() };
                    return self.send(answer, self.revision()).await;
                }
            }
        }
        Ok(())
    }

    /// Tells those that asked for it, and had nothing for long, how far they are.
    async fn tell_progress(&mut self) -> Result<(), Gone> {
        let current = self.catch_up().await?;
        let now = Instant::now();
        let mut answers = Vec::new();
        for watcher in self.watchers.values_mut().filter(|watcher| watcher.progress_notify) {
            if watcher.next == current + 1 && now.duration_since(watcher.told) >= PROGRESS_EVERY {
                watcher.told = now;
                answers.push(WatchResponse { watch_id: watcher.id, ..WatchResponse::default() });
            }
        }
        for answer in answers {
            self.send(answer, current).await?;
        }
        Ok(())
    }

    fn revision(&self) -> Revision {
        self.raft.read(Machine::revision)
    }

    async fn send(&self, mut answer: WatchResponse, revision: Revision) -> Result<(), Gone> {
        answer.header = Some(header(&self.raft, revision));
        // Waits for as long as the client reads nothing; meanwhile the hub's news run over, and history is read. A
        // dead client ends by the connection's keep-alive.
        self.out.send(Ok(answer)).await.map_err(|_| Gone)
    }

    /// Sends answers that know their revision.
    async fn send_all(&self, answers: Vec<WatchResponse>) -> Result<(), Gone> {
        for answer in answers {
            let revision = answer.header.as_ref().map_or(0, |header| header.revision);
            self.send(answer, revision).await?;
        }
        Ok(())
    }
}
