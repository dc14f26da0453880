//! sled's folder: opened, and what sled itself does not make durable.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{StoreError, files};

/// A dropped sled lets go of its lock a moment later.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// sled writes a node of its tree that has grown large into a file of its own, and syncs neither it nor the folder.
pub(crate) struct Blobs {
    dir: PathBuf,
    synced: BTreeSet<OsString>,
}

impl Blobs {
    pub(crate) fn of(dir: PathBuf) -> Self {
        Self { dir, synced: BTreeSet::new() }
    }

    /// Makes what is new durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let names: BTreeSet<_> =
            fs::read_dir(&self.dir)?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
        let new: Vec<_> = names.difference(&self.synced).collect();
        for name in &new {
            match File::open(self.dir.join(name)) {
                Ok(file) => file.sync_all()?,
                // sled has no use for it any more.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if !new.is_empty() {
            files::sync_folder(&self.dir)?;
        }
        self.synced = names;
        Ok(())
    }
}

/// Opens the database, or says why not in terms of what to do.
pub(crate) fn open_sled(dir: &Path) -> Result<sled::Db, StoreError> {
    let start = Instant::now();
    loop {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(None);
        match config.open() {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                if start.elapsed() > LOCK_PATIENCE {
                    return Err(StoreError::InUse { dir: dir.to_owned() });
                }
                // Called on a thread that may block.
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(damaged(dir, &error)),
        }
    }
}

/// sled's error, in ours.
pub(crate) fn damaged(dir: &Path, error: &sled::Error) -> StoreError {
    match error {
        sled::Error::Io(source) => StoreError::Io {
            what: format!("opening the log in {}", dir.display()),
            source: io::Error::new(source.kind(), source.to_string()),
        },
        other => StoreError::Damaged { dir: dir.to_owned(), reason: other.to_string() },
    }
}
