//! etcd's semantics, one by one.

use autoradio_machine::{CompareResult as R, CompareTarget as T, *};

use crate::{Run, bytes, compare, delete, get, put, txn};

#[test]
fn revisions_versions_and_old_reads() {
    let mut run = Run::default();
    assert_eq!(run.machine.revision(), 1);
    run.ok(Command::Put(put("a", "1")));
    run.ok(Command::Put(put("a", "2")));
    run.ok(Command::Delete(delete("a", "")));
    run.ok(Command::Put(put("a", "3")));
    let kv = &run.machine.range(&get("a", "")).unwrap().kvs[0];
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (5, 5, 1));
    let at = |revision| run.machine.range(&RangeRequest { revision, ..get("a", "") }).unwrap().kvs;
    assert_eq!(at(1), vec![]);
    assert_eq!((&at(3)[0].value[..], at(3)[0].version, at(3)[0].create_revision), (&b"2"[..], 2, 2));
    assert_eq!(at(4), vec![]);
    assert_eq!(run.machine.range(&RangeRequest { revision: 6, ..get("a", "") }), Err(Refusal::FutureRevision));
    // A delete of nothing changes nothing.
    assert_eq!(run.ok(Command::Delete(delete("zz", ""))), Response::Delete { deleted: 0, prev_kvs: vec![] });
    assert_eq!(run.machine.revision(), 5);
}

#[test]
fn ranges_with_every_option() {
    let mut run = Run::default();
    for (key, value) in [("a", "9"), ("b", "8"), ("c", "7"), ("d", "6"), ("b", "5")] {
        run.ok(Command::Put(put(key, value)));
    }
    assert_eq!(run.keys(&get("b", "d")), ["b", "c"]);
    assert_eq!(run.keys(&get("b", "\0")), ["b", "c", "d"]);
    assert_eq!(run.keys(&get("d", "a")), [""; 0]);
    let cut = run.machine.range(&RangeRequest { limit: 2, keys_only: true, ..get("a", "\0") }).unwrap();
    assert_eq!((cut.kvs.len(), cut.more, cut.count), (2, true, 4));
    assert!(cut.kvs.iter().all(|kv| kv.value.is_empty()));
    let count = run.machine.range(&RangeRequest { count_only: true, limit: 1, ..get("a", "\0") }).unwrap();
    assert_eq!((count.kvs.len(), count.count), (0, 4));
    let sorted = |sort_target, sort_order| run.keys(&RangeRequest { sort_target, sort_order, ..get("a", "\0") });
    assert_eq!(sorted(SortTarget::Value, SortOrder::Ascend), ["b", "d", "c", "a"]);
    assert_eq!(sorted(SortTarget::Mod, SortOrder::Descend), ["b", "d", "c", "a"]);
    assert_eq!(sorted(SortTarget::Version, SortOrder::None)[3], "b");
    assert_eq!(run.keys(&RangeRequest { min_mod_revision: 4, ..get("a", "\0") }), ["b", "c", "d"]);
    assert_eq!(run.keys(&RangeRequest { max_create_revision: 3, ..get("a", "\0") }), ["a", "b"]);
    assert_eq!(run.machine.range(&get("", "")), Err(Refusal::EmptyKey));
}

#[test]
fn puts_that_keep_value_or_lease() {
    let mut run = Run::default();
    let keep = PutRequest { ignore_value: true, ..put("a", "") };
    assert_eq!(run.apply(Command::Put(keep.clone())).result, Err(Refusal::KeyNotFound));
    run.ok(Command::LeaseGrant { id: 9, ttl_s: 60 });
    run.ok(Command::Put(PutRequest { lease: 9, ..put("a", "1") }));
    run.ok(Command::Put(PutRequest { ignore_lease: true, ..put("a", "2") }));
    assert_eq!(run.machine.range(&get("a", "")).unwrap().kvs[0].lease, 9);
    let answer = run.ok(Command::Put(PutRequest { prev_kv: true, ..keep }));
    assert!(matches!(answer, Response::Put { prev_kv: Some(kv) } if &kv.value[..] == b"2"));
    assert_eq!(run.machine.lease_keys(9), Some(vec![]), "a put without a lease takes the key off it");
    let both = PutRequest { ignore_value: true, ..put("a", "x") };
    assert_eq!(run.apply(Command::Put(both)).result, Err(Refusal::ValueProvided));
}

