//! The Watch service: the watches of each stream.
//!
//! Events come from the hub. Who is behind (a watch from the past, a slow client, a state that was replaced) reads
//! the store's history up to the revision of the moment and takes the hub's news from there on: each watch knows the
//! next revision that it has to see, so that every event is sent once and in order, wherever it comes from.

use std::{collections::BTreeMap, sync::Arc};

use autoradio_machine::{Access, Machine, Refusal, Revision};
use autoradio_proto::etcd::etcdserverpb::{
    WatchCreateRequest, WatchRequest, WatchResponse, watch_request::RequestUnion,
};
use tokio::{
    sync::broadcast::{self, error::TryRecvError},
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::{Request, Status, Streaming};

use super::{
    ResponseHeader,
    answers::{Answers, Outbox},
    bells::Bell,
    error::cancel_reason,
    event::SharedEvent,
    header,
    hub::News,
    limits::{HISTORY_WINDOW, PROGRESS_EVERY, WATCHES_MAX, WATCHES_NODE_MAX},
    parts::Parts,
    require_leader,
    room::{Room, Taken},
    watcher::Watcher,
    words,
};
use crate::{caller::Asker, context::Context, raft::RaftHandle, tls::PeerAddress};

/// What etcd's clients know as an id that no watch has.
const NO_WATCH: i64 = -1;

#[derive(Clone)]
pub(super) struct WatchService {
    pub(super) context: Context,
}

impl WatchService {
    /// The answers to a stream of requests.
    pub(super) fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Answers {
        let hub = &self.context.watch_hub;
        let (raft, stop, outbox) = (self.context.raft.clone(), self.context.stop.clone(), Outbox::default());
        let connection = request.extensions().get().map(|PeerAddress(address)| *address);
        let (news, bell) = hub.subscribe_with_bell(connection);
        let watches = Watches {
            raft: raft.clone(),
            asker: Asker::of(&request),
            news,
            bell,
            out: outbox.clone(),
            watchers: BTreeMap::new(),
            next_id: 0,
            room: hub.room().clone(),
            _place: hub.room().stream(),
        };
        let led = require_leader::wanted(request.metadata());
        Answers::new(outbox, async move {
            tokio::select! {
                ended = watches.run(request.into_inner()) => ended,
                () = stop.cancelled() => Status::unavailable("etcdserver: server stopped"),
                () = require_leader::lost(&raft), if led => require_leader::no_leader(),
            }
        })
    }
}

/// The watches of one stream.
struct Watches {
    raft: RaftHandle,
    asker: Asker,
    news: broadcast::Receiver<News>,
    bell: Bell,
    out: Outbox,
    watchers: BTreeMap<i64, Watcher>,
    next_id: i64,
    room: Arc<Room>,
    _place: Taken,
}

impl Watches {
    /// Answers until something ends it, and says what.
    async fn run(mut self, mut requests: Streaming<WatchRequest>) -> Status {
        let mut tick = interval(PROGRESS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more = true;
        loop {
            // For as long as the client reads nothing; meanwhile the hub's news run over, and history is read. A dead
            // client ends by the connection's keep-alive.
            self.out.taken().await;
            tokio::select! {
                request = requests.message(), if more => match request {
                    Ok(Some(request)) => self.answer(request).await,
                    // A client that has asked for all it wants still listens.
                    Ok(None) => more = false,
                    Err(status) => return words::in_etcds(status),
                },
                () = self.bell.rung() => self.hear().await,
                _ = tick.tick() => self.tell_progress().await,
            }
        }
    }

    /// Takes the news that there are; the bell is rung for those that come meanwhile.
    async fn hear(&mut self) {
        for _ in 0..self.news.len() {
            match self.news.try_recv() {
                Ok(News::Events(events, through)) => self.deliver(&events, through),
                Ok(News::Look) | Err(TryRecvError::Lagged(_)) => {
                    self.catch_up().await;
                }
                // The hub outlives the streams, which end with the node.
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
            self.out.taken().await;
        }
    }

    async fn answer(&mut self, request: WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => self.create(&request).await,
            Some(RequestUnion::CancelRequest(request)) => self.cancel(request.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => {
                // All that happened before must have been sent before.
                let revision = self.catch_up().await;
                // A client goes on after what it was told last: one that waits for a later revision must not be told an
                // earlier one (etcd #20221, which does not answer either).
                if self.watchers.values().all(|watcher| watcher.next <= revision + 1) {
                    self.send(WatchResponse { watch_id: NO_WATCH, ..WatchResponse::default() }, revision);
                }
            }
            None => {}
        }
    }

    /// Ends a watch, and says so if there was one.
    fn cancel(&mut self, watch_id: i64) {
        if self.watchers.remove(&watch_id).is_some() {
            let answer = WatchResponse { watch_id, canceled: true, ..WatchResponse::default() };
            self.send(answer, self.revision());
        }
    }

    async fn create(&mut self, request: &WatchCreateRequest) {
        let current = self.revision();
        let watcher = match self.permitted(request, current).await {
            Ok(watcher) => watcher,
            Err(cancel_reason) => {
                let watch_id = NO_WATCH;
                let answer = WatchResponse {
                    watch_id,
                    created: true,
                    canceled: true,
                    cancel_reason,
                    ..WatchResponse::default()
                };
                return self.send(answer, current);
            }
        };
        let id = watcher.id;
        self.watchers.insert(id, watcher);
        let created = WatchResponse { watch_id: id, created: true, ..WatchResponse::default() };
        self.send(created, current);
        self.catch_up_one(id, current).await;
    }

    /// The watch that is asked for, if it may be. The range is looked at as it is: an open end is no single key.
    async fn permitted(&mut self, request: &WatchCreateRequest, current: Revision) -> Result<Watcher, String> {
        let key: &[u8] = if request.key.is_empty() { b"\0" } else { &request.key };
        let access = Access::Read(key, &request.range_end);
        let checked = self.raft.read_as(&self.asker, |machine, who| machine.permit(who, access)).await;
        checked.map_err(|refusal| cancel_reason(&refusal))?;
        let (id, place) = self.place(request.watch_id)?;
        Watcher::new(id, place, request, current)
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

    fn deliver(&mut self, events: &[SharedEvent], through: Revision) {
        let told = header(&self.raft, through);
        for watcher in self.watchers.values_mut() {
            hand_out(watcher, events, through, told, &self.out);
        }
    }

    /// Brings all watches up to the revision of this moment, which is returned.
    async fn catch_up(&mut self) -> Revision {
        let target = self.revision();
        for id in self.watchers.keys().copied().collect::<Vec<_>>() {
            self.catch_up_one(id, target).await;
        }
        target
    }

    /// Brings one watch up to a revision, a window of history at a time.
    async fn catch_up_one(&mut self, id: i64, target: Revision) {
        while let Some(watcher) = self.watchers.get_mut(&id).filter(|watcher| watcher.next <= target) {
            let (from, through) = (watcher.next, target.min(watcher.next.saturating_add(HISTORY_WINDOW - 1)));
            let read = |machine: &Machine| machine.history_window(&watcher.key, &watcher.end, from, through);
            let cancelled = match self.raft.read(read) {
                Ok(events) => {
                    let events: Vec<_> = events.into_iter().map(SharedEvent::from).collect();
                    hand_out(watcher, &events, through, header(&self.raft, through), &self.out);
                    self.out.taken().await;
                    // Between windows others have their turn.
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(Refusal::Compacted { compact_revision }) => {
                    WatchResponse { compact_revision, ..WatchResponse::default() }
                }
                Err(other) => WatchResponse { cancel_reason: other.to_string(), ..WatchResponse::default() },
            };
            self.watchers.remove(&id);
            self.send(WatchResponse { watch_id: id, canceled: true, ..cancelled }, self.revision());
        }
    }

    /// Tells those that asked for it, and had nothing for long, how far they are.
    async fn tell_progress(&mut self) {
        let current = self.catch_up().await;
        let now = Instant::now();
        let mut due = Vec::new();
        for watcher in self.watchers.values_mut().filter(|watcher| watcher.progress_notify) {
            if watcher.next == current + 1 && now.duration_since(watcher.told) >= PROGRESS_EVERY {
                watcher.told = now;
                due.push(watcher.id);
            }
        }
        for watch_id in due {
            self.send(WatchResponse { watch_id, ..WatchResponse::default() }, current);
        }
    }

    fn revision(&self) -> Revision {
        self.raft.read(Machine::revision)
    }

    /// Sends an answer without events.
    fn send(&self, mut answer: WatchResponse, revision: Revision) {
        answer.header = Some(header(&self.raft, revision));
        self.out.push(&answer, &[]);
    }
}

/// Hands a watch all events up to a revision; `told` is the header of that revision, whose term all answers have.
fn hand_out(watcher: &mut Watcher, events: &[SharedEvent], through: Revision, told: ResponseHeader, out: &Outbox) {
    let prev_kv = watcher.prev_kv;
    for cut in watcher.take(events, through) {
        watcher.told = Instant::now();
        let answer = WatchResponse {
            header: Some(ResponseHeader { revision: cut.revision, ..told }),
            watch_id: watcher.id,
            fragment: cut.fragment,
            ..WatchResponse::default()
        };
        let events: Vec<&Parts> = cut.events.into_iter().map(|event| event.encoded(prev_kv)).collect();
        out.push(&answer, &events);
    }
}
