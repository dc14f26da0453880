//! What the checkers found.

use std::sync::{Arc, Mutex};

use crate::net::UNPOISONED;

/// A run's findings while it runs; the first of a kind counts, the others follow from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    all: Arc<Mutex<Vec<String>>>,
    histories_only: bool,
}

/// Beyond so many nothing new is learned.
const FINDINGS_MAX: usize = 20;

impl Findings {
    pub(crate) fn new(histories_only: bool) -> Self {
        Self { all: Arc::default(), histories_only }
    }

    /// Takes in what only who sees inside the nodes can know.
    pub(crate) fn inside(&self, what: impl Into<String>) {
        if !self.histories_only {
            self.add(what);
        }
    }

    pub(crate) fn add(&self, what: impl Into<String>) {
        let mut all = self.all.lock().expect(UNPOISONED);
        if all.len() < FINDINGS_MAX {
            all.push(what.into());
        }
    }

    pub(crate) fn any(&self) -> bool {
        !self.all.lock().expect(UNPOISONED).is_empty()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.all.lock().expect(UNPOISONED).clone()
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What must not be and was; empty is right.
    pub findings: Vec<String>,
    /// Operations of clients that were answered.
    pub answered: usize,
    /// Operations of clients in all.
    pub operations: usize,
    /// Faults that were made.
    pub faults: usize,
    /// Times that a node took a snapshot from another.
    pub snapshots_taken: usize,
    /// Members added and removed.
    pub membership_changes: usize,
    /// Source leases that changed hands.
    pub epochs: usize,
    /// Events of the trace.
    pub events: u64,
    /// The trace's hash: equal for equal runs.
    pub trace: u64,
    /// The events, where they are to be kept: time, hash of all up to it, and what it was.
    pub lines: Vec<String>,
}
