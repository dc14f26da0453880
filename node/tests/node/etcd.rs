//! etcd's API, by its generated clients.

mod auth;
mod cluster;
mod election;
mod faults;
mod gateway;
mod http;
mod kv;
mod lease;
mod limits;
mod lock;
mod maintenance;
mod metrics;
mod tls;
mod tokens;
mod watch;

use autoradio_node::peer::endpoint;
use autoradio_proto::etcd::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest,
    WatchResponse, cluster_client::ClusterClient, kv_client::KvClient, lease_client::LeaseClient,
    maintenance_client::MaintenanceClient, watch_client::WatchClient, watch_request::RequestUnion,
};
use bytes::Bytes;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming, transport::Channel};

use crate::support::{Cluster, LIMIT};

/// A connection to a node's client port.
fn channel(cluster: &Cluster, index: usize) -> Channel {
    endpoint(&cluster.configs[index].client_urls[0]).expect("it is a URL").connect_lazy()
}

fn kv(cluster: &Cluster, index: usize) -> KvClient<Channel> {
    KvClient::new(channel(cluster, index))
}

fn lease(cluster: &Cluster, index: usize) -> LeaseClient<Channel> {
    LeaseClient::new(channel(cluster, index))
}

fn members(cluster: &Cluster, index: usize) -> ClusterClient<Channel> {
    ClusterClient::new(channel(cluster, index))
}

fn maintenance(cluster: &Cluster, index: usize) -> MaintenanceClient<Channel> {
    MaintenanceClient::new(channel(cluster, index))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: bytes(key), value: bytes(value), ..PutRequest::default() }
}

fn range(key: &str, end: &str) -> RangeRequest {
    RangeRequest { key: bytes(key), range_end: bytes(end), ..RangeRequest::default() }
}

/// What a client sees of a failure: the code, and the text that it tells errors apart by.
fn seen<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("it is refused");
    (status.code(), status.message().to_owned())
}

/// A stream of watches.
struct Watching {
    requests: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
}

impl Watching {
    async fn open(cluster: &Cluster, index: usize) -> Self {
        Self::open_with(cluster, index, Request::new).await
    }

    /// The same, with what `change` adds to the call.
    async fn open_with(
        cluster: &Cluster,
        index: usize,
        change: impl FnOnce(ReceiverStream<WatchRequest>) -> Request<ReceiverStream<WatchRequest>>,
    ) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let mut client = WatchClient::new(channel(cluster, index));
        let answers =
            client.watch(change(ReceiverStream::new(receiver))).await.expect("watches are served").into_inner();
        Self { requests, answers }
    }

    async fn ask(&self, union: RequestUnion) {
        self.requests.send(WatchRequest { request_union: Some(union) }).await.expect("the stream lives");
    }

    async fn ask_progress(&self) {
        self.ask(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
    }

    async fn next(&mut self) -> WatchResponse {
        let answer = timeout(LIMIT, self.answers.message()).await.expect("an answer comes in time");
        answer.expect("the stream does not break").expect("the stream does not end")
    }

    /// Creates a watch and takes the answer that says so.
    async fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(request)).await;
        let answer = self.next().await;
        assert!(answer.created, "{answer:?}");
        answer
    }

    /// Mod revisions, types (0 put, 1 delete), and values of the next events, as many as told.
    async fn events(&mut self, count: usize) -> Vec<(i64, i32, String)> {
        let mut events = Vec::new();
        while events.len() < count {
            let answer = self.next().await;
            let revision = answer.header.as_ref().expect("every answer has a header").revision;
            for event in answer.events {
                let kv = event.kv.expect("every event has a pair");
                assert!(revision >= kv.mod_revision, "a header is never older than its events");
                events.push((kv.mod_revision, event.r#type, String::from_utf8_lossy(&kv.value).into_owned()));
            }
        }
        events
    }
}

fn watch(key: &str, end: &str, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest { key: bytes(key), range_end: bytes(end), start_revision, ..WatchCreateRequest::default() }
}
