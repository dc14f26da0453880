//! Cuts Ogg streams (RFC 3533) into frames: a chain's headers, then its pages.

mod chain;
mod codec;
mod crc;
mod modes;
mod page;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{Cut, FrameKind};

pub(crate) use chain::{STREAMS_MAX, Stream, streams};
pub(crate) use codec::Codec;
pub(crate) use page::{Marks, Page, packet_heads, pages};

use page::{Found, find};

/// A chain's headers: Vorbis' are 4 KiB, FLAC's have cover art of some hundred KiB. What is larger is no live stream.
const HEADER_BYTES_MAX: usize = 1024 * 1024;
/// Pages (of at most 64 KiB) that are held until the packets are whole that span them: a key frame of video of 1 MiB.
const HELD_PAGES_MAX: usize = 64;
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// Cuts an Ogg stream into frames.
#[derive(Debug, Default)]
pub(crate) struct OggParser {
    buffer: BytesMut,
    skipped: u64,
    state: State,
    title: Option<String>,
    title_changed: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Waits for a BOS page.
    #[default]
    Idle,
    /// Gathers a chain's headers.
    Headers {
        streams: Vec<Stream>,
        data: BytesMut,
        bos_only: bool,
    },
    Audio(Audio),
}

/// A chain whose headers are complete.
#[derive(Debug)]
struct Audio {
    streams: Vec<Stream>,
    /// The stream that frames' durations are taken of.
    main: Option<usize>,
    /// The main stream's time at the end of the last frame.
    end_us: Option<i64>,
    /// Pages since all packets were whole.
    held: VecDeque<Page>,
    held_bytes: usize,
    /// Serials of the streams whose last page ends within a packet.
    open: Vec<u32>,
}

impl Audio {
    fn new(streams: Vec<Stream>) -> Self {
        let pictures = streams.iter().position(|stream| matches!(stream.codec, Codec::Theora { .. }));
        let main = pictures.or_else(|| streams.iter().position(|stream| stream.codec.us_of(0).is_some()));
        Self { streams, main, end_us: None, held: VecDeque::new(), held_bytes: 0, open: Vec::new() }
    }

    fn has_pictures(&self) -> bool {
        self.main_stream().is_some_and(|stream| matches!(stream.codec, Codec::Theora { .. }))
    }

    fn main_stream(&self) -> Option<&Stream> {
        self.streams.get(self.main?)
    }

    /// Whether a listener can start at a page: in sound at every one that does not start within a packet, in pictures
    /// where a key frame starts it (Theora I §7.1: the second bit of the packet is clear).
    fn joins(&self, page: &Page) -> bool {
        if page.continued {
            return false;
        }
        if !self.has_pictures() {
            return true;
        }
        let first = page.pieces().first().and_then(|piece| piece.data.first().copied());
        self.main_stream().is_some_and(|main| main.serial == page.marks.serial)
            && first.is_some_and(|first| first & 0xc0 == 0)
    }

    /// Takes a page of one of the streams.
    fn push(&mut self, page: Page, cuts: &mut Vec<Cut>) {
        // A key frame starts a frame of its own, whatever is open in the other streams.
        if self.has_pictures() && self.joins(&page) {
            cuts.extend(self.cut());
        }
        let serial = page.marks.serial;
        self.open.retain(|open| *open != serial);
        if page.open() && !page.marks.eos {
            self.open.push(serial);
        }
        self.held_bytes += page.data.len();
        self.held.push_back(page);
        if self.open.is_empty() || self.held.len() >= HELD_PAGES_MAX || self.held_bytes >= HELD_BYTES_MAX {
            cuts.extend(self.cut());
        }
    }

    /// Makes a frame of what is held.
    fn cut(&mut self) -> Option<Cut> {
        let kind = if self.joins(self.held.front()?) { FrameKind::Join } else { FrameKind::Continue };
        let duration_us = self.duration_us();
        let data = if self.held.len() == 1 {
            self.held.pop_front().map(|page| page.data).unwrap_or_default()
        } else {
            let mut data = BytesMut::with_capacity(self.held_bytes);
            self.held.drain(..).for_each(|page| data.extend_from_slice(&page.data));
            data.freeze()
        };
        self.held_bytes = 0;
        Some(Cut { kind, duration_us, data })
    }

    /// How long the main stream plays in what is held: differences of rounded times, so that no error adds up.
    fn duration_us(&mut self) -> u32 {
        let Some(main) = self.main_stream() else { return 0 };
        let own = || self.held.iter().filter(|page| page.marks.serial == main.serial);
        let Some(granule) = own().filter_map(Page::granule).last() else { return 0 };
        let units = main.codec.units(granule);
        let Some(end_us) = main.codec.us_of(units) else { return 0 };
        // An encoder that was there before its source need not begin at 0: the first frame is as long as its packets.
        let started = || units.saturating_sub(main.codec.units_of(&packet_heads(own()), None)).max(0);
        let start_us = self.end_us.or_else(|| main.codec.us_of(started()));
        self.end_us = Some(end_us);
        start_us.map_or(0, |start_us| u32::try_from(end_us.saturating_sub(start_us)).unwrap_or(0))
    }
}

