//! Snapshots as files: written whole or not at all, checked when read, two kept.

use std::{
    io,
    sync::{Arc, Mutex},
};

use crate::{StoreError, disk::Files, types::SnapshotMeta};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u8 = 1;
const MAGIC: &[u8; 7] = b"ARSNAP\n";
const KEPT: usize = 2;
const CHECKSUM_BYTES: usize = 4;

/// The folder of snapshots.
#[derive(Clone)]
pub(crate) struct Snapshots {
    files: Arc<dyn Files>,
    /// One is written, or looked for, at a time: a snapshot that is built and one that is received may come together.
    turn: Arc<Mutex<()>>,
}

const UNPOISONED: &str = "nothing panics while it has the turn";

/// A snapshot as it is kept: openraft's description, and the machine's bytes.
pub(crate) struct Kept {
    pub(crate) meta: SnapshotMeta,
    pub(crate) machine: Vec<u8>,
}

impl Snapshots {
    pub(crate) fn new(files: Arc<dyn Files>) -> Self {
        Self { files, turn: Arc::default() }
    }

    /// Does what may wait for a disk where it holds nobody up; fails where that panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        if !self.files.blocks() {
            return Ok(job(self));
        }
        let snapshots = self.clone();
        tokio::task::spawn_blocking(move || job(&snapshots)).await
    }

    /// Files, newest first: names sort by index.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self.files.list()?;
        names.retain(|name| name.ends_with(".snap"));
        names.sort();
        names.reverse();
        Ok(names)
    }

    pub(crate) fn write(&self, kept: &Kept) -> io::Result<()> {
        let meta = postcard::to_stdvec(&kept.meta).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(kept.machine.len() + meta.len() + 32);
        bytes.extend_from_slice(MAGIC);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&u32::try_from(meta.len()).map_err(io::Error::other)?.to_be_bytes());
        bytes.extend_from_slice(&meta);
        bytes.extend_from_slice(&kept.machine);
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        let _turn = self.turn.lock().expect(UNPOISONED);
        let (index, term) = kept.meta.last_log_id.map_or((0, 0), |id| (id.index, id.leader_id.term));
        self.files.replace(&format!("snapshot-{index:020}-{term:010}.snap"), &bytes)?;
        for old in self.names()?.into_iter().skip(KEPT) {
            self.files.remove(&old)?;
        }
        Ok(())
    }

    /// The newest snapshot that can be read, and what was wrong with newer ones.
    pub(crate) fn newest(&self) -> Result<(Option<Kept>, Vec<String>), StoreError> {
        let dir = self.files.folder();
        let listing = |source| StoreError::Io { what: format!("listing {}", dir.display()), source };
        let _turn = self.turn.lock().expect(UNPOISONED);
        let mut wrong = Vec::new();
        for name in self.names().map_err(listing)? {
            let bytes = self.files.read(&name).map_err(|e| Unreadable::Damaged(e.to_string()));
            match bytes.and_then(|bytes| read(&bytes)) {
                Ok(kept) => return Ok((Some(kept), wrong)),
                Err(Unreadable::Newer(found)) => return Err(StoreError::Newer { dir, found, known: FORMAT }),
                Err(Unreadable::Damaged(reason)) => wrong.push(format!("{}: {reason}", dir.join(name).display())),
            }
        }
        Ok((None, wrong))
    }
}

enum Unreadable {
    Newer(u8),
    Damaged(String),
}

fn read(bytes: &[u8]) -> Result<Kept, Unreadable> {
    let damaged = |reason: &str| Unreadable::Damaged(reason.to_owned());
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("it is cut off"))?;
    let rest = body.strip_prefix(MAGIC).ok_or_else(|| damaged("it is no snapshot"))?;
    let (&format, rest) = rest.split_first().ok_or_else(|| damaged("it is cut off"))?;
    if crc32c::crc32c(body) != u32::from_be_bytes(*checksum) {
        return Err(damaged("its checksum is wrong"));
    }
    if format > FORMAT {
        return Err(Unreadable::Newer(format));
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is cut off"))?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let (meta, machine) = rest.split_at_checked(length).ok_or_else(|| damaged("it is cut off"))?;
    let meta = postcard::from_bytes(meta).map_err(|e| Unreadable::Damaged(e.to_string()))?;
    Ok(Kept { meta, machine: machine.to_vec() })
}
