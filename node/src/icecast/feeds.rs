//! All feeds of the local Icecast: one for each mount that is live here.

use std::collections::{BTreeMap, BTreeSet};

use autoradio_machine::MountName;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::feed::{Tap, Target, feed};

/// Keeps one feed for each mount of `live`, until `stop` is cancelled. `tap` opens a mount's log; where it gives `None`,
/// the mount is tried again at the next change.
pub(super) async fn run<T: Tap + 'static>(
    target: Target,
    mut live: watch::Receiver<BTreeSet<MountName>>,
    tap: impl Fn(&MountName) -> Option<T>,
    stop: CancellationToken,
) {
    let mut feeds: BTreeMap<MountName, (CancellationToken, JoinHandle<()>)> = BTreeMap::new();
    loop {
        let wanted = live.borrow_and_update().clone();
        feeds.retain(|name, (stop, task)| {
            // A feed that ended by itself may begin anew.
            let keep = wanted.contains(name) && !task.is_finished();
            if !keep {
                stop.cancel();
            }
            keep
        });
        for name in wanted {
            if feeds.contains_key(&name) {
                continue;
            }
            let Some(tap) = tap(&name) else { continue };
            let stop = stop.child_token();
            let task = tokio::spawn(feed(name.to_string(), tap, target.clone(), stop.clone()));
            feeds.insert(name, (stop, task));
        }
        tokio::select! {
            changed = live.changed() => if changed.is_err() { break },
            () = stop.cancelled() => break,
        }
    }
    for (stop, task) in feeds.into_values() {
        stop.cancel();
        if let Err(error) = task.await {
            tracing::error!(%error, "a feed of the local Icecast panicked; this is a bug");
        }
    }
}
