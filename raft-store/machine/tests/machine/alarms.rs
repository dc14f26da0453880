//! Size, quota and alarms.

use autoradio_machine::{
    Admission, Alarm, AlarmKind, Command, Machine, OWN_RESERVE_BYTES, Op, Refusal, Response, StoreSize, TxnRequest,
};
use proptest::prelude::*;

use crate::{Run, cluster, delete, put, txn};

fn alarm(member: u64, kind: AlarmKind) -> Alarm {
    Alarm { member, kind }
}

fn set(run: &mut Run, alarm: Alarm, active: bool) -> Option<Alarm> {
    let Response::Alarm(changed) = run.ok(Command::Alarm { alarm, active }) else { panic!("another answer") };
    changed
}

const MOUNT: &str = r#"{"username":"source","password_hash":"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"}"#;

#[test]
fn alarms_are_raised_once_listed_and_disarmed_and_are_in_snapshots() {
    let mut run = cluster();
    let (full, bad) = (alarm(1, AlarmKind::NoSpace), alarm(2, AlarmKind::Corrupt));
    assert_eq!(set(&mut run, full, true), Some(full));
    assert_eq!(set(&mut run, full, true), None, "it stands already");
    assert_eq!(set(&mut run, bad, true), Some(bad));
    assert_eq!(run.machine.alarms(), [full, bad]);
    let again = Machine::from_snapshot(&run.machine.to_snapshot()).unwrap();
    assert_eq!(again, run.machine);
    assert_eq!(set(&mut run, full, false), Some(full));
    assert_eq!(set(&mut run, full, false), None);
    assert_eq!(run.machine.alarms(), [bad]);
}

#[test]
fn without_space_nothing_is_added_but_what_is_the_clusters_own() {
    let mut run = cluster();
    run.ok(Command::Put(put("a", "1")));
    set(&mut run, alarm(1, AlarmKind::NoSpace), true);
    let refused = |run: &mut Run, command: Command| run.apply(command).result.unwrap_err();
    assert_eq!(refused(&mut run, Command::Put(put("a", "2"))), Refusal::NoSpace);
    assert_eq!(refused(&mut run, Command::LeaseGrant { id: 0, ttl_s: 10 }), Refusal::NoSpace);
    assert_eq!(refused(&mut run, txn(vec![], vec![Op::Put(put("b", ""))], vec![])), Refusal::NoSpace);
    let mixed = vec![Op::Put(put("autoradio/mounts/a", MOUNT)), Op::Put(put("b", ""))];
    assert_eq!(refused(&mut run, txn(vec![], mixed, vec![])), Refusal::NoSpace);
    // Own keys, deletes and compactions go on.
    run.ok(Command::Put(put("autoradio/mounts/a", MOUNT)));
    run.ok(Command::NodeLease { ttl_s: 10 });
    run.ok(txn(vec![], vec![Op::Delete(delete("a", ""))], vec![]));
    let revision = run.machine.revision();
    run.ok(Command::Compact { revision });
    set(&mut run, alarm(1, AlarmKind::NoSpace), false);
    run.ok(Command::Put(put("a", "2")));
}

#[test]
fn while_members_differ_clients_change_nothing_and_leases_run_out() {
    let mut run = cluster();
    let Response::Lease { id, .. } = run.ok(Command::LeaseGrant { id: 0, ttl_s: 10 }) else { panic!() };
    set(&mut run, alarm(2, AlarmKind::Corrupt), true);
    for command in [
        Command::Put(put("a", "1")),
        Command::Delete(delete("a", "")),
        Command::Delete(delete("autoradio/", "\0")),
        Command::Compact { revision: 1 },
        Command::LeaseGrant { id: 0, ttl_s: 10 },
        txn(vec![], vec![Op::Delete(delete("a", ""))], vec![]),
    ] {
        assert_eq!(run.apply(command.clone()).result.unwrap_err(), Refusal::Corrupt, "{command:?}");
    }
    run.ok(Command::Put(put("autoradio/mounts/a", MOUNT)));
    run.ok(Command::Delete(delete("autoradio/mounts/a", "")));
    run.ok(Command::LeaseRevoke { id });
}

