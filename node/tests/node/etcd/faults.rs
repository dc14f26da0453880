//! Past faults of etcd (its robustness suite's table) that need whole nodes: restarts, changes of the leader, streams.
//! Those of the state alone are in the machine's tests, those of a paused process in the system's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use autoradio_node::raft::AppliedSink;
use autoradio_proto::etcd::etcdserverpb::{
    CompactionRequest, HashKvRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest, WatchResponse,
    request_op::Request,
};
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};

use super::{KvClient, Watching, bytes, kv, maintenance, put, range, seen, watch};
use crate::support::{Cluster, eventually};

fn revision(header: Option<autoradio_proto::etcd::etcdserverpb::ResponseHeader>) -> i64 {
    header.expect("every answer has a header").revision
}

/// Puts until it is taken; the revision.
async fn put_at_last(client: &mut KvClient<Channel>, key: &str, value: &str) -> i64 {
    let mut client = client.clone();
    let taken = eventually("the write is taken", async || client.put(put(key, value)).await.ok()).await;
    revision(taken.into_inner().header)
}

/// Puts and compacts by way of one node until told to stop; the last revision that was acknowledged.
async fn write_and_compact(mut client: KvClient<Channel>, name: usize, stop: Arc<AtomicBool>) -> i64 {
    let mut last = 0;
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let Ok(done) = client.put(put(&format!("r{name}"), &round.to_string())).await else { continue };
        let now = revision(done.into_inner().header);
        assert!(now > last, "{now} after {last}");
        last = now;
        if round % 20 == 19 {
            // Another's compaction may have been further.
            let _refused = client.compact(CompactionRequest { revision: last - 5, physical: true }).await;
        }
    }
    last
}

/// etcd #13766 (under load), #17780 (in a compaction), #14370 (a node alone acknowledged before its disk had it).
#[tokio::test(flavor = "multi_thread")]
async fn the_revision_never_goes_back_over_restarts() {
    for count in [1, 3] {
        let mut cluster = Cluster::start(count).await;
        let mut last = 0;
        for round in 0..2 {
            let (stop, mut writers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
            for index in 0..count {
                writers.spawn(write_and_compact(kv(&cluster, index), index, stop.clone()));
            }
            let some = last + 100;
            eventually("something is written", async || {
                let applied = cluster.context(0).raft.read(|machine| machine.revision());
                (applied > some).then_some(())
            })
            .await;
            let victim = if count == 1 { 0 } else { (cluster.leader().await + round) % count };
            cluster.stop(victim).await;
            stop.store(true, Ordering::Relaxed);
            last = writers.join_all().await.into_iter().fold(last, i64::max);
            cluster.restart(victim).await;
            let mut client = kv(&cluster, victim);
            let read = eventually("it answers again", async || client.range(range("r0", "")).await.ok()).await;
            let now = revision(read.into_inner().header);
            assert!(now >= last, "{now} after a restart, and {last} was acknowledged");
        }
        let mut hashes = Vec::new();
        let at = revision(kv(&cluster, 0).range(range("r0", "")).await.unwrap().into_inner().header);
        for index in 0..count {
            kv(&cluster, index).range(range("r0", "")).await.unwrap();
            let hash = maintenance(&cluster, index).hash_kv(HashKvRequest { revision: at }).await.unwrap();
            hashes.push(hash.into_inner().hash);
        }
        hashes.dedup();
        assert_eq!(hashes.len(), 1, "all members have one history");
        cluster.shutdown().await;
    }
}

/// etcd #15220: a progress notification overtook events.
#[tokio::test(flavor = "multi_thread")]
async fn progress_is_never_ahead_of_events_under_load() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let mut watching = Watching::open(&cluster, follower).await;
    watching.create(watch("p", "q", 0)).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut client = kv(&cluster, leader);
        writers.spawn(async move {
            for number in 0..EACH {
                client.put(put(&format!("p{writer}"), &number.to_string())).await.expect("the write is taken");
            }
        });
    }
    let (mut progress, mut events, mut told) = (0, 0, 0);
    watching.ask_progress().await;
    while events < WRITERS * EACH {
        let answer = watching.next().await;
        let at = revision(answer.header);
        if answer.events.is_empty() {
            assert!(at >= progress, "progress went from {progress} to {at}");
            (progress, told) = (at, told + 1);
            watching.ask_progress().await;
        }
        for event in &answer.events {
            let kv = event.kv.as_ref().unwrap();
            assert!(kv.mod_revision > progress, "{kv:?} came after progress had been told up to {progress}");
        }
        events += answer.events.len();
    }
    assert!(told > 2, "progress was told {told} times");
    writers.join_all().await;
    cluster.shutdown().await;
}

/// Takes answers until `last` was seen: events in order and none twice, headers never older than those before.
async fn in_order(watching: &mut Watching, after: &mut (i64, i64), last: i64) {
    while after.0 < last {
        let WatchResponse { header, events, canceled, .. } = watching.next().await;
        assert!(!canceled);
        let at = revision(header);
        assert!(at >= after.1, "the header's revision went from {} to {at}", after.1);
        after.1 = at;
        for event in events {
            let kv = event.kv.expect("every event has a pair");
            assert!(kv.mod_revision > after.0, "{kv:?} came after revision {}", after.0);
            after.0 = kv.mod_revision;
        }
    }
}

