//! Turned bits in a node's files: noticed, or of no consequence.
//!
//! `AUTORADIO_ROT_BITS` says how many, `AUTORADIO_ROT_SEED` which.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use faulty_disk::Dice;
use tokio::task::JoinSet;

use crate::{
    Cluster,
    power::{SNAPSHOT_EVERY, judge, setting, value},
};

const BITS: u64 = 32;
const WRITES: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(15);

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if fs::read(&path).unwrap().iter().any(|byte| *byte != 0) {
            found.push(path);
        }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// A turned bit of a file that says something there (most of sled's is empty), and how a node fares with it.
async fn turn(source: PathBuf, seed: u64) -> Result<&'static str, String> {
    let dir = tempfile::tempdir().unwrap();
    copy(&source, dir.path());
    let (mut all, mut dice) = (Vec::new(), Dice::new(seed));
    files(&dir.path().join("1"), &mut all);
    let path = &all[dice.below(all.len())];
    let mut bytes = fs::read(path).unwrap();
    let said: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let at = said[dice.below(said.len())];
    bytes[at] ^= 1 << dice.below(8);
    fs::write(path, bytes).unwrap();
    let what = format!("{} at {at}", path.display());
    judge(dir.path(), Some(WRITES), PATIENCE).await.map_err(|wrong| format!("{what}: {wrong}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turned_bit_anywhere_loses_nothing_that_was_acknowledged() {
    let source = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::below(source.path(), SNAPSHOT_EVERY);
    cluster.found(1).await;
    for number in 1..=WRITES {
        cluster.put("n", &value(number)).await;
    }
    cluster.stop(1).await;
    let (count, seed) = (setting("AUTORADIO_ROT_BITS", BITS), setting("AUTORADIO_ROT_SEED", 1));
    let (mut turns, mut next) = (JoinSet::new(), 0);
    let (mut tally, mut wrong) = (std::collections::BTreeMap::<_, u32>::new(), Vec::new());
    loop {
        while turns.len() < 8 && next < count {
            turns.spawn(turn(source.path().to_owned(), seed * 1_000_003 + next));
            next += 1;
        }
        let Some(found) = turns.join_next().await else { break };
        match found.unwrap() {
            Ok(how) => *tally.entry(how).or_default() += 1,
            Err(what) => wrong.push(what),
        }
    }
    println!("{count} turned bits, seed {seed}: {tally:?}");
    assert!(wrong.is_empty(), "{} of {count} went unnoticed: {wrong:#?}", wrong.len());
    assert!(tally.contains_key("refused"), "no bit mattered: {tally:?}");
}
