//! Clusters in this process: temporary folders, free loopback ports, no Icecast, no DNS.
#![allow(dead_code, reason = "each module of the test uses what it needs")]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use autoradio_machine::{Command, PutRequest, RangeRequest};
use autoradio_node::{
    config::{ClientTls, ClusterState, Config, IcecastMode, Keeping},
    context::Context,
    daemon::{Node, Start},
};
use tempfile::TempDir;
use tokio::time::Instant;

/// How long anything is waited for: far more than it takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A free port on 127.0.0.1. It is free again when this returns: take it soon.
pub(crate) fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address")
}

/// A node's configuration with its data below `dir`.
pub(crate) fn config(dir: &Path, name: &str) -> Config {
    let (peer, client) = (free_addr(), free_addr());
    Config {
        name: name.into(),
        data_dir: dir.join(name),
        domain: None,
        peer_listen: vec![peer],
        client_listen: vec![client],
        peer_urls: vec![format!("http://{peer}")],
        client_urls: vec![format!("http://{client}")],
        initial_cluster: vec![],
        initial_cluster_state: ClusterState::New,
        initial_cluster_token: "test".into(),
        http_listen: vec![free_addr()],
        dns_listen: vec![],
        icecast: IcecastMode::Off,
        icecast_listen: free_addr(),
        admin_socket: None,
        public_ips: vec![Ipv4Addr::LOCALHOST.into()],
        nameservers: vec![],
        max_clients: 1_000,
        bwlimit_mbit_per_s: 100,
        lb_policy: String::new(),
        hold: Duration::from_secs(5),
        heartbeat: Duration::from_millis(100),
        election: (Duration::from_millis(500), Duration::from_millis(1_000)),
        keeping: Keeping::default(),
        client_tls: ClientTls::default(),
    }
}

/// Waits until `check` gives something, and gives it; panics after [`LIMIT`].
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A cluster of nodes `n0`, `n1`, … in this process.
pub(crate) struct Cluster {
    pub(crate) configs: Vec<Config>,
    nodes: Vec<Option<Node>>,
    // Last: removed when the nodes are gone.
    _dir: TempDir,
}

impl Cluster {
    /// The first node made by `init`, the others joined; all voters.
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_with(count, |_, _| {}).await
    }

    /// The same, with each configuration changed first.
    pub(crate) async fn start_with(count: usize, change: impl Fn(usize, &mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let mut cluster = Self { configs: vec![], nodes: vec![], _dir: dir };
        for index in 0..count {
            let mut config = config(cluster._dir.path(), &format!("n{index}"));
            change(index, &mut config);
            let start = match cluster.configs.first() {
                None => Start::Init,
                Some(first) => Start::Join(first.peer_urls[0].clone()),
            };
            let node = Node::start_as(config.clone(), start).await.expect("the node starts");
            cluster.configs.push(config);
            cluster.nodes.push(Some(node));
            let voters = index + 1;
            eventually("all are voters and ready", async || cluster.is_whole(voters).then_some(())).await;
        }
        cluster
    }

    fn is_whole(&self, voters: usize) -> bool {
        self.running().all(|context| {
            context.raft.status().voters.len() == voters
                && context.metrics.ready()
                && context.view.now().voters.len() == voters
                && context.view.now().loads.len() == voters
                && context.raft.catalog().members.values().all(|member| !member.client_urls.is_empty())
        })
    }

    /// The contexts of the nodes that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Context> {
        self.nodes.iter().flatten().map(Node::context)
    }

    /// The context of a node that runs.
    pub(crate) fn context(&self, index: usize) -> &Context {
        self.nodes[index].as_ref().expect("the node runs").context()
    }

    /// The index of the node that all running nodes agree leads.
    pub(crate) async fn leader(&self) -> usize {
        let id = eventually("there is one leader", async || {
            let mut leaders: Vec<_> = self.running().map(|context| context.raft.status().leader).collect();
            leaders.dedup();
            let running = |id: &u64| self.running().any(|context| context.raft.node_id() == *id);
            leaders[..].first().filter(|_| leaders.len() == 1).copied().flatten().filter(running)
        })
        .await;
        let is_it = |node: &Option<Node>| node.as_ref().is_some_and(|node| node.context().raft.node_id() == id);
        self.nodes.iter().position(is_it).expect("the leader runs")
    }

    /// A node that runs and does not lead.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.nodes.len())
            .find(|&index| index != leader && self.nodes[index].is_some())
            .expect("there is a follower")
    }

    /// Stops a node.
    pub(crate) async fn stop(&mut self, index: usize) {
        self.nodes[index].take().expect("the node runs").stop().await;
    }

    /// Starts a node that was stopped, from its disk.
    pub(crate) async fn restart(&mut self, index: usize) {
        let node = Node::start(self.configs[index].clone()).await.expect("the node starts again");
        self.nodes[index] = Some(node);
    }

    /// Stops all.
    pub(crate) async fn shutdown(mut self) {
        for node in self.nodes.iter_mut().filter_map(Option::take) {
            node.stop().await;
        }
    }
}

/// Writes a key by way of one node.
pub(crate) async fn put(context: &Context, key: &str, value: &str) {
    let request = PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() };
    context.raft.propose(Command::Put(request)).await.expect("the write is taken");
}

/// What one node has under a key, as it is.
pub(crate) fn get(context: &Context, key: &str) -> Option<String> {
    let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    let found = context.raft.read(|machine| machine.range(&request)).expect("the newest revision can be read");
    found.kvs.first().map(|pair| String::from_utf8_lossy(&pair.value).into_owned())
}

/// What a node's client port answers to a GET by HTTP/1.1, head and body.
pub(crate) async fn http_get(cluster: &Cluster, index: usize, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream =
        tokio::net::TcpStream::connect(cluster.configs[index].client_listen[0]).await.expect("the port is open");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the answer is text");
    answer
}
