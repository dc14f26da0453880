//! Seeds that every change must pass; `scripts/simulate` runs thousands.

use std::collections::BTreeSet;

use autoradio_simulation::{Report, Scenario, simulate};

/// Seeds of one test: several tests run side by side.
const SEEDS: u64 = 8;

fn passes(from: u64) {
    let mut total = Report::default();
    for seed in from..from + SEEDS {
        let report = simulate(&Scenario::of_seed(seed));
        println!("{report:?}");
        assert!(report.findings.is_empty(), "scripts/simulate --print {seed}\n{}", report.findings.join("\n"));
        total.answered += report.answered;
        total.faults += report.faults;
        total.snapshots_taken += report.snapshots_taken;
        total.membership_changes += report.membership_changes;
        total.epochs += report.epochs;
    }
    // Runs in which nothing happens show nothing.
    assert!(total.answered > 1_000 && total.faults > 40, "{total:?}");
    assert!(total.snapshots_taken > 0 && total.membership_changes > 0 && total.epochs > 10, "{total:?}");
}

#[test]
fn seeds_pass_1() {
    passes(1);
}

#[test]
fn seeds_pass_2() {
    passes(1_001);
}

#[test]
fn seeds_pass_3() {
    passes(2_001);
}

/// Where tokio's dice take a seed (`scripts/simulate` builds it so), the same seed is the same run to the last event. Elsewhere
/// openraft chooses between two events of one instant as it likes, and what it is put through is still the same.
#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| simulate(&Scenario { faults_ms: 12_000, ..Scenario::of_seed(seed) });
    let mut traces = BTreeSet::new();
    let seeds = if cfg!(tokio_unstable) { 20 } else { 4 };
    for seed in 1..=seeds {
        let (first, second) = (run(seed), run(seed));
        assert!(first.events > 1_000);
        if cfg!(tokio_unstable) {
            assert_eq!(first, second);
        } else {
            assert_eq!(
                (first.faults, first.membership_changes),
                (second.faults, second.membership_changes),
                "seed {seed}"
            );
        }
        traces.insert(first.trace);
    }
    assert_eq!(traces.len() as u64, seeds, "other seeds give other runs");
}
