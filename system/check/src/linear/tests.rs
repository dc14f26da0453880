use super::*;

const STEPS: usize = 100_000;

/// A history in lines: client, called, ended, what.
fn op(client: u32, called_us: u64, ended_us: u64, action: Action, outcome: Outcome) -> Op {
    let key = "k".to_owned();
    Op { client, key, action, called_us, ended_us, outcome, revision: None, written_at: None }
}

fn write(client: u32, called: u64, ended: u64, value: u64) -> Op {
    op(client, called, ended, Action::Write(Some(value)), Outcome::Done)
}

fn read(client: u32, called: u64, ended: u64, value: u64) -> Op {
    op(client, called, ended, Action::Read, Outcome::Saw(Some(value)))
}

fn lost(write: Op) -> Op {
    Op { outcome: Outcome::Unknown, ..write }
}

fn swap(client: u32, called: u64, ended: u64, from: u64, to: u64, outcome: Outcome) -> Op {
    op(client, called, ended, Action::Swap { from: Some(from), to }, outcome)
}

fn holds(history: &[Op]) -> bool {
    match linearizable(history, STEPS) {
        Verdict::Holds { .. } => true,
        Verdict::Violated(_) => false,
        Verdict::Undecided(keys) => panic!("undecided: {keys:?}"),
    }
}

#[test]
fn what_overlaps_may_be_in_either_order() {
    assert!(holds(&[write(1, 0, 10, 1), write(2, 5, 15, 2), read(3, 20, 30, 1), read(3, 40, 50, 1)]));
    assert!(holds(&[write(1, 0, 10, 1), write(2, 5, 15, 2), read(3, 20, 30, 2)]));
    assert!(holds(&[write(1, 0, 10, 1), read(2, 5, 6, 1), read(3, 10, 11, 1)]));
    assert!(holds(&[op(1, 0, 1, Action::Read, Outcome::Saw(None)), write(1, 2, 3, 1)]));
}

#[test]
fn a_stale_read_is_caught() {
    assert!(!holds(&[write(1, 0, 10, 1), write(1, 20, 30, 2), read(2, 40, 50, 1)]));
    // Also between two readers: the first one's answer was there.
    assert!(!holds(&[write(1, 0, 10, 1), write(1, 20, 90, 2), read(2, 30, 40, 2), read(3, 50, 60, 1)]));
}

#[test]
fn a_lost_write_is_caught() {
    let gone = op(2, 40, 50, Action::Read, Outcome::Saw(None));
    assert!(!holds(&[write(1, 0, 10, 1), gone.clone()]));
    assert!(holds(&[write(1, 0, 10, 1), op(1, 20, 30, Action::Write(None), Outcome::Done), gone]));
}

#[test]
fn a_swap_that_two_clients_won_is_caught() {
    let won = |client, to| swap(client, 20, 30, 1, to, Outcome::Done);
    assert!(!holds(&[write(1, 0, 10, 1), won(2, 2), won(3, 3)]));
    let not = swap(3, 20, 30, 1, 3, Outcome::NotSwapped(Some(2)));
    assert!(holds(&[write(1, 0, 10, 1), won(2, 2), not.clone()]));
    assert!(!holds(&[write(1, 0, 10, 1), not]));
    // That it held what the swap asked for is no reason not to swap.
    assert!(!holds(&[write(1, 0, 10, 1), swap(3, 20, 30, 1, 3, Outcome::NotSwapped(Some(1)))]));
}

#[test]
fn an_unknown_write_may_have_been_made_late_or_never() {
    let unknown = lost(write(1, 0, 10, 1));
    let nothing = |called, ended| op(2, called, ended, Action::Read, Outcome::Saw(None));
    assert!(holds(&[unknown.clone(), nothing(20, 30)]));
    assert!(holds(&[unknown.clone(), nothing(20, 30), read(2, 40, 50, 1)]));
    assert!(!holds(&[unknown.clone(), read(2, 40, 50, 1), nothing(60, 70)]));
    // Before it was asked for it was not made.
    assert!(!holds(&[lost(write(1, 60, 70, 1)), read(2, 40, 50, 1)]));
    // A swap that nobody was told of, seen by a write over it.
    let swapped = swap(2, 20, 30, 1, 2, Outcome::Unknown);
    assert!(holds(&[write(1, 0, 10, 1), swapped.clone(), swap(3, 50, 60, 2, 3, Outcome::Done)]));
    assert!(!holds(&[write(1, 0, 10, 9), swapped, swap(3, 50, 60, 2, 3, Outcome::Done)]));
}

#[test]
fn a_chain_of_unknown_swaps_whose_end_was_seen_was_made() {
    let chain =
        [lost(write(1, 0, 10, 1)), swap(2, 20, 30, 1, 2, Outcome::Unknown), swap(3, 40, 50, 2, 3, Outcome::Unknown)];
    let seen = |value| [&chain[..], &[read(4, 60, 70, value)]].concat();
    assert!(holds(&seen(3)));
    assert!(holds(&seen(1)), "none of the swaps was made");
    assert!(!holds(&seen(4)));
}

