//! Members are equal when all is quiet.

use std::collections::BTreeMap;

use crate::{Key, Revision, Value, Violation, watch::Change};

/// What one member holds in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalState {
    /// The member.
    pub member: String,
    /// Its store's revision.
    pub revision: Revision,
    /// The hash over its history (etcd's HashKV).
    pub hash: u32,
    /// What its keys hold, and at which revision that was written.
    pub keys: BTreeMap<Key, (Value, Revision)>,
}

/// Checks that all members hold the same, and that it is what the events lead to, where they are given from the first
/// revision on.
///
/// # Errors
/// The first [`Violation`] found.
pub fn equal_finals(members: &[FinalState], changes: Option<&[Change]>) -> Result<(), Violation> {
    for pair in members.windows(2) {
        differ(&pair[0], &pair[1], true)?;
    }
    let (Some(first), Some(changes)) = (members.first(), changes) else { return Ok(()) };
    let mut keys = BTreeMap::new();
    for change in changes {
        match change.value {
            Some(value) => keys.insert(change.key.clone(), (value, change.revision)),
            None => keys.remove(&change.key),
        };
    }
    let replayed = FinalState { member: "what the events lead to".into(), keys, ..FinalState::default() };
    differ(first, &replayed, false)
}

fn differ(one: &FinalState, other: &FinalState, hashes: bool) -> Result<(), Violation> {
    let all: std::collections::BTreeSet<_> = one.keys.keys().chain(other.keys.keys()).collect();
    let key = all.into_iter().find(|key| one.keys.get(*key) != other.keys.get(*key));
    let differ = match key {
        Some(key) => format!("{key}: {:?} and {:?}", one.keys.get(key), other.keys.get(key)),
        None if hashes && one.revision != other.revision => {
            format!("revision {} and {}", one.revision, other.revision)
        }
        None if hashes && one.hash != other.hash => format!("hash {:08x} and {:08x}", one.hash, other.hash),
        None => return Ok(()),
    };
    Err(Violation::FinalDiffers { one: one.member.clone(), other: other.member.clone(), differ })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(member: &str) -> FinalState {
        let keys = BTreeMap::from([("a".to_owned(), (1, 2)), ("b".to_owned(), (2, 3))]);
        FinalState { member: member.into(), revision: 3, hash: 7, keys }
    }

    fn changes() -> Vec<Change> {
        let change = |revision, key: &str, value| Change { revision, key: key.into(), value };
        vec![change(2, "a", Some(1)), change(2, "c", Some(9)), change(3, "b", Some(2)), change(3, "c", None)]
    }

    #[test]
    fn equal_ones_pass() {
        assert_eq!(equal_finals(&[state("one"), state("two"), state("three")], Some(&changes())), Ok(()));
    }

    #[test]
    fn each_difference_is_caught() {
        let caught = |change: fn(&mut FinalState), what: &str| {
            let mut other = state("two");
            change(&mut other);
            let text = equal_finals(&[state("one"), other], None).expect_err(what).to_string();
            assert!(text.contains(what), "{text}");
        };
        caught(|s| s.hash = 8, "hash 00000007 and 00000008");
        caught(|s| s.revision = 4, "revision 3 and 4");
        caught(|s| s.keys.retain(|key, _| key != "b"), "b: Some((2, 3)) and None");
        caught(|s| s.keys.extend([("b".into(), (2, 4))]), "b:");
        caught(|s| s.keys.extend([("z".into(), (2, 4))]), "z: None");
    }

    #[test]
    fn what_the_events_do_not_lead_to_is_caught() {
        assert!(equal_finals(&[state("one")], Some(&changes()[..3])).is_err());
    }
}
