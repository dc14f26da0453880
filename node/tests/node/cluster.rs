//! Membership, forwarding, leases, restarts, failures.

use std::time::{Duration, Instant};

use autoradio_machine::{Command, Response};
use autoradio_node::{
    peer::{Envelope, Lane, endpoint},
    raft::wire,
};
use autoradio_proto::peer::{ReadIndexRequest, peer_client::PeerClient};
use autoradio_store::Identity;

use crate::support::{Cluster, eventually, get, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_one_starts_soon_and_comes_back_with_all_it_had() {
    let began = Instant::now();
    let mut cluster = Cluster::start(1).await;
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    put(cluster.context(0), "a", "1").await;
    let identity = cluster.context(0).raft.node_id();
    cluster.stop(0).await;
    cluster.restart(0).await;
    let context = cluster.context(0);
    eventually("the node leads again", async || context.raft.barrier().await.ok()).await;
    assert_eq!(get(context, "a").as_deref(), Some("1"));
    assert_eq!(context.raft.node_id(), identity);
    assert_eq!(context.raft.catalog().members.len(), 1);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_reads_work_on_any_node() {
    let cluster = Cluster::start(3).await;
    for index in 0..3 {
        let key = format!("key{index}");
        put(cluster.context(index), &key, "x").await;
        assert!(get(cluster.context(index), &key).is_some(), "applied where it was proposed");
    }
    for index in 0..3 {
        let context = cluster.context(index);
        context.raft.barrier().await.expect("a majority is there");
        assert!((0..3).all(|other| get(context, &format!("key{other}")).is_some()), "a read after a barrier is whole");
    }
    // A refusal of the leader's machine is the same on the follower that asked.
    let follower = cluster.context(cluster.follower().await);
    let error = follower.raft.propose(Command::LeaseRevoke { id: 12_345 }).await.unwrap_err();
    assert_eq!(error.to_string(), "etcdserver: requested lease not found");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_stops_writes_go_on_and_it_catches_up_later() {
    let mut cluster = Cluster::start(3).await;
    let (first, follower) = (cluster.leader().await, cluster.follower().await);
    cluster.stop(first).await;
    let context = cluster.context(follower);
    put(context, "after", "1").await;
    assert_ne!(cluster.leader().await, first);
    cluster.restart(first).await;
    let context = cluster.context(first);
    eventually("it has caught up", async || get(context, "after")).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_changes_are_refused_and_reads_of_the_view_go_on() {
    let mut cluster = Cluster::start(3).await;
    let last = cluster.follower().await;
    for index in (0..3).filter(|index| *index != last) {
        cluster.stop(index).await;
    }
    let context = cluster.context(last);
    let put = autoradio_machine::PutRequest { key: "k".into(), ..Default::default() };
    let error = context.raft.propose(Command::Put(put)).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("majority") || error.contains("could not be asked"), "{error}");
    eventually("the view says so", async || (!context.view.now().quorum).then_some(())).await;
    assert_eq!(context.view.now().catalog.members.len(), 3);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_lost_its_majority_refuses_changes_and_does_not_fill_its_log() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    for index in (0..3).filter(|index| *index != leader) {
        cluster.stop(index).await;
    }
    let raft = &cluster.context(leader).raft;
    eventually("it knows", async || (!raft.leads()).then_some(())).await;
    let last = raft.status().last_log_index;
    let change = autoradio_machine::PutRequest { key: "k".into(), ..Default::default() };
    for _ in 0..2 {
        let error = raft.propose(Command::Put(change.clone())).await.unwrap_err();
        assert!(error.to_string().contains("changes are refused until one is"), "{error}");
    }
    let error = raft.barrier().await.expect_err("nor does it serve reads that are to be linearizable");
    assert!(error.to_string().contains("no majority"), "{error}");
    assert!(raft.status().last_log_index <= last + 1, "{} after {last}", raft.status().last_log_index);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_with_another_address_tells_the_others_itself() {
    let mut cluster = Cluster::start(3).await;
    let moved = cluster.follower().await;
    cluster.stop(moved).await;
    put(cluster.context(cluster.leader().await), "meanwhile", "1").await;
    let addr = crate::support::free_addr();
    let url = format!("http://{addr}");
    cluster.configs[moved].peer_listen = vec![addr];
    cluster.configs[moved].peer_urls = vec![url.clone()];
    cluster.restart(moved).await;
    let context = cluster.context(moved);
    eventually("it has caught up", async || get(context, "meanwhile")).await;
    for context in cluster.running() {
        let me = cluster.context(moved).raft.node_id();
        let told = || context.raft.status().addresses.get(&me) == Some(&url);
        eventually("the consensus calls it there", async || told().then_some(())).await;
        assert_eq!(context.raft.catalog().members[&me].peer_urls, [url.as_str()]);
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_holds_its_lease_and_lets_go_of_it_when_it_stops() {
    let mut cluster = Cluster::start(3).await;
    let follower = cluster.follower().await;
    let context = cluster.context(follower);
    let lease = eventually("it has a lease", async || context.raft.node_lease()).await;
    let leader = cluster.leader().await;
    let knows = |cluster: &Cluster, id| cluster.context(leader).raft.read(|m| m.leases().iter().any(|l| l.id == id));
    assert!(knows(&cluster, lease));
    cluster.stop(follower).await;
    assert!(!knows(&cluster, lease), "a node that stops revokes its lease");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_keeps_is_revoked_by_the_leader() {
    let cluster = Cluster::start(1).await;
    let raft = &cluster.context(0).raft;
    let granted = raft.propose(Command::LeaseGrant { id: 0, ttl_s: 2 }).await.expect("granted");
    let Response::Lease { id, .. } = granted.response else { panic!("{granted:?}") };
    assert_eq!(raft.keep_lease(id).expect("this node leads"), 2);
    eventually("it is revoked", async || raft.read(|m| m.lease_keys(id).is_none()).then_some(())).await;
    assert_eq!(raft.keep_lease(id).expect("this node leads"), 0);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_another_cluster_or_node_is_refused() {
    let cluster = Cluster::start(1).await;
    let raft = &cluster.context(0).raft;
    let url = &cluster.configs[0].peer_urls[0];
    let ask = async |cluster_id, target| {
        let me = Identity { cluster_id, node_id: 1 };
        let channel = endpoint(url).unwrap().connect_lazy();
        let mut client = PeerClient::with_interceptor(channel, Envelope::new(&me, target));
        client.read_index(ReadIndexRequest { timeout_ms: 1_000 }).await.map_err(|status| status.code())
    };
    assert!(ask(raft.cluster_id(), raft.node_id()).await.is_ok());
    assert_eq!(ask(raft.cluster_id() ^ 1, raft.node_id()).await.unwrap_err(), tonic::Code::FailedPrecondition);
    assert_eq!(ask(raft.cluster_id(), raft.node_id() ^ 1).await.unwrap_err(), tonic::Code::FailedPrecondition);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_hear_each_other() {
    let cluster = Cluster::start(3).await;
    for context in cluster.running() {
        let view = context.view.now();
        assert_eq!((view.loads.len(), view.voters.len(), view.quorum), (3, 3, true));
        assert_eq!(view.loads[&view.me].age_ms, 0);
        for id in view.catalog.members.keys().filter(|id| **id != view.me) {
            assert!(context.peers.client_on(*id, Lane::Control).is_ok());
        }
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_stopped_hands_over_and_writes_hardly_wait() {
    let mut cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let old = cluster.context(leader).raft.node_id();
    let context = cluster.context(follower).clone();
    let stop = tokio_util::sync::CancellationToken::new();
    let writer = tokio::spawn({
        let stop = stop.clone();
        async move {
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            while !stop.is_cancelled() {
                put(&context, "a", "1").await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            longest
        }
    });
    cluster.stop(leader).await;
    let status = cluster.context(follower).raft.status();
    assert!(status.leader.is_some_and(|leader| leader != old), "nobody had to miss the leader first: {status:?}");
    stop.cancel();
    println!("the longest wait of a write while the leader was stopped: {:?}", writer.await.expect("it writes"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_calls_go_over_a_line_which_is_opened_again_and_refusals_say_who_leads() {
    let mut cluster = Cluster::start(3).await;
    let (leader, asking) = (cluster.leader().await, cluster.follower().await);
    let asked = (0..3).find(|index| ![leader, asking].contains(index)).expect("there are three");
    let (leader_id, asked_id) = (cluster.context(leader).raft.node_id(), cluster.context(asked).raft.node_id());
    for round in 0..2 {
        let peers = &cluster.context(asking).peers;
        let node = || peers.urgent(asked_id).expect("it is a member");
        eventually("there is a line", async || node().has_line().then_some(())).await;
        put(cluster.context(asking), "key", &round.to_string()).await;
        eventually("a refusal that says who leads", async || {
            let status = node().read_index(ReadIndexRequest { timeout_ms: 1_000 }).await.expect_err("it does not lead");
            (wire::not_leader(&status) == Some(Some(leader_id))).then_some(())
        })
        .await;
        if round == 0 {
            cluster.stop(asked).await;
            let peers = &cluster.context(asking).peers;
            let node = || peers.urgent(asked_id).expect("it is a member");
            eventually("it has ended", async || (!node().has_line()).then_some(())).await;
            put(cluster.context(asking), "key", "meanwhile").await;
            cluster.restart(asked).await;
        }
    }
    cluster.shutdown().await;
}
