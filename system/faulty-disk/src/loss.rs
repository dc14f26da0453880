//! What a power failure leaves: all that was synced, and of the rest what luck has it.

use std::collections::BTreeMap;

use crate::{
    Dice, State,
    state::{BLOCK, Op},
};

/// What happens at a power failure to that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    All,
    /// The first of it is kept, in the order it was done.
    Ordered,
    /// As `Ordered`, and of the first write that is lost a part is kept.
    Torn,
    /// Of names the first changes are kept (filesystems journal them in order); of each page of each file the first
    /// writes, whatever became of other pages.
    Reordered,
}

impl Loss {
    /// Each of them.
    pub const EACH: [Self; 4] = [Self::All, Self::Ordered, Self::Torn, Self::Reordered];
}

/// What is durable, and what is not yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    pub(crate) durable: State,
    ops: Vec<Op>,
}

impl Pending {
    pub(crate) fn of(durable: State) -> Self {
        Self { durable, ops: Vec::new() }
    }

    pub(crate) fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// A file's fsync: its bytes, and not its name.
    pub(crate) fn sync_file(&mut self, ino: u64) {
        self.sync(|op| op.file() == Some(ino));
    }

    /// A folder's fsync. Names are journaled in order, so that all changes of names before it are durable.
    pub(crate) fn sync_names(&mut self) {
        self.sync(|op| op.file().is_none());
    }

    fn sync(&mut self, which: impl Fn(&Op) -> bool) {
        let (done, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ops).into_iter().partition(which);
        done.iter().for_each(|op| self.durable.apply(op));
        self.ops = left;
    }

    /// What a power failure would leave now.
    pub(crate) fn survivors(&self, loss: Loss, dice: &mut Dice) -> State {
        let mut state = self.durable.clone();
        let keep = dice.below(self.ops.len() + 1);
        match loss {
            Loss::All => {}
            Loss::Ordered => self.ops[..keep].iter().for_each(|op| state.apply(op)),
            Loss::Torn => {
                self.ops[..keep].iter().for_each(|op| state.apply(op));
                if let Some(Op::Write { ino, offset, data }) = self.ops.get(keep) {
                    let part = &data[..dice.below(data.len())];
                    state.apply(&Op::Write { ino: *ino, offset: *offset, data: part.into() });
                }
            }
            Loss::Reordered => self.reordered(&mut state, dice),
        }
        state
    }

    fn reordered(&self, state: &mut State, dice: &mut Dice) {
        let names = self.ops.iter().filter(|op| op.file().is_none()).count();
        let mut names_kept = dice.below(names + 1);
        let mut pages: BTreeMap<(u64, u64), bool> = BTreeMap::new();
        let mut lives = |page: (u64, u64), dice: &mut Dice| {
            let alive = pages.entry(page).or_insert(true);
            *alive = *alive && dice.below(2) == 0;
            *alive
        };
        for op in &self.ops {
            match op {
                Op::Write { ino, offset, data } => {
                    for (at, piece) in pages_of(*offset, data) {
                        if lives((*ino, at / BLOCK as u64), dice) {
                            state.apply(&Op::Write { ino: *ino, offset: at, data: piece.into() });
                        }
                    }
                }
                Op::Resize { ino, .. } => {
                    if lives((*ino, u64::MAX), dice) {
                        state.apply(op);
                    }
                }
                _ => {
                    if names_kept > 0 {
                        names_kept -= 1;
                        state.apply(op);
                    }
                }
            }
        }
    }
}

/// A write, cut where pages end.
fn pages_of(mut offset: u64, mut data: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pieces = Vec::new();
    while !data.is_empty() {
        let within = usize::try_from(offset % BLOCK as u64).unwrap_or(0);
        let (piece, rest) = data.split_at(data.len().min(BLOCK - within));
        pieces.push((offset, piece));
        offset += piece.len() as u64;
        data = rest;
    }
    pieces
}
