//! Whether a member may be removed without hurting: a working cluster must not lose its quorum by it.

use autoradio_machine::NodeId;

use super::survival;
use crate::{ClusterView, fitness::is_alive, health::node_label};

/// Why a member may not be removed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeRemoval {
    /// The only one that votes.
    #[error("{name} is the only node that votes: with it the cluster would end")]
    Only {
        /// Its name.
        name: String,
    },
    /// Too few of those left would live.
    #[error(
        "without {name}, {live} of the {voters} voters left would answer, and {quorum} are needed: changes would stop. \
         First bring back, or remove, what is silent: {}", silent.join(", ")
    )]
    Quorum {
        /// Its name.
        name: String,
        /// How many voters would be left.
        voters: usize,
        /// How many of these live.
        live: usize,
        /// How many are needed.
        quorum: usize,
        /// Names of those that do not.
        silent: Vec<String>,
    },
}

/// Refuses a removal after which those who are left would have no majority, by what this node hears.
///
/// # Errors
/// [`UnsafeRemoval`], with the numbers.
pub fn check_removal(view: &ClusterView, id: NodeId) -> Result<(), UnsafeRemoval> {
    if !view.voters.contains(&id) {
        return Ok(());
    }
    let rest: Vec<NodeId> = view.voters.iter().copied().filter(|voter| *voter != id).collect();
    let name = node_label(view, id);
    if rest.is_empty() {
        return Err(UnsafeRemoval::Only { name });
    }
    let (live, silent): (Vec<NodeId>, Vec<NodeId>) = rest.iter().copied().partition(|voter| is_alive(view, *voter));
    let quorum = survival(rest.len(), live.len()).quorum;
    if live.len() >= quorum {
        return Ok(());
    }
    let silent = silent.into_iter().map(|voter| node_label(view, voter)).collect();
    Err(UnsafeRemoval::Quorum { name, voters: rest.len(), live: live.len(), quorum, silent })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use autoradio_machine::{Catalog, Member};

    use super::*;
    use crate::Heard;

    fn view(voters: &[NodeId], live: &[NodeId]) -> ClusterView {
        let member = |id: &NodeId| (*id, Arc::new(Member { id: *id, name: format!("host{id}"), ..Member::default() }));
        let members: BTreeMap<_, _> = voters.iter().map(member).collect();
        ClusterView {
            me: 1,
            catalog: Catalog { members: Arc::new(members), ..Catalog::default() },
            voters: voters.to_vec(),
            loads: live.iter().map(|id| (*id, Heard::default())).collect(),
            ..ClusterView::default()
        }
    }

    #[test]
    fn the_dead_may_always_go_and_the_living_only_where_the_rest_has_a_majority() {
        assert_eq!(check_removal(&view(&[1, 2, 3], &[1, 2, 3]), 2), Ok(()));
        assert_eq!(check_removal(&view(&[1, 2, 3], &[1, 2]), 3), Ok(()), "it is dead");
        assert_eq!(check_removal(&view(&[1, 2, 3], &[1, 2, 3]), 9), Ok(()), "it does not vote");
        assert_eq!(check_removal(&view(&[1, 2], &[1, 2]), 2), Ok(()));
        let refused = check_removal(&view(&[1, 2, 3], &[1, 2]), 2).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "without host2, 1 of the 2 voters left would answer, and 2 are needed: changes would stop. First bring \
             back, or remove, what is silent: host3"
        );
        let last = check_removal(&view(&[1], &[1]), 1).unwrap_err();
        assert!(last.to_string().contains("only node that votes"), "{last}");
    }
}
