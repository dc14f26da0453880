//! A node's consensus as the daemon uses it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicU64},
    thread::JoinHandle,
    time::Duration,
};

use autoradio_machine::{Command, LogIndex, Machine, NodeId, Response, Revision};
use bytes::Bytes;
use openraft::{
    Raft,
    error::{CheckIsLeaderError, ClientWriteError, InitializeError, RaftError},
};
use tokio::sync::watch;

use crate::{
    ConsensusError, Identity, Observer, Options, RaftStatus, Role, RpcKind, Storage, StoreError, Transport, addresses,
    applied::Applied,
    aside,
    barrier::Barrier,
    candidacy::Heard,
    fetch::{self, Giving},
    full::FullPeers,
    handover::Chosen,
    identity,
    log::LogStore,
    network::{self, Network},
    open::{self, Folder},
    proposals::{Place, Proposals},
    snapshot::Snapshots,
    space::SpaceWatch,
    state::{SharedMachine, StateMachine},
    types::{LogId, Outcome, Payload, Peer, Reply, TypeConfig},
};

/// How long a closing store is waited for.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
/// How often it is looked at meanwhile.
const CLOSE_LOOK: Duration = Duration::from_millis(2);
/// How long a round of heartbeats may take that readers share, or an entry that proposals share.
const ROUND_LIMIT: Duration = Duration::from_secs(5);
/// How long a snapshot is waited for before it is asked for again.
const SNAPSHOT_AGAIN: Duration = Duration::from_millis(500);
/// The largest command: etcd's 1.5 MiB for a request, and room for what encloses it.
const COMMAND_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A leader that no majority has answered for so many election timeouts has surely been replaced, or could be.
const UNHEARD_ELECTIONS: u32 = 2;

/// An applied proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Where in the log it stands.
    pub index: LogIndex,
    /// The term of the leader that wrote it there.
    pub term: u64,
    /// The store's revision after it.
    pub revision: Revision,
    /// The machine's answer.
    pub response: Response,
}

/// A node's consensus: cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Consensus {
    pub(crate) raft: Raft<TypeConfig>,
    machine: SharedMachine,
    barrier: Barrier,
    pub(crate) proposals: Proposals,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) chosen: Chosen,
    unheard_max_ms: u64,
    applied: Applied,
    /// The newest entry of which a notice of commit was taken in.
    pub(crate) noticed: Arc<AtomicU64>,
    status: watch::Receiver<RaftStatus>,
    leader: watch::Receiver<Option<NodeId>>,
    pub(crate) snapshots: Snapshots,
    pub(crate) giving: Giving,
    pub(crate) space: SpaceWatch,
    pub(crate) full_peers: FullPeers,
    pub(crate) heard: Heard,
    flusher: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What was opened for a consensus to run on.
