//! Mounts, members and origins: what may be written, and what policy sees.

use std::collections::BTreeMap;

use autoradio_machine::*;

use crate::{bytes, cluster, delete, get, member, put, txn};

const MOUNT: &str = r#"{"username":"source","password_hash":"$argon2id$v=19$x"}"#;

fn name() -> MountName {
    MountName::parse("/live.ogg").expect("a valid name")
}

fn origin(node: u64) -> Origin {
    Origin {
        node,
        content_type: "application/ogg".into(),
        source: "10.0.0.9:5".into(),
        user_agent: "ices".into(),
        ice: BTreeMap::new(),
    }
}

#[test]
fn a_source_lease_is_claimed_once_overtaken_by_revision_and_given_back_by_epoch() {
    let mut run = cluster();
    run.ok(Command::Put(put("autoradio/mounts/live.ogg", MOUNT)));
    run.ok(Command::LeaseGrant { id: 5, ttl_s: 10 });
    run.ok(Command::LeaseGrant { id: 6, ttl_s: 10 });
    let first = run.apply(Command::Txn(claim_origin(&name(), 0, &origin(1), 5)));
    let claim = run.machine.catalog().origins[&name()].clone();
    assert_eq!((claim.epoch, claim.origin.node), (u64::try_from(first.revision).unwrap(), 1));
    // Who did not see the claim does not get it.
    let late = run.ok(Command::Txn(claim_origin(&name(), 0, &origin(2), 6)));
    assert!(matches!(late, Response::Txn { succeeded: false, .. }));
    run.ok(Command::Txn(claim_origin(&name(), first.revision, &origin(2), 6)));
    let next = run.machine.catalog().origins[&name()].clone();
    assert!(next.epoch > claim.epoch && next.origin.node == 2);
    // The first holder cannot give back what is not its own any more.
    run.ok(Command::Txn(release_origin(&name(), claim.epoch)));
    assert_eq!(run.machine.catalog().origins[&name()], next);
    run.ok(Command::LeaseRevoke { id: 6 });
    assert!(run.machine.catalog().origins.is_empty());
}

#[test]
fn what_is_not_right_below_autoradio_is_refused() {
    let mut run = cluster();
    run.ok(Command::LeaseGrant { id: 5, ttl_s: 10 });
    let leased = |key: &str, value: &str| PutRequest { lease: 5, ..put(key, value) };
    let claim = String::from_utf8(origin(1).to_json().to_vec()).unwrap();
    for bad in [
        put("autoradio/mounts/live.ogg", "{}"),
        put("autoradio/mountsx", MOUNT),
        put("autoradio/mounts/a/../b", MOUNT),
        put("autoradio/mounts/metrics", MOUNT),
        put("autoradio/members/host9", "{}"),
        put("autoradio/elsewhere", ""),
        leased("autoradio/origins/live.ogg", &claim),
    ] {
        let refused = run.apply(Command::Put(bad.clone())).result.unwrap_err();
        assert!(matches!(refused, Refusal::Invalid { .. }), "{bad:?}: {refused}");
    }
    run.ok(Command::Put(put("autoradio/mounts/live.ogg", MOUNT)));
    let stranger = String::from_utf8(origin(9).to_json().to_vec()).unwrap();
    for bad in [leased("autoradio/origins/live.ogg", &stranger), put("autoradio/origins/live.ogg", &claim)] {
        assert!(run.apply(Command::Put(bad)).result.is_err());
    }
    // Also inside a transaction, and for whole ranges.
    let hidden = txn(vec![], vec![Op::Put(put("x", "")), Op::Put(put("autoradio/members/x", ""))], vec![]);
    assert!(run.apply(hidden).result.is_err());
    assert!(run.apply(Command::Delete(delete("a", "z"))).result.is_err());
    assert_eq!(run.machine.catalog().members.len(), 2);
    run.ok(Command::Put(put("autoradio/jobs/transcode/live.mp3", "anything")));
}

