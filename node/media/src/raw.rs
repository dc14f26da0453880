//! Streams of no known codec: pass as bytes, cut anywhere.

use bytes::Bytes;

use crate::{Cut, FrameKind};

/// The largest piece, so that no frame is larger than a write.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// Passes bytes.
#[derive(Debug, Default)]
pub(crate) struct RawParser;

impl RawParser {
    #[allow(clippy::unused_self, reason = "as the other parsers")]
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        let piece = |at: usize| bytes.slice(at..bytes.len().min(at + PIECE_BYTES_MAX));
        let cut = |data| Cut { kind: FrameKind::Join, duration_us: 0, data };
        (0..bytes.len()).step_by(PIECE_BYTES_MAX).map(|at| cut(piece(at))).collect()
    }

    #[allow(clippy::unused_self, reason = "as the other parsers")]
    pub(crate) fn finish(&mut self) -> Vec<Cut> {
        Vec::new()
    }
}
