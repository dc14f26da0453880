//! The disk: what is on it now, what of that is durable, and what is wrong with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    Dice, History, Loss, State,
    history::Event,
    loss::Pending,
    state::{BLOCK, Op, ROOT},
};

/// What a recorded history may hold, so that a test gone wild ends with an error and not with the machine's memory.
const HISTORY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How long each fsync takes.
    pub sync_delay: Duration,
    /// Each fsync fails with EIO, and what it was for stays as it was.
    pub sync_fails: bool,
    /// Each write fails with EIO.
    pub write_fails: bool,
    /// Each read fails with EIO.
    pub read_fails: bool,
}

/// A disk: cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct Disk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) live: State,
    pending: Pending,
    pub(crate) faults: Faults,
    pub(crate) capacity_bytes: u64,
    /// Counted up by each power failure: what was open before it is of no use after it.
    pub(crate) life: u64,
    /// Off until it is switched on again.
    off: bool,
    open: BTreeMap<u64, u32>,
    next_ino: u64,
    history: Option<(History, u64)>,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(capacity_bytes: u64) -> Self {
        let inner = Inner {
            live: State::default(),
            pending: Pending::default(),
            faults: Faults::default(),
            capacity_bytes,
            life: 0,
            off: false,
            open: BTreeMap::new(),
            next_ino: ROOT + 1,
            history: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// A disk that keeps its whole history.
    #[must_use]
    pub fn recording(capacity_bytes: u64) -> Self {
        let disk = Self::new(capacity_bytes);
        disk.lock().history = Some((History::default(), 0));
        disk
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A state that was left half changed by a panic is a test's matter, which fails anyway.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A power failure: what was not synced is lost as `loss` has it, and the disk is off (EIO) until [`Disk::on`].
    pub fn cut(&self, loss: Loss, seed: u64) {
        let mut inner = self.lock();
        let left = inner.pending.survivors(loss, &mut Dice::new(seed));
        inner.live = left.clone();
        inner.pending = Pending::of(left);
        inner.open.clear();
        inner.life += 1;
        inner.off = true;
    }

    /// Switches it on again. What was opened before stays unusable.
    pub fn on(&self) {
        self.lock().off = false;
    }

    /// What is wrong with it from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Its size from now on; smaller than what is used is a full disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity_bytes = bytes;
    }

    /// Bytes in use.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.lock().live.used_bytes()
    }

    /// Notes in the history that something was promised.
    pub fn mark(&self, number: u64) {
        self.lock().note(Event::Mark(number), 0);
    }

    /// The history so far; empty where none is recorded.
    #[must_use]
    pub fn history(&self) -> History {
        self.lock().history.as_ref().map(|(history, _)| history.clone()).unwrap_or_default()
    }

    /// Turns a bit of a file, behind everybody's back.
    ///
    /// # Errors
    /// No such file, or it is shorter.
    pub fn rot(&self, path: &Path, offset: u64) -> io::Result<()> {
        let mut inner = self.lock();
        let found = inner.live.at(path).and_then(|ino| Some((ino, inner.live.file(ino)?.read(offset, 1))));
        let Some((ino, byte)) = found else { return Err(io::ErrorKind::NotFound.into()) };
        let Some(byte) = byte.first() else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        let op = Op::Write { ino, offset, data: [byte ^ 1].into() };
        inner.live.apply(&op);
        inner.pending.durable.apply(&op);
        Ok(())
    }
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Io,
    Full,
    Missing,
    Exists,
    NotEmpty,
}

impl Inner {
    fn note(&mut self, event: Event, bytes: u64) {
        if let Some((history, held)) = &mut self.history {
            *held += bytes;
            if *held <= HISTORY_BYTES_MAX {
                history.events.push(event);
            }
        }
    }

    fn history_full(&self) -> bool {
        self.history.as_ref().is_some_and(|(_, held)| *held > HISTORY_BYTES_MAX)
    }

    /// Whether something that was opened in `life` can be used.
    pub(crate) fn usable(&self, life: u64) -> Result<(), Trouble> {
        if self.off || life != self.life || self.history_full() { Err(Trouble::Io) } else { Ok(()) }
    }

    fn carry_out(&mut self, op: Op) {
        self.live.apply(&op);
        let bytes = if let Op::Write { data, .. } = &op { data.len() as u64 } else { 0 };
        self.note(Event::Did(op.clone()), bytes);
        self.pending.push(op);
    }

    pub(crate) fn write(&mut self, ino: u64, offset: u64, data: &[u8]) -> Result<(), Trouble> {
        if self.faults.write_fails {
            return Err(Trouble::Io);
        }
        let missing = self.live.file(ino).ok_or(Trouble::Io)?.missing_blocks(offset, data.len());
        if missing > 0 && self.live.used_bytes() + missing * BLOCK as u64 > self.capacity_bytes {
            return Err(Trouble::Full);
        }
        self.carry_out(Op::Write { ino, offset, data: data.into() });
        Ok(())
    }

    pub(crate) fn resize(&mut self, ino: u64, len: u64) -> Result<(), Trouble> {
        self.live.file(ino).ok_or(Trouble::Missing)?;
        self.carry_out(Op::Resize { ino, len });
        Ok(())
    }

    pub(crate) fn make(&mut self, parent: u64, name: &std::ffi::OsStr, folder: bool) -> Result<u64, Trouble> {
        self.live.folder(parent).ok_or(Trouble::Missing)?;
        if self.live.find(parent, name).is_some() {
            return Err(Trouble::Exists);
        }
        let ino = self.next_ino;
        self.next_ino += 1;
        self.carry_out(Op::Make { parent, name: name.into(), ino, folder });
        Ok(ino)
    }

    pub(crate) fn remove(&mut self, parent: u64, name: &std::ffi::OsStr) -> Result<(), Trouble> {
        let ino = self.live.find(parent, name).ok_or(Trouble::Missing)?;
        if self.live.folder(ino).is_some_and(|names| !names.is_empty()) {
            return Err(Trouble::NotEmpty);
        }
        self.carry_out(Op::Remove { parent, name: name.into() });
        self.sweep();
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: (u64, &std::ffi::OsStr), to: (u64, &std::ffi::OsStr)) -> Result<(), Trouble> {
        self.live.find(from.0, from.1).ok_or(Trouble::Missing)?;
        let op = Op::Rename { from: (from.0, from.1.into()), to: (to.0, to.1.into()) };
        self.carry_out(op);
        self.sweep();
        Ok(())
    }

    /// Makes a file's bytes durable, or a folder's names.
    pub(crate) fn sync(&mut self, ino: u64) -> Result<(), Trouble> {
        if self.faults.sync_fails {
            return Err(Trouble::Io);
        }
        if self.live.folder(ino).is_some() {
            self.note(Event::SyncedNames, 0);
            self.pending.sync_names();
            let mut besides = self.live.named();
            besides.extend(self.open.keys());
            self.pending.durable.sweep(&besides);
        } else {
            self.note(Event::SyncedFile(ino), 0);
            self.pending.sync_file(ino);
        }
        Ok(())
    }

    pub(crate) fn opened(&mut self, ino: u64) {
        *self.open.entry(ino).or_default() += 1;
    }

    pub(crate) fn closed(&mut self, ino: u64) {
        if let Some(count) = self.open.get_mut(&ino) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&ino);
                self.sweep();
            }
        }
    }

    fn sweep(&mut self) {
        let open: BTreeSet<u64> = self.open.keys().copied().collect();
        self.live.sweep(&open);
    }
}
