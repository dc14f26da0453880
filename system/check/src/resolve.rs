//! What can be said of operations whose outcome nobody was told, without guessing.

use std::collections::BTreeMap;

use crate::{Action, Op, Outcome, TimeUs, Value};

/// An operation as the search takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open<'a> {
    pub(crate) op: &'a Op,
    /// When it was carried out at the latest; `None`: perhaps never.
    pub(crate) by_us: Option<TimeUs>,
}

/// The operations that an order must hold, or may.
///
/// Since each value is written once, an unknown write whose value somebody saw was carried out before that answer came;
/// and one whose value nobody saw explains nothing that its absence does not: the next to look at the key would have
/// seen it (what a swap finds is told), so only a blind write can follow, which covers it. It is left out. Only
/// deletions that are unknown stay open for ever.
pub(crate) fn resolve<'a>(ops: &[&'a Op]) -> Vec<Open<'a>> {
    let mut seen: BTreeMap<Value, TimeUs> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.answered()) {
        if let Some(Some(value)) = op.saw() {
            let by = seen.entry(value).or_insert(op.ended_us);
            *by = op.ended_us.min(*by);
        }
    }
    through_unknown_swaps(ops, &mut seen);
    let open = |op: &&'a Op| {
        let by_us = match op.outcome {
            Outcome::Refused => return None,
            Outcome::Unknown => match op.writes()? {
                Some(value) => Some(*seen.get(&value)?),
                None => None,
            },
            _ => Some(op.ended_us),
        };
        Some(Open { op, by_us })
    };
    ops.iter().filter_map(open).collect()
}

/// An unknown swap that was carried out saw what it swapped, and that is seen by when its own value is.
fn through_unknown_swaps(ops: &[&Op], seen: &mut BTreeMap<Value, TimeUs>) {
    let unknown = |op: &&Op| match (op.outcome, op.action) {
        (Outcome::Unknown, Action::Swap { from: Some(from), to }) => Some((from, to)),
        _ => None,
    };
    let swaps: Vec<_> = ops.iter().filter_map(unknown).collect();
    // A chain of them is followed in as many turns as it is long.
    for _ in 0..=swaps.len() {
        let mut changed = false;
        for (from, to) in &swaps {
            let Some(by) = seen.get(to).copied() else { continue };
            if seen.get(from).is_none_or(|before| *before > by) {
                seen.insert(*from, by);
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}
