//! Counters and gauges of one node, in Prometheus' text form. Not global: several nodes run in one process in tests.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::{icecast::SharedState, status::load::RateMeter};

/// All of a node's metrics. Fields are cheap to update from any task.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Listeners now.
    pub listeners: Gauge,
    /// Listeners let in since start.
    pub listeners_total: Counter,
    /// Listeners dropped because they did not read fast enough.
    pub slow_listeners_total: Counter,
    /// Bytes sent to listeners.
    pub sent_bytes_total: Counter,
    /// Sources accepted.
    pub sources_total: Counter,
    /// Source requests refused (401, 403, 404).
    pub sources_refused_total: Counter,
    /// Bytes received from sources.
    pub received_bytes_total: Counter,
    /// Times that a new epoch continued the logical stream without a second header.
    pub splices_continued_total: Counter,
    /// Times that a new epoch began a new chain.
    pub splices_new_chain_total: Counter,
    /// Frames that a subscriber could not get any more from anybody.
    pub frames_lost_total: Counter,
    /// DNS queries answered.
    pub dns_queries_total: Counter,
    /// DNS queries dropped by a bound.
    pub dns_dropped_total: Counter,
    /// Leaders that this node saw, one after the other.
    pub leaders_seen_total: Counter,
    /// Starts of the local Icecast.
    pub icecast_starts_total: Counter,
    /// Reconnects of this node's feeds to its local Icecast.
    pub icecast_feeds_total: Counter,
    /// How the local Icecast is.
    pub icecast: SharedState,
    started: Instant,
    started_at: jiff::Timestamp,
    ready: AtomicBool,
    reports: AtomicU64,
    sent_rate: Mutex<RateMeter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("autoradio");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            // prometheus-client adds `_total` itself.
            registry.register(name, help, counter.clone());
            counter
        };
        let metrics = Self {
            listeners_total: counter("listeners_admitted", "Listeners let in"),
            slow_listeners_total: counter("slow_listeners", "Listeners dropped for being too slow"),
            sent_bytes_total: counter("sent_bytes", "Bytes sent to listeners"),
            sources_total: counter("sources", "Sources accepted"),
            sources_refused_total: counter("sources_refused", "Source requests refused"),
            received_bytes_total: counter("received_bytes", "Bytes received from sources"),
            splices_continued_total: counter("splices_continued", "Epochs that continued the logical stream"),
            splices_new_chain_total: counter("splices_new_chain", "Epochs that began a new chain"),
            frames_lost_total: counter("frames_lost", "Frames that nobody had any more"),
            dns_queries_total: counter("dns_queries", "DNS queries answered"),
            dns_dropped_total: counter("dns_dropped", "DNS queries dropped by a bound"),
            leaders_seen_total: counter("raft_leaders_seen", "Leaders seen, one after the other"),
            icecast_starts_total: counter("icecast_starts", "Starts of the local Icecast"),
            icecast_feeds_total: counter("icecast_feeds", "Connections made to feed the local Icecast"),
            icecast: SharedState::default(),
            started: Instant::now(),
            started_at: jiff::Timestamp::now(),
            ready: AtomicBool::new(false),
            reports: AtomicU64::new(0),
            sent_rate: Mutex::default(),
            listeners: Gauge::default(),
            registry: Mutex::new(Registry::default()),
        };
        registry.register("listeners", "Listeners now", metrics.listeners.clone());
        Self { registry: Mutex::new(registry), ..metrics }
    }
}

impl Metrics {
    /// Says whether the fronts are bound and the node has caught up; a node starts unready.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// What [`Metrics::set_ready`] was told last.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// How long the node has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the node started.
    #[must_use]
    pub fn started_at(&self) -> jiff::Timestamp {
        self.started_at
    }

    /// The number of the next load report.
    pub(crate) fn next_report(&self) -> u64 {
        self.reports.fetch_add(1, Ordering::Relaxed)
    }

    /// Bytes a second sent to listeners, over the last few calls' time.
    pub(crate) fn sent_rate(&self) -> u64 {
        let mut meter = self.sent_rate.lock().expect("nothing panics while it holds the meter");
        meter.rate(self.started.elapsed(), self.sent_bytes_total.get())
    }

    /// Prometheus' text exposition: the counters, then what `more` registers for this one scrape (gauges of the
    /// view, whose labels come and go with mounts).
    #[must_use]
    pub fn render(&self, more: impl FnOnce(&mut Registry)) -> String {
        self.render_with(more, &Registry::default())
    }

    /// The same, and a registry of names that are not ours.
    #[must_use]
    pub fn render_with(&self, more: impl FnOnce(&mut Registry), foreign: &Registry) -> String {
        let mut text = String::new();
        let mut scrape = Registry::with_prefix("autoradio");
        more(&mut scrape);
        let registry = self.registry.lock().expect("nothing panics while it holds the registry");
        let written = encode_registry(&mut text, &registry)
            .and_then(|()| encode_registry(&mut text, &scrape))
            .and_then(|()| encode_registry(&mut text, foreign))
            .and_then(|()| encode_eof(&mut text));
        written.expect("writing to a String cannot fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposition_is_prometheus_text() {
        let metrics = Metrics::default();
        metrics.dns_queries_total.inc_by(7);
        metrics.listeners.set(3);
        let text = metrics.render(|registry| {
            let gauge = Gauge::<i64>::default();
            gauge.set(5);
            registry.register("raft_term", "The term", gauge);
        });
        for line in ["autoradio_dns_queries_total 7", "autoradio_listeners 3", "autoradio_raft_term 5"] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}
