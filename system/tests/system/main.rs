//! The main job on real input: real encoders, real players, real deaths. Run as root by `scripts/test`.

mod chaos;
mod clients;
mod cluster;
mod demo;
mod disks;
mod encoders;
mod failover;
mod icecast;
mod membership;
mod moved;
mod names;
mod secrets;
mod trust;
