//! The JSON that `-o json` prints: a contract with programs, apart from the wire so that each may change alone.
//!
//! Names are snake_case with the unit last, numbers are numbers, and what is not there is `null`.

mod convert;
mod keep;

pub(crate) use keep::{Nodes, Recovery, Removed, Restored};

use autoradio_proto::admin as wire;
use serde::Serialize;

use crate::clean;

/// `status`.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// `healthy`, `degraded` or `unavailable`.
    pub(crate) health: String,
    /// Whether a majority of the voters is in reach.
    pub(crate) quorum: bool,
    /// Number of voters.
    pub(crate) voters: u32,
    /// How many more voters can fail without losing the majority.
    pub(crate) can_lose: u32,
    /// What is wrong and what to do, the gravest first.
    pub(crate) problems: Vec<String>,
    /// Hexadecimal.
    pub(crate) cluster_id: String,
    /// The cluster's domain.
    pub(crate) domain: Option<String>,
    /// Name of the node that answered.
    pub(crate) answered_by: String,
    /// The store's revision there.
    pub(crate) revision: i64,
    /// All nodes.
    pub(crate) nodes: Vec<Node>,
    /// All mounts, by name.
    pub(crate) mounts: Vec<Mount>,
}

/// A node.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    /// Hexadecimal.
    id: String,
    /// Its name, or its id while it has none.
    name: String,
    /// `leader`, `voter`, `learner` or `joining`.
    role: String,
    /// `ok`, `drained` or `silent`.
    state: String,
    /// Listeners that it serves.
    listeners: u32,
    /// What it sends now.
    sent_bytes_per_s: u64,
    /// The most it may send.
    bwlimit_mbit_per_s: Option<u32>,
    /// The most listeners that it serves.
    max_clients: Option<u32>,
    /// `running`, `off` or what is wrong with its Icecast.
    icecast: Option<String>,
    /// The daemon's version.
    version: Option<String>,
    /// Since the daemon started.
    uptime_s: u64,
    /// Where other nodes reach it.
    peer_urls: Vec<String>,
    /// Where listeners reach it.
    public_ips: Vec<String>,
    /// Since it was last heard.
    heard_ms: Option<u64>,
    /// Its front.
    url: String,
}

/// A mount.
#[derive(Debug, Serialize)]
pub(crate) struct Mount {
    /// Its path.
    name: String,
    /// The source's user.
    username: String,
    /// Name of the node that the source is connected to; `null` while it is silent.
    origin: Option<String>,
    /// Number of the source's lease.
    epoch: u64,
    /// The codec.
    codec: Option<String>,
    /// As the source said.
    content_type: Option<String>,
    /// As measured.
    bitrate_bits_per_s: u64,
    /// Listeners in the whole cluster.
    listeners: u32,
    /// What is on air now.
    title: Option<String>,
    /// The source's address.
    source: Option<String>,
    /// The source's program.
    user_agent: Option<String>,
    /// As set; what is `null` is at its default.
    settings: Settings,
    /// Names of the nodes that hold a copy.
    followers: Vec<String>,
    /// Where to listen.
    listen_urls: Vec<String>,
    /// The same as playlists.
    playlist_urls: Vec<String>,
    /// Where the encoder sends to.
    source_url: Option<String>,
}

/// A mount's settings.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Settings {
    /// Audio that a new listener gets at once.
    burst_ms: Option<u32>,
    /// How long listeners are kept without a source.
    hold_ms: Option<u32>,
    /// The most listeners.
    max_listeners: Option<u32>,
    /// Whether directories may list it.
    public: bool,
    /// The stream's name.
    title: Option<String>,
    /// What it is about.
    description: Option<String>,
    /// Its genre.
    genre: Option<String>,
    /// Its web site.
    url: Option<String>,
}

/// `list-mounts`.
#[derive(Debug, Serialize)]
pub(crate) struct Mounts {
    /// By name.
    pub(crate) mounts: Vec<Mount>,
}

/// `show-mount` and `edit-mount`; with a password, `create-mount` and `reset-password`.
#[derive(Debug, Serialize)]
pub(crate) struct OneMount {
    /// The mount.
    pub(crate) mount: Mount,
    /// The source's password, only when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
}

/// `delete-mount`.
#[derive(Debug, Serialize)]
pub(crate) struct Deleted {
    /// The mount's path.
    pub(crate) deleted: String,
}

/// `drain` and `undrain`.
#[derive(Debug, Serialize)]
pub(crate) struct Drained {
    /// As given.
    pub(crate) node: String,
    /// What it is now.
    pub(crate) drained: bool,
}

/// `version`.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    /// Of radioctl.
    pub(crate) version: &'static str,
}

/// An error, on standard error.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// What it is.
    pub(crate) error: Fault,
}

/// What went wrong.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    /// The exit code's name.
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) message: String,
}

/// Text for a program: several lines, or one.
pub(crate) fn text(value: &impl Serialize, one_line: bool) -> String {
    let written = if one_line { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    clean::json(&written.expect("these structs have string keys and no fallible parts"))
}

/// Where to listen, as playlists.
pub(crate) fn playlist_urls(mount: &wire::MountInfo) -> Vec<String> {
    mount.listen_urls.iter().map(|url| format!("{url}.m3u")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::example;

    /// Programs read it: fields are added, never renamed or removed.
    #[test]
    fn the_contract() {
        let status =
            wire::StatusReply { nodes: example::healthy().nodes.into_iter().take(1).collect(), ..example::healthy() };
        insta::assert_snapshot!(text(&Status::from(status), false));
    }
}
