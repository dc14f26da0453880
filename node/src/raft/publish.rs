//! What a node says of itself in the store: name, URLs, public face. It says so when it starts, and when another has
//! changed it.

use std::time::Duration;

use autoradio_machine::{Command, Member, MemberUpdate, PublicFace};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{RaftError, RaftHandle, retry::Backoff};
use crate::{config::Config, trust::Wire};

/// How long it may take until what the leader has taken is applied here.
const APPLIED_LIMIT: Duration = Duration::from_secs(1);

/// Keeps this node's member entry as `config` has it, until `stop`.
pub async fn publish_self(raft: RaftHandle, config: std::sync::Arc<Config>, stop: CancellationToken) {
    let mut catalog = raft.watch_catalog();
    let mut wire = raft.peers().keyring().watch_wire();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let peer_urls = peer_urls(&config, *wire.borrow_and_update());
        let known = catalog.borrow_and_update().members.get(&raft.node_id()).cloned();
        let elsewhere = known.as_ref().is_some_and(|member| is_elsewhere(&member.peer_urls, &peer_urls));
        let Some(update) = known.and_then(|member| difference(&member, &config, &peer_urls)) else {
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = wire.changed() => continue,
                changed = catalog.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
        };
        let Some(done) = stop.run_until_cancelled(publish(&raft, update, elsewhere)).await else { return };
        match done {
            Ok(()) => {
                backoff.reset();
                // By hearsay it may not have come here yet; what does not come is said again.
                let _applied = stop.run_until_cancelled(timeout(APPLIED_LIMIT, catalog.changed())).await;
            }
            Err(error) => {
                tracing::warn!(%error, "this node's entry in the member list could not be brought up to date yet");
                if stop.run_until_cancelled(tokio::time::sleep(backoff.step())).await.is_none() {
                    return;
                }
            }
        }
    }
}

async fn publish(raft: &RaftHandle, update: MemberUpdate, elsewhere: bool) -> Result<(), RaftError> {
    let is_readdressed = update.peer_urls.is_some();
    let command = Command::MemberUpdate(update);
    if is_readdressed && elsewhere {
        // The leader calls it where it was. Before it misses one, and stands for election: its higher term would cost the
        // others their leader.
        match raft.propose_by_hearsay(&command).await {
            Err(RaftError::NoLeader) => {}
            done => return done,
        }
    }
    match raft.propose(command.clone()).await {
        Ok(_) => Ok(()),
        Err(RaftError::NoLeader) if is_readdressed => raft.propose_by_hearsay(&command).await,
        Err(error) => Err(error),
    }
}

/// Whether URLs name other places, and not only another scheme.
fn is_elsewhere(known: &[String], now: &[String]) -> bool {
    let place = |url: &String| url.split_once("://").map_or_else(|| url.clone(), |(_, rest)| rest.to_owned());
    !known.iter().map(place).eq(now.iter().map(place))
}

/// Where this node is reached. Whether by TLS is not the configuration's matter: that is a word at the cluster's
/// founding, and may be left in a file when the cluster has changed to TLS.
fn peer_urls(config: &Config, wire: Wire) -> Vec<String> {
    let scheme = if wire == Wire::Plain { "http" } else { "https" };
    let with =
        |url: &String| url.split_once("://").map_or_else(|| url.clone(), |(_, rest)| format!("{scheme}://{rest}"));
    config.peer_urls.iter().map(with).collect()
}

/// What `config` says of this node.
#[must_use]
pub fn public_face(config: &Config) -> PublicFace {
    PublicFace {
        ips: config.public_ips.clone(),
        http_port: config.http_listen.first().map_or(0, std::net::SocketAddr::port),
        icecast_port: if config.icecast == crate::config::IcecastMode::Off { 0 } else { config.icecast_listen.port() },
        max_clients: config.max_clients,
        bwlimit_mbit_per_s: config.bwlimit_mbit_per_s,
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// What has to change so that `member` says what `config` does.
fn difference(member: &Member, config: &Config, peer_urls: &[String]) -> Option<MemberUpdate> {
    let public = public_face(config);
    let update = MemberUpdate {
        id: member.id,
        name: (member.name != config.name).then(|| config.name.clone()),
        peer_urls: has_moved(member, peer_urls).then(|| peer_urls.to_vec()),
        client_urls: (member.client_urls != config.client_urls).then(|| config.client_urls.clone()),
        public: (member.public != public).then_some(public),
        ..MemberUpdate::default()
    };
    (update != MemberUpdate { id: member.id, ..MemberUpdate::default() }).then_some(update)
}

/// Whether this node is reached elsewhere now. One that finds itself with the loopback address only, since it was started
/// before its network was, has not moved.
fn has_moved(member: &Member, peer_urls: &[String]) -> bool {
    let is_local = |url: &String| {
        let host = url.parse::<tonic::transport::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let ip = host.as_deref().and_then(|host| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().ok());
        host.as_deref() == Some("localhost") || ip.is_some_and(|ip| ip.is_loopback() || ip.is_unspecified())
    };
    let was_local = member.peer_urls.iter().any(is_local);
    !peer_urls.is_empty() && member.peer_urls != peer_urls && (was_local || !peer_urls.iter().any(is_local))
}
