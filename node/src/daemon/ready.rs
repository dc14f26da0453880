//! When a node may be sent listeners: when it has caught up with the cluster.

use std::time::Duration;

use crate::{context::Context, raft::Backoff};

/// First and longest wait between looks.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Sets the node ready once it has applied what the cluster had when it asked.
pub(super) async fn announce(context: Context) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        match context.stop.run_until_cancelled(context.raft.barrier()).await {
            None => return,
            Some(Ok(())) => break,
            Some(Err(error)) => tracing::debug!(%error, "not caught up yet"),
        }
        if context.stop.run_until_cancelled(tokio::time::sleep(backoff.step())).await.is_none() {
            return;
        }
    }
    context.metrics.set_ready(true);
    tracing::info!(node = %context.config.name, "ready");
}
