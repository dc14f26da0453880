//! [`Credentials`]: what a node shows the others, in one file, so that key and certificate are always of each other.

use std::{path::Path, sync::Arc};

use rcgen::KeyPair;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use super::{Issued, PeerName, TrustError, files};

/// A node's key, its certificate, and that of the CA which gave it.
pub struct Credentials {
    name: PeerName,
    certificate: CertificateDer<'static>,
    ca: CertificateDer<'static>,
    key_pem: String,
    certified: Arc<CertifiedKey>,
    not_before_s: u64,
    not_after_s: u64,
}

/// The file: PEM in JSON, for `jq -r .certificate | openssl x509 -text`.
#[derive(Serialize, Deserialize)]
struct Stored {
    certificate: String,
    ca: String,
    key: String,
    not_before_s: u64,
    not_after_s: u64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Credentials")
            .field("name", &self.name.to_string())
            .field("not_after_s", &self.not_after_s)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// What was issued for a key of this node, by the CA of this certificate.
    ///
    /// # Errors
    /// A certificate that names no node, or is not of this key.
    pub fn new(key: &KeyPair, issued: Issued, ca: CertificateDer<'static>) -> Result<Self, TrustError> {
        Self::assemble(key.serialize_pem(), issued, ca)
    }

    fn assemble(key_pem: String, issued: Issued, ca: CertificateDer<'static>) -> Result<Self, TrustError> {
        let wrong = |reason: String| TrustError::Crypto { what: "reading this node's certificate", reason };
        let Issued { certificate, not_before_s, not_after_s } = issued;
        let name = PeerName::of(&certificate).ok_or_else(|| wrong("it names no node".into()))?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let signer = rustls::crypto::ring::sign::any_ecdsa_type(&PrivateKeyDer::Pkcs8(der))
            .map_err(|error| wrong(error.to_string()))?;
        // The CA's own certificate goes along: who joins knows it by its hash only.
        let certified = CertifiedKey::new(vec![certificate.clone(), ca.clone()], signer);
        certified.keys_match().map_err(|error| wrong(error.to_string()))?;
        let certified = Arc::new(certified);
        Ok(Self { name, certificate, ca, key_pem, certified, not_before_s, not_after_s })
    }

    /// Who the certificate says that this node is.
    #[must_use]
    pub fn name(&self) -> PeerName {
        self.name
    }

    /// The CA's certificate.
    #[must_use]
    pub fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    /// Until when the certificate is valid, in seconds since 1970.
    #[must_use]
    pub fn not_after_s(&self) -> u64 {
        self.not_after_s
    }

    /// When it is to be renewed: when two thirds of its life are over, give or take a tenth by `dice` (0 to 255), so
    /// that nodes that were made together do not ask together.
    #[must_use]
    pub fn renew_at_s(&self, dice: u8) -> u64 {
        let life = self.not_after_s.saturating_sub(self.not_before_s);
        self.not_before_s + life * 6 / 10 + life * 13 / 100 * u64::from(dice) / 255
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }

    pub(super) fn load(path: &Path) -> Result<Option<Self>, TrustError> {
        let Some(text) = files::read(path)? else { return Ok(None) };
        let damaged = |reason: String| TrustError::Damaged { path: path.into(), reason };
        let stored: Stored = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let der =
            |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| damaged(error.to_string()));
        let Stored { not_before_s, not_after_s, .. } = stored;
        let issued = Issued { certificate: der(&stored.certificate)?, not_before_s, not_after_s };
        let ca = der(&stored.ca)?;
        Self::assemble(stored.key, issued, ca).map(Some).map_err(|error| damaged(error.to_string()))
    }

    pub(super) fn store(&self, path: &Path) -> Result<(), TrustError> {
        let stored = Stored {
            certificate: files::pem("CERTIFICATE", &self.certificate),
            ca: files::pem("CERTIFICATE", &self.ca),
            key: self.key_pem.clone(),
            not_before_s: self.not_before_s,
            not_after_s: self.not_after_s,
        };
        files::write(path, &serde_json::to_string_pretty(&stored).expect("text and numbers are JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Authority, CERTIFICATE_LIFE};

    fn made(ca: &Authority, now_s: u64) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let name = PeerName { cluster_id: 0xc1, node_id: 7 };
        let issued = ca.issue(name, key.public_key_raw(), now_s, CERTIFICATE_LIFE).unwrap();
        Credentials::new(&key, issued, ca.certificate().clone()).unwrap()
    }

    #[test]
    fn they_come_back_from_their_file_and_another_key_does_not_fit() {
        let ca = Authority::create(0xc1, 1_800_000_000).unwrap();
        let credentials = made(&ca, 1_800_000_000);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.json");
        assert!(Credentials::load(&path).unwrap().is_none());
        credentials.store(&path).unwrap();
        let back = Credentials::load(&path).unwrap().unwrap();
        assert_eq!((back.name, back.not_after_s), (credentials.name, credentials.not_after_s));
        let issued = Issued { certificate: credentials.certificate.clone(), not_before_s: 0, not_after_s: 1 };
        let other = KeyPair::generate().unwrap();
        assert!(Credentials::new(&other, issued, ca.certificate().clone()).is_err());
        std::fs::write(&path, "{}").unwrap();
        assert!(Credentials::load(&path).unwrap_err().to_string().contains("join anew"));
    }

    #[test]
    fn renewal_is_due_around_two_thirds_of_the_life() {
        let credentials = made(&Authority::create(0xc1, 0).unwrap(), 0);
        let life = CERTIFICATE_LIFE.as_secs();
        let (first, last) = (credentials.renew_at_s(0), credentials.renew_at_s(255));
        assert!(first >= life * 59 / 100 && last <= life * 74 / 100 && first < last, "{first} {last}");
    }
}
