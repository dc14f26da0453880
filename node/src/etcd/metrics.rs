//! etcd's well-known names in `/metrics`, as far as they are true here
//! (<https://etcd.io/docs/v3.5/metrics/>): what dashboards and alerts for etcd look for.

use autoradio_machine::{Machine, RangeRequest, Revision, hex_id};
use autoradio_store::{RaftStatus, Role};
use bytes::Bytes;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::limits::{CLUSTER_VERSION, SERVER_VERSION};
use crate::context::Context;

/// What is read for one scrape.
#[derive(Debug, Default)]
struct Picture {
    status: RaftStatus,
    leaders_seen: u64,
    pending: u64,
    failed: u64,
    db_bytes: u64,
    db_live_bytes: u64,
    quota_bytes: u64,
    keys: i64,
    revision: Revision,
    compacted: Revision,
    leases: usize,
    watches: usize,
    watch_streams: usize,
}

/// etcd's names, of this moment. Counts keys: not on a thread that serves others.
pub async fn registry(context: &Context) -> Registry {
    let reading = context.clone();
    let picture = tokio::task::spawn_blocking(move || Picture::take(&reading)).await;
    let mut registry = Registry::default();
    match picture {
        Ok(picture) => picture.register(&mut registry),
        Err(error) => tracing::warn!(%error, "etcd's metrics could not be gathered"),
    }
    registry
}

/// Counts leaders as they come, until the node stops.
pub async fn count_leaders(context: Context) {
    let mut status = context.raft.watch_status();
    let mut last = None;
    loop {
        let leader = status.borrow_and_update().leader;
        if leader.is_some() && leader != last {
            context.metrics.leaders_seen_total.inc();
            last = leader;
        }
        match context.stop.run_until_cancelled(status.changed()).await {
            Some(Ok(())) => {}
            _ => return,
        }
    }
}

impl Picture {
    fn take(context: &Context) -> Self {
        let raft = &context.raft;
        let all = Bytes::from_static(b"\0");
        let all = RangeRequest { key: all.clone(), range_end: all, count_only: true, ..RangeRequest::default() };
        let read = |machine: &Machine| {
            let keys = machine.range(&all).map_or(0, |found| found.count);
            (keys, machine.revision(), machine.compacted_revision(), machine.leases().len(), machine.size())
        };
        let (keys, revision, compacted, leases, size) = raft.read(read);
        let (watch_streams, watches) = context.watch_hub.room().taken();
        Self {
            status: raft.status(),
            leaders_seen: context.metrics.leaders_seen_total.get(),
            pending: raft.proposals().pending(),
            failed: raft.proposals().failed(),
            db_bytes: size.bytes,
            db_live_bytes: size.live_bytes,
            quota_bytes: context.config.keeping.quota_bytes,
            keys,
            revision,
            compacted,
            leases,
            watches,
            watch_streams,
        }
    }

    fn register(&self, registry: &mut Registry) {
        let status = &self.status;
        let mut gauge = |name: &str, help: &str, value: i64| {
            let gauge = Gauge::<i64>::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        };
        gauge("etcd_server_has_leader", "Whether a leader is known", i64::from(status.leader.is_some()));
        gauge("etcd_server_is_leader", "Whether this node leads", i64::from(status.role == Role::Leader));
        gauge("etcd_server_is_learner", "Whether this node learns", i64::from(status.role == Role::Learner));
        // Gauges in etcd as well, whatever their names say.
        let applied = number(status.applied_index);
        gauge(
            "etcd_server_proposals_committed_total",
            "Entries committed, as far as is known",
            number(committed(status)),
        );
        gauge("etcd_server_proposals_applied_total", "Entries applied", applied);
        gauge("etcd_server_proposals_pending", "Proposals under way", number(self.pending));
        gauge("etcd_mvcc_db_total_size_in_bytes", "What counts for the quota", number(self.db_bytes));
        gauge(
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "Of it, what no compaction forgets",
            number(self.db_live_bytes),
        );
        gauge("etcd_server_quota_backend_bytes", "The quota", number(self.quota_bytes));
        gauge("etcd_debugging_mvcc_keys_total", "Keys", self.keys);
        gauge("etcd_debugging_mvcc_current_revision", "The store's revision", self.revision);
        gauge("etcd_debugging_mvcc_compact_revision", "The revision up to which it is compacted", self.compacted);
        gauge("etcd_debugging_mvcc_watcher_total", "Watches", count(self.watches));
        gauge("etcd_debugging_mvcc_watch_stream_total", "Streams of watches", count(self.watch_streams));
        gauge("etcd_debugging_lease_total", "Leases", count(self.leases));
        let mut counter = |name: &str, help: &str, value: u64| {
            let counter = Counter::<u64>::default();
            counter.inc_by(value);
            registry.register(name, help, counter);
        };
        counter("etcd_server_leader_changes_seen", "Leaders seen, one after the other", self.leaders_seen);
        counter("etcd_server_proposals_failed", "Proposals that failed", self.failed);
        let id = hex_id(status.node_id);
        label(registry, "etcd_server_id", "This node", "server_id", &id);
        label(registry, "etcd_server_version", "The version that clients are told", "server_version", SERVER_VERSION);
        label(registry, "etcd_cluster_version", "That of all members", "cluster_version", CLUSTER_VERSION);
    }
}

/// A gauge that is 1, for the sake of its label.
fn label(registry: &mut Registry, name: &str, help: &str, label: &'static str, value: &str) {
    let family = Family::<Vec<(&'static str, String)>, Gauge>::default();
    family.get_or_create(&vec![(label, value.to_owned())]).set(1);
    registry.register(name, help, family);
}

/// The last entry that is known to be committed: on the leader what a majority holds, elsewhere what was applied.
fn committed(status: &RaftStatus) -> u64 {
    let held = |id: &u64| {
        if *id == status.node_id { status.last_log_index } else { status.matched.get(id).copied().unwrap_or(0) }
    };
    if status.role != Role::Leader || status.voters.is_empty() {
        return status.applied_index;
    }
    let mut indices: Vec<u64> = status.voters.iter().map(held).collect();
    indices.sort_unstable();
    // So many voters hold at least this one that they are a majority.
    indices[(indices.len() - 1) / 2].max(status.applied_index)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn what_a_majority_holds_is_committed() {
        let mut status = RaftStatus {
            node_id: 1,
            role: Role::Leader,
            last_log_index: 9,
            applied_index: 3,
            voters: vec![1, 2, 3],
            ..RaftStatus::default()
        };
        assert_eq!(committed(&status), 3, "nobody else is known to hold anything");
        status.matched = [(2, 7), (3, 5)].into();
        assert_eq!(committed(&status), 7);
        status.voters = vec![1, 2, 3, 4];
        assert_eq!(committed(&status), 5, "three of four");
        status.role = Role::Follower;
        assert_eq!(committed(&status), 3);
    }

    #[test]
    fn names_are_etcds() {
        let picture = Picture { leaders_seen: 2, keys: 7, ..Picture::default() };
        let mut registry = Registry::default();
        picture.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "etcd_server_has_leader 0",
            "etcd_server_leader_changes_seen_total 2",
            "etcd_server_proposals_committed_total 0",
            "etcd_server_proposals_failed_total 0",
            "etcd_debugging_mvcc_keys_total 7",
            "etcd_server_version{server_version=\"3.5.16\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
