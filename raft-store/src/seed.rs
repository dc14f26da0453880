//! A node's folder made of a state (a backup, or what was saved of another folder), and a folder's state read without
//! taking part in anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use autoradio_machine::{Event, LogIndex, Machine, NodeId};
use openraft::{
    CommittedLeaderId,
    storage::{RaftLogStorage, RaftStateMachine},
};

use crate::{
    Consensus, Identity, Observer, Options, StoreError, files,
    open::{self, Folder},
    snapshot::{Kept, Snapshots},
    state::StateMachine,
    types::{LogId, Membership, Peer, SnapshotMeta, StorageError},
};

/// What a folder has.
#[derive(Debug)]
pub struct Salvage {
    /// Whose it is.
    pub identity: Identity,
    /// The state with everything in the log applied, also what is not known to be committed: what is acknowledged may be
    /// among it, and there is nobody left to ask.
    pub machine: Machine,
    /// The last entry.
    pub last_index: LogIndex,
    /// Who voted.
    pub voters: Vec<NodeId>,
}

/// Nobody is told.
struct Nobody;

impl Observer for Nobody {
    fn applied(&self, _: &Machine, _: LogIndex, _: &[Event]) {}
    fn restored(&self, _: &Machine, _: LogIndex) {}
}

impl Consensus {
    /// Makes the folder of a node that is the only voter of its cluster, with `machine` as the state; whole or not at all.
    /// Blocks.
    ///
    /// # Errors
    /// [`StoreError`]; there must be no folder yet.
    pub fn seed(dir: &Path, identity: &Identity, addr: &str, machine: &Machine) -> Result<(), StoreError> {
        let io = |what: &str| {
            let what = format!("{what} {}", dir.display());
            move |source| StoreError::Io { what, source }
        };
        if dir.exists() {
            return Err(io("making")(std::io::Error::from(std::io::ErrorKind::AlreadyExists)));
        }
        let new = dir.with_extension("new");
        if new.exists() {
            fs::remove_dir_all(&new).map_err(io("clearing what was left beside"))?;
        }
        let Folder { storage, witness, space, flusher } = open::folder(&Options::new(new.clone()), identity)?;
        let voters = BTreeSet::from([identity.node_id]);
        let nodes = BTreeMap::from([(identity.node_id, Peer { addr: addr.to_owned() })]);
        let first = LogId::new(CommittedLeaderId::new(0, 0), 1);
        let meta = SnapshotMeta {
            last_log_id: Some(first),
            last_membership: Membership::new(Some(first), openraft::Membership::new(vec![voters], nodes)),
            snapshot_id: "seed".into(),
        };
        let written = Snapshots::new(storage.files.clone()).write(&Kept { meta, machine: machine.to_snapshot() });
        drop((storage, witness, space));
        // The thread holds the database: it must be closed before its folder is moved.
        let closed = flusher.join().map_err(|_| std::io::Error::other("the thread that syncs the log panicked"));
        written.and(closed).map_err(io("writing"))?;
        fs::rename(&new, dir).map_err(io("making"))?;
        dir.parent().map_or(Ok(()), files::sync_folder).map_err(io("making"))
    }

    /// Reads what a folder has that no process uses; nothing that it says is changed.
    ///
    /// # Errors
    /// [`StoreError`]; `InUse` where a daemon runs on it.
    pub async fn salvage(dir: &Path) -> Result<Salvage, StoreError> {
        let damaged = |reason: String| StoreError::Damaged { dir: dir.to_owned(), reason };
        let identity = Self::identity(dir)?.ok_or_else(|| damaged("it has no identity".into()))?;
        let (of, who) = (Options::new(dir.to_owned()), identity.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let Folder { storage, witness, space: _, flusher } = open::folder(&of, &who)?;
            let (log, snapshots) = open::logs(&of.dir, storage, Some(witness), who.node_id)?;
            let state = open::state(&of.dir, &log, &snapshots, Arc::new(Nobody))?;
            Ok::<_, StoreError>(((log, state), flusher))
        });
        let ((mut log, mut state), flusher) = opened.await.map_err(|error| damaged(error.to_string()))??;
        let machine = state.machine();
        let read = apply_all(&mut log, &mut state).await;
        drop((log, state));
        let closed = tokio::task::spawn_blocking(move || flusher.join()).await;
        let (last_index, voters) = read.map_err(|error| damaged(error.to_string()))?;
        if !matches!(closed, Ok(Ok(()))) {
            return Err(damaged("the thread that syncs the log panicked".into()));
        }
        let machine = Arc::into_inner(machine).ok_or_else(|| damaged("its state is still in use".into()))?;
        let machine = machine.into_inner().map_err(|error| damaged(error.to_string()))?;
        Ok(Salvage { identity, machine, last_index, voters })
    }
}

/// Applies what the log has beyond the snapshot; the last index, and who voted then.
async fn apply_all(
    log: &mut impl RaftLogStorage<crate::types::TypeConfig>,
    state: &mut StateMachine,
) -> Result<(LogIndex, Vec<NodeId>), StorageError> {
    let last = log.get_log_state().await?.last_log_id.map_or(0, |id| id.index);
    loop {
        let applied = state.applied_state().await?.0.map(|id| id.index);
        let next = applied.map_or(0, |index| index + 1);
        if next > last {
            break;
        }
        let entries = log.try_get_log_entries(next..=last).await?;
        if entries.is_empty() {
            break;
        }
        state.apply(entries).await?;
    }
    let (applied, membership) = state.applied_state().await?;
    Ok((applied.map_or(0, |id| id.index), membership.membership().voter_ids().collect()))
}
