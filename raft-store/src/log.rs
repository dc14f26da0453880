//! The log, vote and marks in sled.
//!
//! sled's `flush()` ends in sync_file_range, which does not reach the disk: every flush is followed by an fdatasync
//! on our own descriptor of sled's `db` file. Entries are cut into pieces, which keeps sled from putting most of them into
//! files of their own; the files that it makes all the same are synced by us. Each record has a checksum of ours, and a
//! witness beside the log tells whether sled gives all that was durable once.

mod check;
mod record;

use std::{
    fmt::Debug,
    fs::File,
    io,
    ops::{Bound, RangeBounds},
    path::Path,
    thread::JoinHandle,
};

use openraft::{LogState, OptionalSend, RaftLogReader, StorageIOError, storage::LogFlushed, storage::RaftLogStorage};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StoreError, files,
    flusher::Flusher,
    sled_folder::{Blobs, damaged, open_sled, remove_leftovers},
    types::{Entry, LogId, StorageError, TypeConfig, Vote},
    witness::{Seen, Witness},
};

use record::{FORMAT, decode, encode};

const PIECE_BYTES: usize = 100 * 1024;
/// What one message to a follower carries (or one entry, if that has more): it must get there, and onto the disk, within a
/// heartbeat, or it would be sent again for ever.
const READ_BYTES_MAX: usize = 512 * 1024;

/// Written once when the database is made: sled takes a database whose beginning is damaged for an empty one, and a
/// node that forgot its vote could vote twice.
const MADE: &str = "made";
const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// Log, vote and marks. Clones are one.
#[derive(Clone)]
pub(crate) struct LogStore {
    log: sled::Tree,
    marks: sled::Tree,
    flusher: Flusher,
}

/// A log that was opened: the thread is to be waited for after the store was dropped.
pub(crate) struct Opened {
    pub(crate) store: LogStore,
    pub(crate) thread: JoinHandle<()>,
    /// What was durable once.
    pub(crate) seen: Seen,
}

impl LogStore {
    /// Opens the log in `dir`, a node's folder; makes it only where `new` says that the node is being made.
    pub(crate) fn open(dir: &Path, new: bool) -> Result<Opened, StoreError> {
        let (dir, witness) = (&dir.join("log"), dir.join("witness"));
        let is_damaged = |reason: &str| StoreError::Damaged { dir: dir.clone(), reason: reason.into() };
        let fresh = !dir.join("db").exists();
        if fresh && !new {
            return Err(is_damaged("its database is gone"));
        }
        let io_error = |what: &str| {
            let what = format!("{what} {}", dir.display());
            move |source| StoreError::Io { what, source }
        };
        remove_leftovers(dir).map_err(io_error("removing what sled left behind in"))?;
        let db = open_sled(dir)?;
        if fresh {
            // sled never syncs these: without `conf` the database does not open after a power failure.
            File::open(dir.join("conf")).and_then(|f| f.sync_all()).map_err(io_error("syncing conf in"))?;
            files::sync_folder(dir).map_err(io_error("syncing"))?;
        }
        let file = File::open(dir.join("db")).map_err(io_error("opening db in"))?;
        let flush = db.clone();
        let mut blobs = Blobs::of(dir.join("blobs"));
        let mut sync = move || {
            flush.flush().map_err(io::Error::other)?;
            blobs.sync()?;
            file.sync_data()
        };
        let marks = db.open_tree("marks").map_err(|e| damaged(dir, &e))?;
        let made = marks.get(MADE).map_err(|e| damaged(dir, &e))?;
        match made.as_deref() {
            Some(&[FORMAT]) => {}
            Some(&[found]) if found > FORMAT => {
                return Err(StoreError::Newer { dir: dir.clone(), found, known: FORMAT });
            }
            None if !fresh => return Err(is_damaged("its beginning cannot be read")),
            _ => {
                marks.insert(MADE, &[FORMAT]).map_err(|e| damaged(dir, &e))?;
                sync().map_err(io_error("syncing"))?;
            }
        }
        let witness = Witness::open(&witness).map_err(io_error("opening the witness of"))?;
        let seen = witness.seen().clone();
        let (flusher, thread) = Flusher::start(Box::new(sync), witness).map_err(io_error("starting to sync"))?;
        let log = db.open_tree("log").map_err(|e| damaged(dir, &e))?;
        Ok(Opened { store: Self { log, marks, flusher }, thread, seen })
    }

    /// The last entry that was purged, from which a snapshot must take over.
    pub(crate) fn purged(&self) -> io::Result<Option<LogId>> {
        self.mark(PURGED)
    }

    fn mark<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        self.marks.get(name)?.map(|bytes| decode(name.as_bytes(), &bytes)).transpose()
    }

    fn set_mark<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        self.marks.insert(name, encode(name.as_bytes(), value)?)?;
        Ok(())
    }

    /// Writes entries; the last of them.
    fn write_entries(&self, entries: impl IntoIterator<Item = Entry>) -> io::Result<Option<LogId>> {
        let (mut batch, mut last) = (sled::Batch::default(), None);
        for entry in entries {
            let index = entry.log_id.index;
            for (piece, bytes) in (0u16..).zip(encode(&index.to_be_bytes(), &entry)?.chunks(PIECE_BYTES)) {
                batch.insert(key(index, piece).to_vec(), bytes);
            }
            last = Some(entry.log_id);
        }
        self.log.apply_batch(batch)?;
        Ok(last)
    }

    fn remove(&self, range: impl RangeBounds<Vec<u8>>) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for found in self.log.range(range).keys() {
            batch.remove(found?);
        }
        self.log.apply_batch(batch)?;
        Ok(())
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
        for found in self.log.range(key(start, 0).to_vec()..key(end, 0).to_vec()) {
            let (found, piece) = found?;
            // The first piece of an entry ends the one before.
            if found.ends_with(&[0, 0]) && !bytes.is_empty() {
                entries.push(decode(&name, &bytes)?);
                bytes.clear();
                if read > most {
                    return Ok(entries);
                }
            }
            if bytes.is_empty() {
                name = *found.first_chunk().ok_or_else(|| invalid("a key of the log is too short"))?;
            }
            read = read.saturating_add(piece.len());
            bytes.extend_from_slice(&piece);
        }
        if !bytes.is_empty() {
            entries.push(decode(&name, &bytes)?);
        }
        Ok(entries)
    }

    fn last(&self) -> io::Result<Option<LogId>> {
        let Some((found, _)) = self.log.last()? else { return Ok(None) };
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
        self.set_mark(VOTE, vote).map_err(writing)?;
        self.flusher.vote(*vote).await.map_err(writing)
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
        let last = self.write_entries(entries).map_err(writing)?;
        self.flusher.append(last, callback);
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.flusher.truncating().await.map_err(writing)?;
        self.remove(key(from.index, 0).to_vec()..).map_err(writing)?;
        self.flusher.wait().await.map_err(writing)
    }

    /// The mark first: entries that are gone without it would look like a damaged log.
    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.set_mark(PURGED, &upto).map_err(writing)?;
        self.flusher.wait().await.map_err(writing)?;
        self.remove(..key(upto.index.saturating_add(1), 0).to_vec()).map_err(writing)
    }
}

#[cfg(test)]
mod tests;
