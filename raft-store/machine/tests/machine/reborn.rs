//! A state as the beginning of another cluster.

use autoradio_machine::{Command, Machine, PutRequest, RangeRequest, Refusal, Response};

use crate::{Run, cluster, get, member, put};

const MOUNT: &str = r#"{"username":"source","password_hash":"$argon2id$v=19$x"}"#;

#[test]
fn mounts_and_clients_keys_live_on_and_members_and_source_leases_do_not() {
    let mut run = cluster();
    run.ok(Command::Put(put("autoradio/mounts/live.mp3", MOUNT)));
    let lease = |run: &mut Run, command| {
        let Response::Lease { id, .. } = run.ok(command) else { panic!("another answer") };
        id
    };
    let node = lease(&mut run, Command::NodeLease { ttl_s: 10 });
    let clients = lease(&mut run, Command::LeaseGrant { id: 0, ttl_s: 60 });
    run.ok(Command::Put(PutRequest { lease: node, ..put("autoradio/jobs/transcode/live.mp3", "host1") }));
    run.ok(Command::Put(PutRequest { lease: clients, ..put("lock", "held") }));
    let (before, digest) = (run.machine.revision(), run.machine.to_snapshot());

    let first = member(9, "host1");
    let machine = Machine::from_snapshot(&digest).unwrap().reborn(0xbeef, &first);
    assert_eq!(machine.cluster_id(), Some(0xbeef));
    let catalog = machine.catalog();
    assert_eq!(catalog.members.keys().copied().collect::<Vec<_>>(), [9]);
    assert_eq!((catalog.mounts.len(), catalog.origins.len()), (1, 0));
    assert!(machine.was_removed(1) && machine.was_removed(2) && !machine.was_removed(9));
    assert!(machine.lease(node).is_none() && machine.lease(clients).is_some());
    let mut run = Run { machine, index: 1 };
    assert_eq!(run.keys(&get("lock", "")), ["lock"]);
    assert_eq!(run.keys(&get("autoradio/jobs/", "autoradio/jobs0")), [] as [String; 0]);
    assert!(run.machine.revision() > before + 1_000_000, "no revision is given twice");
    let old = RangeRequest { revision: before, ..get("lock", "") };
    assert!(matches!(run.machine.range(&old), Err(Refusal::Compacted { .. })));
    // It goes on from there, and is the same from its snapshot.
    run.ok(Command::Put(put("lock", "again")));
    assert_eq!(Machine::from_snapshot(&run.machine.to_snapshot()).unwrap(), run.machine);
}

#[test]
fn an_empty_state_can_begin_a_cluster_too() {
    let machine = Machine::default().reborn(7, &member(1, "host1"));
    assert_eq!(machine.catalog().members.len(), 1);
}
