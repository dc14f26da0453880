//! A node's disk, which outlives the node and keeps only what was synced.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use autoradio_machine::LogIndex;
use autoradio_store::{Cell, Disk, Done, Files, Tree, Visit};
use tokio::sync::Notify;

use crate::{dice::Dice, net::UNPOISONED, scenario::Planted};

/// What a sync takes, and how often in a thousand times and how much longer a slow one.
const SYNC_MS: std::ops::RangeInclusive<u64> = 1..=4;
const SLOW_SYNC_PER_MILLE: u64 = 15;
const SLOW_SYNC_MS: std::ops::RangeInclusive<u64> = 40..=150;
/// How long what was acknowledged too early is not durable, where that is planted.
const LATE_SYNC_MS: u64 = 250;
/// The vote's cell; the store's own name for it.
const VOTE: &[u8] = b"vote";

type Cells = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct Trees {
    log: Cells,
    marks: Cells,
}

impl Trees {
    fn of(&self, tree: Tree) -> &Cells {
        match tree {
            Tree::Log => &self.log,
            Tree::Marks => &self.marks,
        }
    }

    fn write(&mut self, tree: Tree, cells: &[Cell]) {
        let cells_of = match tree {
            Tree::Log => &mut self.log,
            Tree::Marks => &mut self.marks,
        };
        for (key, value) in cells {
            match value {
                Some(value) => cells_of.insert(key.clone(), value.clone()),
                None => cells_of.remove(key),
            };
        }
    }
}

struct Inner {
    /// What the program sees.
    seen: Trees,
    /// What a crash leaves.
    durable: Trees,
    /// Written, and not durable yet.
    pending: VecDeque<(Tree, Vec<Cell>)>,
    waiting: Vec<Done>,
    /// Snapshots: they are synced before the write returns.
    files: BTreeMap<String, Vec<u8>>,
    dice: Dice,
}

/// A disk; clones are one.
#[derive(Clone)]
pub(crate) struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    wanted: Arc<Notify>,
    planted: Planted,
}

impl SimDisk {
    pub(crate) fn new(dice: Dice, planted: Planted) -> Self {
        let inner = Inner {
            seen: Trees::default(),
            durable: Trees::default(),
            pending: VecDeque::new(),
            waiting: Vec::new(),
            files: BTreeMap::new(),
            dice,
        };
        Self { inner: Arc::new(Mutex::new(inner)), wanted: Arc::default(), planted }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().expect(UNPOISONED))
    }

    /// What syncs while a node lives: one sync at a time serves all who wait, as the store's own thread does.
    pub(crate) async fn serve(self) {
        loop {
            self.wanted.notified().await;
            let (waiting, writes, wait_ms) = self.with(|inner| {
                let slow = inner.dice.chance(SLOW_SYNC_PER_MILLE);
                let wait_ms = inner.dice.within(if slow { SLOW_SYNC_MS } else { SYNC_MS });
                (std::mem::take(&mut inner.waiting), inner.pending.len(), wait_ms)
            });
            let wait_ms = if self.planted.ack_before_sync { LATE_SYNC_MS } else { wait_ms };
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            self.with(|inner| inner.keep(writes, self.planted));
            waiting.into_iter().for_each(|done| done(Ok(())));
        }
    }

    /// The node was killed, or the power went: some first part of what was not synced may have reached the disk.
    pub(crate) fn crash(&self) {
        self.with(|inner| {
            let reached = inner.dice.below(inner.pending.len() as u64 + 1);
            inner.keep(usize::try_from(reached).unwrap_or(0), self.planted);
            inner.pending.clear();
            inner.waiting.clear();
            inner.seen = Trees { log: inner.durable.log.clone(), marks: inner.durable.marks.clone() };
        });
    }

    /// The entry at an index as a crash would leave it: its bytes, or `None` where a snapshot stands for it.
    pub(crate) fn durable_entry(&self, index: LogIndex) -> Option<Option<Vec<u8>>> {
        self.with(|inner| {
            let pieces = inner.durable.log.range(index.to_be_bytes().to_vec()..(index + 1).to_be_bytes().to_vec());
            let bytes: Vec<u8> = pieces.flat_map(|(_, piece)| piece.iter().copied()).collect();
            if !bytes.is_empty() {
                return Some(Some(bytes));
            }
            let newest = inner.files.keys().next_back();
            let covers = newest.and_then(|name| name.split('-').nth(1)?.parse::<LogIndex>().ok());
            covers.is_some_and(|covers| covers >= index).then_some(None)
        })
    }
}

