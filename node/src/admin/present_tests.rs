use std::{collections::BTreeMap, sync::Arc};

use autoradio_machine::{Catalog, Claim, Origin, PublicFace};
use autoradio_policy::{Heard, Load, MountLoad};

use super::*;

/// Three nodes, of which the third is silent; a mount from the first, followed by the second.
fn view() -> (ClusterView, MountName, Mount) {
    let name = MountName::parse("/live.ogg").unwrap();
    let mount = settings::new_mount("source".into(), "secret-hash".into());
    let member = |id: u64| {
        let public = PublicFace {
            ips: vec![format!("192.0.2.{id}").parse().unwrap()],
            http_port: 8080,
            ..PublicFace::default()
        };
        let client_urls = vec!["http://127.0.0.1:2379".into()];
        (id, Arc::new(Member { id, name: format!("host{id}"), client_urls, public, ..Member::default() }))
    };
    let log = |listeners| MountLoad { live: true, epoch: 7, listeners, title: "Song".into(), ..MountLoad::default() };
    let heard = |id: u64, age_ms, listeners| {
        let mounts = BTreeMap::from([(name.clone(), log(listeners))]);
        (id, Heard { age_ms, load: Arc::new(Load { ready: true, mounts, ..Load::default() }) })
    };
    let origin = Origin {
        node: 1,
        content_type: "application/ogg".into(),
        source: "198.51.100.1:5".into(),
        user_agent: "enc".into(),
        ice: BTreeMap::new(),
    };
    let catalog = Catalog {
        revision: 9,
        mounts: Arc::new(BTreeMap::from([(name.clone(), Arc::new(mount.clone()))])),
        members: Arc::new([member(1), member(2), member(3)].into()),
        origins: Arc::new(BTreeMap::from([(name.clone(), Claim { epoch: 7, origin: Arc::new(origin) })])),
        created: Arc::new(BTreeMap::from([(name.clone(), 5)])),
    };
    let loads = [heard(1, 0, 2), heard(2, 100, 3), heard(3, 60_000, 50)].into();
    let view = ClusterView { me: 2, catalog, leader: Some(1), voters: vec![1, 2, 3], quorum: true, loads };
    (view, name, mount)
}

#[test]
fn a_mount_is_shown_with_where_it_is_and_who_hears_it() {
    let (view, name, mount) = view();
    let info = super::mount(&view, &name, &mount, None);
    assert_eq!((info.origin.as_str(), info.epoch, info.title.as_str()), ("host1", 7, "Song"));
    assert_eq!(info.listeners, 5, "those of a silent node are gone");
    assert_eq!(info.followers, ["host2"]);
    assert_eq!(info.listen_urls[0], "http://192.0.2.1:8080/live.ogg");
    assert_eq!(
        super::mount(&view, &name, &mount, Some("radio.example")).listen_urls,
        ["http://radio.example:8080/live.ogg"]
    );
}

#[test]
fn the_status_names_roles_and_what_is_wrong_and_no_secret() {
    let (view, ..) = view();
    let reply = status(&view, 0xc1, None);
    let shown: Vec<_> = reply.nodes.iter().map(|n| (n.name.as_str(), n.role.as_str(), n.state.as_str())).collect();
    assert_eq!(shown, [("host1", "leader", "ok"), ("host2", "voter", "ok"), ("host3", "voter", "silent")]);
    assert_eq!((reply.health.as_str(), reply.can_lose, reply.voters), ("degraded", 0, 3));
    assert!(reply.problems.iter().any(|problem| problem.contains("host3")), "{:?}", reply.problems);
    assert_eq!((reply.cluster_id.as_str(), reply.answered_by.as_str(), reply.revision), ("c1", "host2", 9));
    assert!(!format!("{reply:?}").contains("secret-hash"));
}
