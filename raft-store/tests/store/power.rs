//! Power failures at many moments of a node's life, on a disk that loses what was not synced.
//!
//! The life is lived once, on a disk that records it; then it is cut at many moments, each way a power failure can go, and
//! a node is started on what is left. `AUTORADIO_POWER_CUTS` says at how many, `AUTORADIO_POWER_SEED` at which.

use std::{collections::BTreeMap, path::Path, time::Duration};

use faulty_disk::{Cut, Disk, History, Mounted};
use tokio::task::JoinSet;

use crate::Cluster;

/// A figure; what is used of it is what takes memory.
const DISK_BYTES: u64 = 1 << 30;
const LIMIT: Duration = Duration::from_secs(120);
/// Enough for all four kinds of loss in each third of a life.
const CUTS: u64 = 36;
const WRITES: u64 = 150;
/// Small, so that there are snapshots and purges in a short life.
pub(crate) const SNAPSHOT_EVERY: u64 = 20;

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What is written as the `number`th value: mostly small; some are so large that sled puts them into files of their own.
pub(crate) fn value(number: u64) -> String {
    let length = match number % 10 {
        3 => 40_000,
        7 => 700_000,
        _ => 20,
    };
    format!("{number} {}", "x".repeat(length))
}

/// A node's life, with three restarts.
async fn live(disk: &Disk, dir: &Path, writes: u64) {
    let mut cluster = Cluster::below(dir, SNAPSHOT_EVERY);
    cluster.start(1).await.unwrap();
    cluster.node(1).bootstrap([(1, "http://host1:2380".to_owned())].into()).await.unwrap();
    for number in 1..=writes {
        cluster.put("n", &value(number)).await;
        disk.mark(number);
        if number % 40 == 0 {
            cluster.stop(1).await;
            cluster.start(1).await.unwrap();
        }
    }
    cluster.stop(1).await;
}

/// How a node that starts on what a power failure left fares; else what is wrong.
async fn look(cut: Cut, patience: Duration) -> Result<&'static str, String> {
    let dir = tempfile::tempdir().unwrap();
    cut.left.write_out(dir.path()).unwrap();
    let Cut { at, loss, mark, .. } = cut;
    judge(dir.path(), mark, patience).await.map_err(|wrong| format!("event {at}, {loss:?}: {wrong}"))
}

/// Whether node 1, started below `dir`, has what was acknowledged (the value of that number), or refuses in words that
/// help; else what is wrong.
pub(crate) async fn judge(dir: &Path, acknowledged: Option<u64>, patience: Duration) -> Result<&'static str, String> {
    let mut cluster = Cluster::below(dir, SNAPSHOT_EVERY);
    if acknowledged.is_some() && !cluster.folder(1).join("identity").exists() {
        return Err("nothing is left".into());
    }
    match cluster.start(1).await {
        Ok(()) => {}
        Err(error) => {
            let helps = ["join anew", "when others run", "upgrade autoradio"];
            assert!(helps.iter().any(|words| error.to_string().contains(words)), "{error}");
            println!("{error}");
            return Ok("refused");
        }
    }
    let Some(acknowledged) = acknowledged else {
        // Whether it knows of its cluster yet is all the same.
        cluster.stop(1).await;
        return Ok("young");
    };
    if tokio::time::timeout(patience, cluster.leader()).await.is_err() {
        return Err("nobody leads".into());
    }
    cluster.put("after", "1").await;
    let found = cluster.get(1, "n");
    let number = found.as_deref().and_then(|text| text.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
    cluster.stop(1).await;
    if number < acknowledged {
        return Err(format!("{acknowledged} was acknowledged, and only {number} is left"));
    }
    if found != Some(value(number)) {
        return Err("the value is not what was written".into());
    }
    Ok("whole")
}

/// How each cut ended, a few looked at at a time: most of each is waiting for an election.
async fn look_at_all(
    history: &History,
    count: u64,
    seed: u64,
    patience: Duration,
) -> (BTreeMap<&'static str, u64>, Vec<String>) {
    let mut cuts = Vec::new();
    history.cuts(usize::try_from(count).unwrap(), seed, |cut| cuts.push(cut));
    let (mut tally, mut wrong, mut looks) = (BTreeMap::new(), Vec::new(), JoinSet::new());
    let mut cuts = cuts.into_iter();
    loop {
        while looks.len() < 8
            && let Some(cut) = cuts.next()
        {
            looks.spawn(look(cut, patience));
        }
        let Some(found) = looks.join_next().await else { break };
        match found.unwrap() {
            Ok(how) => *tally.entry(how).or_default() += 1,
            Err(what) => wrong.push(what),
        }
    }
    (tally, wrong)
}

/// A life as its disk recorded it; `None`, said aloud, where there is no FUSE.
async fn recorded_life(writes: u64) -> Option<History> {
    if let Some(why) = faulty_disk::missing() {
        eprintln!("SKIPPED, nothing was tested: {why}");
        return None;
    }
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::recording(DISK_BYTES));
    let mounted = Mounted::at(dir.path(), disk.clone(), LIMIT).unwrap();
    live(&disk, mounted.dir(), writes).await;
    drop(mounted);
    Some(disk.history())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_power_failure_at_any_moment() {
    let Some(history) = recorded_life(WRITES).await else { return };
    let (count, seed) = (setting("AUTORADIO_POWER_CUTS", CUTS), setting("AUTORADIO_POWER_SEED", 1));
    let (tally, wrong) = look_at_all(&history, count, seed, Duration::from_secs(15)).await;
    println!("{} events, {count} power failures, seed {seed}: {tally:?}", history.len());
    assert!(wrong.is_empty(), "{} of {count} lost something: {wrong:#?}", wrong.len());
    assert!(tally.get("whole").is_some_and(|whole| whole * 2 > count), "most are survived: {tally:?}");
}

/// The same test must see it when a disk, or a store, does not do what an fsync asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_fsync_that_is_left_out_is_caught() {
    let Some(history) = recorded_life(20).await else { return };
    let (_, wrong) = look_at_all(&history.without_file_syncs(), 12, 1, Duration::from_secs(1)).await;
    assert!(!wrong.is_empty(), "nothing was lost");
}
