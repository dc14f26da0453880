//! Snapshot files in a folder of the file system.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{disk::Files, files};

/// A folder of files, each whole or not there.
pub(crate) struct FolderFiles {
    dir: PathBuf,
}

impl FolderFiles {
    /// Opens or makes the folder, and removes what a write left behind that was cut off.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "tmp") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { dir })
    }
}

impl Files for FolderFiles {
    fn folder(&self) -> PathBuf {
        self.dir.clone()
    }

    fn blocks(&self) -> bool {
        true
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        fs::read_dir(&self.dir)?.filter_map(|entry| entry.map(|entry| name(&entry.path())).transpose()).collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.dir.join(name))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        files::replace(&self.dir.join(name), bytes)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }
}
