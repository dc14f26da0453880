//! A founder whose list names nodes of another cluster waits for a majority for ever (etcd does, too, and logs “request
//! cluster ID mismatch”): it says so, and what to do.

use std::time::Duration;

use autoradio_machine::hex_id;
use autoradio_proto::peer::ReadIndexRequest;
use tokio::time::{sleep, timeout};

use super::Birth;
use crate::{
    context::Context,
    peer::{CLUSTER_ID_MISMATCH, Lane},
};

/// How often the others are asked while the cluster has not begun.
const EVERY: Duration = Duration::from_secs(5);

/// How long one is given to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Looks for nodes of another cluster until this node's own has begun.
pub(super) async fn watch(context: Context, birth: Birth) {
    let others: Vec<_> = birth.members.iter().filter(|member| member.id != birth.identity.node_id).collect();
    if !birth.founder || others.is_empty() {
        return;
    }
    loop {
        sleep(EVERY).await;
        if context.raft.read(|machine| machine.cluster_id().is_some()) {
            return;
        }
        for other in &others {
            let Ok(mut client) = context.peers.client_on(other.id, Lane::Control) else { continue };
            let answer = timeout(ANSWER_LIMIT, client.read_index(ReadIndexRequest { timeout_ms: 0 })).await;
            if let Ok(Err(status)) = answer
                && status.message().starts_with(CLUSTER_ID_MISMATCH)
            {
                let (own, data_dir) = (hex_id(birth.identity.cluster_id), context.config.data_dir.display());
                tracing::error!(
                    "{} at {} is of another cluster ({}); this node founded cluster {own} of its own by \
                     --initial-cluster, which has not begun. To join the other: stop this node, empty {data_dir}, add it \
                     there with etcdctl member add, and start it with ETCD_INITIAL_CLUSTER_STATE=existing",
                    other.name,
                    other.peer_url,
                    status.message()
                );
            }
        }
    }
}
