//! The mount log: the last seconds of a mount as numbered frames.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{Frame, FrameKind, LogError, Position};

mod epoch;
mod read;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

use epoch::Epoch;

/// Epochs that have begun and have no frames yet: one each time that a source comes and goes without sending any. Of
/// more, the oldest are forgotten; a follower that gets frames of one begins it anew.
const EMPTY_EPOCHS_MAX: usize = 64;
/// What a frame costs beside its bytes, so that frames of none (titles) are bounded too.
const FRAME_OVERHEAD_BYTES: usize = size_of::<Frame>();

/// Bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Frames beyond so much audio are forgotten, in microseconds.
    pub duration_us_max: u64,
    /// Frames beyond so many bytes are forgotten; each counts some more for being there.
    pub bytes_max: usize,
}

impl Default for LogLimits {
    /// 40 s, which is the longest burst and room for those who lag; 16 MiB, which is that of 3 Mbit/s of video.
    fn default() -> Self {
        Self { duration_us_max: 40_000_000, bytes_max: 16 * 1024 * 1024 }
    }
}

/// How an epoch begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: u64,
    /// The source's MIME type.
    pub content_type: String,
    /// The last frame of the epochs before, where the new origin had one.
    pub continues: Option<Position>,
}

/// Where a new listener starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinPoint {
    /// The first frame to send; its kind is `Join` or `Header`.
    pub first: Position,
    /// The headers to send before it; `None` where the codec has none, or where `first` is the header itself.
    pub header: Option<Frame>,
}

/// The last seconds of a mount as numbered frames, in order of position.
#[derive(Debug)]
pub struct MountLog {
    limits: LogLimits,
    frames: VecDeque<Frame>,
    /// Epochs of the frames that are there, and the one that has begun.
    epochs: VecDeque<Epoch>,
    /// The headers in force before the oldest frame.
    header: Option<Frame>,
    /// The title in force.
    title: Option<Bytes>,
    newest: Option<Position>,
    /// Frames of older epochs are refused.
    fence: u64,
    bytes: usize,
}

/// What a frame takes of [`LogLimits::bytes_max`].
fn cost_bytes(frame: &Frame) -> usize {
    frame.data.len() + FRAME_OVERHEAD_BYTES
}

impl MountLog {
    /// An empty log.
    #[must_use]
    pub fn new(limits: LogLimits) -> Self {
        Self {
            limits,
            frames: VecDeque::new(),
            epochs: VecDeque::new(),
            header: None,
            title: None,
            newest: None,
            fence: 0,
            bytes: 0,
        }
    }

    /// Begins an epoch; beginning the newest one again is nothing. Frames of older epochs are taken until its first
    /// frame comes: a follower gets the end of the epoch before first.
    ///
    /// # Errors
    /// [`LogError::StaleEpoch`] where frames of a newer epoch are there.
    pub fn begin_epoch(&mut self, start: EpochStart) -> Result<(), LogError> {
        if let Some(newest) = self.newest.filter(|newest| newest.epoch > start.epoch) {
            return Err(LogError::StaleEpoch { epoch: start.epoch, newest: newest.epoch });
        }
        if self.epoch_start(start.epoch).is_none() {
            self.forget_empty_epochs();
            let at = self.epochs.partition_point(|known| known.start.epoch < start.epoch);
            self.epochs.insert(at, Epoch::new(start));
        }
        Ok(())
    }

    /// Those whose frames would be stale, and the oldest of too many.
    fn forget_empty_epochs(&mut self) {
        let newest = self.newest.map(|newest| newest.epoch);
        self.epochs.retain(|known| known.has_frames() || Some(known.start.epoch) > newest);
        let mut empty = self.epochs.iter().filter(|known| !known.has_frames()).count();
        self.epochs.retain(|known| {
            let excess = !known.has_frames() && empty >= EMPTY_EPOCHS_MAX;
            empty -= usize::from(excess);
            !excess
        });
    }

    /// Refuses frames of epochs before this one from now on: the origin has begun it, and said what it continues.
    pub fn fence(&mut self, epoch: u64) {
        self.fence = self.fence.max(epoch);
    }

