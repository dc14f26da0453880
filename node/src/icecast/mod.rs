//! The local Icecast: an attachment of the mount logs. Where `icecast2` is installed, the node runs its own as a child
//! with a generated configuration, and feeds it the live mounts, so that `http://node:8000/PATH` plays on every node.

mod child;
mod log;
mod program;
mod state;

pub use state::{SharedState, State};
