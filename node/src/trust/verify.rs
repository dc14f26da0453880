//! Who the other side is, from its certificate. Names in DNS play no part: a node is its id.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Keyring, PeerName, ca::spki_hash, keyring::settle, token::CA_HASH_BYTES};
use crate::tls::provider;

/// Why the other side is not who it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Not ours.
    #[error("its certificate is not of this cluster's CA")]
    OtherCa,
    /// A right certificate in the wrong place.
    #[error("its certificate is of {found}, and {meant} was meant")]
    OtherNode {
        /// Whose it is.
        found: String,
        /// Who was meant.
        meant: String,
    },
    /// A right CA, and no name.
    #[error("its certificate names no node")]
    NoName,
    /// Time.
    #[error("its certificate has ended, or is not valid yet; are both clocks right?")]
    Time,
    /// Anything else.
    #[error("its certificate is not fit: {0}")]
    Unfit(String),
    /// A CA that the token does not know.
    #[error("the join token is of another cluster")]
    OtherClusterThanTokens,
}

impl From<Distrust> for Error {
    fn from(distrust: Distrust) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrust))))
    }
}

/// What went wrong in a handshake, for people.
#[must_use]
pub fn explain(error: &std::io::Error) -> String {
    match distrust(error) {
        Some(distrust) => distrust.to_string(),
        None => error.to_string(),
    }
}

/// The distrust that a handshake ended with, if that is why.
#[must_use]
pub fn distrust(error: &std::io::Error) -> Option<&Distrust> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => other.downcast_ref(),
        _ => None,
    }
}

/// Checks that a certificate was given by `ca`, and gives the node that it names.
fn named(
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    ca: &CertificateDer<'_>,
    now: UnixTime,
    usage: KeyUsage,
) -> Result<PeerName, Distrust> {
    let unfit = |error: webpki::Error| match error {
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => Distrust::OtherCa,
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Distrust::Time,
        other => Distrust::Unfit(other.to_string()),
    };
    let anchors = [anchor_from_trusted_cert(ca).map_err(unfit)?];
    let algorithms = provider().signature_verification_algorithms;
    EndEntityCert::try_from(certificate)
        .and_then(|parsed| parsed.verify_for_usage(algorithms.all, &anchors, others, now, usage, None, None).map(drop))
        .map_err(unfit)?;
    PeerName::of(certificate).ok_or(Distrust::NoName)
}

fn signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
}

fn old_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
}

fn schemes() -> Vec<SignatureScheme> {
    provider().signature_verification_algorithms.supported_schemes()
}

/// Lets only the node in that is meant.
#[derive(Debug)]
pub(super) struct MemberVerifier {
    keyring: Keyring,
    meant: PeerName,
}

impl MemberVerifier {
    pub(super) fn new(keyring: Keyring, meant: PeerName) -> Self {
        Self { keyring, meant }
    }
}

/// Lets members in, and those without a certificate, who may ask to join and no more.
#[derive(Debug)]
pub(super) struct CallerVerifier {
    keyring: Keyring,
}

impl CallerVerifier {
    pub(super) fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }
}

/// Checks a cluster's CA by the hash in a join token, before anything is said.
pub struct JoinVerifier {
    ca_hash: [u8; CA_HASH_BYTES],
    found: Mutex<Option<(PeerName, CertificateDer<'static>)>>,
}

impl fmt::Debug for JoinVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinVerifier").finish_non_exhaustive()
    }
}

impl JoinVerifier {
    /// For a token.
    #[must_use]
    pub fn new(ca_hash: [u8; CA_HASH_BYTES]) -> Arc<Self> {
        Arc::new(Self { ca_hash, found: Mutex::default() })
    }

    /// How TLS is spoken with the member that is asked.
    #[must_use]
    pub fn client_config(self: &Arc<Self>) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("ring has TLS 1.3's suites")
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        settle(&mut config);
        Arc::new(config)
    }

    /// Who was found, and its CA; after the handshake.
    #[must_use]
    pub fn found(&self) -> Option<(PeerName, CertificateDer<'static>)> {
        self.found.lock().expect("nothing panics while it holds it").clone()
    }
}

macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            old_signature(message, certificate, signed)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            signature(message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            schemes()
        }
    };
}

impl ServerCertVerifier for MemberVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let own = self.keyring.credentials().ok_or(Distrust::OtherCa)?;
        let found = named(certificate, others, own.ca(), now, KeyUsage::server_auth())?;
        if found != self.meant {
            return Err(Distrust::OtherNode { found: found.to_string(), meant: self.meant.to_string() }.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ServerCertVerifier for JoinVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_meant = |ca: &&CertificateDer<'_>| spki_hash(ca).is_ok_and(|hash| hash.starts_with(&self.ca_hash));
        let ca = others.iter().find(is_meant).ok_or(Distrust::OtherClusterThanTokens)?;
        let name = named(certificate, others, ca, now, KeyUsage::server_auth())?;
        *self.found.lock().expect("nothing panics while it holds it") = Some((name, ca.clone().into_owned()));
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for CallerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let own = self.keyring.credentials().ok_or(Distrust::OtherCa)?;
        let found = named(certificate, others, own.ca(), now, KeyUsage::client_auth())?;
        if found.cluster_id != own.name().cluster_id {
            let meant = format!("a node of cluster {:x}", own.name().cluster_id);
            return Err(Distrust::OtherNode { found: found.to_string(), meant }.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}
