//! The testbed seen from Rust: hosts in network namespaces, a cluster on them, encoders, listeners, decoders.
//!
//! Everything here drives the released binaries and Debian's programs from outside, as their users do. A failed
//! expectation panics with what was seen: this crate is for tests.

mod ask;
mod cluster;
mod decode;
mod encoder;
mod listener;
mod own_ca;
mod own_etc;
mod testbed;
mod wait;
mod whole;
mod writer;

pub use ask::Credentials;
pub use cluster::Cluster;
pub use decode::{Packet, decoder_complaints, mpv_complaints, packets};
pub use encoder::{Encoding, FfmpegLoop, RawSource};
pub use listener::Recording;
pub use own_ca::OwnCa;
pub use own_etc::own_etc;
pub use testbed::{Host, Job, Testbed, program};
pub use wait::wait_until;
pub use whole::whole_frames_len;
pub use writer::Writer;
