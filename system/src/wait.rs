//! Waiting without sleeping blindly.

use std::time::{Duration, Instant};

/// Polls until `probe` gives something, at most `limit`; returns it with how long that took.
///
/// # Panics
/// When the limit is reached; `what` says what was waited for.
pub fn wait_until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
