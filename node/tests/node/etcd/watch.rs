//! The Watch service.

use autoradio_proto::{
    codec::FittingCodec,
    etcd::etcdserverpb::{
        CompactionRequest, DeleteRangeRequest, WatchCancelRequest, WatchCreateRequest, WatchRequest, WatchResponse,
        watch_create_request::FilterType, watch_request::RequestUnion,
    },
};
use axum::http::uri::PathAndQuery;

use super::{Watching, bytes, kv, put, watch};
use crate::support::{Cluster, eventually};

async fn put_one(cluster: &Cluster, index: usize, key: &str, value: &str) -> i64 {
    let done = kv(cluster, index).put(put(key, value)).await.expect("the write is taken");
    done.into_inner().header.expect("every answer has a header").revision
}

async fn delete(cluster: &Cluster, index: usize, key: &str) -> i64 {
    let request = DeleteRangeRequest { key: bytes(key), ..DeleteRangeRequest::default() };
    let done = kv(cluster, index).delete_range(request).await.expect("the delete is taken");
    done.into_inner().header.expect("every answer has a header").revision
}

#[tokio::test(flavor = "multi_thread")]
async fn many_watches_on_a_stream_see_the_past_and_what_comes() {
    let cluster = Cluster::start(1).await;
    let first = put_one(&cluster, 0, "w/a", "1").await;
    // The cluster's own keys may be written in between.
    let second = put_one(&cluster, 0, "w/a", "2").await;
    let third = delete(&cluster, 0, "w/a").await;
    let mut watching = Watching::open(&cluster, 0).await;
    assert_eq!(watching.create(watch("w/", "w0", first)).await.watch_id, 0);
    let past = watching.events(3).await;
    assert_eq!(past, [(first, 0, "1".into()), (second, 0, "2".into()), (third, 1, String::new())]);
    // Another that only wants deletes, with what was before; and one of another key.
    let filtered = WatchCreateRequest {
        filters: vec![FilterType::Noput.into()],
        prev_kv: true,
        watch_id: 7,
        ..watch("w/a", "", 0)
    };
    assert_eq!(watching.create(filtered.clone()).await.watch_id, 7);
    watching.create(watch("other", "", 0)).await;
    let again = watching.create(filtered).await;
    assert!(again.canceled && again.watch_id == -1 && again.cancel_reason.contains("duplicate"));
    put_one(&cluster, 0, "w/a", "3").await;
    assert_eq!(watching.next().await.watch_id, 0);
    delete(&cluster, 0, "w/a").await;
    let both = [watching.next().await, watching.next().await];
    let only = both.iter().find(|answer| answer.watch_id == 7).expect("the filter lets deletes through");
    assert_eq!(only.events[0].prev_kv.as_ref().unwrap().value, "3");
    assert!(both.iter().any(|answer| answer.watch_id == 0 && answer.events[0].prev_kv.is_none()));
    watching.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 0 })).await;
    let answer = watching.next().await;
    assert!(answer.canceled && answer.watch_id == 0);
    put_one(&cluster, 0, "w/b", "4").await;
    put_one(&cluster, 0, "other", "5").await;
    assert_eq!(watching.events(1).await[0].2, "5", "a canceled watch is silent");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_comes_after_the_events_before_it() {
    let cluster = Cluster::start(1).await;
    let mut watching = Watching::open(&cluster, 0).await;
    watching.create(watch("p", "q", 0)).await;
    for round in 0..20 {
        let revision = put_one(&cluster, 0, "p", &round.to_string()).await;
        watching.ask_progress().await;
        assert_eq!(watching.events(1).await, [(revision, 0, round.to_string())]);
        let progress = watching.next().await;
        assert!(progress.watch_id == -1 && progress.events.is_empty());
        assert!(progress.header.unwrap().revision >= revision);
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_compacted_history_is_created_and_canceled_with_the_revision() {
    let cluster = Cluster::start(1).await;
    let first = put_one(&cluster, 0, "c", "1").await;
    let revision = put_one(&cluster, 0, "c", "2").await;
    kv(&cluster, 0).compact(CompactionRequest { revision, physical: false }).await.unwrap();
    let mut watching = Watching::open(&cluster, 0).await;
    assert!(!watching.create(watch("c", "", first)).await.canceled);
    let canceled = watching.next().await;
    assert_eq!((canceled.canceled, canceled.compact_revision, canceled.cancel_reason.as_str()), (true, revision, ""));
    watching.create(watch("c", "", revision)).await;
    assert_eq!(watching.events(1).await, [(revision, 0, "2".into())], "the compacted revision itself is still there");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_the_future_waits_for_it() {
    let cluster = Cluster::start(1).await;
    let now = put_one(&cluster, 0, "f", "1").await;
    let mut watching = Watching::open(&cluster, 0).await;
    watching.create(watch("f", "", now + 2)).await;
    let mut future = None;
    for number in 2..=3 {
        let revision = put_one(&cluster, 0, "f", &number.to_string()).await;
        // Earlier where the cluster's own keys were written in between.
        future = future.or_else(|| (revision >= now + 2).then(|| (revision, 0, number.to_string())));
    }
    assert_eq!(watching.events(1).await, [future.expect("two revisions have come")]);
    cluster.shutdown().await;
}

/// More than a stream's queue, the connection's window and the hub hold together.
const MANY: usize = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_gets_every_event_once_and_in_order() {
    let cluster = Cluster::start(1).await;
    let mut watching = Watching::open(&cluster, 0).await;
    watching.create(watch("s", "t", 0)).await;
    let filler = "x".repeat(4_000);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..50 {
        let (mut client, filler) = (kv(&cluster, 0), filler.clone());
        writers.spawn(async move {
            for number in 0..MANY / 50 {
                client.put(put(&format!("s{writer}"), &format!("{number} {filler}"))).await.expect("taken");
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("no writer panics");
    }
    let events = watching.events(MANY).await;
    assert_eq!(events.len(), MANY);
    assert!(events.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, and none twice");
    watching.ask_progress().await;
    assert!(watching.next().await.events.is_empty(), "and none left over");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_on_a_follower_goes_on_when_the_leader_dies() {
    let mut cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let mut watching = Watching::open(&cluster, follower).await;
    watching.create(watch("l", "m", 0)).await;
    let mut revisions = Vec::new();
    for number in 0..10 {
        revisions.push(put_one(&cluster, leader, &format!("l{number}"), "x").await);
    }
    cluster.stop(leader).await;
    for number in 10..20 {
        let mut client = kv(&cluster, follower);
        let taken =
            eventually("a new leader takes writes", async || client.put(put(&format!("l{number}"), "x")).await.ok());
        revisions.push(taken.await.into_inner().header.unwrap().revision);
    }
    let seen: Vec<i64> = watching.events(20).await.into_iter().map(|event| event.0).collect();
    assert_eq!(seen, revisions);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_leader_is_told_when_there_is_none() {
    let mut cluster = Cluster::start(3).await;
    let last = cluster.follower().await;
    let (_requests, receiver) = tokio::sync::mpsc::channel(1);
    let mut request = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
    request.metadata_mut().insert("hasleader", "true".parse().unwrap());
    let mut client = super::WatchClient::new(super::channel(&cluster, last));
    let mut answers = client.watch(request).await.expect("there is a leader").into_inner();
    for index in (0..3).filter(|index| *index != last) {
        cluster.stop(index).await;
    }
    let ended = tokio::time::timeout(crate::support::LIMIT, answers.message()).await.expect("it ends in time");
    assert_eq!(super::seen(ended), (tonic::Code::Unavailable, "etcdserver: no leader".to_owned()));
    let mut request = tonic::Request::new(super::range("a", ""));
    request.metadata_mut().insert("hasleader", "true".parse().unwrap());
    assert_eq!(super::seen(kv(&cluster, last).range(request).await).1, "etcdserver: no leader");
    // Who does not ask for one may read what this node has.
    let local = super::RangeRequest { serializable: true, ..super::range("a", "") };
    kv(&cluster, last).range(local).await.expect("serializable reads never leave the node");
    cluster.shutdown().await;
}

/// Watches that the fan-out is tried with, on so many streams.
const WATCHERS: (usize, usize) = (1_000, 50);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watches_all_hear_of_a_change() {
    let cluster = Cluster::start(1).await;
    let mut streams = Vec::new();
    for _ in 0..WATCHERS.1 {
        let mut watching = Watching::open(&cluster, 0).await;
        for _ in 0..WATCHERS.0 / WATCHERS.1 {
            watching.create(watch("t", "", 0)).await;
        }
        streams.push(watching);
    }
    let revision = put_one(&cluster, 0, "t", "x").await;
    for watching in &mut streams {
        let events = watching.events(WATCHERS.0 / WATCHERS.1).await;
        assert!(events.iter().all(|event| *event == (revision, 0, "x".into())));
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_requests_and_unknown_methods_are_refused() {
    let cluster = Cluster::start(1).await;
    let mut request = tonic::Request::new(tokio_stream::pending());
    request.metadata_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let refused = super::WatchClient::new(super::channel(&cluster, 0)).watch(request).await.unwrap_err();
    assert_eq!((refused.code(), refused.message().contains("gzip")), (tonic::Code::Unimplemented, true), "{refused:?}");
    assert_eq!(refused.metadata().get("grpc-accept-encoding").unwrap(), "identity");
    let mut grpc = tonic::client::Grpc::new(super::channel(&cluster, 0));
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/etcdserverpb.Watch/Nothing");
    let codec = FittingCodec::<WatchRequest, WatchResponse>::default();
    let refused = grpc.unary(tonic::Request::new(WatchRequest::default()), path, codec).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    cluster.shutdown().await;
}
