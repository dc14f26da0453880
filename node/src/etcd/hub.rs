//! Where applied events fan out to the streams of watches: each batch is kept once and shared by all of them.

use std::{net::SocketAddr, sync::Arc};

use autoradio_machine::{Event, LogIndex, Machine, Revision};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{
    bells::{Bell, Bells},
    event::SharedEvent,
    limits::{HUB_BATCH_BYTES, HUB_BATCHES, WATCHES_NODE_MAX},
    room::Room,
};
use crate::raft::AppliedSink;

/// What a stream of watches is told.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// All events up to a revision, since the news before.
    Events(Arc<[SharedEvent]>, Revision),
    /// Something changed that is to be read from the store's history.
    Look,
}

/// Tells every stream of watches what was applied. Never waits for one: who is too far behind reads history.
#[derive(Debug)]
pub struct WatchHub {
    news: broadcast::Sender<News>,
    bells: Arc<Bells>,
    room: Arc<Room>,
}

impl Default for WatchHub {
    fn default() -> Self {
        Self {
            news: broadcast::Sender::new(HUB_BATCHES),
            bells: Arc::default(),
            room: Arc::new(Room::new(WATCHES_NODE_MAX)),
        }
    }
}

impl WatchHub {
    /// Everything from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Everything from now on, for one of many: the bell of a connection's stream says when there is some.
    pub(super) fn subscribe_with_bell(&self, connection: Option<SocketAddr>) -> (broadcast::Receiver<News>, Bell) {
        // In this order: nothing is told before the bell hangs and missed.
        let bell = self.bells.hang(connection);
        (self.subscribe(), bell)
    }

    /// Rings the bells until the node stops.
    pub async fn keep_ringing(self: Arc<Self>, stop: CancellationToken) {
        let _stopped = stop.run_until_cancelled(self.bells.keep_ringing()).await;
    }

    /// Room for watches.
    #[must_use]
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    fn tell(&self, news: News) {
        // Nobody watching is no failure.
        let _told = self.news.send(news);
        self.bells.ring();
    }
}

impl AppliedSink for WatchHub {
    fn applied(&self, machine: &Machine, _index: LogIndex, events: &[Event]) {
        if events.is_empty() || self.news.receiver_count() == 0 {
            return;
        }
        let bytes: usize = events.iter().map(|event| event.kv.key.len() + event.kv.value.len()).sum();
        if bytes > HUB_BATCH_BYTES {
            self.tell(News::Look);
        } else {
            let shared = events.iter().cloned().map(SharedEvent::from).collect();
            self.tell(News::Events(shared, machine.revision()));
        }
    }

    fn restored(&self, _machine: &Machine, _index: LogIndex) {
        self.tell(News::Look);
    }
}
