//! How long nothing was acknowledged.

use crate::{Action, Op, Outcome, TimeUs};

/// The longest time within `from_us..to_us` in which no write's acknowledgement came.
#[must_use]
pub fn longest_outage_us(history: &[Op], from_us: TimeUs, to_us: TimeUs) -> TimeUs {
    let wrote = |op: &&Op| op.outcome == Outcome::Done && op.action != Action::Read;
    let mut acknowledged: Vec<_> = history.iter().filter(wrote).map(|op| op.ended_us).collect();
    acknowledged.retain(|at| (from_us..to_us).contains(at));
    acknowledged.extend([from_us, to_us]);
    acknowledged.sort_unstable();
    acknowledged.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_between_acknowledged_writes() {
        let op = |action, ended_us, outcome| {
            let key = "k".to_owned();
            Op { client: 1, key, action, called_us: 0, ended_us, outcome, revision: None, written_at: None }
        };
        let write = |at, outcome| op(Action::Write(Some(at)), at, outcome);
        let history = [
            write(100, Outcome::Done),
            write(150, Outcome::Unknown),
            op(Action::Read, 170, Outcome::Saw(None)),
            write(200, Outcome::Done),
            write(290, Outcome::Done),
        ];
        assert_eq!(longest_outage_us(&history, 90, 300), 100);
        assert_eq!(longest_outage_us(&history, 190, 500), 210);
        assert_eq!(longest_outage_us(&[], 0, 7), 7);
    }
}
