//! The log, vote and marks as cells of a [`Disk`].
//!
//! Entries are cut into pieces, which keeps sled from putting most of them into files of their own. Each record has a
//! checksum of ours, and a witness beside the disk tells whether it gives all that was durable once.

mod check;
mod record;

use std::{
    fmt::Debug,
    io,
    ops::{Bound, ControlFlow, RangeBounds},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use autoradio_machine::NodeId;
use openraft::{LogState, OptionalSend, RaftLogReader, StorageIOError, storage::LogFlushed, storage::RaftLogStorage};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::{
    disk::{Disk, Tree},
    types::{Entry, LogId, StorageError, TypeConfig, Vote},
    unsynced::Unsynced,
    witness::Witness,
};

use record::{decode, encode};

const PIECE_BYTES: usize = 100 * 1024;
/// What one message to a follower carries (or one entry, if that has more): it must get there, and onto the disk, within a
/// heartbeat, or it would be sent again for ever.
const READ_BYTES_MAX: usize = 512 * 1024;

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// Log, vote and marks. Clones are one.
#[derive(Clone)]
pub(crate) struct LogStore {
    disk: Arc<dyn Disk>,
    /// Told of what became durable, on the thread that makes it so.
    witness: Option<Arc<Mutex<Witness>>>,
    node_id: NodeId,
    /// Whether this node leads, as its vote says: what is appended then is its own.
    leads: Arc<AtomicBool>,
    unsynced: Unsynced,
}

const UNPOISONED: &str = "nothing panics while it holds the witness";

impl LogStore {
    pub(crate) fn new(disk: Arc<dyn Disk>, witness: Option<Witness>, node_id: NodeId) -> Self {
        Self {
            disk,
            witness: witness.map(|witness| Arc::new(Mutex::new(witness))),
            node_id,
            leads: Arc::default(),
            unsynced: Unsynced::default(),
        }
    }

    /// What this node appended as leader, and is not on its disk yet.
    pub(crate) fn unsynced(&self) -> Unsynced {
        self.unsynced.clone()
    }

    /// The last entry that was purged, from which a snapshot must take over.
    pub(crate) fn purged(&self) -> io::Result<Option<LogId>> {
        self.mark(PURGED)
    }

    fn mark<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        self.disk.get(Tree::Marks, name.as_bytes())?.map(|bytes| decode(name.as_bytes(), &bytes)).transpose()
    }

    fn set_mark<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        self.disk.write(Tree::Marks, vec![(name.into(), Some(encode(name.as_bytes(), value)?))])
    }

    /// Waits until everything written before is durable, and noted.
    async fn synced(&self, note: impl FnOnce(&mut Witness) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let witness = self.witness.clone();
        self.disk.sync(Box::new(move |result| {
            let noted = result.and_then(|()| match witness {
                Some(witness) => note(&mut witness.lock().expect(UNPOISONED)),
                None => Ok(()),
            });
            // Who does not wait any more needs no answer.
            drop(sender.send(noted));
        }));
        receiver.await.map_err(|_| io::Error::other("the log was closed"))?
    }

    /// Tells `done` when everything written before is durable, and notes it then: nobody waits for that.
    fn sync_before_noting(
        &self,
        note: impl FnOnce(&mut Witness) -> io::Result<()> + Send + 'static,
        done: impl FnOnce(io::Result<()>) + Send + 'static,
    ) {
        let (witness, unsynced) = (self.witness.clone(), self.unsynced());
        self.disk.sync(Box::new(move |result| {
            let is_durable = result.is_ok();
            done(result);
            if is_durable
                && let Some(witness) = witness
                && let Err(error) = note(&mut witness.lock().expect(UNPOISONED))
            {
                unsynced.fail(&error);
            }
        }));
    }

    /// Writes entries; the first and the last of them.
    fn write_entries(&self, entries: impl IntoIterator<Item = Entry>) -> io::Result<Option<(LogId, LogId)>> {
        let (mut cells, mut ends) = (Vec::new(), None);
        for entry in entries {
            let index = entry.log_id.index;
            for (piece, bytes) in (0u16..).zip(encode(&index.to_be_bytes(), &entry)?.chunks(PIECE_BYTES)) {
                cells.push((key(index, piece).to_vec(), Some(bytes.to_vec())));
            }
            ends = ends.map_or(Some((entry.log_id, entry.log_id)), |(first, _)| Some((first, entry.log_id)));
        }
        self.disk.write(Tree::Log, cells)?;
        Ok(ends)
    }

    /// Removes the cells from `start` on, those from `end` on left out.
    fn remove(&self, start: &[u8], end: &[u8]) -> io::Result<()> {
        let mut cells = Vec::new();
        self.disk.scan(Tree::Log, start, end, &mut |key, _| {
            cells.push((key.to_vec(), None));
            Ok(ControlFlow::Continue(()))
        })?;
        self.disk.write(Tree::Log, cells)
    }

    /// The entries of a range; the first of them only, where they have more than `most` bytes.
    fn read_entries(&self, range: impl RangeBounds<u64>, most: usize) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        if start >= end {
            return Ok(Vec::new());
        }
        let (mut entries, mut read) = (Vec::new(), 0usize);
        let (mut name, mut bytes): ([u8; 8], Vec<u8>) = ([0; 8], Vec::new());
        self.disk.scan(Tree::Log, &key(start, 0), &key(end, 0), &mut |found, piece| {
            // The first piece of an entry ends the one before.
            if found.ends_with(&[0, 0]) && !bytes.is_empty() {
                entries.push(decode(&name, &bytes)?);
                bytes.clear();
                if read > most {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if bytes.is_empty() {
                name = *found.first_chunk().ok_or_else(|| invalid("a key of the log is too short"))?;
            }
            read = read.saturating_add(piece.len());
            bytes.extend_from_slice(piece);
            Ok(ControlFlow::Continue(()))
        })?;
        if !bytes.is_empty() {
            entries.push(decode(&name, &bytes)?);
        }
        Ok(entries)
    }

    fn last(&self) -> io::Result<Option<LogId>> {
        let Some(found) = self.disk.last_key(Tree::Log)? else { return Ok(None) };
        let (index, _) = found.split_first_chunk::<8>().ok_or_else(|| invalid("a key of the log is too short"))?;
        Ok(self.read_entries(u64::from_be_bytes(*index).., usize::MAX)?.last().map(|entry| entry.log_id))
    }
}

