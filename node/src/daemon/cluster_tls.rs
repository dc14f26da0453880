//! TLS for clients by the cluster's own CA, where `--listen-client-urls` has `https://` and no files are given: nodes that
//! have the CA's key (voters) give themselves a certificate, learners ask a voter for one; it is kept in memory, and who
//! presents one of that CA is let in.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use autoradio_policy::host::url_host;
use rcgen::KeyPair;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::http::{Listener, Port};
use crate::{
    config::Config,
    context::Context,
    peer::{ServerCertificateError, certify_server},
    raft::{Backoff, RaftHandle},
    tls::{self, LiveServer},
    trust::{CERTIFICATE_LIFE, TrustError, now_ms},
};

/// How often it is looked whether there is a CA, or another one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long it is waited after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
enum CertificateError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Asked(#[from] ServerCertificateError),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// A certificate in use: of which CA, and when another is due (seconds since 1970).
struct InUse {
    ca: CertificateDer<'static>,
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
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        let mut wait = LOOK_EVERY;
        let ca = context.raft.peers().keyring().credentials().map(|now| now.ca().clone());
        if ca.is_none() && !told {
            told = true;
            tracing::warn!(
                "clients by https:// wait: no --cert-file is given, and the cluster has no CA (it gets one by: radioctl \
                 cluster secure)"
            );
        }
        if ca.is_some_and(|ca| is_due(in_use.as_ref(), &ca)) {
            let Some(made) = context.stop.run_until_cancelled(certified(&context.raft, &hosts)).await else { break };
            match made {
                Ok(Certified { config, ca, renew_at_s }) => {
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
                    in_use = Some(InUse { ca, renew_at_s, live });
                    backoff.reset();
                }
                Err(error) => {
                    tracing::warn!(%error, "there is no certificate for clients; trying again");
                    wait = backoff.step();
                }
            }
        }
        if context.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
    }
    served.close();
    served.wait().await;
}

fn is_due(in_use: Option<&InUse>, ca: &CertificateDer<'static>) -> bool {
    in_use.is_none_or(|now| now.ca != *ca || now_ms() / 1_000 >= now.renew_at_s)
}

struct Certified {
    config: ServerConfig,
    ca: CertificateDer<'static>,
    renew_at_s: u64,
}

/// A new key with its certificate; another is due when two thirds of its life are over.
async fn certified(raft: &RaftHandle, hosts: &[String]) -> Result<Certified, CertificateError> {
    let failed =
        |error: rcgen::Error| TrustError::Crypto { what: "making a key for clients", reason: error.to_string() };
    let (key, now_s) = (KeyPair::generate().map_err(failed)?, now_ms() / 1_000);
    let (issued, ca) = match raft.peers().keyring().authority() {
        Some(authority) => {
            let issued = authority.issue_server(hosts, key.public_key_raw(), now_s, CERTIFICATE_LIFE)?;
            (issued, authority.certificate().clone())
        }
        None => certify_server(raft, &key, hosts).await?,
    };
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = tls::for_clients(vec![issued.certificate, ca.clone()], secret, ca.clone())?;
    Ok(Certified { config, ca, renew_at_s: now_s + CERTIFICATE_LIFE.as_secs() * 2 / 3 })
}

/// What clients may call this node by: its name, and the hosts of its addresses.
fn hosts(config: &Config) -> Vec<String> {
    let of_url = |url: &String| url_host(url).to_owned();
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
