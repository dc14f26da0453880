//! The seam between consensus and the daemon. (Split into files by noun when it is filled.)

use std::{collections::BTreeMap, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use autoradio_machine::{ClusterId, Command, Event, LogIndex, Machine, NodeId, Refusal, Response, Revision};
use bytes::Bytes;

/// Who this node is; written to disk once, when the node is made or joins, and never changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The node.
    pub node_id: NodeId,
}

/// How the consensus runs. Times are for a LAN with fsyncing disks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of log and snapshots; made if missing.
    pub dir: PathBuf,
    /// The leader's heartbeat (default 250 ms).
    pub heartbeat: Duration,
    /// Election timeout, least and most (default 1,000 to 2,000 ms).
    pub election: (Duration, Duration),
    /// Entries between snapshots (default 5,000).
    pub snapshot_every_entries: u64,
    /// Entries kept behind a snapshot for followers that lag (default 2,000).
    pub keep_entries: u64,
}

/// What an RPC between consensus modules is; the payload is opaque to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RpcKind {
    /// Append entries / heartbeat.
    Append = 1,
    /// Request a vote.
    Vote = 2,
    /// A piece of a snapshot.
    Snapshot = 3,
}

/// An RPC could not be delivered or answered.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: try again later.
    #[error("{target:x} cannot be reached: {reason}")]
    Unreachable {
        /// The node.
        target: NodeId,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("{target:x} did not answer in {timeout:?}")]
    Timeout {
        /// The node.
        target: NodeId,
        /// The limit.
        timeout: Duration,
    },
}

/// A future as trait objects return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How RPCs reach other nodes. The daemon implements it over tonic, tests in memory.
pub trait Transport: Send + Sync + 'static {
    /// Sends `payload` to `target`, whose peer address (`http://host:2380`) is `addr`, and waits for the answer.
    fn call(
        &self,
        target: NodeId,
        addr: String,
        kind: RpcKind,
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>>;
}

/// Is told of every applied entry, in order, on the task that applies: must be quick and must not block.
pub trait Observer: Send + Sync + 'static {
    /// After one or more entries were applied (batched). `events` in order; the machine is locked for reading.
    fn applied(&self, machine: &Machine, index: LogIndex, events: &[Event]);
    /// After the whole state was replaced by a snapshot: what was known before is void.
    fn restored(&self, machine: &Machine, index: LogIndex);
}

/// The role of this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Not voting.
    #[default]
    Learner,
    /// Voting, following.
    Follower,
    /// Asking for votes.
    Candidate,
    /// Leading.
    Leader,
}

/// A picture of the consensus on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftStatus {
    /// This node.
    pub node_id: NodeId,
    /// Its role.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// The leader it knows of.
    pub leader: Option<NodeId>,
    /// Last entry in the log.
    pub last_log_index: LogIndex,
    /// Last entry applied.
    pub applied_index: LogIndex,
    /// Last entry in a snapshot.
    pub snapshot_index: LogIndex,
    /// Who votes (the newest configuration; both sets while it is joint).
    pub voters: Vec<NodeId>,
    /// Who learns.
    pub learners: Vec<NodeId>,
    /// Peer addresses that the consensus uses, by node.
    pub addresses: BTreeMap<NodeId, String>,
    /// On the leader: the last entry that each node is known to hold.
    pub matched: BTreeMap<NodeId, LogIndex>,
    /// On the leader: milliseconds since a majority last answered.
    pub millis_since_quorum_ack: Option<u64>,
    /// Set when the consensus stopped for good: the process must end.
    pub fatal: Option<String>,
}

/// Why a proposal or read was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The machine refused the command.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another node leads: ask there.
    #[error("this node does not lead")]
    NotLeader {
        /// Who leads, where known.
        leader: Option<NodeId>,
    },
    /// No majority, or no answer in time. A proposal may still be carried out later.
    #[error("no majority of the voters answered in {0:?}; the change may or may not have been made")]
    Timeout(Duration),
    /// The membership change asked for cannot be made now.
    #[error("membership cannot be changed now: {0}")]
    Membership(String),
    /// Stopped.
    #[error("the consensus has stopped: {0}")]
    Stopped(String),
}

