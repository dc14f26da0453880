//! What MP3 and ADTS share: a stream of frames that each begin with a header from which their length is known.
//!
//! Out of sync, a header is believed only when the next one follows right after its frame and says the same codec,
//! since a header's few bits are found by chance in audio and pictures too. In sync a frame is given as soon as its
//! last byte is there.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::{Cut, FrameKind};

/// Bytes that are held for more to come: the largest frame of the codecs (ADTS: 13 bits of length) and a header. What
/// is held beyond, which would be a fault here, is let go.
const HELD_BYTES_MAX: usize = 8191 + 16;
/// A tag that says it is larger is taken for chance and searched for frames: 1 MiB has room for a cover picture, and
/// is a minute of a stream.
const TAG_BYTES_MAX: usize = 1024 * 1024;
/// An ID3v2 tag's header, and its footer.
const TAG_HEADER_BYTES: usize = 10;

/// What a frame's header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// All that does not change within a stream; frames follow each other in sync when it is equal.
    pub(crate) key: u32,
    /// The frame's length, header included, in bytes; larger than the header.
    pub(crate) len: usize,
    /// Samples of each channel; not 0.
    pub(crate) samples: u32,
    /// Samples a second; not 0.
    pub(crate) rate_hz: u32,
    /// 0 for unknown.
    pub(crate) channels: u8,
    /// 0 where the header does not say.
    pub(crate) kbit_per_s: u32,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Header(Header),
    /// What is there may become a header.
    NeedMore,
    Nothing,
}

/// How a codec's headers look.
pub(crate) trait Codec {
    /// The header at the start of these bytes, which may be any.
    fn header(bytes: &[u8]) -> Found;

    /// Whether a frame has no audio but tells about the file that it was in.
    fn is_about_file(_header: &Header, _frame: &[u8]) -> bool {
        false
    }
}

/// What to do at a place of what is held.
enum Step {
    Frame(Header),
    /// So many bytes are no frame.
    Skip(usize),
    Wait,
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub(crate) struct FrameScanner<C> {
    held: Bytes,
    /// Bytes of a tag that are still to come.
    tag_left: usize,
    in_sync: bool,
    /// The header of the frame given last.
    last: Option<Header>,
    bit_rate_varies: bool,
    /// Of the durations so far, what was too little for a microsecond: in 1/rate µs.
    carry: u64,
    skipped: u64,
    codec: PhantomData<C>,
}

impl<C: Codec> FrameScanner<C> {
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        self.held = match self.held.is_empty() {
            true => bytes.clone(),
            false => [&self.held[..], &bytes[..]].concat().into(),
        };
        self.scan(false)
    }

    pub(crate) fn finish(&mut self) -> Vec<Cut> {
        self.scan(true)
    }

    pub(crate) fn skipped_bytes(&self) -> u64 {
        self.skipped
    }

    /// The newest frame's header.
    pub(crate) fn last(&self) -> Option<&Header> {
        self.last.as_ref()
    }

    /// The bit rate, where all frames have the same.
    pub(crate) fn constant_kbit_per_s(&self) -> Option<u32> {
        self.last.map(|header| header.kbit_per_s).filter(|rate| *rate > 0 && !self.bit_rate_varies)
    }

