//! What the log has of one epoch.

use super::EpochStart;
use crate::{Frame, FrameKind};

/// Where no frame says how long it plays, all count as so many bits a second: a burst of them is Icecast's 64 KiB.
const NOMINAL_BITS_PER_S: u64 = 128_000;

/// What the log has of one epoch.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) start: EpochStart,
    frames: usize,
    /// How long the frames play that say so.
    duration_us: u64,
    /// Bytes of all audio.
    audio_bytes: u64,
}

impl Epoch {
    pub(super) fn new(start: EpochStart) -> Self {
        Self { start, frames: 0, duration_us: 0, audio_bytes: 0 }
    }

    pub(super) fn add(&mut self, frame: &Frame) {
        self.frames += 1;
        if let Some((us, bytes)) = audio(frame) {
            self.duration_us += us;
            self.audio_bytes += bytes;
        }
    }

    pub(super) fn remove(&mut self, frame: &Frame) {
        self.frames -= 1;
        if let Some((us, bytes)) = audio(frame) {
            self.duration_us -= us;
            self.audio_bytes -= bytes;
        }
    }

    pub(super) fn has_frames(&self) -> bool {
        self.frames > 0
    }

    /// How long one of the epoch's frames plays. Where some frames say so, one that does not plays within them, as an
    /// Ogg page that a packet only passes through.
    pub(super) fn plays_us(&self, frame: &Frame) -> u64 {
        match audio(frame) {
            None => 0,
            Some((_, bytes)) if self.duration_us == 0 => nominal_us(bytes),
            Some((us, _)) => us,
        }
    }

    /// Bytes of audio and how long they play, where frames say so.
    pub(super) fn timed(&self) -> Option<(u64, u64)> {
        (self.duration_us > 0).then_some((self.audio_bytes, self.duration_us))
    }
}

fn nominal_us(bytes: u64) -> u64 {
    bytes * 8_000_000 / NOMINAL_BITS_PER_S
}

/// Duration and bytes of a frame that is audio.
fn audio(frame: &Frame) -> Option<(u64, u64)> {
    let is_audio = matches!(frame.kind, FrameKind::Join | FrameKind::Continue);
    is_audio.then(|| (frame.duration_us.into(), frame.data.len() as u64))
}
