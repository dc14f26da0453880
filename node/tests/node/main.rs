//! The daemon, whole: nodes in this process on loopback ports.
#![allow(missing_docs)]

mod bootstrap;
mod cluster;
mod etcd;
mod front;
mod setup;
mod support;
mod trust;
