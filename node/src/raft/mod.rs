//! The replicated state as the daemon sees it: proposals and reads from any node, with forwarding to the leader.

mod admission;
mod asked;
mod authenticate;
mod compactor;
mod error;
mod forward;
mod handle;
mod keeper;
mod lease_time;
mod leases;
mod observer;
mod proposals;
mod publish;
mod reads;
mod retry;
mod session;
mod steward;
mod token_time;
mod tokens;
mod transport;
pub mod wire;

pub use compactor::compact_by_itself;
pub use error::RaftError;
pub use handle::{PROPOSE_TIMEOUT, RaftHandle};
pub use keeper::keep_leases;
pub use leases::LeaseKeeper;
pub use observer::{AppliedSink, CatalogObserver};
pub use proposals::Proposals;
pub use publish::{public_face, publish_self};
pub use retry::Backoff;
pub use session::hold_node_lease;
pub use steward::steward;
pub use token_time::keep_tokens;
pub use tokens::TokenKeeper;
pub use transport::PeerTransport;
