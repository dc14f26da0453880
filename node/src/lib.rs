//! The daemon: everything that does IO. See `docs/design.md`.
//!
//! A node is a value ([`daemon::Node`]): several run in one process in the demo and in tests.

pub mod admin;
pub mod backoff;
pub mod backup;
pub mod caller;
pub mod config;
pub mod context;
pub mod daemon;
pub mod demo;
pub mod dns;
pub mod etcd;
pub mod etcd_v2;
pub mod fabric;
pub mod front;
mod gathered;
pub mod icecast;
pub mod metrics;
pub mod onair;
mod password;
pub mod peer;
pub mod raft;
pub mod status;
pub mod tls;
pub mod trust;
pub mod view;
