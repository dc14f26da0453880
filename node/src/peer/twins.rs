//! Notices a data folder that was copied: two processes with one node's id, alive at the same time.
//!
//! Each process has a random instance number. A second number alone says little: the node was started anew, and what
//! its first process sent may come late. So each answer carries a count of the reports that came before, and each report
//! the last count that came back. A count that was made after the first report of another instance, and comes back, was
//! read while that instance was known; a process that ended before the other began never sends such a one. Both have to
//! have done so: no delay, restart or doubled connection can look like it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use autoradio_machine::NodeId;

/// Instances of a node that are remembered; the oldest is forgotten first.
const INSTANCES_MAX: usize = 4;

/// Who reported. Cheap to clone, all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Twins {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    count: u64,
    nodes: BTreeMap<NodeId, Vec<Seen>>,
}

#[derive(Debug)]
struct Seen {
    instance: u64,
    /// The count when it was first heard.
    first: u64,
    /// The greatest count that it sent back.
    echo: u64,
}

impl Twins {
    /// Takes a report in: the count to answer with, and whether another instance of the node lives, too.
    pub(super) fn note(&self, node: NodeId, instance: u64, echo: u64) -> (u64, bool) {
        let mut inner = self.inner.lock().expect("nothing panics while it holds it");
        inner.count += 1;
        let count = inner.count;
        let seen = inner.nodes.entry(node).or_default();
        match seen.iter_mut().find(|seen| seen.instance == instance) {
            Some(known) => known.echo = known.echo.max(echo),
            None => {
                if seen.len() == INSTANCES_MAX {
                    seen.remove(0);
                }
                seen.push(Seen { instance, first: count, echo });
            }
        }
        let me = seen.iter().find(|seen| seen.instance == instance).expect("it was put in above");
        let lives_too = |other: &&Seen| other.instance != instance && me.echo >= other.first && other.echo >= me.first;
        (count, seen.iter().any(|other| lives_too(&other)))
    }

    /// Forgets nodes that are no members any more.
    pub(super) fn retain(&self, keep: impl Fn(NodeId) -> bool) {
        self.inner.lock().expect("nothing panics while it holds it").nodes.retain(|node, _| keep(*node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = 7;

    /// A process that reports, and hears what is answered.
    struct Process {
        instance: u64,
        echo: u64,
    }

    impl Process {
        fn new(instance: u64) -> Self {
            Self { instance, echo: 0 }
        }

        fn report(&mut self, twins: &Twins) -> bool {
            let (count, found) = twins.note(NODE, self.instance, self.echo);
            self.echo = count;
            found
        }
    }

    #[test]
    fn two_that_live_at_the_same_time_are_found_in_three_rounds() {
        let twins = Twins::default();
        let (mut a, mut b) = (Process::new(1), Process::new(2));
        let mut found = Vec::new();
        for _ in 0..3 {
            found.extend([a.report(&twins), b.report(&twins)]);
        }
        assert_eq!(found, [false, false, false, false, true, true]);
    }

    #[test]
    fn a_restart_is_none_however_late_the_first_ones_reports_come() {
        let twins = Twins::default();
        let mut before = Process::new(1);
        (0..3).for_each(|_| assert!(!before.report(&twins)));
        let echo = before.echo;
        let mut after = Process::new(2);
        for _ in 0..5 {
            assert!(!after.report(&twins));
            // What the first one sent before it ended: it had heard nothing that came later.
            assert!(!twins.note(NODE, 1, echo).1);
        }
    }

    #[test]
    fn reports_of_a_process_that_ended_unheard_are_none() {
        let twins = Twins::default();
        // Both came while nobody read; the first one's are read first.
        assert!(!twins.note(NODE, 1, 0).1);
        let mut after = Process::new(2);
        (0..5).for_each(|_| assert!(!after.report(&twins)));
        assert!(!twins.note(NODE, 1, 0).1);
    }

    #[test]
    fn doubled_connections_and_other_nodes_are_none_and_memory_is_bounded() {
        let twins = Twins::default();
        for n in 0..5 {
            assert!(!twins.note(NODE, 1, n).1);
            assert!(!twins.note(NODE, 1, n).1);
            assert!(!twins.note(8, 2, n).1);
        }
        (0..100).for_each(|instance| assert!(!twins.note(NODE, instance, 0).1));
        assert_eq!(twins.inner.lock().unwrap().nodes[&NODE].len(), INSTANCES_MAX);
        twins.retain(|node| node == 8);
        assert_eq!(twins.inner.lock().unwrap().nodes.len(), 1);
    }
}
