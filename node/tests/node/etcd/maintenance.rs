//! Maintenance, Auth, health, and what is not there.

use autoradio_machine::Command;
use autoradio_policy::compaction::Retention;
use autoradio_proto::{
    etcd::etcdserverpb::{
        AlarmMember, AlarmRequest, AlarmType, AuthEnableRequest, AuthStatusRequest, AuthenticateRequest,
        CompactionRequest, DefragmentRequest, DeleteRangeRequest, HashKvRequest, HashRequest, LeaseGrantRequest,
        MoveLeaderRequest, RangeRequest, SnapshotRequest, StatusRequest, alarm_request::AlarmAction,
        auth_client::AuthClient,
    },
    health::{HealthCheckRequest, health_client::HealthClient},
};
use tonic::Code;

use super::{bytes, channel, kv, lease, maintenance, put, range, seen};
use crate::support::{Cluster, eventually, http_get};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_full_takes_deletes_compactions_and_the_clusters_own_keys() {
    let cluster = Cluster::start_with(2, |_, config| config.keeping.quota_bytes = 64 << 10).await;
    let no_space = (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded".to_owned());
    let value = "x".repeat(4_000);
    let full = eventually("the quota is reached", async || kv(&cluster, 0).put(put("fill", &value)).await.err()).await;
    assert_eq!(seen::<()>(Err(full)), no_space);
    let member = cluster.context(0).raft.node_id();
    let raised = AlarmMember { member_id: member, alarm: AlarmType::Nospace.into() };
    let alarms = async |index, request| maintenance(&cluster, index).alarm(request).await.unwrap().into_inner().alarms;
    assert_eq!(alarms(1, AlarmRequest::default()).await, [raised]);
    // By any member, and for everything that adds.
    assert_eq!(seen(kv(&cluster, 1).put(put("b", "")).await), no_space);
    assert_eq!(seen(lease(&cluster, 1).lease_grant(LeaseGrantRequest { ttl: 10, id: 0 }).await), no_space);
    let status = maintenance(&cluster, 1).status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.errors, [format!("memberID:{member} alarm:NOSPACE ")]);
    assert!(
        status.db_size > 50_000 && status.db_size_quota == 64 << 10 && status.db_size_in_use < 10_000,
        "{status:?}"
    );
    let health = http_get(&cluster, 1, "/health").await;
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("ALARM NOSPACE"), "{health}");
    assert!(http_get(&cluster, 1, "/health?exclude=NOSPACE").await.starts_with("HTTP/1.1 200"));
    // A source can still come, a node start, and reads go on.
    let mount = r#"{"username":"source","password_hash":"$argon2id$v=19$x"}"#;
    kv(&cluster, 1).put(put("autoradio/mounts/live.mp3", mount)).await.unwrap();
    cluster.context(1).raft.propose(Command::NodeLease { ttl_s: 10 }).await.unwrap();
    assert_eq!(kv(&cluster, 1).range(range("fill", "")).await.unwrap().into_inner().count, 1);
    let delete = DeleteRangeRequest { key: bytes("fill"), ..Default::default() };
    let revision = kv(&cluster, 0).delete_range(delete).await.unwrap().into_inner().header.unwrap().revision;
    kv(&cluster, 0).compact(CompactionRequest { revision, physical: true }).await.unwrap();
    let disarm = AlarmRequest { action: AlarmAction::Deactivate.into(), member_id: member, alarm: raised.alarm };
    assert_eq!(alarms(0, disarm).await, [raised]);
    assert_eq!(alarms(0, disarm).await, []);
    kv(&cluster, 1).put(put("b", "")).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_corrupt_alarm_stands_clients_change_nothing() {
    let cluster = Cluster::start(1).await;
    let set = async |action: AlarmAction| {
        let request = AlarmRequest { action: action.into(), member_id: 7, alarm: AlarmType::Corrupt.into() };
        maintenance(&cluster, 0).alarm(request).await.unwrap().into_inner().alarms.len()
    };
    assert_eq!(set(AlarmAction::Activate).await, 1);
    let corrupt = (Code::DataLoss, "etcdserver: corrupt cluster".to_owned());
    assert_eq!(seen(kv(&cluster, 0).put(put("a", "")).await), corrupt);
    kv(&cluster, 0).range(range("a", "")).await.unwrap();
    assert_eq!(set(AlarmAction::Deactivate).await, 1);
    kv(&cluster, 0).put(put("a", "")).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_to_the_member_that_is_named() {
    let cluster = Cluster::start(3).await;
    let (old, target) = (cluster.leader().await, cluster.follower().await);
    let target_id = cluster.context(target).raft.node_id();
    maintenance(&cluster, old).move_leader(MoveLeaderRequest { target_id }).await.unwrap();
    assert_eq!(cluster.leader().await, target);
    kv(&cluster, old).put(put("a", "1")).await.unwrap();
    // To itself: done already, as in etcd.
    maintenance(&cluster, target).move_leader(MoveLeaderRequest { target_id }).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_forgotten_by_itself() {
    let cluster =
        Cluster::start_with(1, |_, config| config.keeping.retention = Retention::Periodic { keep_ms: 500 }).await;
    let first = kv(&cluster, 0).put(put("a", "1")).await.unwrap().into_inner().header.unwrap().revision;
    kv(&cluster, 0).put(put("a", "2")).await.unwrap();
    eventually("the first value is compacted", async || {
        let old = kv(&cluster, 0).range(RangeRequest { revision: first, ..range("a", "") }).await;
        old.err().filter(|status| status.message().contains("compacted"))
    })
    .await;
    assert_eq!(kv(&cluster, 0).range(range("a", "")).await.unwrap().into_inner().kvs[0].value, bytes("2"));
    cluster.shutdown().await;
}
