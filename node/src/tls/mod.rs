//! TLS by rustls, with ring as its only provider: files in, configurations out, read again when the files change.
//!
//! Used by the clients' port; what is not about one port is here once.

mod certificate;
mod contents;
mod error;
mod files;
mod handshake;
mod live;
mod peer;
mod pem;
mod provider;
mod server;

pub use certificate::{Facts, facts};
pub use error::TlsError;
pub use files::TlsFiles;
pub use handshake::{Refused, accept};
pub use live::{Follower, LiveServer};
pub use peer::{PeerAddress, PeerCommonName};
pub use provider::{install_provider, provider};
pub use server::for_clients;
