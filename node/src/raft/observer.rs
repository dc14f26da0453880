//! What follows from applied entries: a new catalog for the view, and (with the etcd API) watch events.

use std::sync::Arc;

use autoradio_machine::{Catalog, Event, LogIndex, Machine};
use autoradio_store::Observer;
use tokio::sync::watch;

/// Is told of every applied batch besides the catalog. The place of the etcd API's watch hub. Must not block.
pub trait AppliedSink: Send + Sync + 'static {
    /// Events of entries up to `index`, in order.
    fn applied(&self, machine: &Machine, index: LogIndex, events: &[Event]);
    /// The state was replaced whole.
    fn restored(&self, machine: &Machine, index: LogIndex);
}

/// Publishes each new [`Catalog`], and passes on to the sinks.
pub struct CatalogObserver {
    catalog: watch::Sender<Catalog>,
    sinks: Vec<Arc<dyn AppliedSink>>,
}

impl CatalogObserver {
    /// An observer that feeds the receiver returned, and then `sinks` in order.
    #[must_use]
    pub fn channel(sinks: Vec<Arc<dyn AppliedSink>>) -> (Arc<Self>, watch::Receiver<Catalog>) {
        let (catalog, receiver) = watch::channel(Catalog::default());
        (Arc::new(Self { catalog, sinks }), receiver)
    }

    /// Publishes the catalog as `machine` has it now.
    pub fn publish(&self, machine: &Machine) {
        let new = machine.catalog();
        self.catalog.send_if_modified(|old| {
            // The maps are made anew only where something in them changed, so identity tells; the revision alone
            // (a write elsewhere in the store) wakes nobody.
            let same = Arc::ptr_eq(&old.mounts, &new.mounts)
                && Arc::ptr_eq(&old.members, &new.members)
                && Arc::ptr_eq(&old.origins, &new.origins);
            *old = new;
            !same
        });
    }
}

impl Observer for CatalogObserver {
    fn applied(&self, machine: &Machine, index: LogIndex, events: &[Event]) {
        if !events.is_empty() {
            self.publish(machine);
        }
        for sink in &self.sinks {
            sink.applied(machine, index, events);
        }
    }

    fn restored(&self, machine: &Machine, index: LogIndex) {
        self.publish(machine);
        for sink in &self.sinks {
            sink.restored(machine, index);
        }
    }
}
