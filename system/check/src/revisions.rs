//! Revisions: one for each write, and never back, as time goes.

use std::collections::BTreeMap;

use crate::{Action, Op, Outcome, Revision, Value, Violation};

/// Checks the revisions of all answers of a store, whatever the key:
/// - no two writes have one;
/// - a write that was asked for after another answer came has a greater one, a read none that is less;
/// - a read says of what it saw the revision that the write of it was told.
///
/// # Errors
/// The first [`Violation`] found.
pub fn revisions(history: &[Op]) -> Result<(), Violation> {
    unique(history)?;
    in_real_time(history)?;
    as_told(history)
}

/// Whether an operation changed the store.
fn wrote(op: &Op) -> bool {
    // Deleting nothing changes nothing, and has the revision of what was before.
    op.outcome == Outcome::Done && !matches!(op.action, Action::Read | Action::Write(None))
}

fn unique(history: &[Op]) -> Result<(), Violation> {
    let mut by_revision: BTreeMap<Revision, &Op> = BTreeMap::new();
    for op in history.iter().filter(|op| wrote(op)) {
        let Some(revision) = op.revision else { continue };
        if let Some(one) = by_revision.insert(revision, op) {
            return Err(Violation::RevisionTwice { revision, one: boxed(one), other: boxed(op) });
        }
    }
    Ok(())
}

fn in_real_time(history: &[Op]) -> Result<(), Violation> {
    let told = || history.iter().filter(|op| op.answered()).filter_map(|op| op.revision.map(|r| (op, r)));
    let mut ended: Vec<_> = told().collect();
    ended.sort_by_key(|(op, _)| op.ended_us);
    let mut called: Vec<_> = told().collect();
    called.sort_by_key(|(op, _)| op.called_us);
    let mut ended = ended.into_iter().peekable();
    let mut greatest: Option<(&Op, Revision)> = None;
    for (later, revision) in called {
        while let Some(next) = ended.next_if(|(op, _)| op.ended_us < later.called_us) {
            if greatest.is_none_or(|(_, most)| next.1 > most) {
                greatest = Some(next);
            }
        }
        if let Some((earlier, most)) = greatest
            && (revision < most || (revision == most && wrote(later)))
        {
            return Err(Violation::RevisionBack { earlier: boxed(earlier), later: boxed(later) });
        }
    }
    Ok(())
}

fn as_told(history: &[Op]) -> Result<(), Violation> {
    let write = |op: &'_ Op| Some((op.writes()??, op.revision?));
    let told: BTreeMap<Value, (&Op, Revision)> = history
        .iter()
        .filter(|op| op.outcome == Outcome::Done)
        .filter_map(|op| write(op).map(|(value, revision)| (value, (op, revision))))
        .collect();
    for read in history {
        let (Some(Some(value)), Some(written_at)) = (read.saw(), read.written_at) else { continue };
        if let Some((write, revision)) = told.get(&value)
            && *revision != written_at
        {
            return Err(Violation::RevisionOther { write: boxed(write), read: boxed(read), written_at });
        }
    }
    Ok(())
}

fn boxed(op: &Op) -> Box<Op> {
    Box::new(op.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(action: Action, called_us: u64, outcome: Outcome, revision: Revision) -> Op {
        let (key, ended_us) = ("k".to_owned(), called_us + 5);
        Op { client: 1, key, action, called_us, ended_us, outcome, revision: Some(revision), written_at: None }
    }

    fn write(called: u64, value: Value, revision: Revision) -> Op {
        op(Action::Write(Some(value)), called, Outcome::Done, revision)
    }

    fn read(called: u64, value: Value, revision: Revision, written_at: Revision) -> Op {
        Op { written_at: Some(written_at), ..op(Action::Read, called, Outcome::Saw(Some(value)), revision) }
    }

    #[test]
    fn a_good_history_passes() {
        let unknown = Op { outcome: Outcome::Unknown, revision: None, ..write(12, 9, 0) };
        let history = [write(0, 1, 2), write(10, 2, 3), unknown, read(20, 2, 3, 3), read(30, 2, 4, 3), write(40, 3, 5)];
        assert_eq!(revisions(&history), Ok(()));
        // What overlaps may have either.
        assert_eq!(revisions(&[write(0, 1, 3), write(4, 2, 2)]), Ok(()));
        // Deleting nothing.
        assert_eq!(revisions(&[write(0, 1, 2), op(Action::Write(None), 10, Outcome::Done, 2)]), Ok(()));
    }

    #[test]
    fn a_revision_that_runs_back_is_caught() {
        let back = |history: &[Op]| matches!(revisions(history), Err(Violation::RevisionBack { .. }));
        assert!(back(&[write(0, 1, 3), write(10, 2, 2)]));
        assert!(back(&[write(0, 1, 3), read(10, 1, 2, 2)]));
        // A write stood still over a read's.
        assert!(back(&[read(0, 1, 3, 2), write(10, 2, 3)]));
        // The greatest one before counts, not the last one.
        assert!(back(&[write(0, 1, 9), read(1, 1, 3, 3), read(20, 1, 4, 3)]));
    }

    #[test]
    fn a_revision_of_two_writes_is_caught() {
        assert!(matches!(
            revisions(&[write(0, 1, 3), write(2, 2, 3)]),
            Err(Violation::RevisionTwice { revision: 3, .. })
        ));
    }

    #[test]
    fn a_read_that_says_another_revision_is_caught() {
        let wrong = revisions(&[write(0, 1, 3), read(10, 1, 4, 4)]);
        assert!(matches!(wrong, Err(Violation::RevisionOther { written_at: 4, .. })), "{wrong:?}");
    }
}
