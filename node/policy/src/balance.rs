//! Which nodes to send listeners to, and in which order.

use std::{cmp::Reverse, str::FromStr};

use autoradio_machine::{Member, MountName, NodeId};

use crate::{
    ClusterView, Load,
    dice::Dice,
    fitness::{bandwidth_percent, clients_percent, usable},
    host::node_host,
};

/// Gives each node a score from 0 (not this one) to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Nodes that may have more listeners, all alike.
    ListenersAvailable,
    /// By the share of listeners that are still free.
    ListenersScore,
    /// Nodes that have bandwidth left, all alike.
    BandwidthAvailable,
    /// By the share of bandwidth that is still free.
    BandwidthScore,
}

/// How the scores decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// By lot, all alike.
    Random,
    /// By lot, in proportion to the scores.
    Weighted,
    /// The highest score first.
    Best,
}

/// `--lb-policy`: filters, whose scores are multiplied, and a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LbPolicy {
    /// The filters in order.
    pub filters: Vec<Filter>,
    /// The policy.
    pub policy: Policy,
}

/// What is wrong with an `--lb-policy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LbPolicyError {
    /// Nothing there.
    #[error("the load balancing policy is empty; try `{DEFAULT_LB_POLICY}`")]
    Empty,
    /// A word that is not known.
    #[error("`{0}` is no filter ({FILTER_NAMES}) and no policy ({POLICY_NAMES})")]
    Unknown(String),
    /// No policy at the end.
    #[error("`{0}` is a filter, but the list must end in a policy ({POLICY_NAMES})")]
    NoPolicy(String),
    /// A policy in the middle.
    #[error("`{0}` is a policy and must stand last; before it only filters ({FILTER_NAMES})")]
    PolicyNotLast(String),
}

/// The policy unless another is set.
pub const DEFAULT_LB_POLICY: &str = "listeners_available,bandwidth_available,listeners_score,bandwidth_score,weighted";
const FILTER_NAMES: &str = "listeners_available, listeners_score, bandwidth_available, bandwidth_score";
const POLICY_NAMES: &str = "random, weighted, best";

fn filter(name: &str) -> Option<Filter> {
    Some(match name {
        "listeners_available" => Filter::ListenersAvailable,
        "listeners_score" => Filter::ListenersScore,
        "bandwidth_available" => Filter::BandwidthAvailable,
        "bandwidth_score" => Filter::BandwidthScore,
        _ => return None,
    })
}

fn policy(name: &str) -> Option<Policy> {
    Some(match name {
        "random" => Policy::Random,
        "weighted" => Policy::Weighted,
        "best" => Policy::Best,
        _ => return None,
    })
}

impl FromStr for LbPolicy {
    type Err = LbPolicyError;

    fn from_str(spec: &str) -> Result<Self, LbPolicyError> {
        let words: Vec<&str> = spec.split(',').map(str::trim).collect();
        let Some((last, before)) = words.split_last().filter(|_| !spec.trim().is_empty()) else {
            return Err(LbPolicyError::Empty);
        };
        let filters = before
            .iter()
            .map(|word| match (filter(word), policy(word)) {
                (Some(filter), _) => Ok(filter),
                (None, Some(_)) => Err(LbPolicyError::PolicyNotLast((*word).to_owned())),
                (None, None) => Err(LbPolicyError::Unknown((*word).to_owned())),
            })
            .collect::<Result<_, _>>()?;
        match (policy(last), filter(last)) {
            (Some(policy), _) => Ok(Self { filters, policy }),
            (None, Some(_)) => Err(LbPolicyError::NoPolicy((*last).to_owned())),
            (None, None) => Err(LbPolicyError::Unknown((*last).to_owned())),
        }
    }
}

impl Default for LbPolicy {
    fn default() -> Self {
        use Filter::{BandwidthAvailable, BandwidthScore, ListenersAvailable, ListenersScore};
        let filters = vec![ListenersAvailable, BandwidthAvailable, ListenersScore, BandwidthScore];
        Self { filters, policy: Policy::Weighted }
    }
}

