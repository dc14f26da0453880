//! A node as a value: started, asked, stopped. Several run in one process in the demo and in tests.

mod authority;
mod birth;
mod client_port;
mod cluster_tls;
mod error;
mod found;
mod health;
mod http;
mod keep;
mod node;
mod notify;
mod parts;
mod ports;
mod process;
mod process_metrics;
mod ready;
mod recover;
mod removed;
mod setup;
mod socket;
mod strangers;
mod twin;

pub use birth::{Birth, FirstMember};
pub use error::StartError;
pub use node::{Node, Start};
pub use process::{EXIT_DAMAGED, EXIT_DISK, EXIT_FATAL, exit_code, run};
pub use setup::{Daemon, SetupError};
