//! What `autoradio-node demo` plays and measures.

pub mod sound;
pub mod tally;
