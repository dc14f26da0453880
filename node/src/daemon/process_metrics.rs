//! What Prometheus' clients say of their process (`process_*`): memory, files, and when it began.

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use rustix::process::{Resource, getrlimit};

use crate::metrics::Metrics;

/// Adds what the system says of this process; what it does not say is left out.
pub(super) fn register(registry: &mut Registry, metrics: &Metrics) {
    let mut gauge = |name: &str, help: &str, value: Option<u64>| {
        let Some(value) = value else { return };
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("process_resident_memory_bytes", "Memory in use", resident_bytes());
    gauge("process_open_fds", "Open files", open_files());
    gauge("process_max_fds", "How many there may be", getrlimit(Resource::Nofile).current);
    let started = u64::try_from(metrics.started_at().as_second()).ok();
    gauge("process_start_time_seconds", "When the node started, in seconds since 1970", started);
}

/// The second number of `/proc/self/statm`, in pages.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

fn open_files() -> Option<u64> {
    // One of them is the folder that is read.
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_files() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 16), "{:?}", resident_bytes());
        assert!(open_files().is_some_and(|files| files > 1), "{:?}", open_files());
    }
}
