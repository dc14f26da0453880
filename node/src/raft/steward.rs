//! The leader's task that brings Raft's membership in line with the member list, a safe step at a time.

use std::{collections::BTreeMap, time::Duration};

use autoradio_machine::NodeId;
use autoradio_policy::membership::{RaftPicture, Step, next_step};
use autoradio_store::{ConsensusError, RaftStatus};
use tokio_util::sync::CancellationToken;

use super::{RaftHandle, retry::Backoff};
use crate::peer::Loads;

/// How often the membership is looked at when nothing changes (a learner catches up without a change of the catalog).
const TICK: Duration = Duration::from_millis(500);

/// The status changes with every entry applied: membership need not be looked at for each.
const SETTLE: Duration = Duration::from_millis(50);

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings voters and learners in line with the member list while this node leads, until `stop`.
pub async fn steward(raft: RaftHandle, loads: Loads, autopilot: bool, stop: CancellationToken) {
    let (mut catalog, mut status, mut reports) = (raft.watch_catalog(), raft.watch_status(), loads.watch());
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        catalog.mark_unchanged();
        status.mark_unchanged();
        reports.mark_unchanged();
        if let Some(step) = wanted(&raft, &loads, autopilot) {
            let Some(done) = stop.run_until_cancelled(carry_out(&raft, &step)).await else { return };
            match done {
                Ok(()) => {
                    tracing::info!(?step, "membership changed");
                    // The next step follows when the status shows this one, which wakes the wait below.
                    backoff.reset();
                }
                Err(ConsensusError::NotLeader { .. }) => {}
                Err(error) => {
                    tracing::warn!(?step, %error, "membership could not be changed; trying again");
                    if stop.run_until_cancelled(tokio::time::sleep(backoff.step())).await.is_none() {
                        return;
                    }
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
            Ok(()) = catalog.changed() => {}
            Ok(()) = status.changed() => {}
            Ok(()) = reports.changed() => {}
        }
        if stop.run_until_cancelled(tokio::time::sleep(SETTLE)).await.is_none() {
            return;
        }
    }
}

/// The next step, if this node leads and one is due.
fn wanted(raft: &RaftHandle, loads: &Loads, autopilot: bool) -> Option<Step> {
    // Before `Init` there are voters and no members: nobody is to be removed for that.
    if !raft.leads() || raft.read(|machine| machine.cluster_id()).is_none() {
        return None;
    }
    let status = raft.status();
    // Voted out itself, it leads until its successor does, and has nothing more to say: openraft panics when asked for
    // another change then (found by the simulation).
    if !status.voters.contains(&status.node_id) {
        return None;
    }
    let heard: BTreeMap<NodeId, u64> = loads.heard().into_iter().map(|(node, heard)| (node, heard.age_ms)).collect();
    let picture = RaftPicture { autopilot, listened_ms: raft.now_ms(), ..picture(status) };
    next_step(&raft.catalog().members, &picture, &heard)
}

fn picture(status: RaftStatus) -> RaftPicture {
    RaftPicture {
        me: status.node_id,
        voters: status.voters,
        learners: status.learners,
        matched: status.matched,
        last_log_index: status.last_log_index,
        addresses: status.addresses,
        ..RaftPicture::default()
    }
}

async fn carry_out(raft: &RaftHandle, step: &Step) -> Result<(), ConsensusError> {
    let consensus = raft.consensus();
    match step.clone() {
        Step::SetLearner { id, addr } => consensus.set_learner(id, addr, STEP_TIMEOUT).await,
        Step::SetVoters(voters) if !voters.contains(&raft.node_id()) => {
            // Its successor carries it out, so that nobody has to miss a leader first.
            match consensus.hand_over(None, STEP_TIMEOUT).await {
                Ok(_) => Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "leadership could not be handed over before leaving");
                    consensus.set_voters(voters, STEP_TIMEOUT).await
                }
            }
        }
        Step::SetVoters(voters) => consensus.set_voters(voters, STEP_TIMEOUT).await,
        Step::RemoveLearners(nodes) => consensus.remove_learners(nodes, STEP_TIMEOUT).await,
    }
}
