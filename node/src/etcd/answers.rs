//! The answers of a stream of watches, and the body that they go out with.
//!
//! The body does the stream's work itself: it asks for more when the connection has taken what there was, so that each
//! change wakes one task for each stream, and nothing is worked out for a client that reads nothing.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use autoradio_proto::etcd::etcdserverpb::WatchResponse;
use axum::http::HeaderMap;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use prost::Message;
use tonic::Status;

use super::parts::{Parts, field_len};

/// The field of [`WatchResponse`] that holds the events: the last one.
const EVENTS: u32 = 11;

/// Answers that have not been taken yet. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    parts: Arc<Mutex<Parts>>,
}

impl Outbox {
    /// Adds an answer: all of it but the events, and these.
    pub(super) fn push(&self, answer: &WatchResponse, events: &[&Parts]) {
        debug_assert!(answer.events.is_empty(), "they are given beside it");
        let mut parts = self.lock();
        let fields: usize = events.iter().map(|event| field_len(EVENTS, event.len())).sum();
        parts.put_grpc_head(answer.encoded_len() + fields);
        parts.put(answer);
        for event in events {
            parts.put_field_head(EVENTS, event.len());
            parts.put_all(event);
        }
    }

    /// Waits until the connection has taken all. The body wakes who waits: it goes on with the work when there is
    /// nothing else to send.
    pub(super) async fn taken(&self) {
        std::future::poll_fn(|_| if self.lock().is_empty() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().expect("nothing panics while it holds the answers")
    }
}

type Work = Pin<Box<dyn Future<Output = Status> + Send>>;

/// The body: what the work puts into the outbox, and at the end the status that it ends with.
pub(super) struct Answers {
    outbox: Outbox,
    work: Option<Work>,
    ending: Option<Status>,
}

impl Answers {
    /// The work ends when this is dropped.
    pub(super) fn new(outbox: Outbox, work: impl Future<Output = Status> + Send + 'static) -> Self {
        Self { outbox, work: Some(Box::pin(work)), ending: None }
    }
}

impl HttpBody for Answers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(part) = self.outbox.lock().pop() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            if let Some(status) = self.ending.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))));
            }
            let Some(work) = self.work.as_mut() else { return Poll::Ready(None) };
            match work.as_mut().poll(cx) {
                Poll::Ready(status) => {
                    self.work = None;
                    self.ending = Some(status);
                }
                Poll::Pending if self.outbox.lock().is_empty() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Texts that cannot be a header's are percent-encoded: what is refused is told in place of it.
    if let Err(refused) = status.add_header(&mut trailers) {
        tracing::warn!(%refused, "a stream's end could not be told as it was");
        trailers.insert(Status::GRPC_STATUS, i32::from(refused.code()).into());
    }
    trailers
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use autoradio_machine::{Event, EventKind, KeyValue};
    use autoradio_proto::etcd::mvccpb;

    use super::{super::event::SharedEvent, *};

    fn next(body: &mut Answers) -> Option<Poll<Frame<Bytes>>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => None,
            Poll::Ready(Some(Ok(frame))) => Some(Poll::Ready(frame)),
            Poll::Pending => Some(Poll::Pending),
            Poll::Ready(Some(Err(never))) => match never {},
        }
    }

    fn data(body: &mut Answers) -> Bytes {
        match next(body) {
            Some(Poll::Ready(frame)) => frame.into_data().expect("no trailers yet"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn more_is_worked_out_when_all_was_taken_and_the_end_is_told() {
        let outbox = Outbox::default();
        let out = outbox.clone();
        let mut body = Answers::new(outbox, async move {
            for watch_id in 1..=2 {
                out.push(&WatchResponse { watch_id, ..WatchResponse::default() }, &[]);
                out.taken().await;
            }
            let mut turns = 0;
            std::future::poll_fn(|_| {
                turns += 1;
                if turns > 2 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            out.push(&WatchResponse::default(), &[]);
            Status::unavailable("gone")
        });
        assert_eq!(data(&mut body)[..], [0, 0, 0, 0, 2, 0x10, 1]);
        assert_eq!(data(&mut body)[..], [0, 0, 0, 0, 2, 0x10, 2]);
        assert!(matches!(next(&mut body), Some(Poll::Pending)));
        assert!(matches!(next(&mut body), Some(Poll::Pending)));
        assert_eq!(data(&mut body)[..], [0, 0, 0, 0, 0], "what came before the end comes before it");
        let Some(Poll::Ready(frame)) = next(&mut body) else { panic!("it ends") };
        let told = Status::from_header_map(frame.trailers_ref().expect("the end is told")).expect("with a status");
        assert_eq!((told.code(), told.message()), (tonic::Code::Unavailable, "gone"));
        assert!(next(&mut body).is_none());
    }

    #[test]
    fn an_answer_is_that_of_the_message_and_long_values_are_shared() {
        let value = Bytes::from(vec![7; 10_000]);
        let change = |value: &Bytes, revision| {
            let kv = KeyValue { key: "k".into(), value: value.clone(), mod_revision: revision, ..KeyValue::default() };
            SharedEvent::from(Event { kind: EventKind::Put, kv, prev_kv: None })
        };
        let events = [change(&Bytes::from_static(b"short"), 2), change(&value, 3)];
        let head = WatchResponse { watch_id: 300, fragment: true, ..WatchResponse::default() };
        let outbox = Outbox::default();
        outbox.push(&head, &[events[0].encoded(false), events[1].encoded(false)]);
        let mut body = Answers::new(outbox, std::future::pending());
        let mut frames = Vec::new();
        while let Some(Poll::Ready(frame)) = next(&mut body) {
            frames.push(frame.into_data().expect("it goes on"));
        }
        assert!(frames.iter().any(|frame| frame.as_ptr() == value.as_ptr()), "not copied");
        let bytes = frames.concat();
        let (head_bytes, message) = bytes.split_at(5);
        assert_eq!(head_bytes[1..], u32::try_from(message.len()).unwrap().to_be_bytes());
        let wanted = events.iter().map(|event| mvccpb::Event {
            r#type: 0,
            kv: Some(super::super::answer::pair(event.kv.clone())),
            prev_kv: None,
        });
        let read = WatchResponse::decode(message).expect("it is one");
        assert_eq!(read, WatchResponse { events: wanted.collect(), ..head });
    }
}