struct Parts {
    log: LogStore,
    state: StateMachine,
    snapshots: Snapshots,
    space: SpaceWatch,
    flusher: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Consensus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consensus").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl Consensus {
    /// Reads the identity in `dir`, if there is one, without opening anything else.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(dir: &Path) -> Result<Option<Identity>, StoreError> {
        identity::lives(dir)
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
        let dir = options.dir.clone();
        let (of, who) = (options.clone(), identity.clone());
        let (log, snapshots, space, flusher) = blocking(&dir, &identity, move || {
            let Folder { storage, witness, space, flusher } = open::folder(&of, &who)?;
            let (log, snapshots) = open::logs(&of.dir, storage, Some(witness), who.node_id)?;
            Ok((log, snapshots, space, flusher))
        })
        .await?;
        let read = || {
            let (dir, log, snapshots, observer) = (dir.clone(), log.clone(), snapshots.clone(), observer.clone());
            blocking(&options.dir, &identity, move || open::state(&dir, &log, &snapshots, observer))
        };
        let state = match read().await {
            Err(StoreError::SnapshotLost { dir, reason, at_least, .. }) => {
                tracing::warn!(%reason, "asking the other nodes for a snapshot");
                let mut nodes = addresses::read(&dir);
                nodes.remove(&identity.node_id);
                let fetched = fetch::fetch(transport.as_ref(), &nodes, at_least).await;
                let kept = fetched.map_err(|asked| StoreError::SnapshotLost { dir, reason, at_least, asked })?;
                let what = "writing the snapshot that another node gave".to_owned();
                let written = snapshots.run(move |snapshots| snapshots.write(&kept)).await;
                written
                    .map_err(std::io::Error::other)
                    .and_then(|written| written)
                    .map_err(|source| StoreError::Io { what, source })?;
                read().await?
            }
            state => state?,
        };
        let parts = Parts { log, state, snapshots, space, flusher: Some(flusher) };
        let consensus = Self::run(&options, &identity, transport, parts).await?;
        addresses::keep(options.dir, consensus.watch_status());
        consensus.hand_on_when_full();
        Ok(consensus)
    }

    /// Starts the consensus on storage of the caller's, which has the identity's history or none; `options.dir` is
    /// only a name. For simulations: what a folder keeps is checked by [`Consensus::open`] alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn start(
        options: Options,
        identity: Identity,
        storage: Storage,
        transport: Arc<dyn Transport>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let (log, snapshots) = open::logs(&options.dir, storage, None, identity.node_id)?;
        let state = open::state(&options.dir, &log, &snapshots, observer)?;
        let parts = Parts { log, state, snapshots, space: SpaceWatch::none(), flusher: None };
        Self::run(&options, &identity, transport, parts).await
    }

    async fn run(
        options: &Options,
        identity: &Identity,
        transport: Arc<dyn Transport>,
        parts: Parts,
    ) -> Result<Self, StoreError> {
        let Parts { log, state, snapshots, space, flusher } = parts;
        let wrong = |e: &dyn std::fmt::Display| StoreError::Io {
            what: "checking the consensus' options".into(),
            source: std::io::Error::other(e.to_string()),
        };
        let config = open::config(options, identity).validate().map_err(|e| wrong(&e))?;
        let unheard_max_ms = (options.election.1 * UNHEARD_ELECTIONS).as_millis().try_into().unwrap_or(u64::MAX);
        let (machine, applied, chosen) = (state.machine(), state.reached(), Chosen::default());
        let full_peers = FullPeers::default();
        let network = Network {
            transport: transport.clone(),
            chosen: chosen.clone(),
            full_peers: full_peers.clone(),
            unsynced: log.unsynced(),
        };
        let raft = Raft::new(identity.node_id, Arc::new(config), network, log, state)
            .await
            // The log was read through before: this is the disk's failure.
            .map_err(|e| unusable(&options.dir, &e))?;
        let open::Followed { status, leader } = open::follow(raft.metrics(), applied.clone(), unheard_max_ms);
        let (reads, writes) = (raft.clone(), raft.clone());
        let barrier = Barrier::start(move || read_round(reads.clone()));
        let proposals = Proposals::start(move |commands| write_round(writes.clone(), commands));
        let flusher = Arc::new(Mutex::new(flusher));
        Ok(Self {
            raft,
            machine,
            barrier,
            proposals,
            transport,
            chosen,
            unheard_max_ms,
            applied,
            noticed: Arc::default(),
            status,
            leader,
            snapshots,
            giving: Giving::default(),
            space,
            full_peers,
            heard: Heard::new(options.election.1),
            flusher,
        })
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

    /// Proposes a command on the leader and waits until it is applied here. Commands that wait together share an entry.
    ///
    /// # Errors
    /// [`ConsensusError`]; `NotLeader`, `NoQuorum` and `NoSpace` only where the command was surely not carried out.
    pub async fn propose(&self, command: &Command, timeout: Duration) -> Result<Proposed, ConsensusError> {
        let command = Bytes::from(command.encode());
        if command.len() > COMMAND_BYTES_MAX {
            return Err(ConsensusError::TooLarge { bytes: command.len(), max: COMMAND_BYTES_MAX });
        }
        self.check_space()?;
        // openraft's leader that is cut off would go on filling its log with what it cannot commit.
        if self.status.borrow().role == Role::Leader && !self.leads() {
            return Err(ConsensusError::NoQuorum);
        }
        let (Place { index, term }, outcome) = self.proposals.propose(command, timeout).await?;
        Ok(Proposed { index, term, revision: outcome.revision, response: outcome.result? })
    }

    /// Whether this node leads, and heard a majority of late.
    #[must_use]
    pub fn leads(&self) -> bool {
        let status = self.status.borrow();
        status.role == Role::Leader && self.is_led(&status)
    }

    /// Whether there is a leader by this status: openraft's leader that no majority answers goes on as such.
    #[must_use]
    pub fn is_led(&self, status: &RaftStatus) -> bool {
        status.is_led(self.unheard_max_ms)
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
        // Mostly it is already, and no timer is needed.
        if self.applied.index() >= index || within(timeout, self.applied.wait(index)).await? {
            return Ok(());
        }
        let fatal = self.status.borrow().fatal.clone();
        Err(stopped(fatal.as_deref().unwrap_or("nothing is applied any more")))
    }

    /// The last entry that this node has applied.
    #[must_use]
    pub fn applied_index(&self) -> LogIndex {
        self.applied.index()
    }

    /// The leader that this node knows of, the term, and why the consensus stopped, if it did.
    #[must_use]
    pub fn leadership(&self) -> (Option<NodeId>, u64, Option<String>) {
        let status = self.status.borrow();
        (status.leader, status.term, status.fatal.clone())
    }

    /// The leader, as it changes; nobody where [`Consensus::is_led`] says so.
    #[must_use]
    pub fn watch_leader(&self) -> watch::Receiver<Option<NodeId>> {
        self.leader.clone()
    }

    /// Reads the state as it is here, under a read lock: `f` must be short.
    pub fn read<R>(&self, f: impl FnOnce(&Machine) -> R) -> R {
        f(&self.machine.read().expect("nothing panics while it holds the machine"))
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> RaftStatus {
        // Cloned at once: a borrowed value would block the consensus.
        let metrics = self.raft.metrics().borrow().clone();
        RaftStatus::of(&metrics)
    }

    /// Looks at the status as it was some milliseconds ago, without a copy of it; `f` must be short.
    pub(crate) fn with_status<R>(&self, f: impl FnOnce(&RaftStatus) -> R) -> R {
        f(&self.status.borrow())
    }

    /// Waits for a status, of which each is looked at as it comes: one that is some milliseconds old may be from before this
    /// node led.
    pub(crate) async fn wait_for_status(
        &self,
        mut is_it: impl FnMut(&RaftStatus) -> bool,
    ) -> Result<RaftStatus, ConsensusError> {
        let mut metrics = self.raft.metrics();
        loop {
            let now = RaftStatus::of(&metrics.borrow_and_update().clone());
            if is_it(&now) {
                return Ok(now);
            }
            metrics.changed().await.map_err(stopped)?;
        }
    }

    /// The status as it changes, some milliseconds later (at least when role, leader, membership, applied index or `fatal`
    /// change).
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
            RpcKind::Append => self.append(&payload).await,
            RpcKind::Vote => self.vote(&payload).await,
            RpcKind::Snapshot => self.install(&payload).await,
            RpcKind::Fetch => self.give_snapshot(&payload).await,
            RpcKind::HandedVote => self.handed_vote(&payload).await,
            RpcKind::TakeOver => self.take_over().await.map(|()| Bytes::new()),
        }
    }

    /// Writes a snapshot now and waits for it.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn snapshot_now(&self, timeout: Duration) -> Result<LogIndex, ConsensusError> {
        let want = self.status().applied_index;
        let written = async {
            let mut status = self.status.clone();
            loop {
                // While an older one is being written, openraft passes over what it is asked for: it is asked again.
                self.raft.trigger().snapshot().await.map_err(stopped)?;
                let done = status.wait_for(|status| status.snapshot_index >= want || status.fatal.is_some());
                if let Ok(done) = tokio::time::timeout(SNAPSHOT_AGAIN, done).await {
                    let status = done.map_err(stopped)?.clone();
                    return status.fatal.map_or(Ok(status.snapshot_index), |fatal| Err(stopped(fatal)));
                }
            }
        };
        within(timeout, written).await?
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
        // The thread ends when openraft has let go of the log, and holds the last handle of the database. It is looked at, and not
        // waited for on a thread of the runtime's: sled may hang for good on a disk that failed, and the process must end.
        let ended = async {
            while !thread.is_finished() {
                tokio::time::sleep(CLOSE_LOOK).await;
            }
        };
        within(CLOSE_LIMIT, ended).await?;
        thread.join().map_err(|_| stopped("the thread that syncs the log panicked"))
    }
}

