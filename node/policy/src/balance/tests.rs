use super::*;
use crate::example::{Example, name};

#[test]
fn policies_are_parsed() {
    assert_eq!(DEFAULT_LB_POLICY.parse(), Ok(LbPolicy::default()));
    assert_eq!("random".parse(), Ok(LbPolicy { filters: vec![], policy: Policy::Random }));
    let spaced = LbPolicy { filters: vec![Filter::BandwidthScore], policy: Policy::Best };
    assert_eq!(" bandwidth_score , best ".parse(), Ok(spaced));
    let message = |spec: &str| spec.parse::<LbPolicy>().unwrap_err().to_string();
    insta::assert_snapshot!(["", " ", "listeners_score", "random,best", "fastest", "x,random", "random,"].map(message).join("\n"), @r##"
    the load balancing policy is empty; try `listeners_available,bandwidth_available,listeners_score,bandwidth_score,weighted`
    the load balancing policy is empty; try `listeners_available,bandwidth_available,listeners_score,bandwidth_score,weighted`
    `listeners_score` is a filter, but the list must end in a policy (random, weighted, best)
    `random` is a policy and must stand last; before it only filters (listeners_available, listeners_score, bandwidth_available, bandwidth_score)
    `fastest` is no filter (listeners_available, listeners_score, bandwidth_available, bandwidth_score) and no policy (random, weighted, best)
    `x` is no filter (listeners_available, listeners_score, bandwidth_available, bandwidth_score) and no policy (random, weighted, best)
    `random` is a policy and must stand last; before it only filters (listeners_available, listeners_score, bandwidth_available, bandwidth_score)
    "##);
}

#[test]
fn nodes_with_the_log_come_first() {
    let mut it = Example::nodes(5);
    it.on_air("/a", 2, 7, 10, &[2, 4]);
    for seed in 0..50 {
        let mut found = best_nodes(&it.view, &LbPolicy::default(), &name("/a"), 9, seed);
        found[..2].sort_unstable();
        assert_eq!(found[..2], [2, 4]);
        assert_eq!(found.len(), 5);
        assert_eq!(best_nodes(&it.view, &LbPolicy::default(), &name("/a"), 3, seed).len(), 3);
    }
    it.log("/a", 4, 7, 10).live = false;
    assert_eq!(best_nodes(&it.view, &LbPolicy::default(), &name("/a"), 1, 3), [2]);
}

#[test]
fn the_emptier_node_gets_more() {
    let mut it = Example::nodes(3);
    for (id, listeners) in [(1, 0), (2, 50), (3, 80)] {
        it.member(id).public.max_clients = 100;
        it.load(id).listeners = listeners;
    }
    let firsts = |spec: &str| {
        let policy: LbPolicy = spec.parse().unwrap();
        let mut count = [0; 3];
        (0..3000).for_each(|seed| count[best_nodes(&it.view, &policy, &name("/a"), 3, seed)[0] as usize - 1] += 1);
        count
    };
    // In proportion 100 : 50 : 20 of 170.
    let found = firsts("listeners_score,weighted");
    assert!(
        (1600..1930).contains(&found[0]) && (750..1010).contains(&found[1]) && (270..440).contains(&found[2]),
        "{found:?}"
    );
    assert_eq!(firsts("listeners_score,best"), [3000, 0, 0]);
    assert!(firsts("listeners_score,random").iter().all(|n| (900..1100).contains(n)));
}

#[test]
fn full_and_dead_nodes() {
    let mut it = Example::nodes(3);
    it.heard(1).age_ms = 9_000;
    it.member(2).public.bwlimit_mbit_per_s = 10;
    it.load(2).sent_bytes_per_s = 1_250_000;
    assert_eq!(best_nodes(&it.view, &LbPolicy::default(), &name("/a"), 3, 0), [3]);
    it.member(3).public.ips.clear();
    // Only the full one is left: better than nothing.
    assert_eq!(best_nodes(&it.view, &LbPolicy::default(), &name("/a"), 3, 0), [2]);
    assert!(best_nodes(&Example::nodes(0).view, &LbPolicy::default(), &name("/a"), 3, 0).is_empty());
}

#[test]
fn urls() {
    let mut it = Example::nodes(1);
    let url = |it: &mut Example, domain: &str| listen_url(it.member(1), domain, &name("/a+b/ü.ogg"));
    assert_eq!(url(&mut it, "radio.test").as_deref(), Some("http://host1.radio.test/a+b/%C3%BC.ogg"));
    it.member(1).public.http_port = 8080;
    assert_eq!(url(&mut it, "").as_deref(), Some("http://192.0.2.1:8080/a+b/%C3%BC.ogg"));
    it.member(1).public.ips.remove(0);
    assert_eq!(url(&mut it, "").as_deref(), Some("http://[2001:db8::1]:8080/a+b/%C3%BC.ogg"));
    it.member(1).public.ips.clear();
    assert_eq!(url(&mut it, ""), None);
    it.member(1).name.clear();
    assert_eq!(url(&mut it, "radio.test"), None);
}
