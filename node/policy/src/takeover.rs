//! Whether a new source may take a mount that another claim holds.

use autoradio_machine::{Claim, NodeId, Revision};

/// A holder that was not heard for so long need not be asked: reports come each second.
pub const HOLDER_SILENT_MS: u64 = 1_500;
/// A source that sent nothing for so long has stalled: encoders send several times a second.
pub const SOURCE_STALLED_MS: u64 = 3_000;

/// What the holder said when it was asked about the mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderAnswer {
    /// It answered. For a claim of this node itself: what this node knows.
    Answered {
        /// Whether a source is connected there. A holder says so from the moment it proposes the claim.
        has_source: bool,
        /// How long ago the source last sent something, in milliseconds.
        source_idle_ms: u64,
        /// The epoch it holds.
        epoch: u64,
    },
    /// It did not answer in time, or could not be reached.
    NoAnswer,
    /// It was not asked.
    NotAsked,
}

/// What to do with the new source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nobody holds the mount: claim it where there is no key.
    Free,
    /// Claim it over the old claim, if that is still at this revision.
    TakeOver {
        /// The mod revision that the claim's key must have.
        expected_mod_revision: Revision,
        /// Why, for the log.
        why: String,
    },
    /// A source is sending: 403.
    Busy,
}

/// Whether it is worth asking the holder before [`decide`].
#[must_use]
pub fn must_ask(claim: &Claim, me: NodeId, heard_age_ms: Option<u64>) -> bool {
    claim.origin.node != me && heard_age_ms.is_some_and(|age| age < HOLDER_SILENT_MS)
}

/// Decides. `heard_age_ms` is how long ago the holder's last report came; `None`: never. An answer counts for more
/// than a report's age, since it is newer.
#[must_use]
pub fn decide(claim: Option<&Claim>, me: NodeId, heard_age_ms: Option<u64>, answer: HolderAnswer) -> Decision {
    let Some(claim) = claim else { return Decision::Free };
    // An epoch beyond what etcd's revisions can be cannot be compared with: leave such a claim alone.
    let Ok(expected_mod_revision) = Revision::try_from(claim.epoch) else { return Decision::Busy };
    let holder = if claim.origin.node == me { "this node".to_owned() } else { format!("node {:x}", claim.origin.node) };
    let why = match answer {
        HolderAnswer::Answered { has_source: true, source_idle_ms, epoch } => {
            if source_idle_ms < SOURCE_STALLED_MS {
                return Decision::Busy;
            }
            format!("the source at {holder} (epoch {epoch}) sent nothing for {source_idle_ms} ms")
        }
        HolderAnswer::Answered { has_source: false, .. } => format!("{holder} has no source any more"),
        HolderAnswer::NoAnswer => format!("{holder} does not answer"),
        HolderAnswer::NotAsked => match heard_age_ms {
            Some(age) if age < HOLDER_SILENT_MS => return Decision::Busy,
            Some(age) => format!("{holder} was not heard for {age} ms"),
            None => format!("{holder} was never heard"),
        },
    };
    Decision::TakeOver { expected_mod_revision, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Example, name};

    #[test]
    fn table() {
        let mut it = Example::nodes(3);
        it.on_air("/a", 2, 17, 5, &[2]);
        let claim = it.view.catalog.origins[&name("/a")].clone();
        let answered = |has_source, source_idle_ms| HolderAnswer::Answered { has_source, source_idle_ms, epoch: 17 };
        for (age, answer, busy) in [
            (Some(100), answered(true, 0), true),
            (Some(100), answered(true, 2_999), true),
            (Some(100), answered(true, 3_000), false),
            (Some(100), answered(false, 0), false),
            (Some(9_000), answered(true, 0), true),
            (Some(100), HolderAnswer::NoAnswer, false),
            (Some(1_499), HolderAnswer::NotAsked, true),
            (Some(1_500), HolderAnswer::NotAsked, false),
            (None, HolderAnswer::NotAsked, false),
        ] {
            match decide(Some(&claim), 1, age, answer) {
                Decision::Busy => assert!(busy, "{age:?} {answer:?}"),
                Decision::TakeOver { expected_mod_revision, why } => {
                    assert!(!busy, "{age:?} {answer:?}");
                    assert_eq!(expected_mod_revision, 17);
                    assert!(why.contains("node 2"), "{why}");
                }
                Decision::Free => panic!("{age:?} {answer:?}"),
            }
        }
        assert_eq!(decide(None, 1, None, HolderAnswer::NotAsked), Decision::Free);
        assert!(must_ask(&claim, 1, Some(0)) && !must_ask(&claim, 2, Some(0)));
        assert!(!must_ask(&claim, 1, None) && !must_ask(&claim, 1, Some(1_500)));
        let endless = Claim { epoch: u64::MAX, ..claim };
        assert_eq!(decide(Some(&endless), 1, None, HolderAnswer::NoAnswer), Decision::Busy);
    }
}
