//! The log's cells: a journal that is quick to write, and sled, into which it is carried.
//!
//! What is written is kept here until the database has it, and read from here. A sync writes one frame of the journal; the
//! database is written behind, when a file of the journal is full.

use std::{
    io,
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use crate::{
    StoreError,
    carrier::Carrier,
    database::{Database, Sync},
    disk::{Cell, Disk, Done, Tree, Visit},
    flusher::{self, Flusher},
    journal::Journal,
    recent::Recent,
    sled_folder::fault,
};

pub(crate) const UNPOISONED: &str = "nothing panics while it holds the recent cells";

/// Log and marks in a folder.
pub(crate) struct SledDisk {
    recent: Arc<Mutex<Recent>>,
    database: Database,
    flusher: Flusher,
}

/// What makes the log durable, on the flusher's thread.
struct Writer {
    recent: Arc<Mutex<Recent>>,
    journal: Journal,
    carrier: Carrier,
}

impl Writer {
    fn sync(&mut self) -> io::Result<()> {
        self.carrier.check()?;
        let taken = self.recent.lock().expect(UNPOISONED).take();
        let Some((number, body)) = taken else { return Ok(()) };
        if !self.journal.has_room(&body) {
            self.carrier.finish()?;
            self.journal.turn();
            self.carrier.begin(number - 1)?;
        }
        self.journal.append(number, &body)
    }
}

impl SledDisk {
    /// Opens it in `dir`, and makes it only where `new` says that the node is being made; also gives the thread to wait for
    /// after the disk was dropped.
    pub(crate) fn open(dir: &Path, new: bool) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (database, sync) = Database::open(dir, new)?;
        let (recent, writer) = Self::replay(dir, &database, sync).map_err(|error| fault(dir, error))?;
        let (flusher, thread) = Flusher::start(writer)
            .map_err(|source| StoreError::Io { what: "starting the thread that syncs the log".into(), source })?;
        Ok((Self { recent, database, flusher }, thread))
    }

    /// What the journal has, and the database does not.
    fn replay(dir: &Path, database: &Database, sync: Sync) -> io::Result<(Arc<Mutex<Recent>>, flusher::Sync)> {
        let (id, carried) = database.journal()?;
        let (journal, found) = Journal::open(dir, id, carried)?;
        let mut recent = Recent::after(found.last, database.last_key(Tree::Log, |_| true)?);
        for frame in &found.frames {
            recent.replay(frame.number, &frame.body)?;
        }
        let recent = Arc::new(Mutex::new(recent));
        let mut carrier = Carrier::start(recent.clone(), database.clone(), sync)?;
        if found.other > carried {
            carrier.begin(found.other)?;
        }
        let mut writer = Writer { recent: recent.clone(), journal, carrier };
        Ok((recent, Box::new(move || writer.sync())))
    }
}

/// Shows a cell, if it is one.
fn show(visit: &mut Visit<'_>, key: &[u8], value: Option<&[u8]>) -> io::Result<ControlFlow<()>> {
    value.map_or(Ok(ControlFlow::Continue(())), |value| visit(key, value))
}

impl Disk for SledDisk {
    fn get(&self, tree: Tree, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let recent = self.recent.lock().expect(UNPOISONED).get(tree, key);
        recent.map_or_else(|| self.database.get(tree, key), |value| Ok(value.map(|value| value.to_vec())))
    }

    fn scan(&self, tree: Tree, start: &[u8], end: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        // These first: what is carried meanwhile is seen twice then, and not left out.
        let (recent, all) = {
            let recent = self.recent.lock().expect(UNPOISONED);
            (recent.range(tree, start, end), tree == Tree::Log && recent.has_all_from(start))
        };
        let (mut recent, mut ended) = (recent.iter().peekable(), false);
        let end = if all { start } else { end };
        self.database.scan(tree, start, end, &mut |key, value| {
            let mut shown = ControlFlow::Continue(());
            let mut is_newer = false;
            while shown.is_continue()
                && let Some((newer, value)) = recent.next_if(|(newer, _)| newer.as_slice() <= key)
            {
                is_newer = newer == key;
                shown = show(visit, newer, value.as_deref())?;
            }
            if shown.is_continue() && !is_newer {
                shown = visit(key, value)?;
            }
            ended = shown.is_break();
            Ok(shown)
        })?;
        for (key, value) in recent {
            if ended || show(visit, key, value.as_deref())?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, tree: Tree) -> io::Result<Option<Vec<u8>>> {
        let (newest, removed) = {
            let recent = self.recent.lock().expect(UNPOISONED);
            (recent.last_key(tree), recent.removed(tree))
        };
        Ok(self.database.last_key(tree, |key| !removed.contains(key))?.max(newest))
    }

    fn write(&self, tree: Tree, cells: Vec<Cell>) -> io::Result<()> {
        self.recent.lock().expect(UNPOISONED).write(tree, cells)
    }

    fn sync(&self, done: Done) {
        self.flusher.wait(done);
    }
}

#[cfg(test)]
mod tests;
