//! Brings the consensus' membership in line with the members in the store, by the product's own plan.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use autoradio_machine::NodeId;
use autoradio_policy::membership::{RaftPicture, Step, next_step};
use autoradio_store::ConsensusError;
use tokio::time::{Instant, sleep};

use crate::{net::UNPOISONED, server::Server};

const TICK: Duration = Duration::from_millis(250);
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// Changes the membership while this node leads, for as long as it lives.
pub(crate) async fn steward(server: Arc<Server>) {
    let listening_since = Instant::now();
    loop {
        sleep(TICK).await;
        if let Some(step) = wanted(&server, listening_since) {
            let done = carry_out(&server, &step).await;
            server.net.note(&("step", server.id, &step, done.is_ok()), &[]);
        }
    }
}

fn wanted(server: &Server, listening_since: Instant) -> Option<Step> {
    if !server.consensus.leads() || server.consensus.read(|machine| machine.cluster_id()).is_none() {
        return None;
    }
    let now = Instant::now();
    let age = |at: &Instant| u64::try_from((now - *at).as_millis()).unwrap_or(u64::MAX);
    let heard: BTreeMap<NodeId, u64> =
        server.heard.lock().expect(UNPOISONED).iter().map(|(id, at)| (*id, age(at))).collect();
    let status = server.consensus.status();
    // Voted out itself, it has nothing more to say.
    if !status.voters.contains(&status.node_id) {
        return None;
    }
    let picture = RaftPicture {
        me: status.node_id,
        voters: status.voters,
        learners: status.learners,
        matched: status.matched,
        last_log_index: status.last_log_index,
        addresses: status.addresses,
        autopilot: true,
        listened_ms: age(&listening_since),
    };
    let members = server.consensus.read(|machine| machine.catalog().members);
    next_step(&members, &picture, &heard)
}

async fn carry_out(server: &Server, step: &Step) -> Result<(), ConsensusError> {
    match step.clone() {
        Step::SetLearner { id, addr } => server.consensus.set_learner(id, addr, STEP_LIMIT).await,
        Step::SetVoters(voters) if !voters.contains(&server.id) => {
            // Its successor carries it out.
            match server.consensus.hand_over(None, STEP_LIMIT).await {
                Ok(_) => Ok(()),
                Err(_) => server.consensus.set_voters(voters, STEP_LIMIT).await,
            }
        }
        Step::SetVoters(voters) => server.consensus.set_voters(voters, STEP_LIMIT).await,
        Step::RemoveLearners(nodes) => server.consensus.remove_learners(nodes, STEP_LIMIT).await,
    }
}
