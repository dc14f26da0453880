//! Linearizability of a register with compare-and-swap, key by key (which is enough: linearizability is local).
//!
//! The search of Wing and Gong, with Lowe's memory of what was tried: an operation is placed next whose call is before
//! the first return that is not placed yet; where none fits, the last one placed is taken back.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Action, Op, Outcome, Value, Violation,
    bits::Bits,
    list::{List, Moment, Place},
    resolve::{Open, resolve},
};

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every key is linearizable.
    Holds {
        /// Operations that were placed.
        operations: usize,
    },
    /// One is not.
    Violated(Box<Violation>),
    /// The work allowed was not enough for these keys; the others are linearizable.
    Undecided(Vec<String>),
}

/// Whether a history is linearizable, looking at no more than `steps_max` placements a key. All keys begin empty.
#[must_use]
pub fn linearizable(history: &[Op], steps_max: usize) -> Verdict {
    let mut keys: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in history {
        keys.entry(&op.key).or_default().push(op);
    }
    let (mut operations, mut undecided) = (0, Vec::new());
    for (key, ops) in keys {
        let ops = resolve(&ops);
        operations += ops.len();
        match Search::new(&ops).run(steps_max) {
            Found::Order => {}
            Found::None(violation) => return Verdict::Violated(violation),
            Found::GaveUp => undecided.push(key.to_owned()),
        }
    }
    if undecided.is_empty() { Verdict::Holds { operations } } else { Verdict::Undecided(undecided) }
}

enum Found {
    Order,
    None(Box<Violation>),
    GaveUp,
}

struct Search<'a> {
    ops: &'a [Open<'a>],
    list: List,
    placed: Bits,
    /// What was placed, in order, and what the key held before each.
    order: Vec<(usize, Option<Value>)>,
    held: Option<Value>,
    tried: BTreeSet<(Bits, Option<Value>)>,
    /// The longest order, and what it could not go on with.
    best: Option<(usize, Option<Value>, Vec<usize>)>,
}

/// What the key holds after an operation on a key that holds `held`; `None` where its answer would be another.
fn step(op: &Op, held: Option<Value>) -> Option<Option<Value>> {
    match (op.action, op.outcome) {
        (Action::Read, Outcome::Saw(value)) | (Action::Swap { .. }, Outcome::NotSwapped(value)) => {
            let swapped = matches!(op.action, Action::Swap { from, .. } if from == value);
            (held == value && !swapped).then_some(held)
        }
        (Action::Write(value), Outcome::Done | Outcome::Unknown) => Some(value),
        (Action::Swap { from, to }, Outcome::Done | Outcome::Unknown) => (held == from).then_some(Some(to)),
        _ => None,
    }
}

impl<'a> Search<'a> {
    fn new(ops: &'a [Open<'a>]) -> Self {
        let mut moments = Vec::new();
        for (n, open) in ops.iter().enumerate() {
            // At the same moment, calls come first: such operations overlap.
            moments.push((open.op.called_us, 0, Moment::Call(n)));
            if let Some(by) = open.by_us {
                moments.push((by.max(open.op.called_us), 1, Moment::Return(n)));
            }
        }
        moments.sort_by_key(|(at, kind, _)| (*at, *kind));
        let list = List::new(moments.into_iter().map(|(_, _, moment)| moment).collect(), ops.len());
        let placed = Bits::below(ops.len());
        Self { ops, list, placed, order: Vec::new(), held: None, tried: BTreeSet::new(), best: None }
    }

    fn run(mut self, steps_max: usize) -> Found {
        let (mut place, mut steps) = (self.list.first(), 0);
        loop {
            match self.list.at(place) {
                // Nothing is left that returned.
                None => return Found::Order,
                Some(Moment::Call(op)) => {
                    steps += 1;
                    if steps > steps_max {
                        return Found::GaveUp;
                    }
                    place = if self.place(op) { self.list.first() } else { self.list.after(place) };
                }
                Some(Moment::Return(_)) => match self.take_back() {
                    Some(next) => place = next,
                    None => return Found::None(Box::new(self.violation())),
                },
            }
        }
    }

    /// Places an operation next, unless that does not fit or was tried.
    fn place(&mut self, op: usize) -> bool {
        let Some(held) = step(self.ops[op].op, self.held) else { return false };
        self.placed.insert(op);
        if !self.tried.insert((self.placed.clone(), held)) {
            self.placed.remove(op);
            return false;
        }
        self.order.push((op, self.held));
        self.held = held;
        self.list.take(op);
        true
    }

    /// Takes the last one back; where to go on, or `None` where nothing was placed.
    fn take_back(&mut self) -> Option<Place> {
        if self.best.as_ref().is_none_or(|(length, ..)| self.order.len() > *length) {
            self.best = Some((self.order.len(), self.held, self.running()));
        }
        let (op, held) = self.order.pop()?;
        self.placed.remove(op);
        self.held = held;
        self.list.put_back(op);
        Some(self.list.after(self.list.call(op)))
    }

    /// Those whose call is before the first return.
    fn running(&self) -> Vec<usize> {
        let places = std::iter::successors(Some(self.list.first()), |place| Some(self.list.after(*place)));
        let moments = places.map_while(|place| self.list.at(place));
        let calls = moments.map_while(|moment| if let Moment::Call(op) = moment { Some(op) } else { None });
        calls.collect()
    }

    fn violation(self) -> Violation {
        let (placed, held, stuck) = self.best.unwrap_or_default();
        let key = self.ops.first().map(|open| open.op.key.clone()).unwrap_or_default();
        let stuck: Vec<_> = stuck.into_iter().map(|op| self.ops[op].op.to_string()).collect();
        Violation::NotLinearizable { key, total: self.ops.len(), placed, held, stuck: stuck.join("\n") }
    }
}

#[cfg(test)]
mod tests;
