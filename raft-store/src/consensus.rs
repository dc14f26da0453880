//! A node's consensus as the daemon uses it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use autoradio_machine::{Command, LogIndex, Machine, NodeId, Response, Revision};
use bytes::Bytes;
use openraft::{
    ChangeMembers, Config, Raft, SnapshotPolicy,
    error::{CheckIsLeaderError, ClientWriteError, InitializeError, RaftError},
};
use tokio::sync::watch;

use crate::{
    ConsensusError, Identity, Observer, Options, RaftStatus, RpcKind, StoreError, Transport,
    barrier::Barrier,
    files, identity,
    log::LogStore,
    network::{self, Network},
    snapshot::{Kept, Snapshots},
    state::{SharedMachine, StateMachine},
    types::{Metrics, Payload, Peer, SnapshotMeta, TypeConfig},
};

/// A message of snapshots and appends must fit the peers' limit with room to spare.
const SNAPSHOT_CHUNK_BYTES: u64 = 1024 * 1024;
/// The append RPC's time limit is the heartbeat interval: what is sent in one must be synced in one.
const PAYLOAD_ENTRIES_MAX: u64 = 128;
const INSTALL_SNAPSHOT_TIMEOUT_MS: u64 = 10_000;
/// How long a closing store is waited for.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
const READ_ROUND_LIMIT: Duration = Duration::from_secs(5);

/// An applied proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Where in the log it stands.
    pub index: LogIndex,
    /// The store's revision after it.
    pub revision: Revision,
    /// The machine's answer.
    pub response: Response,
}

/// A node's consensus: cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Consensus {
    raft: Raft<TypeConfig>,
    machine: SharedMachine,
    barrier: Barrier,
    status: watch::Receiver<RaftStatus>,
    flusher: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Consensus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consensus").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

type Opened = (LogStore, JoinHandle<()>, StateMachine);

