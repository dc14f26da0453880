//! The leader's task that brings Raft's membership in line with the member list.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::RaftHandle;

/// How often the membership is looked at when nothing changes (a learner catches up without a change of the catalog).
const TICK: Duration = Duration::from_millis(500);

/// Brings voters and learners in line with the member list while this node leads, until `stop`.
pub async fn steward(raft: RaftHandle, stop: CancellationToken) {
    let mut catalog = raft.watch_catalog();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
            changed = catalog.changed() => if changed.is_err() { return },
        }
    }
}
