//! The whole state as a file: for `etcdctl snapshot save`, `radioctl backup` and every night.

mod file;
mod nightly;

pub use file::{FileError, make, read};
pub use nightly::{FOLDER, keep_nightly};
