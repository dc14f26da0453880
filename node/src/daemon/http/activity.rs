//! Requests under way: of one connection, to end it when it is idle, and of all, which are bounded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::sleep;

/// A connection is looked at so often within the time that it may be idle.
const LOOKS: u32 = 8;

/// Requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    open: AtomicUsize,
    begun: AtomicUsize,
}

impl Activity {
    /// Returns when no request was under way for about `limit`, an eighth of it more or less. Looking now and then costs
    /// requests nothing but two counters.
    pub(super) async fn idle(&self, limit: Duration) {
        let (mut seen, mut quiet) = (self.begun.load(Relaxed), 0);
        while quiet < LOOKS {
            sleep(limit / LOOKS).await;
            let begun = self.begun.load(Relaxed);
            quiet = if self.open.load(Relaxed) > 0 || begun != seen { 0 } else { quiet + 1 };
            seen = begun;
        }
    }
}

/// Requests of all connections of a port.
#[derive(Debug)]
pub(super) struct Requests {
    most: usize,
    open: AtomicUsize,
}

impl Requests {
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: AtomicUsize::new(0) }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Counts a request in, unless there are too many.
    pub(super) fn begin(self: &Arc<Self>, activity: &Arc<Activity>) -> Option<UnderWay> {
        let one_more = |open: usize| (open < self.most).then_some(open + 1);
        self.open.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        activity.begun.fetch_add(1, Relaxed);
        activity.open.fetch_add(1, Relaxed);
        Some(UnderWay { requests: self.clone(), activity: activity.clone() })
    }
}

/// A request, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    requests: Arc<Requests>,
    activity: Arc<Activity>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.requests.open.fetch_sub(1, Relaxed);
        self.activity.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_when_nothing_was_under_way_for_long() {
        let (activity, requests) = (Arc::new(Activity::default()), Arc::new(Requests::new(2)));
        let limit = Duration::from_millis(160);
        let long = requests.begin(&activity).unwrap();
        assert!(timeout(limit * 3, activity.idle(limit)).await.is_err(), "one is under way");
        drop(long);
        let began = Instant::now();
        let mut last = began;
        let short = async {
            for _ in 0..20 {
                sleep(limit / 16).await;
                drop(requests.begin(&activity));
                last = Instant::now();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { () = activity.idle(limit) => {}, () = short => {} }
        assert!(last.duration_since(began) >= limit, "short ones keep it awake");
    }

    #[test]
    fn requests_are_bounded_and_come_back() {
        let (activity, requests) = (Arc::new(Activity::default()), Arc::new(Requests::new(2)));
        let (first, _second) = (requests.begin(&activity).unwrap(), requests.begin(&activity).unwrap());
        assert!(requests.begin(&activity).is_none());
        drop(first);
        assert!(requests.begin(&activity).is_some());
    }
}
