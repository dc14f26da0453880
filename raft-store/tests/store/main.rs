//! The consensus with several nodes in one process, over a transport in memory that can be cut.

mod cluster;
mod disk;
mod elections;

pub(crate) use cluster::{Cluster, PATIENCE, eventually};
