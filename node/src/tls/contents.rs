//! What the files say at one moment: compared with what they said before to see whether they changed.

use std::{
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{TlsError, TlsFiles};

/// A file of a few hundred CAs is smaller.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the files say at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) cert: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) trusted_ca: Option<Vec<u8>>,
}

impl Contents {
    /// Reads them all. Blocks, for as long as a disk takes.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            trusted_ca: files.trusted_ca.as_deref().map(read).transpose()?,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|source| TlsError::Unreadable { path: path.into(), source })?;
    Ok(bytes)
}

/// The key's file where everybody on the machine may read it.
pub(super) fn open_to_all(files: &TlsFiles) -> Option<&PathBuf> {
    let mode = std::fs::metadata(&files.key).ok()?.permissions().mode();
    (mode & 0o004 != 0).then_some(&files.key)
}
