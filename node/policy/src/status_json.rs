//! `/status.json` (ours) and `/status-json.xsl` (in Icecast's form, with the cluster's totals).

use std::{collections::BTreeMap, sync::Arc};

use autoradio_machine::{Mount, MountName, NodeId, hex_id};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    ClusterView, MountLoad,
    balance::url_path,
    fitness::{fitness, is_alive},
    health::{HealthWord, health, node_label},
};

/// The cluster as programs read it. Names are stable within an `apiVersion`; new ones may be added.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// `v1`
    #[serde(rename = "apiVersion")]
    pub api_version: &'static str,
    /// The whole.
    pub cluster: ClusterStatus,
    /// Nodes in order of name.
    pub nodes: Vec<NodeStatus>,
    /// Mounts in order of name.
    pub mounts: Vec<MountStatus>,
}

/// The whole cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// `healthy`, `degraded` or `unavailable`.
    pub health: HealthWord,
    /// What is wrong, and what to do.
    pub problems: Vec<String>,
    /// The store's revision.
    pub revision: i64,
    /// The leader's name, where known.
    pub leader: Option<String>,
    /// Whether a majority is in reach.
    pub has_quorum: bool,
    /// How many voters there are.
    pub voters: usize,
    /// How many must be in reach.
    pub quorum: usize,
    /// How many more may be lost.
    pub can_lose: usize,
    /// Listeners on all nodes that live.
    pub listeners: u64,
    /// Sent to listeners by all nodes that live, in bits a second.
    pub sent_bits_per_s: u64,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its id in hex.
    pub id: String,
    /// Its name, or its id while it has none.
    pub name: String,
    /// `leader`, `voter` or `learner`.
    pub role: &'static str,
    /// `ok`, or why it gets no new listeners.
    pub state: String,
    /// Whether it was heard lately.
    pub is_alive: bool,
    /// Milliseconds since it was heard; `null`: never.
    pub heard_age_ms: Option<u64>,
    /// Its program's version.
    pub version: String,
    /// How long it has run, in seconds.
    pub uptime_s: u64,
    /// Listeners.
    pub listeners: u32,
    /// Its bound of listeners; 0 for none.
    pub max_clients: u32,
    /// Sent to listeners, in bits a second.
    pub sent_bits_per_s: u64,
    /// Its bandwidth in bits a second; 0 for unknown.
    pub bandwidth_bits_per_s: u64,
    /// State of its Icecast.
    pub icecast: String,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MountStatus {
    /// Its name.
    pub name: String,
    /// `on_air` (frames come in), `held` (a node keeps its log and waits for the source) or `silent`.
    pub state: &'static str,
    /// The node that has the source.
    pub origin: Option<String>,
    /// The epoch of the claim.
    pub epoch: Option<u64>,
    /// Who sends: address and program.
    pub source: Option<String>,
    /// The stream's MIME type.
    pub content_type: Option<String>,
    /// What the parser found.
    pub codec: String,
    /// Measured bit rate, in bits a second.
    pub bitrate_bits_per_s: u64,
    /// Listeners on all nodes.
    pub listeners: u64,
    /// The title now.
    pub title: String,
    /// The nodes that hold its log.
    pub holders: Vec<String>,
}

/// Makes the status of a view.
#[must_use]
pub fn status(view: &ClusterView) -> Status {
    let health = health(view);
    let mut nodes: Vec<NodeStatus> = view.catalog.members.keys().map(|id| node_status(view, *id)).collect();
    nodes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let living = || nodes.iter().filter(|n| n.is_alive);
    let cluster = ClusterStatus {
        health: health.word,
        problems: health.problems,
        revision: view.catalog.revision,
        leader: view.leader.map(|id| node_label(view, id)),
        has_quorum: view.quorum,
        voters: view.voters.len(),
        quorum: health.survival.quorum,
        can_lose: health.survival.can_lose,
        listeners: living().map(|n| u64::from(n.listeners)).sum(),
        sent_bits_per_s: living().fold(0, |sum, n| sum.saturating_add(n.sent_bits_per_s)),
    };
    let mounts = view.catalog.mounts.keys().map(|name| mount_status(view, name)).collect();
    Status { api_version: "v1", cluster, nodes, mounts }
}

/// `/status.json`, with a line end.
#[must_use]
pub fn status_json(view: &ClusterView) -> String {
    let mut text = serde_json::to_string_pretty(&status(view)).expect("only texts, numbers and lists are in it");
    text.push('\n');
    text
}

fn node_status(view: &ClusterView, id: NodeId) -> NodeStatus {
    let public = view.catalog.members.get(&id).map(|m| m.public.clone()).unwrap_or_default();
    let heard = view.loads.get(&id).cloned().unwrap_or_default();
    let role = match (view.leader == Some(id), view.voters.contains(&id)) {
        (true, _) => "leader",
        (false, true) => "voter",
        (false, false) => "learner",
    };
    NodeStatus {
        id: hex_id(id),
        name: node_label(view, id),
        role,
        state: fitness(view, id).map_or_else(|reason| reason.to_string(), |()| "ok".to_owned()),
        is_alive: is_alive(view, id),
        heard_age_ms: view.loads.get(&id).map(|h| h.age_ms),
        version: if heard.load.version.is_empty() { public.version } else { heard.load.version.clone() },
        uptime_s: heard.load.uptime_s,
        listeners: heard.load.listeners,
        max_clients: public.max_clients,
        sent_bits_per_s: heard.load.sent_bytes_per_s.saturating_mul(8),
        bandwidth_bits_per_s: u64::from(public.bwlimit_mbit_per_s) * 1_000_000,
        icecast: heard.load.icecast.clone(),
    }
}

