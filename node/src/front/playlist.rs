//! `/PATH.m3u`, `.pls`, `.xspf`: the best nodes in order.

use std::sync::Arc;

use autoradio_machine::{Member, MountName};
use autoradio_media::playlist::{m3u, pls, xspf};
use autoradio_policy::{
    ClusterView,
    answer::{Refuse, document},
    balance::{LbPolicy, best_nodes, listen_url, url_path},
    route::{PlaylistKind, STREAM_PREFIX},
};

use super::{
    FrontError,
    connection::{Front, Request},
    date,
};
use crate::context::Context;

/// Nodes that a playlist names: enough for two deaths, and short enough for kitchen radios.
const NODES_MAX: usize = 4;

/// Writes a playlist.
pub(super) async fn serve(
    front: &Front,
    request: Request,
    mount: &MountName,
    kind: PlaylistKind,
    with_body: bool,
) -> Result<(), FrontError> {
    let Some(settings) = front.mount(mount).await else { return request.refuse(&Refuse::UnknownMount).await };
    let mut urls = urls(front.context(), mount);
    if urls.is_empty() {
        // A node that nobody was told of: it names itself as the player does.
        let host = request.head.header("host").filter(|host| !host.is_empty());
        urls.extend(host.map(|host| format!("http://{host}{}", url_path(mount))));
    }
    let title = settings.title.as_deref().unwrap_or(mount.as_str());
    let (mime, body) = match kind {
        PlaylistKind::M3u => ("audio/x-mpegurl", m3u(title, &urls)),
        PlaylistKind::Pls => ("audio/x-scpls", pls(title, &urls)),
        PlaylistKind::Xspf => ("application/xspf+xml", xspf(title, &urls)),
    };
    request.answer(&document(&date::now(), mime, &body, with_body)).await
}

/// Where the mount is best heard, in order.
fn urls(ctx: &Context, mount: &MountName) -> Vec<String> {
    let view = ctx.view.now();
    best_members(ctx, &view, mount).filter_map(|member| listen_url(member, domain(ctx), mount)).collect()
}

/// Where a listener that cannot be served here is sent: the best other node, at the path that is never redirected again.
pub(super) fn other_node(ctx: &Context, mount: &MountName) -> Option<String> {
    let view = ctx.view.now();
    let member = best_members(ctx, &view, mount).find(|member| member.id != view.me && !member.drained)?;
    let url = listen_url(member, domain(ctx), mount)?;
    let host_end = url.len().checked_sub(url_path(mount).len())?;
    Some(format!("{}{STREAM_PREFIX}{}", &url[..host_end], &url[host_end..]))
}

fn best_members<'a>(
    ctx: &Context,
    view: &'a ClusterView,
    mount: &MountName,
) -> impl Iterator<Item = &'a Arc<Member>> + use<'a> {
    let policy: LbPolicy = ctx.config.lb_policy.parse().unwrap_or_default();
    best_nodes(view, &policy, mount, NODES_MAX, seed()).into_iter().filter_map(|id| view.catalog.members.get(&id))
}

fn domain(ctx: &Context) -> &str {
    ctx.config.domain.as_deref().unwrap_or_default()
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness everybody gets the same order, which is still right.
    let _ = getrandom::fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
