//! What `autoradio-node demo` plays and measures.

pub mod encoder;
pub mod listener;
pub mod sound;
pub mod tally;

#[cfg(test)]
mod tests;
