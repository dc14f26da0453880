//! Files that are whole or not there.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// Makes a folder, if it is not there, and closes it to other users: logs and snapshots have the hashes of passwords.
pub(crate) fn private_folder(dir: &Path) -> io::Result<()> {
    const MODE: u32 = 0o700;
    // Icecast, as another user, may have to pass through those above.
    dir.parent().map_or(Ok(()), fs::create_dir_all)?;
    DirBuilder::new().recursive(true).mode(MODE).create(dir)?;
    // One that an earlier version made, or somebody else.
    if fs::metadata(dir)?.permissions().mode() & 0o077 != 0
        && let Err(error) = fs::set_permissions(dir, fs::Permissions::from_mode(MODE))
    {
        tracing::warn!(dir = %dir.display(), %error, "other users can read this folder, which holds hashes of passwords");
    }
    Ok(())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_is_closed_to_others_new_or_old() {
        let top = tempfile::tempdir().unwrap();
        let (new, old) = (top.path().join("data/new"), top.path().join("old"));
        fs::create_dir(&old).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
        for dir in [new, old] {
            private_folder(&dir).unwrap();
            assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
            private_folder(&dir).unwrap();
        }
    }
}
