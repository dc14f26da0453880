//! Sends this node's load to every other member once a second, over one call each that stays open.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use autoradio_machine::NodeId;
use autoradio_policy::Load;
use autoradio_proto::peer::LoadReport;
use tokio::sync::watch;
use tokio_stream::{StreamExt, wrappers::WatchStream};
use tokio_util::sync::CancellationToken;

use super::{Lane, Loads, Peers, gone};
use crate::{
    raft::{Backoff, RaftHandle},
    trust::{TrustError, random},
};

/// How often a node says how it is.
const EVERY: Duration = Duration::from_secs(1);

/// First and longest wait before a member is called again.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Gathers this node's load once a second, for `loads` and for `sender`'s receivers, until `stop`; and at once when
/// `leaving`, so that the others send nobody here any more.
pub async fn refresh_own_load(
    gather: impl Fn() -> Load,
    raft: RaftHandle,
    loads: Loads,
    sender: watch::Sender<Arc<Load>>,
    leaving: CancellationToken,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said_good_bye = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = leaving.cancelled(), if !said_good_bye => said_good_bye = true,
            _ = tick.tick() => {}
        }
        let load = gather();
        loads.put(raft.node_id(), load.clone());
        sender.send_replace(Arc::new(load));
    }
}

/// Keeps a reporter for each other member until `stop`; members that go or move get theirs ended.
pub async fn report_to_all(
    peers: Peers,
    raft: RaftHandle,
    loads: Loads,
    own: watch::Receiver<Arc<Load>>,
    process: Process,
    tasks: tokio_util::task::TaskTracker,
    stop: CancellationToken,
) {
    let mut catalog = raft.watch_catalog();
    let mut reporters: BTreeMap<NodeId, (String, CancellationToken)> = BTreeMap::new();
    loop {
        let members = catalog.borrow_and_update().members.clone();
        let urls = peers.urls();
        reporters.retain(|node, (at, end)| {
            let keep = urls.get(node) == Some(at);
            if !keep {
                end.cancel();
            }
            keep
        });
        peers.retain_members();
        loads.retain(|node| members.is_empty() || members.contains_key(&node));
        for (node, at) in urls {
            reporters.entry(node).or_insert_with(|| {
                let end = stop.child_token();
                let from =
                    Reporter { peers: peers.clone(), me: raft.node_id(), own: own.clone(), process: process.clone() };
                tasks.spawn(from.report_to(node, end.clone()));
                (at, end)
            });
        }
        match stop.run_until_cancelled(catalog.changed()).await {
            Some(Ok(())) => {}
            _ => return,
        }
    }
}

/// What makes this process another than any that has this node's id.
#[derive(Clone, Debug)]
pub struct Process {
    instance: u64,
    has_twin: CancellationToken,
}

impl Process {
    /// This process, with a random number.
    ///
    /// # Errors
    /// No randomness.
    pub fn new() -> Result<Self, TrustError> {
        Ok(Self { instance: u64::from_be_bytes(random()?), has_twin: CancellationToken::new() })
    }

    /// Waits until a member says that another process is this node, too.
    pub async fn has_twin(&self) {
        self.has_twin.cancelled().await;
    }
}

struct Reporter {
    peers: Peers,
    me: NodeId,
    own: watch::Receiver<Arc<Load>>,
    process: Process,
}

impl Reporter {
    /// Reports to one member until `stop`, calling again when the call ends.
    async fn report_to(self, node: NodeId, stop: CancellationToken) {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let began = tokio::time::Instant::now();
            match stop.run_until_cancelled(self.report_once(node)).await {
                None => return,
                Some(Ok(())) => {
                    tracing::debug!(node = %format_args!("{node:x}"), "load reports: the other side closed")
                }
                Some(Err(status)) if gone::is_told(&status) => self.peers.tell_removed(),
                Some(Err(status)) => {
                    tracing::debug!(node = %format_args!("{node:x}"), %status, "load reports broke off")
                }
            }
            if began.elapsed() > RETRY.1 {
                backoff.reset();
            }
            if stop.run_until_cancelled(tokio::time::sleep(backoff.step())).await.is_none() {
                return;
            }
        }
    }

    async fn report_once(&self, node: NodeId) -> Result<(), tonic::Status> {
        let client = self.peers.client_on(node, Lane::Control);
        let mut client = client.map_err(|error| tonic::Status::internal(error.to_string()))?;
        // Of this call alone: counts of a process that has ended since mean nothing.
        let echo = Arc::new(AtomicU64::new(0));
        let reports = {
            let (echo, me, instance) = (echo.clone(), self.me, self.process.instance);
            WatchStream::new(self.own.clone()).filter_map(move |load| {
                let load = serde_json::to_vec(&*load).ok()?;
                Some(LoadReport { node_id: me, load: load.into(), instance, echo: echo.load(Ordering::Relaxed) })
            })
        };
        let mut replies = client.report(reports).await?.into_inner();
        while let Some(reply) = replies.message().await? {
            echo.store(reply.seen, Ordering::Relaxed);
            if reply.has_twin {
                self.process.has_twin.cancel();
            }
        }
        Ok(())
    }
}