#[test]
fn the_first_command_beyond_the_quota_raises_the_alarm() {
    let mut run = cluster();
    let quota = run.machine.size().bytes + 1_000;
    let fill = Command::Put(put("a", &"x".repeat(800)));
    let own = Command::Put(put("autoradio/mounts/a", MOUNT));
    assert_eq!(run.machine.admit(&Command::Put(put("a", "1")), quota), Admission::Admitted);
    assert_eq!(run.machine.admit(&fill, quota), Admission::RaiseAlarm);
    let both = TxnRequest {
        success: vec![Op::Put(put("a", "1"))],
        failure: vec![Op::Put(put("a", &"x".repeat(800)))],
        ..TxnRequest::default()
    };
    assert_eq!(run.machine.admit(&Command::Txn(both), quota), Admission::RaiseAlarm, "the larger branch counts");
    run.ok(fill.clone());
    assert_eq!(run.machine.admit(&Command::LeaseGrant { id: 0, ttl_s: 1 }, quota), Admission::RaiseAlarm);
    assert_eq!(run.machine.admit(&own, quota), Admission::Admitted);
    assert_eq!(run.machine.admit(&own, 0), Admission::Admitted);
    set(&mut run, alarm(1, AlarmKind::NoSpace), true);
    assert_eq!(run.machine.admit(&fill, quota), Admission::Refused, "it stands already");
    assert_eq!(run.machine.admit(&Command::Delete(delete("a", "")), 0), Admission::Admitted);
    // The reserve has an end, too.
    let large = "x".repeat(usize::try_from(OWN_RESERVE_BYTES).unwrap());
    assert_eq!(run.machine.admit(&Command::Put(put("autoradio/jobs/a", &large)), 0), Admission::Refused);
    assert_eq!(run.machine.admit(&Command::Put(put("b", "")), u64::MAX), Admission::Admitted, "no quota at all");
}

#[test]
fn compaction_gives_space_back_and_what_lives_stays_counted() {
    let mut run = Run::default();
    for value in ["1", "22", "333"] {
        run.ok(Command::Put(put("a", value)));
    }
    run.ok(Command::Put(put("b", "")));
    run.ok(Command::Delete(delete("b", "")));
    assert_eq!(run.machine.size(), StoreSize { bytes: 5 * 257 + 6, live_bytes: 257 + 3 });
    let revision = run.machine.revision();
    run.ok(Command::Compact { revision });
    // The tombstone of the compacted revision itself stays for watchers.
    assert_eq!(run.machine.size(), StoreSize { bytes: 2 * 257 + 3, live_bytes: 257 + 3 });
}

proptest! {
    /// The running totals are what is counted anew when a snapshot is read; refused transactions leave no trace.
    #[test]
    fn totals_are_kept_right(ops in prop::collection::vec((0..6u8, 0..4u8, 0..40usize), 1..60)) {
        let mut run = Run::default();
        for (what, key, length) in ops {
            let (key, value) = (key.to_string(), "x".repeat(length));
            let _any = match what {
                0 | 1 => run.apply(Command::Put(put(&key, &value))),
                2 => run.apply(Command::Delete(delete(&key, "9"))),
                3 => run.apply(txn(vec![], vec![Op::Put(put(&key, &value)), Op::Delete(delete("5", "9"))], vec![])),
                // Refused when the first put has been made.
                4 => {
                    let hung = autoradio_machine::PutRequest { lease: 77, ..put("z", "") };
                    run.apply(txn(vec![], vec![Op::Put(put(&key, &value)), Op::Put(hung)], vec![]))
                }
                _ => {
                    let revision = run.machine.revision() - 1;
                    run.apply(Command::Compact { revision })
                }
            };
            let again = Machine::from_snapshot(&run.machine.to_snapshot()).expect("it was just written");
            prop_assert_eq!(again.size(), run.machine.size());
        }
    }
}
