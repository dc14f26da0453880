//! Claiming a mount's source lease.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use autoradio_machine::{Claim, Command, LeaseId, MountName, Origin, Response, claim_origin, release_origin};
use autoradio_policy::{
    answer::Refuse,
    takeover::{Decision, HolderAnswer, decide, must_ask},
};
use autoradio_store::Proposed;
use tokio::time::{sleep, timeout};

use super::connection::Front;
use crate::{
    context::Context,
    onair::LiveMount,
    raft::{RaftError, RaftHandle},
};

/// How often a claim is made anew when another came between.
const TRIES: usize = 3;
/// How long a node that has just started, or lost its lease, is given to get one.
const LEASE_LIMIT: Duration = Duration::from_secs(2);
/// How long giving a claim back may take; the sweep tries again.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);
/// How often claims without a source are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// A claim that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its fencing number.
    pub(super) epoch: u64,
    /// The lease that it hangs on.
    pub(super) lease: LeaseId,
}

/// Claims the mount for the source that is connected to this node.
///
/// # Errors
/// What to answer the source.
pub(super) async fn claim(front: &Front, live: &Arc<LiveMount>, origin: &Origin) -> Result<Held, Refuse> {
    let (ctx, mount) = (front.context(), live.name());
    for _ in 0..TRIES {
        let present = ctx.raft.catalog().origins.get(mount).cloned();
        let expected = match decision(front, live, present.as_ref()).await {
            Decision::Free => 0,
            Decision::TakeOver { expected_mod_revision, why } => {
                tracing::info!(%mount, "taking the mount over: {why}");
                expected_mod_revision
            }
            Decision::Busy => return Err(Refuse::MountInUse),
        };
        let lease = lease(ctx).await?;
        let txn = claim_origin(mount, expected, origin, lease);
        let proposed = propose(ctx, Command::Txn(txn)).await;
        let proposed = proposed.map_err(|error| Refuse::Busy(format!("the mount cannot be claimed: {error}")))?;
        match proposed.response {
            Response::Txn { succeeded: true, .. } => {
                let epoch = u64::try_from(proposed.revision).unwrap_or_default();
                return Ok(Held { epoch, lease });
            }
            // Another claim came between: it is in the catalog now, as the proposal was applied here.
            Response::Txn { .. } => {}
            other => return Err(Refuse::Busy(format!("the claim was answered with {other:?}"))),
        }
    }
    Err(Refuse::MountInUse)
}

/// Proposes a claim; anew where another node leads meanwhile. A leader that died without a word would be waited for
/// while the encoder hears nothing, and a claim that was carried out after all is one of this node's own.
async fn propose(ctx: &Context, command: Command) -> Result<Proposed, RaftError> {
    let mut status = ctx.raft.watch_status();
    let asked = status.borrow_and_update().leader;
    tokio::select! {
        proposed = ctx.raft.propose(command.clone()) => return proposed,
        Ok(_) = status.wait_for(|now| now.leader.is_some() && now.leader != asked) => {}
    }
    ctx.raft.propose(command).await
}

async fn decision(front: &Front, live: &LiveMount, claim: Option<&Claim>) -> Decision {
    let ctx = front.context();
    let me = ctx.raft.node_id();
    let Some(present) = claim else { return Decision::Free };
    let holder = present.origin.node;
    let heard = ctx.view.now().loads.get(&holder).map(|heard| heard.age_ms);
    let answer = if holder == me {
        // The place of this node's source was free, or it would not be ours.
        HolderAnswer::Answered { has_source: false, source_idle_ms: 0, epoch: present.epoch }
    } else if must_ask(present, me, heard) {
        front.elsewhere().ask_holder(holder, live).await
    } else {
        HolderAnswer::NotAsked
    };
    decide(claim, me, heard, answer)
}

async fn lease(ctx: &Context) -> Result<LeaseId, Refuse> {
    let mut leases = ctx.raft.watch_node_lease();
    let found = timeout(LEASE_LIMIT, leases.wait_for(Option::is_some)).await;
    match found {
        Ok(Ok(lease)) => Ok(lease.unwrap_or_default()),
        _ => Err(Refuse::Busy("no majority of the cluster can be reached, so no mount can be claimed here".into())),
    }
}

/// Gives a claim back in the background.
pub(super) fn release(ctx: &Context, mount: MountName, epoch: u64) {
    let raft = ctx.raft.clone();
    ctx.tasks.spawn(async move { give_back(&raft, &mount, epoch).await });
}

async fn give_back(raft: &RaftHandle, mount: &MountName, epoch: u64) {
    match timeout(RELEASE_LIMIT, raft.propose(Command::Txn(release_origin(mount, epoch)))).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::info!(%mount, %error, "the claim is left to the next source, or to the next sweep"),
        Err(_) => tracing::info!(%mount, "the claim is left to the next source, or to the next sweep: no answer"),
    }
}

/// Gives back, until the node stops, what is claimed for this node and has no source here: claims that could not be given
/// back while nobody led, that were carried out after their source had been refused, or that a former life of this node
/// made. Their lease lives as long as the node, so that nothing else would end them.
pub(super) async fn sweep(ctx: Context) {
    let mut before = BTreeSet::new();
    while ctx.stop.run_until_cancelled(sleep(SWEEP_EVERY)).await.is_some() {
        let me = ctx.raft.node_id();
        let has_source = |mount| ctx.on_air.get(mount).is_some_and(|live| live.source().is_some());
        let catalog = ctx.raft.catalog();
        let mine = catalog.origins.iter().filter(|(mount, claim)| claim.origin.node == me && !has_source(mount));
        let found: BTreeSet<_> = mine.map(|(mount, claim)| (mount.clone(), claim.epoch)).collect();
        // Twice: the first time it may be on its way back. A source that comes meanwhile has another epoch.
        for (mount, epoch) in found.intersection(&before) {
            tracing::info!(%mount, epoch, "a claim without a source is given back");
            if ctx.stop.run_until_cancelled(give_back(&ctx.raft, mount, *epoch)).await.is_none() {
                return;
            }
        }
        before = found;
    }
}
