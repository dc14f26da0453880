//! The choice of cryptography, in one place.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// What every configuration is built with, so that tests and libraries need no default that was installed before.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Makes it the process' default, for code that asks for none. To be called once, first in `main`.
pub fn install_provider() {
    if ring::default_provider().install_default().is_err() {
        tracing::debug!("a provider of cryptography was installed before");
    }
}
