//! Response rate limiting: a token bucket for each client network, so that nobody uses us to flood somebody else.
//! Pure: the caller says what time it is.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Answers a second and network. A large resolver farm asks a zone with a TTL of 10 s far less often.
const RATE_PER_S: u64 = 200;
/// How many answers a network may have at once.
const BURST: u64 = 400;
/// Networks watched at once: about 2 MiB. With more, quiet ones are forgotten, then new ones share one bucket.
const MAX_NETWORKS: usize = 16_384;
/// Tokens are counted in thousandths, so that a millisecond at 1/s is not lost.
const SCALE: u64 = 1_000;

/// What to do with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer it.
    Answer,
    /// Answer it empty with TC=1: a real client asks again over TCP, a forged address gets no amplification.
    Slip,
    /// Say nothing.
    Drop,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u64,
    at_ms: u64,
    slipped: bool,
}

impl Bucket {
    fn full(at_ms: u64) -> Self {
        Self { tokens: BURST * SCALE, at_ms, slipped: false }
    }

    fn refill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(now_ms);
        // tokens/s × ms = thousandths of a token.
        self.tokens = passed_ms.saturating_mul(RATE_PER_S).saturating_add(self.tokens).min(BURST * SCALE);
    }

    fn take(&mut self, now_ms: u64) -> Verdict {
        self.refill(now_ms);
        if let Some(left) = self.tokens.checked_sub(SCALE) {
            self.tokens = left;
            return Verdict::Answer;
        }
        self.slipped = !self.slipped;
        if self.slipped { Verdict::Slip } else { Verdict::Drop }
    }
}

/// Token buckets by /24 and /56.
#[derive(Debug)]
pub(super) struct RateLimit {
    buckets: BTreeMap<Ipv6Addr, Bucket>,
    /// For networks beyond [`MAX_NETWORKS`].
    shared: Bucket,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), shared: Bucket::full(0) }
    }
}

impl RateLimit {
    /// Takes a token of the client's network.
    pub(super) fn take(&mut self, client: IpAddr, now: Duration) -> Verdict {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let network = network(client);
        if !self.buckets.contains_key(&network) && self.buckets.len() >= MAX_NETWORKS {
            self.forget_quiet(now_ms);
            if self.buckets.len() >= MAX_NETWORKS {
                return self.shared.take(now_ms);
            }
        }
        self.buckets.entry(network).or_insert_with(|| Bucket::full(now_ms)).take(now_ms)
    }

    /// Drops the networks whose bucket is full again: forgetting them changes nothing.
    fn forget_quiet(&mut self, now_ms: u64) {
        // Not more than once a second: a flood of forged addresses must not make each query a walk over all.
        if now_ms.saturating_sub(self.shared.at_ms) < 1_000 && self.shared.at_ms != 0 {
            return;
        }
        self.shared.refill(now_ms);
        self.buckets.retain(|_, bucket| {
            bucket.refill(now_ms);
            bucket.tokens < BURST * SCALE
        });
    }
}

/// The client's /24 or /56, as what one site usually has.
fn network(client: IpAddr) -> Ipv6Addr {
    match client {
        IpAddr::V4(v4) => Ipv6Addr::from_bits(u128::from(v4.to_bits() & 0xffff_ff00)),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => network(IpAddr::V4(v4)),
            None => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 72)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_burst_then_slips_every_second_query() {
        let mut limit = RateLimit::default();
        let now = Duration::from_secs(5);
        for i in 0..BURST {
            let client = ip(&format!("192.0.2.{}", i % 250));
            assert_eq!(limit.take(client, now), Verdict::Answer, "query {i}");
        }
        assert_eq!(limit.take(ip("192.0.2.9"), now), Verdict::Slip);
        assert_eq!(limit.take(ip("192.0.2.9"), now), Verdict::Drop);
        assert_eq!(limit.take(ip("192.0.2.8"), now), Verdict::Slip);
        assert_eq!(limit.take(ip("198.51.100.1"), now), Verdict::Answer, "another network is not touched");
        let later = now + Duration::from_millis(10);
        assert_eq!(limit.take(ip("192.0.2.9"), later), Verdict::Answer);
        assert_eq!(limit.take(ip("192.0.2.9"), later), Verdict::Answer);
        assert_ne!(limit.take(ip("192.0.2.9"), later), Verdict::Answer);
    }

    #[test]
    fn the_networks_are_24_and_56_bits() {
        assert_eq!(network(ip("192.0.2.1")), network(ip("192.0.2.255")));
        assert_ne!(network(ip("192.0.2.1")), network(ip("192.0.3.1")));
        assert_eq!(network(ip("2001:db8:0:100::1")), network(ip("2001:db8:0:1ff::1")));
        assert_ne!(network(ip("2001:db8:0:100::1")), network(ip("2001:db8:0:200::1")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), network(ip("192.0.2.7")));
    }

    #[test]
    fn the_memory_is_bounded_and_quiet_networks_make_room() {
        let mut limit = RateLimit::default();
        let start = Duration::from_secs(1);
        for i in 0..(MAX_NETWORKS as u32 + 5_000) {
            limit.take(IpAddr::V4((i << 8).into()), start);
        }
        assert_eq!(limit.buckets.len(), MAX_NETWORKS);
        limit.take(ip("203.0.113.1"), start + Duration::from_secs(3));
        assert_eq!(limit.buckets.len(), 1, "all others were full again");
    }

    #[test]
    fn time_that_runs_backwards_gives_no_tokens() {
        let mut limit = RateLimit::default();
        while limit.take(ip("192.0.2.1"), Duration::from_secs(9)) == Verdict::Answer {}
        assert_ne!(limit.take(ip("192.0.2.1"), Duration::from_secs(1)), Verdict::Answer);
        assert_ne!(limit.take(ip("192.0.2.1"), Duration::from_secs(9)), Verdict::Answer);
    }
}
