//! Certificates and keys in PEM.

use std::path::Path;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

use super::TlsError;

/// All certificates of a file, of which there is at least one.
pub(super) fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |reason: String| TlsError::Unusable { path: path.into(), wanted: "certificate", reason };
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| unusable(error.to_string()))?;
    if all.is_empty() { Err(unusable("give PEM, with a line -----BEGIN CERTIFICATE-----".into())) } else { Ok(all) }
}

/// The first key of a file.
pub(super) fn key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let reason = match error {
            _ if is_encrypted(pem) => {
                "it is encrypted; write it without a passphrase, readable by the daemon alone".into()
            }
            Error::NoItemsFound => "give PEM, with a line -----BEGIN PRIVATE KEY-----".into(),
            other => other.to_string(),
        };
        TlsError::Unusable { path: path.into(), wanted: "private key", reason }
    })
}

/// Whether a key is there that only a passphrase opens.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        key(text.as_bytes(), Path::new("/k")).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_key_says_what_it_should_be() {
        assert_eq!(wrong(""), "/k has no private key: give PEM, with a line -----BEGIN PRIVATE KEY-----");
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(wrong(encrypted).contains("without a passphrase"), "{}", wrong(encrypted));
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let none = certificates(b"hello", Path::new("/c")).unwrap_err().to_string();
        assert!(none.starts_with("/c has no certificate: give PEM"), "{none}");
        let cut = certificates(b"-----BEGIN CERTIFICATE-----\n!!\n", Path::new("/c")).unwrap_err().to_string();
        assert!(cut.starts_with("/c has no certificate"), "{cut}");
    }
}
