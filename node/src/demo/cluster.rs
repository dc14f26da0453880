//! The demo's three nodes, each in a runtime of its own, so that one can be killed as a machine dies.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};

use crate::{
    config::{ClusterState, Config, IcecastMode},
    context::Context,
    daemon::Node,
};

/// The nodes' names.
pub const NAMES: [&str; 3] = ["alpha", "bravo", "charlie"];

const HTTP_PORT: u16 = 8700;
const PEER_PORT: u16 = 8710;
const CLIENT_PORT: u16 = 8720;
/// A clean stop flushes and says good-bye; a demo does not wait longer for it.
const STOP_LIMIT: Duration = Duration::from_secs(3);

fn loopback(port: u16, node: usize) -> SocketAddr {
    let offset = u16::try_from(node).expect("three nodes");
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port + offset)
}

/// Where a node's front listens.
#[must_use]
pub fn http_address(node: usize) -> SocketAddr {
    loopback(HTTP_PORT, node)
}

/// Where a node's admin service listens.
#[must_use]
pub fn client_address(node: usize) -> SocketAddr {
    loopback(CLIENT_PORT, node)
}

fn config(node: usize, folder: &Path) -> Config {
    let peer_url = |n: usize| format!("http://{}", loopback(PEER_PORT, n));
    Config {
        name: NAMES[node].into(),
        data_dir: folder.join(NAMES[node]),
        domain: None,
        peer_listen: vec![loopback(PEER_PORT, node)],
        client_listen: vec![client_address(node)],
        peer_urls: vec![peer_url(node)],
        client_urls: vec![format!("http://{}", client_address(node))],
        initial_cluster: (0..NAMES.len()).map(|n| (NAMES[n].to_owned(), peer_url(n))).collect(),
        initial_cluster_state: ClusterState::New,
        initial_cluster_token: "autoradio-demo".into(),
        http_listen: vec![http_address(node)],
        dns_listen: Vec::new(),
        icecast: IcecastMode::Off,
        icecast_listen: loopback(0, 0),
        admin_socket: None,
        public_ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        nameservers: Vec::new(),
        max_clients: 1_000,
        bwlimit_mbit_per_s: 100,
        lb_policy: String::new(),
        hold: Duration::from_secs(30),
        heartbeat: Duration::from_millis(100),
        election: (Duration::from_millis(300), Duration::from_millis(600)),
    }
}

/// One node of the demo.
#[derive(Default)]
pub struct DemoNode {
    running: Option<(Runtime, Node)>,
}

impl DemoNode {
    /// Starts node `index`, with what it kept in `folder`.
    ///
    /// # Errors
    /// A port is taken, or the folder cannot be written.
    pub fn start(index: usize, folder: &Path) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(NAMES[index]).enable_all().build()?;
        let node = runtime.block_on(Node::start(config(index, folder)))?;
        Ok(Self { running: Some((runtime, node)) })
    }

    /// What the node's parts share, while it runs.
    #[must_use]
    pub fn context(&self) -> Option<&Context> {
        self.running.as_ref().map(|(_, node)| node.context())
    }

    /// As a machine dies: nothing is said, nothing is flushed, every connection breaks.
    pub fn kill(&mut self) {
        if let Some((runtime, node)) = self.running.take() {
            runtime.shutdown_background();
            drop(node);
        }
    }

    /// A clean stop.
    pub fn stop(&mut self) {
        if let Some((runtime, node)) = self.running.take() {
            runtime.block_on(async { tokio::time::timeout(STOP_LIMIT, node.stop()).await }).ok();
            runtime.shutdown_background();
        }
    }
}
