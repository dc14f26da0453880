//! Folders: opened again, in use, damaged, newer.

use autoradio_machine::{Command, PutRequest};
use autoradio_store::{Consensus, StoreError};

use crate::{Cluster, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_has_all_it_had_large_values_too() {
    let mut cluster = Cluster::of(1).await;
    let large = "x".repeat(1_000_000);
    cluster.put("large", &large).await;
    cluster.put("small", "1").await;
    for _ in 0..3 {
        cluster.stop(1).await;
        cluster.start(1).await.unwrap();
        cluster.leader().await;
        cluster.put("again", "1").await;
        assert_eq!(cluster.get(1, "large").as_ref(), Some(&large));
        assert_eq!(cluster.get(1, "small").as_deref(), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_commits() {
    let cluster = Cluster::of(1).await;
    let node = cluster.node(1);
    let mut writers = tokio::task::JoinSet::new();
    for i in 0..200 {
        let node = node.clone();
        writers.spawn(async move {
            let put = PutRequest { key: format!("k{i}").into(), ..PutRequest::default() };
            node.propose(&Command::Put(put), PATIENCE).await.unwrap().revision
        });
    }
    let mut revisions: Vec<_> = writers.join_all().await;
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 200);
    let entries = node.status().last_log_index;
    assert!(entries < 50, "each entry costs an fdatasync, and there are {entries} for 200 writers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_use_or_of_another_node_is_refused() {
    let mut cluster = Cluster::of(1).await;
    assert!(matches!(cluster.start(1).await, Err(StoreError::InUse { .. })));
    cluster.stop(1).await;
    std::fs::rename(cluster.folder(1), cluster.folder(2)).unwrap();
    let error = cluster.start(2).await.expect_err("another node's folder");
    assert!(error.to_string().contains("belongs to node 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_identity_or_log_is_refused_with_the_way_out() {
    let mut cluster = Cluster::of(1).await;
    cluster.put("a", "1").await;
    cluster.stop(1).await;
    let identity = cluster.folder(1).join("identity");
    let good = std::fs::read(&identity).unwrap();
    std::fs::write(&identity, "{").unwrap();
    assert!(matches!(Consensus::identity(&cluster.folder(1)), Err(StoreError::Damaged { .. })));
    std::fs::write(&identity, String::from_utf8(good.clone()).unwrap().replace("\"format\":1", "\"format\":9"))
        .unwrap();
    assert!(matches!(Consensus::identity(&cluster.folder(1)), Err(StoreError::Newer { found: 9, .. })));
    std::fs::write(&identity, good).unwrap();
    let db = cluster.folder(1).join("log/db");
    let bytes = std::fs::read(&db).unwrap();
    std::fs::write(&db, vec![0xa5; bytes.len()]).unwrap();
    for _ in 0..2 {
        let error = cluster.start(1).await.expect_err("a damaged log");
        let StoreError::MovedAside { ref moved_to, node_id: 1, .. } = error else { panic!("{error}") };
        assert!(moved_to.join("log/db").exists() && !db.exists());
        assert!(error.to_string().contains("join anew"), "{error}");
        assert!(matches!(Consensus::identity(&cluster.folder(1)), Err(StoreError::MovedAside { .. })));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_passed_over_only_while_the_log_leads_on() {
    let mut cluster = Cluster::with(1, 20).await;
    let snapshots = |cluster: &Cluster| {
        let mut all: Vec<_> =
            cluster.folder(1).join("snapshots").read_dir().unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    };
    for i in 0..100 {
        cluster.put("a", &i.to_string()).await;
    }
    cluster.node(1).snapshot_now(PATIENCE).await.unwrap();
    cluster.stop(1).await;
    let files = snapshots(&cluster);
    assert!((1..=2).contains(&files.len()), "two are kept: {files:?}");
    for file in files {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    let error = cluster.start(1).await.expect_err("the log was purged up to the snapshot");
    assert!(matches!(error, StoreError::SnapshotLost { .. }) && error.to_string().contains("checksum"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_fetched_anew_from_another_node() {
    let mut cluster = Cluster::with(3, 20).await;
    let large = "x".repeat(1_500_000);
    cluster.put("large", &large).await;
    for i in 0..60 {
        cluster.put("a", &i.to_string()).await;
    }
    let leader = cluster.leader().await;
    let hurt = (1..=3).find(|id| *id != leader).unwrap();
    cluster.wait_value(hurt, "a", "59").await;
    cluster.node(hurt).snapshot_now(PATIENCE).await.unwrap();
    cluster.stop(hurt).await;
    let mut damaged = 0;
    for entry in cluster.folder(hurt).join("snapshots").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        damaged += 1;
    }
    assert!(damaged > 0);
    // Nobody can be asked.
    cluster.cut(hurt);
    let error = cluster.start(hurt).await.expect_err("the snapshot is damaged, and nobody gives another");
    assert!(matches!(error, StoreError::SnapshotLost { .. }), "{error}");
    assert!(error.to_string().contains("when others run"), "{error}");
    cluster.heal();
    cluster.start(hurt).await.unwrap();
    cluster.put("a", "60").await;
    cluster.wait_value(hurt, "a", "60").await;
    assert_eq!(cluster.get(hurt, "large"), Some(large));
    assert!(!cluster.counters[&hurt].restored.lock().unwrap().is_empty());
}
