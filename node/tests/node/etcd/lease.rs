//! The Lease service.

use autoradio_proto::etcd::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    PutRequest,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::{Watching, bytes, kv, lease, put, range, seen, watch};
use crate::support::{Cluster, LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_granted_kept_told_and_revoked_by_way_of_a_follower() {
    let cluster = Cluster::start(3).await;
    let follower = cluster.follower().await;
    let mut client = lease(&cluster, follower);
    let granted = client.lease_grant(LeaseGrantRequest { ttl: 60, id: 0 }).await.unwrap().into_inner();
    assert!(granted.id > 0 && granted.ttl == 60);
    let exists = (Code::FailedPrecondition, "etcdserver: lease already exists".to_owned());
    assert_eq!(seen(client.lease_grant(LeaseGrantRequest { ttl: 60, id: granted.id }).await), exists);
    let large = (Code::OutOfRange, "etcdserver: too large lease TTL".to_owned());
    assert_eq!(seen(client.lease_grant(LeaseGrantRequest { ttl: 9_999_999_999, id: 0 }).await), large);
    assert_eq!(client.lease_grant(LeaseGrantRequest { ttl: -1, id: 4_711 }).await.unwrap().into_inner().ttl, 2);
    kv(&cluster, follower).put(PutRequest { lease: granted.id, ..put("lk", "v") }).await.unwrap();
    let ask = LeaseTimeToLiveRequest { id: granted.id, keys: true };
    let told = client.lease_time_to_live(ask).await.unwrap().into_inner();
    assert_eq!((told.granted_ttl, told.keys), (60, vec![bytes("lk")]));
    assert!((50..=60).contains(&told.ttl), "{}", told.ttl);
    let (sender, receiver) = mpsc::channel(4);
    let mut kept = client.lease_keep_alive(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    for (id, ttl) in [(granted.id, 60), (granted.id, 60), (99, 0)] {
        sender.send(LeaseKeepAliveRequest { id }).await.unwrap();
        let answer = timeout(LIMIT, kept.message()).await.unwrap().unwrap().unwrap();
        assert_eq!((answer.id, answer.ttl), (id, ttl));
    }
    let all = client.lease_leases(LeaseLeasesRequest {}).await.unwrap().into_inner().leases;
    assert!(all.iter().any(|lease| lease.id == granted.id));
    client.lease_revoke(LeaseRevokeRequest { id: granted.id }).await.unwrap();
    assert_eq!(kv(&cluster, follower).range(range("lk", "")).await.unwrap().into_inner().count, 0);
    let gone = (Code::NotFound, "etcdserver: requested lease not found".to_owned());
    assert_eq!(seen(client.lease_revoke(LeaseRevokeRequest { id: granted.id }).await), gone);
    let told = client.lease_time_to_live(LeaseTimeToLiveRequest { id: granted.id, keys: true }).await.unwrap();
    assert_eq!((told.get_ref().ttl, told.get_ref().granted_ttl), (-1, 0));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_runs_out_takes_its_keys_along_and_watches_see_it() {
    let cluster = Cluster::start(1).await;
    let granted = lease(&cluster, 0).lease_grant(LeaseGrantRequest { ttl: 2, id: 0 }).await.unwrap().into_inner();
    let mut watching = Watching::open(&cluster, 0).await;
    watching.create(watch("x", "", 0)).await;
    kv(&cluster, 0).put(PutRequest { lease: granted.id, ..put("x", "1") }).await.unwrap();
    let events = watching.events(2).await;
    assert_eq!(events.iter().map(|event| event.1).collect::<Vec<_>>(), [0, 1]);
    cluster.shutdown().await;
}
