//! The node's own lease: what its origins hang on, so that they go when it does.

use std::time::Duration;

use autoradio_machine::{Command, LeaseId, Response};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{RaftError, RaftHandle, forward, retry::Backoff};

/// Time to live of a node's lease, in seconds: long enough for an election and a slow disk; takers need not wait for
/// it, as a dead holder is overtaken at once.
const TTL_S: i64 = 10;

/// [`TTL_S`] as a duration.
const TTL: Duration = Duration::from_secs(10);

/// How often the lease is kept alive: four tries may fail before it runs out.
const KEEP_EVERY: Duration = Duration::from_secs(2);

/// How long one try may take.
const KEEP_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long stopping waits for the lease's revocation; it runs out by itself otherwise.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Holds a lease for this node until `stop`: grants it, keeps it alive, grants another when it was lost.
pub async fn hold_node_lease(raft: RaftHandle, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    loop {
        let Some(granted) = stop.run_until_cancelled(grant(&raft)).await else { return };
        match granted {
            Ok(id) => {
                backoff.reset();
                raft.set_node_lease(Some(id));
                let lost = stop.run_until_cancelled(keep(&raft, id)).await;
                raft.set_node_lease(None);
                if lost.is_none() {
                    revoke(&raft, id).await;
                    return;
                }
                tracing::warn!(lease = id, "this node's lease is lost; asking for another");
            }
            Err(error) => {
                tracing::debug!(%error, "no lease for this node yet");
                if stop.run_until_cancelled(tokio::time::sleep(backoff.step())).await.is_none() {
                    return;
                }
            }
        }
    }
}

async fn grant(raft: &RaftHandle) -> Result<LeaseId, RaftError> {
    let proposed = raft.propose(Command::NodeLease { ttl_s: TTL_S }).await?;
    match proposed.response {
        Response::Lease { id, .. } => Ok(id),
        other => Err(RaftError::Forward {
            leader: raft.status().leader.unwrap_or(0),
            reason: format!("it answered a lease grant with {other:?}"),
        }),
    }
}

/// Keeps the lease alive; returns when it is lost, or may be for all this node knows.
async fn keep(raft: &RaftHandle, id: LeaseId) {
    let mut kept = Instant::now();
    let mut tick = tokio::time::interval(KEEP_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Counted from before the request: the leader counts from its arrival, which is later.
        tokio::select! {
            _ = tick.tick() => {}
            () = tokio::time::sleep_until(kept + TTL) => return,
        }
        let asked = Instant::now();
        match keep_once(raft, id).await {
            Ok(ttl_s) if ttl_s > 0 => kept = asked,
            Ok(_) => return,
            Err(error) => tracing::debug!(lease = id, %error, "this node's lease could not be kept alive"),
        }
    }
}

async fn keep_once(raft: &RaftHandle, id: LeaseId) -> Result<i64, RaftError> {
    match raft.status().leader {
        None => Err(RaftError::NoLeader),
        Some(leader) if leader == raft.node_id() => Ok(raft.keep_lease(id)?),
        Some(leader) => forward::keep_alive(raft.peers(), leader, id, KEEP_TIMEOUT).await,
    }
}

async fn revoke(raft: &RaftHandle, id: LeaseId) {
    match timeout(REVOKE_TIMEOUT, raft.propose(Command::LeaseRevoke { id })).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::info!(lease = id, %error, "this node's lease was left to run out"),
        Err(_) => tracing::info!(lease = id, "this node's lease was left to run out: no answer in time"),
    }
}
