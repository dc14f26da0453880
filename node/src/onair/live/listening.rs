//! A listener's place at a mount.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{LiveMount, Sealed, UNPOISONED};
use crate::onair::chunks::{Chunk, Joined, Missed};

/// How long a log is given to come up to now: all that a node keeps is copied in well under a second.
const CURRENT_LIMIT: Duration = Duration::from_secs(2);

/// A listener's place.
#[derive(Debug)]
pub struct Listening {
    pub(super) live: Arc<LiveMount>,
    pub(super) sealed: watch::Receiver<Sealed>,
}

impl Listening {
    /// Headers and burst, as soon as there is a frame to start at; `None` if the mount ends first. Where the source is
    /// `elsewhere`, a log that is old or is being copied is given a moment to come up to now.
    pub async fn join(&mut self, burst: Duration, elsewhere: bool) -> Option<Joined> {
        // A log that does not come up to now is better than none.
        let _late = timeout(CURRENT_LIMIT, self.current(elsewhere)).await;
        let burst_us = u64::try_from(burst.as_micros()).unwrap_or(u64::MAX);
        let mut appends = self.live.appends();
        loop {
            appends.borrow_and_update();
            {
                let mut chunks = self.live.chunks.lock().expect(UNPOISONED);
                let log = self.live.log.read().expect(UNPOISONED);
                if let Some(joined) = chunks.join_at(&log, burst_us) {
                    return Some(joined);
                }
            }
            if self.sealed.borrow().ended || appends.changed().await.is_err() {
                return None;
            }
        }
    }

    async fn current(&self, elsewhere: bool) {
        let mut appends = self.live.appends();
        loop {
            appends.borrow_and_update();
            let current = !self.live.catching_up() && (!elsewhere || self.live.live());
            if current || self.sealed.borrow().ended || appends.changed().await.is_err() {
                return;
            }
        }
    }

    /// The chunk after `number`, waited for; `Ok(None)` when the mount ends.
    ///
    /// # Errors
    /// The listener was too slow.
    pub async fn chunk_after(&mut self, number: u64) -> Result<Option<Chunk>, Missed> {
        loop {
            if self.sealed.borrow_and_update().ended {
                return Ok(None);
            }
            if let Some(chunk) = self.live.chunks.lock().expect(UNPOISONED).after(number)? {
                return Ok(Some(chunk));
            }
            if self.sealed.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// How long the mount has had no frame.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.live.silent_for().unwrap_or_default()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.live.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}
