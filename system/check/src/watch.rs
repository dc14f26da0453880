//! Watches: every event once, in order, the same to everybody, and none that nobody wrote.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Key, Op, Outcome, Revision, Value, Violation};

/// One change as a watcher was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision.
    pub revision: Revision,
    /// The key.
    pub key: Key,
    /// What it holds now; `None`: deleted.
    pub value: Option<Value>,
}

/// What one watcher was told, in the order it was told, over all its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Who, and at which member.
    pub watcher: String,
    /// The first revision that it asked for.
    pub from: Revision,
    /// The revision that it surely has everything up to: of its last event, or of a progress report.
    pub through: Revision,
    /// The events.
    pub changes: Vec<Change>,
}

/// Checks what watchers were told, against each other and against what clients did.
///
/// # Errors
/// The first [`Violation`] found.
pub fn watches(watched: &[Watched], history: &[Op]) -> Result<(), Violation> {
    for watcher in watched {
        in_order(watcher)?;
        all_acknowledged(watcher, history)?;
        none_invented(watcher, history)?;
    }
    watched.windows(2).try_for_each(|pair| same(&pair[0], &pair[1]))
}

fn in_order(watcher: &Watched) -> Result<(), Violation> {
    let wrong = |what, change: &Change| {
        let (watcher, key) = (watcher.watcher.clone(), change.key.clone());
        Err(Violation::WatchOrder { watcher, what, revision: change.revision, key })
    };
    let (mut last, mut keys) = (watcher.from, BTreeSet::new());
    for change in &watcher.changes {
        if change.revision < last {
            return wrong("went back", change);
        }
        if change.revision > last {
            (last, keys) = (change.revision, BTreeSet::new());
        }
        // A transaction changes a key at most once.
        if !keys.insert(&change.key) {
            return wrong("was told twice", change);
        }
    }
    Ok(())
}

fn all_acknowledged(watcher: &Watched, history: &[Op]) -> Result<(), Violation> {
    let told: BTreeMap<(Revision, &str), Option<Value>> =
        watcher.changes.iter().map(|c| ((c.revision, c.key.as_str()), c.value)).collect();
    for op in history.iter().filter(|op| op.outcome == Outcome::Done) {
        let (Some(Some(value)), Some(revision)) = (op.writes(), op.revision) else { continue };
        if !(watcher.from..=watcher.through).contains(&revision) {
            continue;
        }
        let saw = told.get(&(revision, op.key.as_str()));
        if saw != Some(&Some(value)) {
            let saw = saw.map_or_else(|| "nothing".to_owned(), |saw| format!("{saw:?}"));
            return Err(Violation::WatchMissed { watcher: watcher.watcher.clone(), op: Box::new(op.clone()), saw });
        }
    }
    Ok(())
}

fn none_invented(watcher: &Watched, history: &[Op]) -> Result<(), Violation> {
    let mut written: BTreeMap<(&str, Value), bool> = BTreeMap::new();
    for op in history {
        if let Some(Some(value)) = op.writes() {
            written.insert((&op.key, value), op.outcome == Outcome::Refused);
        }
    }
    let mut seen = BTreeSet::new();
    for change in &watcher.changes {
        let Some(value) = change.value else { continue };
        let why = match written.get(&(change.key.as_str(), value)) {
            None => "nobody wrote",
            Some(true) => "was refused",
            Some(false) if !seen.insert(value) => "it had seen before",
            Some(false) => continue,
        };
        let (watcher, key) = (watcher.watcher.clone(), change.key.clone());
        return Err(Violation::WatchInvented { watcher, key, value, revision: change.revision, why });
    }
    Ok(())
}

