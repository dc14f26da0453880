//! Gauges that are read from the view at each scrape. Their labels are mounts and nodes, so that there are no more
//! than the catalog has.

use autoradio_policy::{ClusterView, fitness};
use autoradio_store::{RaftStatus, Role, Space};
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

type ByName = Family<Vec<(&'static str, String)>, Gauge>;

/// Registers the gauges of this moment.
pub(crate) fn register(registry: &mut Registry, view: &ClusterView, raft: Option<&RaftStatus>) {
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(number(value));
        registry.register(name, help, gauge);
    };
    if let Some(raft) = raft {
        gauge("raft_term", "The consensus' term", raft.term);
        gauge("raft_last_log_index", "The last entry in the log", raft.last_log_index);
        gauge("raft_applied_index", "The last entry applied", raft.applied_index);
        gauge("raft_leader", "Whether this node leads", u64::from(raft.role == Role::Leader));
        gauge("raft_has_leader", "Whether a leader is known", u64::from(raft.leader.is_some()));
    }
    gauge("quorum", "Whether a majority is in reach", u64::from(view.quorum));
    gauge("store_revision", "The store's revision", u64::try_from(view.catalog.revision).unwrap_or(0));
    nodes(registry, view);
    mounts(registry, view);
}

/// Registers the gauges of the disk below the store.
pub(super) fn register_space(registry: &mut Registry, space: Option<Space>) {
    let Some(space) = space else { return };
    for (name, help, value) in [
        ("store_disk_available_bytes", "What is left on the disk below the store", space.available_bytes),
        ("store_disk_needed_bytes", "What must be left for changes to be taken", space.needed_bytes),
        ("store_disk_full", "Whether changes are refused for want of room", u64::from(space.full)),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(number(value));
        registry.register(name, help, gauge);
    }
}

fn nodes(registry: &mut Registry, view: &ClusterView) {
    let (fit, listeners, sent) = (ByName::default(), ByName::default(), ByName::default());
    for member in view.catalog.members.values() {
        let label = vec![("node", member.name.clone())];
        fit.get_or_create(&label).set(i64::from(fitness::fitness(view, member.id).is_ok()));
        if let Some(heard) = view.loads.get(&member.id).filter(|_| fitness::is_alive(view, member.id)) {
            listeners.get_or_create(&label).set(i64::from(heard.load.listeners));
            sent.get_or_create(&label).set(number(heard.load.sent_bytes_per_s));
        }
    }
    registry.register("node_fit", "Whether a node gets new listeners", fit);
    registry.register("node_listeners", "Listeners of a node, as this node heard", listeners);
    registry.register("node_sent_bytes_per_second", "What a node sends to listeners", sent);
}

fn mounts(registry: &mut Registry, view: &ClusterView) {
    let (listeners, live, epoch) = (ByName::default(), ByName::default(), ByName::default());
    let here = view.loads.get(&view.me);
    for name in view.catalog.mounts.keys() {
        let label = vec![("mount", name.to_string())];
        let log = here.and_then(|heard| heard.load.mounts.get(name));
        listeners.get_or_create(&label).set(log.map_or(0, |log| i64::from(log.listeners)));
        live.get_or_create(&label).set(i64::from(log.is_some_and(|log| log.live)));
        epoch.get_or_create(&label).set(number(log.map_or(0, |log| log.epoch)));
    }
    registry.register("mount_listeners", "Listeners of a mount on this node", listeners);
    registry.register("mount_live", "Whether frames of a mount come in on this node", live);
    registry.register("mount_epoch", "Epoch of a mount's newest frame on this node", epoch);
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