#[test]
fn an_unknown_deletion_stays_open() {
    let deletion = op(1, 20, 30, Action::Write(None), Outcome::Unknown);
    let gone = op(2, 80, 90, Action::Read, Outcome::Saw(None));
    assert!(holds(&[write(1, 0, 10, 1), deletion.clone(), read(2, 60, 70, 1), gone.clone()]));
    assert!(!holds(&[write(1, 0, 10, 1), deletion, gone, read(2, 100, 110, 1)]));
}

#[test]
fn a_refused_write_that_was_made_is_caught() {
    let refused = Op { outcome: Outcome::Refused, ..write(1, 0, 10, 1) };
    assert!(!holds(&[refused.clone(), read(2, 20, 30, 1)]));
    assert!(holds(&[refused]));
}

#[test]
fn keys_are_checked_one_by_one_and_the_violation_names_what_was_stuck() {
    let other = Op { key: "other".into(), ..read(2, 20, 30, 7) };
    let Verdict::Violated(violation) = linearizable(&[write(1, 0, 10, 1), other], STEPS) else { panic!("it holds") };
    let text = violation.to_string();
    assert!(text.contains("other is not linearizable") && text.contains("client 2"), "{text}");
}

#[test]
fn what_needs_more_work_than_allowed_is_undecided() {
    // Twelve blind writes at once, and reads of them in an order that few searches find at once.
    let mut history: Vec<_> = (1..=12).map(|v| write(v, 0, 1_000, u64::from(v))).collect();
    history.push(read(20, 2_000, 2_001, 99));
    assert_eq!(linearizable(&history, 50), Verdict::Undecided(vec!["k".into()]));
    assert!(matches!(linearizable(&history, 10_000_000), Verdict::Violated(_)));
}

#[test]
fn long_histories_with_many_unknowns_are_decided() {
    let mut history = Vec::new();
    for n in 0..3_000u64 {
        history.push(write(1, n * 10, n * 10 + 5, n + 1));
        history.push(read(2, n * 10 + 6, n * 10 + 8, n + 1));
        if n % 10 == 0 {
            history.push(lost(write(3, n * 10 + 1, n * 10 + 2, 1_000_000 + n)));
        }
    }
    assert!(holds(&history));
    history.push(read(4, 40_000, 40_001, 17));
    assert!(!holds(&history));
}

/// What a real register answers to operations that take effect at the middle number; a lost answer is unknown.
fn of_a_register(asked: Vec<(u64, u64, u64, u8, bool)>) -> Vec<Op> {
    let mut order: Vec<_> = asked.into_iter().enumerate().collect();
    order.sort_by_key(|(n, (called, wait, ..))| (called + wait, *n));
    let (mut held, mut history) = (None, Vec::new());
    for (n, (called, wait, after, what, answered)) in order {
        let value = 1_000 + n as u64;
        let (action, outcome) = match what % 4 {
            0 => (Action::Read, Outcome::Saw(held)),
            1 => (Action::Write(Some(value)), Outcome::Done),
            2 => (Action::Swap { from: held, to: value }, Outcome::Done),
            _ if held == Some(1) => (Action::Write(None), Outcome::Done),
            _ => (Action::Swap { from: Some(1), to: value }, Outcome::NotSwapped(held)),
        };
        let mut done = op(n as u32, called, called + wait + after, action, outcome);
        held = done.writes().unwrap_or(held);
        if !answered {
            done.outcome = Outcome::Unknown;
        }
        history.push(done);
    }
    history
}

// A history with many unknown outcomes may stay undecided within the steps: that is neither right nor wrong.
proptest::proptest! {
    #[test]
    fn what_a_real_register_answers_is_never_called_wrong(
        asked in proptest::collection::vec((0..200u64, 0..30u64, 0..30u64, 0..8u8, proptest::bool::weighted(0.8)), 1..60)
    ) {
        let violated = matches!(linearizable(&of_a_register(asked), STEPS), Verdict::Violated(_));
        proptest::prop_assert!(!violated);
    }

    #[test]
    fn an_answer_from_before_all_that_is_running_is_caught(
        asked in proptest::collection::vec((0..200u64, 0..30u64, 0..30u64, 1..3u8, proptest::strategy::Just(true)), 2..40)
    ) {
        let mut history = of_a_register(asked);
        let (first, last) = (history[0].clone(), history[history.len() - 1].clone());
        proptest::prop_assume!(first.ended_us < last.called_us);
        let old = first.writes().unwrap();
        history.push(op(99, 1_000, 1_001, Action::Read, Outcome::Saw(old)));
        let holds = matches!(linearizable(&history, STEPS), Verdict::Holds { .. });
        proptest::prop_assert!(!holds);
    }
}
