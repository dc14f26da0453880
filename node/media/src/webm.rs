//! WebM and Matroska (RFC 9559) as live streams: the header, then clusters of ours.
//!
//! An encoder's cluster may last five seconds, and its size may be unknown until it ends. So the blocks are taken out
//! of it as they come and put into clusters of about 100 ms, each whole and with a time code of its own: what is cut
//! out then stands for itself. Segments and clusters are entered whatever size they say, since what may stand in them
//! is told apart by its identifier alone; what speaks of places in a file (SeekHead, Cues) is left out.

use bytes::{Buf, Bytes, BytesMut};

use crate::{Cut, FrameKind};

pub(crate) mod cluster;
mod cutter;
pub(crate) mod ebml;
mod header;
pub(crate) mod setup;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use cluster::Block;
use cutter::Cutter;
use ebml::{Element, Head, id};
use header::Header;

/// Each part of a header: a Vorbis setup has some KiB, a font or a picture is no part of it.
const HEADER_BYTES_MAX: u64 = 1024 * 1024;
/// A block with video in the stream: a key frame of 4K at the highest quality that is sent live.
const BLOCK_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// A block where there is only audio: more than a second of eight channels of PCM. A size that is wrong holds a
/// stream up for so many bytes.
const AUDIO_BLOCK_BYTES_MAX: u64 = 1024 * 1024;
/// An element that is passed over (Tags with a picture, Attachments, Cues of a long file); beyond it the size is wrong.
const PASSED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Time codes beyond this are none: half a billion years of milliseconds cannot overflow when added to.
const TIME_MAX: u64 = i64::MAX as u64 / 4;

/// Cuts WebM into a header and small clusters.
#[derive(Debug, Default)]
pub(crate) struct WebmParser {
    /// The start of an element that is not yet whole.
    held: BytesMut,
    /// Bytes still to come of an element that is passed over.
    passing: u64,
    /// Looking for the next cluster or header, after garbage.
    lost: bool,
    /// A header of which not all has come.
    header: Option<Header>,
    /// Once a header has come.
    cutter: Option<Cutter>,
    /// The time code of the source's cluster.
    cluster_time: Option<i64>,
    skipped: u64,
}

