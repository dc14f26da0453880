//! How the cluster is, in one word and in sentences.

use std::collections::BTreeSet;

use autoradio_machine::{NodeId, hex_id};
use serde::Serialize;

use crate::{
    ClusterView,
    fitness::{Unfit, fitness, is_alive},
    followers::FOLLOWERS,
    membership::{Survival, survives},
};

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthWord {
    /// Nothing to do.
    Healthy,
    /// All is served, but something is to be done.
    Degraded,
    /// No majority: streams go on, changes are refused.
    Unavailable,
}

impl std::fmt::Display for HealthWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        })
    }
}

/// How the cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// In a word.
    pub word: HealthWord,
    /// What is wrong and what to do, the gravest first; one sentence or two each.
    pub problems: Vec<String>,
    /// What it can bear.
    pub survival: Survival,
}

/// A node's name for people: its name, or its id while it has none.
#[must_use]
pub fn node_label(view: &ClusterView, id: NodeId) -> String {
    let name = view.catalog.members.get(&id).map(|m| m.name.clone()).filter(|n| !n.is_empty());
    name.unwrap_or_else(|| hex_id(id))
}

/// Judges a view.
#[must_use]
pub fn health(view: &ClusterView) -> Health {
    let reachable: BTreeSet<NodeId> =
        view.voters.iter().copied().filter(|id| *id == view.me || is_alive(view, *id)).collect();
    let survival = survives(&view.voters, &reachable);
    let mut problems = Vec::new();
    if !view.quorum {
        problems.push(format!(
            "No majority: {} of {} voters in reach, {} needed. Streams go on, changes are refused. Start the missing \
             nodes or mend the network between them.",
            reachable.len(),
            view.voters.len(),
            survival.quorum
        ));
    }
    for id in view.catalog.members.keys() {
        node_problems(view, *id, &mut problems);
    }
    mount_problems(view, &mut problems);
    let word = match (view.quorum, problems.is_empty()) {
        (false, _) => HealthWord::Unavailable,
        (true, true) => HealthWord::Healthy,
        (true, false) => HealthWord::Degraded,
    };
    Health { word, problems, survival }
}

fn node_problems(view: &ClusterView, id: NodeId, problems: &mut Vec<String>) {
    let who = node_label(view, id);
    match fitness(view, id) {
        Err(Unfit::Silent(Some(age_ms))) => problems.push(format!(
            "{who} was not heard for {} s. Start autoradio-node there, or remove it if it is gone for good.",
            age_ms / 1000
        )),
        Err(Unfit::Silent(None)) => problems.push(format!(
            "{who} is a member, but this node has not heard it since it started. Start autoradio-node there, or remove it."
        )),
        Err(Unfit::NotReady) => problems.push(format!("{who} is not ready: it is starting, catching up or stopping.")),
        Err(reason @ (Unfit::ClientsFull | Unfit::BandwidthFull)) => problems.push(format!(
            "{who} gets no new listeners: {reason}. Raise the limit there or add a node."
        )),
        Err(Unfit::Drained | Unfit::Unknown) | Ok(()) => {}
    }
    let Some(heard) = view.loads.get(&id).filter(|_| is_alive(view, id)) else { return };
    if heard.load.disk_full {
        problems.push(format!(
            "{who}'s disk is full: it takes no changes until there is room below its data folder; its streams go on."
        ));
    }
    let icecast = heard.load.icecast.as_str();
    if !matches!(icecast, "" | "off" | "running") {
        problems.push(format!("Icecast on {who} is not running: {icecast}. The node's own port serves all the same."));
    }
}

/// A live mount that could not outlive its origin.
fn mount_problems(view: &ClusterView, problems: &mut Vec<String>) {
    let alive: Vec<NodeId> = view.catalog.members.keys().copied().filter(|id| is_alive(view, *id)).collect();
    for (mount, claim) in view.catalog.origins.iter() {
        let origin = claim.origin.node;
        let could = alive.iter().filter(|id| **id != origin).count().min(FOLLOWERS);
        let holds = |id: &NodeId| {
            let log = view.loads.get(id).and_then(|heard| heard.load.mounts.get(mount));
            *id != origin && log.is_some_and(|log| log.live && log.epoch >= claim.epoch)
        };
        let followers = alive.iter().filter(|id| holds(id)).count();
        let sends = view.loads.get(&origin).and_then(|h| h.load.mounts.get(mount)).is_some_and(|log| log.live);
        if sends && followers < could {
            problems.push(format!(
                "{mount} is copied to {followers} of {could} nodes besides {}; this mends itself within seconds unless \
                 the network between nodes is broken (port 2380).",
                node_label(view, origin)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Example;

    #[test]
    fn all_well() {
        let mut it = Example::nodes(3);
        it.on_air("/a", 1, 7, 9, &[1, 2, 3]);
        it.member(3).drained = true;
        let found = health(&it.view);
        assert_eq!((found.word, found.problems.len()), (HealthWord::Healthy, 0), "{:?}", found.problems);
        assert_eq!((found.survival.quorum, found.survival.can_lose), (2, 1));
    }

    #[test]
    fn each_problem() {
        let mut it = Example::nodes(5);
        it.on_air("/a", 1, 7, 9, &[1, 3]);
        it.heard(2).age_ms = 38_000;
        it.view.loads.remove(&5);
        it.load(3).icecast = "crashed, again in 8 s".into();
        it.load(4).ready = false;
        it.member(1).public.max_clients = 10;
        it.load(1).listeners = 10;
        it.load(1).disk_full = true;
        let found = health(&it.view);
        assert_eq!((found.word, found.survival.can_lose), (HealthWord::Degraded, 0));
        insta::assert_snapshot!(found.problems.join("\n"), @r##"
        host1 gets no new listeners: it has as many listeners as --max-clients allows. Raise the limit there or add a node.
        host1's disk is full: it takes no changes until there is room below its data folder; its streams go on.
        host2 was not heard for 38 s. Start autoradio-node there, or remove it if it is gone for good.
        Icecast on host3 is not running: crashed, again in 8 s. The node's own port serves all the same.
        host4 is not ready: it is starting, catching up or stopping.
        host5 is a member, but this node has not heard it since it started. Start autoradio-node there, or remove it.
        /a is copied to 1 of 2 nodes besides host1; this mends itself within seconds unless the network between nodes is broken (port 2380).
        "##);
    }

    #[test]
    fn no_majority() {
        let mut it = Example::nodes(3);
        it.view.quorum = false;
        it.heard(2).age_ms = 9_000;
        it.heard(3).age_ms = 9_000;
        it.member(3).name.clear();
        let found = health(&it.view);
        assert_eq!(found.word, HealthWord::Unavailable);
        insta::assert_snapshot!(found.problems.join("\n"), @r##"
        No majority: 1 of 3 voters in reach, 2 needed. Streams go on, changes are refused. Start the missing nodes or mend the network between them.
        host2 was not heard for 9 s. Start autoradio-node there, or remove it if it is gone for good.
        3 was not heard for 9 s. Start autoradio-node there, or remove it if it is gone for good.
        "##);
    }
}