/// A mount's logs on the nodes that live, with the nodes' ids.
fn logs<'a>(view: &'a ClusterView, mount: &MountName) -> BTreeMap<NodeId, &'a MountLoad> {
    let living = view.loads.iter().filter(|(id, _)| is_alive(view, **id));
    living.filter_map(|(id, heard)| Some((*id, heard.load.mounts.get(mount)?))).collect()
}

fn mount_status(view: &ClusterView, mount: &MountName) -> MountStatus {
    let claim = view.catalog.origins.get(mount);
    let logs = logs(view, mount);
    // The origin knows best; else whoever has most.
    let best = claim.and_then(|c| logs.get(&c.origin.node)).or_else(|| logs.values().max_by_key(|l| (l.epoch, l.seq)));
    let state = match (claim, best) {
        (Some(_), Some(log)) if log.live => "on_air",
        (_, Some(_)) | (Some(_), None) => "held",
        (None, None) => "silent",
    };
    let source = claim.map(|c| format!("{} {}", c.origin.source, c.origin.user_agent).trim().to_owned());
    MountStatus {
        name: mount.to_string(),
        state,
        origin: claim.map(|c| node_label(view, c.origin.node)),
        epoch: claim.map(|c| c.epoch),
        source,
        content_type: claim.map(|c| c.origin.content_type.clone()),
        codec: best.map(|l| l.codec.clone()).unwrap_or_default(),
        bitrate_bits_per_s: best.map(|l| l.bitrate_bits_per_s).unwrap_or_default(),
        listeners: logs.values().map(|l| u64::from(l.listeners)).sum(),
        title: best.map(|l| l.title.clone()).unwrap_or_default(),
        holders: logs.keys().map(|id| node_label(view, *id)).collect(),
    }
}

/// What Icecast's status says of the server.
#[derive(Clone, Copy, Debug)]
pub struct IcecastServer<'a> {
    /// Whom to write to.
    pub admin: &'a str,
    /// The host, for URLs: the domain, or this node's address with its port.
    pub host: &'a str,
    /// Where it is.
    pub location: &'a str,
    /// Program and version.
    pub server_id: &'a str,
    /// When the process started, ISO 8601.
    pub start_iso8601: &'a str,
}

/// `/status-json.xsl`: `source` is an object for one mount on air, a list for several, and absent for none, as
/// programs that read Icecast's know it. Only what is known is written: no peaks, no starting times.
#[must_use]
pub fn icecast_status_json(view: &ClusterView, server: &IcecastServer<'_>) -> String {
    let mut sources: Vec<Value> = view
        .catalog
        .mounts
        .iter()
        .filter_map(|(name, mount)| {
            let status = mount_status(view, name);
            (status.state != "silent").then(|| icecast_source(view, server, name, mount, &status))
        })
        .collect();
    let mut stats = Map::new();
    stats.insert("admin".into(), json!(server.admin));
    stats.insert("host".into(), json!(server.host));
    stats.insert("location".into(), json!(server.location));
    stats.insert("server_id".into(), json!(server.server_id));
    stats.insert("server_start_iso8601".into(), json!(server.start_iso8601));
    match sources.len() {
        0 => {}
        1 => drop(stats.insert("source".into(), sources.swap_remove(0))),
        _ => drop(stats.insert("source".into(), Value::Array(sources))),
    }
    json!({ "icestats": stats }).to_string()
}

fn icecast_source(
    view: &ClusterView,
    server: &IcecastServer<'_>,
    name: &MountName,
    mount: &Arc<Mount>,
    status: &MountStatus,
) -> Value {
    let claim = view.catalog.origins.get(name);
    let said = |key: &str| claim.and_then(|c| c.origin.ice.get(key)).filter(|v| !v.is_empty()).cloned();
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            out.insert(key.to_owned(), Value::String(value));
        }
    };
    put("audio_info", said("audio-info"));
    put("genre", said("genre").or_else(|| mount.genre.clone()));
    put("listenurl", Some(format!("http://{}{}", server.host, url_path(name))));
    put("server_description", said("description").or_else(|| mount.description.clone()));
    put("server_name", said("name").or_else(|| mount.title.clone()));
    put("server_type", status.content_type.clone());
    put("server_url", said("url").or_else(|| mount.url.clone()));
    put("title", Some(status.title.clone()).filter(|t| !t.is_empty()));
    out.insert("bitrate".into(), json!(status.bitrate_bits_per_s / 1000));
    out.insert("listeners".into(), json!(status.listeners));
    // Icecast's own template ends each source with it; some programs look for it.
    out.insert("dummy".into(), Value::Null);
    Value::Object(out)
}

#[cfg(test)]
mod tests;
