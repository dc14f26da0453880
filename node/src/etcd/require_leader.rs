//! Clients that ask for a leader (etcd's `WithRequireLeader`, the metadata `hasleader`) are told at once when there is
//! none, instead of waiting, and may try another node.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use crate::raft::RaftHandle;

const KEY: &str = "hasleader";

/// How long a stream bears that there is no leader: as etcd, three election timeouts of a second.
const LEADERLESS_MAX: Duration = Duration::from_secs(3);

/// Whether a client asks for a leader.
pub(super) fn wanted(metadata: &MetadataMap) -> bool {
    metadata.get(KEY).is_some_and(|value| value.as_bytes() == b"true")
}

pub(super) fn no_leader() -> Status {
    Status::unavailable("etcdserver: no leader")
}

/// Refuses calls that ask for a leader while there is none.
#[derive(Clone)]
pub(super) struct RequireLeader {
    pub(super) raft: RaftHandle,
}

impl Interceptor for RequireLeader {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let led = || self.raft.watch_leader().borrow().is_some();
        if wanted(request.metadata()) && !led() { Err(no_leader()) } else { Ok(request) }
    }
}

/// Waits until there was no leader for [`LEADERLESS_MAX`], or the consensus has stopped.
pub(super) async fn lost(raft: &RaftHandle) {
    let mut leaders = raft.watch_leader();
    loop {
        if leaders.wait_for(Option::is_none).await.is_err() {
            return;
        }
        let found = timeout(LEADERLESS_MAX, leaders.wait_for(Option::is_some)).await;
        if !matches!(found, Ok(Ok(_))) {
            return;
        }
    }
}
