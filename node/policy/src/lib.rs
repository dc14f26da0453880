//! Pure decisions: balance, DNS answers, request heads, generated configuration, membership.

pub mod answer;
pub mod balance;
pub mod chunked;
pub mod compaction;
pub mod dice;
pub mod dns;
#[cfg(test)]
mod example;
pub mod fitness;
pub mod followers;
pub mod head;
pub mod health;
pub mod host;
pub mod icecast_xml;
pub mod membership;
pub mod route;
pub mod status_json;
pub mod takeover;
mod target;
mod view;
pub use target::MAX_QUERY_PARAMETERS;
pub use view::{ClusterView, Heard, Load, MountLoad};
