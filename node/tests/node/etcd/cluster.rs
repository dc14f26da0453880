//! The Cluster service.

use autoradio_proto::etcd::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest,
};
use tonic::Code;

use super::{kv, members, put, seen};
use crate::support::{Cluster, eventually};

fn add(url: &str, is_learner: bool) -> MemberAddRequest {
    MemberAddRequest { peer_ur_ls: vec![url.to_owned()], is_learner }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_announced_changed_and_removed_and_writes_go_on() {
    let cluster = Cluster::start(1).await;
    let mut client = members(&cluster, 0);
    let listed = client.member_list(MemberListRequest { linearizable: true }).await.unwrap().into_inner();
    assert_eq!((listed.members.len(), listed.members[0].name.as_str()), (1, "n0"));
    assert_eq!(listed.members[0].client_ur_ls, cluster.configs[0].client_urls);
    let own_url = cluster.configs[0].peer_urls[0].clone();
    let mut ids = Vec::new();
    for url in ["http://127.0.0.1:1", "http://127.0.0.1:2"] {
        // Two at once, none started: writes go on.
        let added = client.member_add(add(url, false)).await.unwrap().into_inner();
        let member = added.member.unwrap();
        assert!(member.name.is_empty() && member.client_ur_ls.is_empty() && !member.is_learner);
        assert!(added.header.unwrap().cluster_id != 0 && added.members.iter().any(|other| other.id == member.id));
        ids.push(member.id);
        kv(&cluster, 0).put(put("still", url)).await.unwrap();
    }
    let taken = (Code::FailedPrecondition, "etcdserver: Peer URLs already exists".to_owned());
    assert_eq!(seen(client.member_add(add(&own_url, false)).await), taken);
    let update = |id, url: &str| MemberUpdateRequest { id, peer_ur_ls: vec![url.to_owned()] };
    assert_eq!(seen(client.member_update(update(ids[0], &own_url)).await), taken);
    let bad = (Code::InvalidArgument, "etcdserver: given member URLs are invalid".to_owned());
    assert_eq!(seen(client.member_add(add("nonsense", false)).await), bad);
    let unknown = (Code::NotFound, "etcdserver: member not found".to_owned());
    assert_eq!(seen(client.member_update(update(1, "http://127.0.0.1:3")).await), unknown);
    assert_eq!(seen(client.member_remove(MemberRemoveRequest { id: 1 }).await), unknown);
    let changed = client.member_update(update(ids[0], "http://127.0.0.1:3")).await.unwrap().into_inner();
    assert!(changed.members.iter().any(|member| member.id == ids[0] && member.peer_ur_ls == ["http://127.0.0.1:3"]));
    for id in ids {
        client.member_remove(MemberRemoveRequest { id }).await.unwrap();
        assert_eq!(seen(client.member_remove(MemberRemoveRequest { id }).await), unknown);
    }
    let own = MemberRemoveRequest { id: listed.members[0].id };
    let few = (Code::Unknown, "etcdserver: re-configuration failed due to not enough started members".to_owned());
    assert_eq!(seen(client.member_remove(own).await), few);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn learners_are_few_and_promoted_only_when_they_are_in_sync() {
    let cluster = Cluster::start(1).await;
    let mut client = members(&cluster, 0);
    let learner = client.member_add(add("http://127.0.0.1:1", true)).await.unwrap().into_inner().member.unwrap();
    assert!(learner.is_learner);
    let many = (Code::FailedPrecondition, "etcdserver: too many learner members in cluster".to_owned());
    assert_eq!(seen(client.member_add(add("http://127.0.0.1:2", true)).await), many);
    let early = seen(client.member_promote(MemberPromoteRequest { id: learner.id }).await);
    let text = "etcdserver: can only promote a learner member which is in sync with leader";
    assert_eq!(early, (Code::FailedPrecondition, text.to_owned()));
    let voter = MemberPromoteRequest { id: cluster.context(0).raft.node_id() };
    let text = "etcdserver: can only promote a learner member";
    assert_eq!(seen(client.member_promote(voter).await), (Code::FailedPrecondition, text.to_owned()));
    let unknown = (Code::NotFound, "etcdserver: member not found".to_owned());
    assert_eq!(seen(client.member_promote(MemberPromoteRequest { id: 1 }).await), unknown);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_removed_stops_voting() {
    let mut cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let id = cluster.context(follower).raft.node_id();
    let removed = members(&cluster, leader).member_remove(MemberRemoveRequest { id }).await.unwrap().into_inner();
    assert_eq!(removed.members.len(), 2);
    let raft = cluster.context(leader).raft.clone();
    eventually("it votes no more", async || (!raft.status().voters.contains(&id)).then_some(())).await;
    cluster.stop(follower).await;
    kv(&cluster, leader).put(put("after", "1")).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_can_be_removed_and_one_too_many_cannot() {
    let mut cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let id = cluster.context(leader).raft.node_id();
    members(&cluster, follower).member_remove(MemberRemoveRequest { id }).await.unwrap();
    let raft = cluster.context(follower).raft.clone();
    eventually("it votes no more", async || (!raft.status().voters.contains(&id)).then_some(())).await;
    kv(&cluster, follower).put(put("after", "1")).await.unwrap();
    cluster.stop(leader).await;
    // Of two, one dies: the other must not be removed, and the dead one may, when there is a majority again.
    let last = (0..3).find(|index| ![leader, follower].contains(index)).unwrap();
    let (dead, own) = (cluster.context(last).raft.node_id(), raft.node_id());
    cluster.stop(last).await;
    eventually("its silence is noticed", async || {
        let heard = cluster.context(follower).view.now().loads.get(&dead).map_or(u64::MAX, |heard| heard.age_ms);
        (heard > 3_000).then_some(())
    })
    .await;
    let unhealthy = (Code::Unavailable, "etcdserver: unhealthy cluster".to_owned());
    assert_eq!(seen(members(&cluster, follower).member_remove(MemberRemoveRequest { id: own }).await), unhealthy);
    cluster.shutdown().await;
}
