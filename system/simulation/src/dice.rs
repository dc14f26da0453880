//! Everything that is random, from a seed.

use std::ops::{Deref, DerefMut, RangeInclusive};

use autoradio_policy::dice::{self, mix};

/// A stream of numbers from a seed, with what a simulation asks of it.
#[derive(Clone, Debug)]
pub(crate) struct Dice(dice::Dice);

impl Deref for Dice {
    type Target = dice::Dice;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Dice {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Dice {
    /// A stream for a purpose of its own: what one draws does not move the other.
    pub(crate) fn of(seed: u64, purpose: &str, number: u64) -> Self {
        let hash = purpose.bytes().fold(seed ^ mix(number), |h, b| mix(h ^ u64::from(b)));
        Self(dice::Dice::new(hash))
    }

    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        start + self.below(end.saturating_sub(start) + 1)
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        items.get(at).copied()
    }
}
