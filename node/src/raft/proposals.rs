//! Counts what this node proposes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::RaftError;

/// Counts what this node proposes.
#[derive(Debug, Default)]
pub struct Proposals {
    pending: AtomicU64,
    failed: AtomicU64,
}

/// One that is under way, until it is dropped.
pub(super) struct Pending<'a> {
    proposals: &'a Proposals,
}

impl Proposals {
    /// Those under way.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    /// Those that failed since start. What the machine refused was carried out: that is none.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    pub(super) fn begin(&self) -> Pending<'_> {
        self.pending.fetch_add(1, Relaxed);
        Pending { proposals: self }
    }
}

impl Pending<'_> {
    pub(super) fn end(self, error: Option<&RaftError>) {
        if error.is_some_and(|error| error.refusal().is_none()) {
            self.proposals.failed.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.proposals.pending.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use autoradio_machine::Refusal;
    use autoradio_store::ConsensusError;

    use super::*;

    #[test]
    fn a_refusal_is_no_failure_and_what_is_given_up_is_not_pending() {
        let proposals = Proposals::default();
        let refused = RaftError::Consensus(ConsensusError::Refused(Refusal::EmptyKey));
        proposals.begin().end(Some(&refused));
        proposals.begin().end(None);
        drop(proposals.begin());
        assert_eq!((proposals.pending(), proposals.failed()), (0, 0));
        let last = proposals.begin();
        assert_eq!(proposals.pending(), 1);
        last.end(Some(&RaftError::NoLeader));
        assert_eq!((proposals.pending(), proposals.failed()), (0, 1));
    }
}
