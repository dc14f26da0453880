//! Counters and gauges of one node, in Prometheus' text form. Not global: several nodes run in one process in tests.

use std::sync::Mutex;

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

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
    /// Starts of the local Icecast.
    pub icecast_starts_total: Counter,
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
            icecast_starts_total: counter("icecast_starts", "Starts of the local Icecast"),
            listeners: Gauge::default(),
            registry: Mutex::new(Registry::default()),
        };
        registry.register("listeners", "Listeners now", metrics.listeners.clone());
        Self { registry: Mutex::new(registry), ..metrics }
    }
}

impl Metrics {
    /// Prometheus' text exposition.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().expect("nothing panics while it holds the registry");
        encode(&mut text, &registry).expect("writing to a String cannot fail");
        text
    }
}
