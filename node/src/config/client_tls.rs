//! Where clients connect to (2379), with TLS and without: etcd's `--listen-client-urls` and the options of its
//! certificates, and the files in `/etc/autoradio`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use super::{
    ConfigError, Facts,
    args::Options,
    resolve::wrong,
    urls::{Scheme, listen_urls, urls},
};
use crate::tls::TlsFiles;

const LISTEN: &str = "listen-client-urls";
const BOTH: [Scheme; 2] = [Scheme::Http, Scheme::Https];

/// etcd's port.
const PORT: u16 = 2379;

/// Certificates of one's own CA, used where they are found: its certificate, this node's, and the key of that one.
const OWN_FILES: [&str; 3] =
    ["/etc/autoradio/etcd_ca.pem", "/etc/autoradio/etcd_client.pem", "/etc/autoradio/etcd_client.key"];

/// TLS of the clients' port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Where clients connect to with TLS.
    pub listen: Vec<SocketAddr>,
    /// Certificate, key, and the CAs of clients; `None` for those of the cluster's own CA.
    pub files: Option<TlsFiles>,
}

/// Which of the files in `/etc/autoradio` there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnFiles {
    ca: Option<PathBuf>,
    pair: Option<(PathBuf, PathBuf)>,
}

impl OwnFiles {
    /// Asks the system.
    pub(super) fn look() -> Self {
        let [ca, cert, key] = OWN_FILES.map(|path| Some(PathBuf::from(path)).filter(|path| path.exists()));
        if cert.is_some() != key.is_some() {
            tracing::warn!("of {} and {} one is missing: not used", OWN_FILES[1], OWN_FILES[2]);
        }
        Self { ca, pair: cert.zip(key) }
    }
}

/// Where clients connect to, and what they are told.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) plain: Vec<SocketAddr>,
    pub(super) tls: ClientTls,
    pub(super) advertised: Vec<String>,
}

pub(super) fn resolve(options: &Options, facts: &Facts, peer_ip: IpAddr) -> Result<Clients, ConfigError> {
    let files = files(options, &facts.own_files)?;
    let mut listen = listen_urls(LISTEN, &options.listen_client_urls, &BOTH)?;
    if listen.is_empty() {
        // With certificates of one's own CA at hand nobody is let in without one.
        let own = files.is_some() && facts.own_files.pair.is_some() && facts.own_files.ca.is_some();
        let scheme = if own { Scheme::Https } else { Scheme::Http };
        listen.push((scheme, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)));
    }
    let of = |wanted: Scheme| listen.iter().filter(move |(scheme, _)| *scheme == wanted).map(|(_, at)| *at);
    let (plain, listen_tls): (Vec<_>, Vec<_>) = (of(Scheme::Http).collect(), of(Scheme::Https).collect());
    // What is at hand and not asked for by an option is no reason to complain.
    if listen_tls.is_empty() && options.cert_file.is_some() {
        tracing::warn!("--cert-file and --key-file are not used: no --listen-client-urls begins with https://");
    }
    let advertised = match urls("advertise-client-urls", &options.advertise_client_urls, &BOTH)? {
        none if none.is_empty() => {
            listen.iter().map(|(scheme, at)| scheme.of(&told(*at, peer_ip).to_string())).collect()
        }
        given => given,
    };
    let files = files.filter(|_| !listen_tls.is_empty());
    Ok(Clients { plain, tls: ClientTls { listen: listen_tls, files }, advertised })
}

/// “All addresses” is none that a client could connect to.
fn told(at: SocketAddr, peer_ip: IpAddr) -> SocketAddr {
    if at.ip().is_unspecified() { SocketAddr::new(peer_ip, at.port()) } else { at }
}

/// The files as the options name them, or as they are found.
fn files(options: &Options, own: &OwnFiles) -> Result<Option<TlsFiles>, ConfigError> {
    let shown = |path: &Path| path.display().to_string();
    let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
    let pair = match (given(&options.cert_file), given(&options.key_file)) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (Some(cert), None) => return Err(wrong("cert-file", &shown(&cert), "it needs its key: give --key-file too")),
        (None, Some(key)) => {
            return Err(wrong("key-file", &shown(&key), "it needs its certificate: give --cert-file too"));
        }
        (None, None) => own.pair.clone(),
    };
    let trusted_ca = given(&options.trusted_ca_file).or_else(|| own.ca.clone());
    if options.client_cert_auth && trusted_ca.is_none() {
        let reason = "it must be known whose certificates are good: give --trusted-ca-file";
        return Err(wrong("client-cert-auth", "true", reason));
    }
    if let (Some(ca), None) = (&options.trusted_ca_file, &pair) {
        let reason = "clients show certificates over TLS only, which needs --cert-file and --key-file";
        return Err(wrong("trusted-ca-file", &shown(ca), reason));
    }
    Ok(pair.map(|(cert, key)| TlsFiles { cert, key, trusted_ca }))
}

#[cfg(test)]
#[path = "client_tls_tests.rs"]
mod tests;
