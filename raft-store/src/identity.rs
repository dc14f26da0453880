//! Who a node is: a small file beside log and snapshots.

use std::{io, path::Path};

use autoradio_machine::{ClusterId, NodeId};

use crate::{StoreError, aside, files};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u8 = 1;
const FILE: &str = "identity";

/// Who this node is; written to disk once, when the node is made or joins, and never changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The node.
    pub node_id: NodeId,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct File {
    format: u8,
    #[serde(with = "autoradio_machine::hex_serde")]
    cluster_id: ClusterId,
    #[serde(with = "autoradio_machine::hex_serde")]
    node_id: NodeId,
    /// Of both ids; the first programs wrote none.
    checksum: Option<u32>,
}

fn checksum(cluster_id: ClusterId, node_id: NodeId) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&cluster_id.to_be_bytes()), &node_id.to_be_bytes())
}

/// Who lives in `dir`; `None` where nobody does. An error where a damaged folder was moved aside.
pub(crate) fn lives(dir: &Path) -> Result<Option<Identity>, StoreError> {
    let found = read(dir)?;
    aside::refuse(dir, found.as_ref())?;
    Ok(found)
}

/// As [`lives`], for `newcomer`, who may follow a node whose damaged folder was moved aside, and is another.
pub(crate) fn lives_or(dir: &Path, newcomer: &Identity) -> Result<Option<Identity>, StoreError> {
    let found = read(dir)?;
    aside::refuse(dir, Some(found.as_ref().unwrap_or(newcomer)))?;
    Ok(found)
}

/// Reads the identity in `dir`; `None` where there is none.
fn read(dir: &Path) -> Result<Option<Identity>, StoreError> {
    let bytes = match std::fs::read(dir.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::Io { what: format!("reading {}", dir.join(FILE).display()), source }),
    };
    let damaged = |reason: String| StoreError::Damaged { dir: dir.to_owned(), reason };
    let file: File =
        serde_json::from_slice(&bytes).map_err(|e| damaged(format!("its identity cannot be read: {e}")))?;
    if file.format > FORMAT {
        return Err(StoreError::Newer { dir: dir.to_owned(), found: file.format, known: FORMAT });
    }
    if file.checksum.is_some_and(|found| found != checksum(file.cluster_id, file.node_id)) {
        return Err(damaged("the checksum of its identity is wrong".into()));
    }
    Ok(Some(Identity { cluster_id: file.cluster_id, node_id: file.node_id }))
}

/// Writes the identity, once; it is on the disk when this returns.
pub(crate) fn write(dir: &Path, identity: &Identity) -> Result<(), StoreError> {
    let Identity { cluster_id, node_id } = *identity;
    let file = File { format: FORMAT, cluster_id, node_id, checksum: Some(checksum(cluster_id, node_id)) };
    let text = serde_json::to_vec(&file).expect("an identity is plain data");
    files::replace(&dir.join(FILE), &text)
        .map_err(|source| StoreError::Io { what: format!("writing {}", dir.join(FILE).display()), source })
}
