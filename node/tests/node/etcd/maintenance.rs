//! Maintenance, Auth, health, and what is not there.

use autoradio_proto::{
    etcd::etcdserverpb::{
        AlarmRequest, AuthEnableRequest, AuthStatusRequest, AuthenticateRequest, DefragmentRequest, HashKvRequest,
        HashRequest, MoveLeaderRequest, SnapshotRequest, StatusRequest, auth_client::AuthClient,
    },
    health::{HealthCheckRequest, health_client::HealthClient},
};
use tonic::Code;

use super::{channel, kv, maintenance, put, seen};
use crate::support::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn status_and_hashes_agree_on_all_members() {
    let cluster = Cluster::start(3).await;
    let revision = kv(&cluster, 0).put(put("a", "1")).await.unwrap().into_inner().header.unwrap().revision;
    let leader = cluster.context(cluster.leader().await).raft.node_id();
    let mut hashes = Vec::new();
    for index in 0..3 {
        cluster.context(index).raft.barrier().await.unwrap();
        let mut client = maintenance(&cluster, index);
        let status = client.status(StatusRequest {}).await.unwrap().into_inner();
        assert_eq!((status.leader, status.is_learner, status.errors.len()), (leader, false, 0));
        assert!(status.version.starts_with("3.") && status.db_size > 0 && status.raft_applied_index > 0);
        assert_eq!(status.header.unwrap().member_id, cluster.context(index).raft.node_id());
        let hash = client.hash_kv(HashKvRequest { revision }).await.unwrap().into_inner();
        assert_eq!((hash.hash_revision, hash.compact_revision), (revision, -1));
        hashes.push(hash.hash);
        client.hash(HashRequest {}).await.unwrap();
        assert!(client.alarm(AlarmRequest::default()).await.unwrap().into_inner().alarms.is_empty());
        client.defragment(DefragmentRequest {}).await.unwrap();
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    let future = (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision".to_owned());
    assert_eq!(seen(maintenance(&cluster, 0).hash_kv(HashKvRequest { revision: 9_999 }).await), future);
    let follower = cluster.follower().await;
    let moved = maintenance(&cluster, follower).move_leader(MoveLeaderRequest { target_id: 1 }).await;
    assert_eq!(seen(moved), (Code::FailedPrecondition, "etcdserver: not leader".to_owned()));
    let moved = maintenance(&cluster, cluster.leader().await).move_leader(MoveLeaderRequest { target_id: 1 }).await;
    assert_eq!(seen(moved), (Code::FailedPrecondition, "etcdserver: bad leader transferee".to_owned()));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_whole_and_says_what_it_is() {
    let cluster = Cluster::start(1).await;
    kv(&cluster, 0).put(put("a", &"x".repeat(300_000))).await.unwrap();
    let mut stream = maintenance(&cluster, 0).snapshot(SnapshotRequest {}).await.unwrap().into_inner();
    let (mut file, mut pieces, mut left) = (Vec::new(), 0, 1);
    while let Some(piece) = stream.message().await.unwrap() {
        file.extend_from_slice(&piece.blob);
        (pieces, left) = (pieces + 1, piece.remaining_bytes);
    }
    assert!(pieces > 1 && left == 0 && file.len() % 512 == 32);
    assert!(file.starts_with(b"autoradio snapshot"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_says_so() {
    let cluster = Cluster::start(1).await;
    let mut auth = AuthClient::new(channel(&cluster, 0));
    assert!(!auth.auth_status(AuthStatusRequest {}).await.unwrap().into_inner().enabled);
    let refused = seen(auth.auth_enable(AuthEnableRequest {}).await);
    assert!(refused.0 == Code::Unimplemented && refused.1.contains("autoradio"), "{refused:?}");
    let disabled = (Code::FailedPrecondition, "etcdserver: authentication is not enabled".to_owned());
    assert_eq!(seen(auth.authenticate(AuthenticateRequest::default()).await), disabled);
    let mut health = HealthClient::new(channel(&cluster, 0));
    assert_eq!(health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status, 1);
    let part = HealthCheckRequest { service: "part".into() };
    assert_eq!(seen(health.check(part).await), (Code::NotFound, "unknown service".to_owned()));
    cluster.shutdown().await;
}
