//! Who this node is: found on disk, or made by founding or joining a cluster.

use std::{collections::BTreeMap, time::Duration};

use autoradio_proto::peer::JoinReply;
use autoradio_store::{Consensus, Identity, StoreError};
use rcgen::KeyPair;
use tokio::{task::JoinSet, time::Instant};

use super::{Birth, FirstMember, Start, StartError};
use crate::{
    config::{ClusterState, Config},
    peer::{self, Applicant, JoinError, Joined},
    raft::Backoff,
    trust::{self, Authority, CERTIFICATE_LIFE, Credentials, JoinToken, Keyring, PeerName, TrustError},
};

/// How long listed members, or the one named, are asked again before a join is given up.
const JOIN_LIMIT: Duration = Duration::from_secs(60);

/// How often the others are asked whether they live while one of them says nothing at all: founders that start at the
/// same time do so, and so does a member on a busy host, whose cluster must not be founded anew.
const PROBE_ROUNDS: u32 = 2;

/// The folder of log, snapshots and identity within the data folder.
const RAFT_DIR: &str = "raft";

/// Who this node is, and what it knows of how it came to be.
pub(super) struct Found {
    pub(super) identity: Identity,
    /// Set until the log has told what it says.
    pub(super) birth: Option<Birth>,
}

/// The folder of the consensus.
pub(super) fn raft_dir(config: &Config) -> std::path::PathBuf {
    config.data_dir.join(RAFT_DIR)
}

/// The identity on disk, if there is one.
pub(super) fn on_disk(config: &Config) -> Result<Option<Found>, StartError> {
    let io = |source| StartError::DataDir { dir: config.data_dir.clone(), source };
    if let Some(words) = super::twin::condemned(&config.data_dir).map_err(io)? {
        return Err(StartError::Twin(words));
    }
    let birth = Birth::load(&config.data_dir).map_err(io)?;
    // The birth file is written first: a crash before the identity was leaves it alone.
    let lives = match Consensus::identity(&raft_dir(config)) {
        // It joined anew after its folder was moved aside, and was cut off before it was made.
        Err(StoreError::MovedAside { node_id, .. })
            if birth.as_ref().is_some_and(|birth| birth.identity.node_id != node_id) =>
        {
            None
        }
        lives => lives?,
    };
    let identity = lives.or(birth.as_ref().map(|birth| birth.identity.clone()));
    Ok(identity.map(|identity| Found { birth: birth.filter(|birth| birth.identity == identity), identity }))
}

/// [`on_disk`] for one who starts so: who joins anew, or founds, gets an id of its own, and may follow a node whose damaged
/// folder was moved aside.
pub(super) fn on_disk_for(config: &Config, start: &Start) -> Result<Option<Found>, StartError> {
    match on_disk(config) {
        Err(StartError::Store(StoreError::MovedAside { .. })) if *start != Start::Found => Ok(None),
        found => found,
    }
}

/// Finds out who this node is, or makes it somebody.
pub(super) async fn find(config: &Config, start: &Start) -> Result<Found, StartError> {
    let found = on_disk_for(config, start)?;
    let birth = match (start, found) {
        (Start::Found, Some(found)) => return Ok(found),
        (_, Some(found)) => return Err(StartError::AlreadyMember { cluster_id: found.identity.cluster_id }),
        (start, None) => {
            // What a node before this one had in the folder is not this one's.
            Keyring::forget(&config.data_dir)?;
            make(config, start).await?
        }
    };
    birth.store(&config.data_dir).map_err(|source| StartError::DataDir { dir: config.data_dir.clone(), source })?;
    Ok(Found { identity: birth.identity.clone(), birth: Some(birth) })
}

async fn make(config: &Config, start: &Start) -> Result<Birth, StartError> {
    match start {
        Start::Init => alone(config),
        Start::Join(host) => join(config, vec![peer_url(host)], false).await,
        Start::JoinByToken(host, token) => join_by_token(config, &peer_url(host), token).await,
        Start::Found => listed(config).await,
    }
}

pub(super) fn alone(config: &Config) -> Result<Birth, StartError> {
    let birth = Birth::alone(trust::random()?, &config.name, &own_url(config));
    if own_url(config).starts_with("https://") {
        let now_s = trust::now_ms() / 1_000;
        let authority = Authority::create(birth.identity.cluster_id, now_s)?;
        let key = new_key()?;
        let name = PeerName::from(&birth.identity);
        let issued = authority.issue(name, key.public_key_raw(), now_s, CERTIFICATE_LIFE)?;
        let credentials = Credentials::new(&key, issued, authority.certificate().clone())?;
        Keyring::found(&config.data_dir, &credentials, Some(&authority))?;
    }
    Ok(birth)
}

fn new_key() -> Result<KeyPair, TrustError> {
    let failed = |error: rcgen::Error| TrustError::Crypto { what: "making this node's key", reason: error.to_string() };
    KeyPair::generate().map_err(failed)
}

fn own_url(config: &Config) -> String {
    config.peer_urls.first().cloned().unwrap_or_default()
}

