//! The Lock service.

use std::time::Duration;

use autoradio_proto::etcd::{
    etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest},
    v3lockpb::{LockRequest, LockResponse, UnlockRequest, lock_client::LockClient},
};
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Code, Response, Status, transport::Channel};

use super::{bytes, channel, kv, lease, range, seen};
use crate::support::{Cluster, LIMIT, eventually};

fn locks(cluster: &Cluster, index: usize) -> LockClient<Channel> {
    LockClient::new(channel(cluster, index))
}

fn lock(name: &str, lease: i64) -> LockRequest {
    LockRequest { name: bytes(name), lease }
}

async fn grant(cluster: &Cluster, id: i64) {
    lease(cluster, 0).lease_grant(LeaseGrantRequest { ttl: 600, id }).await.expect("the lease is granted");
}

/// Asks for a lock in a task, and returns when the contender's key is there.
async fn contend(cluster: &Cluster, index: usize, id: i64) -> JoinHandle<Result<Response<LockResponse>, Status>> {
    let mut client = locks(cluster, index);
    let waiting = tokio::spawn(async move { client.lock(lock("l", id)).await });
    eventually("the key is there", async || (count(cluster, &format!("l/{id:x}")).await == 1).then_some(())).await;
    waiting
}

async fn count(cluster: &Cluster, key: &str) -> i64 {
    kv(cluster, 0).range(range(key, "")).await.expect("reads are served").into_inner().count
}

#[tokio::test(flavor = "multi_thread")]
async fn contenders_get_a_lock_in_turn_at_any_node() {
    let cluster = Cluster::start(3).await;
    for id in [0xa1, 0xa2, 0xa3] {
        grant(&cluster, id).await;
    }
    let held = locks(&cluster, 0).lock(lock("l", 0xa1)).await.unwrap().into_inner();
    assert_eq!(held.key, "l/a1");
    // Who holds it already gets it at once.
    assert_eq!(locks(&cluster, 1).lock(lock("l", 0xa1)).await.unwrap().into_inner().key, held.key);
    let second = contend(&cluster, 1, 0xa2).await;
    let third = contend(&cluster, 2, 0xa3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished() && !third.is_finished());
    locks(&cluster, 2).unlock(UnlockRequest { key: held.key.clone() }).await.unwrap();
    let second = timeout(LIMIT, second).await.unwrap().unwrap().unwrap().into_inner();
    assert_eq!(second.key, "l/a2");
    assert!(second.header.unwrap().revision > held.header.unwrap().revision);
    assert!(!third.is_finished());
    // A holder's lease that ends passes the lock on, too.
    lease(&cluster, 0).lease_revoke(LeaseRevokeRequest { id: 0xa2 }).await.unwrap();
    let third = timeout(LIMIT, third).await.unwrap().unwrap().unwrap().into_inner();
    assert_eq!(third.key, "l/a3");
    // A key that there is not.
    locks(&cluster, 0).unlock(UnlockRequest { key: bytes("l/ff") }).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contender_that_goes_or_loses_its_lease_leaves_the_queue() {
    let cluster = Cluster::start(1).await;
    for id in [1, 2, 3, 4] {
        grant(&cluster, id).await;
    }
    locks(&cluster, 0).lock(lock("l", 1)).await.unwrap();
    let revoked = contend(&cluster, 0, 2).await;
    lease(&cluster, 0).lease_revoke(LeaseRevokeRequest { id: 2 }).await.unwrap();
    let expired = (Code::Unknown, "mutex: session is expired".to_owned());
    assert_eq!(seen(timeout(LIMIT, revoked).await.unwrap().unwrap()), expired);
    let gone = contend(&cluster, 0, 3).await;
    let last = contend(&cluster, 0, 4).await;
    gone.abort();
    eventually("its key is deleted", async || (count(&cluster, "l/3").await == 0).then_some(())).await;
    assert!(!last.is_finished());
    locks(&cluster, 0).unlock(UnlockRequest { key: bytes("l/1") }).await.unwrap();
    assert_eq!(timeout(LIMIT, last).await.unwrap().unwrap().unwrap().into_inner().key, "l/4");
    let unknown = (Code::Unknown, "etcdserver: requested lease not found".to_owned());
    assert_eq!(seen(locks(&cluster, 0).lock(lock("l", 99)).await), unknown);
    // Without a lease it gets one.
    let own = locks(&cluster, 0).lock(lock("own", 0)).await.unwrap().into_inner().key;
    let id = std::str::from_utf8(&own).unwrap().strip_prefix("own/").unwrap();
    let ask = LeaseTimeToLiveRequest { id: i64::from_str_radix(id, 16).unwrap(), keys: true };
    let told = lease(&cluster, 0).lease_time_to_live(ask).await.unwrap().into_inner();
    assert_eq!((told.granted_ttl, told.keys), (60, vec![own]));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_ends_its_waits() {
    let mut cluster = Cluster::start(2).await;
    grant(&cluster, 1).await;
    grant(&cluster, 2).await;
    locks(&cluster, 0).lock(lock("l", 1)).await.unwrap();
    let waiting = contend(&cluster, 1, 2).await;
    timeout(LIMIT, cluster.stop(1)).await.expect("a wait does not hold the node up");
    let (code, text) = seen(timeout(LIMIT, waiting).await.unwrap().unwrap());
    assert_eq!(code, Code::Unavailable, "{text}");
    cluster.shutdown().await;
}