fn key(index: u64, piece: u16) -> [u8; 10] {
    let mut key = [0; 10];
    key[..8].copy_from_slice(&index.to_be_bytes());
    key[8..].copy_from_slice(&piece.to_be_bytes());
    key
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn reading(error: io::Error) -> StorageError {
    StorageIOError::read_logs(openraft::AnyError::new(&error)).into()
}

fn writing(error: io::Error) -> StorageError {
    StorageIOError::write_logs(openraft::AnyError::new(&error)).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read_entries(range, usize::MAX).map_err(reading)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.read_entries(start..end, READ_BYTES_MAX).map_err(reading)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let last_purged_log_id = self.purged().map_err(reading)?;
        // The mark is made durable before the entries go: after a crash between the two, older ones are still there.
        let last_log_id = self.last().map_err(reading)?.max(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.leads.store(false, Ordering::Release);
        self.set_mark(VOTE, vote).map_err(writing)?;
        let vote = *vote;
        // Everything appended before is durable then too.
        self.synced(move |witness| witness.note(Some(vote), None)).await.map_err(writing)?;
        let leads = vote.committed && vote.leader_id.voted_for() == Some(self.node_id);
        self.leads.store(leads, Ordering::Release);
        Ok(())
    }

    /// The vote as it binds this node, without what came of it: nobody leads on after a restart. openraft would resume
    /// a leadership at once, with whatever `committed` mark had reached the disk, and serve reads from before writes
    /// that it had acknowledged (found by the simulation); or write other entries where followers have some that its
    /// own disk had not got. A new term shows what is committed.
    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let vote: Option<Vote> = self.mark(VOTE).map_err(reading)?;
        Ok(vote.map(|vote| Vote { committed: false, ..vote }))
    }

    /// Only a hint of where to resume: not synced on its own (openraft #1511 tells why it is kept at all).
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        match committed {
            Some(id) => self.set_mark(COMMITTED, &id).map_err(writing),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        self.mark(COMMITTED).map_err(reading)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.unsynced.check().map_err(writing)?;
        let ends = self.write_entries(entries).map_err(writing)?;
        let note = move |witness: &mut Witness| witness.note(None, ends.map(|(_, last)| last));
        let Some((first, _)) = ends.filter(|_| self.leads.load(Ordering::Acquire)) else {
            self.sync_before_noting(note, |result| callback.log_io_completed(result));
            return Ok(());
        };
        // The followers write them meanwhile.
        let unsynced = self.unsynced();
        unsynced.begin(first.index);
        self.sync_before_noting(note, move |result| unsynced.end(first.index, result));
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        // First: the witness must not speak of entries that are about to go.
        self.synced(Witness::forget_entries).await.map_err(writing)?;
        self.remove(&key(from.index, 0), &key(u64::MAX, u16::MAX)).map_err(writing)?;
        self.synced(|_| Ok(())).await.map_err(writing)
    }

    /// The mark first: entries that are gone without it would look like a damaged log.
    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.set_mark(PURGED, &upto).map_err(writing)?;
        self.synced(|_| Ok(())).await.map_err(writing)?;
        self.remove(&[], &key(upto.index.saturating_add(1), 0)).map_err(writing)
    }
}

#[cfg(test)]
mod tests;
