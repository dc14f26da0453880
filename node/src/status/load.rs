//! What this node says of itself to the others, once a second.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use autoradio_machine::MountName;
use autoradio_policy::{Load, MountLoad};

use crate::context::Context;

/// The time over which the sending rate is an average: a front writes about once a second.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// Samples kept; one a second is asked for, so this is more than the window holds.
const MAX_SAMPLES: usize = 64;

/// A rate out of a counter that only grows.
#[derive(Debug, Default)]
pub struct RateMeter {
    samples: VecDeque<(Duration, u64)>,
}

impl RateMeter {
    /// Takes the counter's value at `now` (since any fixed moment), and gives its growth a second over
    /// the window.
    pub fn rate(&mut self, now: Duration, value: u64) -> u64 {
        // The sample at the window's far end stays, so that the average is over the whole window.
        while self.samples.get(1).is_some_and(|(at, _)| *at + RATE_WINDOW <= now) || self.samples.len() >= MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now, value));
        let Some((then, before)) = self.samples.front() else { return 0 };
        let passed_ms = now.saturating_sub(*then).as_millis();
        let grown = u128::from(value.saturating_sub(*before)) * 1_000;
        u64::try_from(grown.checked_div(passed_ms).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

/// This node's report, with what it holds of each mount. Each call counts one up, so that one task should call it, once a second.
#[must_use]
pub fn gather(ctx: &Context, mounts: BTreeMap<MountName, MountLoad>) -> Load {
    let metrics = &ctx.metrics;
    Load {
        sequence: metrics.next_report(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: metrics.uptime().as_secs(),
        listeners: u32::try_from(metrics.listeners.get()).unwrap_or(0),
        sent_bytes_per_s: metrics.sent_rate(),
        applied_index: ctx.raft.status().applied_index,
        icecast: metrics.icecast.get().to_string(),
        ready: metrics.ready() && !ctx.stop.is_cancelled(),
        disk_full: ctx.raft.space().full,
        mounts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_over_the_window() {
        let mut meter = RateMeter::default();
        let mut second = |s: u64, value| meter.rate(Duration::from_secs(s), value);
        assert_eq!(second(0, 1_000), 0, "one sample is no rate");
        assert_eq!(second(1, 3_000), 2_000);
        for s in 2..=9 {
            second(s, 3_000);
        }
        assert_eq!(second(10, 3_000), 0, "the burst is out of the window");
        assert_eq!(second(11, 8_000), 1_000, "over five seconds, not one");
        assert_eq!(second(12, 0), 0, "a counter that fell gives nothing");
    }

    #[test]
    fn calls_too_often_are_bounded() {
        let mut meter = RateMeter::default();
        for i in 0..10_000 {
            meter.rate(Duration::from_millis(i / 10), i);
        }
        assert!(meter.samples.len() <= MAX_SAMPLES);
    }
}
