//! A server's configuration, made of what the files say.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

use super::{Facts, TlsError, TlsFiles, contents::Contents, facts, pem, provider};

/// gRPC, or what else HTTP/1.1 carries.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The configuration, and what its certificate says of itself.
pub(super) fn configuration(contents: &Contents, files: &TlsFiles) -> Result<(ServerConfig, Facts), TlsError> {
    let chain = pem::certificates(&contents.cert, &files.cert)?;
    let key = pem::key(&contents.key, &files.key)?;
    let own = facts(&chain[0]).ok_or_else(|| TlsError::Unusable {
        path: files.cert.clone(),
        wanted: "certificate",
        reason: "the first one in it is damaged".into(),
    })?;
    let unfit = |error: rustls::Error| TlsError::Unfit {
        cert: files.cert.clone(),
        key: files.key.clone(),
        reason: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unfit)?
        .with_client_cert_verifier(verifier(contents, files)?);
    let mut config = builder.with_single_cert(chain, key).map_err(unfit)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok((config, own))
}

/// A configuration by a CA of which server and clients are, each of whom must present a certificate.
///
/// # Errors
/// What does not fit together.
pub fn for_clients(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca: CertificateDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// As etcd: where there is a CA for clients, each must present a certificate of it.
fn verifier(contents: &Contents, files: &TlsFiles) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let (Some(ca), Some(path)) = (&contents.trusted_ca, &files.trusted_ca) else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let unusable = |reason: String| TlsError::Unusable { path: path.clone(), wanted: "CA's certificate", reason };
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(ca, path)? {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    built.map_err(|error| unusable(error.to_string()))
}
