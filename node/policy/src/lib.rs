//! Pure decisions: balance, DNS answers, request heads, generated configuration, membership.

pub mod head;
pub mod route;
mod target;
mod view;
pub use target::MAX_QUERY_PARAMETERS;
pub use view::{ClusterView, Heard, Load, MountLoad};