#[test]
fn transactions_compare_branch_and_see_their_own_writes() {
    let mut run = Run::default();
    run.ok(Command::Put(put("a", "1")));
    let answer = run.ok(txn(
        vec![compare("a", R::Equal, T::Value(bytes("1"))), compare("b", R::Equal, T::Create(0))],
        vec![Op::Put(put("b", "2")), Op::Range(get("a", "z")), Op::Delete(delete("a", ""))],
        vec![],
    ));
    let Response::Txn { succeeded: true, responses } = answer else { panic!("{answer:?}") };
    assert!(matches!(&responses[1], Response::Range(r) if r.count == 2));
    assert_eq!((run.machine.revision(), run.keys(&get("a", "z"))), (3, vec!["b".to_owned()]));
    // A missing key never compares by value.
    let answer = run.ok(txn(vec![compare("zz", R::NotEqual, T::Value(bytes("1")))], vec![], vec![]));
    assert_eq!(answer, Response::Txn { succeeded: false, responses: vec![] });
    // All keys of a range must match.
    run.ok(Command::Put(put("c", "9")));
    let all = Compare { range_end: bytes("z"), ..compare("a", R::Greater, T::Value(bytes("1"))) };
    assert!(matches!(run.ok(txn(vec![all], vec![], vec![])), Response::Txn { succeeded: true, .. }));
}

#[test]
fn nested_transactions_are_decided_before_anything_is_written() {
    let mut run = Run::default();
    let inner = |key: &str| {
        Op::Txn(TxnRequest {
            compare: vec![compare("a", R::Equal, T::Create(0))],
            success: vec![Op::Put(put(key, "then"))],
            failure: vec![Op::Put(put(key, "else"))],
        })
    };
    run.ok(txn(vec![], vec![Op::Put(put("a", "1")), inner("b"), inner("c")], vec![]));
    for key in ["b", "c"] {
        assert_eq!(&run.machine.range(&get(key, "")).unwrap().kvs[0].value[..], b"then");
    }
    assert_eq!(run.machine.revision(), 2);
}

#[test]
fn transactions_that_etcd_refuses() {
    let mut run = Run::default();
    let mut refused = |ops: Vec<Op>| run.apply(txn(vec![], ops, vec![])).result.unwrap_err();
    let nested = |ops| Op::Txn(TxnRequest { success: ops, ..TxnRequest::default() });
    let (a, del) = (|| Op::Put(put("a", "1")), || Op::Delete(delete("a", "c")));
    assert_eq!(refused(vec![a(), a()]), Refusal::DuplicateKey);
    assert_eq!(refused(vec![a(), del()]), Refusal::DuplicateKey);
    assert_eq!(refused(vec![nested(vec![del()]), a()]), Refusal::DuplicateKey);
    assert_eq!(refused(vec![nested(vec![a()]), nested(vec![a()])]), Refusal::DuplicateKey);
    assert_eq!(refused(vec![Op::Put(put("", "1"))]), Refusal::EmptyKey);
    assert_eq!(refused(vec![Op::Put(PutRequest { lease: 5, ..put("x", "1") })]), Refusal::LeaseNotFound);
    assert_eq!(refused((0..129).map(|i| Op::Put(put(&format!("k{i}"), ""))).collect()), Refusal::TooManyOps);
    let half = |tag: &str| (0..65).map(|i| Op::Put(put(&format!("{tag}{i}"), ""))).collect::<Vec<_>>();
    let mut both = half("x");
    both.push(nested(half("y")));
    assert_eq!(refused(both), Refusal::TooManyOps);
    // Both branches of one may write the same key.
    let either = TxnRequest { success: vec![a()], failure: vec![a()], ..TxnRequest::default() };
    run.ok(txn(vec![], vec![Op::Txn(either)], vec![]));
}

#[test]
fn a_refused_transaction_changes_nothing() {
    let mut run = Run::default();
    run.ok(Command::Put(put("a", "1")));
    let before = run.machine.to_snapshot();
    let bad =
        vec![Op::Put(put("a", "2")), Op::Delete(delete("b", "z")), Op::Put(PutRequest { lease: 99, ..put("zz", "") })];
    let applied = run.apply(txn(vec![], bad, vec![]));
    assert_eq!((applied.result, applied.events, applied.revision), (Err(Refusal::LeaseNotFound), vec![], 2));
    assert_eq!(run.machine.to_snapshot(), before);
}

#[test]
fn leases_take_their_keys_with_them_in_one_revision() {
    let mut run = Run::default();
    let Response::Lease { id, ttl_s } = run.ok(Command::LeaseGrant { id: 0, ttl_s: 0 }) else { panic!() };
    assert!(id > 0 && ttl_s == 2);
    assert_eq!(run.apply(Command::LeaseGrant { id, ttl_s: 5 }).result, Err(Refusal::LeaseExists));
    assert_eq!(run.apply(Command::LeaseGrant { id: 3, ttl_s: 9_000_000_001 }).result, Err(Refusal::LeaseTtlTooLarge));
    for key in ["b", "a"] {
        run.ok(Command::Put(PutRequest { lease: id, ..put(key, "") }));
    }
    let applied = run.apply(Command::LeaseRevoke { id });
    assert_eq!(applied.events.iter().map(|e| &e.kv.key[..]).collect::<Vec<_>>(), [b"a", b"b"]);
    assert!(applied.events.iter().all(|e| e.kv.mod_revision == 4));
    assert_eq!(run.apply(Command::LeaseRevoke { id }).result, Err(Refusal::LeaseNotFound));
}

