//! The demo's three nodes: each in a runtime of its own, so that it can be killed like a process.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use autoradio_machine::MountName;
use autoradio_proto::admin::{CreateMountRequest, SetDrainedRequest, admin_client::AdminClient};
use tokio::{
    runtime::Runtime,
    time::{sleep, timeout},
};

use super::DemoError;
use crate::{
    config::{ClusterState, Config, IcecastMode, Keeping},
    context::Context,
    daemon::{Node, Start},
};

/// The first port; each node has ten from here on.
const FIRST_PORT: u16 = 8_700;
/// How many nodes.
pub(super) const NODES: usize = 3;
/// How long a node may take to start, a killed one's files to become free included.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often starting is tried.
const START_EVERY: Duration = Duration::from_millis(250);

/// One of the three.
pub(super) struct Seat {
    config: Config,
    running: Option<Running>,
}

struct Running {
    runtime: Runtime,
    node: Node,
}

/// Where a node's front is.
pub(super) fn front(index: usize) -> SocketAddr {
    address(index, 0)
}

fn address(index: usize, offset: u16) -> SocketAddr {
    let index = u16::try_from(index).unwrap_or_default();
    ([127, 0, 0, 1], FIRST_PORT + index * 10 + offset).into()
}

impl Seat {
    pub(super) fn new(index: usize, dir: &Path) -> Self {
        let (client, peer) = (address(index, 1), address(index, 2));
        let config = Config {
            name: format!("node{}", index + 1),
            data_dir: dir.join(format!("node{}", index + 1)),
            domain: None,
            peer_listen: vec![peer],
            client_listen: vec![client],
            peer_urls: vec![format!("http://{peer}")],
            client_urls: vec![format!("http://{client}")],
            initial_cluster: Vec::new(),
            initial_cluster_state: ClusterState::New,
            initial_cluster_token: "autoradio-demo".into(),
            http_listen: vec![front(index)],
            dns_listen: Vec::new(),
            icecast: IcecastMode::Off,
            icecast_listen: address(index, 3),
            admin_socket: None,
            public_ips: vec![[127, 0, 0, 1].into()],
            nameservers: Vec::new(),
            max_clients: 1_000,
            bwlimit_mbit_per_s: 100,
            lb_policy: autoradio_policy::balance::DEFAULT_LB_POLICY.into(),
            hold: Duration::from_secs(30),
            heartbeat: autoradio_store::Options::HEARTBEAT,
            election: autoradio_store::Options::ELECTION,
            keeping: Keeping::default(),
            client_tls: Default::default(),
        };
        Self { config, running: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    /// What the node sees, where it runs.
    pub(super) fn context(&self) -> Option<&Context> {
        self.running.as_ref().map(|running| running.node.context())
    }

    /// Starts the node, and tries again for a while: a killed one's files and ports become free a moment later.
    pub(super) async fn start(&mut self, start: Start) -> Result<(), DemoError> {
        if self.running.is_some() {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name(&self.config.name)
                .enable_all()
                .build()
                .map_err(DemoError::Runtime)?;
            let starting = runtime.spawn(Node::start_as(self.config.clone(), start.clone()));
            let reason = match timeout(START_LIMIT, starting).await {
                Ok(Ok(Ok(node))) => {
                    self.running = Some(Running { runtime, node });
                    return Ok(());
                }
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it took too long".to_owned(),
            };
            runtime.shutdown_background();
            if began.elapsed() >= START_LIMIT {
                return Err(DemoError::Start { node: self.config.name.clone(), reason });
            }
            sleep(START_EVERY).await;
        }
    }

    /// Ends the node without a word, as `kill -9` would: no task of it runs on, nobody is told.
    pub(super) fn kill(&mut self) {
        if let Some(Running { runtime, node }) = self.running.take() {
            runtime.shutdown_background();
            drop(node);
        }
    }

    /// Stops the node as the service does.
    pub(super) async fn stop(&mut self) {
        if let Some(Running { runtime, node }) = self.running.take() {
            if let Err(error) = runtime.spawn(node.stop()).await {
                tracing::warn!(%error, "a node of the demo did not stop cleanly");
            }
            runtime.shutdown_background();
        }
    }

    /// Creates a mount by this node, as radioctl does, and gives its source's name and password.
    pub(super) async fn create_mount(&self, name: &MountName) -> Result<(String, String), DemoError> {
        let mut admin = self.admin().await?;
        let request = CreateMountRequest { name: name.to_string(), ..CreateMountRequest::default() };
        let reply = admin.create_mount(request).await.map_err(DemoError::refused)?.into_inner();
        let mount = reply.mount.ok_or_else(|| DemoError::Admin("the answer has no mount".into()))?;
        Ok((mount.username, reply.password))
    }

    /// Sends new listeners and sources elsewhere, or here again.
    pub(super) async fn set_drained(&self, node: &str, drained: bool) -> Result<(), DemoError> {
        let request = SetDrainedRequest { node: node.to_owned(), drained };
        self.admin().await?.set_drained(request).await.map_err(DemoError::refused)?;
        Ok(())
    }

    async fn admin(&self) -> Result<AdminClient<tonic::transport::Channel>, DemoError> {
        let url = self.config.client_urls.first().cloned().unwrap_or_default();
        let endpoint = tonic::transport::Endpoint::from_shared(url).map_err(|e| DemoError::Admin(e.to_string()))?;
        let endpoint = endpoint.connect_timeout(Duration::from_secs(2)).timeout(Duration::from_secs(10));
        Ok(AdminClient::new(endpoint.connect().await.map_err(|e| DemoError::Admin(e.to_string()))?))
    }

    /// Where another node asks to join.
    pub(super) fn peer_url(&self) -> String {
        self.config.peer_urls.first().cloned().unwrap_or_default()
    }
}
