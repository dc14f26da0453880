//! A cluster in one thread, under virtual time: the real consensus and the real machine, over a network and disks that
//! fail by a seed. The same seed gives the same run, to the last message, where tokio's own dice follow from it too
//! (`--cfg tokio_unstable`, which `scripts/simulate` sets).
//!
//! Each node has a runtime of its own, whose clock stands still while it is not driven. So a node is paused by not
//! driving it (and its clock jumps when it goes on, as after SIGSTOP), and is killed by dropping its runtime; its disk
//! then keeps what was synced. [`simulate`] runs a [`Scenario`] and gives what its checkers found.

mod air;
mod client;
mod dice;
mod disk;
mod findings;
mod member;
mod nemesis;
mod net;
mod node;
mod observer;
mod panics;
mod scenario;
mod server;
mod steward;
mod trace;
mod wire;
mod world;

pub use findings::Report;
pub use scenario::{Events, Planted, Scenario};
pub use world::simulate;