impl WebmParser {
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        self.held.extend_from_slice(bytes);
        let mut cuts = Vec::new();
        while self.step(&mut cuts) {}
        cuts
    }

    pub(crate) fn finish(&mut self) -> Vec<Cut> {
        self.skip(self.held.len());
        let mut cuts = Vec::new();
        self.emit_header(&mut cuts);
        cuts.extend(self.cutter.as_mut().and_then(|cutter| cutter.flush(None)));
        cuts
    }

    pub(crate) fn describe(&self) -> String {
        self.cutter.as_ref().map_or_else(String::new, |cutter| cutter.setup().describe())
    }

    pub(crate) fn skipped_bytes(&self) -> u64 {
        self.skipped
    }

    /// Takes what stands first; whether there may be more.
    fn step(&mut self, cuts: &mut Vec<Cut>) -> bool {
        if self.passing > 0 {
            let len = self.held.len().min(usize::try_from(self.passing).unwrap_or(usize::MAX));
            self.held.advance(len);
            self.passing -= len as u64;
            return self.passing == 0;
        }
        if self.lost {
            return self.find();
        }
        match ebml::head(&self.held) {
            Head::Incomplete => false,
            Head::Bad => self.lose(),
            Head::Element(element) => self.element(element, cuts),
        }
    }

    fn element(&mut self, element: Element, cuts: &mut Vec<Cut>) -> bool {
        match element.id {
            id::SEGMENT => self.held.advance(element.header_len),
            id::CLUSTER => {
                self.held.advance(element.header_len);
                self.cluster_time = None;
                self.emit_header(cuts);
            }
            id::VOID | id::CRC32 | id::SEEK_HEAD | id::CUES | id::TAGS | id::CHAPTERS | id::ATTACHMENTS => {
                return self.pass(element);
            }
            id::SILENT_TRACKS | id::POSITION | id::PREV_SIZE | id::ENCRYPTED_BLOCK => return self.pass(element),
            id::INFO | id::TRACKS if self.header.is_none() => return self.pass(element),
            id::EBML | id::INFO | id::TRACKS => return self.whole(element, HEADER_BYTES_MAX, cuts),
            id::TIMECODE => return self.whole(element, 8, cuts),
            id::SIMPLE_BLOCK | id::BLOCK_GROUP => {
                let video = self.cutter.as_ref().is_some_and(|cutter| cutter.setup().video_track().is_some());
                let max = if video { BLOCK_BYTES_MAX } else { AUDIO_BLOCK_BYTES_MAX };
                return self.whole(element, max, cuts);
            }
            // RFC 9559 has no others in these places.
            _ => return self.lose(),
        }
        true
    }

    /// Takes an element that is needed as a whole, once it is there.
    fn whole(&mut self, element: Element, size_max: u64, cuts: &mut Vec<Cut>) -> bool {
        let Some(size) = element.size.filter(|&size| size <= size_max) else { return self.lose() };
        let len = element.header_len + size as usize;
        if self.held.len() < len {
            self.held.reserve(len - self.held.len());
            return false;
        }
        let whole = self.held.split_to(len).freeze();
        let taken = match element.id {
            id::EBML => self.begin_header(&whole, cuts),
            id::TIMECODE => {
                let time = whole.get(element.header_len..).and_then(ebml::uint).filter(|&time| time <= TIME_MAX);
                self.cluster_time = time.and_then(|time| i64::try_from(time).ok());
                self.cluster_time.is_some()
            }
            id::SIMPLE_BLOCK | id::BLOCK_GROUP => self.block(&whole, element, cuts),
            _ => {
                if let Some(header) = &mut self.header {
                    header.push(element.id, &whole);
                }
                true
            }
        };
        if !taken {
            self.skipped += len as u64;
        }
        true
    }

    /// A new stream begins, perhaps within the same connection.
    fn begin_header(&mut self, whole: &[u8], cuts: &mut Vec<Cut>) -> bool {
        let Some(header) = Header::new(whole) else { return false };
        cuts.extend(self.cutter.take().and_then(|mut cutter| cutter.flush(None)));
        self.header = Some(header);
        self.cluster_time = None;
        true
    }

    /// A header is complete when the first cluster comes: Info may be behind Tracks.
    fn emit_header(&mut self, cuts: &mut Vec<Cut>) {
        let Some((data, setup)) = self.header.take().and_then(|header| header.finish()) else { return };
        self.cutter = Some(Cutter::new(setup));
        cuts.push(Cut { kind: FrameKind::Header, duration_us: 0, data: data.into() });
    }

    /// Takes a block; not where no header, no time code or no such track has come.
    fn block(&mut self, whole: &[u8], element: Element, cuts: &mut Vec<Cut>) -> bool {
        let (Some(cutter), Some(time)) = (&mut self.cutter, self.cluster_time) else { return false };
        let Some(block) = Block::parse(whole, element, time) else { return false };
        if !cutter.setup().has_track(block.track) {
            return false;
        }
        cuts.extend(cutter.push(block));
        true
    }

    /// Passes an element over that listeners do not need.
    fn pass(&mut self, element: Element) -> bool {
        let Some(size) = element.size.filter(|&size| size <= PASSED_BYTES_MAX) else { return self.lose() };
        self.held.advance(element.header_len);
        self.passing = size;
        true
    }

    /// No element stands here.
    fn lose(&mut self) -> bool {
        self.lost = true;
        self.cluster_time = None;
        self.skip(1);
        true
    }

    /// Goes to where a cluster or a header may start.
    fn find(&mut self) -> bool {
        let starts = [id::CLUSTER.to_be_bytes(), id::EBML.to_be_bytes()];
        match self.held.windows(4).position(|window| starts.iter().any(|start| window == start)) {
            Some(at) => {
                self.skip(at);
                self.lost = false;
            }
            // The last three may be the start of one.
            None => self.skip(self.held.len().saturating_sub(3)),
        }
        !self.lost
    }

    fn skip(&mut self, len: usize) {
        self.held.advance(len);
        self.skipped += len as u64;
    }
}
