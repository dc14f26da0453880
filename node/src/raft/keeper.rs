//! The leader's task that revokes leases whose time is up.

use std::time::Duration;

use autoradio_machine::{Command, Refusal};
use tokio_util::sync::CancellationToken;

use super::RaftHandle;

/// How often leases are looked through: a lease outlives its time by at most this and a proposal.
const TICK: Duration = Duration::from_millis(250);

/// Leases revoked per tick at most, so that a thousand that run out together do not crowd out other proposals.
const REVOKES_PER_TICK: usize = 64;

/// Revokes leases whose time is up while this node leads, until `stop`.
pub async fn keep_leases(raft: RaftHandle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        for id in raft.sync_leases().into_iter().take(REVOKES_PER_TICK) {
            let revoke = raft.propose(Command::LeaseRevoke { id });
            match stop.run_until_cancelled(revoke).await {
                None => return,
                Some(Ok(_)) => tracing::info!(lease = id, "lease has run out"),
                // Revoked by its owner in the same moment.
                Some(Err(error)) if matches!(error.refusal(), Some(Refusal::LeaseNotFound)) => {}
                Some(Err(error)) => {
                    tracing::warn!(lease = id, %error, "lease has run out but could not be revoked; trying again");
                    break;
                }
            }
        }
    }
}
