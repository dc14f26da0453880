//! What is to be simulated.

/// Faults of the program itself, as they could be made: each is put into the simulation's own storage, network or
/// clients, to show that the checkers see it. None is in the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// The disk says that all is durable, and writes it a moment later.
    pub ack_before_sync: bool,
    /// The vote is never synced: after a crash the one before is there.
    pub forget_vote: bool,
    /// A leader answers reads from what it has, without asking a majority whether it leads.
    pub read_without_barrier: bool,
    /// Nodes take frames of any epoch, whatever they know of newer ones.
    pub no_fence: bool,
    /// The invariants that see inside the nodes are not looked at: only clients' histories count.
    pub histories_only: bool,
}

/// What becomes of a run's events, once they are in the trace's hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Events {
    /// They are forgotten.
    #[default]
    Dropped,
    /// Each is printed.
    Printed,
    /// They are kept for the report.
    Kept,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What all that is random follows from.
    pub seed: u64,
    /// How long faults are made, in milliseconds of virtual time.
    pub faults_ms: u64,
    /// Faults of the program.
    pub planted: Planted,
    /// What becomes of its events.
    pub events: Events,
}

impl Scenario {
    /// The usual length of a run.
    pub const FAULTS_MS: u64 = 20_000;

    /// The usual run of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self { seed, faults_ms: Self::FAULTS_MS, planted: Planted::default(), events: Events::default() }
    }
}
