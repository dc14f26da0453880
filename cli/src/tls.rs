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

/// The files of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
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
        Self { ca, cert, key }
    }

    /// What connections are made with.
    pub(crate) fn connector(&self) -> Result<TlsConnector, CliError> {
        let Some(ca) = &self.ca else {
            return Err(CliError::Usage(format!(
                "https:// needs the CA of the server's certificate: give --cacert FILE, or put it at {OWN_CA}"
            )));
        };
        let unfit = |path: &Path, error: &dyn std::error::Error| CliError::TlsFile {
            path: path.into(),
            reason: format!("it cannot be used: {error}"),
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca)? {
            roots.add(certificate).map_err(|error| unfit(ca, &error))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unfit(ca, &error))?
            .with_root_certificates(roots);
        let mut config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let (chain, secret) = (certificates(cert)?, private_key(key)?);
                builder.with_client_auth_cert(chain, secret).map_err(|error| unfit(cert, &error))?
            }
            _ => return Err(CliError::Usage("--cert and --key go together: give both or none".into())),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let wrong = |reason: String| CliError::TlsFile { path: path.into(), reason };
    let all = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| wrong(format!("its certificates cannot be read: {error}")))?;
    if all.is_empty() { Err(wrong("there is no certificate in it (PEM)".into())) } else { Ok(all) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CliError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| CliError::TlsFile {
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
    }
}
