//! Members of the cluster, kept under `autoradio/members/NAME`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// One member. Whether it votes is Raft's business and not written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id, hex in JSON.
    #[serde(with = "crate::hex_serde")]
    pub id: NodeId,
    /// Its name; empty until it has started, if it was announced without one.
    pub name: String,
    /// Where its peers reach it (`http://host:2380`).
    pub peer_urls: Vec<String>,
    /// Where etcd's clients reach it; empty until it has started.
    #[serde(default)]
    pub client_urls: Vec<String>,
    /// What it offers to the public.
    #[serde(default)]
    pub public: PublicFace,
    /// Whether new listeners and sources are to be sent elsewhere.
    #[serde(default)]
    pub drained: bool,
    /// Whether it must stay a learner until promoted by hand.
    #[serde(default)]
    pub learner: bool,
}

/// What a member offers to the public, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicFace {
    /// Addresses that DNS gives for it.
    pub ips: Vec<IpAddr>,
    /// The port of its HTTP front.
    pub http_port: u16,
    /// The port of its Icecast; 0 where there is none.
    pub icecast_port: u16,
    /// At most so many listeners; 0 for no bound.
    pub max_clients: u32,
    /// Its bandwidth in Mbit/s; 0 for unknown.
    pub bwlimit_mbit_per_s: u32,
    /// The program's version.
    pub version: String,
}
