//! What each node said of itself last, and when it came, by this node's monotonic clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use autoradio_machine::NodeId;
use autoradio_policy::{Heard, Load};
use tokio::sync::watch;

use super::twins::Twins;

/// The loads of all nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Loads {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    me: NodeId,
    table: Mutex<BTreeMap<NodeId, (Instant, Arc<Load>)>>,
    changes: watch::Sender<u64>,
    twins: Twins,
}

impl Loads {
    /// An empty table of the node `me`.
    #[must_use]
    pub fn new(me: NodeId) -> Self {
        Self {
            inner: Arc::new(Inner {
                me,
                table: Mutex::default(),
                changes: watch::Sender::new(0),
                twins: Twins::default(),
            }),
        }
    }

    /// Takes in a report that came now.
    pub fn put(&self, node: NodeId, load: Load) {
        self.lock().insert(node, (Instant::now(), Arc::new(load)));
        self.inner.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// All reports with their ages.
    #[must_use]
    pub fn heard(&self) -> BTreeMap<NodeId, Heard> {
        let age = |node: NodeId, at: Instant| {
            let age_ms = if node == self.inner.me { 0 } else { at.elapsed().as_millis() };
            u64::try_from(age_ms).unwrap_or(u64::MAX)
        };
        let table = self.lock();
        table.iter().map(|(&node, (at, load))| (node, Heard { age_ms: age(node, *at), load: load.clone() })).collect()
    }

    /// Forgets nodes that are no members any more.
    pub fn retain(&self, keep: impl Fn(NodeId) -> bool) {
        self.inner.twins.retain(&keep);
        self.lock().retain(|&node, _| keep(node));
    }

    pub(super) fn twins(&self) -> &Twins {
        &self.inner.twins
    }

    /// Changes with each report.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, (Instant, Arc<Load>)>> {
        self.inner.table.lock().expect("nothing panics while it holds the loads")
    }
}
