//! An event that many watches take: encoded once, by the first that does.

use std::{ops::Deref, sync::OnceLock};

use autoradio_machine::{Event, EventKind, KeyValue};
use autoradio_proto::etcd::mvccpb;
use bytes::Bytes;
use prost::Message;

use super::{
    answer,
    parts::{Parts, field_len},
};

/// Fields of `mvccpb.Event` and `mvccpb.KeyValue`.
const KV: u32 = 2;
const PREV_KV: u32 = 3;
const VALUE: u32 = 5;

/// An event, and its bytes as watches send them.
#[derive(Debug)]
pub(super) struct SharedEvent {
    event: Event,
    plain: OnceLock<Parts>,
    with_prev: OnceLock<Parts>,
}

impl From<Event> for SharedEvent {
    fn from(event: Event) -> Self {
        Self { event, plain: OnceLock::new(), with_prev: OnceLock::new() }
    }
}

impl Deref for SharedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

impl SharedEvent {
    /// As an `mvccpb.Event`; the pair before only where it is asked for.
    pub(super) fn encoded(&self, with_prev: bool) -> &Parts {
        match &self.event.prev_kv {
            Some(before) if with_prev => self.with_prev.get_or_init(|| encode(&self.event, Some(before))),
            _ => self.plain.get_or_init(|| encode(&self.event, None)),
        }
    }
}

fn encode(event: &Event, before: Option<&KeyValue>) -> Parts {
    let kind = match event.kind {
        EventKind::Put => mvccpb::event::EventType::Put,
        EventKind::Delete => mvccpb::event::EventType::Delete,
    };
    let mut parts = Parts::default();
    parts.put(&mvccpb::Event { r#type: kind.into(), ..mvccpb::Event::default() });
    put_pair(&mut parts, KV, &event.kv);
    if let Some(before) = before {
        put_pair(&mut parts, PREV_KV, before);
    }
    parts
}

/// A pair as a field. Its value is shared with the store, unless it is short.
fn put_pair(parts: &mut Parts, tag: u32, kv: &KeyValue) {
    let before = answer::pair(KeyValue { value: Bytes::new(), lease: 0, ..kv.clone() });
    let after = mvccpb::KeyValue { lease: kv.lease, ..mvccpb::KeyValue::default() };
    let value = if kv.value.is_empty() { 0 } else { field_len(VALUE, kv.value.len()) };
    parts.put_field_head(tag, before.encoded_len() + value + after.encoded_len());
    parts.put(&before);
    if value > 0 {
        parts.put_field_head(VALUE, kv.value.len());
        parts.put_bytes(&kv.value);
    }
    parts.put(&after);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(value: &[u8], lease: i64) -> KeyValue {
        let value = Bytes::copy_from_slice(value);
        KeyValue { key: "k".into(), value, create_revision: 3, mod_revision: 300, version: 7, lease }
    }

    #[test]
    fn the_bytes_are_those_of_the_message_and_are_made_once() {
        let long = vec![9; 5_000];
        for (kind, value, lease, before) in [
            (EventKind::Put, &b"v"[..], 0, None),
            (EventKind::Put, &long, 17, Some(pair(&long, 3))),
            (EventKind::Delete, &[], 0, Some(pair(b"old", 0))),
        ] {
            let event = SharedEvent::from(Event { kind, kv: pair(value, lease), prev_kv: before });
            for with_prev in [false, true] {
                let mut parts = event.encoded(with_prev).clone();
                let bytes = std::iter::from_fn(|| parts.pop()).collect::<Vec<_>>().concat();
                let mut wanted = mvccpb::Event {
                    r#type: if kind == EventKind::Put { 0 } else { 1 },
                    kv: Some(answer::pair(event.kv.clone())),
                    prev_kv: event.prev_kv.clone().map(answer::pair),
                };
                if !with_prev {
                    wanted.prev_kv = None;
                }
                assert_eq!(bytes, wanted.encode_to_vec());
                assert!(std::ptr::eq(event.encoded(with_prev), event.encoded(with_prev)));
            }
        }
    }
}
