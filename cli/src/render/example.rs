//! Replies for tests.

use autoradio_proto::admin::{MountInfo, MountSettings, NodeInfo, StatusReply};

fn node(n: u64, role: &str) -> NodeInfo {
    NodeInfo {
        id: format!("{n:x}"),
        name: format!("host{n}"),
        role: role.into(),
        state: "ok".into(),
        listeners: 400 + u32::try_from(n).unwrap(),
        sent_bytes_per_s: 8_250_000,
        bwlimit_mbit_per_s: 1_000,
        max_clients: 5_000,
        icecast: "running".into(),
        version: "0.1.0".into(),
        uptime_s: 86_400 * 41 + 3_600 * n,
        heard_ms: Some(120),
        ..NodeInfo::default()
    }
}

/// A mount that nobody sends to.
pub(crate) fn mount(name: &str) -> MountInfo {
    let url = format!("http://radio.example.org{name}");
    MountInfo {
        name: name.into(),
        username: "source".into(),
        settings: Some(MountSettings { public: Some(false), ..MountSettings::default() }),
        listen_urls: vec![url.clone()],
        source_url: url,
        ..MountInfo::default()
    }
}

/// A mount on air with settings.
pub(crate) fn on_air() -> MountInfo {
    let settings = MountSettings {
        burst_ms: Some(2_000),
        hold_ms: Some(90_000),
        max_listeners: Some(1_500),
        public: Some(true),
        title: Some("Radio Example".into()),
        genre: Some("Jazz".into()),
        ..MountSettings::default()
    };
    MountInfo {
        origin: "host2".into(),
        epoch: 9,
        codec: "opus".into(),
        content_type: "application/ogg".into(),
        bitrate_bits_per_s: 96_200,
        listeners: 1_102,
        title: "Nina Simone – Sinnerman".into(),
        source: "198.51.100.7:40312".into(),
        user_agent: "butt 1.40".into(),
        settings: Some(settings),
        followers: vec!["host1".into(), "host3".into()],
        ..mount("/live.ogg")
    }
}

/// Three nodes, two mounts.
pub(crate) fn healthy() -> StatusReply {
    let talk = MountInfo {
        origin: "host1".into(),
        codec: "mp3".into(),
        bitrate_bits_per_s: 128_000,
        listeners: 104,
        ..mount("/talk.mp3")
    };
    StatusReply {
        cluster_id: "c1".into(),
        domain: "radio.example.org".into(),
        nodes: vec![node(1, "leader"), node(2, "voter"), node(3, "voter")],
        mounts: vec![on_air(), talk],
        health: "healthy".into(),
        quorum: true,
        can_lose: 1,
        voters: 3,
        answered_by: "host1".into(),
        revision: 412,
        problems: Vec::new(),
    }
}

/// A silent node, a crashed Icecast.
pub(crate) fn degraded() -> StatusReply {
    let mut reply = healthy();
    reply.health = "degraded".into();
    reply.can_lose = 0;
    reply.nodes[1].state = "silent".into();
    reply.nodes[1].heard_ms = Some(98_000);
    reply.nodes[2].icecast = "crashed, again in 8 s".into();
    reply.mounts[0].origin = "host3".into();
    reply.problems = vec![
        "host2 was not heard for 98 s. Start autoradio-node there, or remove it if it is gone for good.".into(),
        "Icecast on host3 is not running: crashed, again in 8 s. The node's own port serves all the same.".into(),
    ];
    reply
}

/// One of three is left.
pub(crate) fn no_majority() -> StatusReply {
    let mut reply = healthy();
    reply.health = "unavailable".into();
    reply.quorum = false;
    reply.can_lose = 0;
    for node in &mut reply.nodes[1..] {
        node.role = "voter".into();
        node.state = "silent".into();
        node.heard_ms = None;
    }
    reply.nodes[0].role = "voter".into();
    reply.problems = vec![
        "No majority: 1 of 3 voters in reach, 2 needed. Streams go on, changes are refused. Start the missing nodes or \
         mend the network between them."
            .into(),
    ];
    reply
}

/// A node of its own, without a domain.
pub(crate) fn alone() -> StatusReply {
    StatusReply {
        domain: String::new(),
        nodes: vec![NodeInfo { bwlimit_mbit_per_s: 0, max_clients: 0, listeners: 0, ..node(1, "leader") }],
        mounts: Vec::new(),
        can_lose: 0,
        voters: 1,
        ..healthy()
    }
}

/// Titles that are long, wide or hostile.
pub(crate) fn wide() -> StatusReply {
    let mut reply = healthy();
    reply.mounts[0].title =
        "坂本龍一 – 戦場のメリークリスマス (Merry Christmas Mr. Lawrence) 🎹 1983 remastered".into();
    reply.mounts[1].title = "a\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m b\r\nc \u{202e}desrever".into();
    let long = format!("/{}/show.mp3", "a-very-long-station-name".repeat(3));
    reply.mounts.push(MountInfo { title: "short".into(), ..mount(&long) });
    reply
}
