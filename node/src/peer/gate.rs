//! Bounds on who asks to join: it costs the cluster signatures and entries, and anybody may try.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Joins that are under way at a time; each is an entry in the log.
const UNDER_WAY_MAX: usize = 4;

/// Failures of one address that are borne with, before it has to wait.
const FAILURES_MAX: u32 = 5;

/// After so long an address' failures are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Addresses that are remembered; beyond, the one that failed first is forgotten.
const ADDRESSES_MAX: usize = 1_024;

/// Who asks, and how often in vain. Cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    under_way: Arc<Semaphore>,
    failures: Arc<Mutex<BTreeMap<IpAddr, (Instant, u32)>>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)), failures: Arc::default() }
    }
}

impl Gate {
    /// Lets a request in.
    pub(super) fn enter(&self, from: IpAddr, now: Instant) -> Result<OwnedSemaphorePermit, Status> {
        let failed = {
            let failures = self.failures.lock().expect("nothing panics while it holds it");
            failures.get(&from).filter(|(since, _)| now - *since < FORGET_AFTER).map_or(0, |(_, count)| *count)
        };
        if failed >= FAILURES_MAX {
            let text = format!("too many failed attempts to join from {from}; wait for {FORGET_AFTER:?}");
            return Err(Status::resource_exhausted(text));
        }
        let busy = || Status::unavailable(format!("{UNDER_WAY_MAX} nodes are joining at this moment; try again"));
        self.under_way.clone().try_acquire_owned().map_err(|_| busy())
    }

    /// Counts a request that was refused for its token.
    pub(super) fn failed(&self, from: IpAddr, now: Instant) {
        let mut failures = self.failures.lock().expect("nothing panics while it holds it");
        failures.retain(|_, (since, _)| now - *since < FORGET_AFTER);
        if failures.len() >= ADDRESSES_MAX
            && let Some(first) = failures.iter().min_by_key(|(_, (since, _))| *since).map(|(addr, _)| *addr)
        {
            failures.remove(&first);
        }
        failures.entry(from).or_insert((now, 0)).1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_too_often_waits_and_others_do_not() {
        let (gate, now) = (Gate::default(), Instant::now());
        let addr = |n: u8| IpAddr::from([10, 0, 0, n]);
        for _ in 0..FAILURES_MAX {
            assert!(gate.enter(addr(1), now).is_ok());
            gate.failed(addr(1), now);
        }
        assert_eq!(gate.enter(addr(1), now).unwrap_err().code(), tonic::Code::ResourceExhausted);
        assert!(gate.enter(addr(2), now).is_ok());
        assert!(gate.enter(addr(1), now + FORGET_AFTER).is_ok());
    }

    #[test]
    fn only_a_few_join_at_a_time() {
        let (gate, now) = (Gate::default(), Instant::now());
        let addr = IpAddr::from([10, 0, 0, 1]);
        let permits: Vec<_> = (0..UNDER_WAY_MAX).map(|_| gate.enter(addr, now).unwrap()).collect();
        assert_eq!(gate.enter(addr, now).unwrap_err().code(), tonic::Code::Unavailable);
        drop(permits);
        assert!(gate.enter(addr, now).is_ok());
    }
}
