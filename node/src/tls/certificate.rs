//! What a certificate says of itself, for log lines and for who a client is.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What a certificate says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The subject's common name; empty where it has none.
    pub common_name: String,
    /// When it begins to be good, in seconds since 1970.
    pub not_before_s: i64,
    /// When it ends to be good, in seconds since 1970.
    pub not_after_s: i64,
    /// Whether servers may use it (no extended key usage, any, or `serverAuth`).
    pub for_servers: bool,
}

/// What a certificate says of itself; `None` for what is none.
#[must_use]
pub fn facts(certificate: &CertificateDer<'_>) -> Option<Facts> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let common_name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let validity = parsed.validity();
    let usage = parsed.extended_key_usage().ok()?;
    Some(Facts {
        common_name: common_name.unwrap_or_default().to_owned(),
        not_before_s: validity.not_before.timestamp(),
        not_after_s: validity.not_after.timestamp(),
        for_servers: usage.is_none_or(|usage| usage.value.any || usage.value.server_auth),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

    use super::*;

    #[test]
    fn name_and_purpose_are_read() {
        let mut params = CertificateParams::new(vec!["host1".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let own = KeyPair::generate().unwrap();
        let found = facts(params.self_signed(&own).unwrap().der()).unwrap();
        assert_eq!((found.common_name.as_str(), found.for_servers), ("root", false));
        assert!(found.not_before_s < found.not_after_s);
        params.extended_key_usages.clear();
        assert!(facts(params.self_signed(&own).unwrap().der()).unwrap().for_servers);
        assert_eq!(facts(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
