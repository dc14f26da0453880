//! The log's cells in sled.
//!
//! sled's `flush()` ends in sync_file_range, which does not reach the disk: every flush is followed by an fdatasync
//! on our own descriptor of sled's `db` file. What sled makes files of its own for is synced by us.

use std::{fs::File, io, path::Path, thread::JoinHandle};

use crate::{
    StoreError,
    disk::{Cell, Disk, Done, Tree, Visit},
    files,
    flusher::Flusher,
    log::FORMAT,
    sled_folder::{Blobs, damaged, open_sled, remove_leftovers},
};

/// Written once when the database is made: sled takes a database whose beginning is damaged for an empty one, and a
/// node that forgot its vote could vote twice.
const MADE: &str = "made";

/// Log and marks as two trees of one sled.
pub(crate) struct SledDisk {
    log: sled::Tree,
    marks: sled::Tree,
    flusher: Flusher,
}

impl SledDisk {
    /// Opens it in `dir`, and makes it only where `new` says that the node is being made; also gives the thread to wait for
    /// after the disk was dropped.
    pub(crate) fn open(dir: &Path, new: bool) -> Result<(Self, JoinHandle<()>), StoreError> {
        let is_damaged = |reason: &str| StoreError::Damaged { dir: dir.to_owned(), reason: reason.into() };
        let fresh = !dir.join("db").exists();
        if fresh && !new {
            return Err(is_damaged("its log is gone"));
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
            let before = blobs.names()?;
            flush.flush().map_err(io::Error::other)?;
            blobs.sync(before)?;
            file.sync_data()
        };
        let tree = |name: &str| db.open_tree(name).map_err(|e| damaged(dir, &e));
        let (log, marks) = (tree("log")?, tree("marks")?);
        match marks.get(MADE).map_err(|e| damaged(dir, &e))?.as_deref() {
            Some(&[FORMAT]) => {}
            Some(&[found]) if found > FORMAT => {
                return Err(StoreError::Newer { dir: dir.to_owned(), found, known: FORMAT });
            }
            None if !fresh => return Err(is_damaged("its beginning cannot be read")),
            // Before anything is written in this format.
            _ => {
                marks.insert(MADE, &[FORMAT]).map_err(|e| damaged(dir, &e))?;
                sync().map_err(io_error("syncing"))?;
            }
        }
        let (flusher, thread) = Flusher::start(Box::new(sync))
            .map_err(|source| StoreError::Io { what: "starting the thread that syncs the log".into(), source })?;
        Ok((Self { log, marks, flusher }, thread))
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Log => &self.log,
            Tree::Marks => &self.marks,
        }
    }
}

impl Disk for SledDisk {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.tree(tree).get(key)?.map(|value| value.to_vec()))
    }

    fn scan(&self, tree: Tree, start: &[u8], end: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        for found in self.tree(tree).range(start..end) {
            let (key, value) = found?;
            if visit(&key, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, tree: Tree) -> io::Result<Option<Vec<u8>>> {
        Ok(self.tree(tree).last()?.map(|(key, _)| key.to_vec()))
    }

    fn write(&self, tree: Tree, cells: Vec<Cell>) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for (key, value) in cells {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        Ok(self.tree(tree).apply_batch(batch)?)
    }

    fn sync(&self, done: Done) {
        self.flusher.wait(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_in_words_and_what_is_gone_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let open = |new| SledDisk::open(&dir.path().join("log"), new);
        let (disk, thread) = open(true).unwrap();
        disk.marks.insert(MADE, &[FORMAT + 1]).unwrap();
        drop(disk);
        thread.join().unwrap();
        let error = open(false).err().expect("it is newer");
        assert!(matches!(error, StoreError::Newer { .. }) && error.to_string().contains("upgrade"), "{error}");
        std::fs::remove_dir_all(dir.path().join("log")).unwrap();
        let error = open(false).err().expect("it is gone");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[test]
    fn what_a_crash_left_of_sleds_snapshotting_does_not_keep_it_from_opening() {
        let dir = tempfile::tempdir().unwrap();
        let open = |new| SledDisk::open(&dir.path().join("log"), new);
        let (disk, thread) = open(true).unwrap();
        disk.write(Tree::Log, vec![(b"key".to_vec(), Some(b"value".to_vec()))]).unwrap();
        drop(disk);
        thread.join().unwrap();
        let leftover = dir.path().join("log/snap.7FFFFFFFFFFFFFFF.generating");
        std::fs::write(&leftover, "half of it").unwrap();
        let (disk, _thread) = open(false).unwrap();
        assert_eq!(disk.get(Tree::Log, b"key").unwrap().as_deref(), Some(b"value".as_slice()));
        assert!(!leftover.exists());
    }
}
