//! All mount logs of this node, and the clock that seals them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use autoradio_machine::{Catalog, MountName};
use autoradio_policy::MountLoad;
use tokio::sync::watch;

use super::live::{Listening, LiveMount};
use crate::context::Context;

/// How often listeners are written to (measured: `docs/benchmarks.md`; players with the default burst bear it).
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// Mounts are sealed at different moments, so that not all listeners of a node are written to at once.
const TICK: Duration = Duration::from_millis(125);
/// A log that nobody wants is kept so long beyond the mount's hold.
const IDLE_MAX: Duration = Duration::from_secs(60);

const UNPOISONED: &str = "nothing panics while it holds the registry";

/// All mount logs of this node, by mount. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct OnAir {
    mounts: Arc<RwLock<BTreeMap<MountName, Arc<LiveMount>>>>,
    names: Arc<watch::Sender<BTreeSet<MountName>>>,
}

impl OnAir {
    /// A mount's log, if this node has one.
    #[must_use]
    pub fn get(&self, name: &MountName) -> Option<Arc<LiveMount>> {
        self.mounts.read().expect(UNPOISONED).get(name).cloned()
    }

    /// The log of a mount as the catalog has it, made if need be. One of a mount of that name which was deleted ends.
    #[must_use]
    pub fn open(&self, name: &MountName, catalog: &Catalog) -> Arc<LiveMount> {
        let created = catalog.created(name);
        // One that is newer than the caller's catalog is right.
        let fits = |live: &Arc<LiveMount>| live.created() >= created;
        if let Some(live) = self.get(name).filter(fits) {
            return live;
        }
        let mut mounts = self.mounts.write().expect(UNPOISONED);
        if let Some(live) = mounts.get(name).cloned().filter(fits) {
            return live;
        }
        let live = Arc::new(LiveMount::new(name.clone(), created));
        if let Some(former) = mounts.insert(name.clone(), live.clone()) {
            former.end();
        }
        self.names.send_replace(mounts.keys().cloned().collect());
        live
    }

    /// A listener's place at a mount; who copies logs is told at once.
    #[must_use]
    pub fn listen(&self, name: &MountName, catalog: &Catalog) -> Listening {
        let live = self.open(name, catalog);
        let listening = live.listen();
        if live.listeners() == 1 {
            self.names.send_modify(|_| {});
        }
        listening
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<LiveMount>> {
        self.mounts.read().expect(UNPOISONED).values().cloned().collect()
    }

    /// The mounts with a log here, as they come and go.
    #[must_use]
    pub fn watch_names(&self) -> watch::Receiver<BTreeSet<MountName>> {
        self.names.subscribe()
    }

    /// Mounts with listeners here.
    #[must_use]
    pub fn with_listeners(&self) -> BTreeSet<MountName> {
        self.all().iter().filter(|live| live.listeners() > 0).map(|live| live.name().clone()).collect()
    }

    /// What this node reports of its logs.
    #[must_use]
    pub fn loads(&self) -> BTreeMap<MountName, MountLoad> {
        self.all().iter().map(|live| (live.name().clone(), live.load())).collect()
    }

    /// Forgets a log, unless another has taken its place.
    fn remove(&self, live: &Arc<LiveMount>) {
        let mut mounts = self.mounts.write().expect(UNPOISONED);
        if mounts.get(live.name()).is_some_and(|known| Arc::ptr_eq(known, live)) {
            mounts.remove(live.name());
        }
        self.names.send_replace(mounts.keys().cloned().collect());
    }

    /// Forgets a log that nobody has but the caller. A source or listener that found it a moment ago and is not counted
    /// yet would be on air where nobody hears it.
    fn remove_unused(&self, live: &Arc<LiveMount>) -> bool {
        let mut mounts = self.mounts.write().expect(UNPOISONED);
        // This map's and the caller's; nobody gets another while the map is locked.
        let unused = Arc::strong_count(live) <= 2;
        if unused {
            mounts.remove(live.name());
            self.names.send_replace(mounts.keys().cloned().collect());
        }
        unused
    }
}

/// Starts the clock that seals chunks and forgets what nobody wants.
pub fn start(context: &Context) {
    let ctx = context.clone();
    context.tasks.spawn(async move {
        let mut due: BTreeMap<MountName, Instant> = BTreeMap::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut catalogs = ctx.raft.watch_catalog();
        loop {
            tokio::select! {
                _ = tick.tick() => turn(&ctx, &mut due),
                // At once: a mount that was deleted and made anew must not begin with what was there before.
                Ok(()) = catalogs.changed() => turn(&ctx, &mut due),
                () = ctx.stop.cancelled() => return,
            }
        }
    });
}

fn turn(ctx: &Context, due: &mut BTreeMap<MountName, Instant>) {
    // Not the view's, which is older: a mount that a source or listener was let in to must not look deleted.
    let (now, catalog) = (Instant::now(), ctx.raft.catalog());
    let hold = ctx.config.hold;
    for live in ctx.on_air.all() {
        let name = live.name();
        let known = live.is_in(&catalog);
        let idle = live.listeners() == 0
            && live.source().is_none()
            && live.silent_for().is_none_or(|silent| silent > hold + IDLE_MAX)
            && !catalog.origins.contains_key(name);
        if !known {
            live.end();
            ctx.on_air.remove(&live);
        }
        if !known || (idle && ctx.on_air.remove_unused(&live)) {
            due.remove(name);
            continue;
        }
        // A constant rhythm: a turn that came late does not shift the next.
        let next = due.entry(name.clone()).or_insert(now);
        if *next <= now {
            live.seal();
            *next = (*next + SEAL_EVERY).max(now + SEAL_EVERY / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_somebody_has_just_found_is_not_forgotten() {
        let on_air = OnAir::default();
        let name = MountName::parse("/live").unwrap();
        let catalog = Catalog::default();
        let (found, turned) = (on_air.open(&name, &catalog), on_air.open(&name, &catalog));
        assert!(!on_air.remove_unused(&turned));
        drop(found);
        assert!(on_air.remove_unused(&turned) && on_air.get(&name).is_none());
    }

    #[test]
    fn a_mount_that_was_made_anew_has_a_log_of_its_own() {
        let (on_air, name) = (OnAir::default(), MountName::parse("/live").unwrap());
        let catalog = |created| Catalog { created: Arc::new([(name.clone(), created)].into()), ..Catalog::default() };
        let former = on_air.open(&name, &catalog(3));
        let present = on_air.open(&name, &catalog(9));
        assert!(!Arc::ptr_eq(&former, &present));
        assert!(Arc::ptr_eq(&present, &on_air.open(&name, &catalog(9))));
        assert!(Arc::ptr_eq(&present, &on_air.open(&name, &catalog(3))), "from who has not heard yet");
        on_air.remove(&former);
        assert!(on_air.get(&name).is_some());
    }
}
