//! Why the front failed.

use std::net::SocketAddr;

use autoradio_policy::chunked::ChunkedError;

/// Why the front did not start, or let a connection go.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// A port in use, or an address that is not here.
    #[error("cannot listen on {addr} for HTTP: {source}; see --http-listen")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The other side is gone.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The other side is too slow.
    #[error("{what} took too long")]
    Slow {
        /// What.
        what: &'static str,
    },
    /// A source's chunked body.
    #[error("the source's body is damaged: {0}")]
    Chunked(#[from] ChunkedError),
}
