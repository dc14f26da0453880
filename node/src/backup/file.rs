//! The file of a backup: our own format, plainly marked, since etcd's is a bbolt file.
//!
//! A line of text that says what it is, the machine's snapshot, zeros up to a whole number of 512 bytes, and last the
//! SHA-256 of all before: etcdctl takes a file for whole whose length is 32 beyond a multiple of 512.

use autoradio_machine::{Machine, SnapshotError};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What etcd's files are a multiple of.
const BLOCK_BYTES: usize = 512;
/// The SHA-256 at the end.
const DIGEST_BYTES: usize = 32;
/// How the file begins; the format's version and more follow.
const MARK: &str = "autoradio snapshot ";
/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// The first line is shorter.
const LINE_BYTES_MAX: usize = 128;

/// A file that cannot be read as a backup.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Something else.
    #[error("this is no autoradio snapshot; take one that radioctl backup or etcdctl snapshot save made here")]
    Foreign,
    /// Of a newer program.
    #[error("the snapshot has format {found}, this program reads up to {FORMAT}; upgrade autoradio first")]
    Newer {
        /// The format found.
        found: u32,
    },
    /// Its end is missing.
    #[error("the snapshot is cut off: it has {found} bytes, and should have {wanted}; take another copy")]
    CutOff {
        /// What is there.
        found: usize,
        /// What should be.
        wanted: usize,
    },
    /// Its SHA-256 is wrong.
    #[error("the snapshot is damaged: its SHA-256 is wrong; take another copy")]
    Digest,
    /// Its state.
    #[error("the snapshot cannot be read: {0}")]
    State(#[from] SnapshotError),
}

/// The file: what `machine` is, marked.
#[must_use]
pub fn make(machine: &[u8]) -> Bytes {
    let line = format!("{MARK}{FORMAT}, not an etcd database; {} bytes follow\n", machine.len());
    let mut bytes = Vec::with_capacity(line.len() + machine.len() + BLOCK_BYTES + DIGEST_BYTES);
    bytes.extend_from_slice(line.as_bytes());
    bytes.extend_from_slice(machine);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes.into()
}

/// The state in a file.
///
/// # Errors
/// [`FileError`]: what is wrong with the file.
pub fn read(file: &[u8]) -> Result<Machine, FileError> {
    let head = &file[..file.len().min(LINE_BYTES_MAX)];
    let end = head.iter().position(|byte| *byte == b'\n').ok_or(FileError::Foreign)?;
    let line = std::str::from_utf8(&head[..end]).map_err(|_| FileError::Foreign)?;
    let (format, rest) = line.strip_prefix(MARK).and_then(|line| line.split_once(',')).ok_or(FileError::Foreign)?;
    let found = format.parse().map_err(|_| FileError::Foreign)?;
    if found > FORMAT {
        return Err(FileError::Newer { found });
    }
    let length = rest.strip_suffix(" bytes follow").and_then(|rest| rest.rsplit_once(' '));
    let length: usize = length.and_then(|(_, length)| length.parse().ok()).ok_or(FileError::Foreign)?;
    let start = end + 1;
    let body = start.checked_add(length).and_then(|bytes| bytes.checked_next_multiple_of(BLOCK_BYTES));
    let wanted = body.and_then(|body| body.checked_add(DIGEST_BYTES)).ok_or(FileError::Foreign)?;
    if file.len() != wanted {
        return Err(FileError::CutOff { found: file.len(), wanted });
    }
    let (body, digest) = file.split_at(wanted - DIGEST_BYTES);
    if Sha256::digest(body)[..] != *digest {
        return Err(FileError::Digest);
    }
    Ok(Machine::from_snapshot(&body[start..start + length])?)
}

#[cfg(test)]
mod tests {
    use autoradio_machine::{Command, PutRequest};
    use proptest::prelude::*;

    use super::*;

    fn machine() -> Machine {
        let mut machine = Machine::default();
        let put = PutRequest { key: "a".into(), value: vec![7; 2_000].into(), ..PutRequest::default() };
        assert!(machine.apply(1, &Command::Put(put)).result.is_ok());
        machine
    }

    #[test]
    fn it_is_marked_ends_with_its_digest_and_comes_back() {
        let bytes = make(&machine().to_snapshot());
        assert!(bytes.starts_with(b"autoradio snapshot 1, not an etcd database; "));
        assert_eq!(bytes.len() % BLOCK_BYTES, DIGEST_BYTES);
        let (body, digest) = bytes.split_at(bytes.len() - DIGEST_BYTES);
        assert_eq!(&Sha256::digest(body)[..], digest);
        assert_eq!(read(&bytes).unwrap(), machine());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let bytes = make(&machine().to_snapshot());
        let said = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(said(&bytes[..bytes.len() - 1]).contains("cut off"));
        assert!(said(&bytes[..600]).contains("cut off"));
        assert!(said(b"").contains("no autoradio snapshot"));
        assert!(said(&[0; 4_096]).contains("no autoradio snapshot"));
        let newer = [b"autoradio snapshot 9, whatever\n".as_slice(), &bytes[45..]].concat();
        assert!(said(&newer).contains("upgrade autoradio"));
        let mut bad = bytes.to_vec();
        bad[700] ^= 1;
        assert!(said(&bad).contains("SHA-256 is wrong"));
        assert!(said(&make(b"no state")).contains("cannot be read"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), length in "[0-9]{1,22}") {
            let _any = read(&bytes);
            let lied = [format!("{MARK}1, x; {length} bytes follow\n").as_bytes(), &bytes].concat();
            prop_assert!(read(&lied).is_err());
        }
    }
}
