//! Disks on which each sync takes 100 ms.

use std::time::{Duration, Instant};

use autoradio_store::Options;
use faulty_disk::{Disk, Faults, Mounted};

use crate::Cluster;

const SYNC: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(100);
/// Long enough for several elections, if there were any.
const WATCHED: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elections_do_not_flap_on_slow_disks() {
    if let Some(why) = faulty_disk::missing() {
        eprintln!("SKIPPED, nothing was tested: {why}");
        return;
    }
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::new(128 << 20));
    let mounted = Mounted::at(dir.path(), disk.clone(), LIMIT).unwrap();
    disk.set_faults(Faults { sync_delay: SYNC, ..Faults::default() });
    let mut cluster = Cluster::below(mounted.dir(), 5_000);
    // The daemon's times.
    cluster.adjust = |options| {
        options.heartbeat = Options::HEARTBEAT;
        options.election = Options::ELECTION;
        options.space_reserve_bytes = 0;
    };
    cluster.found(3).await;
    cluster.put("first", "1").await;
    let leader = cluster.leader().await;
    let before = cluster.node(leader).status().term;
    let (start, mut writes, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while start.elapsed() < WATCHED {
        let began = Instant::now();
        cluster.put("n", &writes.to_string()).await;
        longest = longest.max(began.elapsed());
        writes += 1;
    }
    let after = cluster.node(cluster.leader().await).status().term;
    println!("{writes} writes in {WATCHED:?}, the longest {longest:?}; terms {before} to {after}");
    // One election may be the machine's fault, which is busy with other tests; flapping is one a second or two.
    assert!(after <= before + 1, "the term went from {before} to {after} in {WATCHED:?}");
    for id in 1..=3 {
        cluster.stop(id).await;
    }
}
