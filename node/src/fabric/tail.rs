//! Before an epoch begins here: what the holder of the mount says, and what others have of its end.

use std::{sync::Arc, time::Duration};

use autoradio_machine::NodeId;
use autoradio_media::Position;
use autoradio_policy::takeover::HolderAnswer;
use autoradio_proto::peer::{HeadReply, HeadRequest};
use tokio::task::JoinSet;

use super::{
    Fabric,
    follow::{Feed, take},
    wire::position_from_wire,
};
use crate::{
    context::Context,
    onair::{Elsewhere, LiveMount},
    peer::Lane,
};

/// A holder that does not answer in this time is overtaken; a LAN answers in a millisecond, another continent in 300.
const HOLDER_LIMIT: Duration = Duration::from_millis(500);
/// How long the other nodes are asked for the end of a mount's log.
const HEADS_LIMIT: Duration = Duration::from_millis(300);
/// How long fetching the missing end may take: the source waits meanwhile.
const FETCH_LIMIT: Duration = Duration::from_millis(700);

#[async_trait::async_trait]
impl Elsewhere for Fabric {
    async fn ask_holder(&self, node: NodeId, live: &LiveMount) -> HolderAnswer {
        ask_holder(self.ctx(), node, live).await
    }

    async fn fetch_tail(&self, live: &Arc<LiveMount>) {
        fetch_tail(self.ctx(), live).await;
    }
}

async fn head(ctx: &Context, node: NodeId, mount: String, limit: Duration) -> Option<HeadReply> {
    let mut client = ctx.peers.client_on(node, Lane::Data).ok()?;
    let answer = tokio::time::timeout(limit, client.head(HeadRequest { mount })).await.ok()?.ok()?;
    Some(answer.into_inner())
}

/// Asks the holder of a mount's claim about its source.
async fn ask_holder(ctx: &Context, node: NodeId, live: &LiveMount) -> HolderAnswer {
    match head(ctx, node, live.name().to_string(), HOLDER_LIMIT).await {
        Some(reply) => HolderAnswer::Answered {
            has_source: reply.has_source,
            source_idle_ms: reply.source_idle_ms,
            epoch: reply.source_epoch,
        },
        None => HolderAnswer::NoAnswer,
    }
}

/// Where a node's log of the mount ends.
pub(super) async fn end_of(ctx: &Context, node: NodeId, live: &LiveMount) -> Option<Position> {
    head(ctx, node, live.name().to_string(), HEADS_LIMIT).await?.newest.map(position_from_wire)
}

/// Fetches the frames of former epochs that another node has and this one lacks, within a second.
async fn fetch_tail(ctx: &Context, live: &Arc<LiveMount>) {
    let Some((node, newest)) = furthest(ctx, live).await else { return };
    let fetched = tokio::time::timeout(FETCH_LIMIT, fetch(ctx, live, node, newest)).await;
    let reached = live.newest() >= Some(newest);
    if !reached {
        tracing::warn!(mount = %live.name(), ?fetched, "the end of the former epoch could not be fetched whole");
    }
}

/// The node whose log goes furthest beyond this one's.
pub(super) async fn furthest(ctx: &Context, live: &LiveMount) -> Option<(NodeId, Position)> {
    let view = ctx.view.now();
    let mut asked = JoinSet::new();
    for node in view.catalog.members.keys().copied().filter(|id| *id != view.me) {
        let (ctx, mount) = (ctx.clone(), live.name().to_string());
        asked.spawn(async move { Some((node, head(&ctx, node, mount, HEADS_LIMIT).await?.newest?)) });
    }
    let heads = asked.join_all().await.into_iter().flatten();
    let best = heads.map(|(node, newest)| (position_from_wire(newest), node)).max()?;
    (Some(best.0) > live.newest()).then_some((best.1, best.0))
}

async fn fetch(ctx: &Context, live: &Arc<LiveMount>, node: NodeId, upto: Position) -> Result<(), tonic::Status> {
    let _catching_up = live.catch_up(upto);
    let mut feed = Feed::open(ctx, live, node).await?;
    while live.newest() < Some(upto) {
        let Some(batch) = feed.next().await? else { return Ok(()) };
        take(ctx, live, batch)?;
    }
    Ok(())
}
