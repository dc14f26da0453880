//! radioctl's service: on the admin socket and on the client port.

mod error;
mod mounts;
mod people;
mod present;
mod roles;
mod service;
mod settings;
mod trust;

pub(crate) use error::from_raft;

use autoradio_proto::admin::{admin_server::AdminServer, people_server::PeopleServer};
use tokio::sync::watch;

use crate::context::Context;

pub use trust::trust_service;

/// The service, for the node behind `context`; it refuses while there is none.
#[must_use]
pub fn service(context: watch::Receiver<Option<Context>>) -> AdminServer<service::AdminService> {
    AdminServer::new(service::AdminService::new(context))
}

/// Users and the audit log, for the node behind `context`; it refuses while there is none.
#[must_use]
pub fn people(context: watch::Receiver<Option<Context>>) -> PeopleServer<people::PeopleService> {
    PeopleServer::new(people::PeopleService { context })
}
