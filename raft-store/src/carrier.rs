//! The thread that carries what the journal has into the database, so that the journal's files can be written again.

use std::{
    io,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::JoinHandle,
};

use crate::{
    database::{Database, Sync},
    disk::Tree,
    recent::{Carried, Recent},
    sled_disk::UNPOISONED,
};

/// What is written at once. sled uses a place again when what was there is elsewhere too by its own account, which is
/// before our fdatasync: the less is between two of them, the less there can be of that.
const SYNC_EVERY_BYTES: usize = 256 * 1024;

/// The way to the thread; it is waited for when this is dropped.
pub(crate) struct Carrier {
    /// `None` only while it is dropped.
    asked: Option<Sender<u64>>,
    done: Receiver<io::Result<()>>,
    busy: bool,
    thread: Option<JoinHandle<()>>,
}

impl Carrier {
    pub(crate) fn start(recent: Arc<Mutex<Recent>>, database: Database, mut sync: Sync) -> io::Result<Self> {
        // At most one of each is on its way.
        let ((asked, receiver), (sender, done)) = (channel(), channel());
        let run = move || {
            while let Ok(upto) = receiver.recv() {
                if sender.send(carry(&recent, &database, &mut sync, upto)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("raft-carry".into()).spawn(run)?;
        Ok(Self { asked: Some(asked), done, busy: false, thread: Some(thread) })
    }

    /// Begins to carry the frames up to `upto`, which must be durable in the journal. One is carried at a time.
    ///
    /// # Errors
    /// Those of the one before, which is waited for.
    pub(crate) fn begin(&mut self, upto: u64) -> io::Result<()> {
        self.finish()?;
        self.asked.as_ref().and_then(|asked| asked.send(upto).ok()).ok_or_else(gone)?;
        self.busy = true;
        Ok(())
    }

    /// Waits until it is done, where one was begun.
    ///
    /// # Errors
    /// The system's and the database's; nothing may be written over the journal then.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.busy) { self.done.recv().map_err(|_| gone())? } else { Ok(()) }
    }

    /// Fails where what was begun has failed meanwhile; does not wait.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        match self.done.try_recv() {
            Ok(result) => {
                self.busy = false;
                result
            }
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.asked = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that carries the journal into the database has panicked");
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that carries the journal into the database has ended")
}

fn carry(recent: &Mutex<Recent>, database: &Database, sync: &mut Sync, upto: u64) -> io::Result<()> {
    for tree in [Tree::Log, Tree::Marks] {
        let cells = {
            let mut recent = recent.lock().expect(UNPOISONED);
            let cells = recent.upto(tree, upto);
            if tree == Tree::Log {
                recent.carry(&cells);
            }
            cells
        };
        for part in parts(&cells) {
            database.write(tree, part)?;
            sync.run()?;
        }
    }
    // Last, and durable on its own: who finds it finds the cells.
    database.set_carried(upto)?;
    sync.run()?;
    recent.lock().expect(UNPOISONED).forget(upto);
    Ok(())
}

/// Cells in parts of about [`SYNC_EVERY_BYTES`].
fn parts(cells: &[Carried]) -> impl Iterator<Item = &[Carried]> {
    let mut rest = cells;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take_while(|(key, value)| {
            let before = bytes;
            bytes += key.len() + value.as_ref().map_or(0, bytes::Bytes::len);
            before < SYNC_EVERY_BYTES
        });
        let (part, after) = rest.split_at(fit.count());
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_and_none_is_much_too_large() {
        let cell = |bytes: usize| (vec![1; 10], Some(vec![0; bytes].into()));
        let cells: Vec<Carried> = [10, SYNC_EVERY_BYTES * 2, 10, SYNC_EVERY_BYTES - 20, 10, 10].map(cell).into();
        let lengths: Vec<_> = parts(&cells).map(<[_]>::len).collect();
        assert_eq!(lengths, [2, 2, 2]);
        assert!(parts(&[]).next().is_none());
    }
}
