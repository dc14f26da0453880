//! The Election service.

use autoradio_proto::etcd::{
    etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest},
    v3electionpb::{
        CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest, ResignRequest,
        election_client::ElectionClient,
    },
};
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Code, Response, Status, Streaming, transport::Channel};

use super::{bytes, channel, kv, lease, range, seen};
use crate::support::{Cluster, LIMIT, eventually};

fn elections(cluster: &Cluster, index: usize) -> ElectionClient<Channel> {
    ElectionClient::new(channel(cluster, index))
}

fn asked() -> LeaderRequest {
    LeaderRequest { name: bytes("e") }
}

async fn grant(cluster: &Cluster, id: i64) {
    lease(cluster, 0).lease_grant(LeaseGrantRequest { ttl: 600, id }).await.expect("the lease is granted");
}

/// Campaigns in a task, and returns when the candidate's key is there.
async fn campaign(
    cluster: &Cluster,
    index: usize,
    lease: i64,
    value: &str,
) -> JoinHandle<Result<Response<CampaignResponse>, Status>> {
    let mut client = elections(cluster, index);
    let request = CampaignRequest { name: bytes("e"), lease, value: bytes(value) };
    let running = tokio::spawn(async move { client.campaign(request).await });
    let key = format!("e/{lease:x}");
    eventually("the key is there", async || (count(cluster, &key).await == 1).then_some(())).await;
    running
}

async fn count(cluster: &Cluster, key: &str) -> i64 {
    kv(cluster, 0).range(range(key, "")).await.expect("reads are served").into_inner().count
}

async fn elected(running: JoinHandle<Result<Response<CampaignResponse>, Status>>) -> LeaderKey {
    let answer = timeout(LIMIT, running).await.expect("it is elected in time").expect("the task ends well");
    answer.expect("it is elected").into_inner().leader.expect("a leader has a key")
}

async fn observed(stream: &mut Streaming<LeaderResponse>) -> String {
    let answer = timeout(LIMIT, stream.message()).await.expect("news come in time");
    let kv = answer.expect("the stream does not break").expect("the stream does not end").kv;
    String::from_utf8_lossy(&kv.expect("there is a leader").value).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_resigns_is_followed_and_observers_see_both() {
    let cluster = Cluster::start(3).await;
    grant(&cluster, 0xb1).await;
    grant(&cluster, 0xb2).await;
    let none = (Code::Unknown, "election: no leader".to_owned());
    assert_eq!(seen(elections(&cluster, 0).leader(asked()).await), none);
    let mut early = elections(&cluster, 2).observe(asked()).await.unwrap().into_inner();
    let first = elected(campaign(&cluster, 0, 0xb1, "one").await).await;
    assert_eq!((&first.name[..], &first.key[..], first.lease), (&b"e"[..], &b"e/b1"[..], 0xb1));
    assert_eq!(observed(&mut early).await, "one");
    let second = campaign(&cluster, 1, 0xb2, "two").await;
    let proclaim = ProclaimRequest { leader: Some(first.clone()), value: bytes("one again") };
    elections(&cluster, 1).proclaim(proclaim.clone()).await.unwrap();
    assert_eq!(observed(&mut early).await, "one again");
    let mut late = elections(&cluster, 0).observe(asked()).await.unwrap().into_inner();
    assert_eq!(observed(&mut late).await, "one again");
    assert!(!second.is_finished());
    let resign = ResignRequest { leader: Some(first) };
    elections(&cluster, 2).resign(resign.clone()).await.unwrap();
    let second = elected(second).await;
    assert_eq!(second.key, "e/b2");
    assert_eq!(observed(&mut early).await, "two");
    assert_eq!(observed(&mut late).await, "two");
    let leader = elections(&cluster, 0).leader(asked()).await.unwrap().into_inner().kv.unwrap();
    assert_eq!((&leader.key[..], &leader.value[..], leader.create_revision), (&b"e/b2"[..], &b"two"[..], second.rev));
    let refused = (Code::Unknown, "election: not leader".to_owned());
    assert_eq!(seen(elections(&cluster, 0).proclaim(proclaim).await), refused);
    elections(&cluster, 0).resign(resign).await.unwrap();
    // Who leads campaigns again: it gets its new value at once.
    assert_eq!(elected(campaign(&cluster, 2, 0xb2, "two again").await).await, second);
    assert_eq!(observed(&mut early).await, "two again");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_goes_or_loses_its_lease_is_passed_over() {
    let cluster = Cluster::start(1).await;
    for id in [1, 2, 3, 4] {
        grant(&cluster, id).await;
    }
    elected(campaign(&cluster, 0, 1, "one").await).await;
    let revoked = campaign(&cluster, 0, 2, "two").await;
    let gone = campaign(&cluster, 0, 3, "three").await;
    let last = campaign(&cluster, 0, 4, "four").await;
    let mut observer = elections(&cluster, 0).observe(asked()).await.unwrap().into_inner();
    assert_eq!(observed(&mut observer).await, "one");
    lease(&cluster, 0).lease_revoke(LeaseRevokeRequest { id: 2 }).await.unwrap();
    let refused = (Code::Unknown, "election: not leader".to_owned());
    assert_eq!(seen(timeout(LIMIT, revoked).await.unwrap().unwrap()), refused);
    gone.abort();
    eventually("its key is deleted", async || (count(&cluster, "e/3").await == 0).then_some(())).await;
    assert!(!last.is_finished());
    // A leader whose lease ends is followed as one that resigns.
    lease(&cluster, 0).lease_revoke(LeaseRevokeRequest { id: 1 }).await.unwrap();
    assert_eq!(elected(last).await.key, "e/4");
    assert_eq!(observed(&mut observer).await, "four");
    let unknown = (Code::Unknown, "etcdserver: requested lease not found".to_owned());
    let request = CampaignRequest { name: bytes("e"), lease: 99, value: bytes("v") };
    assert_eq!(seen(elections(&cluster, 0).campaign(request).await), unknown);
    let unled = LeaderKey { name: bytes("e"), key: bytes("e/63"), rev: 3, lease: 99 };
    let proclaim = ProclaimRequest { leader: Some(unled), value: bytes("v") };
    assert_eq!(seen(elections(&cluster, 0).proclaim(proclaim).await), refused);
    let missing = (Code::Unknown, "\"leader\" field must be provided".to_owned());
    assert_eq!(seen(elections(&cluster, 0).resign(ResignRequest { leader: None }).await), missing);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_that_reads_slowly_gets_all_that_was_proclaimed_in_order() {
    // More than the hub and the connection hold.
    const PROCLAIMED: usize = 600;
    let cluster = Cluster::start(1).await;
    grant(&cluster, 1).await;
    let leader = elected(campaign(&cluster, 0, 1, "first").await).await;
    let mut observer = elections(&cluster, 0).observe(asked()).await.unwrap().into_inner();
    assert_eq!(observed(&mut observer).await, "first", "it has begun to look");
    let mut client = elections(&cluster, 0);
    for number in 0..PROCLAIMED {
        let value = bytes(&format!("{number:04096}"));
        client.proclaim(ProclaimRequest { leader: Some(leader.clone()), value }).await.unwrap();
    }
    for number in 0..PROCLAIMED {
        assert_eq!(observed(&mut observer).await.parse::<usize>().unwrap(), number);
    }
    cluster.shutdown().await;
}