#[test]
fn compaction_bounds_what_can_be_read() {
    let mut run = Run::default();
    (0..5).for_each(|i| drop(run.ok(Command::Put(put("a", &i.to_string())))));
    run.ok(Command::Compact { revision: 4 });
    let at = |revision| run.machine.range(&RangeRequest { revision, ..get("a", "") });
    assert_eq!(at(3), Err(Refusal::Compacted { compact_revision: 4 }));
    assert_eq!(&at(4).unwrap().kvs[0].value[..], b"2");
    assert!(run.machine.history(b"a", b"", 3, 0).is_err());
    assert_eq!(run.machine.history(b"a", b"", 4, 0).unwrap().len(), 3);
    assert_eq!(run.machine.history(b"a", b"", 4, 2).unwrap().len(), 2);
    assert_eq!(run.apply(Command::Compact { revision: 4 }).result, Err(Refusal::Compacted { compact_revision: 4 }));
    assert_eq!(run.apply(Command::Compact { revision: 0 }).result, Err(Refusal::Compacted { compact_revision: 4 }));
    assert_eq!(run.apply(Command::Compact { revision: 99 }).result, Err(Refusal::FutureRevision));
}

#[test]
fn a_transaction_that_only_reads_needs_no_entry() {
    let mut run = Run::default();
    run.ok(Command::Put(put("a", "1")));
    let inner = TxnRequest { success: vec![Op::Range(get("a", "\0"))], ..TxnRequest::default() };
    let request = TxnRequest {
        compare: vec![compare("a", R::Equal, T::Version(1))],
        success: vec![Op::Txn(inner), Op::Range(get("b", ""))],
        failure: vec![Op::Put(put("a", "2"))],
    };
    let read = run.machine.read_txn(&request).unwrap();
    assert_eq!(run.ok(Command::Txn(request.clone())), read, "as through the log");
    run.ok(Command::Put(put("a", "2")));
    assert_eq!(run.machine.read_txn(&request), Err(Refusal::NotReadOnly));
    let future = RangeRequest { revision: 99, ..get("a", "") };
    let request = TxnRequest { success: vec![Op::Range(future)], ..TxnRequest::default() };
    assert_eq!(run.machine.read_txn(&request), Err(Refusal::FutureRevision));
}

#[test]
fn history_in_windows_is_history_whole() {
    let mut run = Run::default();
    for n in 0..10 {
        run.ok(Command::Put(put(if n % 2 == 0 { "a" } else { "b" }, &n.to_string())));
    }
    let whole = run.machine.history(b"a", b"", 2, 0).unwrap();
    let windows = [(2, 4), (5, 5), (6, 9), (10, 11), (12, 100), (9, 3)];
    let pieces: Vec<_> =
        windows.iter().flat_map(|(from, to)| run.machine.history_window(b"a", b"", *from, *to).unwrap()).collect();
    assert_eq!((pieces.len(), pieces), (5, whole));
    run.ok(Command::Compact { revision: 5 });
    let refused = run.machine.history_window(b"a", b"", 4, 9);
    assert_eq!(refused, Err(Refusal::Compacted { compact_revision: 5 }));
    assert_eq!(run.machine.history_window(b"a", b"\0", 5, 6).unwrap().len(), 2);
}

#[test]
fn one_learner_at_a_time_and_the_last_started_member_stays() {
    let mut run = crate::cluster();
    let add =
        |url: &str| Command::MemberAdd(MemberAdd { name: String::new(), peer_urls: vec![url.into()], learner: true });
    run.ok(add("http://x:2380"));
    assert_eq!(run.apply(add("http://y:2380")).result, Err(Refusal::TooManyLearners));
    let started = |id| {
        let client_urls = Some(vec!["http://c:2379".to_owned()]);
        Command::MemberUpdate(MemberUpdate { id, client_urls, ..MemberUpdate::default() })
    };
    run.ok(started(1));
    assert_eq!(run.apply(Command::MemberRemove { id: 1 }).result, Err(Refusal::NotEnoughStarted));
    run.ok(started(2));
    run.ok(Command::MemberRemove { id: 1 });
}

#[test]
fn a_member_added_anew_by_the_same_entry_is_another() {
    let mut run = crate::cluster();
    let add = MemberAdd { name: String::new(), peer_urls: vec!["http://x:2380".into()], learner: false };
    let mut at_once = |command: Command| run.machine.apply(99, &command).result;
    let Ok(Response::Member(first)) = at_once(Command::MemberAdd(add.clone())) else { panic!() };
    at_once(Command::MemberRemove { id: first.id }).unwrap();
    let Ok(Response::Member(second)) = at_once(Command::MemberAdd(add)) else { panic!() };
    assert_ne!(first.id, second.id);
}
