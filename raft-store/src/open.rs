//! Opening a node's folder: identity, log, newest snapshot, and what openraft is told of how to run.

use std::{io, path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use autoradio_machine::{Machine, NodeId, SnapshotError};
use openraft::{Config, SnapshotPolicy};
use tokio::sync::watch;

use crate::{
    Disk, Files, Identity, Observer, Options, RaftStatus, StoreError,
    applied::Applied,
    aside, files,
    folder_files::FolderFiles,
    identity,
    log::LogStore,
    sled_disk::SledDisk,
    sled_folder::fault,
    snapshot::{Kept, Snapshots},
    space::SpaceWatch,
    state::StateMachine,
    types::Metrics,
    witness::Witness,
};

const INSTALL_SNAPSHOT_TIMEOUT_MS: u64 = 10_000;
/// The append RPC's time limit is the heartbeat interval: what is sent in one must be synced in one.
const PAYLOAD_ENTRIES_MAX: u64 = 128;
/// A message of snapshots and appends must fit the peers' limit with room to spare.
const SNAPSHOT_CHUNK_BYTES: u64 = 1024 * 1024;

/// What a node keeps: the disk below its log, and the files below its snapshots.
#[derive(Clone)]
pub struct Storage {
    /// The log's.
    pub disk: Arc<dyn Disk>,
    /// The snapshots'.
    pub files: Arc<dyn Files>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("files", &self.files.folder()).finish_non_exhaustive()
    }
}

/// A node's folder, open.
pub(crate) struct Folder {
    pub(crate) storage: Storage,
    pub(crate) witness: Witness,
    pub(crate) space: SpaceWatch,
    /// Syncs the log; to be waited for after the storage was dropped.
    pub(crate) flusher: JoinHandle<()>,
}

/// The folder, its identity checked or written. Blocks.
pub(crate) fn folder(options: &Options, identity: &Identity) -> Result<Folder, StoreError> {
    let dir = &options.dir;
    let io_error = |source| StoreError::Io { what: format!("making {}", dir.display()), source };
    files::private_folder(dir).map_err(io_error)?;
    let found = identity::lives_or(dir, identity)?;
    if let Some(Identity { cluster_id, node_id }) = found.clone().filter(|found| found != identity) {
        return Err(StoreError::Foreign { dir: dir.clone(), node_id, cluster_id });
    }
    let new = found.is_none();
    if new {
        set_unborn_aside(dir)?;
    }
    let (disk, flusher) = SledDisk::open(&dir.join("log"), new)?;
    let opening = |what: &str| {
        let what = format!("opening {what} in {}", dir.display());
        move |source| StoreError::Io { what, source }
    };
    let witness = Witness::open(&dir.join("witness")).map_err(opening("the log's witness"))?;
    let files = FolderFiles::open(dir.join("snapshots")).map_err(opening("the snapshots"))?;
    let space =
        SpaceWatch::start(dir.clone(), options.space_reserve_bytes).map_err(opening("the file system's facts"))?;
    if new {
        // Last: a folder with an identity has all the rest.
        identity::write(dir, identity)?;
        dir.parent().map_or(Ok(()), files::sync_folder).map_err(io_error)?;
        aside::forget(dir).map_err(io_error)?;
    }
    Ok(Folder { storage: Storage { disk: Arc::new(disk), files: Arc::new(files) }, witness, space, flusher })
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

/// sled panics over damage that its authors did not foresee, and over some failures of the disk.
pub(crate) fn panicked(dir: &Path, panic: &str) -> StoreError {
    let of_the_disk = ["os error", "Os {", "No space left", "StorageFull", "Input/output error"]
        .iter()
        .any(|sign| panic.contains(sign));
    if of_the_disk {
        StoreError::Io { what: format!("opening {}", dir.display()), source: io::Error::other(panic.to_owned()) }
    } else {
        StoreError::Damaged { dir: dir.to_owned(), reason: panic.to_owned() }
    }
}

/// The log and the snapshots, the log read through. Blocks where the disk does.
pub(crate) fn logs(
    dir: &Path,
    storage: Storage,
    witness: Option<Witness>,
    node_id: NodeId,
) -> Result<(LogStore, Snapshots), StoreError> {
    let (log, snapshots) = (LogStore::new(storage.disk, witness, node_id), Snapshots::new(storage.files));
    log.check().map_err(|error| fault(dir, error))?;
    Ok((log, snapshots))
}

/// The state from the newest snapshot that can be read, if the log leads on from it. Blocks where the files do.
pub(crate) fn state(
    dir: &Path,
    log: &LogStore,
    snapshots: &Snapshots,
    observer: Arc<dyn Observer>,
) -> Result<StateMachine, StoreError> {
    let (kept, wrong) = snapshots.newest()?;
    for reason in &wrong {
        tracing::warn!(%reason, "a snapshot cannot be read");
    }
    let purged = log.purged().map_err(|error| fault(dir, error))?;
    let covered = kept.as_ref().and_then(|k| k.meta.last_log_id).map_or(0, |id| id.index);
    if let Some(purged) = purged.filter(|id| id.index > covered) {
        let wrong = if wrong.is_empty() { "there is none".into() } else { wrong.join("; ") };
        let reason = format!("no readable snapshot leads to the log's first entry ({wrong})");
        let (dir, asked) = (dir.to_owned(), "nobody was asked".into());
        return Err(StoreError::SnapshotLost { dir, reason, at_least: purged.index, asked });
    }
    let machine = |Kept { meta, machine }: Kept| {
        let machine = Machine::from_snapshot(&machine).map_err(|error| match error {
            SnapshotError::Newer { found, known } => StoreError::Newer { dir: dir.to_owned(), found, known },
            error @ SnapshotError::Damaged(_) => StoreError::Damaged { dir: dir.to_owned(), reason: error.to_string() },
        })?;
        Ok((meta, machine))
    };
    Ok(StateMachine::new(kept.map(machine).transpose()?, snapshots.clone(), observer, log.unsynced()))
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

/// The consensus' status, and its leader alone: who waits for another need not wake with every entry.
pub(crate) struct Followed {
    pub(crate) status: watch::Receiver<RaftStatus>,
    pub(crate) leader: watch::Receiver<Option<NodeId>>,
}

/// A single entry changes the status several times, and many tasks look at it: so often is enough.
const FOLLOW_EVERY: Duration = Duration::from_millis(5);

/// Follows openraft's metrics and says them in our words, for as long as anybody listens.
pub(crate) fn follow(mut metrics: watch::Receiver<Metrics>, applied: Applied, unheard_max_ms: u64) -> Followed {
    // Cloned at once: a borrowed value would block the consensus.
    let first = RaftStatus::of(&metrics.borrow_and_update().clone());
    let led_by = move |status: &RaftStatus| status.leader.filter(|_| status.is_led(unheard_max_ms));
    let (leader_sender, leader) = watch::channel(led_by(&first));
    let (sender, status) = watch::channel(first);
    tokio::spawn(async move {
        while metrics.changed().await.is_ok() {
            let status = RaftStatus::of(&metrics.borrow_and_update().clone());
            let now = led_by(&status);
            leader_sender.send_if_modified(|leader| std::mem::replace(leader, now) != now);
            if status.fatal.is_some() {
                applied.close();
            }
            if sender.send(status).is_err() {
                return;
            }
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
        applied.close();
    });
    Followed { status, leader }
}
