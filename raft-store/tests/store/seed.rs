//! A folder made of a state, and a state read from a folder.

use autoradio_machine::{Machine, Member};
use autoradio_store::{Consensus, Identity, StoreError};

use crate::Cluster;

fn first(id: u64) -> Member {
    Member { id, name: format!("host{id}"), peer_urls: vec![format!("http://host{id}:2380")], ..Member::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_last_node_has_is_the_beginning_of_another_cluster() {
    let mut cluster = Cluster::with(3, 40).await;
    for i in 0..60 {
        cluster.put(&format!("k{i}"), &i.to_string()).await;
    }
    for id in 1..=3 {
        cluster.wait_value(id, "k59", "59").await;
    }
    for id in [1, 2] {
        cluster.stop(id).await;
    }
    // While the daemon runs on it, nothing is read.
    assert!(matches!(Consensus::salvage(&cluster.folder(3)).await, Err(StoreError::InUse { .. })));
    cluster.stop(3).await;
    let saved = Consensus::salvage(&cluster.folder(3)).await.unwrap();
    assert_eq!((saved.identity, saved.voters), (Identity { cluster_id: 7, node_id: 3 }, vec![1, 2, 3]));
    assert!(saved.last_index > 60);
    let machine = saved.machine.reborn(7, &first(8));
    let identity = Identity { cluster_id: 7, node_id: 8 };
    Consensus::seed(&cluster.folder(8), &identity, "http://host8:2380", &machine).unwrap();
    let twice = Consensus::seed(&cluster.folder(8), &identity, "http://host8:2380", &machine);
    assert!(matches!(twice, Err(StoreError::Io { .. })), "{twice:?}");
    // Alone, it leads; and it is the same again from its disk.
    for _ in 0..2 {
        cluster.start(8).await.unwrap();
        assert_eq!(cluster.leader().await, 8);
        assert_eq!(cluster.get(8, "k59").as_deref(), Some("59"));
        cluster.put("after", "1").await;
        assert_eq!(cluster.node(8).status().voters, [8]);
        cluster.stop(8).await;
    }
    // Others learn from it as from any.
    cluster.start(8).await.unwrap();
    cluster.start(9).await.unwrap();
    cluster.leader().await;
    cluster.node(8).set_learner(9, "http://host9:2380".into(), crate::PATIENCE).await.unwrap();
    cluster.wait_value(9, "after", "1").await;
    assert_eq!(cluster.get(9, "k0").as_deref(), Some("0"));
}

#[test]
fn a_seed_that_was_cut_off_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("raft");
    std::fs::create_dir_all(folder.path().join("raft.new/log")).unwrap();
    let machine = Machine::default().reborn(7, &first(1));
    Consensus::seed(&dir, &Identity { cluster_id: 7, node_id: 1 }, "http://host1:2380", &machine).unwrap();
    assert!(dir.is_dir() && !folder.path().join("raft.new").exists());
}
