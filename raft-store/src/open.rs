//! Opening a node's folder: identity, log, newest snapshot, and what openraft is told of how to run.

use std::{io, path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use autoradio_machine::Machine;
use openraft::{Config, SnapshotPolicy};
use tokio::sync::watch;

use crate::{
    Identity, Observer, Options, RaftStatus, StoreError, aside, files, identity,
    log::{self, LogStore},
    sled_folder::fault,
    snapshot::{Kept, Snapshots},
    state::StateMachine,
    types::{Metrics, SnapshotMeta},
};

const INSTALL_SNAPSHOT_TIMEOUT_MS: u64 = 10_000;
/// The append RPC's time limit is the heartbeat interval: what is sent in one must be synced in one.
const PAYLOAD_ENTRIES_MAX: u64 = 128;
/// A message of snapshots and appends must fit the peers' limit with room to spare.
const SNAPSHOT_CHUNK_BYTES: u64 = 1024 * 1024;

/// Log, the thread that syncs it, and state.
pub(crate) type Opened = (LogStore, JoinHandle<()>, StateMachine);

/// Everything that blocks: folder, identity, log, newest snapshot.
pub(crate) fn folder(
    options: &Options,
    identity: &Identity,
    observer: Arc<dyn Observer>,
) -> Result<Opened, StoreError> {
    let dir = &options.dir;
    let io_error = |source| StoreError::Io { what: format!("making {}", dir.display()), source };
    std::fs::create_dir_all(dir).map_err(io_error)?;
    let found = identity::lives_or(dir, identity)?;
    if let Some(found) = &found
        && found != identity
    {
        let Identity { cluster_id, node_id } = *found;
        return Err(StoreError::Foreign { dir: dir.clone(), node_id, cluster_id });
    }
    let new = found.is_none();
    if new {
        set_unborn_aside(dir)?;
    }
    let log::Opened { store: log, thread, seen } = LogStore::open(dir, new)?;
    log.check(&seen).map_err(|error| fault(dir, error))?;
    let snapshots = Snapshots::open(dir.join("snapshots"))
        .map_err(|source| StoreError::Io { what: "opening the snapshots".into(), source })?;
    if new {
        // Last: a folder with an identity has all the rest.
        identity::write(dir, identity)?;
        dir.parent().map_or(Ok(()), files::sync_folder).map_err(io_error)?;
        aside::forget(dir).map_err(io_error)?;
    }
    let kept = restore(dir, &log, &snapshots)?;
    Ok((log, thread, StateMachine::new(kept, snapshots, observer)))
}

/// What is there without an identity is of a birth that was cut off: nothing was promised by it. Kept all the same.
fn set_unborn_aside(dir: &Path) -> Result<(), StoreError> {
    let log = dir.join("log");
    if !log.exists() {
        return Ok(());
    }
    let unborn = (0..).map(|n| dir.join(format!("log.unborn-{n}"))).find(|path| !path.exists());
    let unborn = unborn.unwrap_or_else(|| dir.join("log.unborn"));
    tracing::warn!(dir = %unborn.display(), "a log that no node had begun to use is set aside");
    std::fs::rename(&log, &unborn)
        .map_err(|source| StoreError::Io { what: format!("setting {} aside", log.display()), source })
}

/// The newest snapshot that can be read, if the log still leads on from it.
fn restore(dir: &Path, log: &LogStore, snapshots: &Snapshots) -> Result<Option<(SnapshotMeta, Machine)>, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { dir: dir.to_owned(), reason };
    let (kept, wrong) = snapshots.newest()?;
    for reason in &wrong {
        tracing::warn!(%reason, "a snapshot cannot be read");
    }
    let purged = log.purged().map_err(|source| StoreError::Io { what: "reading the log's marks".into(), source })?;
    let covered = kept.as_ref().and_then(|k| k.meta.last_log_id).map_or(0, |id| id.index);
    if purged.is_some_and(|id| id.index > covered) {
        let gone = format!("no readable snapshot leads to the log's first entry; {}", wrong.join("; "));
        return Err(damaged(gone));
    }
    kept.map(|Kept { meta, machine }| {
        let machine = Machine::from_snapshot(&machine).map_err(|e| damaged(e.to_string()))?;
        Ok((meta, machine))
    })
    .transpose()
}

/// sled panics over damage that its authors did not foresee, and over some failures of the disk.
pub(crate) fn panicked(dir: &Path, panic: &str) -> StoreError {
    let of_the_disk = ["os error", "No space left", "StorageFull"].iter().any(|sign| panic.contains(sign));
    if of_the_disk {
        StoreError::Io { what: format!("opening {}", dir.display()), source: io::Error::other(panic.to_owned()) }
    } else {
        StoreError::Damaged { dir: dir.to_owned(), reason: panic.to_owned() }
    }
}

/// What openraft could not start with: the log was read through before, so that this is the disk's or a bug.
pub(crate) fn unusable(dir: &Path, error: &impl std::fmt::Display) -> StoreError {
    StoreError::Io { what: format!("starting with {}", dir.display()), source: io::Error::other(error.to_string()) }
}

pub(crate) fn config(options: &Options, identity: &Identity) -> Config {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: format!("{:x}", identity.cluster_id),
        heartbeat_interval: ms(options.heartbeat),
        election_timeout_min: ms(options.election.0),
        election_timeout_max: ms(options.election.1),
        install_snapshot_timeout: INSTALL_SNAPSHOT_TIMEOUT_MS,
        max_payload_entries: PAYLOAD_ENTRIES_MAX,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every_entries),
        replication_lag_threshold: options.snapshot_every_entries.max(options.keep_entries),
        max_in_snapshot_log_to_keep: options.keep_entries,
        snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
        ..Config::default()
    }
}

/// Follows openraft's metrics and says them in our words, for as long as anybody listens.
pub(crate) fn follow(mut metrics: watch::Receiver<Metrics>) -> watch::Receiver<RaftStatus> {
    // Cloned at once: a borrowed value would block the consensus.
    let first = RaftStatus::of(&metrics.borrow_and_update().clone());
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        while metrics.changed().await.is_ok() {
            let status = RaftStatus::of(&metrics.borrow_and_update().clone());
            if sender.send(status).is_err() {
                return;
            }
        }
    });
    receiver
}
