//! [`Authority`]: the cluster's own CA.

use std::time::Duration;

use autoradio_machine::{ClusterId, hex_id};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, SignatureAlgorithm, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;

use super::{PeerName, TrustError};

/// How long a node's certificate lasts: 90 days.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 24 * 3_600);

/// How long the CA lasts: longer than the servers. It is known by its key's hash, and changed by making another.
const CA_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3_600);

/// A certificate is valid from so long ago, for hosts whose clocks are behind.
const CLOCK_SLACK: Duration = Duration::from_secs(24 * 3_600);

/// The CA of a cluster, with its key.
pub struct Authority {
    cluster_id: ClusterId,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A node's certificate, and from when until when it is valid (seconds since 1970).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// From when.
    pub not_before_s: u64,
    /// Until when.
    pub not_after_s: u64,
}

/// A public key as it came: an uncompressed point of P-256.
struct PublicKey<'a>(&'a [u8]);

impl PublicKeyData for PublicKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Authority").field("cluster_id", &hex_id(self.cluster_id)).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new CA for a cluster.
    ///
    /// # Errors
    /// The cryptography's.
    pub fn create(cluster_id: ClusterId, now_s: u64) -> Result<Self, TrustError> {
        let key = KeyPair::generate().map_err(TrustError::crypto("making the CA's key"))?;
        let mut params = subject(cluster_id);
        valid(&mut params, now_s.saturating_sub(CLOCK_SLACK.as_secs()), now_s + CA_LIFE.as_secs());
        let certificate = params.self_signed(&key).map_err(TrustError::crypto("making the CA's certificate"))?;
        Ok(Self { cluster_id, certificate: certificate.der().clone(), issuer: Issuer::new(params, key) })
    }

    /// The CA from its key (PEM, PKCS#8) and certificate.
    ///
    /// # Errors
    /// A key that cannot be read, or one of another certificate.
    pub fn from_key(
        cluster_id: ClusterId,
        key_pem: &str,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, TrustError> {
        let key = KeyPair::from_pem(key_pem).map_err(TrustError::crypto("reading the CA's key"))?;
        if key.subject_public_key_info() != spki(&certificate)? {
            let reason = "it is not the key of the CA's certificate".into();
            return Err(TrustError::Crypto { what: "reading the CA's key", reason });
        }
        Ok(Self { cluster_id, certificate, issuer: Issuer::new(subject(cluster_id), key) })
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its key, for a file that nobody else reads, or another voter (PEM, PKCS#8).
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for the node whose public key this is.
    ///
    /// # Errors
    /// Another cluster's node, or the cryptography's.
    pub fn issue(&self, name: PeerName, public_key: &[u8], now_s: u64, life: Duration) -> Result<Issued, TrustError> {
        if name.cluster_id != self.cluster_id {
            let reason = format!("this is the CA of cluster {}", hex_id(self.cluster_id));
            return Err(TrustError::Crypto { what: "certifying a node of another cluster", reason });
        }
        let (not_before_s, not_after_s) = (now_s.saturating_sub(CLOCK_SLACK.as_secs()), now_s + life.as_secs());
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("autoradio node {}", hex_id(name.node_id)));
        let uri = name.to_string().try_into().map_err(TrustError::crypto("naming a node"))?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, not_before_s, not_after_s);
        let signed = params.signed_by(&PublicKey(public_key), &self.issuer);
        let certificate = signed.map_err(TrustError::crypto("making a node's certificate"))?.der().clone();
        Ok(Issued { certificate, not_before_s, not_after_s })
    }

    /// A certificate for a server of clients at these names and addresses. It names no node: peers do not take it.
    ///
    /// # Errors
    /// The cryptography's, or what is no name.
    pub fn issue_server(
        &self,
        hosts: &[String],
        public_key: &[u8],
        now_s: u64,
        life: Duration,
    ) -> Result<Issued, TrustError> {
        let (not_before_s, not_after_s) = (now_s.saturating_sub(CLOCK_SLACK.as_secs()), now_s + life.as_secs());
        let mut params = CertificateParams::new(hosts).map_err(TrustError::crypto("naming a server"))?;
        params.distinguished_name.push(DnType::CommonName, "autoradio server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, not_before_s, not_after_s);
        let signed = params.signed_by(&PublicKey(public_key), &self.issuer);
        let certificate = signed.map_err(TrustError::crypto("making a server's certificate"))?.der().clone();
        Ok(Issued { certificate, not_before_s, not_after_s })
    }
}

/// The SHA-256 of a certificate's public key (SPKI), which a CA is known by in join tokens.
///
/// # Errors
/// No certificate.
pub(super) fn spki_hash(certificate: &CertificateDer<'_>) -> Result<[u8; 32], TrustError> {
    let spki = spki(certificate)?;
    Ok(digest(&SHA256, &spki).as_ref().try_into().expect("a SHA-256 has 32 bytes"))
}

fn spki(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, TrustError> {
    let parsed = webpki::EndEntityCert::try_from(certificate)
        .map_err(|error| TrustError::Crypto { what: "reading a certificate", reason: error.to_string() })?;
    Ok(parsed.subject_public_key_info().to_vec())
}

fn subject(cluster_id: ClusterId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("autoradio cluster {}", hex_id(cluster_id)));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// Sets from when until when a certificate is valid, in seconds since 1970.
fn valid(params: &mut CertificateParams, from_s: u64, until_s: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from_s);
    params.not_after = epoch + Duration::from_secs(until_s);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_certificate_names_its_node_and_a_key_is_its_cas() {
        let ca = Authority::create(0xc1, NOW).unwrap();
        let node = KeyPair::generate().unwrap();
        let name = PeerName { cluster_id: 0xc1, node_id: 7 };
        let issued = ca.issue(name, node.public_key_raw(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(PeerName::of(&issued.certificate), Some(name));
        assert_eq!(PeerName::of(ca.certificate()), None);
        assert_eq!(issued.not_after_s - NOW, 90 * 24 * 3_600);
        let again = Authority::from_key(0xc1, &ca.key_pem(), ca.certificate().clone()).unwrap();
        assert_eq!(spki_hash(again.certificate()).unwrap(), spki_hash(ca.certificate()).unwrap());
        let other = Authority::create(0xc1, NOW).unwrap();
        assert!(Authority::from_key(0xc1, &other.key_pem(), ca.certificate().clone()).is_err());
        assert!(
            ca.issue(PeerName { cluster_id: 1, node_id: 7 }, node.public_key_raw(), NOW, CERTIFICATE_LIFE).is_err()
        );
        assert!(!format!("{ca:?}").contains("KeyPair"), "no key in what is logged");
    }
}
