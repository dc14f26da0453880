//! Pure decisions: balance, DNS answers, request heads, generated configuration, membership.

mod dice;
pub mod dns;
#[cfg(test)]
mod example;
pub mod fitness;
pub mod head;
pub mod host;
pub mod route;
mod target;
mod view;
pub use target::MAX_QUERY_PARAMETERS;
pub use view::{ClusterView, Heard, Load, MountLoad};
