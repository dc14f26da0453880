//! What was done to a disk, in order, so that a power failure at any moment can be looked at afterwards.

use crate::{Dice, Loss, State, loss::Pending, state::Op};

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Did(Op),
    SyncedFile(u64),
    SyncedNames,
    Mark(u64),
}

/// All that was done to a disk since it was made, and the marks that were set meanwhile ([`crate::Disk::mark`]).
#[derive(Clone, Debug, Default)]
pub struct History {
    pub(crate) events: Vec<Event>,
}

/// A power failure.
#[derive(Debug)]
pub struct Cut {
    /// How many events came before it.
    pub at: usize,
    /// What it did.
    pub loss: Loss,
    /// The last mark that was set before it.
    pub mark: Option<u64>,
    /// What is left.
    pub left: State,
}

impl History {
    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing was done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The same on a disk that does nothing when a file is to be synced.
    #[must_use]
    pub fn without_file_syncs(&self) -> Self {
        let events = self.events.iter().filter(|event| !matches!(event, Event::SyncedFile(_)));
        Self { events: events.cloned().collect() }
    }

    /// Power failures at `count` moments that `seed` chooses, of all kinds; each is given to `look`, in order of time.
    pub fn cuts(&self, count: usize, seed: u64, mut look: impl FnMut(Cut)) {
        let mut dice = Dice::new(seed);
        let mut moments: Vec<_> = (0..count).map(|_| dice.below(self.events.len() + 1)).collect();
        moments.sort_unstable();
        let mut moments = moments.into_iter().peekable();
        let (mut pending, mut mark, mut kinds) = (Pending::default(), None, Loss::EACH.into_iter().cycle());
        for at in 0..=self.events.len() {
            while moments.next_if_eq(&at).is_some() {
                let loss = kinds.next().unwrap_or(Loss::All);
                look(Cut { at, loss, mark, left: pending.survivors(loss, &mut dice) });
            }
            match self.events.get(at) {
                Some(Event::Did(op)) => pending.push(op.clone()),
                Some(Event::SyncedFile(ino)) => pending.sync_file(*ino),
                Some(Event::SyncedNames) => pending.sync_names(),
                Some(Event::Mark(number)) => mark = Some(*number),
                None => {}
            }
        }
    }
}
