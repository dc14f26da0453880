//! Where the others were last known to be, in a file: for a node that cannot read its snapshot, which says so, too.

use std::{collections::BTreeMap, io, path::Path};

use autoradio_machine::NodeId;
use tokio::sync::watch;

use crate::{RaftStatus, files};

const FORMAT: u8 = 1;
const FILE: &str = "peers";

#[derive(serde::Serialize, serde::Deserialize)]
struct Known {
    format: u8,
    addresses: BTreeMap<String, String>,
}

/// The addresses in the file; none where it is missing or says nothing that this program understands.
pub(crate) fn read(dir: &Path) -> BTreeMap<NodeId, String> {
    let known = std::fs::read(dir.join(FILE)).ok().and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
    let addresses = known.filter(|known| known.format <= FORMAT).map(|known| known.addresses).unwrap_or_default();
    addresses.into_iter().filter_map(|(id, addr)| Some((NodeId::from_str_radix(&id, 16).ok()?, addr))).collect()
}

fn write(dir: &Path, addresses: &BTreeMap<NodeId, String>) -> io::Result<()> {
    let addresses = addresses.iter().map(|(id, addr)| (format!("{id:x}"), addr.clone())).collect();
    files::replace(&dir.join(FILE), &serde_json::to_vec(&Known { format: FORMAT, addresses })?)
}

/// Keeps the file up to date until the consensus stops.
pub(crate) fn keep(dir: std::path::PathBuf, mut status: watch::Receiver<RaftStatus>) {
    tokio::spawn(async move {
        let mut written = read(&dir);
        loop {
            let addresses = status.borrow_and_update().addresses.clone();
            if !addresses.is_empty() && addresses != written {
                let (dir, now) = (dir.clone(), addresses.clone());
                match tokio::task::spawn_blocking(move || write(&dir, &now)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "the others' addresses could not be written down"),
                    Err(error) => tracing::warn!(%error, "the others' addresses could not be written down"),
                }
                // Tried again with the next change.
                written = addresses;
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_and_garbage_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_empty());
        let all = BTreeMap::from([(u64::MAX, "http://a:2380".to_owned()), (1, "http://b:2380".to_owned())]);
        write(dir.path(), &all).unwrap();
        assert_eq!(read(dir.path()), all);
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(read(dir.path()).is_empty());
    }
}
