//! Where applied events fan out to the streams of watches: each batch is kept once and shared by all of them.

use std::sync::Arc;

use autoradio_machine::{Event, LogIndex, Machine, Revision};
use tokio::sync::broadcast;

use super::{
    limits::{HUB_BATCH_BYTES, HUB_BATCHES, WATCHES_NODE_MAX},
    room::Room,
};
use crate::raft::AppliedSink;

/// What a stream of watches is told.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// All events up to a revision, since the news before.
    Events(Arc<[Event]>, Revision),
    /// Something changed that is to be read from the store's history.
    Look,
}

/// Tells every stream of watches what was applied. Never waits for one: who is too far behind reads history.
#[derive(Debug)]
pub struct WatchHub {
    news: broadcast::Sender<News>,
    room: Arc<Room>,
}

impl Default for WatchHub {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(HUB_BATCHES), room: Arc::new(Room::new(WATCHES_NODE_MAX)) }
    }
}

impl WatchHub {
    /// Everything from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Room for watches.
    #[must_use]
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    fn tell(&self, news: News) {
        // Nobody watching is no failure.
        let _told = self.news.send(news);
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
            self.tell(News::Events(events.into(), machine.revision()));
        }
    }

    fn restored(&self, _machine: &Machine, _index: LogIndex) {
        self.tell(News::Look);
    }
}
