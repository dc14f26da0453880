//! Consensus: openraft over sled, wrapped whole. No openraft type leaves this crate.

mod applied;
mod aside;
mod barrier;
mod consensus;
mod disk;
mod error;
mod files;
mod flusher;
mod folder_files;
mod handover;
mod identity;
mod log;
mod membership;
mod network;
mod observer;
mod open;
mod options;
mod proposals;
mod sled_disk;
mod sled_folder;
mod snapshot;
mod state;
mod status;
mod transport;
mod types;
mod witness;

pub use consensus::{Consensus, Proposed};
pub use disk::{Cell, Disk, Done, Files, Tree, Visit};
pub use error::{ConsensusError, StoreError};
pub use identity::Identity;
pub use observer::Observer;
pub use open::Storage;
pub use options::Options;
pub use status::{RaftStatus, Role};
pub use transport::{BoxFuture, RpcKind, Transport, TransportError};
