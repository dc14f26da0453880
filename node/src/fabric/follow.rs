//! Copies the logs that this node must have: one task for each, each from the best node that has it.
//!
//! A log is a sequence by position, so that copying is reading on from the last position one has, at whichever node.
//! An older epoch's end is never skipped: a new epoch's frames stand behind it in the upstream's log, and the new
//! origin fetched that end before it began. Frames of an older epoch are refused only once the newer one has begun in
//! this log, which is when its first frame comes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use autoradio_machine::{MountName, NodeId};
use autoradio_media::{EpochStart, LogError, Position};
use autoradio_policy::followers::{desired_logs, upstreams};
use autoradio_proto::peer::{FrameBatch, SubscribeRequest};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{
    tail::{end_of, furthest},
    wire::{from_wire, position_from_wire, position_to_wire},
};
use crate::{config::IcecastMode, context::Context, onair::LiveMount, peer::Lane, raft::Backoff};

/// After so long without a frame the other nodes are asked whether one has more; only then this upstream is left. Ogg pages
/// of slow streams come less often.
const SILENCE_MAX: Duration = Duration::from_millis(1_500);
/// Opening a stream to a node that lives takes a round trip.
const OPEN_LIMIT: Duration = Duration::from_secs(1);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// A log is copied for so long after it was last wanted.
const LINGER: Duration = Duration::from_secs(10);

/// Starts the reconciler of this node's copies.
pub fn start(context: &Context) {
    let ctx = context.clone();
    context.tasks.spawn(async move {
        let mut followers: BTreeMap<MountName, Follower> = BTreeMap::new();
        let mut views = ctx.view.watch();
        let mut names = ctx.on_air.watch_names();
        loop {
            reconcile(&ctx, &mut followers);
            tokio::select! {
                changed = views.changed() => if changed.is_err() { break },
                _ = names.changed() => {}
                () = ctx.stop.cancelled() => break,
            }
        }
        followers.values().for_each(|f| f.stop.cancel());
    });
}

struct Follower {
    live: Arc<LiveMount>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    wanted: Instant,
}

fn reconcile(ctx: &Context, followers: &mut BTreeMap<MountName, Follower>) {
    let view = ctx.view.now();
    let icecast_on = ctx.config.icecast != IcecastMode::Off && !ctx.metrics.icecast.is_off();
    let desired = desired_logs(&view, view.me, &ctx.on_air.with_listeners(), icecast_on);
    let sources: BTreeSet<_> =
        ctx.on_air.all().iter().filter(|l| l.source().is_some()).map(|l| l.name().clone()).collect();
    followers.retain(|name, follower| {
        if desired.contains(name) {
            follower.wanted = Instant::now();
        }
        // Of a mount that was deleted and made anew there is another log.
        let same = ctx.on_air.get(name).is_some_and(|live| Arc::ptr_eq(&live, &follower.live));
        let keep =
            same && !sources.contains(name) && follower.wanted.elapsed() < LINGER && !follower.task.is_finished();
        if !keep {
            follower.stop.cancel();
        }
        keep
    });
    for name in desired.difference(&sources) {
        if !followers.contains_key(name) {
            let (stop, live) = (ctx.stop.child_token(), ctx.on_air.open(name, &ctx.raft.catalog()));
            let (token, run, log) = (stop.clone(), ctx.clone(), live.clone());
            let task = ctx.tasks.spawn(async move {
                tokio::select! {
                    () = follow(&run, &log) => {}
                    () = token.cancelled() => {}
                }
            });
            followers.insert(name.clone(), Follower { live, stop, task, wanted: Instant::now() });
        }
    }
}

/// Follows a mount until it is dropped.
async fn follow(ctx: &Context, live: &Arc<LiveMount>) {
    let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    let mut failed: BTreeSet<NodeId> = BTreeSet::new();
    let mut better = None;
    loop {
        let view = ctx.view.now();
        let candidates = upstreams(&view, live.name(), view.me);
        let Some(node) = better.take().or_else(|| candidates.into_iter().find(|node| !failed.contains(node))) else {
            failed.clear();
            tokio::time::sleep(backoff.step()).await;
            continue;
        };
        let before = live.newest();
        match copy_from(ctx, live, node).await {
            Ok(further) => {
                failed.clear();
                better = further;
            }
            Err(status) => {
                tracing::debug!(mount = %live.name(), node = %format!("{node:x}"), %status, "upstream left");
                failed.insert(node);
            }
        }
        if live.newest() != before {
            backoff.reset();
        }
    }
}

