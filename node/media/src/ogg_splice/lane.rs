//! One logical stream of the chain in force: how the source's pages become those of the log.

use bytes::Bytes;

use crate::ogg::{Codec, Marks, Page, Stream, packet_heads};

/// One logical stream, as it comes in and as it goes out.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    /// Its headers, those that the source sent last.
    stream: Stream,
    pub(super) serial_in: u32,
    serial_out: u32,
    /// What is added to the source's page sequence numbers; known from the first page. A page that the source left
    /// out is missing in what goes out too.
    sequence_offset: Option<u32>,
    /// The next page's number as it goes out.
    next_sequence: u32,
    /// The last granule position that went out.
    end: Option<i64>,
    /// The block size of the last packet that went out, for Vorbis.
    last_block: Option<u32>,
    /// What is added to the source's granule positions, in samples or pictures; known from the first one.
    offset: Option<i64>,
    /// Where the source's first packet begins, in samples or pictures.
    start: Option<i64>,
    /// Where a chain of several streams goes on, and what time of the source's that is.
    common_end_us: Option<i64>,
    origin_us: Option<i64>,
}

impl Lane {
    /// A stream that the log has.
    pub(super) fn in_log(stream: Stream) -> Self {
        let serial = stream.serial;
        Self::begin(stream, serial)
    }

    /// A stream whose headers are sent.
    pub(super) fn begin(stream: Stream, serial_out: u32) -> Self {
        Self {
            serial_in: stream.serial,
            serial_out,
            sequence_offset: Some(0),
            next_sequence: stream.sequence.wrapping_add(1),
            end: None,
            last_block: None,
            offset: Some(0),
            start: None,
            common_end_us: None,
            origin_us: None,
            stream,
        }
    }

    /// Whether a stream is an index of the others, which has no audio to go on.
    pub(super) fn indexes(stream: &Stream) -> bool {
        stream.codec == Codec::Skeleton
    }

    pub(super) fn is_index(&self) -> bool {
        Self::indexes(&self.stream)
    }

    /// Whether a decoder of this stream can go on with another one's packets.
    pub(super) fn continues(&self, stream: &Stream, with_comments: bool) -> bool {
        let setup = self.stream.setup();
        setup.is_some() && setup == stream.setup() && (!with_comments || self.stream.comments() == stream.comments())
    }

    /// The lane with the new stream in it.
    pub(super) fn go_on(&self, stream: &Stream) -> Self {
        Self {
            serial_in: stream.serial,
            sequence_offset: None,
            offset: None,
            start: None,
            common_end_us: None,
            origin_us: None,
            stream: stream.clone(),
            ..self.clone()
        }
    }

    fn end_units(&self) -> i64 {
        self.end.map_or(0, |end| self.stream.codec.units(end))
    }

    /// Where several streams go on together, so that sound and pictures stay in step: where the longest one ends.
    pub(super) fn common_end_us(lanes: &[Self]) -> Option<i64> {
        let ends = || lanes.iter().filter_map(|lane| lane.stream.codec.us_of(lane.end_units()));
        ends().max().filter(|_| lanes.len() > 1)
    }

    pub(super) fn align(&mut self, common_end_us: Option<i64>) {
        self.common_end_us = common_end_us;
    }

    /// Learns from the log's pages of this stream where it ends.
    pub(super) fn observe(&mut self, pages: &[&Page]) {
        if let Some(last) = pages.last() {
            self.next_sequence = last.marks.sequence.wrapping_add(1);
        }
        self.end = pages.iter().rev().find_map(|page| page.granule()).or(self.end);
        let block = |head: &&[u8]| self.stream.codec.block(head);
        self.last_block = packet_heads(pages.iter().copied()).last().and_then(block).or(self.last_block);
    }

    /// Learns from the source's first granule position where its stream starts: so many packets before.
    pub(super) fn start(&mut self, pages: &[&Page]) {
        let Some(at) = pages.iter().position(|page| page.granule().is_some()) else { return };
        if self.offset.is_some() || self.start.is_some() {
            return;
        }
        let codec = &self.stream.codec;
        let heads = packet_heads(pages.iter().take(at + 1).copied());
        let units = pages.get(at).and_then(|page| page.granule()).map_or(0, |granule| codec.units(granule));
        // A first page whose packets last longer than it says has samples cut away: it starts at 0.
        let start = units.saturating_sub(codec.units_of(&heads, None)).max(0);
        // By the source's count its first Vorbis packet gives no samples; after the last packet of before it does.
        let overlap = heads.get(..1).map_or(0, |first| codec.units_of(first, self.last_block));
        let extra = if codec.block(&[]).is_some() { overlap } else { 0 };
        self.start = Some(start.saturating_sub(extra));
    }

    /// When the source's stream starts, by its own count; `None` until that is to be known.
    pub(super) fn start_us(&self) -> Option<i64> {
        self.start.and_then(|start| self.stream.codec.us_of(start))
    }

    /// Sets what time of the source's it is that the common end stands for.
    pub(super) fn set_origin(&mut self, us: i64) {
        self.origin_us.get_or_insert(us);
    }

    /// Fixes the offset, once it can be.
    pub(super) fn settle(&mut self) {
        let (None, Some(start)) = (self.offset, self.start) else { return };
        let codec = &self.stream.codec;
        let own = self.end_units().saturating_sub(start);
        let together = self
            .common_end_us
            .zip(self.origin_us)
            .and_then(|(end, origin)| Some(codec.units_in(end)?.saturating_sub(codec.units_in(origin)?)));
        // Never before the stream's own end: time does not go backward.
        self.offset = Some(together.map_or(own, |together| together.max(own)));
    }

    /// A header page as it goes out.
    pub(super) fn header_page(&self, page: &Page) -> Bytes {
        let eos = page.marks.eos && self.is_index();
        page.with(Marks { serial: self.serial_out, eos, ..page.marks })
    }

    /// A page of audio as it goes out.
    pub(super) fn page(&mut self, page: &Page) -> Bytes {
        let offset = self.next_sequence.wrapping_sub(page.marks.sequence);
        let sequence = page.marks.sequence.wrapping_add(*self.sequence_offset.get_or_insert(offset));
        let granule = page.granule().map_or(page.marks.granule, |granule| self.granule(page, granule));
        let marks = Marks { bos: false, eos: false, granule, serial: self.serial_out, sequence };
        let data = page.with(marks);
        self.observe(&[&Page { marks, ..page.clone() }]);
        data
    }

    fn granule(&self, page: &Page, granule: i64) -> i64 {
        let codec = &self.stream.codec;
        let out = codec.shifted(granule, self.offset.unwrap_or(0));
        let Some(end) = self.end.filter(|_| page.marks.eos) else { return out };
        // The last page's granule position may cut samples away; without the EOS flag nobody would cut them.
        let full =
            codec.units(end).saturating_add(codec.units_of(&packet_heads(std::iter::once(page)), self.last_block));
        codec.shifted(out, full.saturating_sub(codec.units(out)).max(0))
    }
}
