//! When history is to be forgotten, as etcd's `compactor` decides it: by age, or by number of revisions.

use std::collections::VecDeque;

use autoradio_machine::Revision;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// All of it.
    Forever,
    /// What is younger than this, in milliseconds.
    Periodic {
        /// The age.
        keep_ms: u64,
    },
    /// The newest revisions.
    Revisions {
        /// How many.
        keep: Revision,
    },
}

impl Default for Retention {
    /// A day: watchers that were away over a night still find what they missed, and months do not add up.
    fn default() -> Self {
        Self::Periodic { keep_ms: 24 * HOUR_MS }
    }
}

const HOUR_MS: u64 = 3_600_000;

/// etcd's `revInterval`: how often revisions are counted.
const REVISIONS_EVERY_MS: u64 = 300_000;

/// The age is known to a tenth of the retention (etcd's `retryDivisor`), of an hour at most.
const STEPS: u64 = 10;

/// Decides when history is forgotten. Every node follows the revisions, so that a new leader knows their ages; who
/// leads compacts.
#[derive(Clone, Debug)]
pub struct Compactor {
    retention: Retention,
    /// Revisions as they were, with the time, oldest first; one for each step.
    seen: VecDeque<(u64, Revision)>,
    looked_ms: Option<u64>,
}

impl Compactor {
    /// With nothing seen yet.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self { retention, seen: VecDeque::new(), looked_ms: None }
    }

    /// How often [`Compactor::look`] is to be called, in milliseconds; `None` for never.
    #[must_use]
    pub fn step_ms(&self) -> Option<u64> {
        match self.retention {
            Retention::Forever => None,
            Retention::Periodic { keep_ms } => Some((keep_ms.min(HOUR_MS) / STEPS).max(1)),
            Retention::Revisions { .. } => Some(REVISIONS_EVERY_MS),
        }
    }

    /// Takes in the revision of this moment (by a monotonic clock); the revision to compact to, where one is due and
    /// not compacted yet.
    pub fn look(&mut self, now_ms: u64, revision: Revision, compacted: Revision) -> Option<Revision> {
        let due = match self.retention {
            Retention::Forever => None,
            Retention::Revisions { keep } => Some(revision.saturating_sub(keep)),
            Retention::Periodic { keep_ms } => self.old_enough(now_ms, revision, keep_ms),
        };
        due.filter(|due| *due > compacted.max(0))
    }

    fn old_enough(&mut self, now_ms: u64, revision: Revision, keep_ms: u64) -> Option<Revision> {
        let step = self.step_ms().unwrap_or(1);
        // A task that is called late, or more often, must not make the list longer than it need be.
        if self.looked_ms.is_none_or(|at| now_ms.saturating_sub(at) >= step) {
            self.looked_ms = Some(now_ms);
            self.seen.push_back((now_ms, revision));
        }
        let horizon = now_ms.checked_sub(keep_ms)?;
        // The newest that is old enough; what is older than that is of no use any more.
        let mut found = None;
        while self.seen.front().is_some_and(|(at, _)| *at <= horizon) {
            found = self.seen.pop_front();
        }
        if let Some(found) = found {
            self.seen.push_front(found);
        }
        found.map(|(_, revision)| revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE_MS: u64 = 60_000;

    #[test]
    fn by_age_what_is_older_goes() {
        let mut compactor = Compactor::new(Retention::Periodic { keep_ms: HOUR_MS });
        let step = compactor.step_ms().unwrap();
        assert_eq!(step, 6 * MINUTE_MS);
        let mut last = None;
        for minute in (0..180).step_by(6) {
            // A revision a minute.
            last = compactor.look(minute * MINUTE_MS, Revision::try_from(minute).unwrap() + 1, -1);
            if minute < 60 {
                assert_eq!(last, None, "nothing is an hour old");
            }
        }
        assert_eq!(last, Some(174 - 60 + 1));
        assert_eq!(compactor.look(174 * MINUTE_MS, 175, 115), None, "it is compacted already");
        assert!(compactor.seen.len() <= 12);
    }

    #[test]
    fn by_number_all_but_the_newest_go() {
        let mut compactor = Compactor::new(Retention::Revisions { keep: 100 });
        assert_eq!(compactor.look(0, 50, -1), None);
        assert_eq!(compactor.look(1, 1_000, -1), Some(900));
        assert_eq!(compactor.look(2, 1_000, 900), None);
        assert_eq!(Compactor::new(Retention::Forever).step_ms(), None);
        assert_eq!(Compactor::new(Retention::Forever).look(0, 9, -1), None);
    }

    proptest! {
        #[test]
        fn nothing_younger_than_the_retention_goes_and_the_list_is_bounded(
            gaps in prop::collection::vec(0..20 * MINUTE_MS, 1..200),
            keep_ms in 1..5 * HOUR_MS,
        ) {
            let mut compactor = Compactor::new(Retention::Periodic { keep_ms });
            let (mut now, mut revision, mut history) = (0, 1, Vec::new());
            for gap in gaps {
                now += gap;
                revision += 1;
                history.push((now, revision));
                if let Some(due) = compactor.look(now, revision, -1) {
                    let at = history.iter().find(|(_, r)| *r == due).expect("it was seen").0;
                    prop_assert!(at + keep_ms <= now);
                }
                prop_assert!(compactor.seen.len() as u64 <= keep_ms / compactor.step_ms().unwrap() + 3);
            }
        }
    }
}
