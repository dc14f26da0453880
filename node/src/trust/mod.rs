//! Who is who between nodes: the cluster's own CA, each node's certificate, join tokens. What TLS needs of them, and
//! nothing of connections: these are made in `peer` alone.

mod ca;
mod credentials;
mod error;
mod files;
mod keyring;
mod name;
mod proof;
mod secret;
mod token;
mod verify;

pub use ca::{Authority, CERTIFICATE_LIFE, Issued};
pub use credentials::Credentials;
pub use error::TrustError;
pub use keyring::{Keyring, Wire};
pub use name::PeerName;
pub use proof::{EXPORTER_BYTES, EXPORTER_LABEL, JoinClaim, KeyProof, check_join, check_key, key_hash, sign_key};
pub use secret::{SecretError, read_token};
pub use token::{JoinToken, TokenError};
pub use verify::{Distrust, JoinVerifier, distrust, explain};

use std::time::{SystemTime, UNIX_EPOCH};

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
