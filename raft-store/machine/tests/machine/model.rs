//! Random commands on the machine and on a model that could not be simpler: a list of all states.

use std::collections::BTreeMap;

use autoradio_machine::*;
use proptest::prelude::*;

use crate::{Run, delete, get, put};

/// Every state of the store, by revision (the first is revision 1).
#[derive(Clone, Default)]
struct Model {
    states: Vec<BTreeMap<String, (String, i64, i64, i64)>>,
}

impl Model {
    fn now(&self) -> BTreeMap<String, (String, i64, i64, i64)> {
        self.states.last().cloned().unwrap_or_default()
    }

    fn change(&mut self, ops: &[(bool, u8, u8)]) {
        let (mut state, revision) = (self.now(), i64::try_from(self.states.len()).expect("a test of few states") + 2);
        let before = state.clone();
        for (is_put, key, to) in ops {
            if *is_put {
                let entry = state.entry(key.to_string()).or_insert((String::new(), revision, 0, 0));
                *entry = (to.to_string(), entry.1, revision, entry.3 + 1);
            } else {
                state.retain(|k, _| !(*k >= key.to_string() && *k < to.to_string()));
            }
        }
        if state != before {
            self.states.push(state);
        }
    }
}

/// Single operations, and transactions of two that do not touch the same keys.
fn operations() -> impl Strategy<Value = Vec<(bool, u8, u8)>> {
    let one = (any::<bool>(), 0..5u8, 0..9u8);
    prop_oneof![
        one.clone().prop_map(|op| vec![op]),
        (0..5u8, 5..9u8, 0..9u8).prop_map(|(a, b, v)| vec![(true, a, v), (true, b, v)]),
        (0..3u8, 6..9u8).prop_map(|(a, b)| vec![(true, a, 1), (false, 5, b)]),
    ]
}

fn op((is_put, key, to): (bool, u8, u8)) -> Op {
    if is_put {
        Op::Put(put(&key.to_string(), &to.to_string()))
    } else {
        Op::Delete(delete(&key.to_string(), &to.to_string()))
    }
}

fn state_at(machine: &Machine, revision: i64) -> BTreeMap<String, (String, i64, i64, i64)> {
    let found = machine.range(&RangeRequest { revision, ..get("\u{1}", "\0") }).expect("a revision that is kept");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    found
        .kvs
        .iter()
        .map(|kv| (text(&kv.key), (text(&kv.value), kv.create_revision, kv.mod_revision, kv.version)))
        .collect()
}

proptest! {
    #[test]
    fn every_state_can_be_read_and_history_leads_to_it(runs in prop::collection::vec(operations(), 1..40), snap in 0..40usize) {
        let (mut run, mut model) = (Run::default(), Model::default());
        let mut all_events = Vec::new();
        for (i, ops) in runs.iter().enumerate() {
            let applied = match ops[..] {
                [single] => match op(single) {
                    Op::Put(p) => run.apply(Command::Put(p)),
                    Op::Delete(d) => run.apply(Command::Delete(d)),
                    other => unreachable!("{other:?}"),
                },
                _ => run.apply(Command::Txn(TxnRequest { success: ops.iter().copied().map(op).collect(), ..TxnRequest::default() })),
            };
            prop_assert!(applied.result.is_ok());
            model.change(ops);
            all_events.extend(applied.events);
            if i == snap {
                let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
                prop_assert_eq!(&again, &run.machine);
                run.machine = again;
            }
        }
        prop_assert_eq!(run.machine.revision(), i64::try_from(model.states.len()).unwrap() + 1);
        for (i, state) in model.states.iter().enumerate() {
            prop_assert_eq!(&state_at(&run.machine, i64::try_from(i).unwrap() + 2), state);
        }
        // Every event once, in order; and replayed they give the newest state.
        let history = run.machine.history(b"", b"\0", 0, 0).unwrap();
        prop_assert_eq!(&history, &all_events);
        let mut replayed = BTreeMap::new();
        for event in &history {
            let before = replayed.insert(event.kv.key.clone(), event.kv.clone());
            prop_assert_eq!(event.prev_kv.as_ref(), before.as_ref());
            if event.kind == EventKind::Delete {
                replayed.remove(&event.kv.key);
            }
        }
        prop_assert_eq!(replayed.len(), model.now().len());
    }

    #[test]
    fn compaction_changes_nothing_that_can_still_be_read(runs in prop::collection::vec(operations(), 2..30), at in 0..30i64) {
        let (mut run, mut model) = (Run::default(), Model::default());
        for ops in &runs {
            run.ok(Command::Txn(TxnRequest { success: ops.iter().copied().map(op).collect(), ..TxnRequest::default() }));
            model.change(ops);
        }
        let revision = at.min(run.machine.revision());
        let before = run.machine.history(b"", b"\0", revision, 0).unwrap();
        run.ok(Command::Compact { revision });
        for (i, state) in model.states.iter().enumerate() {
            let i = i64::try_from(i).unwrap() + 2;
            if i >= revision {
                prop_assert_eq!(&state_at(&run.machine, i), state);
            }
        }
        let after = run.machine.history(b"", b"\0", revision, 0).unwrap();
        let bare = |events: Vec<Event>| events.into_iter().map(|e| (e.kind, e.kv)).collect::<Vec<_>>();
        prop_assert_eq!(bare(after), bare(before));
        let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
        prop_assert_eq!(again, run.machine);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Machine::from_snapshot(&bytes);
        if let Ok(command) = Command::decode(&bytes) {
            let _ = Run::default().apply(command);
        }
        let _ = MountName::parse(&String::from_utf8_lossy(&bytes));
        let _ = Mount::from_json(&bytes);
    }
}
