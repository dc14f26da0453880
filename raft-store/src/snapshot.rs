//! Snapshots as files: written whole or not at all, checked when read, two kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use crate::{StoreError, files, types::SnapshotMeta};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u8 = 1;
const MAGIC: &[u8; 7] = b"ARSNAP\n";
const KEPT: usize = 2;
const CHECKSUM_BYTES: usize = 4;

/// The folder of snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    dir: PathBuf,
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
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            // A write that was cut off.
            if path.extension().is_some_and(|e| e == "tmp") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { dir, turn: Arc::default() })
    }

    /// Files, newest first: names sort by index.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files: Vec<_> = fs::read_dir(&self.dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
        files.retain(|path| path.extension().is_some_and(|e| e == "snap"));
        files.sort();
        files.reverse();
        Ok(files)
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
        files::replace(&self.dir.join(format!("snapshot-{index:020}-{term:010}.snap")), &bytes)?;
        for old in self.files()?.into_iter().skip(KEPT) {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    /// The newest snapshot that can be read, and what was wrong with newer ones.
    pub(crate) fn newest(&self) -> Result<(Option<Kept>, Vec<String>), StoreError> {
        let listing = |source| StoreError::Io { what: format!("listing {}", self.dir.display()), source };
        let _turn = self.turn.lock().expect(UNPOISONED);
        let mut wrong = Vec::new();
        for path in self.files().map_err(listing)? {
            match read(&path) {
                Ok(kept) => return Ok((Some(kept), wrong)),
                Err(Unreadable::Newer(found)) => {
                    return Err(StoreError::Newer { dir: self.dir.clone(), found, known: FORMAT });
                }
                Err(Unreadable::Damaged(reason)) => wrong.push(format!("{}: {reason}", path.display())),
            }
        }
        Ok((None, wrong))
    }
}

enum Unreadable {
    Newer(u8),
    Damaged(String),
}

fn read(path: &Path) -> Result<Kept, Unreadable> {
    let damaged = |reason: &str| Unreadable::Damaged(reason.to_owned());
    let bytes = fs::read(path).map_err(|e| Unreadable::Damaged(e.to_string()))?;
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
