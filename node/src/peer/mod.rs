//! Connections between nodes: the way out ([`Peers`]), the way in ([`serve`]), and the loads that travel on them.

mod connect;
mod envelope;
mod fabric_service;
mod gone;
mod join;
mod listen;
mod loads;
mod pool;
mod report;
mod service;

pub use connect::{MESSAGE_MAX_BYTES, endpoint};
pub use envelope::{CLUSTER_ID_MISMATCH, CallFrom, Envelope};
pub use fabric_service::{BatchStream, FabricService};
pub use join::{Applicant, JoinError, ask_to_join, probe};
pub use listen::{bind, serve};
pub use loads::Loads;
pub use pool::{Client, Lane, PeerError, Peers};
pub use report::{refresh_own_load, report_to_all};
