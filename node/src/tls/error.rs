//! Why TLS cannot be served with what was given.

use std::path::PathBuf;

/// Why TLS cannot be served with what was given.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or may not be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} has no {wanted}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it should have.
        wanted: &'static str,
        /// What it has instead.
        reason: String,
    },
    /// Certificate and key do not fit together, or are of a kind that is not supported.
    #[error("certificate {cert} and key {key} cannot be used: {reason}")]
    Unfit {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}
