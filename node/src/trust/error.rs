//! What can be wrong with keys and certificates.

use std::path::PathBuf;

/// What is wrong with a key, a certificate, or the file that it is in.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The system's.
    #[error("{path}: {source}; keys and certificates are kept in the data folder, which must be this user's")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cannot be understood.
    #[error("{path}: {reason}; if it cannot be brought back from a copy, remove the node and let it join anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate of another node: a folder that was put together from two.
    #[error("{path} is the certificate of {found}, and this node is {own}; do not mix data folders")]
    NotOwn {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        own: String,
    },
    /// The cryptography's.
    #[error("{what}: {reason}")]
    Crypto {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// No randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

impl TrustError {
    pub(super) fn crypto(what: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |error| Self::Crypto { what, reason: error.to_string() }
    }
}
