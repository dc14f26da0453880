//! Why the mount log refuses.

use crate::Position;

/// Why the mount log refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Frames of an epoch that is over.
    #[error("epoch {epoch} is over: epoch {newest} has begun")]
    StaleEpoch {
        /// The epoch that was refused.
        epoch: u64,
        /// The newest one.
        newest: u64,
    },
    /// The frame is in the log already.
    #[error("frame {0:?} is there already")]
    Duplicate(Position),
    /// Frames are missing before this one.
    #[error("frames are missing between {newest:?} and {frame:?}")]
    Gap {
        /// The frame that came.
        frame: Position,
        /// The newest frame in the log.
        newest: Option<Position>,
    },
    /// The frame's epoch was not begun.
    #[error("epoch {epoch} was not begun")]
    NotBegun {
        /// The epoch.
        epoch: u64,
    },
    /// What was asked for has left the log.
    #[error("what follows {after:?} has left the log, which starts at {oldest:?}")]
    Fallen {
        /// What was asked for.
        after: Position,
        /// The oldest frame that is there.
        oldest: Option<Position>,
    },
}
