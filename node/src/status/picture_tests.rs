use std::sync::Arc;

use autoradio_machine::{Claim, Mount as MountConfig, MountName, Origin, PublicFace};
use autoradio_policy::{Heard, Load, MountLoad};

use super::*;

/// Three voters; host1 leads and is the origin of `/live.ogg`, host2 has a log of it, too.
pub(crate) fn view() -> ClusterView {
    let mut view =
        ClusterView { me: 2, leader: Some(1), voters: vec![1, 2, 3], quorum: true, ..ClusterView::default() };
    let name = MountName::parse("/live.ogg").unwrap();
    for id in 1..=3_u64 {
        let public = PublicFace { version: "0.1.0".into(), ..PublicFace::default() };
        let member = Member { id, name: format!("host{id}"), public, ..Member::default() };
        Arc::make_mut(&mut view.catalog.members).insert(id, Arc::new(member));
        let mut load = Load { ready: true, listeners: 5, uptime_s: 60, icecast: "off".into(), ..Load::default() };
        if id < 3 {
            let log = MountLoad {
                epoch: 7,
                seq: 100 - id,
                live: true,
                listeners: 5,
                codec: "ogg vorbis".into(),
                title: format!("as host{id} has it"),
                bitrate_bits_per_s: 128_000,
                ..MountLoad::default()
            };
            load.mounts.insert(name.clone(), log);
        }
        view.loads.insert(id, Heard { age_ms: 10, load: Arc::new(load) });
    }
    let mount = MountConfig {
        username: "source".into(),
        password_hash: "$argon2id$secret".into(),
        burst_ms: None,
        hold_ms: None,
        max_listeners: None,
        public: false,
        title: Some("Radio <b>Test</b>".into()),
        description: None,
        genre: None,
        url: None,
    };
    Arc::make_mut(&mut view.catalog.mounts).insert(name.clone(), Arc::new(mount));
    let origin = Origin {
        node: 1,
        content_type: "application/ogg".into(),
        source: "192.0.2.9:4000".into(),
        user_agent: "Lavf".into(),
        ice: std::collections::BTreeMap::default(),
    };
    Arc::make_mut(&mut view.catalog.origins).insert(name, Claim { epoch: 7, origin: Arc::new(origin) });
    view
}

fn age(view: &mut ClusterView, id: NodeId, age_ms: u64) {
    view.loads.get_mut(&id).unwrap().age_ms = age_ms;
}

#[test]
fn a_well_cluster() {
    let picture = picture(&view(), Some("radio.test"));
    assert_eq!(picture.node, "host2");
    assert_eq!(picture.listeners, 15);
    assert_eq!(picture.health.text, "All 3 nodes are well; any one node may fail.");
    assert_eq!(picture.health.level, Level::Good);
    let roles: Vec<_> = picture.nodes.iter().map(|node| node.role).collect();
    assert_eq!(roles, ["leader", "voter", "voter"]);
    let [mount] = &picture.mounts[..] else { panic!("{:?}", picture.mounts) };
    assert_eq!((mount.live, mount.listeners, mount.title.as_str()), (true, 10, "as host1 has it"));
    assert_eq!(mount.origin.as_deref(), Some("host1"));
}

#[test]
fn a_dead_node_is_named_with_what_that_means() {
    let mut view = view();
    age(&mut view, 1, 60_000);
    let picture = picture(&view, None);
    assert_eq!(picture.health.level, Level::Warning);
    assert_eq!(picture.health.text, "host1: it was not heard for 60 s; no node may fail now.");
    assert_eq!(picture.nodes[0].uptime_s, None);
    assert_eq!(picture.mounts[0].title, "as host2 has it", "the dead are not asked");
}

#[test]
fn a_minority_says_so() {
    let mut view = view();
    view.quorum = false;
    age(&mut view, 1, 60_000);
    age(&mut view, 3, 60_000);
    let picture = picture(&view, None);
    assert_eq!(picture.health.level, Level::Bad);
    assert!(picture.health.text.starts_with("No majority: 1 of 3 voters"), "{}", picture.health.text);
}

#[test]
fn one_node_alone_is_well() {
    let mut view = view();
    view.voters = vec![1];
    let members = Arc::make_mut(&mut view.catalog.members);
    members.retain(|id, _| *id == 1);
    assert_eq!(picture(&view, None).health.level, Level::Good);
}

#[test]
fn no_secret_is_in_it() {
    let json = serde_json::to_string(&picture(&view(), None)).unwrap();
    assert!(!json.contains("argon2") && !json.contains("192.0.2.9"), "{json}");
}
