//! Each planted fault is caught: the checkers can fail.

use autoradio_simulation::{Planted, Scenario, simulate};

/// Runs seeds until one finds something that says `what`.
fn caught(planted: Planted, what: &str, seeds: u64) {
    for seed in 1..=seeds {
        let report = simulate(&Scenario { planted, ..Scenario::of_seed(seed) });
        println!("seed {seed}: {report:?}");
        if report.findings.iter().any(|finding| finding.contains(what)) {
            return;
        }
    }
    panic!("{planted:?} was not caught within {seeds} seeds");
}

#[test]
fn an_acknowledgement_before_the_sync_is_caught_on_the_disks() {
    caught(Planted { ack_before_sync: true, ..Planted::default() }, "was acknowledged with", 5);
}

#[test]
fn an_acknowledgement_before_the_sync_is_caught_by_what_clients_were_told() {
    let planted = Planted { ack_before_sync: true, histories_only: true, ..Planted::default() };
    // One in some dozens: what was lost must have been told to a client, and a leader must come without it.
    caught(planted, "not linearizable", 90);
}

#[test]
fn a_vote_that_is_not_persisted_is_caught() {
    caught(Planted { forget_vote: true, ..Planted::default() }, "forgot its vote", 20);
}

#[test]
fn a_stale_read_after_a_pause_is_caught() {
    caught(Planted { read_without_barrier: true, ..Planted::default() }, "not linearizable", 90);
}

#[test]
fn a_lease_without_fencing_is_caught() {
    caught(Planted { no_fence: true, ..Planted::default() }, "when it knew of epoch", 20);
}