/// Log, snapshots or identity could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{dir} is in use: another autoradio-node is running on it")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// Damaged: must not be rebuilt silently.
    #[error("{dir} is damaged ({reason}); remove this node from the cluster, move the folder away, and join anew")]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Written by a newer program.
    #[error("{dir} has format {found}, this program reads up to {known}; upgrade autoradio")]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// The format found.
        found: u8,
        /// The newest known.
        known: u8,
    },
    /// The system's error.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

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
pub struct Consensus {}

impl Consensus {
    /// Reads the identity in `dir`, if there is one, without opening anything else.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(_dir: &std::path::Path) -> Result<Option<Identity>, StoreError> {
        unimplemented!()
    }

    /// Opens (or makes, with `identity`) the store in `options.dir` and starts the consensus.
    ///
    /// # Errors
    /// [`StoreError`]; `Damaged` where the folder has another identity.
    pub async fn open(
        _options: Options,
        _identity: Identity,
        _transport: Arc<dyn Transport>,
        _observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        unimplemented!()
    }

    /// Makes a new cluster of these voters (id to peer address). Idempotent on a node that has a log already.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn bootstrap(&self, _voters: BTreeMap<NodeId, String>) -> Result<(), ConsensusError> {
        unimplemented!()
    }

    /// Proposes a command on the leader and waits until it is applied here.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn propose(&self, _command: &Command, _timeout: Duration) -> Result<Proposed, ConsensusError> {
        unimplemented!()
    }

    /// On the leader: an index such that a read at a state that has applied it is linearizable.
    /// One round of heartbeats serves all callers that wait (one in flight, one queued).
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn read_index(&self, _timeout: Duration) -> Result<LogIndex, ConsensusError> {
        unimplemented!()
    }

    /// Waits until this node has applied `index`.
    ///
    /// # Errors
    /// `Timeout`.
    pub async fn wait_applied(&self, _index: LogIndex, _timeout: Duration) -> Result<(), ConsensusError> {
        unimplemented!()
    }

    /// Reads the state as it is here, under a read lock: `f` must be short.
    pub fn read<R>(&self, _f: impl FnOnce(&Machine) -> R) -> R {
        unimplemented!()
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> RaftStatus {
        unimplemented!()
    }

    /// The status as it changes (at least when role, leader, membership, applied index or `fatal` change).
    #[must_use]
    pub fn watch_status(&self) -> tokio::sync::watch::Receiver<RaftStatus> {
        unimplemented!()
    }

    /// Answers an RPC of another node's consensus.
    ///
    /// # Errors
    /// `Stopped`, or a payload that cannot be read.
    pub async fn handle(&self, _kind: RpcKind, _payload: Bytes) -> Result<Bytes, ConsensusError> {
        unimplemented!()
    }

    /// On the leader: adds a learner (not blocking on its catching up), or changes a node's address.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn set_learner(&self, _node: NodeId, _addr: String, _timeout: Duration) -> Result<(), ConsensusError> {
        unimplemented!()
    }

    /// On the leader: makes exactly these the voters; voters that are left out are removed whole.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn set_voters(&self, _voters: Vec<NodeId>, _timeout: Duration) -> Result<(), ConsensusError> {
        unimplemented!()
    }

    /// On the leader: removes learners.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn remove_learners(&self, _nodes: Vec<NodeId>, _timeout: Duration) -> Result<(), ConsensusError> {
        unimplemented!()
    }

    /// Writes a snapshot now and waits for it.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn snapshot_now(&self, _timeout: Duration) -> Result<LogIndex, ConsensusError> {
        unimplemented!()
    }

    /// Asks this node to stand for election now.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn elect(&self) -> Result<(), ConsensusError> {
        unimplemented!()
    }

    /// Stops, flushes and closes; the folder can be opened again when this returns.
    ///
    /// # Errors
    /// [`ConsensusError`].
    pub async fn shutdown(&self) -> Result<(), ConsensusError> {
        unimplemented!()
    }
}
