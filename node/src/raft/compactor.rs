//! Forgets history by itself, as etcd's `--auto-compaction-mode` has it: every node follows the revisions, the leader
//! compacts, by the log.

use std::time::Duration;

use autoradio_machine::Command;
use autoradio_policy::compaction::{Compactor, Retention};
use tokio_util::sync::CancellationToken;

use super::RaftHandle;

/// Compacts while this node leads, until `stop`.
pub async fn compact_by_itself(raft: RaftHandle, retention: Retention, stop: CancellationToken) {
    let mut compactor = Compactor::new(retention);
    let Some(step_ms) = compactor.step_ms() else { return };
    let mut tick = tokio::time::interval(Duration::from_millis(step_ms));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let (revision, compacted) = raft.read(|machine| (machine.revision(), machine.compacted_revision()));
        let due = compactor.look(raft.now_ms(), revision, compacted);
        let Some(revision) = due.filter(|_| raft.leads()) else { continue };
        match stop.run_until_cancelled(raft.propose(Command::Compact { revision })).await {
            None => return,
            Some(Ok(_)) => tracing::info!(revision, "history before this revision is forgotten"),
            // Somebody else compacted in the same moment.
            Some(Err(error)) if error.refusal().is_some() => {
                tracing::debug!(revision, %error, "history was not forgotten");
            }
            Some(Err(error)) => tracing::warn!(revision, %error, "history could not be forgotten; trying again"),
        }
    }
}
