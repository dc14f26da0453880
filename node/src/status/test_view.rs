//! A small cluster, for tests.

use std::sync::Arc;

use autoradio_machine::{Claim, Member, Mount, MountName, Origin, PublicFace};
use autoradio_policy::{ClusterView, Heard, Load, MountLoad};

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
    let mount = Mount {
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