impl OggParser {
    /// Takes the next bytes; gives the frames that are complete now.
    pub(crate) fn push(&mut self, bytes: &Bytes) -> Vec<Cut> {
        self.buffer.extend_from_slice(bytes);
        let mut cuts = Vec::new();
        loop {
            match find(&self.buffer) {
                Found::Page(len) => {
                    let page = Page::new(self.buffer.split_to(len).freeze());
                    self.page(page.expect("what was found to be a page is one"), &mut cuts);
                }
                Found::Junk(len) if len > 0 => {
                    self.skipped += len as u64;
                    drop(self.buffer.split_to(len));
                }
                Found::Junk(_) | Found::Incomplete => return cuts,
            }
        }
    }

    /// The source has ended. A packet that is not whole is dropped: what comes after it would be taken for its rest.
    pub(crate) fn finish(&mut self) -> Vec<Cut> {
        self.skipped += self.buffer.len() as u64;
        self.buffer.clear();
        self.leave();
        Vec::new()
    }

    /// Forgets the chain, and counts what was held of it.
    fn leave(&mut self) {
        let held = match std::mem::take(&mut self.state) {
            State::Idle => 0,
            State::Headers { data, .. } => data.len(),
            State::Audio(audio) => audio.held_bytes,
        };
        self.skipped += held as u64;
    }

    fn page(&mut self, page: Page, cuts: &mut Vec<Cut>) {
        if page.marks.bos {
            return self.begin(&page, cuts);
        }
        if let State::Headers { streams, .. } = &self.state
            && ends_headers(streams, &page)
        {
            self.complete(cuts);
        }
        let len = page.data.len();
        let serial = page.marks.serial;
        match &mut self.state {
            State::Headers { streams, data, bos_only } => {
                *bos_only = false;
                let Some(stream) = streams.iter_mut().find(|stream| stream.serial == serial) else {
                    self.skipped += len as u64;
                    return;
                };
                let good = stream.take(&page).is_ok() && data.len() + len <= HEADER_BYTES_MAX;
                data.extend_from_slice(&page.data);
                if !good {
                    self.leave();
                } else if streams.iter().all(Stream::complete) {
                    self.complete(cuts);
                }
            }
            State::Audio(audio) if audio.streams.iter().any(|stream| stream.serial == serial) => audio.push(page, cuts),
            State::Audio(_) | State::Idle => self.skipped += len as u64,
        }
    }

    /// Takes a BOS page: of the chain that is being begun, or the first of a new one.
    fn begin(&mut self, page: &Page, cuts: &mut Vec<Cut>) {
        if let State::Headers { streams, data, bos_only: true } = &mut self.state
            && streams.iter().all(|stream| stream.serial != page.marks.serial)
        {
            if streams.len() >= STREAMS_MAX || data.len() + page.data.len() > HEADER_BYTES_MAX {
                self.skipped += page.data.len() as u64;
                return;
            }
            streams.push(Stream::new(page));
            data.extend_from_slice(&page.data);
            return;
        }
        if let State::Headers { streams, .. } = &self.state
            && streams.iter().all(|stream| stream.complete() || stream.open_ended())
        {
            self.complete(cuts);
        }
        self.leave();
        let data = BytesMut::from(&page.data[..]);
        self.state = State::Headers { streams: vec![Stream::new(page)], data, bos_only: true };
    }

    /// The headers are complete: they become a frame, and the chain's audio begins.
    fn complete(&mut self, cuts: &mut Vec<Cut>) {
        let State::Headers { streams, data, .. } = std::mem::take(&mut self.state) else { return };
        cuts.push(Cut { kind: FrameKind::Header, duration_us: 0, data: data.freeze() });
        let title = streams.iter().find_map(Stream::title);
        self.title_changed |= title != self.title;
        self.title = title;
        self.state = State::Audio(Audio::new(streams));
    }

    /// What the chain is, for people.
    pub(crate) fn describe(&self) -> String {
        let State::Audio(Audio { streams, .. }) = &self.state else { return String::new() };
        let known: Vec<_> =
            streams.iter().map(|stream| stream.codec.describe()).filter(|text| !text.is_empty()).collect();
        format!("ogg {}", known.join(" + "))
    }

    /// Bytes that are part of no frame.
    pub(crate) fn skipped_bytes(&self) -> u64 {
        self.skipped
    }

    /// The title in the comment header of the chain in force.
    pub(crate) fn title(&self) -> Option<String> {
        self.title.clone()
    }

    /// The title, where it is another one than when it was last asked for.
    pub(crate) fn take_title(&mut self) -> Option<String> {
        std::mem::take(&mut self.title_changed).then(|| self.title()).flatten()
    }
}

/// Whether a page is the first after the headers, where not the headers but what follows them says so.
fn ends_headers(streams: &[Stream], page: &Page) -> bool {
    if !streams.iter().all(|stream| stream.complete() || stream.open_ended()) {
        return false;
    }
    let Some(stream) = streams.iter().find(|stream| stream.serial == page.marks.serial) else { return false };
    let starts_header = || {
        let pieces = page.pieces();
        pieces.first().is_none_or(|piece| !piece.starts || stream.codec.is_header(1, piece.data))
    };
    stream.complete() || !starts_header()
}
