//! Mount logs copied from node to node, resumed by position.

mod follow;
mod serve;
mod tail;
mod wire;

pub use follow::start;
pub use serve::Fabric;
