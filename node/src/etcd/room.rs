//! Room for watches on this node: counted, for `/metrics`, and bounded.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Room for watches, of all streams together.
#[derive(Debug)]
pub struct Room {
    most: usize,
    streams: AtomicUsize,
    watches: AtomicUsize,
}

/// A stream's or a watch's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    room: Arc<Room>,
    of: fn(&Room) -> &AtomicUsize,
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        Self { most, streams: AtomicUsize::new(0), watches: AtomicUsize::new(0) }
    }

    /// Streams and watches now.
    #[must_use]
    pub fn taken(&self) -> (usize, usize) {
        (self.streams.load(Relaxed), self.watches.load(Relaxed))
    }

    /// A stream's place. Streams are requests, which the port bounds.
    pub(super) fn stream(self: &Arc<Self>) -> Taken {
        self.streams.fetch_add(1, Relaxed);
        Taken { room: self.clone(), of: |room| &room.streams }
    }

    /// A watch's place, while there is one.
    pub(super) fn watch(self: &Arc<Self>) -> Option<Taken> {
        let one_more = |watches: usize| (watches < self.most).then_some(watches + 1);
        self.watches.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Taken { room: self.clone(), of: |room| &room.watches })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        (self.of)(&self.room).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_bounded_and_places_come_back() {
        let room = Arc::new(Room::new(2));
        let (stream, first, second) = (room.stream(), room.watch(), room.watch());
        assert!(first.is_some() && second.is_some() && room.watch().is_none());
        assert_eq!(room.taken(), (1, 2));
        drop(first);
        assert!(room.watch().is_some());
        drop((stream, second));
        assert_eq!(room.taken(), (0, 0));
    }
}
