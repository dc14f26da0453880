//! The consensus with several nodes in one process, over a transport in memory that can be cut.
#![allow(clippy::unwrap_used, reason = "a test")]

mod auth;
mod cluster;
mod disk;
mod elections;
mod formats;
mod full;
mod power;
mod rot;
mod seed;
mod slow;

pub(crate) use cluster::{Cluster, PATIENCE, eventually};
