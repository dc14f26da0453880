//! Past faults of etcd (its robustness suite's table), each as a test.

use autoradio_machine::*;

use crate::{Run, delete, get, put, txn};

/// etcd #17780, #13766: a revision went back.
#[test]
fn the_revision_never_goes_back() {
    let mut run = Run::default();
    let mut last = run.machine.revision();
    for i in 0..50 {
        let revision = last;
        let command = match i % 5 {
            0 => Command::Compact { revision },
            1 => Command::Delete(delete("k", "")),
            2 => Command::Put(PutRequest { lease: 77, ..put("k", "") }),
            _ => Command::Put(put("k", "")),
        };
        let applied = run.apply(command);
        assert!(applied.revision >= last);
        last = applied.revision;
        run.machine = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
        assert_eq!(run.machine.revision(), last);
    }
}

/// etcd #17247: a transaction's events came twice.
#[test]
fn a_transaction_makes_each_event_once_and_all_of_one_revision() {
    let mut run = Run::default();
    run.ok(Command::Put(put("c", "0")));
    let applied = run.apply(txn(
        vec![],
        vec![Op::Put(put("b", "1")), Op::Put(put("a", "1")), Op::Delete(delete("c", ""))],
        vec![],
    ));
    let seen: Vec<_> = applied.events.iter().map(|e| (&e.kv.key[..], e.kv.mod_revision)).collect();
    assert_eq!(seen, [(&b"b"[..], 3), (b"a", 3), (b"c", 3)]);
    assert_eq!(run.machine.history(b"a", b"\0", 3, 0).unwrap(), applied.events);
    // The order within the revision outlives a snapshot.
    let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
    assert_eq!(again.history(b"a", b"\0", 3, 0).unwrap(), applied.events);
}

/// etcd #18089, #19179: compaction at the revision of a delete lost its event.
#[test]
fn compaction_keeps_the_delete_event_of_its_own_revision() {
    let mut run = Run::default();
    run.ok(Command::Put(put("a", "1")));
    run.ok(Command::Delete(delete("a", "")));
    run.ok(Command::Compact { revision: 3 });
    let events = run.machine.history(b"a", b"", 3, 0).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, events[0].prev_kv.clone()), (EventKind::Delete, None));
    // The next compaction takes it.
    run.ok(Command::Put(put("b", "1")));
    run.ok(Command::Compact { revision: 4 });
    assert_eq!(run.keys(&get("a", "\0")), ["b"]);
}

/// etcd #18667: a transaction read a compacted revision.
#[test]
fn a_transaction_that_reads_a_compacted_revision_is_refused_whole() {
    let mut run = Run::default();
    (0..4).for_each(|_| drop(run.ok(Command::Put(put("a", "")))));
    run.ok(Command::Compact { revision: 4 });
    let old = RangeRequest { revision: 2, ..get("a", "") };
    let applied = run.apply(txn(vec![], vec![Op::Put(put("b", "")), Op::Range(old)], vec![]));
    assert_eq!(applied.result, Err(Refusal::Compacted { compact_revision: 4 }));
    assert_eq!((run.keys(&get("b", "")), run.machine.revision()), (vec![], 5));
}

/// etcd #14370 and others: members of one history had different stores.
#[test]
fn the_hash_is_equal_with_and_without_a_snapshot_between() {
    let (mut one, mut two) = (Run::default(), Run::default());
    for i in 0..20 {
        for run in [&mut one, &mut two] {
            run.ok(Command::Put(put(&format!("k{}", i % 3), &i.to_string())));
        }
        two.machine = Machine::from_snapshot(&two.machine.to_snapshot()).unwrap();
    }
    assert_eq!(one.machine.hash(0), two.machine.hash(0));
    assert_eq!(one.machine.hash(7), two.machine.hash(7));
    assert_ne!(one.machine.hash(7), one.machine.hash(8));
}

#[test]
fn damaged_and_newer_snapshots_and_entries_are_refused() {
    let mut run = crate::cluster();
    run.ok(Command::Put(put("a", "1")));
    let good = run.machine.to_snapshot();
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 0x40;
        assert!(Machine::from_snapshot(&bad).is_err(), "byte {place}");
        assert!(Machine::from_snapshot(&good[..place]).is_err(), "cut at {place}");
    }
    let mut newer = good.clone();
    newer[0] = 9;
    assert!(matches!(Machine::from_snapshot(&newer), Err(SnapshotError::Newer { found: 9, .. })));
    let mut entry = Command::Put(put("a", "1")).encode();
    entry[0] = 2;
    assert!(matches!(Command::decode(&entry), Err(CodecError::Newer { found: 2 })));
    assert!(Command::decode(&[1, 250]).is_err() && Command::decode(&[]).is_err());
}
