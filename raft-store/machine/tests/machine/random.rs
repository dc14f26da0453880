//! Random commands on the machine and on the model: what one answers, the other must, in every detail.
//!
//! Keys, values, leases and revisions are few and small numbers, so that commands meet, and failures shrink to a
//! handful of commands that can be read.

use autoradio_machine::*;
use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{Run, model::Model};

/// Commands of one run: enough for some compactions and for leases to come and go.
const STEPS: usize = 40;

/// How deep transactions are nested: two levels below the outermost.
const DEPTH: u32 = 3;

/// What happens to the machine.
#[derive(Clone, Debug)]
enum Act {
    Command(Command),
    /// All up to so many revisions ago is compacted.
    Compact(Revision),
    /// It is written to a snapshot, and goes on from there.
    Restart,
}

/// What happens, and what is read afterwards.
#[derive(Clone, Debug)]
struct Step {
    act: Act,
    read: RangeRequest,
    watch: (RangeRequest, Revision, Revision),
}

fn key() -> impl Strategy<Value = Bytes> {
    select(vec!["a", "b", "c", "d", "e"]).prop_map(Bytes::from)
}

/// One key mostly; sometimes a range, an empty one too, or all from a key on.
fn span() -> impl Strategy<Value = (Bytes, Bytes)> {
    (key(), prop_oneof![3 => Just(""), 2 => select(vec!["b", "c", "d", "f"]), 1 => Just("\0")])
        .prop_map(|(key, end)| (key, end.into()))
}

fn value() -> impl Strategy<Value = Bytes> {
    select(vec!["", "1", "2", "3"]).prop_map(Bytes::from)
}

/// None, one of those that are granted, or one that is not.
fn lease() -> impl Strategy<Value = LeaseId> {
    prop_oneof![12 => Just(0), 6 => 1..=2i64, 1 => Just(9i64)]
}

/// Mostly the newest; the past, the compacted past, and the future too.
fn revision() -> impl Strategy<Value = Revision> {
    let most = i64::try_from(STEPS).expect("a small number");
    prop_oneof![12 => Just(0), 3 => 1..8i64, 2 => 1..most, 1 => Just(-1i64)]
}

fn put() -> impl Strategy<Value = PutRequest> {
    let keeps = prop_oneof![6 => Just((false, false)), 1 => Just((true, false)), 1 => Just((false, true))];
    (key(), value(), lease(), any::<bool>(), keeps, prop::bool::weighted(0.1)).prop_map(
        |(key, value, lease, prev_kv, (ignore_value, ignore_lease), contradicts)| PutRequest {
            key,
            value: if ignore_value && !contradicts { Bytes::new() } else { value },
            lease: if ignore_lease && !contradicts { 0 } else { lease },
            prev_kv,
            ignore_value,
            ignore_lease,
        },
    )
}

fn delete() -> impl Strategy<Value = DeleteRequest> {
    (span(), any::<bool>()).prop_map(|((key, range_end), prev_kv)| DeleteRequest { key, range_end, prev_kv })
}