/// etcd #15271: after its node had been cut off and had got a snapshot, a watch began again from further back.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_never_travels_back() {
    let mut cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let mut watching = Watching::open(&cluster, follower).await;
    watching.create(watch("l", "m", 0)).await;
    let (mut client, mut seen_until) = (kv(&cluster, follower), (0, 0));
    let mut last = 0;
    for number in 0..10 {
        last = put_at_last(&mut client, "l", &number.to_string()).await;
        // As when a snapshot has replaced the state.
        let context = cluster.context(follower);
        context.raft.read(|machine| context.watch_hub.restored(machine, 0));
    }
    in_order(&mut watching, &mut seen_until, last).await;
    cluster.stop(leader).await;
    for number in 10..20 {
        last = put_at_last(&mut client, "l", &number.to_string()).await;
    }
    in_order(&mut watching, &mut seen_until, last).await;
    // A client that goes on at a node that was away, and does not know of all this yet.
    cluster.restart(leader).await;
    let mut elsewhere = Watching::open(&cluster, leader).await;
    elsewhere.create(watch("l", "m", seen_until.0 + 1)).await;
    let mut seen_there = (seen_until.0, 0);
    last = put_at_last(&mut client, "l", "20").await;
    in_order(&mut elsewhere, &mut seen_there, last).await;
    in_order(&mut watching, &mut seen_until, last).await;
    cluster.shutdown().await;
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

/// etcd #17247: events of a transaction came twice.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_transaction_come_once_and_together() {
    let cluster = Cluster::start(1).await;
    let mut client = kv(&cluster, 0);
    client.put(put("t/c", "0")).await.unwrap();
    let mut live = Watching::open(&cluster, 0).await;
    live.create(watch("t/", "t0", 0)).await;
    let inner = TxnRequest { success: vec![op(Request::RequestPut(put("t/a", "1")))], ..TxnRequest::default() };
    let delete = super::DeleteRangeRequest { key: bytes("t/c"), ..super::DeleteRangeRequest::default() };
    let success = vec![
        op(Request::RequestPut(put("t/b", "1"))),
        op(Request::RequestTxn(inner)),
        op(Request::RequestDeleteRange(delete)),
    ];
    let done = client.txn(TxnRequest { success, ..TxnRequest::default() }).await.unwrap().into_inner();
    let at = revision(done.header);
    let last = revision(client.put(put("t/d", "1")).await.unwrap().into_inner().header);
    let expected = [(at, 0, "1".to_owned()), (at, 0, "1".into()), (at, 1, String::new()), (last, 0, "1".into())];
    assert_eq!(live.events(4).await, expected);
    let mut replayed = Watching::open(&cluster, 0).await;
    replayed.create(watch("t/", "t0", at)).await;
    assert_eq!(replayed.events(4).await, expected);
    for watching in [&mut live, &mut replayed] {
        watching.ask_progress().await;
        assert!(watching.next().await.events.is_empty(), "and none is left over");
    }
    cluster.shutdown().await;
}

/// etcd #18089, #19179: the event of a delete was lost with the compaction at its own revision.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_is_still_seen_when_its_own_revision_is_compacted() {
    let mut cluster = Cluster::start(1).await;
    let mut client = kv(&cluster, 0);
    client.put(put("d", "1")).await.unwrap();
    let request = super::DeleteRangeRequest { key: bytes("d"), ..super::DeleteRangeRequest::default() };
    let deleted = revision(client.delete_range(request).await.unwrap().into_inner().header);
    client.put(put("other", "1")).await.unwrap();
    client.compact(CompactionRequest { revision: deleted, physical: true }).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            cluster.stop(0).await;
            cluster.restart(0).await;
        }
        let mut watching = Watching::open(&cluster, 0).await;
        watching.create(watch("d", "", deleted)).await;
        assert_eq!(watching.events(1).await, [(deleted, 1, String::new())], "restarted: {restarted}");
    }
    cluster.shutdown().await;
}

/// etcd #18667: a transaction read a revision that had been compacted.
#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_reads_what_is_compacted() {
    let cluster = Cluster::start(1).await;
    let mut client = kv(&cluster, 0);
    let first = revision(client.put(put("x", "1")).await.unwrap().into_inner().header);
    let second = revision(client.put(put("x", "2")).await.unwrap().into_inner().header);
    client.compact(CompactionRequest { revision: second, physical: false }).await.unwrap();
    let old =
        |serializable| op(Request::RequestRange(RangeRequest { revision: first, serializable, ..range("x", "") }));
    let refused = (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted".to_owned());
    let writes = vec![op(Request::RequestPut(put("y", "1"))), old(false)];
    for success in [writes, vec![old(false)], vec![old(true)]] {
        let done = client.txn(TxnRequest { success, ..TxnRequest::default() }).await;
        assert_eq!(seen(done), refused);
    }
    let found = client.range(range("y", "")).await.unwrap().into_inner();
    assert_eq!((found.count, revision(found.header)), (0, second), "nothing of it was done");
    cluster.shutdown().await;
}

/// etcd #20221: a watch of the future was told older progress, and got older events when it went on elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_the_future_hears_of_nothing_older() {
    let cluster = Cluster::start(3).await;
    let mut client = kv(&cluster, 0);
    let now = revision(client.put(put("f", "0")).await.unwrap().into_inner().header);
    let mut streams = Vec::new();
    for index in 0..3 {
        let mut watching = Watching::open(&cluster, index).await;
        let request = WatchCreateRequest { progress_notify: true, ..watch("f", "", now + 10) };
        watching.create(request).await;
        watching.ask_progress().await;
        streams.push(watching);
    }
    let mut revisions = Vec::new();
    for number in 1..=12 {
        revisions.push(revision(client.put(put("f", &number.to_string())).await.unwrap().into_inner().header));
    }
    let first = *revisions.iter().find(|at| **at >= now + 10).unwrap();
    for watching in &mut streams {
        let answer = watching.next().await;
        assert!(!answer.events.is_empty(), "progress of a time that it did not ask for: {answer:?}");
        assert_eq!(answer.events[0].kv.as_ref().unwrap().mod_revision, first);
    }
    cluster.shutdown().await;
}
