//! Files that only this user reads, whole or not there.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use data_encoding::BASE64;

use super::TrustError;

/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TrustError {
    move |source| TrustError::File { path: path.into(), source }
}

/// Reads a file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, TrustError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Writes a file with mode 0600 in a folder with mode 0700, on the disk when this returns.
pub(super) fn write(path: &Path, text: &str) -> Result<(), TrustError> {
    let write = || {
        let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
        if !folder.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // Temporary files have mode 0600 from their first moment.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(failed(path))
}

/// Removes a file, if there is one.
pub(super) fn remove(path: &Path) -> Result<(), TrustError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

/// DER as PEM.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(PEM_LINE) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_reads_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tls/a");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "x").unwrap();
        write(&path, "y").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("y"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }

    #[test]
    fn pem_is_what_others_read() {
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        let der = vec![7; 100];
        let back = CertificateDer::from_pem_slice(pem("CERTIFICATE", &der).as_bytes()).unwrap();
        assert_eq!(back.as_ref(), der);
    }
}
