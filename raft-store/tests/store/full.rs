//! Disks that are full, or fail.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use autoradio_machine::{Command, NodeId, PutRequest};
use autoradio_store::{ConsensusError, StoreError};
use faulty_disk::{Disk, Faults, Mounted};

use crate::{Cluster, PATIENCE, eventually, rot::copy};

const LIMIT: Duration = Duration::from_secs(150);
const CALL: Duration = Duration::from_secs(2);
const MIB: u64 = 1 << 20;
const RESERVE_BYTES: u64 = 16 * MIB;
const ROOMY_BYTES: u64 = 256 * MIB;

/// Nodes with a disk each; `None`, said aloud, where there is no FUSE.
struct Disks {
    cluster: Cluster,
    disks: BTreeMap<NodeId, Disk>,
    // Last: the nodes are gone by then.
    _mounts: Vec<(Mounted, tempfile::TempDir)>,
}

impl Disks {
    async fn of(voters: NodeId) -> Option<Self> {
        if let Some(why) = faulty_disk::missing() {
            eprintln!("SKIPPED, nothing was tested: {why}");
            return None;
        }
        let mut cluster = Cluster::empty(5_000);
        cluster.adjust = |options| options.space_reserve_bytes = RESERVE_BYTES;
        let (mut disks, mut mounts) = (BTreeMap::new(), Vec::new());
        for id in 1..=voters {
            let (dir, disk) = (tempfile::tempdir().expect("a temporary folder"), Disk::new(ROOMY_BYTES));
            let mounted = Mounted::at(dir.path(), disk.clone(), LIMIT).expect("the disk is mounted");
            cluster.homes.insert(id, mounted.dir().join("node"));
            disks.insert(id, disk);
            mounts.push((mounted, dir));
        }
        cluster.found(voters).await;
        Some(Self { cluster, disks, _mounts: mounts })
    }

    /// Leaves a disk so much room beyond what is used, and waits until its node has noticed.
    async fn leave(&self, id: NodeId, bytes: u64) {
        let disk = &self.disks[&id];
        disk.set_capacity(disk.used_bytes() + bytes);
        let full = bytes < RESERVE_BYTES;
        eventually("the node notices", || async { (self.cluster.node(id).space().full == full).then_some(()) }).await;
    }

    /// Waits until a node has stopped by itself, and says why.
    async fn stopped_for_its_disk(&self, id: NodeId) {
        let status = eventually("the node stops", || async {
            let status = self.cluster.node(id).status();
            status.fatal.is_some().then_some(status)
        })
        .await;
        assert!(status.storage_failed, "{status:?}");
    }

    async fn stop(&self) {
        for id in self.cluster.ids() {
            self.cluster.stop(id).await;
        }
    }
}

