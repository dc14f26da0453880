//! Whether a node may be given new listeners.

use autoradio_machine::{Member, NodeId};

use crate::{ClusterView, Load};

/// A node that was not heard for so long is taken for dead; reports come each second, so two may be lost.
pub const HEARD_LIMIT_MS: u64 = 3_000;
/// A node is full at this share of its bounds, in per cent: listeners come faster than reports.
pub const FULL_PERCENT: u64 = 90;

/// Why a node gets no new listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No such member.
    #[error("it is not a member")]
    Unknown,
    /// Not heard in time; `None`: never.
    #[error("it was not heard for {}", .0.map_or_else(|| "ever".to_owned(), |ms| format!("{} s", ms / 1000)))]
    Silent(Option<u64>),
    /// Not ready yet, or stopping.
    #[error("it is not ready")]
    NotReady,
    /// Taken out of service by an operator.
    #[error("it is drained")]
    Drained,
    /// At its bound of listeners.
    #[error("it has as many listeners as --max-clients allows")]
    ClientsFull,
    /// At its bound of bandwidth.
    #[error("it sends as much as --bwlimit allows")]
    BandwidthFull,
}

/// Checks a node.
///
/// # Errors
/// Why it is not fit; the gravest reason first.
pub fn fitness(view: &ClusterView, node: NodeId) -> Result<(), Unfit> {
    let member = view.catalog.members.get(&node).ok_or(Unfit::Unknown)?;
    let heard = view.loads.get(&node).ok_or(Unfit::Silent(None))?;
    if heard.age_ms >= HEARD_LIMIT_MS {
        return Err(Unfit::Silent(Some(heard.age_ms)));
    }
    if !heard.load.ready {
        return Err(Unfit::NotReady);
    }
    if member.drained {
        return Err(Unfit::Drained);
    }
    if clients_percent(member, &heard.load) >= FULL_PERCENT {
        return Err(Unfit::ClientsFull);
    }
    if bandwidth_percent(member, &heard.load) >= FULL_PERCENT {
        return Err(Unfit::BandwidthFull);
    }
    Ok(())
}

/// Whether the node was heard of lately, fit or not.
#[must_use]
pub fn is_alive(view: &ClusterView, node: NodeId) -> bool {
    view.loads.get(&node).is_some_and(|heard| heard.age_ms < HEARD_LIMIT_MS)
}

/// Listeners as per cent of `--max-clients`; 0 where there is no bound.
#[must_use]
pub fn clients_percent(member: &Member, load: &Load) -> u64 {
    percent(u64::from(load.listeners), u64::from(member.public.max_clients))
}

/// Sending as per cent of `--bwlimit`; 0 where that is not known.
#[must_use]
pub fn bandwidth_percent(member: &Member, load: &Load) -> u64 {
    percent(load.sent_bytes_per_s.saturating_mul(8), u64::from(member.public.bwlimit_mbit_per_s) * 1_000_000)
}

fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

/// The members to send people to, best kind first: the fit; if there are none, those that are merely full; then all
/// that live; then all there are (a wrong view must not take the station off the air). Only members that `wanted`
/// says yes to are looked at. In order of id.
#[must_use]
pub fn usable(view: &ClusterView, wanted: impl Fn(&Member) -> bool) -> Vec<NodeId> {
    let all: Vec<NodeId> = view.catalog.members.values().filter(|m| wanted(m)).map(|m| m.id).collect();
    let only = |keep: &dyn Fn(NodeId) -> bool| all.iter().copied().filter(|id| keep(*id)).collect::<Vec<_>>();
    let full_or_fit = |id| matches!(fitness(view, id), Ok(()) | Err(Unfit::ClientsFull | Unfit::BandwidthFull));
    [only(&|id| fitness(view, id).is_ok()), only(&full_or_fit), only(&|id| is_alive(view, id))]
        .into_iter()
        .find(|tier| !tier.is_empty())
        .unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Example;

    #[test]
    fn each_reason() {
        let mut it = Example::nodes(3);
        assert_eq!(fitness(&it.view(), 1), Ok(()));
        assert_eq!(fitness(&it.view(), 9), Err(Unfit::Unknown));
        it.heard(1).age_ms = 3_000;
        assert_eq!(fitness(&it.view(), 1), Err(Unfit::Silent(Some(3_000))));
        it.view.loads.remove(&1);
        assert_eq!(fitness(&it.view(), 1).unwrap_err().to_string(), "it was not heard for ever");
        it.load(2).ready = false;
        assert_eq!(fitness(&it.view(), 2), Err(Unfit::NotReady));
        it.member(3).drained = true;
        assert_eq!(fitness(&it.view(), 3), Err(Unfit::Drained));
    }

    #[test]
    fn bounds() {
        let mut it = Example::nodes(1);
        it.member(1).public.max_clients = 100;
        it.member(1).public.bwlimit_mbit_per_s = 100;
        it.load(1).listeners = 89;
        it.load(1).sent_bytes_per_s = 89 * 125_000;
        assert_eq!(fitness(&it.view(), 1), Ok(()));
        it.load(1).sent_bytes_per_s = 90 * 125_000;
        assert_eq!(fitness(&it.view(), 1), Err(Unfit::BandwidthFull));
        it.load(1).listeners = 90;
        assert_eq!(fitness(&it.view(), 1), Err(Unfit::ClientsFull));
        it.load(1).sent_bytes_per_s = u64::MAX;
        it.member(1).public.max_clients = 0;
        it.member(1).public.bwlimit_mbit_per_s = 0;
        assert_eq!(fitness(&it.view(), 1), Ok(()));
    }

    #[test]
    fn somebody_is_always_usable() {
        let mut it = Example::nodes(3);
        assert_eq!(usable(&it.view(), |_| true), [1, 2, 3]);
        it.member(1).drained = true;
        it.member(2).public.max_clients = 1;
        it.load(2).listeners = 5;
        it.heard(3).age_ms = 60_000;
        assert_eq!(usable(&it.view(), |_| true), [2]);
        it.load(2).ready = false;
        assert_eq!(usable(&it.view(), |_| true), [1, 2]);
        it.view.loads.clear();
        assert_eq!(usable(&it.view(), |_| true), [1, 2, 3]);
        assert_eq!(usable(&it.view(), |m| m.id == 3), [3]);
    }
}
