//! The time of leases. Pure: the caller says what time it is.
//!
//! Only the leader counts, by its own monotonic clock; a new leader gives every lease its full time anew (as etcd
//! does), so that a lease can live longer than granted but never shorter.

use std::collections::BTreeMap;

use autoradio_machine::{LeaseId, LeaseInfo};

/// When each lease runs out, on the leader.
#[derive(Debug, Default)]
pub struct LeaseKeeper {
    leading: bool,
    deadlines: BTreeMap<LeaseId, Deadline>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    ttl_s: i64,
    at_ms: u64,
}

impl Deadline {
    fn anew(ttl_s: i64, now_ms: u64) -> Self {
        let ttl_ms = u64::try_from(ttl_s).unwrap_or(0).saturating_mul(1_000);
        Self { ttl_s, at_ms: now_ms.saturating_add(ttl_ms) }
    }
}

impl LeaseKeeper {
    /// Follows the role and the machine: leases that are new get their full time, those gone are forgotten, and all
    /// begin anew when leadership does.
    pub fn sync(&mut self, now_ms: u64, leading: bool, leases: &[LeaseInfo]) {
        if !leading {
            *self = Self::default();
            return;
        }
        if !self.leading {
            *self = Self { leading: true, deadlines: BTreeMap::new() };
        }
        let mut next = BTreeMap::new();
        for lease in leases {
            let deadline = self.deadlines.get(&lease.id).copied();
            next.insert(lease.id, deadline.unwrap_or_else(|| Deadline::anew(lease.ttl_s, now_ms)));
        }
        self.deadlines = next;
    }

    /// Gives a lease its full time anew; its time to live in seconds, or `None` where it is not known or this node
    /// does not lead.
    pub fn keep(&mut self, now_ms: u64, id: LeaseId) -> Option<i64> {
        let deadline = self.deadlines.get_mut(&id)?;
        *deadline = Deadline::anew(deadline.ttl_s, now_ms);
        Some(deadline.ttl_s)
    }

    /// What is left of a lease's time, in milliseconds.
    #[must_use]
    pub fn remaining_ms(&self, now_ms: u64, id: LeaseId) -> Option<u64> {
        self.deadlines.get(&id).map(|d| d.at_ms.saturating_sub(now_ms))
    }

    /// The leases that have run out, oldest id first: to be revoked by a proposal.
    #[must_use]
    pub fn expired(&self, now_ms: u64) -> Vec<LeaseId> {
        self.deadlines.iter().filter(|(_, d)| d.at_ms <= now_ms).map(|(&id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(id: LeaseId, ttl_s: i64) -> LeaseInfo {
        LeaseInfo { id, ttl_s }
    }

    #[test]
    fn a_lease_that_is_not_kept_runs_out() {
        let mut keeper = LeaseKeeper::default();
        keeper.sync(0, true, &[lease(1, 10), lease(2, 20)]);
        assert_eq!(keeper.expired(9_999), Vec::<LeaseId>::new());
        assert_eq!(keeper.expired(10_000), [1]);
        assert_eq!(keeper.expired(20_000), [1, 2]);
    }

    #[test]
    fn a_lease_that_is_kept_lives_on() {
        let mut keeper = LeaseKeeper::default();
        keeper.sync(0, true, &[lease(1, 10)]);
        assert_eq!(keeper.keep(9_000, 1), Some(10));
        keeper.sync(9_500, true, &[lease(1, 10)]);
        assert_eq!(keeper.expired(18_999), Vec::<LeaseId>::new());
        assert_eq!(keeper.remaining_ms(18_000, 1), Some(1_000));
        assert_eq!(keeper.expired(19_000), [1]);
    }

    #[test]
    fn a_new_leader_gives_full_time_anew() {
        let mut keeper = LeaseKeeper::default();
        keeper.sync(0, true, &[lease(1, 10)]);
        keeper.sync(5_000, false, &[lease(1, 10)]);
        assert_eq!(keeper.expired(1_000_000), Vec::<LeaseId>::new());
        assert_eq!(keeper.keep(6_000, 1), None, "only the leader keeps leases");
        keeper.sync(9_000, true, &[lease(1, 10)]);
        assert_eq!(keeper.expired(18_999), Vec::<LeaseId>::new());
        assert_eq!(keeper.expired(19_000), [1]);
    }

    #[test]
    fn a_revoked_lease_is_forgotten_and_absurd_times_do_no_harm() {
        let mut keeper = LeaseKeeper::default();
        keeper.sync(0, true, &[lease(1, i64::MAX), lease(2, -5)]);
        assert_eq!(keeper.expired(u64::MAX - 1), [2], "a negative time is over at once");
        keeper.sync(1, true, &[]);
        assert_eq!(keeper.keep(1, 1), None);
    }
}
