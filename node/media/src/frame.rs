//! The smallest piece of a stream that can be cut out, and its place.

use bytes::Bytes;

/// A frame's place in a mount's logical stream: the same on every node (ARCHITECTURE §5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The source lease's fencing number.
    pub epoch: u64,
    /// 0 for the first frame of an epoch, one more for each frame.
    pub seq: u64,
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Starts a chain: all of the codec's headers (Ogg BOS and header pages, WebM EBML to Tracks). It is sent in
    /// its place to those who listen, and first to those who join later.
    Header,
    /// Audio at which a listener can start.
    Join,
    /// Audio at which no listener can start.
    Continue,
    /// No audio: `data` is a new title in UTF-8, for ICY listeners and status pages.
    Title,
}

/// One numbered frame. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its place.
    pub position: Position,
    /// What it is for.
    pub kind: FrameKind,
    /// How long it plays, in microseconds; 0 where that is unknown.
    pub duration_us: u32,
    /// Its bytes, as they go to listeners.
    pub data: Bytes,
}

/// What a parser cuts out of a source's bytes: a frame that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What it is for; never `Title`.
    pub kind: FrameKind,
    /// How long it plays, in microseconds.
    pub duration_us: u32,
    /// Its bytes.
    pub data: Bytes,
}
