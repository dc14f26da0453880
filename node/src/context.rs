//! What every part of a node shares.

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::Config, etcd::WatchHub, metrics::Metrics, onair::OnAir, peer::Peers, raft::RaftHandle, view::ViewHandle,
};

/// What every part of a running node shares. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// What the node was told.
    pub config: Arc<Config>,
    /// The replicated state, and the way to change it.
    pub raft: RaftHandle,
    /// The cluster as this node sees it now.
    pub view: ViewHandle,
    /// Connections to the other nodes.
    pub peers: Peers,
    /// The mount logs of this node.
    pub on_air: OnAir,
    /// Where watches of the etcd API hear of changes.
    pub watch_hub: Arc<WatchHub>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the node stops.
    pub stop: CancellationToken,
    /// Owns every task of the node; the node has stopped when it is empty.
    pub tasks: TaskTracker,
}
