//! The mount log: the last seconds of a mount as numbered frames.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{Frame, FrameKind, LogError, Position};

/// Bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Frames beyond so much audio are forgotten, in microseconds.
    pub duration_us_max: u64,
    /// Frames beyond so many bytes are forgotten.
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
    epochs: VecDeque<EpochStart>,
    /// The headers in force before the oldest frame.
    header: Option<Frame>,
    /// The title in force.
    title: Option<Bytes>,
    newest: Option<Position>,
    /// Frames of older epochs are refused.
    fence: u64,
    duration_us: u64,
    bytes: usize,
}

/// Frames that do not say how long they play count as so many bits a second: a burst of them is Icecast's 64 KiB.
const NOMINAL_BITS_PER_S: u64 = 128_000;

fn duration_us(frame: &Frame) -> u64 {
    match (frame.kind, frame.duration_us) {
        (FrameKind::Header | FrameKind::Title, _) => 0,
        (_, 0) => frame.data.len() as u64 * 8_000_000 / NOMINAL_BITS_PER_S,
        (_, us) => us.into(),
    }
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
            duration_us: 0,
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
        let at = self.epochs.partition_point(|known| known.epoch < start.epoch);
        if self.epochs.get(at).is_none_or(|known| known.epoch != start.epoch) {
            self.epochs.insert(at, start);
        }
        Ok(())
    }

    /// Refuses frames of epochs before this one from now on: the origin has begun it, and said what it continues.
    pub fn fence(&mut self, epoch: u64) {
        self.fence = self.fence.max(epoch);
    }

    /// Sets the headers in force before the oldest frame, for a log that begins in the middle of a chain.
    pub fn set_header(&mut self, header: Frame) {
        self.header = Some(header);
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
            Some(last) if last.epoch > newest.epoch => last.seq + 1,
            _ => 0,
        };
        before + position.seq
    }

    fn push(&mut self, frame: Frame) {
        if frame.kind == FrameKind::Title {
            self.title = Some(frame.data.clone());
        }
        self.newest = Some(frame.position);
        self.duration_us += duration_us(&frame);
        self.bytes += frame.data.len();
        self.frames.push_back(frame);
        while self.duration_us > self.limits.duration_us_max || self.bytes > self.limits.bytes_max {
            // The newest frame stays, however large it is.
            if self.frames.len() == 1 {
                break;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(gone) = self.frames.pop_front() else { return };
        self.duration_us -= duration_us(&gone);
        self.bytes -= gone.data.len();
        if gone.kind == FrameKind::Header {
            self.header = Some(gone);
        }
        let oldest = self.frames.front().map_or(0, |frame| frame.position.epoch);
        while self.epochs.front().is_some_and(|epoch| epoch.epoch < oldest) {
            self.epochs.pop_front();
        }
    }

    /// The newest frame's place.
    #[must_use]
    pub fn newest(&self) -> Option<Position> {
        self.newest
    }

    /// The oldest frame's place.
    #[must_use]
    pub fn oldest(&self) -> Option<Position> {
        self.frames.front().map(|frame| frame.position)
    }

    /// How an epoch began, if it is still known.
    #[must_use]
    pub fn epoch_start(&self, epoch: u64) -> Option<&EpochStart> {
        self.epochs.iter().find(|start| start.epoch == epoch)
    }

    /// The frames that are there, in order.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Frame> {
        self.frames.iter()
    }

    /// The frames after a position (from the oldest one for `None`), whole, up to `bytes_max` of them but at least one.
    ///
    /// # Errors
    /// [`LogError::Fallen`] where frames after `after` have left the log.
    pub fn after(&self, after: Option<Position>, bytes_max: usize) -> Result<Vec<Frame>, LogError> {
        let start = match after {
            None => 0,
            Some(after) => {
                let oldest = self.oldest();
                if oldest.is_some_and(|oldest| !self.follows_directly(after, oldest) && after < oldest) {
                    return Err(LogError::Fallen { after, oldest });
                }
                self.frames.partition_point(|frame| frame.position <= after)
            }
        };
        let mut frames = Vec::new();
        let mut bytes = 0;
        for frame in self.frames.range(start..) {
            bytes += frame.data.len();
            if bytes > bytes_max && !frames.is_empty() {
                break;
            }
            frames.push(frame.clone());
        }
        Ok(frames)
    }

    /// Whether no frame can be between the two.
    fn follows_directly(&self, after: Position, next: Position) -> bool {
        if after.epoch == next.epoch {
            return after.seq.saturating_add(1) >= next.seq;
        }
        let continues = self.epoch_start(next.epoch).and_then(|start| start.continues);
        // Where nobody knows what was before, the epoch's first frame is where the stream starts.
        next.seq == 0 && continues.is_none_or(|last| last <= after)
    }

    /// The headers that a listener needs who starts at this frame; `None` where the codec has none.
    #[must_use]
    pub fn header_for(&self, position: Position) -> Option<Frame> {
        let end = self.frames.partition_point(|frame| frame.position <= position);
        self.frames.range(..end).rev().find(|frame| frame.kind == FrameKind::Header).or(self.header.as_ref()).cloned()
    }

    /// Where a listener starts that wants a burst of so many microseconds: at the newest join point with as much
    /// behind it, else at the oldest one of the newest content type. `None` while there is no join point.
    #[must_use]
    pub fn join_point(&self, burst_us: u64) -> Option<JoinPoint> {
        let content_type = |epoch| self.epoch_start(epoch).map(|start| start.content_type.as_str());
        let wanted = content_type(self.newest?.epoch);
        let (mut behind_us, mut best) = (0, None);
        for frame in self.frames.iter().rev() {
            if content_type(frame.position.epoch) != wanted {
                break;
            }
            behind_us += duration_us(frame);
            if frame.kind == FrameKind::Join {
                best = Some(frame.position);
                if behind_us >= burst_us {
                    break;
                }
            }
        }
        let first = best?;
        Some(JoinPoint { first, header: self.header_for(first) })
    }

    /// The title in force, in UTF-8.
    #[must_use]
    pub fn title(&self) -> Option<Bytes> {
        self.title.clone()
    }

    /// The bit rate over what is in the log, in bits a second; 0 while that is unknown.
    #[must_use]
    pub fn bitrate_bits_per_s(&self) -> u64 {
        let timed = self.frames.iter().filter(|frame| frame.duration_us > 0);
        let (bytes, us) = timed.fold((0u64, 0u64), |(bytes, us), frame| {
            (bytes + frame.data.len() as u64, us + u64::from(frame.duration_us))
        });
        (bytes * 8_000_000).checked_div(us).unwrap_or(0)
    }
}