/// Where two have both been, they were told the same.
fn same(one: &Watched, other: &Watched) -> Result<(), Violation> {
    let range = one.from.max(other.from)..=one.through.min(other.through);
    let common = |watched: &Watched| {
        let mut common: Vec<_> = watched.changes.iter().filter(|c| range.contains(&c.revision)).cloned().collect();
        common.sort_by(|a, b| (a.revision, &a.key).cmp(&(b.revision, &b.key)));
        common
    };
    let (ours, theirs) = (common(one), common(other));
    if ours == theirs {
        return Ok(());
    }
    let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let (a, b) = (ours.get(at), theirs.get(at));
    let revision = [a, b].into_iter().flatten().map(|c| c.revision).min().unwrap_or_default();
    let (one, other) = (one.watcher.clone(), other.watcher.clone());
    Err(Violation::WatchDiffers { one, other, revision, differ: format!("{a:?} and {b:?}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;

    fn change(revision: Revision, key: &str, value: Value) -> Change {
        Change { revision, key: key.into(), value: Some(value) }
    }

    fn watched(watcher: &str, changes: &[Change]) -> Watched {
        Watched { watcher: watcher.into(), from: 2, through: 10, changes: changes.to_vec() }
    }

    fn write(key: &str, value: Value, outcome: Outcome, revision: Revision) -> Op {
        let (key, action) = (key.to_owned(), Action::Write(Some(value)));
        let revision = (outcome == Outcome::Done).then_some(revision);
        Op { client: 1, key, action, called_us: 0, ended_us: 1, outcome, revision, written_at: None }
    }

    fn history() -> Vec<Op> {
        vec![write("a", 1, Outcome::Done, 2), write("b", 2, Outcome::Unknown, 0), write("a", 3, Outcome::Done, 4)]
    }

    #[test]
    fn the_same_to_everybody_passes() {
        let all = [change(2, "a", 1), change(3, "b", 2), change(4, "a", 3)];
        let mut late = watched("late", &all[1..]);
        late.from = 3;
        let mut early = watched("early", &all[..2]);
        early.through = 3;
        assert_eq!(watches(&[watched("one", &all), late, early], &history()), Ok(()));
        // Whether an unknown write was made is the store's matter.
        assert_eq!(watches(&[watched("one", &[all[0].clone(), all[2].clone()])], &history()), Ok(()));
    }

    #[test]
    fn events_out_of_order_or_told_twice_are_caught() {
        let order = |changes: &[Change]| {
            matches!(watches(&[watched("one", changes)], &history()), Err(Violation::WatchOrder { .. }))
        };
        assert!(order(&[change(4, "a", 3), change(2, "a", 1)]));
        assert!(order(&[change(2, "a", 1), change(2, "a", 1), change(4, "a", 3)]));
        assert!(order(&[change(1, "a", 1)]), "older than it asked for");
    }

    #[test]
    fn an_event_that_is_told_again_under_a_new_revision_is_caught() {
        let again = watches(&[watched("one", &[change(2, "a", 1), change(4, "a", 3), change(5, "a", 1)])], &history());
        assert!(matches!(again, Err(Violation::WatchInvented { why: "it had seen before", .. })), "{again:?}");
    }

    #[test]
    fn an_acknowledged_write_that_is_missing_is_caught() {
        let missed = watches(&[watched("one", &[change(2, "a", 1)])], &history());
        assert!(matches!(missed, Err(Violation::WatchMissed { .. })), "{missed:?}");
        let mut behind = watched("one", &[change(2, "a", 1)]);
        behind.through = 3;
        assert_eq!(watches(&[behind], &history()), Ok(()), "it has not come so far");
    }

    #[test]
    fn what_nobody_wrote_or_what_was_refused_is_caught() {
        let mut history = history();
        history.push(write("c", 7, Outcome::Refused, 0));
        for (value, why) in [(7, "was refused"), (8, "nobody wrote")] {
            let changes = [change(2, "a", 1), change(4, "a", 3), change(5, "c", value)];
            let invented = watches(&[watched("one", &changes)], &history);
            assert!(
                matches!(&invented, Err(Violation::WatchInvented { why: found, .. }) if *found == why),
                "{invented:?}"
            );
        }
    }

    #[test]
    fn two_who_differ_are_caught() {
        let base = [change(2, "a", 1), change(4, "a", 3)];
        let more = [change(2, "a", 1), change(3, "b", 2), change(4, "a", 3)];
        let differs = watches(&[watched("one", &base), watched("two", &more)], &history());
        assert!(matches!(differs, Err(Violation::WatchDiffers { revision: 3, .. })), "{differs:?}");
    }
}
