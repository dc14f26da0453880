//! The cluster as this node sees it: one immutable picture, replaced whole.

use std::sync::Arc;

use autoradio_policy::ClusterView;
use tokio::sync::watch;

/// The newest [`ClusterView`], and a way to wait for the next. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ViewHandle {
    receiver: watch::Receiver<Arc<ClusterView>>,
}

impl ViewHandle {
    /// A handle, and the sender that feeds it (one task owns it).
    #[must_use]
    pub fn channel(first: ClusterView) -> (watch::Sender<Arc<ClusterView>>, Self) {
        let (sender, receiver) = watch::channel(Arc::new(first));
        (sender, Self { receiver })
    }

    /// The picture now.
    #[must_use]
    pub fn now(&self) -> Arc<ClusterView> {
        self.receiver.borrow().clone()
    }

    /// A receiver that sees every later picture (it may skip some, never the newest).
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.receiver.clone()
    }
}