impl Inner {
    /// Makes the first so many writes durable.
    fn keep(&mut self, writes: usize, planted: Planted) {
        for (tree, cells) in self.pending.drain(..writes.min(self.pending.len())) {
            let cells = if planted.forget_vote && cells.iter().any(|(key, _)| key == VOTE) {
                // What is durable is what the vote was before this write.
                continue;
            } else {
                cells
            };
            self.durable.write(tree, &cells);
        }
    }
}

impl Disk for SimDisk {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.with(|inner| inner.seen.of(tree).get(key).cloned()))
    }

    fn scan(&self, tree: Tree, start: &[u8], end: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        self.with(|inner| {
            for (key, value) in inner.seen.of(tree).range(start.to_vec()..end.to_vec()) {
                if visit(key, value)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn last_key(&self, tree: Tree) -> io::Result<Option<Vec<u8>>> {
        Ok(self.with(|inner| inner.seen.of(tree).keys().next_back().cloned()))
    }

    fn write(&self, tree: Tree, cells: Vec<Cell>) -> io::Result<()> {
        self.with(|inner| {
            if self.planted.forget_vote
                && let Some(before) =
                    cells.iter().find_map(|(key, _)| (key == VOTE).then(|| inner.seen.of(tree).get(key)))
                && let Some(before) = before.cloned()
            {
                // An older vote has reached the disk in the meantime, by itself.
                inner.durable.write(tree, &[(VOTE.to_vec(), Some(before))]);
            }
            inner.seen.write(tree, &cells);
            inner.pending.push_back((tree, cells));
        });
        Ok(())
    }

    fn sync(&self, done: Done) {
        if self.planted.ack_before_sync {
            done(Ok(()));
        } else {
            self.with(|inner| inner.waiting.push(done));
        }
        self.wanted.notify_one();
    }
}

impl Files for SimDisk {
    fn folder(&self) -> PathBuf {
        PathBuf::from("simulated")
    }

    fn blocks(&self) -> bool {
        false
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.with(|inner| inner.files.keys().cloned().collect()))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, name.to_owned());
        self.with(|inner| inner.files.get(name).cloned().ok_or_else(missing))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|inner| inner.files.insert(name.to_owned(), bytes.to_vec()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|inner| inner.files.remove(name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(key: &str, value: &str) -> Vec<Cell> {
        vec![(key.into(), Some(value.into()))]
    }

    fn synced(disk: &SimDisk) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            tokio::spawn(disk.clone().serve());
            let (sender, receiver) = tokio::sync::oneshot::channel();
            disk.sync(Box::new(move |result| sender.send(result).unwrap()));
            receiver.await.unwrap().unwrap();
        });
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_first_part_of_the_rest() {
        for seed in 0..50 {
            let disk = SimDisk::new(Dice::of(seed, "disk", 0), Planted::default());
            disk.write(Tree::Log, cell("a", "1")).unwrap();
            synced(&disk);
            disk.write(Tree::Log, cell("b", "2")).unwrap();
            disk.write(Tree::Log, cell("c", "3")).unwrap();
            assert!(disk.get(Tree::Log, b"c").unwrap().is_some(), "what was written is seen");
            disk.crash();
            let [a, b, c] = ["a", "b", "c"].map(|key| disk.get(Tree::Log, key.as_bytes()).unwrap().is_some());
            assert!(a && (b || !c));
        }
    }

    #[test]
    fn planted_faults_lose_what_was_called_durable() {
        let early = SimDisk::new(Dice::of(4, "disk", 0), Planted { ack_before_sync: true, ..Planted::default() });
        let lost = (0..20).any(|n| {
            early.write(Tree::Log, cell(&format!("k{n}"), "1")).unwrap();
            synced(&early);
            early.crash();
            early.get(Tree::Log, format!("k{n}").as_bytes()).unwrap().is_none()
        });
        assert!(lost);
        let forgetful = SimDisk::new(Dice::of(4, "disk", 0), Planted { forget_vote: true, ..Planted::default() });
        for vote in ["1", "2"] {
            forgetful.write(Tree::Marks, cell("vote", vote)).unwrap();
            synced(&forgetful);
        }
        forgetful.crash();
        assert_eq!(forgetful.get(Tree::Marks, VOTE).unwrap().as_deref(), Some("1".as_bytes()));
    }
}
