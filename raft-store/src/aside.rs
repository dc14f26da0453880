//! A damaged folder is moved aside, and what is left in its place refuses to be this node again.
//!
//! A node that forgot what it acknowledged, or whom it voted for, can make the cluster lose writes: it must never be rebuilt
//! under its id. The note is written first, so that a crash in the middle is made up for at the next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use autoradio_machine::{ClusterId, NodeId};

use crate::{Identity, StoreError, files};

const FORMAT: u8 = 1;
const FILE: &str = "moved-aside";

/// What is left in the place of a damaged folder.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Note {
    format: u8,
    #[serde(with = "autoradio_machine::hex_serde")]
    cluster_id: ClusterId,
    #[serde(with = "autoradio_machine::hex_serde")]
    node_id: NodeId,
    reason: String,
    moved_to: PathBuf,
}

/// Moves what is in `dir` into a new folder beside it; the error that says so, and how to go on.
pub(crate) fn move_aside(dir: &Path, identity: &Identity, reason: &str) -> StoreError {
    let moved_to = free_name(dir);
    let Identity { cluster_id, node_id } = *identity;
    let note = Note { format: FORMAT, cluster_id, node_id, reason: reason.to_owned(), moved_to };
    let text = serde_json::to_vec_pretty(&note).expect("a note is plain data");
    let moved = files::replace(&dir.join(FILE), &text).and_then(|()| carry(dir, &note.moved_to));
    match moved {
        Ok(()) => note.error(dir),
        Err(error) => {
            tracing::error!(%error, dir = %dir.display(), "the damaged folder could not be moved aside");
            StoreError::Damaged { dir: dir.to_owned(), reason: reason.to_owned() }
        }
    }
}

/// The error where `dir` is what was left in the place of `identity`'s damaged folder, or of anybody's where its own
/// identity is gone. A node with another identity may use it.
pub(crate) fn refuse(dir: &Path, identity: Option<&Identity>) -> Result<(), StoreError> {
    let Some(note) = read(dir)? else { return Ok(()) };
    let of_note = Identity { cluster_id: note.cluster_id, node_id: note.node_id };
    if identity.is_some_and(|identity| *identity != of_note) {
        return Ok(());
    }
    // Where a crash came between.
    carry(dir, &note.moved_to)
        .map_err(|source| StoreError::Io { what: format!("moving {} aside", dir.display()), source })?;
    Err(note.error(dir))
}

/// Removes the note: another node lives here now.
pub(crate) fn forget(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| files::sync_folder(dir)),
    }
}

impl Note {
    fn error(&self, dir: &Path) -> StoreError {
        StoreError::MovedAside {
            dir: dir.to_owned(),
            moved_to: self.moved_to.clone(),
            reason: self.reason.clone(),
            node_id: self.node_id,
        }
    }
}

fn read(dir: &Path) -> Result<Option<Note>, StoreError> {
    let path = dir.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let damaged = |e: serde_json::Error| StoreError::Damaged { dir: dir.to_owned(), reason: e.to_string() };
            serde_json::from_slice(&bytes).map(Some).map_err(damaged)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::Io { what: format!("reading {}", path.display()), source }),
    }
}

/// Moves everything but the note.
fn carry(dir: &Path, to: &Path) -> io::Result<()> {
    files::private_folder(to)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() != FILE {
            fs::rename(entry.path(), to.join(entry.file_name()))?;
        }
    }
    files::sync_folder(to)?;
    files::sync_folder(dir)?;
    dir.parent().map_or(Ok(()), files::sync_folder)
}

/// `raft` becomes `raft.damaged-UNIXTIME`, with a number where that is taken.
fn free_name(dir: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let named = |number: u32| {
        let number = if number == 0 { String::new() } else { format!("-{number}") };
        dir.with_file_name(format!("{name}.damaged-{now}{number}"))
    };
    (0..).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_moved_is_whole_and_only_another_node_may_follow() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("raft");
        let (old, new) = (Identity { cluster_id: 1, node_id: 0xab }, Identity { cluster_id: 1, node_id: 0xcd });
        for round in 0..2 {
            fs::create_dir_all(dir.join("log")).unwrap();
            fs::write(dir.join("log/db"), format!("{round}")).unwrap();
            let StoreError::MovedAside { moved_to, .. } = move_aside(&dir, &old, "rot") else { panic!("not moved") };
            assert_eq!(fs::read_to_string(moved_to.join("log/db")).unwrap(), format!("{round}"));
            assert!(!dir.join("log").exists());
        }
        // A crash in the middle: something is still there.
        fs::write(dir.join("witness"), "").unwrap();
        let error = refuse(&dir, Some(&old)).unwrap_err();
        assert!(error.to_string().contains("node ab") && error.to_string().contains("join HOST"), "{error}");
        assert!(!dir.join("witness").exists());
        assert!(refuse(&dir, None).is_err());
        refuse(&dir, Some(&new)).unwrap();
        forget(&dir).unwrap();
        refuse(&dir, Some(&old)).unwrap();
    }
}
