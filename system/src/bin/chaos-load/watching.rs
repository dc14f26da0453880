//! A watcher that takes up where it was whenever its stream ends.

use std::time::Duration;

use autoradio_check::{Change, Revision, Watched};
use autoradio_proto::etcd::{
    etcdserverpb::{WatchCreateRequest, WatchRequest, watch_client::WatchClient, watch_request::RequestUnion},
    mvccpb::event::EventType,
};
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;
use tonic::{Status, transport::Channel};

use crate::{
    KEYS,
    clients::{is_last, value},
};

/// A stream that says nothing for so long is made anew: it may be at a node that knows nothing new.
const SILENCE_MAX: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(200);

/// Watches all keys from a revision on, until the last key's event.
pub(crate) async fn watch_to_the_end(watcher: String, channel: Channel, from: Revision) -> Watched {
    let mut watched = Watched { watcher, from, through: from - 1, changes: Vec::new() };
    loop {
        match watch(&channel, &mut watched).await {
            Ok(true) => return watched,
            Ok(false) | Err(_) => sleep(AGAIN).await,
        }
    }
}

/// One stream; whether it came to the end.
async fn watch(channel: &Channel, watched: &mut Watched) -> Result<bool, Status> {
    let mut end = KEYS.as_bytes().to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    let create = WatchCreateRequest {
        key: KEYS.into(),
        range_end: end.into(),
        start_revision: watched.through + 1,
        ..WatchCreateRequest::default()
    };
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let requests = tokio_stream::iter([request]).chain(tokio_stream::pending());
    let mut answers = WatchClient::new(channel.clone()).watch(requests).await?.into_inner();
    while let Ok(message) = timeout(SILENCE_MAX, answers.message()).await {
        let Some(message) = message? else { return Ok(false) };
        let mut last = false;
        for event in message.events {
            let deleted = event.r#type() == EventType::Delete;
            let Some(kv) = event.kv else { continue };
            last |= is_last(&kv.key);
            watched.through = kv.mod_revision;
            watched.changes.push(Change {
                revision: kv.mod_revision,
                key: String::from_utf8_lossy(&kv.key).into_owned(),
                value: value(&kv.value).filter(|_| !deleted),
            });
        }
        if last {
            return Ok(true);
        }
        if message.canceled {
            return Ok(false);
        }
    }
    Ok(false)
}
