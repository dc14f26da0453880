//! Pure media: frame parsers, the mount log, splicing of epochs, ICY metadata, playlists.

mod codec;
mod frame;

pub use codec::Container;
pub use frame::{Cut, Frame, FrameKind, Position};
