//! What is asked of the log.

use bytes::Bytes;

use super::{EpochStart, JoinPoint, MountLog, epoch::Epoch};
use crate::{Container, Frame, FrameKind, LogError, Position};

impl MountLog {
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
        self.epoch(epoch).map(|known| &known.start)
    }

    fn epoch(&self, epoch: u64) -> Option<&Epoch> {
        let at = self.epochs.partition_point(|known| known.start.epoch < epoch);
        self.epochs.get(at).filter(|known| known.start.epoch == epoch)
    }

    pub(super) fn container(&self, epoch: u64) -> Option<Container> {
        self.epoch_start(epoch).map(|start| Container::of_mime(&start.content_type))
    }

    /// How long a frame plays, or how long it counts for where its epoch's frames do not say.
    fn plays_us(&self, frame: &Frame) -> u64 {
        self.epoch(frame.position.epoch).map_or(0, |epoch| epoch.plays_us(frame))
    }

    /// The frames that are there, in order.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Frame> + Clone {
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
        let (mut epoch, wanted) = (position.epoch, self.container(position.epoch));
        for frame in self.frames.range(..end).rev() {
            // A container that is another one begins without headers of the one before.
            if frame.position.epoch != epoch && self.container(frame.position.epoch) != wanted {
                return None;
            }
            if frame.kind == FrameKind::Header {
                return Some(frame.clone());
            }
            epoch = frame.position.epoch;
        }
        self.header.clone()
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
            behind_us += self.plays_us(frame);
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

    /// The bit rate of what is in the log of the newest content type, in bits a second; 0 while that is unknown.
    #[must_use]
    pub fn bitrate_bits_per_s(&self) -> u64 {
        let content_type = self.epochs_with_frames().next_back().map(|epoch| &epoch.start.content_type);
        let epochs =
            self.epochs_with_frames().rev().take_while(|epoch| Some(&epoch.start.content_type) == content_type);
        let (bytes, us) = epochs.fold((0, 0), |(bytes, us), epoch| match epoch.timed() {
            Some((more_bytes, more_us)) => (bytes + more_bytes, us + more_us),
            None => (bytes, us),
        });
        (bytes * 8_000_000).checked_div(us).unwrap_or(0)
    }

    fn epochs_with_frames(&self) -> impl DoubleEndedIterator<Item = &Epoch> {
        self.epochs.iter().filter(|epoch| epoch.has_frames())
    }
}
