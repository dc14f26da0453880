//! Pure decisions: balance, DNS answers, request heads, generated configuration, membership.

mod view;
pub use view::{ClusterView, Heard, Load, MountLoad};
