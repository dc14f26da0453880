//! [`Node`]: everything of one node that is a member of a cluster.

use std::{sync::Arc, time::Duration};

use autoradio_machine::{Command, Refusal};
use autoradio_policy::Load;
use autoradio_store::{Consensus, Options, Role};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Birth, StartError, client_port, found, parts, ports, ready, strangers, twin};
use crate::{
    config::Config,
    context::Context,
    etcd::WatchHub,
    metrics::Metrics,
    onair::OnAir,
    peer::{self, Loads, Peers, Process},
    raft::{self, Backoff, CatalogObserver, PeerTransport, RaftHandle},
    trust::{JoinToken, Keyring, Wire},
    view::{self, ViewHandle},
};

/// Entries between snapshots, and kept behind one for followers that lag (raft-store's defaults).
const SNAPSHOT_EVERY_ENTRIES: u64 = 5_000;
/// See [`SNAPSHOT_EVERY_ENTRIES`].
const KEEP_ENTRIES: u64 = 2_000;

/// What a node without TLS says at every start.
const PLAIN: &str = "connections between the nodes of this cluster are not encrypted, nor does anybody prove who he is: \
    whoever reaches port 2380 owns the cluster. Turn it to TLS, without an interruption, by: radioctl cluster secure";

/// How long tasks are given to end.
const TASKS_STOP: Duration = Duration::from_secs(5);

/// How long the consensus is given to flush and close.
const CONSENSUS_STOP: Duration = Duration::from_secs(5);

/// How long stopping waits for another node to lead: ten times what it takes.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(1);

/// How a node that is not on disk yet comes to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// As it is on disk, or as `--initial-cluster` has it.
    #[default]
    Found,
    /// As the first member of a new cluster.
    Init,
    /// As a member of the cluster that this host is of, without TLS.
    Join(String),
    /// As a member of the cluster that this host is of, by a join token.
    JoinByToken(String, JoinToken),
}

/// A node that runs. Dropping it without [`Node::stop`] leaves its tasks to the runtime.
pub struct Node {
    context: Context,
    /// The consensus' last: cancelled after the parts have ended, since they use it to say good-bye.
    core_stop: CancellationToken,
    core_tasks: TaskTracker,
    fatal: watch::Receiver<Option<String>>,
}

impl Node {
    /// Starts the node that is on disk, or that `--initial-cluster` lists.
    ///
    /// # Errors
    /// [`StartError`]; `NotInitialised` where there is neither.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_as(config, Start::Found).await
    }

    /// Starts a node, and makes it somebody first where it is not on disk.
    ///
    /// # Errors
    /// [`StartError`]; `AlreadyMember` where it is on disk and `start` is not [`Start::Found`].
    pub async fn start_as(config: Config, start: Start) -> Result<Self, StartError> {
        // Ports first: a node must not become a member and then find that it cannot be reached.
        let peer_listeners = ports::bind_all(&config.peer_listen, "peers", "--listen-peer-urls").await?;
        let client_listeners = client_port::Listeners::open(&config).await?;
        let found = found::find(&config, &start).await?;
        let core = Core::start(config, found, peer_listeners).await?;
        let node = core.node;
        let started = async {
            client_port::start(&node.context, client_listeners);
            parts::start(&node.context).await
        };
        if let Err(error) = started.await {
            node.stop().await;
            return Err(error);
        }
        node.context.tasks.spawn(ready::announce(node.context.clone()));
        Ok(node)
    }

    /// What the node's parts share.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Becomes `Some` when the consensus stopped for good: the process must end.
    #[must_use]
    pub fn watch_fatal(&self) -> watch::Receiver<Option<String>> {
        self.fatal.clone()
    }

    /// Stops the node: listeners and sources first, the consensus last. Takes at most about ten seconds.
    pub async fn stop(self) {
        self.context.metrics.set_ready(false);
        self.hand_over().await;
        self.context.stop.cancel();
        self.context.tasks.close();
        if timeout(TASKS_STOP, self.context.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.context.tasks.len(), "some tasks did not end in {TASKS_STOP:?}; left behind");
        }
        self.core_stop.cancel();
        self.core_tasks.close();
        if timeout(TASKS_STOP, self.core_tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.core_tasks.len(), "some tasks did not end in {TASKS_STOP:?}; left behind");
        }
        // It may have been chosen again meanwhile.
        self.hand_over().await;
        match timeout(CONSENSUS_STOP, self.context.raft.consensus().shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the consensus did not stop cleanly"),
            Err(_) => tracing::warn!("the consensus did not stop in {CONSENSUS_STOP:?}"),
        }
    }
}