fn range() -> impl Strategy<Value = RangeRequest> {
    let orders = select(vec![SortOrder::None, SortOrder::Ascend, SortOrder::Descend]);
    let targets =
        select(vec![SortTarget::Key, SortTarget::Version, SortTarget::Create, SortTarget::Mod, SortTarget::Value]);
    let bound = || prop_oneof![4 => Just(0i64), 1 => 1..20i64];
    let bounds = (bound(), bound(), bound(), bound());
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (span(), 0..4i64, revision(), orders, targets, flags, bounds).prop_map(
        |((key, range_end), limit, revision, sort_order, sort_target, (keys_only, count_only), bounds)| RangeRequest {
            key,
            range_end,
            limit,
            revision,
            sort_order,
            sort_target,
            keys_only,
            count_only,
            min_mod_revision: bounds.0,
            max_mod_revision: bounds.1,
            min_create_revision: bounds.2,
            max_create_revision: bounds.3,
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    use {CompareResult as Res, CompareTarget as Target};
    let results = select(vec![Res::Equal, Res::Greater, Res::Less, Res::NotEqual]);
    let target = prop_oneof![
        (0..4i64).prop_map(Target::Version),
        (0..20i64).prop_map(Target::Create),
        (0..20i64).prop_map(Target::Mod),
        value().prop_map(Target::Value),
        lease().prop_map(Target::Lease),
    ];
    (span(), results, target).prop_map(|((key, range_end), result, target)| Compare { key, range_end, result, target })
}

fn txn() -> impl Strategy<Value = TxnRequest> {
    let flat = prop_oneof![put().prop_map(Op::Put), delete().prop_map(Op::Delete), range().prop_map(Op::Range)];
    let op = flat.prop_recursive(DEPTH - 1, 8, 3, |op| {
        let branch = vec(op, 0..3);
        (vec(compare(), 0..2), branch.clone(), branch)
            .prop_map(|(compare, success, failure)| Op::Txn(TxnRequest { compare, success, failure }))
    });
    let branch = vec(op, 0..4);
    (vec(compare(), 0..3), branch.clone(), branch).prop_map(|(compare, success, failure)| TxnRequest {
        compare,
        success,
        failure,
    })
}

fn act() -> impl Strategy<Value = Act> {
    let grant = (0..=2i64, select(vec![0, 2, 60, 9_000_000_001])).prop_map(|(id, ttl_s)| (id, ttl_s));
    prop_oneof![
        6 => put().prop_map(|request| Act::Command(Command::Put(request))),
        3 => delete().prop_map(|request| Act::Command(Command::Delete(request))),
        6 => txn().prop_map(|request| Act::Command(Command::Txn(request))),
        1 => revision().prop_map(|revision| Act::Command(Command::Compact { revision })),
        2 => (0..3i64).prop_map(Act::Compact),
        2 => grant.prop_map(|(id, ttl_s)| Act::Command(Command::LeaseGrant { id, ttl_s })),
        1 => (1..=2i64).prop_map(|id| Act::Command(Command::LeaseRevoke { id })),
        1 => Just(Act::Restart),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let most = i64::try_from(STEPS).expect("a small number");
    let through = option::weighted(0.3, 0..most).prop_map(|through| through.unwrap_or(Revision::MAX));
    let step = (act(), range(), (range(), -1..most, through));
    vec(step.prop_map(|(act, read, watch)| Step { act, read, watch }), 1..STEPS)
}

/// One command on both.
fn both(run: &mut Run, model: &mut Model, command: &Command) -> Result<Vec<Event>, TestCaseError> {
    let applied = run.apply(command.clone());
    let (expected, events) = model.apply(command, applied.result.as_ref().ok());
    match (&applied.result, &expected) {
        (Ok(answer), Ok(wanted)) => prop_assert_eq!(answer, wanted),
        (Err(refusal), Err(reasons)) => {
            prop_assert!(reasons.contains(refusal), "{:?} is not of {:?}", refusal, reasons)
        }
        _ => prop_assert!(false, "{:?}, and by the model {:?}", applied.result, expected),
    }
    prop_assert_eq!(&applied.events, &events);
    prop_assert_eq!(applied.revision, model.current());
    Ok(events)
}

/// What can be read of both.
fn same(run: &Run, model: &Model, step: &Step) -> Result<(), TestCaseError> {
    prop_assert_eq!(run.machine.revision(), model.current());
    prop_assert_eq!(run.machine.compacted_revision(), model.compacted);
    prop_assert_eq!(run.machine.range(&step.read), model.range(&step.read));
    let (RangeRequest { key, range_end, .. }, from, through) = &step.watch;
    let seen = run.machine.history_window(key, range_end, *from, *through);
    prop_assert_eq!(seen, model.history(key, range_end, *from, *through));
    let leases: Vec<_> = run.machine.leases().into_iter().map(|lease| (lease.id, lease.ttl_s)).collect();
    prop_assert_eq!(leases, model.leases.clone().into_iter().collect::<Vec<_>>());
    for id in model.leases.keys() {
        prop_assert_eq!(run.machine.lease_keys(*id), Some(model.keys_of(*id)));
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_machine_is_as_the_model(steps in steps()) {
        let (mut run, mut model) = (Run::default(), Model::default());
        let mut seen = Vec::new();
        for step in &steps {
            match &step.act {
                Act::Command(command) => seen.extend(both(&mut run, &mut model, command)?),
                Act::Compact(ago) => {
                    let compact = Command::Compact { revision: model.current() - ago };
                    both(&mut run, &mut model, &compact)?;
                }
                Act::Restart => {
                    let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
                    // Before anything was written, the catalog is of no revision yet.
                    if model.current() > 1 {
                        prop_assert_eq!(&again, &run.machine);
                    }
                    run.machine = again;
                }
            }
            same(&run, &model, step)?;
        }
        // Every state that is kept can be read,
        for revision in model.compacted.max(1)..=model.current() {
            let all = RangeRequest { revision, ..crate::get("\u{1}", "\0") };
            let found = run.machine.range(&all).unwrap();
            prop_assert_eq!(found.kvs, model.state_at(revision).into_values().collect::<Vec<_>>());
        }
        // and history is what watchers saw, each event once and in order: to the end of what is kept.
        let kept = |event: &Event| event.kv.mod_revision >= model.compacted;
        let bare = |events: Vec<Event>| events.into_iter().map(|e| (e.kind, e.kv)).collect::<Vec<_>>();
        let history = run.machine.history(b"\x01", b"\0", model.compacted, 0).unwrap();
        prop_assert_eq!(bare(history), bare(seen.into_iter().filter(kept).collect()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Machine::from_snapshot(&bytes);
        if let Ok(command) = Command::decode(&bytes) {
            let _ = Run::default().apply(command);
        }
        let _ = MountName::parse(&String::from_utf8_lossy(&bytes));
        let _ = Mount::from_json(&bytes);
    }
}
