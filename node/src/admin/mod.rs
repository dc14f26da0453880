//! radioctl's service: on the admin socket and on the client port.

mod error;
mod mounts;
mod password;
mod present;
mod service;
mod settings;
mod trust;

use autoradio_proto::admin::admin_server::AdminServer;
use tokio::sync::watch;

use crate::context::Context;

pub use trust::trust_service;

/// The service, for the node behind `context`; it refuses while there is none.
#[must_use]
pub fn service(context: watch::Receiver<Option<Context>>) -> AdminServer<service::AdminService> {
    AdminServer::new(service::AdminService::new(context))
}