impl LbPolicy {
    /// A node's score: 0 to 10^8, the product of the filters' scores, brought to one scale.
    fn score(&self, member: &Member, load: &Load) -> u64 {
        self.filters.iter().fold(100_000_000, |score, filter| {
            let listeners_left = 100u64.saturating_sub(clients_percent(member, load));
            let bandwidth_left = 100u64.saturating_sub(bandwidth_percent(member, load));
            let part = match filter {
                Filter::ListenersAvailable => u64::from(listeners_left > 0) * 100,
                Filter::BandwidthAvailable => u64::from(bandwidth_left > 0) * 100,
                Filter::ListenersScore => listeners_left,
                Filter::BandwidthScore => bandwidth_left,
            };
            score * part / 100
        })
    }
}

/// The best `n` nodes for a mount's listeners, in the order to try them: first those that hold the mount's log and
/// take frames in, then the others; within both as the policy says. If the policy refuses all of them, they count
/// alike: a listener who is sent to a full node is told so, one who is sent nowhere is lost.
#[must_use]
pub fn best_nodes(view: &ClusterView, policy: &LbPolicy, mount: &MountName, n: usize, seed: u64) -> Vec<NodeId> {
    let mut dice = Dice::new(seed);
    let silent = Load::default();
    let mut ranked: Vec<(bool, u64, NodeId)> = usable(view, |member| !member.public.ips.is_empty())
        .into_iter()
        .filter_map(|id| {
            let member = view.catalog.members.get(&id)?;
            let load = view.loads.get(&id).map_or(&silent, |heard| &heard.load);
            let has_log = load.mounts.get(mount).is_some_and(|log| log.live);
            Some((has_log, policy.score(member, load), id))
        })
        .collect();
    if ranked.iter().any(|(_, score, _)| *score > 0) {
        ranked.retain(|(_, score, _)| *score > 0);
    } else {
        ranked.iter_mut().for_each(|(_, score, _)| *score = 1);
    }
    // The lot decides first, so that nodes of one score come in any order.
    dice.shuffle(&mut ranked);
    match policy.policy {
        Policy::Random => {}
        Policy::Best => ranked.sort_by_key(|(_, score, _)| Reverse(*score)),
        Policy::Weighted => ranked = weighted(ranked, &mut dice),
    }
    ranked.sort_by_key(|(has_log, ..)| !has_log);
    ranked.into_iter().take(n).map(|(_, _, id)| id).collect()
}

/// Draws without putting back, each with a chance in proportion to its score.
fn weighted(mut from: Vec<(bool, u64, NodeId)>, dice: &mut Dice) -> Vec<(bool, u64, NodeId)> {
    let mut drawn = Vec::with_capacity(from.len());
    while !from.is_empty() {
        let total: u64 = from.iter().map(|(_, score, _)| *score).sum();
        let mut point = dice.below(total);
        let at = from.iter().position(|(_, score, _)| {
            let hit = point < *score;
            point = point.saturating_sub(*score);
            hit
        });
        drawn.push(from.swap_remove(at.unwrap_or(0)));
    }
    drawn
}

/// The URL at which a node serves a mount: by its name in the domain where it has one, else by its first address
/// (IPv4 first). `None` where it has neither.
#[must_use]
pub fn listen_url(member: &Member, domain: &str, mount: &MountName) -> Option<String> {
    let ips = || member.public.ips.iter();
    let host = node_host(member, domain).or_else(|| {
        let ip = ips().find(|ip| ip.is_ipv4()).or_else(|| ips().next())?;
        Some(if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() })
    })?;
    let port = match member.public.http_port {
        0 | 80 => String::new(),
        port => format!(":{port}"),
    };
    Some(format!("http://{host}{port}{}", url_path(mount)))
}

/// The mount's name as a URL's path.
#[must_use]
pub fn url_path(mount: &MountName) -> String {
    let mut out = String::new();
    for byte in mount.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
