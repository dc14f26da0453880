//! Members of the cluster, kept under `autoradio/members/NAME`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{ClusterId, LogIndex, NodeId, Refusal, mvcc::Mvcc, span::Span};

/// One member. Whether it votes is Raft's business and not written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id, hex in JSON.
    #[serde(with = "crate::hex_serde")]
    pub id: NodeId,
    /// Its name; empty until it has started, if it was announced without one.
    pub name: String,
    /// Where its peers reach it (`http://host:2380`).
    pub peer_urls: Vec<String>,
    /// Where etcd's clients reach it; empty until it has started.
    #[serde(default)]
    pub client_urls: Vec<String>,
    /// What it offers to the public.
    #[serde(default)]
    pub public: PublicFace,
    /// Whether new listeners and sources are to be sent elsewhere.
    #[serde(default)]
    pub drained: bool,
    /// Whether it must stay a learner until promoted by hand.
    #[serde(default)]
    pub learner: bool,
}

/// What a member offers to the public, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicFace {
    /// Addresses that DNS gives for it.
    pub ips: Vec<IpAddr>,
    /// The port of its HTTP front.
    pub http_port: u16,
    /// The port of its Icecast; 0 where there is none.
    pub icecast_port: u16,
    /// At most so many listeners; 0 for no bound.
    pub max_clients: u32,
    /// Its bandwidth in Mbit/s; 0 for unknown.
    pub bwlimit_mbit_per_s: u32,
    /// The program's version.
    pub version: String,
}

/// Keys of members are this and the member's name (its id in hex while it has none).
pub const MEMBERS_PREFIX: &str = "autoradio/members/";

/// A name goes into DNS as a label.
const NAME_BYTES_MAX: usize = 63;
const URLS_MAX: usize = 8;
const URL_BYTES_MAX: usize = 255;

impl Member {
    /// The key that the member is kept under.
    #[must_use]
    pub fn key(&self) -> Bytes {
        let name = if self.name.is_empty() { crate::hex_id(self.id) } else { self.name.clone() };
        Bytes::from(format!("{MEMBERS_PREFIX}{name}"))
    }

    /// Whether it has ever started.
    #[must_use]
    pub fn started(&self) -> bool {
        !self.client_urls.is_empty()
    }

    pub(crate) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a member is plain data").into()
    }

    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

/// All members, by key.
pub(crate) fn all(store: &Mvcc) -> Vec<Member> {
    // `0` follows `/`: the end of the prefix.
    let span = Span { start: MEMBERS_PREFIX.as_bytes(), end: b"autoradio/members0" };
    store.newest(span).filter_map(|kv| Member::from_json(&kv.value)).collect()
}

pub(crate) fn find(store: &Mvcc, id: NodeId) -> Option<Member> {
    all(store).into_iter().find(|m| m.id == id)
}

/// The id of the member that the entry at `index` adds: never zero, and never the same for two entries.
pub(crate) fn new_id(cluster: ClusterId, index: LogIndex, peer_urls: &[String]) -> NodeId {
    let mut hash = Sha256::new();
    hash.update(cluster.to_be_bytes());
    hash.update(index.to_be_bytes());
    for url in peer_urls {
        hash.update(url.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let (first, _) = digest.split_first_chunk::<8>().expect("a SHA-256 digest has 32 bytes");
    u64::from_be_bytes(*first).max(1)
}

/// Checks what a member says of itself against the others.
pub(crate) fn check(member: &Member, others: &[Member]) -> Result<(), Refusal> {
    if member.peer_urls.is_empty() || member.peer_urls.len() > URLS_MAX || !member.peer_urls.iter().all(|u| url_ok(u)) {
        return Err(Refusal::BadPeerUrls);
    }
    if member.client_urls.len() > URLS_MAX || !member.client_urls.iter().all(|u| url_ok(u)) {
        return Err(Refusal::BadPeerUrls);
    }
    let label = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if member.name.len() > NAME_BYTES_MAX || !member.name.chars().all(label) {
        let reason = format!("a name is at most {NAME_BYTES_MAX} letters, digits, - _ or .");
        return Err(Refusal::Invalid { key: format!("{MEMBERS_PREFIX}{}", member.name), reason });
    }
    for other in others.iter().filter(|o| o.id != member.id) {
        if other.peer_urls.iter().any(|url| member.peer_urls.contains(url)) {
            return Err(Refusal::PeerUrlsExist);
        }
        if other.key() == member.key() {
            return Err(Refusal::MemberNameExists { name: member.name.clone() });
        }
    }
    Ok(())
}

/// `http://` or `https://` with a host and a port, and nothing behind.
fn url_ok(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some((host, port)) = rest.and_then(|r| r.rsplit_once(':')) else { return false };
    let fit = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    url.len() <= URL_BYTES_MAX && !host.is_empty() && host.chars().all(fit) && port.parse::<u16>().is_ok()
}
