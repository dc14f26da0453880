//! [`RaftHandle`]: what the rest of the node uses of the consensus.

use std::{
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use autoradio_machine::{Catalog, ClusterId, Command, LeaseId, LogIndex, Machine, NodeId};
use autoradio_store::{Consensus, ConsensusError, Identity, Proposed, RaftStatus, Space};
use tokio::{sync::watch, time::timeout};

use super::{LeaseKeeper, Proposals, RaftError, TokenKeeper, forward, reads::Reads, retry::Backoff};
use crate::peer::Peers;

/// How long a proposal or read may take before its outcome is unknown (etcd: 5 s and an election).
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// First and longest wait before a new leader is asked.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(320));

/// How long the answer of a leader that was replaced meanwhile is still waited for.
const LATE_ANSWER: Duration = Duration::from_millis(250);

/// The way to the replicated state. Cheap to clone.
#[derive(Clone)]
pub struct RaftHandle {
    inner: Arc<Inner>,
}

struct Inner {
    consensus: Consensus,
    identity: Identity,
    peers: Peers,
    catalog: watch::Receiver<Catalog>,
    lease: watch::Sender<Option<LeaseId>>,
    leases: Mutex<LeaseKeeper>,
    tokens: Mutex<TokenKeeper>,
    proposals: Proposals,
    reads: Reads,
    started: Instant,
    quota_bytes: u64,
}

/// How one attempt ended that may be repeated.
pub(super) enum Attempt<T> {
    /// Done.
    Done(T),
    /// Surely not carried out; another node may lead.
    Again,
}

impl RaftHandle {
    /// The handle of this node's consensus; proposals that would make the store larger than the quota are refused.
    #[must_use]
    pub fn new(
        consensus: Consensus,
        identity: Identity,
        peers: Peers,
        catalog: watch::Receiver<Catalog>,
        quota_bytes: u64,
    ) -> Self {
        let inner = Arc::new_cyclic(|inner: &Weak<Inner>| {
            let handle = inner.clone();
            let reads = Reads::start(move || handle.upgrade().map(|inner| Self { inner }));
            Inner {
                consensus,
                identity,
                peers,
                catalog,
                lease: watch::Sender::new(None),
                leases: Mutex::default(),
                tokens: Mutex::default(),
                proposals: Proposals::default(),
                reads,
                started: Instant::now(),
                quota_bytes,
            }
        });
        Self { inner }
    }

    /// Proposes a command from any node and waits until it is applied **here**.
    ///
    /// An attempt that was surely not carried out is repeated with the next leader, within [`PROPOSE_TIMEOUT`]; one
    /// whose outcome is unknown is not.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn propose(&self, command: Command) -> Result<Proposed, RaftError> {
        self.propose_ref(&command).await
    }

    /// [`RaftHandle::propose`], for who may propose it again.
    pub(super) async fn propose_ref(&self, command: &Command) -> Result<Proposed, RaftError> {
        let pending = self.inner.proposals.begin();
        let proposed = self.propose_within_quota(command).await;
        pending.end(proposed.as_ref().err());
        proposed
    }

    async fn propose_within_quota(&self, command: &Command) -> Result<Proposed, RaftError> {
        self.admit(command).await?;
        self.propose_admitted(command).await
    }

    /// [`RaftHandle::propose`], whatever the quota says.
    pub(super) async fn propose_admitted(&self, command: &Command) -> Result<Proposed, RaftError> {
        // Whether a leader carried it out that was replaced before it answered is not known.
        let late = || Err(RaftError::LeaderReplaced);
        let proposed = self
            .with_leader(late, |leader, left| async move {
                if leader != self.node_id() {
                    return forward::propose(&self.inner.peers, &self.inner.consensus, leader, command, left).await;
                }
                match self.inner.consensus.propose(command, left).await {
                    Ok(proposed) => Ok(Attempt::Done(proposed)),
                    Err(ConsensusError::NotLeader { .. } | ConsensusError::NoQuorum) => Ok(Attempt::Again),
                    Err(error) => Err(error.into()),
                }
            })
            .await?;
        self.inner.consensus.wait_applied(proposed.index, PROPOSE_TIMEOUT).await?;
        Ok(proposed)
    }

    /// Waits until a read of this node's state is linearizable. Those who wait on this node at the same time ask the
    /// leader together.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn barrier(&self) -> Result<(), RaftError> {
        self.inner.reads.pass().await
    }

    /// Asks the leader for a read index, and waits until it is applied here.
    pub(super) async fn read_round(&self) -> Result<(), RaftError> {
        // A read changes nothing: the next leader can be asked.
        let late = || Ok(Attempt::Again);
        let index = self
            .with_leader(late, |leader, left| async move {
                if leader != self.node_id() {
                    return forward::read_index(&self.inner.peers, leader, left).await;
                }
                match self.inner.consensus.read_index(left).await {
                    Ok(index) => Ok(Attempt::Done(index)),
                    // A time that has run out ends in `NoLeader`, which says what is the matter.
                    Err(ConsensusError::NotLeader { .. } | ConsensusError::NoQuorum | ConsensusError::Timeout(_)) => {
                        Ok(Attempt::Again)
                    }
                    Err(error) => Err(error.into()),
                }
            })
            .await?;
        Ok(self.inner.consensus.wait_applied(index, PROPOSE_TIMEOUT).await?)
    }

    /// Calls `attempt` with the leader and the time that is left, until one is done; `late` says what follows when the
    /// leader was replaced before it answered (a network that was cut does not say so).
    pub(super) async fn with_leader<T, F>(
        &self,
        late: impl Fn() -> Result<Attempt<T>, RaftError>,
        attempt: impl Fn(NodeId, Duration) -> F,
    ) -> Result<T, RaftError>
    where
        F: Future<Output = Result<Attempt<T>, RaftError>>,
    {
        let deadline = Instant::now() + PROPOSE_TIMEOUT;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut leaders = self.inner.consensus.watch_leader();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RaftError::NoLeader);
            }
            leaders.mark_unchanged();
            let (leader, _, fatal) = self.inner.consensus.leadership();
            if let Some(reason) = fatal {
                return Err(ConsensusError::Stopped(reason).into());
            }
            if let Some(leader) = leader {
                let ended = tokio::select! {
                    ended = attempt(leader, left) => ended?,
                    () = self.replaced(leader) => late()?,
                };
                if let Attempt::Done(done) = ended {
                    return Ok(done);
                }
            }
            // Whichever is first: news of the consensus, or the back-off. A closed channel ends in the deadline.
            let _news = timeout(backoff.step().min(left), leaders.changed()).await;
        }
    }

    /// Waits until another node than `asked` leads, and then a moment for the answer that may be on its way. This node
    /// answers itself whatever happens to its leadership.
    async fn replaced(&self, asked: NodeId) {
        if asked == self.node_id() {
            std::future::pending::<()>().await;
        }
        let mut leaders = self.inner.consensus.watch_leader();
        if leaders.wait_for(|leader| leader.is_some_and(|leader| leader != asked)).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LATE_ANSWER).await;
    }

    /// Proposes at whoever leads by what the others say: for a node that the leader does not reach, since it has moved.
    /// Does not wait until it is applied here.
    pub(super) async fn propose_by_hearsay(&self, command: &Command) -> Result<(), RaftError> {
        let peers = &self.inner.peers;
        for node in peers.urls().into_keys() {
            let Some(leader) = forward::who_leads(peers, node).await.filter(|leader| *leader != self.node_id()) else {
                continue;
            };
            if let Attempt::Done(_) =
                forward::propose(peers, &self.inner.consensus, leader, command, PROPOSE_TIMEOUT).await?
            {
                return Ok(());
            }
        }
        Err(RaftError::NoLeader)
    }

    /// How many proposals of this node are under way, and failed.
    #[must_use]
    pub fn proposals(&self) -> &Proposals {
        &self.inner.proposals
    }

    /// Reads this node's state as it is; `f` must be short.
    pub fn read<R>(&self, f: impl FnOnce(&Machine) -> R) -> R {
        self.inner.consensus.read(f)
    }

    /// Mounts, members and origins as this node has applied them.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        self.inner.catalog.borrow().clone()
    }

    /// The catalog as it changes.
    #[must_use]
    pub fn watch_catalog(&self) -> watch::Receiver<Catalog> {
        self.inner.catalog.clone()
    }

    /// The consensus' status now.
    #[must_use]
    pub fn status(&self) -> RaftStatus {
        self.inner.consensus.status()
    }

    /// The room on this node's disk.
    #[must_use]
    pub fn space(&self) -> Space {
        self.inner.consensus.space()
    }

    /// The consensus' status as it changes.
    #[must_use]
    pub fn watch_status(&self) -> watch::Receiver<RaftStatus> {
        self.inner.consensus.watch_status()
    }

    /// The term that this node knows of.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.inner.consensus.leadership().1
    }

    /// The leader that this node knows of, as it changes.
    #[must_use]
    pub fn watch_leader(&self) -> watch::Receiver<Option<NodeId>> {
        self.inner.consensus.watch_leader()
    }

    /// Whether this node leads, and heard a majority of late.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.inner.consensus.leads()
    }

    /// On the leader: hands leadership to `target`, or to whom it fits best; who leads then.
    ///
    /// # Errors
    /// [`RaftError`].
    pub async fn hand_over(&self, target: Option<NodeId>, limit: Duration) -> Result<NodeId, RaftError> {
        Ok(self.inner.consensus.hand_over(target, limit).await?)
    }

    /// This node.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.inner.identity.node_id
    }

    /// Whether a node was removed, and the consensus has let go of it: until then its calls are needed.
    #[must_use]
    pub fn is_gone(&self, node: NodeId) -> bool {
        let knows = || self.inner.consensus.watch_status().borrow().addresses.contains_key(&node);
        self.read(|machine| machine.was_removed(node)) && !knows()
    }

    /// The cluster.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.inner.identity.cluster_id
    }

    /// The lease that this node's origins hang on; kept alive for as long as the node can reach the leader.
    /// `None` while there is none (no leader yet, or it ran out and a new one is being granted).
    #[must_use]
    pub fn node_lease(&self) -> Option<LeaseId> {
        *self.inner.lease.borrow()
    }

    /// [`RaftHandle::node_lease`] as it changes: a holder whose lease is lost must stop.
    #[must_use]
    pub fn watch_node_lease(&self) -> watch::Receiver<Option<LeaseId>> {
        self.inner.lease.subscribe()
    }

    pub(super) fn set_node_lease(&self, lease: Option<LeaseId>) {
        self.inner.lease.send_if_modified(|old| std::mem::replace(old, lease) != lease);
    }

    /// The consensus itself, for the peer service and the steward.
    #[must_use]
    pub fn consensus(&self) -> &Consensus {
        &self.inner.consensus
    }

    /// Who counts the leases' time; never locked across an await.
    pub(super) fn leases(&self) -> std::sync::MutexGuard<'_, LeaseKeeper> {
        self.inner.leases.lock().expect("nothing panics while it holds the leases")
    }

    /// Who counts the tokens' time; never locked across an await.
    pub(super) fn tokens(&self) -> std::sync::MutexGuard<'_, TokenKeeper> {
        self.inner.tokens.lock().expect("nothing panics while it holds the tokens")
    }

    pub(super) fn quota_bytes(&self) -> u64 {
        self.inner.quota_bytes
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.inner.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until this node has applied `index`.
    ///
    /// # Errors
    /// `Timeout`.
    pub async fn wait_applied(&self, index: LogIndex, timeout: Duration) -> Result<(), RaftError> {
        Ok(self.inner.consensus.wait_applied(index, timeout).await?)
    }
}
