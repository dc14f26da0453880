//! One watch of a stream: what it wants to see, and how far it has got.

use autoradio_machine::{Event, EventKind, Revision};
use autoradio_proto::etcd::etcdserverpb::{WatchCreateRequest, watch_create_request::FilterType};
use bytes::Bytes;
use tokio::time::Instant;

use super::{event::SharedEvent, limits::ANSWER_BYTES, room::Taken};

/// A watch.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) id: i64,
    pub(super) key: Bytes,
    pub(super) end: Bytes,
    /// The first revision that it has not been told yet: everything before was sent, or was not for it.
    pub(super) next: Revision,
    pub(super) progress_notify: bool,
    /// When it was last told anything.
    pub(super) told: Instant,
    puts: bool,
    deletes: bool,
    /// Whether it wants to see what was before.
    pub(super) prev_kv: bool,
    fragment: bool,
    _place: Taken,
}

impl Watcher {
    /// The watch that is asked for, or why it cannot be. No key means, as in etcd, the smallest one.
    pub(super) fn new(id: i64, place: Taken, request: &WatchCreateRequest, current: Revision) -> Result<Self, String> {
        let key = if request.key.is_empty() { Bytes::from_static(b"\0") } else { request.key.clone() };
        let end = request.range_end.clone();
        if !end.is_empty() && end[..] != [0] && end <= key {
            return Err("mvcc: watcher range is empty".into());
        }
        let without = |filter: FilterType| request.filters.contains(&i32::from(filter));
        Ok(Self {
            id,
            key,
            end,
            next: if request.start_revision > 0 { request.start_revision } else { current + 1 },
            progress_notify: request.progress_notify,
            told: Instant::now(),
            puts: !without(FilterType::Noput),
            deletes: !without(FilterType::Nodelete),
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            _place: place,
        })
    }

    fn wants(&self, event: &Event) -> bool {
        let key = &event.kv.key;
        let inside = match &self.end[..] {
            [] => *key == self.key,
            [0] => *key >= self.key,
            end => *key >= self.key && &key[..] < end,
        };
        let kind = match event.kind {
            EventKind::Put => self.puts,
            EventKind::Delete => self.deletes,
        };
        inside && kind && event.kv.mod_revision >= self.next
    }

    /// Takes all events up to a revision; the answers to send. What it has seen before is left out.
    pub(super) fn take<'a>(&mut self, events: &'a [SharedEvent], through: Revision) -> Vec<Cut<'a>> {
        if through < self.next {
            return Vec::new();
        }
        let mut cuts = Cuts { fragment: self.fragment, done: Vec::new(), events: Vec::new(), bytes: 0, revision: 0 };
        for event in events.iter().filter(|event| self.wants(event)) {
            cuts.add(event, event.encoded(self.prev_kv).len());
        }
        self.next = through + 1;
        cuts.finish(through)
    }
}

/// Events of one answer.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// All events up to here were told with it.
    pub(super) revision: Revision,
    /// Whether more events of this revision follow.
    pub(super) fragment: bool,
    pub(super) events: Vec<&'a SharedEvent>,
}

/// Events cut into answers: between revisions, or also within one where the client can put fragments together.
struct Cuts<'a> {
    fragment: bool,
    done: Vec<Cut<'a>>,
    events: Vec<&'a SharedEvent>,
    bytes: usize,
    revision: Revision,
}

impl<'a> Cuts<'a> {
    fn add(&mut self, event: &'a SharedEvent, bytes: usize) {
        let same = event.kv.mod_revision == self.revision;
        if self.bytes + bytes > ANSWER_BYTES && !self.events.is_empty() && (!same || self.fragment) {
            self.cut(same);
        }
        self.bytes += bytes;
        self.revision = event.kv.mod_revision;
        self.events.push(event);
    }

    fn cut(&mut self, fragment: bool) {
        self.bytes = 0;
        self.done.push(Cut { revision: self.revision, fragment, events: std::mem::take(&mut self.events) });
    }

    fn finish(mut self, through: Revision) -> Vec<Cut<'a>> {
        if !self.events.is_empty() {
            self.revision = through;
            self.cut(false);
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use autoradio_machine::KeyValue;

    use super::{super::room::Room, *};

    fn change(key: &str, revision: Revision, bytes: usize) -> SharedEvent {
        let value = vec![b'x'; bytes].into();
        let kv = KeyValue { key: key.to_owned().into(), value, mod_revision: revision, ..KeyValue::default() };
        Event { kind: EventKind::Put, kv, prev_kv: None }.into()
    }

    fn place() -> Taken {
        Arc::new(Room::new(1)).watch().expect("there is room for one")
    }

    fn watch(key: &'static str, end: &'static [u8], fragment: bool) -> Watcher {
        let (key, range_end) = (key.into(), Bytes::from_static(end));
        let request = WatchCreateRequest { key, range_end, start_revision: 2, fragment, ..Default::default() };
        Watcher::new(7, place(), &request, 1).expect("the range is not empty")
    }

    #[test]
    fn each_event_is_taken_once_and_in_order() {
        let mut watcher = watch("a", b"c", false);
        let events = [change("a", 2, 1), change("b", 3, 1), change("c", 4, 1)];
        let first = watcher.take(&events[..2], 3);
        assert_eq!(first.iter().map(|answer| answer.events.len()).sum::<usize>(), 2);
        assert!(watcher.take(&events, 3).is_empty(), "seen before");
        assert!(watcher.take(&events, 4).is_empty(), "not of its range");
        assert_eq!(watcher.next, 5);
    }

    #[test]
    fn answers_are_cut_between_revisions_and_in_one_only_where_asked() {
        let half = ANSWER_BYTES / 2 + 1;
        let events = [change("a", 2, half), change("b", 3, half), change("c", 3, half)];
        let whole = watch("a", b"\0", false).take(&events, 3);
        let lengths: Vec<_> = whole.iter().map(|answer| (answer.events.len(), answer.fragment)).collect();
        assert_eq!(lengths, [(1, false), (2, false)]);
        let split = watch("a", b"\0", true).take(&events, 3);
        let lengths: Vec<_> = split.iter().map(|answer| (answer.events.len(), answer.fragment)).collect();
        assert_eq!(lengths, [(1, false), (1, true), (1, false)]);
        assert_eq!(split.iter().map(|answer| answer.revision).collect::<Vec<_>>(), [2, 3, 3]);
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_refused() {
        let request = WatchCreateRequest { key: "b".into(), range_end: "a".into(), ..Default::default() };
        assert!(Watcher::new(0, place(), &request, 1).is_err());
    }
}
