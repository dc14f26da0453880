//! New clusters of old states: from a backup, or, where a majority is lost for good, from what the last node has. Both have
//! a new cluster id and new node ids, so that no node of before is let in, or lets in, by mistake.

use std::path::PathBuf;

use autoradio_machine::{Machine, Member, hex_id};
use autoradio_store::{Consensus, Identity, StoreError};

use super::{Birth, StartError, found, removed};
use crate::{config::Config, trust::Keyring};

/// A cluster that was made of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) identity: Identity,
    pub(super) revision: i64,
    pub(super) mounts: usize,
}

/// Makes the folder of a new cluster's only node with this state. Blocks.
pub(super) fn make(config: &Config, state: Machine) -> Result<Made, StartError> {
    // Certificates of the cluster before are of no use in this one.
    Keyring::forget(&config.data_dir)?;
    let Birth { identity, members, .. } = found::alone(config)?;
    let first = members.into_iter().next().expect("a node that is alone is the one in the list");
    let member =
        Member { id: first.id, name: first.name, peer_urls: vec![first.peer_url.clone()], ..Member::default() };
    let state = state.reborn(identity.cluster_id, &member);
    let dir = found::raft_dir(config);
    if let Some(parent) = dir.parent() {
        let failed = |source| StoreError::Io { what: format!("making {}", parent.display()), source };
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    Consensus::seed(&dir, &identity, &first.peer_url, &state)?;
    tracing::warn!(
        cluster = %hex_id(identity.cluster_id),
        node = %hex_id(identity.node_id),
        revision = state.revision(),
        "a new cluster is made of an old state"
    );
    Ok(Made { identity, revision: state.revision(), mounts: state.catalog().mounts.len() })
}

/// Makes a new cluster of what is in this node's folder, which is kept beside. The node must have stopped.
pub(super) async fn recover(config: &Config) -> Result<(Made, PathBuf), StartError> {
    let saved = Consensus::salvage(&found::raft_dir(config)).await?;
    let config = config.clone();
    let made = tokio::task::spawn_blocking(move || {
        let data_dir = |source| StartError::DataDir { dir: config.data_dir.clone(), source };
        let kept = removed::put_aside(&config, "lost").map_err(data_dir)?;
        match make(&config, saved.machine) {
            Ok(made) => Ok((made, kept)),
            Err(error) => {
                // As before: what could not be made must not cost what there was.
                if let Err(error) = std::fs::rename(&kept, found::raft_dir(&config)) {
                    tracing::error!(%error, kept = %kept.display(), "the folder could not be put back: move it to raft/");
                }
                Err(error)
            }
        }
    });
    made.await.map_err(|error| StartError::Part { part: "the recovery", reason: error.to_string() })?
}
