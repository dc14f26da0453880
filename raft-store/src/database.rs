//! The log's cells in sled, as far as they were carried there from the journal.
//!
//! sled's `flush()` ends in sync_file_range, which does not reach the disk: every flush is followed by an fdatasync
//! on our own descriptor of sled's `db` file. What sled makes files of its own for is synced by us.

use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    io,
    path::Path,
};

use crate::{
    StoreError,
    disk::{Tree, Visit},
    files,
    journal::Journal,
    recent::Carried,
    sled_folder::{Blobs, damaged, open_sled, remove_leftovers},
};

/// The format of the folder. 2 had checksums in its records, 3 has a journal beside the database.
pub(crate) const FORMAT: u8 = 3;
/// Written once when the database is made: sled takes a database whose beginning is damaged for an empty one, and a
/// node that forgot its vote could vote twice.
const MADE: &[u8] = b"made";
/// The journal's id.
const JOURNAL: &[u8] = b"journal";
/// The last frame of the journal that the database has.
const CARRIED: &[u8] = b"carried";

/// Log and marks as two trees of one sled. Clones are one.
#[derive(Clone)]
pub(crate) struct Database {
    log: sled::Tree,
    marks: sled::Tree,
}

/// Makes durable what a [`Database`] has.
pub(crate) struct Sync {
    db: sled::Db,
    blobs: Blobs,
    file: File,
}

impl Sync {
    /// Everything written before is durable when this returns.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let before = self.blobs.names()?;
        self.db.flush().map_err(io::Error::other)?;
        self.blobs.sync(before)?;
        self.file.sync_data()
    }
}

impl Database {
    /// Opens it in `dir`, and makes it only where `new` says that the node is being made. There is an empty journal beside one
    /// that is new, or of an older format.
    pub(crate) fn open(dir: &Path, new: bool) -> Result<(Self, Sync), StoreError> {
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
        let tree = |name: &str| db.open_tree(name).map_err(|e| damaged(dir, &e));
        let database = Self { log: tree("log")?, marks: tree("marks")? };
        let mut sync = Sync { blobs: Blobs::of(dir.join("blobs")), db, file };
        match database.marks.get(MADE).map_err(|e| damaged(dir, &e))?.as_deref() {
            Some(&[FORMAT]) => {}
            Some(&[found]) if found > FORMAT => {
                return Err(StoreError::Newer { dir: dir.to_owned(), found, known: FORMAT });
            }
            None if !fresh => return Err(is_damaged("its beginning cannot be read")),
            // Before anything is written in this format; an older program must not pass over a journal.
            _ => {
                Journal::make(dir).map_err(io_error("making the journal in"))?;
                let id = RandomState::new().hash_one(std::process::id());
                let mut marks = sled::Batch::default();
                marks.insert(MADE, &[FORMAT]);
                marks.insert(JOURNAL, &id.to_be_bytes());
                database.marks.apply_batch(marks).map_err(|e| damaged(dir, &e))?;
                sync.run().map_err(io_error("syncing"))?;
            }
        }
        Ok((database, sync))
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Log => &self.log,
            Tree::Marks => &self.marks,
        }
    }

    fn number(&self, name: &[u8]) -> io::Result<Option<u64>> {
        let Some(found) = self.marks.get(name)? else { return Ok(None) };
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "a number of the journal's is damaged");
        Ok(Some(u64::from_be_bytes(*found.first_chunk().ok_or_else(invalid)?)))
    }

    /// The journal's id, and the last frame of it that is here.
    pub(crate) fn journal(&self) -> io::Result<(u64, u64)> {
        let lost = || io::Error::new(io::ErrorKind::InvalidData, "the journal's id is gone");
        Ok((self.number(JOURNAL)?.ok_or_else(lost)?, self.number(CARRIED)?.unwrap_or(0)))
    }

    /// Notes that everything up to this frame of the journal is here.
    pub(crate) fn set_carried(&self, upto: u64) -> io::Result<()> {
        self.marks.insert(CARRIED, &upto.to_be_bytes())?;
        Ok(())
    }

    pub(crate) fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.tree(tree).get(key)?.map(|value| value.to_vec()))
    }

    /// Shows the cells from `start` on, those from `end` on left out.
    pub(crate) fn scan(&self, tree: Tree, start: &[u8], end: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        if start >= end {
            return Ok(());
        }
        for found in self.tree(tree).range(start..end) {
            let (key, value) = found?;
            if visit(&key, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The last key of which `stands` is true.
    pub(crate) fn last_key(&self, tree: Tree, stands: impl Fn(&[u8]) -> bool) -> io::Result<Option<Vec<u8>>> {
        for found in self.tree(tree).iter().keys().rev() {
            let key = found?;
            if stands(&key) {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(None)
    }

    /// Changes cells, all of them or none.
    pub(crate) fn write(&self, tree: Tree, cells: &[Carried]) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for (key, value) in cells {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_ref()),
                None => batch.remove(key.as_slice()),
            }
        }
        Ok(self.tree(tree).apply_batch(batch)?)
    }
}
