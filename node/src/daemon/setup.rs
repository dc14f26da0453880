//! [`Daemon`]: the admin socket, and the node behind it once there is one. `init` and `join` turn a daemon that waits
//! into a node, in the same process.

use std::{path::PathBuf, sync::Arc, time::Duration};

use autoradio_machine::{Machine, hex_id};
use autoradio_proto::admin::{
    InitRequest, JoinRequest, SetupReply, StateReply, StateRequest,
    setup_server::{Setup, SetupServer},
};
use autoradio_proto::keep::keep_server::KeepServer;
use autoradio_store::RaftStatus;
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, service::Routes};

use super::{
    Node, Start, StartError, client_port, found,
    http::{self, Listener},
    keep::KeepService,
    recover::{self, Made},
    removed, socket,
};
use crate::{
    admin,
    config::Config,
    context::Context,
    trust::{JoinToken, TokenError},
};

/// How long a new node is given to be let in and to catch up.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// With so many voters a node may have to learn until another comes: their number is kept odd, and bounded.
const VOTERS_ENOUGH: usize = 3;

/// Why a daemon could not be made a node.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It started, and goes on trying.
    #[error("the node runs, but {what} within {limit:?}; it goes on trying: see radioctl status on another node")]
    NotSettled {
        /// What has not happened.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
}

