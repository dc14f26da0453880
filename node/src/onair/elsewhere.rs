//! What the other nodes know of a mount. The front asks, the fabric answers; they meet here.

use std::sync::Arc;

use autoradio_machine::NodeId;
use autoradio_policy::takeover::HolderAnswer;

use super::LiveMount;

/// What the other nodes know of a mount. Each call has its own time limit.
#[async_trait::async_trait]
pub trait Elsewhere: Send + Sync + 'static {
    /// Asks the holder of a mount's claim about its source.
    async fn ask_holder(&self, node: NodeId, live: &LiveMount) -> HolderAnswer;
    /// Fetches the frames of former epochs that another node has and this one lacks.
    async fn fetch_tail(&self, live: &Arc<LiveMount>);
}
