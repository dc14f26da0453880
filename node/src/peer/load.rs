//! What this node says of itself once a second: parts hand in what they know, and it is gathered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use autoradio_machine::{LogIndex, MountName};
use autoradio_policy::{Load, MountLoad};

use crate::metrics::Metrics;

/// Bandwidth is measured over so long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

type Mounts = Box<dyn Fn() -> BTreeMap<MountName, MountLoad> + Send + Sync>;

/// Where parts of the node say what goes into its load report. Cheap to clone.
#[derive(Clone)]
pub struct LoadBoard {
    inner: Arc<Inner>,
}

struct Inner {
    metrics: Arc<Metrics>,
    started: Instant,
    sequence: AtomicU64,
    ready: AtomicBool,
    icecast: Mutex<String>,
    mounts: Mutex<Option<Mounts>>,
    sent: Mutex<Vec<(Instant, u64)>>,
}

impl LoadBoard {
    /// A board that counts listeners and bytes by `metrics`; not ready, without Icecast and mounts.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let inner = Inner {
            metrics,
            started: Instant::now(),
            sequence: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            icecast: Mutex::new("off".into()),
            mounts: Mutex::new(None),
            sent: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether listeners and sources may be sent here. Set by the daemon, unset when it stops.
    pub fn set_ready(&self, ready: bool) {
        self.inner.ready.store(ready, Ordering::Relaxed);
    }

    /// State of the local Icecast: `off`, `running`, or why it is not.
    pub fn set_icecast(&self, state: impl Into<String>) {
        *self.inner.icecast.lock().expect("nothing panics while it holds the state") = state.into();
    }

    /// Says how the mount logs are asked for their loads; must be quick.
    pub fn set_mounts(&self, mounts: impl Fn() -> BTreeMap<MountName, MountLoad> + Send + Sync + 'static) {
        *self.inner.mounts.lock().expect("nothing panics while it holds the function") = Some(Box::new(mounts));
    }

    /// The next report.
    #[must_use]
    pub fn gather(&self, applied_index: LogIndex) -> Load {
        let inner = &self.inner;
        let mounts = inner.mounts.lock().expect("nothing panics while it holds the function");
        Load {
            sequence: inner.sequence.fetch_add(1, Ordering::Relaxed),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: inner.started.elapsed().as_secs(),
            listeners: u32::try_from(inner.metrics.listeners.get()).unwrap_or(0),
            sent_bytes_per_s: self.sent_bytes_per_s(Instant::now(), inner.metrics.sent_bytes_total.get()),
            applied_index,
            icecast: inner.icecast.lock().expect("nothing panics while it holds the state").clone(),
            ready: inner.ready.load(Ordering::Relaxed),
            mounts: mounts.as_ref().map(|mounts| mounts()).unwrap_or_default(),
        }
    }

    /// The rate over the last [`RATE_WINDOW`], with a new reading of the counter.
    fn sent_bytes_per_s(&self, now: Instant, total: u64) -> u64 {
        let mut sent = self.inner.sent.lock().expect("nothing panics while it holds the readings");
        sent.retain(|(at, _)| now.saturating_duration_since(*at) <= RATE_WINDOW);
        sent.push((now, total));
        let (first_at, first) = sent[0];
        let span_ms = u64::try_from(now.saturating_duration_since(first_at).as_millis()).unwrap_or(u64::MAX);
        total.saturating_sub(first).saturating_mul(1_000).checked_div(span_ms).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let board = LoadBoard::new(Arc::default());
        let start = Instant::now();
        assert_eq!(board.sent_bytes_per_s(start, 1_000), 0);
        assert_eq!(board.sent_bytes_per_s(start + Duration::from_secs(1), 17_000), 16_000);
        // What happened before the window does not count.
        assert_eq!(board.sent_bytes_per_s(start + Duration::from_secs(10), 17_000), 0);
        assert_eq!(board.sent_bytes_per_s(start + Duration::from_secs(14), 57_000), 10_000);
    }

    #[test]
    fn a_report_has_what_parts_said() {
        let board = LoadBoard::new(Arc::default());
        assert!(!board.gather(1).ready);
        board.set_ready(true);
        board.set_icecast("running");
        let mount = MountName::parse("/live.ogg").unwrap();
        board.set_mounts(move || BTreeMap::from([(mount.clone(), MountLoad::default())]));
        let load = board.gather(5);
        assert_eq!((load.sequence, load.ready, load.icecast.as_str(), load.applied_index), (1, true, "running", 5));
        assert_eq!(load.mounts.len(), 1);
    }
}
