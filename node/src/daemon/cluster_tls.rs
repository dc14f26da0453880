//! TLS for clients by the cluster's own CA, where `--listen-client-urls` has `https://` and no files are given: nodes that
//! have the CA's key (voters) give themselves a certificate, in memory, and let in who presents one of that CA.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use rcgen::KeyPair;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::http::{Listener, Port};
use crate::{
    config::Config,
    context::Context,
    tls::{self, LiveServer},
    trust::{Authority, CERTIFICATE_LIFE, TrustError, now_ms},
};

/// How often it is looked whether there is a CA's key, or another one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
enum CertificateError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A certificate in use: of which CA, and when another is due (seconds since 1970).
struct InUse {
    authority: Arc<Authority>,
    renew_at_s: u64,
    live: Arc<LiveServer>,
}

/// Serves clients on these listeners until the node stops, from when on there is a certificate. Until then they wait.
pub(super) async fn serve(context: Context, port: Port, listeners: Vec<TcpListener>) {
    if listeners.is_empty() {
        return;
    }
    let (hosts, served) = (hosts(&context.config), TaskTracker::new());
    let (mut in_use, mut waiting, mut told) = (None::<InUse>, listeners, false);
    loop {
        let authority = context.raft.peers().keyring().authority();
        if authority.is_none() && !told {
            told = true;
            tracing::warn!(
                "clients by https:// wait: no --cert-file is given, and this node does not have the key of the cluster's \
                 CA (voters get it in a moment; a cluster without TLS gets one by: radioctl cluster secure)"
            );
        }
        if let Some(authority) = authority.filter(|authority| is_due(in_use.as_ref(), authority)) {
            match certified(&authority, &hosts) {
                Ok((config, renew_at_s)) => {
                    let live = match in_use.take() {
                        Some(before) => {
                            before.live.replace(config);
                            before.live
                        }
                        None => LiveServer::new(config),
                    };
                    for listener in waiting.drain(..) {
                        served.spawn(port.clone().serve(Listener::Tls(listener, live.clone())));
                    }
                    tracing::info!(?hosts, "clients are served by TLS, with a certificate of the cluster's CA");
                    in_use = Some(InUse { authority, renew_at_s, live });
                }
                Err(error) => tracing::warn!(%error, "no certificate for clients could be made"),
            }
        }
        if context.stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            break;
        }
    }
    served.close();
    served.wait().await;
}

fn is_due(in_use: Option<&InUse>, authority: &Arc<Authority>) -> bool {
    in_use
        .is_none_or(|now| now.authority.certificate() != authority.certificate() || now_ms() / 1_000 >= now.renew_at_s)
}

/// A new key with its certificate, and when another is due: when two thirds of its life are over.
fn certified(authority: &Authority, hosts: &[String]) -> Result<(ServerConfig, u64), CertificateError> {
    let failed =
        |error: rcgen::Error| TrustError::Crypto { what: "making a key for clients", reason: error.to_string() };
    let (key, now_s) = (KeyPair::generate().map_err(failed)?, now_ms() / 1_000);
    let issued = authority.issue_server(hosts, &key, now_s, CERTIFICATE_LIFE)?;
    let ca = authority.certificate().clone();
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = tls::for_clients(vec![issued.certificate, ca.clone()], secret, ca)?;
    Ok((config, now_s + CERTIFICATE_LIFE.as_secs() * 2 / 3))
}

/// What clients may call this node by: its name, and the hosts of its addresses.
fn hosts(config: &Config) -> Vec<String> {
    let of_url = |url: &String| {
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
        host.trim_matches(['[', ']']).to_owned()
    };
    let listened = config.client_tls.listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    let mut hosts: BTreeSet<String> = config.peer_urls.iter().chain(&config.client_urls).map(of_url).collect();
    hosts.extend(listened.chain(config.public_ips.iter().copied()).map(|ip| ip.to_string()));
    hosts.extend(config.domain.iter().map(|domain| format!("{}.{domain}", config.name)));
    hosts.extend([config.name.clone(), "localhost".into(), "127.0.0.1".into()]);
    hosts.into_iter().filter(|host| host.is_ascii() && !host.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_by_all_its_names_and_addresses() {
        let mut config = crate::status::test_config();
        config.peer_urls = vec!["https://host2.example:2380".into()];
        config.client_urls = vec!["https://[fd00::2]:2379".into()];
        config.client_tls.listen = vec!["0.0.0.0:2379".parse().unwrap(), "192.0.2.2:2379".parse().unwrap()];
        assert_eq!(
            hosts(&config),
            ["127.0.0.1", "192.0.2.2", "fd00::2", "host2", "host2.example", "host2.radio.test", "localhost"]
        );
    }
}
