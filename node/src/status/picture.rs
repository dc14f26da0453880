//! `/status.json`: the view in the words that the status page and scripts read.

use autoradio_machine::{Member, NodeId, hex_id};
use autoradio_policy::{ClusterView, fitness};
use serde::Serialize;

/// The cluster at one moment. Field names are stable: scripts read them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Picture {
    /// The domain, where one is configured.
    domain: Option<String>,
    /// The node that answered.
    node: String,
    health: Health,
    listeners: u64,
    nodes: Vec<Node>,
    mounts: Vec<Mount>,
}

/// How the cluster is, in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Health {
    level: Level,
    text: String,
}

/// How grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Good,
    Warning,
    Bad,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Node {
    id: String,
    name: String,
    role: &'static str,
    fit: bool,
    /// `ok`, or why the node gets no new listeners.
    health: String,
    version: String,
    listeners: u32,
    sent_bytes_per_s: u64,
    /// Seconds; null where the node was never heard.
    uptime_s: Option<u64>,
    icecast: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Mount {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) station: String,
    pub(super) description: String,
    pub(super) genre: String,
    pub(super) live: bool,
    /// Name of the node that holds the source lease.
    origin: Option<String>,
    epoch: Option<u64>,
    pub(super) content_type: Option<String>,
    codec: String,
    pub(super) bitrate_bits_per_s: u64,
    pub(super) listeners: u64,
}

/// Draws the picture.
pub(super) fn picture(view: &ClusterView, domain: Option<&str>) -> Picture {
    let nodes: Vec<Node> = view.catalog.members.values().map(|member| node(view, member)).collect();
    Picture {
        domain: domain.map(ToOwned::to_owned),
        node: node_name(view, view.me),
        health: health(view),
        listeners: nodes.iter().map(|node| u64::from(node.listeners)).sum(),
        nodes,
        mounts: mounts(view),
    }
}

fn node_name(view: &ClusterView, id: NodeId) -> String {
    match view.catalog.members.get(&id) {
        Some(member) if !member.name.is_empty() => member.name.clone(),
        _ => hex_id(id),
    }
}

fn node(view: &ClusterView, member: &Member) -> Node {
    let heard = view.loads.get(&member.id).filter(|_| fitness::is_alive(view, member.id));
    let fit = fitness::fitness(view, member.id);
    let role = if view.leader == Some(member.id) {
        "leader"
    } else if view.voters.contains(&member.id) {
        "voter"
    } else {
        "learner"
    };
    Node {
        id: hex_id(member.id),
        name: node_name(view, member.id),
        role,
        fit: fit.is_ok(),
        health: fit.map_or_else(|why| why.to_string(), |()| "ok".to_owned()),
        version: member.public.version.clone(),
        listeners: heard.map_or(0, |heard| heard.load.listeners),
        sent_bytes_per_s: heard.map_or(0, |heard| heard.load.sent_bytes_per_s),
        uptime_s: heard.map(|heard| heard.load.uptime_s),
        icecast: heard.map_or_else(String::new, |heard| heard.load.icecast.clone()),
    }
}

/// All mounts, by name.
pub(super) fn mounts(view: &ClusterView) -> Vec<Mount> {
    let alive = |id: &NodeId| fitness::is_alive(view, *id);
    let one = |(name, mount): (&autoradio_machine::MountName, &std::sync::Arc<autoradio_machine::Mount>)| {
        let logs: Vec<_> = view
            .loads
            .iter()
            .filter(|(id, _)| alive(id))
            .filter_map(|(id, heard)| heard.load.mounts.get(name).map(|load| (*id, load)))
            .collect();
        let claim = view.catalog.origins.get(name);
        // The origin knows best; else whoever is furthest.
        let newest = logs
            .iter()
            .max_by_key(|(id, load)| (claim.is_some_and(|claim| claim.origin.node == *id), load.epoch, load.seq));
        let ice = |key: &str| claim.and_then(|claim| claim.origin.ice.get(key).cloned());
        Mount {
            name: name.to_string(),
            title: newest.map_or_else(String::new, |(_, load)| load.title.clone()),
            station: ice("name").or_else(|| mount.title.clone()).unwrap_or_default(),
            description: ice("description").or_else(|| mount.description.clone()).unwrap_or_default(),
            genre: ice("genre").or_else(|| mount.genre.clone()).unwrap_or_default(),
            live: claim.is_some() && logs.iter().any(|(_, load)| load.live),
            origin: claim.map(|claim| node_name(view, claim.origin.node)),
            epoch: claim.map(|claim| claim.epoch),
            content_type: claim.map(|claim| claim.origin.content_type.clone()),
            codec: newest.map_or_else(String::new, |(_, load)| load.codec.clone()),
            bitrate_bits_per_s: newest.map_or(0, |(_, load)| load.bitrate_bits_per_s),
            listeners: logs.iter().map(|(_, load)| u64::from(load.listeners)).sum(),
        }
    };
    view.catalog.mounts.iter().map(one).collect()
}

/// How the cluster is, and what it can lose.
fn health(view: &ClusterView) -> Health {
    let say = |level, text: String| Health { level, text };
    let voters = view.voters.len();
    let alive = view.voters.iter().filter(|id| fitness::is_alive(view, **id)).count();
    let majority = voters / 2 + 1;
    if !view.quorum {
        let text = format!(
            "No majority: {alive} of {voters} voters are in reach from here. What is on air goes on; changes are refused."
        );
        return say(Level::Bad, text);
    }
    let unfit: Vec<String> = view
        .catalog
        .members
        .values()
        .filter_map(|m| fitness::fitness(view, m.id).err().map(|why| format!("{}: {why}", node_name(view, m.id))))
        .collect();
    let spare = alive.saturating_sub(majority);
    let survives = match spare {
        0 => "no node may fail now".to_owned(),
        1 => "any one node may fail".to_owned(),
        more => format!("any {more} nodes may fail"),
    };
    if unfit.is_empty() && (spare > 0 || voters < 3) {
        return say(Level::Good, format!("All {} nodes are well; {survives}.", view.catalog.members.len()));
    }
    say(
        Level::Warning,
        format!("{}; {survives}.", if unfit.is_empty() { "All is well".into() } else { unfit.join("; ") }),
    )
}

#[cfg(test)]
#[path = "picture_tests.rs"]
pub(super) mod tests;
