use std::{pin::pin, time::Duration};

use openraft::{CommittedLeaderId, EntryPayload, storage::RaftLogStorageExt};

use super::*;
use crate::{
    disk::{Cell, Done, Visit},
    sled_disk::SledDisk,
    types::Payload,
    witness::Seen,
};

fn entry(index: u64, bytes: usize) -> Entry {
    let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
    Entry { log_id, payload: EntryPayload::Normal(Payload(vec![vec![0; bytes].into()])) }
}

fn open(folder: &tempfile::TempDir) -> LogStore {
    LogStore::new(Arc::new(SledDisk::open(&folder.path().join("log"), true).unwrap().0), None, 1)
}

#[tokio::test]
async fn entries_are_read_in_messages_that_get_through_within_a_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder);
    log.write_entries((1..=20).map(|index| entry(index, 200 * 1024))).unwrap();
    log.write_entries([entry(21, 2 * 1024 * 1024)]).unwrap();
    let read = log.limited_get_log_entries(1, 22).await.unwrap();
    assert!((1..=4).contains(&read.len()), "{}", read.len());
    assert_eq!(log.limited_get_log_entries(21, 22).await.unwrap().len(), 1, "never none");
    assert_eq!(log.try_get_log_entries(1..22).await.unwrap().len(), 21);
}

#[tokio::test]
async fn a_crash_between_the_purge_mark_and_the_purge_leaves_a_log_that_ends_at_the_mark() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder);
    log.write_entries((1..=5).map(|index| entry(index, 1))).unwrap();
    // As a follower does that was given a snapshot far ahead of its log.
    let upto = entry(9, 0).log_id;
    log.set_mark(PURGED, &upto).unwrap();
    let state = log.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(upto), Some(upto)));
}

#[tokio::test]
async fn nobody_leads_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder);
    log.save_vote(&Vote::new_committed(5, 1)).await.unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(5, 1)));
}

#[test]
fn a_log_is_whole_or_it_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder);
    log.write_entries((3..=6).map(|index| entry(index, 10))).unwrap();
    log.set_mark(PURGED, &entry(4, 0).log_id).unwrap();
    let seen = |vote, last| {
        let mut seen = Seen::default();
        (seen.vote, seen.last) = (vote, last);
        seen
    };
    let complaint = |seen: &Seen| log.check_against(seen).expect_err("it is not whole").to_string();
    log.check_against(&seen(None, Some(entry(6, 0).log_id))).unwrap();
    assert!(complaint(&seen(None, Some(entry(7, 0).log_id))).contains("durable up to entry 7"));
    assert!(complaint(&seen(Some(Vote::new(3, 1)), None)).contains("vote"));
    log.set_mark(VOTE, &Vote::new(3, 1)).unwrap();
    log.check_against(&seen(Some(Vote::new(3, 1)), None)).unwrap();
    let taken = log.disk.get(Tree::Log, &key(5, 0)).unwrap();
    log.remove(&key(5, 0), &key(6, 0)).unwrap();
    assert!(complaint(&Seen::default()).contains("entry 5 is missing"));
    log.disk.write(Tree::Log, vec![(key(5, 0).to_vec(), taken)]).unwrap();
    log.check().unwrap();
    let other = log.disk.get(Tree::Log, &key(6, 0)).unwrap();
    log.disk.write(Tree::Log, vec![(key(5, 0).to_vec(), other)]).unwrap();
    assert!(complaint(&Seen::default()).contains("checksum"));
}

/// A disk whose syncs take as long as they are held.
struct Slow {
    disk: SledDisk,
    held: Mutex<Option<Vec<Done>>>,
}

impl Slow {
    fn hold(&self) {
        *self.held.lock().unwrap() = Some(Vec::new());
    }

    fn let_go(&self) {
        self.held.lock().unwrap().take().into_iter().flatten().for_each(|done| self.disk.sync(done));
    }
}

impl Disk for Slow {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.disk.get(tree, key)
    }

    fn scan(&self, tree: Tree, start: &[u8], end: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        self.disk.scan(tree, start, end, visit)
    }

    fn last_key(&self, tree: Tree) -> io::Result<Option<Vec<u8>>> {
        self.disk.last_key(tree)
    }

    fn write(&self, tree: Tree, cells: Vec<Cell>) -> io::Result<()> {
        self.disk.write(tree, cells)
    }

    fn sync(&self, done: Done) {
        match self.held.lock().unwrap().as_mut() {
            Some(held) => held.push(done),
            None => self.disk.sync(done),
        }
    }
}

#[tokio::test]
async fn a_follower_waits_for_its_disk_and_what_a_leader_appends_settles_when_it_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SledDisk::open(&folder.path().join("log"), true).unwrap().0;
    let slow = Arc::new(Slow { disk, held: Mutex::default() });
    let mut log = LogStore::new(slow.clone(), None, 1);
    let soon = Duration::from_millis(20);

    log.save_vote(&Vote::new_committed(1, 2)).await.unwrap();
    slow.hold();
    {
        let mut append = pin!(log.blocking_append([entry(1, 1)]));
        assert!(tokio::time::timeout(soon, append.as_mut()).await.is_err(), "node 2 leads");
        slow.let_go();
        append.await.unwrap();
    }

    log.save_vote(&Vote::new_committed(2, 1)).await.unwrap();
    slow.hold();
    log.blocking_append([entry(2, 1), entry(3, 1)]).await.unwrap();
    log.unsynced().settled(1).await.unwrap();
    assert!(tokio::time::timeout(soon, log.unsynced().settled(2)).await.is_err());
    slow.let_go();
    log.unsynced().settled(3).await.unwrap();
}
