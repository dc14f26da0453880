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

    /// Those that are there.
    pub(crate) fn names(&self) -> io::Result<BTreeSet<OsString>> {
        fs::read_dir(&self.dir)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    /// Makes what is new durable. Only those that were there `before` a flush that is over are whole for certain: the others
    /// may just be being written, and are looked at again.
    pub(crate) fn sync(&mut self, before: BTreeSet<OsString>) -> io::Result<()> {
        let names = self.names()?;
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
        self.synced = before;
        Ok(())
    }
}

/// Removes what a crash in the middle of sled's own snapshotting left behind. sled would take it for a finished snapshot,
/// find it damaged, and not open; it is a copy of what is in the database.
pub(crate) fn remove_leftovers(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            tracing::info!(file = %path.display(), "removing what a crash left behind");
            fs::remove_file(&path)?;
        }
    }
    Ok(())
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
    fault(dir, error.clone().into())
}

/// What reading the log ran into: the disk's failure, or damage.
pub(crate) fn fault(dir: &Path, source: io::Error) -> StoreError {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
    match source.kind() {
        // A file of sled's that is gone or cut off; what sled calls a bug comes as `Other`.
        InvalidData | InvalidInput | NotFound | Other | UnexpectedEof => {
            StoreError::Damaged { dir: dir.to_owned(), reason: source.to_string() }
        }
        _ => StoreError::Io { what: format!("reading the log in {}", dir.display()), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A large value was lost with all that followed: its file was synced while half of it was written, and never again.
    #[test]
    fn a_blob_that_came_during_a_flush_is_synced_again_after_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = Blobs::of(dir.path().to_owned());
        fs::write(dir.path().join("1"), "whole").unwrap();
        let before = blobs.names().unwrap();
        fs::write(dir.path().join("2"), "half").unwrap();
        blobs.sync(before).unwrap();
        assert_eq!(blobs.synced, ["1".into()].into());
        blobs.sync(blobs.names().unwrap()).unwrap();
        assert_eq!(blobs.synced, ["1".into(), "2".into()].into());
    }
}
