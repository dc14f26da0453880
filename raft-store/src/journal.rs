//! The journal: what was written since it was last carried into the database, in two files that are written in turn.
//!
//! A write of sled's wakes all its threads several times and ends in metadata of the file system. Frames go into files that
//! were filled with zeros once, and whose size and place never change: one small write and one fdatasync make durable what
//! waits. When a file is full the other takes over, as soon as the database has all that is in it.

mod frame;

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::files;

pub(crate) use frame::Frame;

/// What a file takes; a frame that is larger goes alone.
pub(crate) const FILE_BYTES: usize = 2 * 1024 * 1024;

/// The two files, open.
pub(crate) struct Journal {
    id: u64,
    files: [File; 2],
    /// Which of them is being written.
    turn: usize,
    /// Where in it the next frame goes.
    at: usize,
}

/// What a journal has.
pub(crate) struct Found {
    /// Those that the database may not have, one number after the other.
    pub(crate) frames: Vec<Frame>,
    /// The last number that was used.
    pub(crate) last: u64,
    /// The last one in the file that is not being written: up to there the database must have it before that one may be.
    pub(crate) other: u64,
}

fn path(dir: &Path, which: usize) -> PathBuf {
    dir.join(["journal-a", "journal-b"][which])
}

fn open(dir: &Path, which: usize) -> io::Result<File> {
    File::options().read(true).write(true).open(path(dir, which))
}

/// A file's frames, all of them durable.
fn read(mut file: &File, id: u64) -> io::Result<Vec<Frame>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // What a killed process wrote is there, and may not be on the disk yet; others will be written after it.
    file.sync_data()?;
    Ok(frame::find(id, &bytes))
}

impl Journal {
    /// Makes the two files, or makes them empty; they are durable when this returns.
    pub(crate) fn make(dir: &Path) -> io::Result<()> {
        for which in 0..2 {
            files::replace(&path(dir, which), &vec![0; FILE_BYTES])?;
        }
        Ok(())
    }

    /// Opens the journal of this id, of whose frames the database has those up to `carried`, and reads what it has.
    ///
    /// # Errors
    /// `InvalidData` where a frame is missing that another one follows, `NotFound` where a file is, and the system's.
    pub(crate) fn open(dir: &Path, id: u64, carried: u64) -> io::Result<(Self, Found)> {
        let files = [open(dir, 0)?, open(dir, 1)?];
        let [a, b] = files.each_ref().map(|file| read(file, id));
        let (a, b) = (a?, b?);
        let newest = |frames: &[Frame]| frames.iter().max_by_key(|frame| frame.number).map(|f| (f.number, f.end));
        let (of_a, of_b) = (newest(&a).unwrap_or_default(), newest(&b).unwrap_or_default());
        let turn = usize::from(of_b > of_a);
        let ((last, at), (other, _)) = if turn == 1 { (of_b, of_a) } else { (of_a, of_b) };
        let mut frames: Vec<_> = a.into_iter().chain(b).filter(|frame| frame.number > carried).collect();
        frames.sort_unstable_by_key(|frame| frame.number);
        for (needed, frame) in (carried + 1..).zip(&frames) {
            if frame.number != needed {
                let text = format!("frame {needed} of its journal cannot be read, and {} can", frame.number);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        // A database that has more than the journal: the last frames there cannot be read, and are not needed.
        Ok((Self { id, files, turn, at }, Found { frames, last: last.max(carried), other }))
    }

    /// Whether a frame with such a body goes into the file that is being written.
    pub(crate) fn has_room(&self, body: &[u8]) -> bool {
        self.at == 0 || self.at + frame::length(body) <= FILE_BYTES
    }

    /// Goes on at the beginning of the other file, of which nothing may be needed any more.
    pub(crate) fn turn(&mut self) {
        (self.turn, self.at) = (1 - self.turn, 0);
    }

    /// Writes a frame. It is durable when this returns.
    ///
    /// # Errors
    /// The system's; what is in the file is not known then.
    pub(crate) fn append(&mut self, number: u64, body: &[u8]) -> io::Result<()> {
        let bytes = frame::encode(self.id, number, body).ok_or_else(|| io::Error::other("a frame is too long"))?;
        let file = &self.files[self.turn];
        file.write_all_at(&bytes, self.at as u64)?;
        file.sync_data()?;
        self.at += bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u64 = 7;

    fn numbers(found: &Found) -> Vec<u64> {
        found.frames.iter().map(|frame| frame.number).collect()
    }

    /// A journal that went on in the other file twice: 1 to 3, 4 to 6 over it in the other, 7 over the first.
    fn written(dir: &Path) -> Journal {
        Journal::make(dir).unwrap();
        let (mut journal, found) = Journal::open(dir, ID, 0).unwrap();
        assert_eq!((found.last, found.other, found.frames.len()), (0, 0, 0));
        for number in 1..=7 {
            if number % 3 == 1 && number > 1 {
                journal.turn();
            }
            journal.append(number, &[number as u8; 30]).unwrap();
        }
        journal
    }

    #[test]
    fn what_the_database_does_not_have_comes_back_and_writing_goes_on_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = written(dir.path()).at;
        let (mut journal, found) = Journal::open(dir.path(), ID, 3).unwrap();
        assert_eq!((numbers(&found), found.last, found.other), (vec![4, 5, 6, 7], 7, 6));
        assert_eq!((journal.turn, journal.at), (0, at));
        journal.append(8, b"eight").unwrap();
        let (_, found) = Journal::open(dir.path(), ID, 6).unwrap();
        assert_eq!(numbers(&found), [7, 8]);
        let (_, found) = Journal::open(dir.path(), ID, 9).unwrap();
        assert_eq!((numbers(&found), found.last), (vec![], 9));
    }

    #[test]
    fn a_torn_end_is_passed_over_and_a_gap_is_not() {
        let dir = tempfile::tempdir().unwrap();
        drop(written(dir.path()));
        // Frame 7 is the first of file a, frame 4 the first of b.
        let break_first = |which| open(dir.path(), which).unwrap().write_all_at(&[9], 30).unwrap();
        break_first(0);
        let (_, found) = Journal::open(dir.path(), ID, 3).unwrap();
        assert_eq!((numbers(&found), found.last), (vec![4, 5, 6], 6));
        break_first(1);
        let error = Journal::open(dir.path(), ID, 3).err().expect("a gap");
        assert!(error.kind() == io::ErrorKind::InvalidData && error.to_string().contains("frame 4"), "{error}");
        Journal::open(dir.path(), ID, 4).unwrap();
        std::fs::remove_file(path(dir.path(), 1)).unwrap();
        assert_eq!(Journal::open(dir.path(), ID, 4).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_frame_larger_than_a_file_goes_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = written(dir.path());
        let large = vec![1; FILE_BYTES * 2];
        assert!(!journal.has_room(&large));
        journal.turn();
        assert!(journal.has_room(&large));
        journal.append(8, &large).unwrap();
        assert!(!journal.has_room(&[]));
        let (journal, found) = Journal::open(dir.path(), ID, 7).unwrap();
        assert_eq!((found.frames[0].body.len(), journal.turn), (large.len(), 1));
    }
}
