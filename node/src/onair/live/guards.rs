//! What somebody has of a mount's log for as long as the guard lives.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{LiveMount, Source, UNPOISONED};

/// A log that is being copied.
#[derive(Debug)]
pub struct CatchingUp {
    pub(super) live: Arc<LiveMount>,
}

impl Drop for CatchingUp {
    fn drop(&mut self) {
        *self.live.copied_upto.lock().expect(UNPOISONED) = None;
        self.live.appended.send_modify(|n| *n += 1);
    }
}

/// The place of a mount's source on this node; free again when dropped.
#[derive(Debug)]
pub struct SourceHandle {
    pub(super) live: Arc<LiveMount>,
}

impl SourceHandle {
    fn change(&self, f: impl FnOnce(&mut Source)) {
        if let Some(source) = &mut *self.live.source.lock().expect(UNPOISONED) {
            f(source);
        }
    }

    /// The claim was made. What it waited for the answer counts as no silence of the source.
    pub fn set_epoch(&self, epoch: u64) {
        self.change(|s| (s.epoch, s.last_byte) = (epoch, Instant::now()));
    }

    /// Bytes came.
    pub fn received(&self, bytes: usize) {
        self.live.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.change(|s| s.last_byte = Instant::now());
    }

    /// What the parser found.
    pub fn set_codec(&self, codec: String) {
        *self.live.codec.lock().expect(UNPOISONED) = codec;
    }
}

impl Drop for SourceHandle {
    fn drop(&mut self) {
        *self.live.source.lock().expect(UNPOISONED) = None;
    }
}
