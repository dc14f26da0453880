//! What clients were told, by one clock.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use autoradio_check::{Op, TimeUs, Value};

const UNPOISONED: &str = "nothing panics while it holds the history";

/// All clients' history; clones are one.
#[derive(Clone)]
pub(crate) struct Recorder {
    begun: Instant,
    begun_unix_ms: u64,
    history: Arc<Mutex<Vec<Op>>>,
    values: Arc<AtomicU64>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            begun: Instant::now(),
            begun_unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            history: Arc::default(),
            values: Arc::new(AtomicU64::new(1)),
        }
    }

    pub(crate) fn now_us(&self) -> TimeUs {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A time of day on the history's clock; `None` from before it.
    pub(crate) fn since_start_us(&self, unix_ms: u64) -> Option<TimeUs> {
        Some(unix_ms.checked_sub(self.begun_unix_ms)? * 1_000)
    }

    /// A value that nobody else writes.
    pub(crate) fn fresh(&self) -> Value {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn push(&self, op: Op) {
        self.history.lock().expect(UNPOISONED).push(op);
    }

    pub(crate) fn history(&self) -> Vec<Op> {
        self.history.lock().expect(UNPOISONED).clone()
    }
}
