//! The witness: a small file beside the log that says up to where the log was durable once.
//!
//! sled takes a damaged place for the end of what was written, and drops what comes after it without a word. A node that
//! forgot entries or a vote must not take part any more, so what sled gives is compared with the witness. It is written
//! after each commit and not synced: it may be older than the log, never newer.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    files,
    types::{LogId, Vote},
};

const FORMAT: u8 = 1;
/// Two places, written in turn: a power failure may tear the one that is being written.
const PLACES: [u64; 2] = [0, 4096];
const PLACE_BYTES: usize = 256;
const CHECKSUM_BYTES: usize = 4;

/// What was durable once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    turn: u64,
    /// The newest vote.
    pub(crate) vote: Option<Vote>,
    /// The last entry.
    pub(crate) last: Option<LogId>,
}

/// The file, open.
#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
    seen: Seen,
}

impl Witness {
    /// Opens it, or makes it where there is none; says nothing where neither place can be read.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let made = path.exists();
        if !made {
            files::replace(path, &vec![0; (PLACES[1] as usize) + PLACE_BYTES])?;
        }
        let file = File::options().read(true).write(true).open(path)?;
        let read = PLACES.iter().filter_map(|place| read(&file, *place));
        let seen = read.max_by_key(|seen| seen.turn).unwrap_or_default();
        if made && seen.turn == 0 {
            tracing::warn!(file = %path.display(), "the log's witness cannot be read; a new one is begun");
        }
        Ok(Self { file, seen })
    }

    /// What it says.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Notes what is durable now; `None` leaves what was noted before.
    pub(crate) fn note(&mut self, vote: Option<Vote>, last: Option<LogId>) -> io::Result<()> {
        self.seen.vote = vote.or(self.seen.vote);
        self.seen.last = last.or(self.seen.last);
        self.write()
    }

    /// Forgets entries, which are about to be removed, and is durable when it returns.
    pub(crate) fn forget_entries(&mut self) -> io::Result<()> {
        self.seen.last = None;
        self.write()?;
        self.file.sync_data()
    }

    fn write(&mut self) -> io::Result<()> {
        self.seen.turn += 1;
        let body = postcard::to_allocvec(&self.seen).map_err(io::Error::other)?;
        let length = u8::try_from(body.len()).map_err(io::Error::other)?;
        let mut bytes = vec![FORMAT, length];
        bytes.extend(body);
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        let place = PLACES[usize::from(self.seen.turn % 2 == 1)];
        self.file.write_all_at(&bytes, place)
    }
}

fn read(file: &File, place: u64) -> Option<Seen> {
    let mut bytes = [0; PLACE_BYTES];
    file.read_exact_at(&mut bytes, place).ok()?;
    let (format, length) = (bytes[0], usize::from(bytes[1]));
    let end = length + 2;
    let checksum = bytes.get(end..end + CHECKSUM_BYTES)?.first_chunk::<CHECKSUM_BYTES>()?;
    let sound = format == FORMAT && crc32c::crc32c(&bytes[..end]) == u32::from_be_bytes(*checksum);
    if sound { postcard::from_bytes(&bytes[2..end]).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(1, 1), index)
    }

    #[test]
    fn it_comes_back_with_the_newest_and_a_torn_place_gives_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        let mut witness = Witness::open(&path).unwrap();
        assert_eq!(witness.seen(), &Seen::default());
        witness.note(Some(Vote::new(3, u64::MAX)), None).unwrap();
        witness.note(None, Some(id(u64::MAX - 1))).unwrap();
        witness.note(None, Some(id(u64::MAX))).unwrap();
        let seen = Witness::open(&path).unwrap().seen().clone();
        assert_eq!((seen.turn, seen.vote, seen.last), (3, Some(Vote::new(3, u64::MAX)), Some(id(u64::MAX))));
        let torn = File::options().write(true).open(&path).unwrap();
        torn.write_all_at(&[9], PLACES[1] + 5).unwrap();
        assert_eq!(Witness::open(&path).unwrap().seen().last, Some(id(u64::MAX - 1)));
        witness.forget_entries().unwrap();
        let seen = Witness::open(&path).unwrap().seen().clone();
        assert_eq!((seen.vote, seen.last), (Some(Vote::new(3, u64::MAX)), None));
    }
}
