//! How long to wait before asking again: doubling, bounded, with jitter so that nodes do not ask in step.

use std::time::Duration;

use crate::backoff::jittered;

/// Exponential back-off with jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// Waits from `first` on, doubling up to `most`.
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { next: first, first, most }
    }

    /// The next wait: between half and the whole of the present step.
    pub fn step(&mut self) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.most);
        jittered(step)
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_bound_and_begins_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for (least, most) in [(50, 100), (100, 200), (150, 300), (150, 300)] {
            let wait = backoff.step().as_millis();
            assert!((least..=most).contains(&wait), "{wait} is not within {least}..={most}");
        }
        backoff.reset();
        assert!(backoff.step() <= Duration::from_millis(100));
    }
}