/// Does what may block; a panic there is damage that was not foreseen, and what is damaged is moved aside.
async fn blocking<T: Send + 'static>(
    dir: &Path,
    identity: &Identity,
    job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(job)
        .await
        .unwrap_or_else(|panic| Err(open::panicked(dir, &panic.to_string())))
        .map_err(|error| set_aside(dir, identity, error))
}

fn unusable(dir: &Path, error: &impl std::fmt::Display) -> StoreError {
    StoreError::Io {
        what: format!("starting with {}", dir.display()),
        source: std::io::Error::other(error.to_string()),
    }
}

/// What is damaged is moved aside, so that it is not rebuilt under the same id.
fn set_aside(dir: &Path, identity: &Identity, error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged { reason, .. } => aside::move_aside(dir, identity, &reason),
        other => other,
    }
}

pub(crate) fn stopped(error: impl std::fmt::Display) -> ConsensusError {
    ConsensusError::Stopped(error.to_string())
}

pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, ConsensusError> {
    tokio::time::timeout(limit, future).await.map_err(|_| ConsensusError::Timeout(limit))
}

async fn read_round(raft: Raft<TypeConfig>) -> Result<LogIndex, ConsensusError> {
    match within(ROUND_LIMIT, raft.get_read_log_id()).await? {
        Ok((read, applied)) => Ok(read.max(applied).map_or(0, |id| id.index)),
        Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward))) => {
            Err(ConsensusError::NotLeader { leader: forward.leader_id })
        }
        Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => Err(ConsensusError::NoQuorum),
        Err(RaftError::Fatal(fatal)) => Err(stopped(fatal)),
    }
}

async fn write_round(raft: Raft<TypeConfig>, commands: Vec<Bytes>) -> Result<(Place, Vec<Outcome>), ConsensusError> {
    let count = commands.len();
    let written = within(ROUND_LIMIT, raft.client_write(Payload(commands))).await?.map_err(write_error)?;
    let Reply(outcomes) = written.data;
    if outcomes.len() != count {
        return Err(stopped(format!("{count} commands got {} answers", outcomes.len())));
    }
    let LogId { leader_id, index } = written.log_id;
    Ok((Place { index, term: leader_id.term }, outcomes))
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, ConsensusError> {
    network::decode(payload).map_err(stopped)
}

pub(crate) fn write_error(error: RaftError<NodeId, ClientWriteError<NodeId, Peer>>) -> ConsensusError {
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