/// An open subscription.
pub(super) struct Feed {
    stream: Streaming<FrameBatch>,
}

impl Feed {
    /// Subscribes at `node` to what follows this node's newest frame.
    pub(super) async fn open(ctx: &Context, live: &LiveMount, node: NodeId) -> Result<Self, Status> {
        let mut client =
            ctx.peers.client_on(node, Lane::Data).map_err(|error| Status::unavailable(error.to_string()))?;
        let after = live.newest().map(position_to_wire);
        let request = SubscribeRequest { mount: live.name().to_string(), after };
        let opened = tokio::time::timeout(OPEN_LIMIT, client.subscribe(request)).await;
        let stream = opened.map_err(|_| Status::deadline_exceeded("no answer"))??.into_inner();
        Ok(Self { stream })
    }

    pub(super) async fn next(&mut self) -> Result<Option<FrameBatch>, Status> {
        self.stream.message().await
    }
}

/// Copies from one node; `Ok` when another node is the origin now, or that one has more; `Err` when this one is no use.
async fn copy_from(ctx: &Context, live: &Arc<LiveMount>, node: NodeId) -> Result<Option<NodeId>, Status> {
    let mut behind = None;
    if !live.live() {
        behind = end_of(ctx, node, live).await.map(|upto| live.catch_up(upto));
    }
    let mut feed = Feed::open(ctx, live, node).await?;
    let mut views = ctx.view.watch();
    let origin =
        |ctx: &Context| ctx.view.now().catalog.origins.get(live.name()).map(|claim| (claim.epoch, claim.origin.node));
    let at_start = origin(ctx);
    // Not begun anew by whatever else happens, or it would never end among many nodes.
    let mut ahead = Box::pin(ahead(ctx, live));
    loop {
        tokio::select! {
            biased;
            batch = feed.next() => {
                let batch = batch?.ok_or_else(|| Status::unavailable("the stream ended"))?;
                take(ctx, live, batch)?;
                behind = behind.filter(|_| live.catching_up());
                ahead.set(self::ahead(ctx, live));
            }
            changed = views.changed() => {
                changed.map_err(|_| Status::cancelled("the node stops"))?;
                let now = origin(ctx);
                // A new origin: go to it directly, rather than to whoever copies from it.
                if now != at_start && now.is_some_and(|(_, holder)| holder != node) {
                    return Ok(None);
                }
            }
            further = &mut ahead => match further {
                // Nobody has more: it is the source that is silent.
                None => ahead.set(self::ahead(ctx, live)),
                Some((further, _)) if further == node => return Err(Status::deadline_exceeded("silent")),
                Some((further, _)) => return Ok(Some(further)),
            }
        }
    }
}

/// The node that has more, asked for after a silence.
async fn ahead(ctx: &Context, live: &Arc<LiveMount>) -> Option<(NodeId, Position)> {
    tokio::time::sleep(SILENCE_MAX).await;
    furthest(ctx, live).await
}

/// Takes a batch into the log.
pub(super) fn take(ctx: &Context, live: &Arc<LiveMount>, batch: FrameBatch) -> Result<(), Status> {
    let unusable = |error: LogError| Status::aborted(error.to_string());
    let frames: Vec<_> = batch.frames.into_iter().filter_map(from_wire).collect();
    let Some(first) = frames.first() else { return Ok(()) };
    let start = EpochStart {
        epoch: first.position.epoch,
        content_type: batch.content_type,
        continues: batch.continues.map(position_from_wire),
    };
    match live.begin_epoch(start) {
        // Frames that are here already, from an epoch that is over.
        Err(LogError::StaleEpoch { .. }) => return Ok(()),
        other => other.map_err(unusable)?,
    }
    live.prepare(batch.header.and_then(from_wire), batch.title).map_err(unusable)?;
    let mut lost = 0;
    let appended = live.append(frames, Some(&mut lost));
    if lost > 0 {
        tracing::warn!(mount = %live.name(), lost, "frames that no node keeps any more were passed over");
        ctx.metrics.frames_lost_total.inc_by(lost);
    }
    match appended {
        Err(LogError::StaleEpoch { .. }) => Ok(()),
        other => other.map_err(unusable),
    }
}
