//! A chain's logical streams and their header packets (RFC 3533 §4: all BOS pages first, then the other headers).

use bytes::Bytes;

use super::{
    codec::Codec,
    page::{Page, pages},
};

/// Logical streams in a chain: sound, pictures, an index and some languages; Icecast's users have one or two.
pub(crate) const STREAMS_MAX: usize = 8;
/// Header packets that are kept of one stream; FLAC may have as many metadata blocks as it likes.
const PACKETS_MAX: usize = 64;
/// Vorbis' and Theora's third packet.
const SETUP_INDEX: usize = 2;
/// FLAC's flag of the last metadata block (in each block's first byte).
const FLAC_LAST: u8 = 0x80;

/// A packet that stands among a stream's headers and is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoHeader;

/// A logical stream by its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) serial: u32,
    pub(crate) codec: Codec,
    /// The sequence number of its last header page.
    pub(crate) sequence: u32,
    headers: Vec<Vec<u8>>,
    partial: Vec<u8>,
    complete: bool,
}

impl Stream {
    /// From its BOS page.
    pub(crate) fn new(page: &Page) -> Self {
        let first = page.pieces().first().map_or(&[][..], |piece| piece.data).to_vec();
        let codec = Codec::of(&first);
        let complete = codec.more_headers() == Some(0);
        let (serial, sequence) = (page.marks.serial, page.marks.sequence);
        Self { serial, codec, sequence, headers: vec![first], partial: Vec::new(), complete }
    }

    /// Takes a page of the stream after its BOS page. What follows the headers on their last page is not looked at.
    pub(crate) fn take(&mut self, page: &Page) -> Result<(), NoHeader> {
        self.sequence = page.marks.sequence;
        for piece in page.pieces() {
            if self.complete {
                break;
            }
            if piece.starts {
                self.partial.clear();
            }
            self.partial.extend_from_slice(piece.data);
            if piece.ends {
                self.take_packet()?;
            }
        }
        if self.codec == Codec::Skeleton && page.marks.eos {
            self.complete = true;
        }
        Ok(())
    }

    fn take_packet(&mut self) -> Result<(), NoHeader> {
        let packet = std::mem::take(&mut self.partial);
        let index = self.headers.len();
        let is_header = self.codec.is_header(index, &packet);
        if !is_header && matches!(self.codec, Codec::Flac { .. }) {
            // Fewer metadata blocks than the first packet says, as GStreamer writes.
            self.complete = true;
            return Ok(());
        }
        if !is_header || index >= PACKETS_MAX {
            return Err(NoHeader);
        }
        let last_block = packet.first().is_some_and(|first| first & FLAC_LAST != 0);
        if let Codec::Vorbis { modes, .. } = &mut self.codec
            && index == SETUP_INDEX
        {
            modes.read_setup(&packet);
        }
        self.headers.push(packet);
        self.complete = match (&self.codec, self.codec.more_headers()) {
            (_, Some(more)) => index >= more as usize,
            (Codec::Flac { .. }, None) => last_block,
            (_, None) => false,
        };
        Ok(())
    }

    /// Whether all its headers are there.
    pub(crate) fn complete(&self) -> bool {
        self.complete
    }

    /// Whether only its packets tell where its headers end.
    pub(crate) fn open_ended(&self) -> bool {
        matches!(self.codec, Codec::Flac { .. }) || self.codec.more_headers().is_none()
    }

    /// What a decoder is set up with; `None` where it is not known whether another stream's packets would do.
    pub(crate) fn setup(&self) -> Option<Vec<u8>> {
        self.codec.setup(&self.headers)
    }

    /// The comment header's bytes.
    pub(crate) fn comments(&self) -> Option<&[u8]> {
        let packet = self.headers.get(1)?;
        let skip = match self.codec {
            Codec::Vorbis { .. } | Codec::Theora { .. } => 7,
            Codec::Opus { .. } => 8,
            Codec::Flac { .. } => 4,
            Codec::Speex { .. } => 0,
            Codec::Skeleton | Codec::Unknown => return None,
        };
        packet.get(skip..)
    }

    /// `ARTIST - TITLE` of the comment header, or the one that is there (Vorbis I §5.2.1).
    pub(crate) fn title(&self) -> Option<String> {
        let mut rest = self.comments()?;
        take_string(&mut rest)?;
        let (count, mut fields) = rest.split_at_checked(4)?;
        let count = u32::from_le_bytes(count.try_into().ok()?);
        let (mut artist, mut title) = (None, None);
        // A count that is too large ends with the bytes.
        for _ in 0..count {
            let Some(field) = take_string(&mut fields) else { break };
            let text = String::from_utf8_lossy(field);
            match text.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("artist") => artist = Some(value.to_owned()),
                Some((name, value)) if name.eq_ignore_ascii_case("title") => title = Some(value.to_owned()),
                _ => {}
            }
        }
        match (artist.filter(|text| !text.is_empty()), title.filter(|text| !text.is_empty())) {
            (Some(artist), Some(title)) => Some(format!("{artist} - {title}")),
            (artist, title) => title.or(artist),
        }
    }
}

/// A string with its length in front.
fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_at_checked(4)?;
    let len = usize::try_from(u32::from_le_bytes(len.try_into().ok()?)).ok()?;
    let (text, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(text)
}

/// The streams of a header frame.
pub(crate) fn streams(header: &Bytes) -> Vec<Stream> {
    let mut streams: Vec<Stream> = Vec::new();
    for page in pages(header) {
        let room = streams.len() < STREAMS_MAX;
        match streams.iter_mut().find(|stream| stream.serial == page.marks.serial) {
            // What the parser let through has no bad headers; what another version let through may.
            Some(stream) => drop(stream.take(&page)),
            None if page.marks.bos && room => streams.push(Stream::new(&page)),
            None => {}
        }
    }
    streams
}
