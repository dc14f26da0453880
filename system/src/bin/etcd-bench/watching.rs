//! A thousand watchers of one key: how long after a put each of them hears of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use autoradio_proto::etcd::etcdserverpb::{
    PutRequest, WatchCreateRequest, WatchRequest, WatchResponse, watch_client::WatchClient, watch_request::RequestUnion,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::load::{Client, Sample, micros};

/// Watchers, each with a stream of its own.
const WATCHERS: usize = 1_000;

/// Between two puts: both servers are idle again by then.
const PAUSE: Duration = Duration::from_millis(100);

const KEY: &str = "bench-watched";

/// Puts for a time, and takes the latency of every delivery.
pub(crate) async fn fan_out(channels: &[Channel], duration: Duration) -> Sample {
    let puts = usize::try_from(duration.as_millis() / PAUSE.as_millis()).expect("seconds, not years").max(1);
    let (begun, mut watchers) = (Instant::now(), JoinSet::new());
    let started: Arc<Vec<AtomicU64>> = Arc::new((0..puts).map(|_| AtomicU64::new(0)).collect());
    for number in 0..WATCHERS {
        let watcher = Watcher::open(channels[number % channels.len()].clone()).await;
        watchers.spawn(watcher.hear(started.clone(), begun));
    }
    let mut client = Client::new(channels[0].clone());
    let putting = Instant::now();
    for (number, start) in started.iter().enumerate() {
        tokio::time::sleep(PAUSE).await;
        start.store(u64::from(micros(begun.elapsed())), Ordering::Release);
        let request = PutRequest { key: KEY.into(), value: number.to_string().into(), ..PutRequest::default() };
        client.put(request).await.expect("a healthy cluster takes writes");
    }
    let latencies = watchers.join_all().await.concat();
    assert_eq!(latencies.len(), WATCHERS * puts, "every watcher hears of every put");
    Sample::new(putting.elapsed(), latencies)
}

/// A watch that has been created.
struct Watcher {
    /// The stream's requests end when it is dropped. While they go on, it would live on at the server whatever becomes
    /// of the answers, and be served in the next round, too.
    _requests: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
}

impl Watcher {
    async fn open(channel: Channel) -> Self {
        let create = WatchCreateRequest { key: KEY.into(), ..WatchCreateRequest::default() };
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let (requests, receiver) = mpsc::channel(1);
        requests.try_send(request).expect("there is room for one");
        let answers = WatchClient::new(channel).watch(ReceiverStream::new(receiver)).await;
        let mut answers = answers.expect("watches are served").into_inner();
        let created = answers.message().await.expect("the stream lives").expect("the stream goes on");
        assert!(created.created, "{created:?}");
        Self { _requests: requests, answers }
    }

    /// The latency of each put, until all were heard of.
    async fn hear(mut self, started: Arc<Vec<AtomicU64>>, begun: Instant) -> Vec<u32> {
        let mut latencies = Vec::with_capacity(started.len());
        while latencies.len() < started.len() {
            let answer = self.answers.message().await.expect("the stream lives").expect("the stream goes on");
            let now = u64::from(micros(begun.elapsed()));
            for event in answer.events {
                let value = event.kv.expect("every event has a pair").value;
                let number: usize = String::from_utf8_lossy(&value).parse().expect("the number of the put");
                let latency = now.saturating_sub(started[number].load(Ordering::Acquire));
                latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
            }
        }
        latencies
    }
}
