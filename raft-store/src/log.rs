//! The log, vote and marks as cells of a [`Disk`].
//!
//! Entries are cut into pieces, which keeps sled from putting most of them into files of their own.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, ControlFlow, RangeBounds},
    sync::Arc,
};

use autoradio_machine::NodeId;
use openraft::{LogState, OptionalSend, RaftLogReader, StorageIOError, storage::LogFlushed, storage::RaftLogStorage};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::{
    disk::{Disk, Tree},
    durable::Durable,
    types::{Entry, LogId, StorageError, TypeConfig, Vote},
};

/// The format of values that this program writes, and the newest that it reads.
pub(crate) const FORMAT: u8 = 1;
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
    node_id: NodeId,
    /// Whether the vote that was saved last makes this node the leader.
    leads: bool,
    durable: Durable,
}

impl LogStore {
    pub(crate) fn new(disk: Arc<dyn Disk>, node_id: NodeId) -> Self {
        Self { disk, node_id, leads: false, durable: Durable::default() }
    }

    /// What is only on its way to the disk, for who must wait for it.
    pub(crate) fn durable(&self) -> Durable {
        self.durable.clone()
    }

    /// The last entry that was purged, from which a snapshot must take over.
    pub(crate) fn purged(&self) -> io::Result<Option<LogId>> {
        self.mark(PURGED)
    }

    fn mark<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        self.disk.get(Tree::Marks, name.as_bytes())?.map(|bytes| decode(&bytes)).transpose()
    }

    fn set_mark<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        self.disk.write(Tree::Marks, vec![(name.into(), Some(encode(value)?))])
    }

    /// Waits until everything written before is durable.
    async fn synced(&self) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        // Who does not wait any more needs no answer.
        self.disk.sync(Box::new(move |result| drop(sender.send(result))));
        receiver.await.map_err(|_| io::Error::other("the log was closed"))?
    }

    fn write_entries(&self, entries: impl IntoIterator<Item = Entry>) -> io::Result<()> {
        let mut cells = Vec::new();
        for entry in entries {
            for (piece, bytes) in (0u16..).zip(encode(&entry)?.chunks(PIECE_BYTES)) {
                cells.push((key(entry.log_id.index, piece).to_vec(), Some(bytes.to_vec())));
            }
        }
        self.disk.write(Tree::Log, cells)
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
        let mut bytes: Vec<u8> = Vec::new();
        self.disk.scan(Tree::Log, &key(start, 0), &key(end, 0), &mut |found, piece| {
            // The first piece of an entry ends the one before.
            if found.ends_with(&[0, 0]) && !bytes.is_empty() {
                entries.push(decode(&bytes)?);
                bytes.clear();
                if read > most {
                    return Ok(ControlFlow::Break(()));
                }
            }
            read = read.saturating_add(piece.len());
            bytes.extend_from_slice(piece);
            Ok(ControlFlow::Continue(()))
        })?;
        if !bytes.is_empty() {
            entries.push(decode(&bytes)?);
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

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_extend(value, vec![FORMAT]).map_err(io::Error::other)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(io::Error::other),
        Some((&found, _)) if found > FORMAT => {
            Err(invalid(&format!("the log has format {found}, this program reads up to {FORMAT}; upgrade autoradio")))
        }
        _ => Err(invalid("an entry of the log is damaged; remove this node and join anew")),
    }
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
        // Not the leader until the vote is durable, which everything written before it is then, too.
        self.leads = false;
        self.set_mark(VOTE, vote).map_err(writing)?;
        self.synced().await.map_err(writing)?;
        self.leads = vote.is_committed() && vote.leader_id().voted_for() == Some(self.node_id);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.mark(VOTE).map_err(reading)
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
        let entries: Vec<Entry> = entries.into_iter().collect();
        let first = entries.first().map(|entry| entry.log_id.index);
        self.write_entries(entries).map_err(writing)?;
        let Some(first) = first.filter(|_| self.leads) else {
            self.disk.sync(Box::new(|result| callback.log_io_completed(result)));
            return Ok(());
        };
        self.durable.begun(first).map_err(writing)?;
        let durable = self.durable.clone();
        self.disk.sync(Box::new(move |result| durable.ended(&result)));
        // What must wait for the disk does so there.
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.remove(&key(from.index, 0), &key(u64::MAX, u16::MAX)).map_err(writing)?;
        self.synced().await.map_err(writing)
    }

    /// The mark first: entries that are gone without it would look like a damaged log.
    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.set_mark(PURGED, &upto).map_err(writing)?;
        self.synced().await.map_err(writing)?;
        self.remove(&[], &key(upto.index.saturating_add(1), 0)).map_err(writing)
    }
}

#[cfg(test)]
mod tests;
