//! TLS to a node's client port: which files, and what they are made into.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{args::TlsArgs, error::CliError};

/// Where certificates of one's own CA have always been, for the daemon and for this.
const OWN_CA: &str = "/etc/autoradio/etcd_ca.pem";
const OWN_CERT: &str = "/etc/autoradio/etcd_client.pem";
const OWN_KEY: &str = "/etc/autoradio/etcd_client.key";

/// A node's own certificate and key, and the cluster's CA: what root has on a node.
const NODE: &str = "/var/lib/autoradio/tls/node.json";

/// The files of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Instead of all three, where nothing else is known.
    pub(crate) node: Option<PathBuf>,
}

/// What the files have.
struct Material {
    ca: Vec<CertificateDer<'static>>,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// `node.json`: PEM in JSON.
#[derive(serde::Deserialize)]
struct NodeFile {
    ca: String,
    certificate: String,
    key: String,
}

impl Files {
    /// From the options, then from the environment, then those that are there.
    pub(crate) fn choose(args: TlsArgs, env: impl Fn(&str) -> Option<String>) -> Self {
        let choose = |given: Option<PathBuf>, name: &str| {
            given.or_else(|| env(name).filter(|value| !value.is_empty()).map(PathBuf::from))
        };
        let own = |path: &str| Some(PathBuf::from(path)).filter(|path| path.exists());
        let ca = choose(args.cacert, "AUTORADIO_CACERT").or_else(|| own(OWN_CA));
        let (cert, key) = match (choose(args.cert, "AUTORADIO_CERT"), choose(args.key, "AUTORADIO_KEY")) {
            (None, None) => (own(OWN_CERT), own(OWN_KEY)),
            given => given,
        };
        let node = if ca.is_none() && cert.is_none() { own(NODE) } else { None };
        Self { ca, cert, key, node }
    }

    /// What connections are made with.
    pub(crate) fn connector(&self) -> Result<TlsConnector, CliError> {
        let Some(ca) = self.ca.as_ref().or(self.node.as_ref()) else {
            return Err(CliError::Usage(format!(
                "https:// needs the CA of the server's certificate: give --cacert FILE, or put it at {OWN_CA}"
            )));
        };
        let unfit = |error: rustls::Error| CliError::TlsFile {
            path: self.cert.as_ref().unwrap_or(ca).clone(),
            reason: format!("it cannot be used: {error}"),
        };
        let material = self.read(ca)?;
        let mut roots = RootCertStore::empty();
        for certificate in material.ca {
            roots.add(certificate).map_err(unfit)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_root_certificates(roots);
        let mut config = match material.own {
            None => builder.with_no_client_auth(),
            Some((chain, secret)) => builder.with_client_auth_cert(chain, secret).map_err(unfit)?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn read(&self, ca: &Path) -> Result<Material, CliError> {
        if self.ca.is_none() {
            let file: NodeFile = serde_json::from_slice(&read(ca)?)
                .map_err(|error| CliError::TlsFile { path: ca.into(), reason: error.to_string() })?;
            let chain = certificates(file.certificate.as_bytes(), ca)?;
            let own = Some((chain, private_key(file.key.as_bytes(), ca)?));
            return Ok(Material { ca: certificates(file.ca.as_bytes(), ca)?, own });
        }
        let own = match (&self.cert, &self.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((certificates(&read(cert)?, cert)?, private_key(&read(key)?, key)?)),
            _ => return Err(CliError::Usage("--cert and --key go together: give both or none".into())),
        };
        Ok(Material { ca: certificates(&read(ca)?, ca)?, own })
    }
}

/// Begins TLS on a connection to `host`, which the server's certificate must name.
pub(crate) async fn begin(connector: &TlsConnector, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    connector.connect(name, stream).await
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::PermissionDenied { "; try sudo" } else { "" };
        CliError::TlsFile { path: path.into(), reason: format!("it cannot be read: {error}{hint}") }
    })
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let wrong = |reason: String| CliError::TlsFile { path: path.into(), reason };
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| wrong(format!("its certificates cannot be read: {error}")))?;
    if all.is_empty() { Err(wrong("there is no certificate in it (PEM)".into())) } else { Ok(all) }
}

fn private_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, CliError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| CliError::TlsFile {
        path: path.into(),
        reason: format!("there is no private key in it (PEM, without a passphrase): {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_the_environment() {
        let env = |name: &str| Some(format!("/env/{name}"));
        let args = TlsArgs { cacert: Some("/ca".into()), ..TlsArgs::default() };
        let files = Files::choose(args, env);
        assert_eq!(files.ca, Some("/ca".into()));
        assert_eq!((files.cert, files.key), (Some("/env/AUTORADIO_CERT".into()), Some("/env/AUTORADIO_KEY".into())));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |files: Files| files.connector().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error(Files::default()).contains("--cacert"));
        let missing = error(Files { ca: Some("/nonexistent/ca".into()), ..Files::default() });
        assert!(missing.starts_with("/nonexistent/ca: it cannot be read"), "{missing}");
        let none = error(Files { ca: Some("/dev/null".into()), ..Files::default() });
        assert!(none.contains("no certificate"), "{none}");
        let node = error(Files { node: Some("/dev/null".into()), ..Files::default() });
        assert!(node.starts_with("/dev/null: "), "{node}");
    }
}