/// A daemon: cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Daemon {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    node: Mutex<Option<Node>>,
    context: watch::Sender<Option<Context>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Daemon {
    /// Opens the admin socket, if one is configured.
    ///
    /// # Errors
    /// [`StartError::Socket`].
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let listener = match &config.admin_socket {
            Some(path) => Some(socket::bind(path).await?),
            None => None,
        };
        let inner = Inner {
            config,
            node: Mutex::default(),
            context: watch::Sender::new(None),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let daemon = Self { inner: Arc::new(inner) };
        if let Some(listener) = listener {
            let setup = SetupServer::new(SetupService { daemon: daemon.clone() });
            let admin = admin::service(daemon.inner.context.subscribe());
            let people = admin::people(daemon.inner.context.subscribe());
            let keep = KeepServer::new(KeepService { daemon: daemon.clone() });
            let trust = admin::trust_service(daemon.inner.context.subscribe());
            let services =
                Routes::new(admin).add_service(people).add_service(setup).add_service(trust).add_service(keep);
            let router = services.prepare().into_axum_router();
            let router = router.reset_fallback().fallback(client_port::unknown);
            let served = http::serve(Listener::Unix(listener), router, daemon.inner.stop.clone());
            daemon.inner.tasks.spawn(served);
        }
        Ok(daemon)
    }

    /// Starts the node, and waits until it has its place in the cluster unless it was found on disk.
    /// A node that runs already is left alone: its reply says so.
    ///
    /// # Errors
    /// [`SetupError`].
    pub async fn start(&self, start: Start) -> Result<SetupReply, SetupError> {
        let began = Instant::now();
        let mut slot = self.inner.node.lock().await;
        if let Some(node) = &*slot {
            return Ok(reply(node.context(), true, began));
        }
        // Joining may take a minute; a daemon that is told to end must not wait for it. What was begun is on disk.
        let starting = Node::start_as(self.inner.config.clone(), start.clone());
        let node = self.inner.stop.run_until_cancelled(starting).await.unwrap_or(Err(StartError::Stopped))?;
        let context = node.context().clone();
        *slot = Some(node);
        drop(slot);
        self.inner.context.send_replace(Some(context.clone()));
        self.watch_removal(context.clone());
        if start != Start::Found {
            settled(&context).await?;
        }
        Ok(reply(&context, false, began))
    }

    /// Ends the node when it was removed from its cluster; the daemon waits for `init` or `join` then.
    fn watch_removal(&self, context: Context) {
        let daemon = self.clone();
        self.inner.tasks.spawn(async move {
            let stopped = context.stop.clone();
            let waited = stopped.run_until_cancelled(removed::wait(&context)).await;
            if waited.is_some() && !daemon.inner.stop.is_cancelled() {
                daemon.dismiss(&context).await;
            }
        });
    }

    async fn dismiss(&self, context: &Context) {
        let mut slot = self.inner.node.lock().await;
        let is_it = |node: &Node| node.context().raft.node_id() == context.raft.node_id();
        let Some(node) = slot.take_if(|node| is_it(node)) else { return };
        self.inner.context.send_replace(None);
        node.stop().await;
        let config = self.inner.config.clone();
        let kept = tokio::task::spawn_blocking(move || removed::put_aside(&config, "removed")).await;
        removed::tell(context, &kept.unwrap_or_else(|error| Err(std::io::Error::other(error))));
    }

    /// Makes a new cluster of a backup's state, and starts it; the daemon must be part of none.
    ///
    /// # Errors
    /// [`SetupError`].
    pub(super) async fn restore(&self, state: Machine) -> Result<Made, SetupError> {
        let slot = self.inner.node.lock().await;
        let found = match &*slot {
            Some(node) => Some(node.context().raft.cluster_id()),
            None => found::on_disk(&self.inner.config)?.map(|found| found.identity.cluster_id),
        };
        if let Some(cluster_id) = found {
            return Err(StartError::AlreadyMember { cluster_id }.into());
        }
        let config = self.inner.config.clone();
        let made = tokio::task::spawn_blocking(move || recover::make(&config, state)).await.map_err(broken)??;
        drop(slot);
        self.start_made().await?;
        Ok(made)
    }

    /// Makes a new cluster of what this node has, and starts it; what there was is kept in the folder that is told.
    ///
    /// # Errors
    /// [`SetupError`]; then the node runs as before.
    pub(super) async fn recover(&self) -> Result<(Made, PathBuf), SetupError> {
        let mut slot = self.inner.node.lock().await;
        let node = slot.take().ok_or(StartError::NotInitialised)?;
        self.inner.context.send_replace(None);
        node.stop().await;
        let recovered = recover::recover(&self.inner.config).await;
        drop(slot);
        match recovered {
            Ok(made) => {
                self.start_made().await?;
                Ok(made)
            }
            Err(error) => {
                self.start(Start::Found).await?;
                Err(error.into())
            }
        }
    }

    async fn start_made(&self) -> Result<(), SetupError> {
        self.start(Start::Found).await?;
        let context = self.inner.context.borrow().clone();
        match context {
            Some(context) => settled(&context).await,
            None => Err(StartError::Stopped.into()),
        }
    }

    /// The node's context, once there is one.
    #[must_use]
    pub fn watch_context(&self) -> watch::Receiver<Option<Context>> {
        self.inner.context.subscribe()
    }

    /// Waits until the node's consensus has stopped for good; why.
    pub async fn fatal(&self) -> String {
        let mut contexts = self.watch_context();
        let mut fatal = loop {
            if let Some(node) = &*self.inner.node.lock().await {
                break node.watch_fatal();
            }
            if contexts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        match fatal.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(reason) => reason.unwrap_or_default(),
            // The node was stopped on purpose.
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops the node and closes the socket.
    pub async fn stop(self) {
        self.inner.stop.cancel();
        self.inner.context.send_replace(None);
        if let Some(node) = self.inner.node.lock().await.take() {
            node.stop().await;
        }
        self.inner.tasks.close();
        if timeout(Duration::from_secs(3), self.inner.tasks.wait()).await.is_err() {
            tracing::debug!("the admin socket's clients were cut off");
        }
        if let Some(path) = &self.inner.config.admin_socket {
            socket::remove(path);
        }
    }
}

/// A task that panicked.
fn broken(error: tokio::task::JoinError) -> StartError {
    StartError::Part { part: "making the cluster", reason: error.to_string() }
}

/// Waits until the node is what it is to be: a voter that has caught up, or a learner where there are voters enough.
async fn settled(context: &Context) -> Result<(), SetupError> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    let mut told = "";
    loop {
        let what = missing(&context.raft.status(), context);
        if what.is_empty() && context.raft.barrier().await.is_ok() {
            return Ok(());
        }
        if what != told {
            tracing::info!(node = %context.config.name, "waiting: {what}");
            told = what;
        }
        if Instant::now() >= deadline {
            return Err(SetupError::NotSettled { what, limit: SETTLE_LIMIT });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What has not happened yet; empty when all has.
fn missing(status: &RaftStatus, context: &Context) -> &'static str {
    let me = status.node_id;
    let members = context.raft.catalog().members;
    let by_wish = members.get(&me).is_some_and(|member| member.learner);
    let enough = by_wish || status.voters.len() >= VOTERS_ENOUGH;
    if status.leader.is_none() {
        "the leader has not been heard of"
    } else if !members.contains_key(&me) {
        "the log has not caught up"
    } else if status.voters.contains(&me) || (enough && status.learners.contains(&me)) {
        ""
    } else {
        "it has not been made a voter"
    }
}

fn reply(context: &Context, already: bool, began: Instant) -> SetupReply {
    let voter = context.raft.status().voters.contains(&context.raft.node_id());
    SetupReply {
        already,
        cluster_id: hex_id(context.raft.cluster_id()),
        node_id: hex_id(context.raft.node_id()),
        role: if voter { "voter" } else { "learner" }.into(),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

struct SetupService {
    daemon: Daemon,
}

impl SetupService {
    /// In a task of its own: a client that hangs up must not leave a node half made.
    async fn set_up(&self, start: Start) -> Result<Response<SetupReply>, Status> {
        let daemon = self.daemon.clone();
        let done = self.daemon.inner.tasks.spawn(async move { daemon.start(start).await }).await;
        match done {
            Ok(Ok(reply)) => Ok(Response::new(reply)),
            Ok(Err(error @ SetupError::NotSettled { .. })) => Err(Status::deadline_exceeded(error.to_string())),
            Ok(Err(error)) => Err(Status::failed_precondition(error.to_string())),
            Err(error) => Err(Status::internal(format!("the set-up broke off: {error}"))),
        }
    }
}

#[tonic::async_trait]
impl Setup for SetupService {
    async fn state(&self, _request: Request<StateRequest>) -> Result<Response<StateReply>, Status> {
        let context = self.daemon.inner.context.borrow().clone();
        Ok(Response::new(StateReply {
            initialised: context.is_some(),
            cluster_id: context.as_ref().map(|context| hex_id(context.raft.cluster_id())).unwrap_or_default(),
            node_id: context.as_ref().map(|context| hex_id(context.raft.node_id())).unwrap_or_default(),
            name: self.daemon.inner.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        }))
    }

    async fn init(&self, _request: Request<InitRequest>) -> Result<Response<SetupReply>, Status> {
        self.set_up(Start::Init).await
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<SetupReply>, Status> {
        let JoinRequest { host, token } = request.into_inner();
        if host.trim().is_empty() {
            return Err(Status::invalid_argument("name a host that is a member: autoradio-node join HOST"));
        }
        let host = host.trim().to_owned();
        if token.is_empty() {
            return self.set_up(Start::Join(host)).await;
        }
        let token: JoinToken =
            token.parse().map_err(|error: TokenError| Status::invalid_argument(error.to_string()))?;
        self.set_up(Start::JoinByToken(host, token)).await
    }
}