/// What `--initial-cluster` makes of this node: a founder where no cluster of its members lives, else a member that was
/// added to it (etcd's runtime reconfiguration guide). etcd refuses the latter with `new`, in which the file is often
/// left.
async fn listed(config: &Config) -> Result<Birth, StartError> {
    if config.initial_cluster.is_empty() {
        return Err(StartError::NotInitialised);
    }
    let is_other = |(name, url): &&(String, String)| *name != config.name && !config.peer_urls.contains(url);
    let others: Vec<String> = config.initial_cluster.iter().filter(is_other).map(|(_, url)| url.clone()).collect();
    // Only `member add` makes a list with a member that has no name: it has not started.
    let existing = config.initial_cluster_state == ClusterState::Existing
        || config.initial_cluster.iter().any(|(name, _)| name.is_empty());
    if existing || any_lives(&others).await {
        return join(config, others, true).await;
    }
    if config.initial_cluster.iter().any(|(_, url)| url.starts_with("https://")) {
        return Err(StartError::ListedTls);
    }
    Birth::listed(&config.initial_cluster_token, &config.initial_cluster, &config.name)
        .ok_or_else(|| StartError::NotListed { name: config.name.clone() })
}

/// Whether one of these is a member of a cluster that lives: that makes the list's other members late, not founders.
async fn any_lives(urls: &[String]) -> bool {
    for _ in 0..PROBE_ROUNDS {
        let mut probes = JoinSet::new();
        for url in urls {
            let url = url.clone();
            probes.spawn(async move { peer::probe(&url).await });
        }
        let answers = probes.join_all().await;
        if answers.contains(&Some(true)) {
            return true;
        }
        if !answers.contains(&None) {
            return false;
        }
    }
    false
}

/// Asks these in turn to let this node in, until one does or refuses.
async fn join(config: &Config, urls: Vec<String>, must_be_added: bool) -> Result<Birth, StartError> {
    let applicant = Applicant { name: config.name.clone(), peer_urls: config.peer_urls.clone(), must_be_added };
    let deadline = Instant::now() + JOIN_LIMIT;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3));
    let mut last = "nothing: there is nobody to ask".to_owned();
    loop {
        for url in &urls {
            match peer::ask_to_join(url, &applicant).await {
                Ok(reply) => return Ok(from_reply(reply)),
                Err(JoinError::Unreachable { url, reason }) => {
                    tracing::info!(%url, %reason, "not let in yet; asking again");
                    last = JoinError::Unreachable { url, reason }.to_string();
                }
                Err(error) => return Err(error.into()),
            }
        }
        if urls.is_empty() || Instant::now() >= deadline {
            return Err(StartError::NobodyAnswered { urls: urls.join(", "), limit: JOIN_LIMIT, last });
        }
        tokio::time::sleep(backoff.step()).await;
    }
}

/// Asks the member at `url` to let this node in by a token, until it does or refuses.
async fn join_by_token(config: &Config, url: &str, token: &JoinToken) -> Result<Birth, StartError> {
    let applicant = Applicant { name: config.name.clone(), peer_urls: config.peer_urls.clone(), must_be_added: false };
    // One key for all tries: a token is used up by it, and the same key gets the same answer.
    let key = Keyring::joining_key(&config.data_dir)?;
    let deadline = Instant::now() + JOIN_LIMIT;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3));
    loop {
        let last = match peer::join_by_token(url, &applicant, token, &key).await {
            Ok(Joined { reply, issued, ca }) => {
                let birth = from_reply(reply);
                Keyring::found(&config.data_dir, &Credentials::new(&key, issued, ca)?, None)?;
                return Ok(birth);
            }
            Err(JoinError::Unreachable { url, reason }) => JoinError::Unreachable { url, reason }.to_string(),
            Err(error) => return Err(error.into()),
        };
        tracing::info!("not let in yet: {last}; asking again");
        if Instant::now() >= deadline {
            return Err(StartError::NobodyAnswered { urls: url.into(), limit: JOIN_LIMIT, last });
        }
        tokio::time::sleep(backoff.step()).await;
    }
}

fn from_reply(reply: JoinReply) -> Birth {
    let members = reply.members.into_iter().map(|member| FirstMember {
        id: member.node_id,
        name: member.name,
        peer_url: member.peer_url,
    });
    let identity = Identity { cluster_id: reply.cluster_id, node_id: reply.node_id };
    Birth { identity, founder: false, members: members.collect() }
}

/// The peer URL for what people write: `host`, `host:port`, `https://host:port`, and `http://` where it is meant.
pub(super) fn peer_url(host: &str) -> String {
    let (scheme, bare) = host.split_once("://").unwrap_or(("https", host));
    let bare = bare.trim_end_matches('/');
    let bare = match bare.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => bare.to_owned(),
    };
    let has_port = bare.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) && !bare.ends_with(']');
    if has_port { format!("{scheme}://{bare}") } else { format!("{scheme}://{bare}:2380") }
}

/// The peer URLs to begin with.
pub(super) fn first_urls(birth: Option<&Birth>) -> BTreeMap<u64, String> {
    birth.map(Birth::urls).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_taken_as_people_write_them() {
        for (host, url) in [
            ("host1", "https://host1:2380"),
            ("host1:1234", "https://host1:1234"),
            ("http://host1:2380/", "http://host1:2380"),
            ("https://host1", "https://host1:2380"),
            ("10.0.0.1", "https://10.0.0.1:2380"),
            ("fd00::1", "https://[fd00::1]:2380"),
            ("[fd00::1]", "https://[fd00::1]:2380"),
            ("[fd00::1]:99", "https://[fd00::1]:99"),
        ] {
            assert_eq!(peer_url(host), url);
        }
    }
}