impl Node {
    /// Lets another node lead, so that nobody has to miss this one first.
    async fn hand_over(&self) {
        let raft = &self.context.raft;
        if !raft.leads() || raft.status().voters.len() < 2 {
            return;
        }
        match raft.hand_over(None, HAND_OVER_LIMIT).await {
            Ok(to) => tracing::info!(to = %format_args!("{to:x}"), "leadership is handed over"),
            Err(error) => tracing::warn!(%error, "leadership could not be handed over; the others elect a leader"),
        }
    }
}

/// Consensus, connections and view: what the parts stand on.
struct Core {
    node: Node,
}

impl Core {
    async fn start(config: Config, found: found::Found, listeners: Vec<TcpListener>) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let watch_hub = Arc::new(WatchHub::default());
        let (observer, catalog) = CatalogObserver::channel(vec![watch_hub.clone()]);
        let first = found::first_urls(found.birth.as_ref());
        let keyring = Keyring::open(&config.data_dir, &found.identity)?;
        if keyring.wire() == Wire::Plain {
            tracing::warn!("{PLAIN}");
        }
        let peers = Peers::new(found.identity.clone(), keyring, first, catalog.clone());
        let transport = Arc::new(PeerTransport::new(peers.clone()));
        let options = Options {
            dir: found::raft_dir(&config),
            heartbeat: config.heartbeat,
            election: config.election,
            snapshot_every_entries: SNAPSHOT_EVERY_ENTRIES,
            keep_entries: KEEP_ENTRIES,
            space_reserve_bytes: Options::SPACE_RESERVE_BYTES,
        };
        let consensus = Consensus::open(options, found.identity.clone(), transport, observer.clone()).await?;
        // What was on disk was applied before anybody watched.
        consensus.read(|machine| observer.publish(machine));
        let raft =
            RaftHandle::new(consensus, found.identity.clone(), peers.clone(), catalog, config.keeping.quota_bytes);
        let loads = Loads::new(found.identity.node_id);
        let process = Process::new()?;
        let (pictures, view) = ViewHandle::channel(view::picture(&raft, &loads));
        let context = Context {
            config,
            raft,
            view,
            peers,
            on_air: OnAir::default(),
            watch_hub,
            metrics: Arc::new(Metrics::default()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (core_stop, core_tasks) = (CancellationToken::new(), TaskTracker::new());
        let spawn =
            CoreTasks { context: &context, loads: &loads, process: &process, stop: &core_stop, tasks: &core_tasks };
        spawn.serve(listeners);
        spawn.consensus_tasks();
        spawn.tell_and_show(pictures);
        let fatal = spawn.watch_fatal();
        let node = Node { context, core_stop, core_tasks, fatal };
        if let Err(error) = node.grow_up(found.birth).await {
            node.stop().await;
            return Err(error);
        }
        Ok(Self { node })
    }
}

impl Node {
    /// Does what is left of the node's birth.
    async fn grow_up(&self, birth: Option<Birth>) -> Result<(), StartError> {
        let Some(birth) = birth else { return Ok(()) };
        if birth.founder {
            self.context.raft.consensus().bootstrap(birth.urls()).await?;
        }
        let (context, stop) = (self.context.clone(), self.core_stop.clone());
        self.core_tasks.spawn(async move {
            let looking = strangers::watch(context.clone(), birth.clone());
            stop.run_until_cancelled(async { tokio::join!(settle(&context, &birth), looking) }).await;
        });
        Ok(())
    }
}

/// Proposes the cluster's first command if it falls to this node, and forgets the birth when the log says it all.
async fn settle(context: &Context, birth: &Birth) {
    let raft = &context.raft;
    let mut status = raft.watch_status();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    loop {
        let is_member = raft.read(|machine| machine.cluster_id().is_some())
            && raft.catalog().members.contains_key(&birth.identity.node_id);
        if is_member {
            if let Err(error) = Birth::forget(&context.config.data_dir) {
                tracing::warn!(%error, "the file about this node's birth could not be removed; it does no harm");
            }
            return;
        }
        if birth.founder && status.borrow_and_update().role == Role::Leader {
            match raft.propose(Command::Init(birth.init_request())).await {
                Ok(_) => continue,
                Err(error) if matches!(error.refusal(), Some(Refusal::AlreadyInitialised)) => {}
                Err(error) => tracing::warn!(%error, "the cluster could not be begun yet; trying again"),
            }
        }
        // News of the consensus, or a while: being made a member does not show in the status.
        let _news = timeout(backoff.step(), status.changed()).await;
    }
}

/// Spawns what the core runs.
struct CoreTasks<'a> {
    context: &'a Context,
    loads: &'a Loads,
    process: &'a Process,
    stop: &'a CancellationToken,
    tasks: &'a TaskTracker,
}

