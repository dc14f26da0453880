//! What is known of who asks, put into each request's extensions.

use std::net::SocketAddr;

/// The common name of the certificate that a client presented and that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCommonName(pub String);

/// Where a client's connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);
