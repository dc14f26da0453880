//! The cluster as this node sees it: one immutable picture, replaced whole.

use std::{sync::Arc, time::Duration};

use autoradio_policy::ClusterView;
use autoradio_store::{RaftStatus, Role};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{peer::Loads, raft::RaftHandle};

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

/// A picture is made anew at least so often, since loads age while nothing happens.
const REFRESH: Duration = Duration::from_millis(500);

/// And at most so often, however fast news come: a thousand mounts make a picture expensive.
const SETTLE: Duration = Duration::from_millis(20);

/// A leader that heard no majority for so long has lost it (two election timeouts).
const QUORUM_LOST_MS: u64 = 4_000;

/// The picture of this moment.
#[must_use]
pub fn picture(raft: &RaftHandle, loads: &Loads) -> ClusterView {
    let status = raft.status();
    ClusterView {
        me: raft.node_id(),
        catalog: raft.catalog(),
        quorum: has_quorum(&status),
        leader: status.leader,
        voters: status.voters,
        loads: loads.heard(),
    }
}

fn has_quorum(status: &RaftStatus) -> bool {
    match status.role {
        Role::Leader => status.millis_since_quorum_ack.is_none_or(|ms| ms < QUORUM_LOST_MS),
        Role::Candidate => false,
        Role::Follower | Role::Learner => status.leader.is_some(),
    }
}

/// Makes pictures whenever catalog, loads or consensus change, until `stop`.
pub async fn keep_view(
    raft: RaftHandle,
    loads: Loads,
    sender: watch::Sender<Arc<ClusterView>>,
    stop: CancellationToken,
) {
    let (mut catalog, mut status, mut reports) = (raft.watch_catalog(), raft.watch_status(), loads.watch());
    loop {
        catalog.mark_unchanged();
        status.mark_unchanged();
        reports.mark_unchanged();
        sender.send_replace(Arc::new(picture(&raft, &loads)));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REFRESH) => {}
            Ok(()) = catalog.changed() => {}
            Ok(()) = status.changed() => {}
            Ok(()) = reports.changed() => {}
        }
        if stop.run_until_cancelled(tokio::time::sleep(SETTLE)).await.is_none() {
            return;
        }
    }
}
