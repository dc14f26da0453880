//! A node's configuration, whole and checked; made from arguments and environment by `args`, or by hand in tests.

pub mod args;
mod client_tls;
mod environment;
mod facts;
mod files;
mod keeping;
mod listed;
mod resolve;
mod urls;

pub use client_tls::ClientTls;
pub use environment::with_environment;
pub use facts::Facts;
pub use files::EnvironmentFiles;
pub use keeping::Keeping;
pub use resolve::{ConfigError, resolve};

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Whether and how to run a local Icecast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IcecastMode {
    /// Where `icecast2` is found on PATH.
    #[default]
    Auto,
    /// Never.
    Off,
    /// This program.
    Path(PathBuf),
}

/// etcd's `--initial-cluster-state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterState {
    /// A new cluster, unless one of the members listed answers for a cluster that lives.
    #[default]
    New,
    /// Join one that exists.
    Existing,
}

/// Everything a node is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name; the host name by default.
    pub name: String,
    /// Folder of log, snapshots and identity.
    pub data_dir: PathBuf,
    /// The domain that the cluster serves in DNS and names in URLs.
    pub domain: Option<String>,
    /// Where peers connect to (2380).
    pub peer_listen: Vec<SocketAddr>,
    /// Where etcd's clients and `radioctl --server` connect to without TLS (2379).
    pub client_listen: Vec<SocketAddr>,
    /// What peers are told: `http://host:2380`.
    pub peer_urls: Vec<String>,
    /// What clients are told: `http://host:2379`, or `https://`.
    pub client_urls: Vec<String>,
    /// etcd's `--initial-cluster`: name and peer URL.
    pub initial_cluster: Vec<(String, String)>,
    /// etcd's `--initial-cluster-state`.
    pub initial_cluster_state: ClusterState,
    /// etcd's `--initial-cluster-token`.
    pub initial_cluster_token: String,
    /// HTTP fronts (80).
    pub http_listen: Vec<SocketAddr>,
    /// DNS, UDP and TCP (53); empty where there is no domain.
    pub dns_listen: Vec<SocketAddr>,
    /// The local Icecast.
    pub icecast: IcecastMode,
    /// Its address and port (8000).
    pub icecast_listen: SocketAddr,
    /// radioctl's socket; `None` for none.
    pub admin_socket: Option<PathBuf>,
    /// Addresses that DNS gives for this node.
    pub public_ips: Vec<IpAddr>,
    /// Names that the zone's NS records give; empty for the first three members.
    pub nameservers: Vec<String>,
    /// At most so many listeners (1,000).
    pub max_clients: u32,
    /// Bandwidth in Mbit/s (100).
    pub bwlimit_mbit_per_s: u32,
    /// How listeners are spread.
    pub lb_policy: String,
    /// How long listeners are held when their mount lost its source (30 s).
    pub hold: Duration,
    /// The leader's heartbeat (200 ms).
    pub heartbeat: Duration,
    /// Election timeout, least and most (600 to 1,000 ms).
    pub election: (Duration, Duration),
    /// What is kept, and how much of it.
    pub keeping: Keeping,
    /// TLS where etcd's clients and `radioctl --server` connect to.
    pub client_tls: ClientTls,
}
