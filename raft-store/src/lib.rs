//! Consensus: openraft over sled, wrapped whole. No openraft type leaves this crate.

mod api;
pub use api::*;
