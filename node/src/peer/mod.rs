//! Connections between nodes: the way out ([`Peers`]), the way in ([`serve`]), and the loads that travel on them.

mod accept;
mod begin_tls;
mod calls;
mod certify;
mod connect;
mod envelope;
mod fabric_service;
mod gate;
mod gone;
mod join;
mod keep_trust;
mod line;
mod listen;
mod loads;
mod pool;
mod report;
mod report_in;
mod service;
mod stream;
mod token_join;
mod twins;
mod urgent;

pub use begin_tls::begin_tls;
pub use certify::{NobodyDid, ServerCertificateError, certify_server};
pub use connect::{MESSAGE_MAX_BYTES, PeerUrl, endpoint};
pub use envelope::{CLUSTER_ID_MISMATCH, CallFrom, Envelope};
pub use fabric_service::{BatchStream, FabricService};
pub use join::{Applicant, JoinError, ask_to_join, probe};
pub use keep_trust::keep_trust;
pub use listen::{bind, serve};
pub use loads::Loads;
pub use pool::{Client, Lane, PeerError, Peers};
pub use report::{Process, refresh_own_load, report_to_all};
pub use stream::{Caller, TlsCaller};
pub use token_join::{Joined, join_by_token};
pub use urgent::Urgent;
