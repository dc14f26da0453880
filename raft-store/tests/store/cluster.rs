//! Nodes in one process.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use autoradio_machine::{Command, Event, LogIndex, Machine, NodeId, PutRequest, RangeRequest};
use autoradio_store::{
    BoxFuture, Consensus, ConsensusError, Identity, Observer, Options, Proposed, Role, RpcKind, StoreError, Transport,
    TransportError,
};
use bytes::Bytes;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `probe` gives something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Default)]
struct Wires {
    nodes: BTreeMap<NodeId, Consensus>,
    /// Nodes that nobody reaches and that reach nobody.
    cut: BTreeSet<NodeId>,
}

struct Wire {
    from: NodeId,
    wires: Arc<Mutex<Wires>>,
}

impl Transport for Wire {
    fn call(
        &self,
        target: NodeId,
        _addr: String,
        kind: RpcKind,
        payload: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>> {
        Box::pin(async move {
            let node = {
                let wires = self.wires.lock().unwrap();
                let open = !wires.cut.contains(&self.from) && !wires.cut.contains(&target);
                wires.nodes.get(&target).filter(|_| open).cloned()
            };
            let unreachable = |reason: String| TransportError::Unreachable { target, reason };
            let node = node.ok_or_else(|| unreachable("cut".into()))?;
            let answer = tokio::time::timeout(timeout, node.handle(kind, payload));
            answer
                .await
                .map_err(|_| TransportError::Timeout { target, timeout })?
                .map_err(|e| unreachable(e.to_string()))
        })
    }
}

/// Counts the events it is told of.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) restored: Mutex<Vec<LogIndex>>,
}

impl Observer for Counter {
    fn applied(&self, _: &Machine, _: LogIndex, events: &[Event]) {
        self.events.lock().unwrap().extend_from_slice(events);
    }
    fn restored(&self, _: &Machine, index: LogIndex) {
        self.restored.lock().unwrap().push(index);
    }
}

/// Nodes with folders that outlive them.
pub(crate) struct Cluster {
    wires: Arc<Mutex<Wires>>,
    folder: std::path::PathBuf,
    _temporary: Option<tempfile::TempDir>,
    pub(crate) counters: BTreeMap<NodeId, Arc<Counter>>,
    snapshot_every: u64,
    pub(crate) cluster_id: u64,
    /// Changes the options of the nodes that start.
    pub(crate) adjust: fn(&mut Options),
    /// Where a node lives that does not live below the common folder.
    pub(crate) homes: BTreeMap<NodeId, std::path::PathBuf>,
}

impl Cluster {
    pub(crate) fn empty(snapshot_every: u64) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let cluster = Self::below(temporary.path(), snapshot_every);
        Self { _temporary: Some(temporary), ..cluster }
    }

    /// Nodes whose folders are below one that outlives the cluster.
    pub(crate) fn below(folder: &std::path::Path, snapshot_every: u64) -> Self {
        let folder = folder.to_owned();
        Self {
            wires: Arc::default(),
            folder,
            _temporary: None,
            counters: BTreeMap::new(),
            snapshot_every,
            cluster_id: 7,
            adjust: |_| {},
            homes: BTreeMap::new(),
        }
    }

    /// Voters 1 to `voters`, and a leader.
    pub(crate) async fn of(voters: NodeId) -> Self {
        Self::with(voters, 5_000).await
    }

    pub(crate) async fn with(voters: NodeId, snapshot_every: u64) -> Self {
        let mut cluster = Self::empty(snapshot_every);
        cluster.found(voters).await;
        cluster
    }

    /// Makes voters 1 to `voters`, and waits for a leader.
    pub(crate) async fn found(&mut self, voters: NodeId) {
        for id in 1..=voters {
            self.start(id).await.unwrap();
        }
        let all = (1..=voters).map(|id| (id, format!("http://host{id}:2380"))).collect();
        self.node(1).bootstrap(all).await.unwrap();
        self.leader().await;
    }

    pub(crate) fn folder(&self, id: NodeId) -> std::path::PathBuf {
        self.homes.get(&id).cloned().unwrap_or_else(|| self.folder.join(id.to_string()))
    }

    pub(crate) async fn start(&mut self, id: NodeId) -> Result<(), StoreError> {
        let mut options = Options {
            heartbeat: Duration::from_millis(100),
            election: (Duration::from_millis(400), Duration::from_millis(800)),
            snapshot_every_entries: self.snapshot_every,
            keep_entries: self.snapshot_every / 2,
            ..Options::new(self.folder(id))
        };
        (self.adjust)(&mut options);
        let counter = Arc::new(Counter::default());
        let wire = Arc::new(Wire { from: id, wires: self.wires.clone() });
        let identity = Identity { cluster_id: self.cluster_id, node_id: id };
        let node = Consensus::open(options, identity, wire, counter.clone()).await?;
        self.counters.insert(id, counter);
        self.wires.lock().unwrap().nodes.insert(id, node);
        Ok(())
    }

    pub(crate) async fn stop(&self, id: NodeId) {
        let node = self.wires.lock().unwrap().nodes.remove(&id).unwrap();
        node.shutdown().await.unwrap();
    }

    /// Ends a node whose consensus has stopped by itself.
    pub(crate) async fn abandon(&self, id: NodeId) {
        let node = self.wires.lock().unwrap().nodes.remove(&id).unwrap();
        // That it has stopped is known.
        drop(node.shutdown().await);
    }

    pub(crate) fn cut(&self, id: NodeId) {
        self.wires.lock().unwrap().cut.insert(id);
    }

    pub(crate) fn heal(&self) {
        self.wires.lock().unwrap().cut.clear();
    }

    pub(crate) fn node(&self, id: NodeId) -> Consensus {
        self.wires.lock().unwrap().nodes[&id].clone()
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        let wires = self.wires.lock().unwrap();
        wires.nodes.keys().filter(|id| !wires.cut.contains(id)).copied().collect()
    }

    /// The leader that a majority follows.
    pub(crate) async fn leader(&self) -> NodeId {
        eventually("a leader", || async {
            let ids = self.ids();
            let leader = ids.iter().find(|id| self.node(**id).status().role == Role::Leader)?;
            let term = self.node(*leader).status().term;
            ids.iter().all(|id| self.node(*id).status().term <= term).then_some(*leader)
        })
        .await
    }

    /// Puts a key at whoever leads; tries again while nobody does.
    pub(crate) async fn put(&self, key: &str, value: &str) -> Proposed {
        let put = PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() };
        let command = Command::Put(put);
        eventually("a put", || async {
            let leader = self.leader().await;
            match self.node(leader).propose(&command, Duration::from_secs(2)).await {
                Ok(proposed) => Some(proposed),
                Err(ConsensusError::NotLeader { .. } | ConsensusError::Timeout(_)) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await
    }

    pub(crate) fn get(&self, id: NodeId, key: &str) -> Option<String> {
        let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
        let found = self.node(id).read(|machine| machine.range(&request)).unwrap();
        found.kvs.first().map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
    }

    pub(crate) async fn wait_value(&self, id: NodeId, key: &str, value: &str) {
        eventually("a value everywhere", || async { (self.get(id, key)? == value).then_some(()) }).await;
    }
}