fn put(value: &str) -> Command {
    Command::Put(PutRequest { key: "a".into(), value: value.to_owned().into(), ..PutRequest::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_follower_holds_nobody_up_and_catches_up_when_there_is_room() {
    let Some(all) = Disks::of(3).await else { return };
    let leader = all.cluster.leader().await;
    let full = (1..=3).find(|id| *id != leader).unwrap();
    all.cluster.put("a", "0").await;
    all.cluster.wait_value(full, "a", "0").await;
    all.leave(full, 4 * MIB).await;
    let used = all.disks[&full].used_bytes();
    for i in 1..=20 {
        all.cluster.put("a", &i.to_string()).await;
    }
    let status = all.cluster.node(full).status();
    assert_eq!(status.fatal, None);
    assert_eq!(all.cluster.get(full, "a").as_deref(), Some("0"), "it takes nothing");
    assert!(all.disks[&full].used_bytes() <= used + 2 * MIB);
    all.leave(full, ROOMY_BYTES).await;
    all.cluster.wait_value(full, "a", "20").await;
    all.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_leader_hands_on_and_a_full_majority_refuses_until_there_is_room() {
    let Some(all) = Disks::of(3).await else { return };
    let old = all.cluster.leader().await;
    all.cluster.put("a", "1").await;
    all.leave(old, MIB).await;
    let new = eventually("another node leads", || async {
        let leader = all.cluster.leader().await;
        (leader != old).then_some(leader)
    })
    .await;
    all.cluster.put("a", "2").await;
    // Now two of three.
    let other = (1..=3).find(|id| *id != old && *id != new).unwrap();
    all.leave(other, MIB).await;
    let refused = eventually("changes are refused", || async {
        let leader = all.cluster.leader().await;
        match all.cluster.node(leader).propose(&put("3"), CALL).await {
            Err(ConsensusError::NoSpace(why)) => Some(why),
            _ => None,
        }
    })
    .await;
    println!("refused: {refused}");
    // Reads go on, and so do the nodes.
    eventually("a read", || async {
        let leader = all.cluster.leader().await;
        all.cluster.node(leader).read_index(CALL).await.ok()
    })
    .await;
    assert!((1..=3).all(|id| all.cluster.node(id).status().fatal.is_none()));
    all.leave(old, ROOMY_BYTES).await;
    all.leave(other, ROOMY_BYTES).await;
    let done = eventually("changes are taken again", || async {
        let leader = all.cluster.leader().await;
        all.cluster.node(leader).propose(&put("4"), CALL).await.ok()
    })
    .await;
    assert!(done.index > 0);
    for id in 1..=3 {
        all.cluster.wait_value(id, "a", "4").await;
    }
    all.stop().await;
}

/// Who would follow could serve no reads: its own first entry would not be committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_fills_up_where_another_has_no_room_leads_on_and_serves_reads() {
    let Some(all) = Disks::of(3).await else { return };
    let leader = all.cluster.leader().await;
    let follower = (1..=3).find(|id| *id != leader).unwrap();
    all.leave(follower, MIB).await;
    all.cluster.put("a", "1").await;
    all.leave(leader, MIB).await;
    // Longer than it takes to hand on.
    let begun = Instant::now();
    while begun.elapsed() < CALL {
        let refused = all.cluster.node(leader).propose(&put("2"), CALL).await;
        assert!(matches!(refused, Err(ConsensusError::NoSpace(_))), "{refused:?}");
        all.cluster.node(leader).read_index(CALL).await.expect("a read");
    }
    all.leave(follower, ROOMY_BYTES).await;
    eventually("now it hands on", || async { (all.cluster.leader().await != leader).then_some(()) }).await;
    all.cluster.put("a", "3").await;
    all.stop().await;
}

/// What the watch is there to prevent: the node stops for good, in words, and comes back when the disk does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_under_the_log_stops_the_node_and_it_comes_back_with_all_it_acknowledged() {
    let Some(mut all) = Disks::of(1).await else { return };
    all.cluster.adjust = |options| options.space_reserve_bytes = 0;
    all.cluster.put("a", "1").await;
    let failing = Faults { sync_fails: true, ..Faults::default() };
    for (round, fault) in [failing, Faults { write_fails: true, ..Faults::default() }].into_iter().enumerate() {
        let (acknowledged, lost) = (format!("{}", round * 2 + 1), format!("{}", round * 2 + 2));
        all.disks[&1].set_faults(fault);
        let refused = all.cluster.node(1).propose(&put(&lost), CALL).await;
        assert!(refused.is_err(), "{refused:?}");
        all.stopped_for_its_disk(1).await;
        all.cluster.abandon(1).await;
        // It does not start on a disk that fails, and is not taken for damaged.
        if let Err(error) = all.cluster.start(1).await {
            assert!(matches!(error, StoreError::Io { .. }), "{error}");
        } else {
            all.cluster.abandon(1).await;
        }
        all.disks[&1].set_faults(Faults::default());
        all.cluster.start(1).await.unwrap();
        all.cluster.leader().await;
        all.cluster.put("after", "1").await;
        let found = all.cluster.get(1, "a").unwrap();
        assert!(found == acknowledged || found == lost, "{found}");
        all.cluster.node(1).propose(&put(&format!("{}", round * 2 + 3)), PATIENCE).await.unwrap();
    }
    all.stop().await;
}

/// The journal has its room already: what fails on a full disk is the database, behind everybody's back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_no_room_for_what_is_in_the_journal_stops_the_node_and_nothing_is_lost() {
    let Some(mut all) = Disks::of(1).await else { return };
    all.cluster.adjust = |options| options.space_reserve_bytes = 0;
    all.cluster.stop(1).await;
    all.cluster.start(1).await.unwrap();
    all.cluster.put("a", "0").await;
    all.disks[&1].set_capacity(all.disks[&1].used_bytes());
    let large = |number: u32| format!("{number} {}", "x".repeat(100_000));
    let mut acknowledged = 0;
    for number in 1..500 {
        if all.cluster.node(1).propose(&put(&large(number)), CALL).await.is_err() {
            break;
        }
        acknowledged = number;
    }
    assert!((10..499).contains(&acknowledged), "the journal alone takes {acknowledged}");
    all.stopped_for_its_disk(1).await;
    all.cluster.abandon(1).await;
    // sled never comes back from this in the same process: what is left is looked at by another, which must start on it.
    let left = tempfile::tempdir().unwrap();
    copy(&all.cluster.folder(1), &left.path().join("1"));
    let looked_at = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "full::what_is_left_has_all_that_was_acknowledged", "--ignored", "--nocapture"])
        .envs([
            ("AUTORADIO_LEFT", left.path().as_os_str()),
            ("AUTORADIO_ACKNOWLEDGED", acknowledged.to_string().as_ref()),
        ])
        .output()
        .unwrap();
    assert!(looked_at.status.success(), "{looked_at:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test before, in a process of its own"]
async fn what_is_left_has_all_that_was_acknowledged() {
    let left = std::env::var("AUTORADIO_LEFT").expect("AUTORADIO_LEFT is a folder");
    let acknowledged = std::env::var("AUTORADIO_ACKNOWLEDGED").expect("AUTORADIO_ACKNOWLEDGED is a number");
    let acknowledged: u32 = acknowledged.parse().expect("a number");
    let mut cluster = Cluster::below(left.as_ref(), 5_000);
    cluster.start(1).await.unwrap();
    cluster.leader().await;
    cluster.put("after", "1").await;
    let found = cluster.get(1, "a").unwrap();
    let found: u32 = found.split(' ').next().unwrap().parse().unwrap();
    assert!(found == acknowledged || found == acknowledged + 1, "{found}, and {acknowledged} were acknowledged");
    cluster.stop(1).await;
}
