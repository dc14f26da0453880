//! The daemon, whole: nodes in this process on loopback ports.
#![allow(missing_docs)]

mod bootstrap;
mod cluster;
mod etcd;
mod front;
mod intruders;
mod keep;
mod people;
mod setup;
mod support;
mod trust;
