//! Leaders, followers, learners, and what survives whose death.

use std::{collections::BTreeSet, time::Duration};

use autoradio_machine::{Command, Refusal};
use autoradio_store::{ConsensusError, Proposed, Role};

use crate::{Cluster, PATIENCE, eventually};

const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_leads_itself_and_refuses_what_the_machine_refuses() {
    let start = std::time::Instant::now();
    let cluster = Cluster::of(1).await;
    println!("a cluster of one leads after {:?}", start.elapsed());
    let proposed = cluster.put("a", "1").await;
    assert_eq!(proposed.revision, 2);
    let refused = cluster.node(1).propose(&Command::LeaseRevoke { id: 9 }, LIMIT).await;
    assert!(matches!(refused, Err(ConsensusError::Refused(Refusal::LeaseNotFound))));
    assert_eq!(cluster.counters[&1].events.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_names_the_leader_and_reads_are_barred_until_applied() {
    let cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    cluster.put("a", "1").await;
    let follower = if leader == 1 { 2 } else { 1 };
    eventually("the follower knows the leader", || async {
        (cluster.node(follower).status().leader == Some(leader)).then_some(())
    })
    .await;
    let refused = cluster.node(follower).propose(&Command::Compact { revision: 1 }, LIMIT).await;
    assert!(matches!(refused, Err(ConsensusError::NotLeader { leader: Some(l) }) if l == leader));
    let refused = cluster.node(follower).read_index(LIMIT).await;
    assert!(matches!(refused, Err(ConsensusError::NotLeader { .. })));
    let index = cluster.node(leader).read_index(LIMIT).await.unwrap();
    cluster.node(follower).wait_applied(index, LIMIT).await.unwrap();
    assert_eq!(cluster.get(follower, "a").as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::of(3).await;
    for i in 0..20 {
        cluster.put(&format!("k{i}"), "v").await;
    }
    let old = cluster.leader().await;
    cluster.stop(old).await;
    let new = cluster.leader().await;
    assert_ne!(old, new);
    cluster.put("after", "1").await;
    for i in 0..20 {
        assert_eq!(cluster.get(new, &format!("k{i}")).as_deref(), Some("v"), "k{i}");
    }
    cluster.start(old).await.unwrap();
    cluster.wait_value(old, "after", "1").await;
    let hashes: BTreeSet<_> = (1..=3).map(|id| cluster.node(id).read(|m| m.hash(0)).unwrap()).collect();
    assert_eq!(hashes.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_acknowledges_nothing_and_serves_no_reads() {
    let cluster = Cluster::of(3).await;
    cluster.put("a", "1").await;
    let old = cluster.leader().await;
    cluster.cut(old);
    let put =
        Command::Put(autoradio_machine::PutRequest { key: "a".into(), value: "lost".into(), ..Default::default() });
    let refused = cluster.node(old).propose(&put, LIMIT).await;
    assert!(matches!(refused, Err(ConsensusError::Timeout(_) | ConsensusError::NotLeader { .. })), "{refused:?}");
    assert!(cluster.node(old).read_index(LIMIT).await.is_err());
    let refused = cluster.node(old).propose(&put, LIMIT).await;
    assert!(matches!(refused, Err(ConsensusError::NoQuorum | ConsensusError::NotLeader { .. })), "{refused:?}");
    cluster.put("a", "2").await;
    cluster.heal();
    cluster.wait_value(old, "a", "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_too_long_is_brought_up_by_a_snapshot() {
    let mut cluster = Cluster::with(3, 40).await;
    let leader = cluster.leader().await;
    let away = (1..=3).find(|id| *id != leader).unwrap();
    cluster.stop(away).await;
    // Several pieces' worth of state.
    let large = "x".repeat(1_000_000);
    for i in 0..5 {
        cluster.put(&format!("large{i}"), &large).await;
    }
    for i in 0..200 {
        cluster.put("a", &i.to_string()).await;
    }
    cluster.node(leader).snapshot_now(PATIENCE).await.unwrap();
    cluster.start(away).await.unwrap();
    cluster.wait_value(away, "a", "199").await;
    assert!(cluster.counters[&away].restored.lock().unwrap().iter().any(|index| *index > 100));
    assert!((0..5).all(|i| cluster.get(away, &format!("large{i}")).as_ref() == Some(&large)));
    // And it starts again from that snapshot.
    cluster.stop(away).await;
    cluster.start(away).await.unwrap();
    cluster.wait_value(away, "a", "199").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_becomes_a_voter_and_a_voter_is_removed() {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    cluster.start(4).await.unwrap();
    cluster.node(leader).set_learner(4, "http://host4:2380".into(), LIMIT).await.unwrap();
    cluster.put("a", "1").await;
    cluster.wait_value(4, "a", "1").await;
    assert_eq!(cluster.node(4).status().role, Role::Learner);
    cluster.start(5).await.unwrap();
    cluster.node(leader).set_learner(5, "http://host5:2380".into(), LIMIT).await.unwrap();
    cluster.node(leader).set_voters(vec![1, 2, 3, 4, 5], LIMIT).await.unwrap();
    eventually("five voters", || async { (cluster.node(5).status().voters.len() == 5).then_some(()) }).await;
    // An address changes.
    cluster.node(leader).set_learner(4, "http://elsewhere:2380".into(), LIMIT).await.unwrap();
    assert_eq!(cluster.node(leader).status().addresses[&4], "http://elsewhere:2380");
    // Five survive two.
    let gone: Vec<_> = (1..=5).filter(|id| *id != leader).take(2).collect();
    for id in &gone {
        cluster.cut(*id);
    }
    cluster.put("a", "2").await;
    let rest: Vec<_> = (1..=5).filter(|id| !gone.contains(id)).collect();
    cluster.node(leader).set_voters(rest.clone(), LIMIT).await.unwrap();
    assert_eq!(cluster.node(leader).status().voters, rest);
    assert!(cluster.node(leader).status().learners.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_while_writes_go_on_and_none_is_lost() {
    // Five: more voters than candidate and old leader must be won over.
    for voters in [3, 5] {
        let cluster = Cluster::of(voters).await;
        for round in 0..3 {
            let old = cluster.leader().await;
            let target = (1..=voters).find(|id| *id != old).unwrap();
            let writer = async {
                for i in 0..20 {
                    cluster.put(&format!("{round}-{i}"), "v").await;
                }
            };
            let handing = async {
                let began = std::time::Instant::now();
                let new = cluster.node(old).hand_over(Some(target), PATIENCE).await.unwrap();
                println!("{voters} voters: {old} handed over to {new} in {:?}", began.elapsed());
                assert_eq!(new, target);
            };
            tokio::join!(writer, handing);
            for i in 0..20 {
                cluster.wait_value(target, &format!("{round}-{i}"), "v").await;
            }
        }
        for id in 1..=voters {
            cluster.stop(id).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_lead_is_not_handed_leadership() {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    cluster.start(4).await.unwrap();
    cluster.node(leader).set_learner(4, "http://host4:2380".into(), LIMIT).await.unwrap();
    let learner = cluster.node(leader).hand_over(Some(4), LIMIT).await;
    assert!(matches!(learner, Err(ConsensusError::Membership(_))), "{learner:?}");
    let follower = (1..=3).find(|id| *id != leader).unwrap();
    let elsewhere = cluster.node(follower).hand_over(None, LIMIT).await;
    assert!(matches!(elsewhere, Err(ConsensusError::NotLeader { .. })), "{elsewhere:?}");
    assert_eq!(cluster.node(leader).hand_over(Some(leader), LIMIT).await.unwrap(), leader);
    // A voter that is cut off: it comes to nothing, and the leader leads on.
    cluster.cut(follower);
    let dead = cluster.node(leader).hand_over(Some(follower), Duration::from_millis(500)).await;
    assert!(dead.is_err(), "{dead:?}");
    cluster.put("a", "1").await;
    assert_eq!(cluster.leader().await, leader);
}

/// It waited for a time of its own, while the candidate's term rose past each of its tries: seconds without a leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_a_candidate_for_its_shorter_log_stands_at_once() {
    let cluster = Cluster::of(3).await;
    cluster.put("a", "1").await;
    let leader = cluster.leader().await;
    let [shorter, longer] = [1, 2].map(|step| (leader - 1 + step) % 3 + 1);
    cluster.wait_value(shorter, "a", "1").await;
    cluster.cut(shorter);
    cluster.put("a", "2").await;
    cluster.wait_value(longer, "a", "2").await;
    cluster.stop(leader).await;
    cluster.heal();
    // A candidate more eager than the other can be by itself.
    let eager = async {
        loop {
            cluster.node(shorter).elect().await.expect("it runs");
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    let led = eventually("the one with more leads", || async {
        (cluster.node(longer).status().role == Role::Leader).then_some(())
    });
    tokio::select! {
        () = led => {}
        () = eager => unreachable!("it goes on"),
    }
    cluster.put("a", "3").await;
    cluster.wait_value(shorter, "a", "3").await;
}

/// A notice may come late, of a leader that is none any more, or before the entry: it is an append like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_of_commit_does_no_harm_whatever_it_says() {
    let cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let proposed = cluster.put("a", "1").await;
    let follower = if leader == 1 { 2 } else { 1 };
    let notice = |proposed: &Proposed| cluster.node(leader).commit_notice(proposed).unwrap();
    let take = async |index, notice| cluster.node(follower).take_commit_notice(index, notice).await.unwrap();
    take(proposed.index, notice(&proposed)).await;
    cluster.wait_value(follower, "a", "1").await;
    // Of an earlier leader; of an entry that is not there; the same again.
    for (said, told) in [
        (Proposed { term: 0, index: 2, ..proposed.clone() }, proposed.index + 1),
        (Proposed { index: proposed.index + 100, ..proposed.clone() }, proposed.index + 2),
        (proposed.clone(), proposed.index + 3),
    ] {
        take(told, notice(&said)).await;
    }
    cluster.put("a", "2").await;
    cluster.wait_value(follower, "a", "2").await;
    assert_eq!(cluster.node(follower).status().fatal, None);
    assert!(cluster.node(follower).take_commit_notice(u64::MAX, "?".into()).await.is_err());
}