    /// `at_end`: nothing more will come, so nothing is waited for.
    fn scan(&mut self, at_end: bool) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let held = std::mem::take(&mut self.held);
        let mut at = self.pass_tag(held.len());
        loop {
            let rest = held.get(at..).unwrap_or_default();
            match self.step(rest, at_end) {
                Step::Frame(header) => {
                    let data = held.slice(at..at + header.len);
                    self.in_sync = true;
                    at += header.len;
                    if C::is_about_file(&header, &data) {
                        self.skipped += data.len() as u64;
                    } else {
                        cuts.push(self.cut(header, data));
                    }
                }
                Step::Skip(bytes) => {
                    self.tag_left = bytes;
                    at += self.pass_tag(rest.len());
                }
                Step::Wait => break,
            }
        }
        self.held = held.slice(at..);
        if self.held.len() > HELD_BYTES_MAX {
            self.skipped += self.held.len() as u64;
            self.held.clear();
            self.in_sync = false;
        }
        cuts
    }

    /// Passes over what is there of what is to be passed over.
    fn pass_tag(&mut self, there: usize) -> usize {
        let passed = self.tag_left.min(there);
        self.tag_left -= passed;
        self.skipped += passed as u64;
        passed
    }

    fn step(&mut self, rest: &[u8], at_end: bool) -> Step {
        if rest.is_empty() {
            return Step::Wait;
        }
        let step = match C::header(rest) {
            Found::Header(header) if self.in_sync && self.last.is_none_or(|last| last.key == header.key) => {
                if rest.len() < header.len { Step::Wait } else { Step::Frame(header) }
            }
            Found::Header(header) => self.confirm(header, rest, at_end),
            Found::NeedMore => Step::Wait,
            Found::Nothing => tag(rest),
        };
        match step {
            // What would have to come for this to be a frame will not.
            Step::Wait if at_end => self.lose(1),
            Step::Skip(1) => self.lose(1),
            step => step,
        }
    }

    fn lose(&mut self, bytes: usize) -> Step {
        self.in_sync = false;
        Step::Skip(bytes)
    }

    /// Whether a header that was come upon out of sync is one: the next one says.
    fn confirm(&self, header: Header, rest: &[u8], at_end: bool) -> Step {
        let Some(after) = rest.get(header.len..) else { return Step::Wait };
        match C::header(after) {
            Found::Header(next) if next.key == header.key => Step::Frame(header),
            // The last frame of all has none after it.
            Found::NeedMore if at_end && self.last.is_none_or(|last| last.key == header.key) => Step::Frame(header),
            Found::NeedMore if !at_end => Step::Wait,
            _ => Step::Skip(1),
        }
    }

    fn cut(&mut self, header: Header, data: Bytes) -> Cut {
        match self.last.replace(header) {
            Some(last) if last.key == header.key => self.bit_rate_varies |= last.kbit_per_s != header.kbit_per_s,
            _ => (self.bit_rate_varies, self.carry) = (false, 0),
        }
        let rate = u64::from(header.rate_hz);
        let micros = u64::from(header.samples) * 1_000_000 + self.carry;
        self.carry = micros % rate;
        let duration_us = u32::try_from(micros / rate).unwrap_or(u32::MAX);
        Cut { kind: FrameKind::Join, duration_us, data }
    }
}

/// An ID3v2 tag, else one byte of anything. (ID3v1 and APE tags are passed over as anything.)
fn tag(rest: &[u8]) -> Step {
    const START: &[u8] = b"ID3";
    let known = rest.len().min(START.len());
    if rest[..known] != START[..known] {
        return Step::Skip(1);
    }
    let Some(header) = rest.first_chunk::<TAG_HEADER_BYTES>() else { return Step::Wait };
    let [_, _, _, version, revision, flags, size @ ..] = header;
    if !(2..=4).contains(version) || *revision == 0xff || flags & 0x0f != 0 || size.iter().any(|byte| byte & 0x80 != 0)
    {
        return Step::Skip(1);
    }
    let size = size.iter().fold(0, |size, byte| size << 7 | usize::from(*byte));
    let footer = if flags & 0x10 != 0 { TAG_HEADER_BYTES } else { 0 };
    match TAG_HEADER_BYTES + size + footer {
        bytes if bytes > TAG_BYTES_MAX => Step::Skip(1),
        bytes => Step::Skip(bytes),
    }
}

/// `stereo`, for [`Header::channels`].
pub(crate) fn channels_name(channels: u8) -> String {
    match channels {
        0 => String::new(),
        1 => " mono".into(),
        2 => " stereo".into(),
        n => format!(" {n} channels"),
    }
}
