//! Clients that ask as fast as they are answered.

use std::time::{Duration, Instant};

use autoradio_proto::etcd::etcdserverpb::{PutRequest, kv_client::KvClient};
use bytes::Bytes;
use tokio::task::JoinSet;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// A client of one connection.
pub(crate) type Client = KvClient<Channel>;

/// Keys that are read and written.
const KEYS: u64 = 1_000;

/// The value of each.
pub(crate) static VALUE: [u8; 256] = [b'v'; 256];

/// What a measure gave.
pub(crate) struct Sample {
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Of each operation, in microseconds, sorted.
    pub(crate) latencies: Vec<u32>,
}

impl Sample {
    pub(crate) fn new(elapsed: Duration, mut latencies: Vec<u32>) -> Self {
        assert!(!latencies.is_empty(), "nothing was answered");
        latencies.sort_unstable();
        Self { elapsed, latencies }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that so many hundredths of all do not exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, hundredths: usize) -> f64 {
        let place = (self.latencies.len() * hundredths / 100).min(self.latencies.len() - 1);
        f64::from(self.latencies[place]) / 1_000.0
    }

    /// Microseconds of the servers' processor time for each operation.
    pub(crate) fn processor_us(&self, taken: Duration) -> f64 {
        taken.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    pub(crate) fn line(&self, taken: Duration) -> String {
        let (p50, p99) = (self.percentile_ms(50), self.percentile_ms(99));
        format!("{:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms, {:.0} us", self.per_second(), self.processor_us(taken))
    }
}

pub(crate) fn micros(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX)
}

/// The key of a number.
pub(crate) fn key(n: u64) -> Bytes {
    format!("bench/{:06}", n % KEYS).into()
}

/// So many connections to each endpoint, the endpoints by turns.
pub(crate) fn connect(endpoints: &[String], each: usize) -> Vec<Channel> {
    let to = |url: &String| Endpoint::from_shared(url.clone()).expect("a URL").tcp_nodelay(true).connect_lazy();
    (0..each).flat_map(|_| endpoints.iter().map(to)).collect()
}

/// Gives every key a value.
pub(crate) async fn fill(channels: &[Channel]) {
    let mut writers = JoinSet::new();
    for n in 0..KEYS {
        let mut client = KvClient::new(channels[n as usize % channels.len()].clone());
        let request = PutRequest { key: key(n), value: Bytes::from_static(&VALUE), ..PutRequest::default() };
        writers.spawn(async move { client.put(request).await.map(drop) });
    }
    for done in writers.join_all().await {
        done.expect("the cluster takes writes");
    }
}

/// Lets `clients` carry out operations, each one after the other, for a time.
pub(crate) async fn hammer<F, R>(channels: &[Channel], clients: usize, duration: Duration, operation: F) -> Sample
where
    F: Fn(Client, u64) -> R + Clone + Send + 'static,
    R: Future<Output = Result<(), Status>> + Send,
{
    let (begun, mut tasks) = (Instant::now(), JoinSet::new());
    for number in 0..clients {
        let (channels, operation) = (channels.to_vec(), operation.clone());
        tasks.spawn(async move {
            let (mut latencies, mut random) = (Vec::new(), number as u64 * 7_919 + 1);
            let mut turn = number;
            while begun.elapsed() < duration {
                // xorshift: the same keys on both sides.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // Many clients keep to their connections; one alone goes from member to member.
                turn += usize::from(clients == 1);
                let client = KvClient::new(channels[turn % channels.len()].clone());
                let asked = Instant::now();
                operation(client, random).await.expect("a healthy cluster answers");
                latencies.push(micros(asked.elapsed()));
            }
            latencies
        });
    }
    let latencies = tasks.join_all().await.concat();
    Sample::new(begun.elapsed(), latencies)
}