impl CoreTasks<'_> {
    fn serve(&self, listeners: Vec<TcpListener>) {
        let fabric = parts::fabric_service(self.context);
        for listener in listeners {
            let (raft, loads) = (self.context.raft.clone(), self.loads.clone());
            let (fabric, stop) = (fabric.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                if let Err(error) = peer::serve(listener, raft, loads, fabric, stop).await {
                    tracing::error!(%error, "peers are not served any more on one of the addresses");
                }
            });
        }
    }

    fn consensus_tasks(&self) {
        let raft = || self.context.raft.clone();
        let stop = || self.stop.clone();
        self.tasks.spawn(raft::keep_leases(raft(), stop()));
        self.tasks.spawn(raft::keep_tokens(raft(), self.context.config.auth_token_ttl, stop()));
        let autopilot = self.context.config.keeping.autopilot;
        self.tasks.spawn(raft::steward(raft(), self.loads.clone(), autopilot, stop()));
        let retention = self.context.config.keeping.retention;
        self.tasks.spawn(raft::compact_by_itself(raft(), retention, stop()));
        self.tasks.spawn(peer::keep_trust(raft(), stop()));
        self.tasks.spawn(raft::publish_self(raft(), self.context.config.clone(), stop()));
        // Ends with the parts: origins hang on it, and it says good-bye through the consensus.
        self.context.tasks.spawn(raft::hold_node_lease(raft(), self.context.stop.clone()));
    }

    fn tell_and_show(&self, pictures: watch::Sender<Arc<autoradio_policy::ClusterView>>) {
        let (context, loads, stop) = (self.context, self.loads, self.stop);
        let own = watch::Sender::new(Arc::new(Load::default()));
        let reports = own.subscribe();
        let gather = {
            let context = context.clone();
            move || parts::load(&context)
        };
        let raft = || context.raft.clone();
        let leaving = context.stop.clone();
        self.tasks.spawn(peer::refresh_own_load(gather, raft(), loads.clone(), own, leaving, stop.clone()));
        let reporting = peer::report_to_all(
            context.peers.clone(),
            raft(),
            loads.clone(),
            reports,
            self.process.clone(),
            self.tasks.clone(),
            stop.clone(),
        );
        self.tasks.spawn(reporting);
        self.tasks.spawn(view::keep_view(raft(), loads.clone(), pictures, stop.clone()));
    }

    fn watch_fatal(&self) -> watch::Receiver<Option<String>> {
        let (sender, receiver) = watch::channel(None);
        let (mut status, stop) = (self.context.raft.watch_status(), self.stop.clone());
        let (process, data_dir) = (self.process.clone(), self.context.config.data_dir.clone());
        self.tasks.spawn(async move {
            let reason = tokio::select! {
                () = stop.cancelled() => return,
                () = process.has_twin() => twin::condemn(&data_dir),
                Ok(status) = status.wait_for(|status| status.fatal.is_some()) => status.fatal.clone(),
            };
            sender.send_replace(reason);
        });
        receiver
    }
}