/// Everything that blocks: folder, identity, log, newest snapshot.
fn open_folder(options: &Options, identity: &Identity, observer: Arc<dyn Observer>) -> Result<Opened, StoreError> {
    let dir = &options.dir;
    let io_error = |source| StoreError::Io { what: format!("making {}", dir.display()), source };
    std::fs::create_dir_all(dir).map_err(io_error)?;
    match identity::read(dir)? {
        Some(found) if found == *identity => {}
        Some(found) => {
            let reason = format!("it belongs to node {:x} of cluster {:x}", found.node_id, found.cluster_id);
            return Err(StoreError::Damaged { dir: dir.clone(), reason });
        }
        None => {
            identity::write(dir, identity)?;
            if let Some(parent) = dir.parent() {
                files::sync_folder(parent).map_err(io_error)?;
            }
        }
    }
    let (log, flusher) = LogStore::open(&dir.join("log"))?;
    let snapshots = Snapshots::open(dir.join("snapshots"))
        .map_err(|source| StoreError::Io { what: "opening the snapshots".into(), source })?;
    let kept = restore(dir, &log, &snapshots)?;
    Ok((log, flusher, StateMachine::new(kept, snapshots, observer)))
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

fn config(options: &Options, identity: &Identity) -> Config {
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

fn stopped(error: impl std::fmt::Display) -> ConsensusError {
    ConsensusError::Stopped(error.to_string())
}

/// Follows openraft's metrics and says them in our words, for as long as anybody listens.
fn follow(mut metrics: watch::Receiver<Metrics>) -> watch::Receiver<RaftStatus> {
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

impl Consensus {
    /// Reads the identity in `dir`, if there is one, without opening anything else.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(dir: &Path) -> Result<Option<Identity>, StoreError> {
        identity::read(dir)
    }

    /// Opens (or makes, with `identity`) the store in `options.dir` and starts the consensus.
    ///
    /// # Errors
    /// [`StoreError`]; `Damaged` where the folder has another identity.
    pub async fn open(
        options: Options,
        identity: Identity,
        transport: Arc<dyn Transport>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let config = config(&options, &identity);
        let io_error = |what: &str, e: &dyn std::fmt::Display| StoreError::Io {
            what: what.into(),
            source: std::io::Error::other(e.to_string()),
        };
        let config = config.validate().map_err(|e| io_error("checking the consensus' options", &e))?;
        let (node_id, dir) = (identity.node_id, options.dir.clone());
        let (log, flusher, state) = tokio::task::spawn_blocking(move || open_folder(&options, &identity, observer))
            .await
            .map_err(|e| io_error("opening the store", &e))??;
        let machine = state.machine();
        let raft = Raft::new(node_id, Arc::new(config), Network { transport }, log, state)
            .await
            .map_err(|e| StoreError::Damaged { dir, reason: e.to_string() })?;
        let (status, reads) = (follow(raft.metrics()), raft.clone());
        let barrier = Barrier::start(move || read_round(reads.clone()));
        Ok(Self { raft, machine, barrier, status, flusher: Arc::new(Mutex::new(Some(flusher))) })
    }

    /// Makes a new cluster of these voters (id to peer address). Idempotent on a node that has a log already.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn bootstrap(&self, voters: BTreeMap<NodeId, String>) -> Result<(), ConsensusError> {
        let voters: BTreeMap<_, _> = voters.into_iter().map(|(id, addr)| (id, Peer { addr })).collect();
        match self.raft.initialize(voters).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(error)) => Err(ConsensusError::Membership(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(stopped(fatal)),
        }
    }

    /// Proposes a command on the leader and waits until it is applied here.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn propose(&self, command: &Command, timeout: Duration) -> Result<Proposed, ConsensusError> {
        let write = self.raft.client_write(Payload(Bytes::from(command.encode())));
        let written = within(timeout, write).await?.map_err(write_error)?;
        let outcome = written.data.0.ok_or_else(|| stopped("a command was answered as if it were none"))?;
        Ok(Proposed { index: written.log_id.index, revision: outcome.revision, response: outcome.result? })
    }

    /// On the leader: an index such that a read at a state that has applied it is linearizable.
    /// One round of heartbeats serves all callers that wait (one in flight, one queued).
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn read_index(&self, timeout: Duration) -> Result<LogIndex, ConsensusError> {
        self.barrier.pass(timeout).await
    }

    /// Waits until this node has applied `index`.
    ///
    /// # Errors
    /// `Timeout`, `Stopped`.
    pub async fn wait_applied(&self, index: LogIndex, timeout: Duration) -> Result<(), ConsensusError> {
        let mut status = self.status.clone();
        let applied = status.wait_for(|status| status.applied_index >= index || status.fatal.is_some());
        let status = within(timeout, applied).await?.map_err(stopped)?;
        status.fatal.as_ref().map_or(Ok(()), |fatal| Err(stopped(fatal)))
    }

    /// Reads the state as it is here, under a read lock: `f` must be short.
    pub fn read<R>(&self, f: impl FnOnce(&Machine) -> R) -> R {
        f(&self.machine.read().expect("nothing panics while it holds the machine"))
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> RaftStatus {
        self.status.borrow().clone()
    }

    /// The status as it changes (at least when role, leader, membership, applied index or `fatal` change).
    #[must_use]
    pub fn watch_status(&self) -> watch::Receiver<RaftStatus> {
        self.status.clone()
    }

    /// Answers an RPC of another node's consensus.
    ///
    /// # Errors
    /// `Stopped`, or a payload that cannot be read.
    pub async fn handle(&self, kind: RpcKind, payload: Bytes) -> Result<Bytes, ConsensusError> {
        match kind {
            RpcKind::Append => network::encode(&self.raft.append_entries(read(&payload)?).await),
            RpcKind::Vote => network::encode(&self.raft.vote(read(&payload)?).await),
            RpcKind::Snapshot => network::encode(&self.raft.install_snapshot(read(&payload)?).await),
        }
        .map_err(stopped)
    }

    /// On the leader: adds a learner (not blocking on its catching up), or changes a node's address.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn set_learner(&self, node: NodeId, addr: String, timeout: Duration) -> Result<(), ConsensusError> {
        let peer = Peer { addr };
        if self.status().addresses.contains_key(&node) {
            return self.change(ChangeMembers::SetNodes(BTreeMap::from([(node, peer)])), true, timeout).await;
        }
        within(timeout, self.raft.add_learner(node, peer, false)).await?.map_err(write_error)?;
        Ok(())
    }

    /// On the leader: makes exactly these the voters; voters that are left out are removed whole.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn set_voters(&self, voters: Vec<NodeId>, timeout: Duration) -> Result<(), ConsensusError> {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        self.change(ChangeMembers::ReplaceAllVoters(voters), false, timeout).await
    }

    /// On the leader: removes learners.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn remove_learners(&self, nodes: Vec<NodeId>, timeout: Duration) -> Result<(), ConsensusError> {
        self.change(ChangeMembers::RemoveNodes(nodes.into_iter().collect()), true, timeout).await
    }

    async fn change(
        &self,
        change: ChangeMembers<NodeId, Peer>,
        retain: bool,
        timeout: Duration,
    ) -> Result<(), ConsensusError> {
        within(timeout, self.raft.change_membership(change, retain)).await?.map_err(write_error)?;
        Ok(())
    }

    /// Writes a snapshot now and waits for it.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn snapshot_now(&self, timeout: Duration) -> Result<LogIndex, ConsensusError> {
        let want = self.status().applied_index;
        self.raft.trigger().snapshot().await.map_err(stopped)?;
        let mut status = self.status.clone();
        let written = status.wait_for(|status| status.snapshot_index >= want || status.fatal.is_some());
        let status = within(timeout, written).await?.map_err(stopped)?;
        status.fatal.as_ref().map_or(Ok(status.snapshot_index), |fatal| Err(stopped(fatal)))
    }

    /// Asks this node to stand for election now.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn elect(&self) -> Result<(), ConsensusError> {
        self.raft.trigger().elect().await.map_err(stopped)
    }

    /// Stops, flushes and closes; the folder can be opened again when this returns.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn shutdown(&self) -> Result<(), ConsensusError> {
        self.raft.shutdown().await.map_err(stopped)?;
        let thread = self.flusher.lock().expect("nothing panics while it holds the handle").take();
        let Some(thread) = thread else { return Ok(()) };
        // The thread ends when openraft has let go of the log, and holds the last handle of the database.
        let close = tokio::task::spawn_blocking(move || thread.join());
        within(CLOSE_LIMIT, close)
            .await?
            .map_err(stopped)?
            .map_err(|_| stopped("the thread that syncs the log panicked"))
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, ConsensusError> {
    tokio::time::timeout(limit, future).await.map_err(|_| ConsensusError::Timeout(limit))
}

async fn read_round(raft: Raft<TypeConfig>) -> Result<LogIndex, ConsensusError> {
    match within(READ_ROUND_LIMIT, raft.get_read_log_id()).await? {
        Ok((read, applied)) => Ok(read.max(applied).map_or(0, |id| id.index)),
        Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward))) => {
            Err(ConsensusError::NotLeader { leader: forward.leader_id })
        }
        Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
            Err(ConsensusError::Timeout(READ_ROUND_LIMIT))
        }
        Err(RaftError::Fatal(fatal)) => Err(stopped(fatal)),
    }
}

fn read<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, ConsensusError> {
    network::decode(payload).map_err(stopped)
}

fn write_error(error: RaftError<NodeId, ClientWriteError<NodeId, Peer>>) -> ConsensusError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            ConsensusError::NotLeader { leader: forward.leader_id }
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            ConsensusError::Membership(error.to_string())
        }
        RaftError::Fatal(fatal) => stopped(fatal),
    }
}

/// For `openraft::testing::Suite`, which is told only of the crate's inside.
#[cfg(test)]
mod tests;
