//! Which nodes hold which mount's log, and whom they copy it from.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use autoradio_machine::{MountName, NodeId};

use crate::{
    ClusterView,
    dice::{hash, mix},
    fitness::{fitness, is_alive},
};

/// At least so many nodes besides the origin hold a live mount's log.
pub const FOLLOWERS: usize = 2;

/// The nodes that must hold the mount's log besides `origin`, whoever listens: highest random weight (Thaler and
/// Ravishankar 1998), so that a node's coming or going moves few logs. Fit nodes first, then others that live.
#[must_use]
pub fn followers(view: &ClusterView, mount: &MountName, origin: NodeId) -> Vec<NodeId> {
    let seed = hash(mount.as_str());
    let mut nodes: Vec<NodeId> =
        view.catalog.members.keys().copied().filter(|id| *id != origin && is_alive(view, *id)).collect();
    nodes.sort_by_key(|id| (fitness(view, *id).is_err(), Reverse(mix(seed ^ mix(*id))), *id));
    nodes.truncate(FOLLOWERS);
    nodes
}

/// The mounts whose logs node `me` must copy from others: live mounts that it follows, or that its Icecast carries
/// (`icecast_on`), and all that it has listeners for. Mounts that it is the origin of itself are not among them.
/// A log that is no longer desired may still be kept for the mount's hold time.
#[must_use]
pub fn desired_logs(
    view: &ClusterView,
    me: NodeId,
    has_listeners: &BTreeSet<MountName>,
    icecast_on: bool,
) -> BTreeSet<MountName> {
    let mut desired = BTreeSet::new();
    for (mount, claim) in view.catalog.origins.iter() {
        let wanted = icecast_on || followers(view, mount, claim.origin.node).contains(&me);
        if wanted && claim.origin.node != me {
            desired.insert(mount.clone());
        }
    }
    let is_mine = |mount: &MountName| view.catalog.origins.get(mount).is_some_and(|c| c.origin.node == me);
    desired.extend(has_listeners.iter().filter(|m| view.catalog.mounts.contains_key(*m) && !is_mine(m)).cloned());
    desired.retain(|mount| view.catalog.mounts.contains_key(mount));
    desired
}

/// The nodes to subscribe to the mount at, best first: the origin if it lives, then whoever has most of the log, then
/// (in the same order) nodes that were not heard lately. Never `me`.
#[must_use]
pub fn upstreams(view: &ClusterView, mount: &MountName, me: NodeId) -> Vec<NodeId> {
    let origin = view.catalog.origins.get(mount).map(|claim| claim.origin.node);
    let mut found: BTreeMap<NodeId, (u64, u64)> = view
        .loads
        .iter()
        .filter_map(|(id, heard)| heard.load.mounts.get(mount).map(|log| (*id, (log.epoch, log.seq))))
        .collect();
    if let Some(origin) = origin {
        // It may have claimed the mount after its last report.
        found.entry(origin).or_insert((0, 0));
    }
    let mut nodes: Vec<(NodeId, (u64, u64))> =
        found.into_iter().filter(|(id, _)| *id != me && view.catalog.members.contains_key(id)).collect();
    nodes.sort_by_key(|(id, log)| {
        let alive = is_alive(view, *id);
        (!alive, !(alive && Some(*id) == origin), Reverse(*log), mix(mix(*id) ^ me))
    });
    nodes.into_iter().map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Example, name};

    #[test]
    fn two_followers_spread_and_stable() {
        let it = Example::nodes(10);
        let mut shares = BTreeMap::new();
        for n in 0..1000 {
            let mount = name(&format!("/m{n}"));
            let found = followers(&it.view, &mount, 1);
            assert_eq!(found.len(), FOLLOWERS);
            assert!(found[0] != found[1] && !found.contains(&1));
            found.iter().for_each(|id| *shares.entry(*id).or_insert(0) += 1);
            // A node that is not among them can go without moving any.
            let mut smaller = Example::nodes(10);
            let gone = (2..=10).find(|id| !found.contains(id)).unwrap();
            smaller.heard(gone).age_ms = 60_000;
            assert_eq!(followers(&smaller.view, &mount, 1), found);
        }
        assert_eq!(shares.len(), 9);
        assert!(shares.values().all(|n| (150..300).contains(n)), "{shares:?}");
    }

    #[test]
    fn unfit_nodes_follow_only_if_they_must() {
        let mut it = Example::nodes(4);
        it.member(2).drained = true;
        let mut found = followers(&it.view, &name("/a"), 1);
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
        it.heard(3).age_ms = 60_000;
        assert_eq!(followers(&it.view, &name("/a"), 1), [4, 2]);
        assert!(followers(&Example::nodes(1).view, &name("/a"), 1).is_empty());
    }

    #[test]
    fn desire() {
        let mut it = Example::nodes(5);
        it.on_air("/a", 1, 7, 10, &[1]);
        it.mount("/silent");
        let follows: Vec<_> =
            (1..=5).filter(|id| !desired_logs(&it.view, *id, &BTreeSet::new(), false).is_empty()).collect();
        let mut expected = followers(&it.view, &name("/a"), 1);
        expected.sort_unstable();
        assert_eq!(follows, expected);
        let listeners: BTreeSet<_> = [name("/a"), name("/silent"), name("/gone")].into();
        assert!(desired_logs(&it.view, 1, &listeners, true).iter().map(MountName::as_str).eq(["/silent"]));
        for id in 2..=5 {
            assert!(desired_logs(&it.view, id, &listeners, false).iter().map(MountName::as_str).eq(["/a", "/silent"]));
            assert!(desired_logs(&it.view, id, &BTreeSet::new(), true).iter().map(MountName::as_str).eq(["/a"]));
        }
    }

    #[test]
    fn the_order_of_upstreams() {
        let mut it = Example::nodes(5);
        it.on_air("/a", 1, 7, 10, &[1]);
        it.log("/a", 2, 7, 12);
        it.log("/a", 3, 6, 99);
        it.log("/a", 4, 7, 11);
        assert_eq!(upstreams(&it.view, &name("/a"), 5), [1, 2, 4, 3]);
        assert_eq!(upstreams(&it.view, &name("/a"), 2), [1, 4, 3]);
        it.heard(1).age_ms = 3_000;
        assert_eq!(upstreams(&it.view, &name("/a"), 5), [2, 4, 3, 1]);
        it.view.loads.clear();
        assert_eq!(upstreams(&it.view, &name("/a"), 5), [1]);
        assert!(upstreams(&it.view, &name("/b"), 5).is_empty());
    }
}
