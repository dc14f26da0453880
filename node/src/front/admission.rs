//! Whether a listener is let in here, or sent elsewhere.

use autoradio_machine::{Mount, MountName};
use autoradio_policy::{answer::Refuse, fitness::is_alive};

use super::playlist;
use crate::context::Context;

/// Whether a listener is let in.
pub(super) enum Admission {
    In,
    Refused(Refuse),
    Elsewhere(String),
}

/// Decides, by the bounds and by whether the node is in service.
pub(super) fn admission(ctx: &Context, settings: &Mount, mount: &MountName, passthrough: bool) -> Admission {
    let view = ctx.view.now();
    if let Some(most) = settings.max_listeners {
        let elsewhere = view.loads.iter().filter(|(id, _)| **id != view.me && is_alive(&view, **id));
        let elsewhere: u32 =
            elsewhere.filter_map(|(_, heard)| heard.load.mounts.get(mount)).map(|log| log.listeners).sum();
        let here = ctx.on_air.get(mount).map_or(0, |live| live.listeners());
        if here.saturating_add(elsewhere) >= most {
            return Admission::Refused(Refuse::Busy(format!("{mount} has as many listeners as it may have ({most})")));
        }
    }
    let full = ctx.metrics.listeners.get() >= i64::from(ctx.config.max_clients);
    let drained = view.catalog.members.get(&view.me).is_some_and(|me| me.drained);
    if !full && !drained {
        return Admission::In;
    }
    let other = (!passthrough).then(|| playlist::other_node(ctx, mount)).flatten();
    match other {
        Some(url) => Admission::Elsewhere(url),
        None if full => Admission::Refused(Refuse::Busy("this node has as many listeners as it may have".into())),
        // Drained, and nobody else is there: better here than nowhere.
        None => Admission::In,
    }
}

/// Whether somebody holds the mount.
pub(super) fn has_source(ctx: &Context, mount: &MountName) -> bool {
    ctx.raft.catalog().origins.contains_key(mount)
}
