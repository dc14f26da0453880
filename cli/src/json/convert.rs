//! From the wire to JSON's structs: texts that are empty on the wire, and limits of 0, are not there.

use autoradio_proto::admin as wire;

use super::{Mount, Node, Settings, Status, playlist_urls};

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn limit(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

impl From<wire::StatusReply> for Status {
    fn from(it: wire::StatusReply) -> Self {
        Self {
            health: it.health,
            quorum: it.quorum,
            voters: it.voters,
            can_lose: it.can_lose,
            problems: it.problems,
            cluster_id: it.cluster_id,
            domain: given(it.domain),
            answered_by: it.answered_by,
            revision: it.revision,
            nodes: it.nodes.into_iter().map(Into::into).collect(),
            mounts: it.mounts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<wire::NodeInfo> for Node {
    fn from(it: wire::NodeInfo) -> Self {
        Self {
            id: it.id,
            name: it.name,
            role: it.role,
            state: it.state,
            listeners: it.listeners,
            sent_bytes_per_s: it.sent_bytes_per_s,
            bwlimit_mbit_per_s: limit(it.bwlimit_mbit_per_s),
            max_clients: limit(it.max_clients),
            icecast: given(it.icecast),
            version: given(it.version),
            uptime_s: it.uptime_s,
            peer_urls: it.peer_urls,
            public_ips: it.public_ips,
            heard_ms: it.heard_ms,
            url: it.url,
        }
    }
}

impl From<wire::MountInfo> for Mount {
    fn from(it: wire::MountInfo) -> Self {
        Self {
            playlist_urls: playlist_urls(&it),
            name: it.name,
            username: it.username,
            origin: given(it.origin),
            epoch: it.epoch,
            codec: given(it.codec),
            content_type: given(it.content_type),
            bitrate_bits_per_s: it.bitrate_bits_per_s,
            listeners: it.listeners,
            title: given(it.title),
            source: given(it.source),
            user_agent: given(it.user_agent),
            settings: it.settings.map(Into::into).unwrap_or_default(),
            followers: it.followers,
            listen_urls: it.listen_urls,
            source_url: given(it.source_url),
        }
    }
}

impl From<wire::MountSettings> for Settings {
    fn from(it: wire::MountSettings) -> Self {
        Self {
            burst_ms: it.burst_ms,
            hold_ms: it.hold_ms,
            max_listeners: it.max_listeners,
            public: it.public.unwrap_or_default(),
            title: it.title,
            description: it.description,
            genre: it.genre,
            url: it.url,
        }
    }
}
