//! Who is who between nodes: the cluster's own CA, each node's certificate, join tokens. What TLS needs of them, and
//! nothing of connections: these are made in `peer` alone.

mod ca;
mod error;
mod files;
mod follow;
mod identity;
mod keyring;
mod name;
mod proof;
mod secret;
mod token;
mod verify;

pub use ca::{Authority, CERTIFICATE_LIFE, Issued};
pub use error::TrustError;
pub use follow::follow;
pub use identity::Identity;
pub use keyring::Keyring;
pub use name::PeerName;
pub use proof::{JoinClaim, KeyProof, check_join, check_key, key_hash, sign_join, sign_key};
pub use secret::{Secret, read_token};
pub use token::{JoinToken, TokenError};
pub use verify::JoinVerifier;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::crypto::CryptoProvider;

/// The only place that names the provider of TLS' cryptography.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The time by this machine's clock, in milliseconds since 1970: for what people compare with theirs.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Random bytes from the system.
///
/// # Errors
/// [`TrustError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], TrustError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| TrustError::Random(error.to_string()))?;
    Ok(bytes)
}
