//! From the view to what radioctl shows. Pure.

use autoradio_machine::{Member, Mount, MountName, NodeId, hex_id};
use autoradio_policy::{
    ClusterView,
    fitness::is_alive,
    health::{health, node_label},
};
use autoradio_proto::admin::{MountInfo, NodeInfo, StatusReply};

use super::settings;

/// The whole cluster.
pub(super) fn status(view: &ClusterView, cluster_id: u64, domain: Option<&str>) -> StatusReply {
    let health = health(view);
    let mut members: Vec<_> = view.catalog.members.values().collect();
    // The store has them by id, which means nothing to people.
    members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    StatusReply {
        cluster_id: hex_id(cluster_id),
        domain: domain.unwrap_or_default().into(),
        nodes: members.into_iter().map(|member| node(view, member)).collect(),
        mounts: mounts(view, domain),
        health: health.word.to_string(),
        quorum: view.quorum,
        can_lose: u32::try_from(health.survival.can_lose).unwrap_or(u32::MAX),
        voters: u32::try_from(view.voters.len()).unwrap_or(u32::MAX),
        answered_by: node_label(view, view.me),
        revision: view.catalog.revision,
        problems: health.problems,
    }
}

/// All mounts, by name.
pub(super) fn mounts(view: &ClusterView, domain: Option<&str>) -> Vec<MountInfo> {
    view.catalog.mounts.iter().map(|(name, mount)| self::mount(view, name, mount, domain)).collect()
}

fn node(view: &ClusterView, member: &Member) -> NodeInfo {
    let heard = view.loads.get(&member.id);
    let load = heard.map(|heard| heard.load.clone()).unwrap_or_default();
    let state = match (is_alive(view, member.id), member.drained) {
        (false, _) => "silent",
        (true, true) => "drained",
        (true, false) => "ok",
    };
    let role = if view.leader == Some(member.id) {
        "leader"
    } else if view.voters.contains(&member.id) {
        "voter"
    } else if member.client_urls.is_empty() {
        "joining"
    } else {
        "learner"
    };
    NodeInfo {
        id: hex_id(member.id),
        name: node_label(view, member.id),
        role: role.into(),
        state: state.into(),
        listeners: load.listeners,
        sent_bytes_per_s: load.sent_bytes_per_s,
        bwlimit_mbit_per_s: member.public.bwlimit_mbit_per_s,
        max_clients: member.public.max_clients,
        icecast: load.icecast.clone(),
        version: member.public.version.clone(),
        uptime_s: load.uptime_s,
        peer_urls: member.peer_urls.clone(),
        public_ips: member.public.ips.iter().map(ToString::to_string).collect(),
        heard_ms: heard.map(|heard| heard.age_ms),
        url: base_url(member),
    }
}

/// One mount.
pub(super) fn mount(view: &ClusterView, name: &MountName, mount: &Mount, domain: Option<&str>) -> MountInfo {
    let claim = view.catalog.origins.get(name);
    let alive = |id: &NodeId| is_alive(view, *id);
    let on = |id: NodeId| view.loads.get(&id).and_then(|heard| heard.load.mounts.get(name)).cloned();
    let at_origin = claim.and_then(|claim| on(claim.origin.node)).unwrap_or_default();
    let here = |id: NodeId| if alive(&id) { on(id).map_or(0, |log| log.listeners) } else { 0 };
    let holds = |id: &NodeId| claim.is_none_or(|claim| claim.origin.node != *id) && on(*id).is_some_and(|log| log.live);
    MountInfo {
        name: name.to_string(),
        username: mount.username.clone(),
        origin: claim.map(|claim| node_label(view, claim.origin.node)).unwrap_or_default(),
        epoch: claim.map_or(0, |claim| claim.epoch),
        codec: at_origin.codec,
        content_type: claim.map(|claim| claim.origin.content_type.clone()).unwrap_or_default(),
        bitrate_bits_per_s: at_origin.bitrate_bits_per_s,
        listeners: view.loads.keys().map(|&id| here(id)).fold(0, u32::saturating_add),
        title: at_origin.title,
        source: claim.map(|claim| claim.origin.source.clone()).unwrap_or_default(),
        user_agent: claim.map(|claim| claim.origin.user_agent.clone()).unwrap_or_default(),
        settings: Some(settings::to_wire(mount)),
        followers: view.loads.keys().filter(|id| alive(id) && holds(id)).map(|&id| node_label(view, id)).collect(),
        listen_urls: urls(view, name, domain),
        source_url: urls(view, name, domain).into_iter().next().unwrap_or_default(),
    }
}

/// Where the mount is: by the domain, where there is one, else at each node.
fn urls(view: &ClusterView, name: &MountName, domain: Option<&str>) -> Vec<String> {
    let members = view.catalog.members.values().filter(|member| member.public.http_port != 0);
    match domain {
        Some(domain) => {
            // All nodes have to be at the same port for the domain to be of use; the first one's is as good as any.
            let port = members.map(|member| member.public.http_port).next().unwrap_or(80);
            vec![format!("{}{name}", http_url(domain, port))]
        }
        None => members.map(|member| format!("{}{name}", base_url(member))).collect(),
    }
}

/// A node's front: by its public address, or by the host of its peer URL.
fn base_url(member: &Member) -> String {
    let ip = member.public.ips.first().map(|ip| match ip {
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    });
    let by_peer_url = || {
        let rest = member.peer_urls.first()?.split_once("://")?.1;
        Some(rest.rsplit_once(':').map_or(rest, |(host, _)| host).to_owned())
    };
    http_url(&ip.or_else(by_peer_url).unwrap_or_default(), member.public.http_port)
}

fn http_url(host: &str, port: u16) -> String {
    if matches!(port, 0 | 80) { format!("http://{host}") } else { format!("http://{host}:{port}") }
}

#[cfg(test)]
#[path = "present_tests.rs"]
mod tests;
