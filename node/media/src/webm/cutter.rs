//! From blocks to cuts: when a cluster of ours is full, and how long it plays.

use super::{
    cluster::{Block, Cluster},
    setup::Setup,
};
use crate::{Cut, FrameKind};

/// A cut plays so long at most where blocks are shorter: a listener waits no longer for the first byte, and the
/// cluster's own head (22 bytes) costs under 2 kbit/s.
const CUT_US_MAX: u64 = 100_000;
/// A cut has so many bytes at most where blocks are smaller: 100 ms of 80 Mbit/s.
const CUT_BYTES_MAX: usize = 1024 * 1024;
/// A step of the time codes beyond this is no length of a block but a source that has jumped.
const STEP_US_MAX: u64 = 10_000_000;

/// Puts blocks together to cuts.
#[derive(Debug)]
pub(crate) struct Cutter {
    setup: Setup,
    cluster: Option<Cluster>,
    /// Up to here the cuts have lasted. Times need not grow from block to block (video whose frames are sent in another
    /// order than shown), but the sum of the durations must keep with them.
    mark: i64,
    /// One for each track that has had a block; there are only the setup's.
    seen: Vec<Seen>,
}

/// A track's latest block.
#[derive(Debug)]
struct Seen {
    track: u64,
    time: i64,
    /// From the block before: what this one is taken to last while the next has not come.
    step: i64,
}

impl Cutter {
    pub(crate) fn new(setup: Setup) -> Self {
        Self { setup, cluster: None, mark: i64::MIN, seen: Vec::new() }
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Takes a block of one of the setup's tracks; gives the cut that is complete with it.
    pub(crate) fn push(&mut self, block: Block) -> Option<Cut> {
        let video = self.setup.video_track();
        let full = self.cluster.as_ref().is_some_and(|cluster| {
            // Nothing where the unit is a coarse one: then each time code is a cut.
            let limit = self.setup.ticks(CUT_US_MAX);
            let relative = block.time - cluster.time;
            !cluster.reaches(&block)
                || relative >= limit
                || relative <= -limit
                || (block.key && Some(block.track) == video)
                || cluster.len() + block.len() > CUT_BYTES_MAX
        });
        let cut = if full { self.flush(Some(block.time)) } else { None };
        self.see(&block);
        match &mut self.cluster {
            Some(cluster) => cluster.push(block),
            None => self.cluster = Some(Cluster::new(block, video)),
        }
        cut
    }

    fn see(&mut self, block: &Block) {
        let longest = self.setup.ticks(STEP_US_MAX);
        match self.seen.iter_mut().find(|seen| seen.track == block.track) {
            Some(seen) => {
                let step = block.time - seen.time;
                if (0..=longest).contains(&step) {
                    seen.step = step;
                }
                seen.time = block.time;
            }
            None => self.seen.push(Seen { track: block.track, time: block.time, step: 0 }),
        }
    }

    /// Gives what is there as a cut, which lasts to the time of the next one, where that is known.
    pub(crate) fn flush(&mut self, next: Option<i64>) -> Option<Cut> {
        let cluster = self.cluster.take()?;
        let longest = self.setup.ticks(STEP_US_MAX);
        let near = |time: i64, other: i64| (-longest..=longest).contains(&time.saturating_sub(other));
        // At the start, and where the source has jumped, it counts from the cluster's own time.
        let from = if near(self.mark, cluster.time) { self.mark } else { cluster.time };
        let ends = self.seen.iter().map(|seen| seen.time + seen.step).filter(|&end| near(end, cluster.time));
        let to = next.filter(|&next| near(next, from)).or_else(|| ends.max()).unwrap_or(from).max(from);
        self.mark = to;
        let ticks = to - from;
        let kind = if cluster.join { FrameKind::Join } else { FrameKind::Continue };
        // 0 would say that the duration is unknown.
        let duration_us = u32::try_from(self.setup.us(ticks)).unwrap_or(u32::MAX).max(1);
        Some(Cut { kind, duration_us, data: cluster.finish() })
    }
}
