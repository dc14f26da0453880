//! Seeds, determinism, and planted faults.

mod planted;
mod seeds;
