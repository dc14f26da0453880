//! Frames and positions as the peer service carries them.

use autoradio_media::{Frame, FrameKind, Position};
use autoradio_proto::peer;

/// A frame for the wire.
pub(super) fn to_wire(frame: Frame) -> peer::Frame {
    peer::Frame {
        epoch: frame.position.epoch,
        seq: frame.position.seq,
        kind: match frame.kind {
            FrameKind::Header => 0,
            FrameKind::Join => 1,
            FrameKind::Continue => 2,
            FrameKind::Title => 3,
        },
        duration_us: frame.duration_us,
        data: frame.data,
    }
}

/// A frame from the wire; `None` for a kind that this program does not know.
pub(super) fn from_wire(frame: peer::Frame) -> Option<Frame> {
    Some(Frame {
        position: Position { epoch: frame.epoch, seq: frame.seq },
        kind: match frame.kind {
            0 => FrameKind::Header,
            1 => FrameKind::Join,
            2 => FrameKind::Continue,
            3 => FrameKind::Title,
            _ => return None,
        },
        duration_us: frame.duration_us,
        data: frame.data,
    })
}

pub(super) fn position_to_wire(position: Position) -> peer::Position {
    peer::Position { epoch: position.epoch, seq: position.seq }
}

pub(super) fn position_from_wire(position: peer::Position) -> Position {
    Position { epoch: position.epoch, seq: position.seq }
}