    /// Sets the headers in force before the oldest frame, for a log that begins in the middle of a chain. A header that
    /// is not from before the oldest frame is nothing.
    pub fn set_header(&mut self, header: Frame) {
        if self.oldest().is_none_or(|oldest| header.position < oldest) {
            self.header = Some(header);
        }
    }

    /// Sets the title in force before the oldest frame; one that the frames said is newer.
    pub fn set_title(&mut self, title: Bytes) {
        self.title.get_or_insert(title);
    }

    /// Appends the next frame.
    ///
    /// # Errors
    /// [`LogError`], and then nothing has changed.
    pub fn append(&mut self, frame: Frame) -> Result<(), LogError> {
        self.check(&frame)?;
        if self.missing_before(frame.position) > 0 {
            return Err(LogError::Gap { frame: frame.position, newest: self.newest });
        }
        self.push(frame);
        Ok(())
    }

    /// Appends a frame although frames before it are missing, since nobody has them any more; how many at least.
    ///
    /// # Errors
    /// [`LogError`] but `Gap`.
    pub fn append_after_gap(&mut self, frame: Frame) -> Result<u64, LogError> {
        self.check(&frame)?;
        let missing = self.missing_before(frame.position);
        self.push(frame);
        Ok(missing)
    }

    fn check(&self, frame: &Frame) -> Result<(), LogError> {
        let position = frame.position;
        if position.epoch < self.fence {
            return Err(LogError::StaleEpoch { epoch: position.epoch, newest: self.fence });
        }
        if let Some(newest) = self.newest {
            if position.epoch < newest.epoch {
                return Err(LogError::StaleEpoch { epoch: position.epoch, newest: newest.epoch });
            }
            if position <= newest {
                return Err(LogError::Duplicate(position));
            }
        }
        if self.epoch_start(position.epoch).is_none() {
            return Err(LogError::NotBegun { epoch: position.epoch });
        }
        Ok(())
    }

    /// Frames that are known to be missing before this one; an empty log misses none.
    fn missing_before(&self, position: Position) -> u64 {
        let Some(newest) = self.newest else { return 0 };
        if position.epoch == newest.epoch {
            return position.seq - newest.seq - 1;
        }
        let continues = self.epoch_start(position.epoch).and_then(|start| start.continues);
        let before = match continues {
            // Of the same epoch: its end is missing. Of one between: at least the frames of that one.
            Some(last) if last.epoch == newest.epoch => last.seq.saturating_sub(newest.seq),
            Some(last) if last.epoch > newest.epoch => last.seq.saturating_add(1),
            _ => 0,
        };
        before.saturating_add(position.seq)
    }

    fn push(&mut self, frame: Frame) {
        if frame.kind == FrameKind::Title {
            self.title = Some(frame.data.clone());
        }
        self.newest = Some(frame.position);
        if let Some(epoch) = self.epoch_mut(frame.position.epoch) {
            epoch.add(&frame);
        }
        self.bytes += cost_bytes(&frame);
        self.frames.push_back(frame);
        // The newest frame stays, however large it is.
        while self.frames.len() > 1
            && (self.bytes > self.limits.bytes_max || self.timed_us() > self.limits.duration_us_max)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(gone) = self.frames.pop_front() else { return };
        self.bytes -= cost_bytes(&gone);
        if let Some(epoch) = self.epoch_mut(gone.position.epoch) {
            epoch.remove(&gone);
        }
        let (gone_at, oldest) = (gone.position.epoch, self.oldest().map_or(0, |oldest| oldest.epoch));
        if gone.kind == FrameKind::Header {
            self.header = Some(gone);
        }
        if self.container(gone_at) != self.container(oldest) {
            // Of another codec than what is there now.
            self.header = None;
        }
        while self.epochs.front().is_some_and(|known| known.start.epoch < oldest) {
            self.epochs.pop_front();
        }
    }

    fn epoch_mut(&mut self, epoch: u64) -> Option<&mut Epoch> {
        let at = self.epochs.partition_point(|known| known.start.epoch < epoch);
        self.epochs.get_mut(at).filter(|known| known.start.epoch == epoch)
    }

    /// How long the frames play of the epochs that say so. Of those that do not, only the bytes count: a guess would forget
    /// a fast stream before anybody was sent it.
    fn timed_us(&self) -> u64 {
        self.epochs.iter().filter_map(Epoch::timed).map(|(_, us)| us).sum()
    }
}