#[test]
fn a_deleted_mount_takes_its_source_lease_along() {
    let mut run = cluster();
    run.ok(Command::Put(put("autoradio/mounts/live.ogg", MOUNT)));
    run.ok(Command::LeaseGrant { id: 5, ttl_s: 10 });
    run.ok(Command::Txn(claim_origin(&name(), 0, &origin(1), 5)));
    let applied = run.apply(Command::Delete(delete("autoradio/mounts/live.ogg", "")));
    assert_eq!(applied.events.len(), 2);
    assert!(applied.events.iter().all(|e| e.kv.mod_revision == applied.revision));
    assert_eq!(run.machine.catalog().mounts.len() + run.machine.catalog().origins.len(), 0);
    assert_eq!(run.machine.lease_keys(5), Some(vec![]));
}

#[test]
fn members_come_change_and_go_and_no_id_comes_twice() {
    let mut run = cluster();
    let add = |n: u8| {
        Command::MemberAdd(MemberAdd {
            name: format!("host{n}"),
            peer_urls: vec![format!("http://host{n}:2380")],
            learner: false,
        })
    };
    assert_eq!(run.apply(add(2)).result, Err(Refusal::PeerUrlsExist));
    let Response::Member(third) = run.ok(add(3)) else { panic!() };
    assert!(third.id != 0 && !third.started());
    let update = MemberUpdate {
        id: third.id,
        name: Some("renamed".into()),
        client_urls: Some(vec!["http://host3:2379".into()]),
        drained: Some(true),
        ..MemberUpdate::default()
    };
    run.ok(Command::MemberUpdate(update.clone()));
    let seen = run.machine.catalog().members[&third.id].clone();
    assert!(seen.started() && seen.drained && seen.name == "renamed");
    assert_eq!(run.keys(&get("autoradio/members/", "autoradio/members0")).len(), 3);
    let before = run.machine.revision();
    run.ok(Command::MemberUpdate(update));
    assert_eq!(run.machine.revision(), before, "nothing new, no new revision");
    let taken = MemberUpdate { id: third.id, name: Some("host1".into()), ..MemberUpdate::default() };
    assert!(matches!(run.apply(Command::MemberUpdate(taken)).result, Err(Refusal::MemberNameExists { .. })));
    let client_urls = Some(vec!["http://host1:2379".to_owned()]);
    run.ok(Command::MemberUpdate(MemberUpdate { id: 1, client_urls, ..MemberUpdate::default() }));
    run.ok(Command::MemberRemove { id: third.id });
    assert!(run.machine.was_removed(third.id));
    assert_eq!(run.apply(Command::MemberRemove { id: third.id }).result, Err(Refusal::MemberNotFound));
    let Response::Member(again) = run.ok(add(3)) else { panic!() };
    assert_ne!(again.id, third.id);
    for bad in ["host3:2380", "http://host3", "http://:2380", "ftp://host3:2380", "http://host3:2380/x"] {
        let bad = MemberAdd { name: "x".into(), peer_urls: vec![bad.into()], learner: false };
        assert_eq!(run.apply(Command::MemberAdd(bad)).result, Err(Refusal::BadPeerUrls));
    }
}

#[test]
fn a_cluster_is_made_once() {
    let mut run = cluster();
    let again = |cluster_id| Command::Init(InitRequest { cluster_id, members: vec![member(1, "host1")] });
    assert_eq!(run.ok(again(7)), Response::Done);
    assert_eq!(run.apply(again(8)).result, Err(Refusal::AlreadyInitialised));
}

#[test]
fn a_mount_that_was_made_anew_is_told_from_the_one_before() {
    let mut run = cluster();
    let mut created = |command| {
        run.ok(command);
        run.machine.catalog().created(&name())
    };
    let create = || Command::Put(put("autoradio/mounts/live.ogg", MOUNT));
    let first = created(create());
    assert_eq!(created(create()), first, "settings that change make no other mount");
    assert_eq!(created(Command::Delete(delete("autoradio/mounts/live.ogg", ""))), 0);
    assert!(created(create()) > first);
}

#[test]
fn a_catalog_from_a_snapshot_is_the_catalog() {
    let mut run = cluster();
    run.ok(Command::Put(put("autoradio/mounts/live.ogg", MOUNT)));
    run.ok(Command::LeaseGrant { id: 5, ttl_s: 10 });
    run.ok(Command::Txn(claim_origin(&name(), 0, &origin(1), 5)));
    run.ok(Command::Put(PutRequest { key: bytes("x"), ..PutRequest::default() }));
    let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
    assert_eq!(again, run.machine);
}
