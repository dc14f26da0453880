//! Files that are whole or not there.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// Makes a folder's entries durable.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes a file under a temporary name, fsyncs it, renames it, and fsyncs the folder: whatever happens, the old file
/// or the new one is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}
