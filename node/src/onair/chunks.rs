//! What listeners are sent: the log in contiguous pieces of about a second, made once and shared by all.
//!
//! A listener costs one write of shared bytes a second this way, and no copy (`docs/benchmarks.md`).

use std::{collections::VecDeque, sync::Arc};

use autoradio_media::{Frame, FrameKind, JoinPoint, LogError, MountLog, Position};
use bytes::{Bytes, BytesMut};

/// Turns of the clock whose chunks are kept for listeners that lag; with one a second this is how far they may fall behind.
/// Turns and not chunks: what comes at once after the fabric stood still is many of these, and nobody is slow for it.
const TURNS_MAX: u64 = 12;
/// Bytes of chunks that are kept beyond those of the last turn, which all listeners are yet to be woken for: the log's own
/// bound.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest chunk: one write of it fits an ordinary socket buffer.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// The largest burst, unless join points lie further apart: ten seconds of the fattest audio.
const BURST_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A contiguous piece of a mount's stream.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Its bytes, frames whole.
    pub bytes: Bytes,
    /// The MIME type that it belongs to.
    pub content_type: Arc<str>,
    /// The title at its end.
    pub title: Option<Arc<str>>,
}

/// How a listener starts: then it goes on with the chunks after `number`.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Headers and burst.
    pub burst: Chunk,
    /// The last chunk that the burst covers.
    pub number: u64,
}

/// A listener that asks for a chunk that is gone: it was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Seconds, about, that it is behind.
    pub behind: u64,
}

/// The chunks of one mount.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// With the turn that each was made in.
    chunks: VecDeque<(u64, Chunk)>,
    /// Turns of the clock so far.
    turn: u64,
    /// Bytes of all chunks.
    kept: usize,
    /// Number of the newest chunk; the first is 1.
    newest: u64,
    /// The log's frames up to here are in chunks.
    upto: Option<Position>,
    content_type: Option<Arc<str>>,
    title: Option<Arc<str>>,
    /// The burst for those who join before the next chunk, by the seconds asked for.
    burst: Option<(u64, u64, Joined)>,
}

impl Chunks {
    /// Puts what the log has since the last turn into chunks, and forgets the oldest; returns the newest chunk's number.
    pub(super) fn seal(&mut self, log: &MountLog) -> u64 {
        self.turn += 1;
        self.gather(log);
        while let Some((turn, chunk)) = self.chunks.front()
            && *turn < self.turn
            && (*turn + TURNS_MAX <= self.turn || self.kept > KEPT_BYTES_MAX)
        {
            self.kept -= chunk.bytes.len();
            self.chunks.pop_front();
        }
        self.newest
    }

    /// Puts what the log has into chunks.
    fn gather(&mut self, log: &MountLog) {
        loop {
            let frames = match log.after(self.upto, CHUNK_BYTES_MAX) {
                Ok(frames) => frames,
                // So long nobody listened that the log went on without us: start at what there is.
                Err(LogError::Fallen { .. }) => log.after(None, CHUNK_BYTES_MAX).unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            let Some(last) = frames.last() else { return };
            self.upto = Some(last.position);
            self.content_type = log
                .epoch_start(last.position.epoch)
                .map(|e| e.content_type.as_str().into())
                .or(self.content_type.take());
            let bytes = self.join(&frames);
            if bytes.is_empty() {
                continue;
            }
            self.kept += bytes.len();
            self.chunks.push_back((self.turn, self.chunk(bytes)));
            self.newest += 1;
        }
    }

    /// Passes over what the log has, while nobody listens.
    pub(super) fn skip(&mut self, log: &MountLog) {
        self.chunks.clear();
        self.kept = 0;
        self.burst = None;
        self.upto = log.newest();
    }

    /// Frames as one piece; titles are taken note of and are no audio.
    fn join(&mut self, frames: &[Frame]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(frames.iter().map(|f| f.data.len()).sum());
        for frame in frames {
            if frame.kind == FrameKind::Title {
                self.title = Some(String::from_utf8_lossy(&frame.data).into());
            } else {
                bytes.extend_from_slice(&frame.data);
            }
        }
        bytes.freeze()
    }

    fn chunk(&self, bytes: Bytes) -> Chunk {
        Chunk {
            bytes,
            content_type: self.content_type.clone().unwrap_or_else(|| "application/octet-stream".into()),
            title: self.title.clone(),
        }
    }

    /// Where a new listener starts; `None` while the log has no frame to start at.
    pub(super) fn join_at(&mut self, log: &MountLog, burst_us: u64) -> Option<Joined> {
        if let Some((number, us, joined)) = &self.burst
            && (*number, *us) == (self.newest, burst_us)
        {
            return Some(joined.clone());
        }
        if self.upto.is_none() {
            self.upto = log.newest();
        }
        let point = log.join_point(burst_us)?;
        if self.upto.is_some_and(|upto| upto < point.first) {
            // A burst shorter than a chunk: what it starts with must be in a chunk that is over.
            self.gather(log);
        }
        let upto = self.upto?;
        let (point, frames) = burst(log, point, burst_us, upto)?;
        let mut bytes = BytesMut::new();
        bytes.extend_from_slice(point.header.as_ref().map_or(&[][..], |header| &header.data));
        // A title that is in force counts for a listener that joins now, whenever it came.
        self.title = log.title().map(|title| String::from_utf8_lossy(&title).into()).or(self.title.take());
        for frame in frames.iter().filter(|f| f.kind != FrameKind::Title) {
            bytes.extend_from_slice(&frame.data);
        }
        self.content_type =
            log.epoch_start(upto.epoch).map(|e| e.content_type.as_str().into()).or(self.content_type.take());
        let joined = Joined { burst: self.chunk(bytes.freeze()), number: self.newest };
        self.burst = Some((self.newest, burst_us, joined.clone()));
        Some(joined)
    }

    /// The chunk after `number`; `None` while there is none.
    pub(super) fn after(&self, number: u64) -> Result<Option<Chunk>, Missed> {
        let behind = self.newest.saturating_sub(number);
        let Some(back) = usize::try_from(behind).ok().filter(|b| *b <= self.chunks.len()) else {
            return Err(Missed { behind });
        };
        Ok(self.chunks.get(self.chunks.len() - back).map(|(_, chunk)| chunk.clone()))
    }
}

/// The frames from a join point to `upto`, all of them, since the chunks go on there: a burst of too many bytes starts
/// later, and is let be where no join point is nearer.
fn burst(log: &MountLog, mut point: JoinPoint, mut burst_us: u64, upto: Position) -> Option<(JoinPoint, Vec<Frame>)> {
    loop {
        let first = point.first;
        let frames = log.frames().skip_while(|frame| frame.position < first);
        let frames = frames.take_while(|frame| frame.position <= upto);
        if burst_us == 0 || frames.clone().map(|frame| frame.data.len()).sum::<usize>() <= BURST_BYTES_MAX {
            return Some((point, frames.cloned().collect()));
        }
        burst_us /= 2;
        let nearer = log.join_point(burst_us).filter(|nearer| nearer.first <= upto);
        match nearer {
            Some(nearer) => point = nearer,
            // The chunks end before the next one.
            None => burst_us = 0,
        }
    }
}

#[cfg(test)]
#[path = "chunks_tests.rs"]
mod tests;
