//! Pure media: frame parsers, the mount log, splicing of epochs, ICY metadata, playlists.

mod adts;
mod codec;
mod error;
mod frame;
pub mod icy;
mod log;
mod mp3;
mod ogg;
mod ogg_splice;
mod parser;
pub mod playlist;
mod raw;
mod splice;
mod sync;
mod text;
mod webm;
mod webm_splice;

pub use codec::Container;
pub use error::LogError;
pub use frame::{Cut, Frame, FrameKind, Position};
pub use log::{EpochStart, JoinPoint, LogLimits, MountLog};
pub use parser::Parser;
pub use splice::{Joint, Splicer};
