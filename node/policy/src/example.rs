//! Small clusters for the tests of this crate.

use std::{net::IpAddr, sync::Arc};

use autoradio_machine::{Claim, Member, Mount, MountName, NodeId, Origin, PublicFace};

use crate::{ClusterView, Heard, Load, MountLoad};

/// A view that tests change at will.
pub(crate) struct Example {
    pub(crate) view: ClusterView,
}

/// A mount's name.
pub(crate) fn name(text: &str) -> MountName {
    MountName::parse(text).unwrap()
}

/// A mount without settings.
pub(crate) fn mount() -> Mount {
    Mount {
        username: "source".into(),
        password_hash: "$argon2id$...".into(),
        burst_ms: None,
        hold_ms: None,
        max_listeners: None,
        public: false,
        title: None,
        description: None,
        genre: None,
        url: None,
    }
}

impl Example {
    /// Nodes 1 to n, named host1 to hostN, at 192.0.2.N and 2001:db8::N, all fit; node 1 leads and is "me".
    pub(crate) fn nodes(n: u8) -> Self {
        let mut it = Self { view: ClusterView { me: 1, leader: Some(1), quorum: true, ..ClusterView::default() } };
        it.view.catalog.revision = 41;
        for id in 1..=n {
            let node = NodeId::from(id);
            let ips = vec![IpAddr::from([192, 0, 2, id]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(id)])];
            let member = Member {
                id: node,
                name: format!("host{id}"),
                peer_urls: vec![format!("http://192.0.2.{id}:2380")],
                client_urls: vec![format!("http://192.0.2.{id}:2379")],
                public: PublicFace {
                    ips,
                    http_port: 80,
                    icecast_port: 8000,
                    version: "0.1.0".into(),
                    ..PublicFace::default()
                },
                drained: false,
                learner: false,
            };
            Arc::make_mut(&mut it.view.catalog.members).insert(node, Arc::new(member));
            let load = Load {
                ready: true,
                version: "0.1.0".into(),
                icecast: "running".into(),
                uptime_s: 60,
                ..Load::default()
            };
            it.view.loads.insert(node, Heard { age_ms: 0, load: Arc::new(load) });
            if id <= 5 {
                it.view.voters.push(node);
            }
        }
        it
    }

    pub(crate) fn view(&self) -> ClusterView {
        self.view.clone()
    }

    pub(crate) fn member(&mut self, id: NodeId) -> &mut Member {
        Arc::make_mut(Arc::make_mut(&mut self.view.catalog.members).get_mut(&id).unwrap())
    }

    pub(crate) fn heard(&mut self, id: NodeId) -> &mut Heard {
        self.view.loads.get_mut(&id).unwrap()
    }

    pub(crate) fn load(&mut self, id: NodeId) -> &mut Load {
        Arc::make_mut(&mut self.heard(id).load)
    }

    /// A mount that node `origin` sends, whose log is at `seq` on `holders`.
    pub(crate) fn on_air(&mut self, path: &str, origin: NodeId, epoch: u64, seq: u64, holders: &[NodeId]) {
        self.mount(path);
        let claim = Claim {
            epoch,
            origin: Arc::new(Origin {
                node: origin,
                content_type: "audio/mpeg".into(),
                source: "198.51.100.7".into(),
                user_agent: "Lavf/59".into(),
                ice: [("name".to_owned(), "Radio X".to_owned())].into(),
            }),
        };
        Arc::make_mut(&mut self.view.catalog.origins).insert(name(path), claim);
        for holder in holders {
            self.log(path, *holder, epoch, seq);
        }
    }

    /// Gives a node a log of the mount.
    pub(crate) fn log(&mut self, path: &str, node: NodeId, epoch: u64, seq: u64) -> &mut MountLoad {
        let log = MountLoad {
            epoch,
            seq,
            live: true,
            codec: "mp3 44100 Hz stereo".into(),
            bitrate_bits_per_s: 128_000,
            ..MountLoad::default()
        };
        self.load(node).mounts.insert(name(path), log);
        self.load(node).mounts.get_mut(&name(path)).unwrap()
    }

    /// Adds a mount without settings.
    pub(crate) fn mount(&mut self, path: &str) -> &mut Mount {
        let mounts = Arc::make_mut(&mut self.view.catalog.mounts);
        Arc::make_mut(mounts.entry(name(path)).or_insert_with(|| Arc::new(mount())))
    }
}
